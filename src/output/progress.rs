//! The running call, shown to whoever watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A spinner with the time that has passed, on stderr; it vanishes when dropped.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Starts showing what is done, and advice behind the time; shows nothing for `None`.
    pub(super) fn start(texts: Option<[String; 2]>) -> Self {
        let Some([doing, advice]) = texts else { return Self(None) };
        let bar = ProgressBar::new_spinner().with_prefix(doing).with_message(advice);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {msg}") {
            bar.set_style(style);
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
