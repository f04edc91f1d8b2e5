//! Turns Ctrl-C and SIGTERM into values. SIGHUP and closing a console on Windows still end the
//! program: the call log makes a sudden exit safe, and handling SIGHUP would break `nohup`.

use std::io;

use serde::{Deserialize, Serialize};
#[cfg(unix)]
use tokio::signal::unix::{Signal as Interrupt, Signal as Terminate};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Terminate, CtrlC as Interrupt};

/// A request to end the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM, or Ctrl-Break on Windows.
    Terminate,
}

impl Signal {
    /// Returns the exit status that shells use: 128 plus the signal number.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// A listener for signals.
pub struct Signals(Option<Sources>);

impl Signals {
    /// Returns a listener that never receives a signal.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Starts listening. From now on, signals no longer end the process by default.
    pub fn listen() -> io::Result<Self> {
        Sources::listen().map(|sources| Self(Some(sources)))
    }

    pub async fn next(&mut self) -> Signal {
        match &mut self.0 {
            Some(sources) => sources.next().await,
            None => std::future::pending().await,
        }
    }
}

struct Sources {
    interrupt: Interrupt,
    terminate: Terminate,
}

impl Sources {
    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(windows)]
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
            terminate: tokio::signal::windows::ctrl_break()?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}
