//! The running call, shown to whoever watches.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::when::duration;

/// A spinner with the time that has passed, on stderr; it vanishes when dropped.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts showing what is done, and for how long; shows nothing for `None`.
    pub(super) fn start(doing: Option<String>) -> Self {
        let Some(doing) = doing else { return Self(None) };
        let bar = ProgressBar::new_spinner().with_prefix(doing);
        let time = |state: &ProgressState, to: &mut dyn Write| {
            let _ = to.write_str(&duration(state.elapsed().as_secs_f64()).unwrap_or_default());
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {time}") {
            bar.set_style(style.with_key("time", time));
        }
        // It ticks in a thread, and panics where there can be none.
        if std::thread::Builder::new().spawn(|| ()).is_ok() {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self(Some(bar))
    }
}

impl Progress {
    /// Takes the spinner away while something else is printed.
    pub fn suspend(&self, print: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
