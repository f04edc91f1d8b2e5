//! A person or a program at the command line, as operations see them: who is told, and who takes a call's result.

use std::cell::RefCell;

use super::render::{self, View};
use crate::error::{Error, Kind};
use crate::output::{Line, Output, Progress};
use crate::service::{Call, Parsed};
use crate::service::{Notices, Observer};

/// Prints what operations have to say, without tearing what is shown meanwhile.
pub struct Console<'a> {
    out: &'a Output,
    /// The call that is waited for.
    progress: RefCell<Option<Progress>>,
}

impl<'a> Console<'a> {
    /// A console on these streams.
    pub fn new(out: &'a Output) -> Self {
        Self { out, progress: RefCell::default() }
    }

    fn end_progress(&self) {
        if self.progress.take().is_some() {
            self.out.remeasure();
        }
    }

    fn aside(&self, print: impl FnOnce()) {
        match &*self.progress.borrow() {
            Some(progress) => progress.suspend(print),
            None => print(),
        }
    }
}

impl Notices for Console<'_> {
    fn warn(&self, code: &'static str, text: &str) {
        self.aside(|| self.out.warn(code, text));
    }

    fn tell(&self, text: &str) {
        let text = &*self.out.translate(text);
        let line = Line::new().text(text);
        self.aside(|| {
            // An address or a command stands alone, indented.
            if text.starts_with("  ") { self.out.note_copyable(&line) } else { self.out.note(&line) }
        });
    }
}

/// Shows that a call is waited for, and prints its result.
pub struct Waiting<'a> {
    console: &'a Console<'a>,
    view: &'a View<'a>,
    /// Why the result could not be printed.
    pub unwritten: Option<Error>,
    /// Whether the call is the newest, which `last` names.
    is_newest: bool,
    /// How the call stood when it was last seen under way.
    last_status: Option<String>,
    /// What is shown once a phone may ring.
    doing: Option<String>,
}

impl<'a> Waiting<'a> {
    /// For a call that is to be placed: what is done is shown once its request is on its way. `None` where what --debug
    /// prints would tear it.
    pub fn placing(console: &'a Console<'a>, view: &'a View<'a>, doing: Option<String>) -> Self {
        Self { console, view, unwritten: None, is_newest: true, last_status: None, doing }
    }

    /// For a call that was placed before: what is done is shown at once.
    pub fn resuming(console: &'a Console<'a>, view: &'a View<'a>, doing: Option<String>) -> Self {
        let mut waiting = Self::placing(console, view, doing);
        waiting.is_newest = false;
        waiting.show();
        waiting
    }

    fn show(&mut self) {
        if let Some(doing) = self.doing.take() {
            let out = self.view.out;
            let advice = out.translate("Ctrl-C stops the waiting, not the call");
            self.console.progress.replace(Some(out.progress(&out.translate(&doing), &advice)));
        }
    }
}

impl Waiting<'_> {
    /// Ends the waiting. Returns why the result could not be printed; where there is none, what came instead is said.
    pub fn end(mut self, error: Option<&Error>) -> Option<Error> {
        let is_unknown = error.is_some_and(|error| error.kind == Kind::OutcomeUnknown);
        if let (true, Some(status), false) = (is_unknown, &self.last_status, self.view.out.is_json()) {
            self.console.tell(&format!("The service last said of the call: {status}."));
        }
        self.unwritten.take()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.console.end_progress();
    }
}

impl Observer for Waiting<'_> {
    fn replayed(&mut self) {
        if !self.view.out.is_json() {
            let text =
                "No phone rings: the key was used before, for this very call, and this is what became of it.";
            self.console.aside(|| self.view.out.explain(&Line::new(), text));
        }
        self.show();
    }

    fn sent(&mut self) {
        self.show();
    }

    fn response_lost(&mut self, why: &str) {
        if !self.view.out.is_json() {
            let text = format!("The answer was lost ({why}). Looking up what came of the call.");
            self.console.aside(|| self.view.out.explain(&Line::new(), &text));
        }
    }

    fn running(&mut self, call: &Parsed<Call>) {
        self.last_status = call.value.status.as_ref().map(|status| status.as_str().to_owned());
    }

    fn warn(&mut self, text: &str) {
        self.console.warn("journal", text);
    }

    fn deliver(&mut self, call: &Parsed<Call>) -> bool {
        self.console.end_progress();
        match render::result(self.view, call, self.is_newest) {
            Ok(()) => true,
            Err(error) => {
                self.unwritten = Some(error);
                false
            }
        }
    }

    fn not_made(&mut self, _: &Error) -> bool {
        true
    }
}

/// What a result that could not be written means: the call was made all the same.
pub fn unwritten(error: Error, key: Option<&crate::domain::IdempotencyKey>) -> Error {
    if error.kind == Kind::ClosedPipe {
        return error;
    }
    let message = format!("the call was made, but its result could not be written ({error})");
    let failed = Error::new(Kind::ResultUnwritten, message);
    match key {
        Some(key) => failed.about(key, None),
        None => failed,
    }
}
