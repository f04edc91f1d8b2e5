//! Turns Ctrl-C and SIGTERM into values. SIGHUP and closing a console on Windows still end the
//! program: the call log makes a sudden exit safe, and handling SIGHUP would break `nohup`.

use std::io;

use serde::{Deserialize, Serialize};
#[cfg(unix)]
use tokio::signal::unix::{Signal as Interrupt, Signal as Terminate};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Terminate, CtrlC as Interrupt};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
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

/// A listener for Ctrl-C and SIGTERM. With `None`, it never receives a signal.
pub struct Signals(Option<(Interrupt, Terminate)>);

impl Signals {
    pub const fn none() -> Self {
        Self(None)
    }

    /// Starts listening for Ctrl-C and SIGTERM, which then no longer end the process.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        let (interrupt, terminate) = {
            use tokio::signal::unix::{SignalKind, signal};
            (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            )
        };
        #[cfg(windows)]
        let (interrupt, terminate) = {
            use tokio::signal::windows::{ctrl_break, ctrl_c};
            (ctrl_c()?, ctrl_break()?)
        };
        Ok(Self(Some((interrupt, terminate))))
    }

    pub async fn next(&mut self) -> Signal {
        let Some((interrupt, terminate)) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => Signal::Interrupt,
            _ = terminate.recv() => Signal::Terminate,
        }
    }
}
