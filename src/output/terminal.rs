//! Facts about the terminal at the other end of a stream.

use std::io::IsTerminal;

#[cfg(unix)]
use std::os::fd::AsFd as AsHandle;
#[cfg(windows)]
use std::os::windows::io::AsHandle;

use super::Color;

#[derive(Debug, Clone, Copy)]
pub(super) struct TermInfo {
    /// In columns; `None` off a terminal.
    pub width: Option<usize>,
    pub color: bool,
}

/// No layout fits less, in columns.
const MIN_WIDTH: usize = 20;

impl TermInfo {
    /// No terminal: nothing is wrapped, shortened or colored.
    pub const PLAIN: Self = Self {
        width: None,
        color: false,
    };

    pub fn of(stream: &(impl IsTerminal + AsHandle), color: Color) -> Self {
        let is_terminal = stream.is_terminal();
        let forced = std::env::var_os("CLICOLOR_FORCE");
        let is_forced = forced.is_some_and(|value| !value.is_empty() && value != "0");
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if is_set("NO_COLOR") => false,
            Color::Auto => is_forced || (is_terminal && moves_cursor()),
        };
        Self {
            width: is_terminal.then(|| {
                let size = terminal_size::terminal_size_of(stream);
                size.map_or(80, |(width, _)| usize::from(width.0).max(MIN_WIDTH))
            }),
            color,
        }
    }
}

/// Whether terminals here follow escape sequences. Windows Terminal does without setting `TERM`.
pub(super) fn moves_cursor() -> bool {
    match std::env::var_os("TERM") {
        Some(term) => !term.is_empty() && term != "dumb",
        None => cfg!(windows) && is_set("WT_SESSION"),
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
