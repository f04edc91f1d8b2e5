//! An output that tests and fuzz targets can read back.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::Output;
use super::stream_caps::StreamCaps;

impl Output {
    /// An output without colour whose streams can be read back, on a terminal this wide or on none.
    #[cfg(test)]
    pub fn captured(json: bool, width: Option<usize>) -> (Self, Captured, Captured) {
        Self::captured_in(json, width, false)
    }

    /// An output whose streams can be read back, on a terminal this wide or on none, in colour or without.
    pub fn captured_in(json: bool, width: Option<usize>, color: bool) -> (Self, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let screen = StreamCaps { width, color };
        let out = Self::to(Box::new(stdout.clone()), Box::new(stderr.clone()), screen, screen, json);
        (out, stdout, stderr)
    }
}

/// A stream that keeps what is written.
#[derive(Clone, Default)]
pub struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    /// What was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }

    /// What was written so far, which is UTF-8.
    #[cfg(test)]
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
