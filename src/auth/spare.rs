//! File descriptors kept back, so that a crowd of connections cannot use up those that saving the login needs.

use std::fs::File;

/// For the lock, the file, the one beside it, the file again to be written in place, and the folder; and one more.
const COUNT: usize = 6;

/// Descriptors that are given back when they are needed.
pub struct Spare(Vec<File>);

impl Spare {
    /// Keeps some back.
    pub fn keep() -> Self {
        let mut spare = Self(Vec::new());
        spare.refill();
        spare
    }

    /// Gives them back for what is done next, before anything else runs.
    pub fn release(&mut self) {
        self.0.clear();
    }

    /// Keeps them back again.
    pub fn refill(&mut self) {
        if cfg!(unix) {
            let missing = COUNT.saturating_sub(self.0.len());
            self.0.extend((0..missing).map_while(|_| File::open("/dev/null").ok()));
        }
    }
}
