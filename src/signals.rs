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
}

impl Signals {
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

#[cfg(not(unix))]
impl Signals {
    /// Starts listening.
    ///
    /// # Errors
    /// Never: there is only Ctrl-C, and it is listened for anew each time.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { come: None })
    }

    async fn arrival(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Whether the program was started with `nohup`, which a handler of ours would undo.
#[cfg(unix)]
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
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
