//! The progress spinner on stderr.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::clean::one_line;
use crate::view::duration;

/// A spinner that shows the elapsed time. Dropping it clears it from the screen.
pub struct Spinner(ProgressBar);

impl Spinner {
    pub(super) fn new(is_shown: bool, text: &str) -> Self {
        let spinner = Self(match is_shown {
            true => ProgressBar::new_spinner().with_style(style()),
            false => ProgressBar::hidden(),
        });
        spinner.set_text(text);
        if is_shown {
            spinner.0.enable_steady_tick(Duration::from_millis(120));
        }
        spinner
    }

    pub fn set_text(&self, text: &str) {
        self.0.set_message(one_line(text));
    }

    pub(super) fn bar(&self) -> ProgressBar {
        self.0.clone()
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    let time = |state: &ProgressState, to: &mut dyn Write| {
        let _ = to.write_str(&duration(state.elapsed().as_secs_f64()).unwrap_or_default());
    };
    ProgressStyle::with_template("{spinner} {time}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("time", time)
}
