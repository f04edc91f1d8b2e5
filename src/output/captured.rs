//! An output that tests can read back.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::Output;
use super::stream_caps::StreamCaps;

impl Output {
    /// An output whose streams can be read back, on a terminal this wide or on none.
    pub fn captured(json: bool, width: Option<usize>) -> (Self, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let screen = StreamCaps { width, color: false };
        let out = Self::to(Box::new(stdout.clone()), Box::new(stderr.clone()), screen, screen, json);
        (out, stdout, stderr)
    }
}

/// A stream that keeps what is written.
#[derive(Clone, Default)]
pub struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    /// What was written so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("UTF-8")
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
