//! Detects whether a stream is a terminal, how wide it is and whether to use color.

use console::Term;

use super::Color;

#[derive(Debug, Clone, Copy)]
pub(super) struct TermInfo {
    /// Width in columns, or `None` if the stream is not a terminal.
    pub width: Option<usize>,
    pub color: bool,
}

/// Minimum layout width, in columns. It also applies to narrower terminals, because narrower text
/// would be unreadable.
const MIN_WIDTH: usize = 20;

impl TermInfo {
    /// For output that does not go to a terminal: nothing is wrapped, shortened or colored.
    pub const PLAIN: Self = Self {
        width: None,
        color: false,
    };

    pub fn of(term: &Term, color: Color) -> Self {
        let is_terminal = term.is_term();
        let (_, width) = term.size();
        let forced = std::env::var_os("CLICOLOR_FORCE");
        let is_forced = forced.is_some_and(|value| !value.is_empty() && value != "0");
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if is_set("NO_COLOR") => false,
            Color::Auto => is_forced || (is_terminal && supports_escapes()),
        };
        Self {
            width: is_terminal.then_some(usize::from(width).max(MIN_WIDTH)),
            color,
        }
    }
}

/// Returns whether the terminal supports escape sequences. Windows Terminal does, although it does
/// not set `TERM`.
pub(super) fn supports_escapes() -> bool {
    match std::env::var_os("TERM") {
        Some(term) => !term.is_empty() && term != "dumb",
        None => cfg!(windows) && is_set("WT_SESSION"),
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
