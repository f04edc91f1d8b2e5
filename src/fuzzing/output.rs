//! What prints, into memory.

use std::rc::Rc;

use super::*;

pub use super::clean::{clean, is_unsafe, lines};

/// A stream that keeps what is written.
#[derive(Clone, Default)]
pub struct Kept(Rc<RefCell<Vec<u8>>>);

impl Kept {
    /// What was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output to memory, on a terminal this wide or on none.
pub(crate) fn kept(json: bool, width: Option<usize>, color: bool) -> (Output, Kept, Kept) {
    let (stdout, stderr) = (Kept::default(), Kept::default());
    let screen = StreamCaps { width, color };
    let out = Output::to(Box::new(stdout.clone()), Box::new(stderr.clone()), screen, screen, json);
    (out, stdout, stderr)
}

fn printed(width: Option<usize>, color: bool, print: impl FnOnce(&Output) -> Result<()>) -> Option<Vec<u8>> {
    let (out, stdout, _) = kept(false, width, color);
    print(&out).and_then(|()| out.finish()).ok()?;
    Some(stdout.bytes())
}

/// The columns of a clean text.
pub fn columns(text: &str) -> usize {
    line::columns(text)
}

/// The beginning of a clean text that fits so many columns.
pub fn shorten(text: &str, most: usize) -> String {
    line::shorten(text, most).into_owned()
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
    let column = |heading, most, least, gives_way| Column { heading, most, least, gives_way };
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
