//! The signals that end a wait, as values.

use std::io;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::Signal;

/// Held by what must not be cut off.
static UNDER_WAY: Semaphore = Semaphore::const_new(1);

/// How long a signal, or the end of the time limit, waits for that: who interrupts expects the program gone within a
/// second.
pub const GRACE: Duration = Duration::from_millis(750);

/// Does something that a signal must not cut off, if it ends soon: what a spent refresh token brings is not had twice.
pub async fn shielded<R>(work: impl Future<Output = R>) -> R {
    let _held = UNDER_WAY.acquire().await;
    work.await
}

/// Listens for the signals that end a wait.
pub struct Signals {
    /// One that has come, and that nobody was told of yet.
    come: Option<Signal>,
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    close: tokio::signal::windows::CtrlClose,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    stop: tokio::signal::windows::CtrlBreak,
    #[cfg(windows)]
    shutdown: tokio::signal::windows::CtrlShutdown,
}

impl Signals {
    /// A signal that came while something ended that it was not to cut off.
    pub fn came(&self) -> Option<Signal> {
        self.come
    }

    /// The next signal, once nothing is under way that it must not cut off; a second signal waits for nothing.
    pub async fn next(&mut self) -> Signal {
        let signal = match self.come {
            Some(signal) => signal,
            None => self.arrival().await,
        };
        // Whoever gives up waiting here is told the next time.
        self.come = Some(signal);
        tokio::select! {
            _ = tokio::time::timeout(GRACE, UNDER_WAY.acquire()) => {}
            _ = self.arrival() => {}
        }
        self.come = None;
        signal
    }
}

#[cfg(unix)]
impl Signals {
    /// Starts listening; from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            come: None,
            hang_up: if hang_up_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn arrival(&mut self) -> Signal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hang_up => Signal::HangUp,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(windows)]
impl Signals {
    /// Starts listening; from here on these events no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

        Ok(Self {
            come: None,
            close: ctrl_close()?,
            interrupt: ctrl_c()?,
            stop: ctrl_break()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// A window that closes is a terminal that hangs up; Ctrl-Break is also how one program asks another to end.
    async fn arrival(&mut self) -> Signal {
        tokio::select! {
            _ = self.close.recv() => Signal::HangUp,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.stop.recv() => Signal::Terminate,
            _ = self.shutdown.recv() => Signal::Terminate,
        }
    }
}

/// Whether the program was started with `nohup`, which a handler of ours would undo.
#[cfg(unix)]
fn hang_up_is_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return a_child_survives_it() };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// The same where no file tells, as on macOS: what is ignored here is ignored in a child.
#[cfg(unix)]
fn a_child_survives_it() -> bool {
    use std::process::{Command, Stdio};

    let mut child = Command::new("/bin/sh");
    child.args(["-c", "kill -HUP $$"]).env_clear();
    let ended = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}

/// Makes a write beyond the user's limit on file sizes fail like one to a full disk, where it would end the program.
pub fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        /// SIGXFSZ; the number is the same on Linux and macOS.
        const FILE_SIZE_LIMIT: i32 = 25;
        // Without the handler the limit only ends the program harder.
        let _ = signal(SignalKind::from_raw(FILE_SIZE_LIMIT));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_child_tells_what_the_system_tells() {
        assert_eq!(a_child_survives_it(), hang_up_is_ignored());
    }
}
