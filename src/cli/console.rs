//! Shows notices and the progress of a call on stderr.

use std::cell::RefCell;

use crate::output::{Output, Spinner};
use crate::service::{Notices, Progress};

pub struct Console<'a> {
    out: &'a Output,
    /// Whether to show a spinner. Off with `--debug`, whose output would garble it.
    has_spinner: bool,
    spinner: RefCell<Option<Spinner>>,
}

impl<'a> Console<'a> {
    pub fn new(out: &'a Output, has_spinner: bool) -> Self {
        Self {
            out,
            has_spinner,
            spinner: RefCell::default(),
        }
    }

    pub fn wait(&self) {
        self.spin("Waiting (Ctrl-C won't hang up)");
    }

    fn spin(&self, text: &str) {
        if self.has_spinner {
            let mut spinner = self.spinner.borrow_mut();
            let spinner = spinner.get_or_insert_with(|| self.out.spinner(text));
            spinner.set_text(text);
        }
    }

    pub fn stop(&self) {
        self.spinner.take();
    }

    pub fn progress(&self, progress: Progress) {
        match progress {
            Progress::Sent | Progress::Running(_) => self.wait(),
            Progress::Lost(reason) => {
                self.note(&format!(
                    "Lost the response: {reason}. Checking on the call…"
                ));
            }
            Progress::Retrying(reason) => {
                self.spin(&format!("Lost the connection: {reason}. Retrying…"));
            }
            Progress::Replayed => self
                .note("This key was already used for this call. Showing its result (no new call)."),
        }
    }

    /// Writes a line for people. Does nothing with `--json`, because programs read the JSON.
    pub fn note(&self, text: &str) {
        if !self.out.is_json() {
            self.out.note(text);
        }
    }
}

impl Notices for Console<'_> {
    fn warn(&self, code: &'static str, text: &str) {
        self.out.warn(code, text);
    }

    fn tell(&self, text: &str) {
        let is_url = text.contains("://") && !text.trim().contains(' ');
        if is_url || text.starts_with("  ") {
            self.out.note_copy(text);
        } else {
            self.out.note(text);
        }
    }
}
