//! The lines of the journal that this version cannot read: damaged, or of a later version. They stay byte for byte, and
//! what they may tell of is not taken for nothing.

use serde::Deserialize;

use super::entry::{GUARDED_FOR, Moment, SinceBoot};
use crate::domain::IdempotencyKey;

/// Such lines, in their order.
#[derive(Debug, Default)]
pub struct UnreadableLines {
    lines: Vec<Line>,
    /// How many of them have a readable line behind them.
    dated: usize,
}

#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    /// When it was written, where it says so.
    written: Option<Moment>,
    /// When a line behind it was: it is no younger than that.
    written_by: Option<Moment>,
}

impl UnreadableLines {
    /// Adds one, behind the others. `version` is that of the lines which can be read.
    pub fn push(&mut self, text: &[u8], version: u8) {
        self.lines.push(Line { text: text.to_vec(), written: date_of(text, version), written_by: None });
    }

    /// Notes when a line behind all of these was written.
    pub fn date_by(&mut self, written: &Moment) {
        // Lines are appended in order: what stands before this one is no younger.
        for line in self.lines.iter_mut().skip(self.dated) {
            line.written_by = Some(written.clone());
        }
        self.dated = self.lines.len();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether one of them has a key in it.
    pub fn name(&self, key: &IdempotencyKey) -> bool {
        let finder = memchr::memmem::Finder::new(key.as_str());
        self.lines.iter().any(|line| finder.find(&line.text).is_some())
    }

    /// Whether one of them may tell of a call that is young enough to keep others from being placed.
    pub fn may_hide_recent(&self, now: &Moment) -> bool {
        let is_old = |written: &Moment| written.age(now) >= GUARDED_FOR;
        self.lines.iter().any(|line| !line.written.iter().chain(&line.written_by).any(is_old))
    }

    /// Them all, byte for byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.text.iter().chain(b"\n")).copied().collect()
    }
}

/// When a line of a later version was written, if it still says that as this one does. A damaged line is not believed.
fn date_of(text: &[u8], version: u8) -> Option<Moment> {
    #[derive(Deserialize)]
    struct Dated {
        v: u8,
        at: i64,
        #[serde(default)]
        boot: Option<SinceBoot>,
    }
    let dated = serde_json::from_slice::<Dated>(text).ok().filter(|line| line.v > version);
    dated.map(|line| Moment { unix: line.at, boot: line.boot })
}
