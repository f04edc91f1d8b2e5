//! Ctrl-C and SIGTERM, as values. SIGHUP keeps its default action: the call log makes a sudden end
//! safe, and a handler would undo `nohup`.

use std::io;

use serde::{Deserialize, Serialize};

/// A request that the program end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM; on Windows Ctrl-Break, a closed console or the end of the session.
    Terminate,
}

impl Signal {
    /// The exit status that shells report: 128 plus the signal's number.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Listens for signals.
pub struct Signals(Option<Sources>);

impl Signals {
    /// Never receives a signal.
    pub const fn none() -> Self {
        Self(None)
    }

    /// From here on, signals no longer end the process by themselves.
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

#[cfg(unix)]
struct Sources {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Sources {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(windows)]
struct Sources {
    interrupt: tokio::signal::windows::CtrlC,
    stop: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Sources {
    fn listen() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

        Ok(Self {
            interrupt: ctrl_c()?,
            stop: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.stop.recv() => Signal::Terminate,
            _ = self.close.recv() => Signal::Terminate,
            _ = self.shutdown.recv() => Signal::Terminate,
        }
    }
}
