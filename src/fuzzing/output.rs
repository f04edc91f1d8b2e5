//! What prints, into memory.

use crate::error::Result;
use crate::output::{Cell, Column, Line, Output, Table, Tone, fuzz_api};

/// A text as a part of one line.
pub fn clean(text: &str) -> String {
    fuzz_api::clean(text).into_owned()
}

/// A text's lines, each as [`clean`] leaves it.
pub fn lines(text: &str) -> impl Iterator<Item = String> {
    fuzz_api::lines(text).map(|line| line.into_owned())
}

/// Whether a character is never printed.
pub fn is_unsafe(c: char) -> bool {
    fuzz_api::is_unsafe(c)
}

/// The columns of a clean text.
pub fn columns(text: &str) -> usize {
    fuzz_api::columns(text)
}

/// The beginning of a clean text that fits so many columns.
pub fn shorten(text: &str, most: usize) -> String {
    fuzz_api::shorten(text, most).into_owned()
}

fn printed(width: Option<usize>, color: bool, print: impl FnOnce(&Output) -> Result<()>) -> Option<Vec<u8>> {
    let (out, stdout, _) = Output::captured_in(false, width, color);
    print(&out).and_then(|()| out.finish()).ok()?;
    Some(stdout.bytes())
}

/// A line of two texts, the first in bold.
pub fn a_line(first: &str, second: &str, color: bool) -> Option<Vec<u8>> {
    printed(None, color, |out| out.line(&Line::new().tone(Tone::Strong, first).text(second)))
}

/// A text behind a label.
pub fn prose(label: &str, text: &str, width: Option<usize>, color: bool) -> Option<Vec<u8>> {
    printed(width, color, |out| out.prose(&Line::new().tone(Tone::Faint, label), text))
}

/// A table of three columns, the second giving way before the first.
pub fn table(cells: &[[&str; 3]], width: usize, color: bool) -> Option<Vec<u8>> {
    let column =
        |heading, most, least, gives_way| Column { heading, most, least, gives_way, wraps_below: true };
    let mut table = Table::new(vec![
        column("WHEN", 12, usize::MAX, Some(1)),
        column("WHAT", usize::MAX, 10, Some(0)),
        column("ID", 8, 8, None),
    ]);
    for [when, what, id] in cells {
        table.row(vec![Cell::new(when), Cell::toned(Tone::Bad, what), Cell::new(id)]);
    }
    printed(Some(width), color, |out| out.table(&mut table))
}

/// Bytes that are a file for another program.
pub fn file(bytes: &[u8], width: Option<usize>) -> Option<Vec<u8>> {
    printed(width, false, |out| out.bytes(bytes))
}
