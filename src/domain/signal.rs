//! The signals that end a wait.

use serde::{Deserialize, Serialize};

/// A request by a person or the system that the program end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// The terminal or its window has closed (SIGHUP).
    HangUp,
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM; on Windows Ctrl-Break, or the end of the session.
    Terminate,
}

impl Signal {
    /// The exit status that shells report for it: 128 plus the signal's number.
    pub fn exit(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}
