//! How each value reads as text, or passes on as JSON.

mod account;
#[cfg(test)]
mod arbitrary_responses;
mod auth;
mod brief;
mod call;
mod error;
mod history;
mod mcp_config;
mod placement;
mod raw;
mod transcript;

pub use account::{billing, subscription, usage};
pub use auth::{auth_status, sandbox_served, sign_in_begun, signed_in, signed_out};
pub use call::{call, language, result};
pub use error::error;
pub use history::HistoryView;
#[cfg(fuzzing)]
pub use history::one_page;
pub use mcp_config::mcp_config;
pub use placement::{detached, dry_run, pending};
pub use raw::raw;
pub use transcript::{calendar, transcript};

use crate::error::Result;
use crate::output::{Clock, Line, Output, Tone};

/// Where values are shown, and by which clock.
pub struct View<'a> {
    /// Where they go.
    pub out: &'a Output,
    /// The user's zone and the present.
    pub clock: Clock,
    /// How this program is called in the commands that it suggests.
    pub program: &'static str,
}

/// The columns of a label.
const LABEL: usize = 12;

impl View<'_> {
    /// Prints a labelled text.
    fn field(&self, label: &str, text: &str) -> Result<()> {
        self.toned_field(label, Tone::Plain, text)
    }

    /// Prints a labelled text that stands out. The label is ours.
    fn toned_field(&self, label: &str, tone: Tone, text: &str) -> Result<()> {
        let label = format!("{:<LABEL$}", self.out.translate(label));
        self.out.toned(&Line::new().tone(Tone::Faint, &label), tone, text)
    }

    /// Prints what was answered as it is, or as text.
    fn parsed<T>(
        &self,
        answer: &crate::service::Parsed<T>,
        show: impl FnOnce(&Self, &T) -> Result<()>,
    ) -> Result<()> {
        if self.out.is_json() { self.out.document(&answer.raw) } else { show(self, &answer.value) }
    }
}
