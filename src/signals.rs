//! The signals that end a wait, as values.

use std::io;
use std::pin::pin;
use std::task::Poll;

use crate::domain::Signal;

/// Listens for the signals that end a wait.
pub struct Signals(Option<Sources>);

#[cfg(unix)]
struct Sources {
    /// `None` where the program was told to ignore it.
    hang_up: Option<tokio::signal::unix::Signal>,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(windows)]
struct Sources {
    close: tokio::signal::windows::CtrlClose,
    interrupt: tokio::signal::windows::CtrlC,
    stop: tokio::signal::windows::CtrlBreak,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

impl Signals {
    /// No signals: what a process without a terminal waits for is its work's end.
    pub fn none() -> Self {
        Self(None)
    }

    /// Starts listening; from here on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        Sources::listen().map(|sources| Self(Some(sources)))
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        match &mut self.0 {
            Some(sources) => sources.next().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
impl Sources {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            hang_up: if hang_up_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
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
impl Sources {
    fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

        Ok(Self {
            close: ctrl_close()?,
            interrupt: ctrl_c()?,
            stop: ctrl_break()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// A window that closes is a terminal that hangs up; Ctrl-Break is also how one program asks another to end.
    async fn next(&mut self) -> Signal {
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
    shell_succeeds("kill -HUP $$")
}

#[cfg(unix)]
fn shell_succeeds(script: &str) -> bool {
    use std::process::{Command, Stdio};

    let mut child = Command::new("/bin/sh");
    child.args(["-c", script]).env_clear();
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

/// Waits for work or a signal, whichever is there first. Of two that are there at once the work counts, unless
/// `signal_first` says otherwise then.
pub async fn race<W, S>(
    work: impl Future<Output = W>,
    signal: impl Future<Output = S>,
    signal_first: impl Fn() -> bool,
) -> Result<W, S> {
    let (mut work, mut signal) = (pin!(work), pin!(signal));
    std::future::poll_fn(|context| {
        if signal_first()
            && let Poll::Ready(signal) = signal.as_mut().poll(context)
        {
            return Poll::Ready(Err(signal));
        }
        match work.as_mut().poll(context) {
            Poll::Ready(work) => Poll::Ready(Ok(work)),
            Poll::Pending => signal.as_mut().poll(context).map(Err),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_come_counts_before_a_signal_unless_the_signal_goes_first() {
        let ready = std::future::ready::<u8>;
        assert_eq!(race(ready(1), ready(2), || false).await, Ok(1));
        let is_begun = std::cell::Cell::new(false);
        let work = async { is_begun.set(true) };
        assert_eq!(race(work, ready(2), || true).await, Err(2));
        assert!(!is_begun.get(), "nothing is begun after a signal");
        assert_eq!(race(std::future::pending::<u8>(), ready(2), || false).await, Err(2));
        assert_eq!(race(ready(1), std::future::pending::<u8>(), || true).await, Ok(1));
    }

    #[cfg(unix)]
    #[test]
    fn a_child_tells_what_the_system_tells() {
        assert_eq!(a_child_survives_it(), hang_up_is_ignored());
        assert!(shell_succeeds("trap '' HUP; kill -HUP $$"));
    }
}
