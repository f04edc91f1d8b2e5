//! A JSON document with a list in it that is longer than memory should hold.

use super::Output;
use crate::error::Result;

/// `{"NAME":[...],"total":N}`, written item by item.
pub struct JsonList<'a> {
    out: &'a Output,
    name: &'static str,
    /// Items written so far; `None` before the first part, as what fails at once leaves nothing on stdout.
    written: Option<u64>,
}

impl<'a> JsonList<'a> {
    /// A list of this name, nothing of which is written yet.
    pub fn new(out: &'a Output, name: &'static str) -> Self {
        Self { out, name, written: None }
    }

    /// Writes items.
    ///
    /// # Errors
    /// When stdout cannot be written, or its reader has gone.
    pub fn extend<'r>(&mut self, items: impl IntoIterator<Item = &'r str>) -> Result<()> {
        let mut written = self.begin()?;
        for item in items {
            self.out.layout(if written == 0 { "\n    " } else { ",\n    " })?;
            self.out.fragment(item.as_bytes(), 2)?;
            written += 1;
        }
        self.written = Some(written);
        Ok(())
    }

    /// Ends the document.
    ///
    /// # Errors
    /// As [`Self::extend`].
    pub fn finish(mut self, total: u64) -> Result<()> {
        let line_break = if self.begin()? > 0 { "\n  " } else { "" };
        self.out.layout(&format!("{line_break}],\n  \"total\": {total}\n}}"))?;
        self.out.blank()
    }

    fn begin(&mut self) -> Result<u64> {
        if let Some(written) = self.written {
            return Ok(written);
        }
        self.out.layout(&format!("{{\n  \"{}\": [", self.name))?;
        self.written = Some(0);
        Ok(0)
    }
}
