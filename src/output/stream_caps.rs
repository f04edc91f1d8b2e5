//! What stands at the other end of a stream.

use std::ffi::OsString;
use std::io::IsTerminal;

#[cfg(unix)]
use std::os::fd::AsFd as Handle;
#[cfg(windows)]
use std::os::windows::io::AsHandle as Handle;

use super::{Color, OFF_TERMINAL_WIDTH};

/// What a stream's other end can show.
#[derive(Debug, Clone, Copy)]
pub struct StreamCaps {
    /// Columns, where there is a terminal to have them.
    pub width: Option<usize>,
    /// Whether text is coloured.
    pub color: bool,
}

/// Text wider than this, in columns, is hard to read.
const WIDEST_PROSE: usize = 100;

impl StreamCaps {
    /// The same, no wider than is good to read.
    pub fn for_prose(self) -> Self {
        Self { width: self.width.map(|columns| columns.min(WIDEST_PROSE)), ..self }
    }

    /// The same, where a terminal has another width by now.
    pub fn remeasured(self, width: Option<usize>) -> Self {
        Self { width: self.width.map(|was| width.unwrap_or(was)), ..self }
    }

    /// What is at the other end of stdout or stderr.
    pub fn of(color: Color, stream: &(impl IsTerminal + Handle)) -> Self {
        let terminal = stream.is_terminal();
        // Not asked for where nobody looks: asking changes a Windows console.
        let able = || terminal && moves_cursor();
        let color = match color {
            Color::Always => {
                able();
                true
            }
            Color::Never => false,
            Color::Auto if set("NO_COLOR").is_some() => false,
            Color::Auto => able() || set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
        };
        Self { width: terminal.then(|| width(stream).unwrap_or(OFF_TERMINAL_WIDTH)), color }
    }
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a terminal here follows escape sequences.
pub fn moves_cursor() -> bool {
    set("TERM").is_none_or(|term| term != "dumb") && takes_escapes()
}

/// The columns of a terminal, as it is now.
pub fn width(stream: &impl Handle) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0).max(20))
}

#[cfg(unix)]
fn takes_escapes() -> bool {
    true
}

/// A console of Windows prints escape sequences as they stand until it is told otherwise, and one before Windows 10
/// whatever it is told. Stdout and stderr have the same, so that it may be told by either.
#[cfg(windows)]
fn takes_escapes() -> bool {
    [console::Term::stdout(), console::Term::stderr()].iter().any(|term| term.features().colors_supported())
}
