//! The only module that prints. Results go to stdout, everything else to stderr. All untrusted text
//! is cleaned here.

mod clean;
mod json;
mod layout;
mod spinner;
mod table;
mod terminal;

pub use clean::clean;
pub use spinner::Spinner;

use std::cell::RefCell;
use std::io::{self, Write};

use indicatif::ProgressBar;
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::view::{Block, Json, View};
use clean::one_line;
use layout::{BAD, Page, STRONG};
use terminal::TermInfo;

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

pub struct Output {
    json: bool,
    color: Color,
    /// The current spinner, hidden while something else is printed.
    spinner: RefCell<ProgressBar>,
}

impl Output {
    pub fn new(color: Color, json: bool) -> Self {
        Self {
            json,
            color,
            spinner: RefCell::new(ProgressBar::hidden()),
        }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Queries the terminal every time, because the user can resize it during a call.
    fn stdout(&self) -> TermInfo {
        TermInfo::of(&io::stdout(), self.color)
    }

    fn stderr(&self) -> TermInfo {
        TermInfo::of(&io::stderr(), self.color)
    }

    /// Returns whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.stdout().width.is_some()
    }

    /// Returns whether stderr is a terminal and `--json` is off.
    pub fn is_watched(&self) -> bool {
        self.stderr().width.is_some() && !self.json
    }

    /// Writes a result to stdout and flushes it: the document, or JSON with `--json`. On a
    /// terminal, JSON is indented, and control and invisible characters are escaped.
    pub fn show(&self, view: &View) -> Result<()> {
        let mut bytes = match (&view.json, view.doc.blocks.as_slice()) {
            (Json::Server(bytes), _) if self.json => bytes.clone(),
            (Json::Own(value), _) if self.json => value.to_string().into_bytes(),
            // A calendar file or the body of an API response: write it unchanged.
            (_, [Block::Raw(bytes)]) if !self.is_terminal() => return self.raw(bytes),
            _ => return self.raw(view.doc.render(self.stdout()).as_bytes()),
        };
        if self.is_terminal() {
            bytes = json::indented(&String::from_utf8_lossy(&bytes)).into_bytes();
        }
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        self.raw(&bytes)
    }

    /// Writes bytes to stdout unchanged. Use [`Self::show`] for untrusted bytes.
    pub fn raw(&self, bytes: &[u8]) -> Result<()> {
        let write = || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        };
        let written = self.spinner.borrow().suspend(write);
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::new(Kind::ClosedPipe, "stdout was closed"),
            _ => Error::io("can't write to stdout", &error),
        })
    }

    /// Writes a line to stderr, cleaned and wrapped.
    pub fn note(&self, text: &str) {
        self.write_page(|page| page.block(&Block::Line(text.into())));
    }

    /// Writes a line to stderr without wrapping it, so a URL or command can be copied.
    pub fn note_copy(&self, text: &str) {
        self.write_page(|page| page.block(&Block::Copy(text.into())));
    }

    /// Writes `warning: TEXT [code]` to stderr.
    pub fn warn(&self, code: &str, text: &str) {
        let text = one_line(&format!("{text} [{code}]"));
        self.write_page(|page| page.paragraph("warning: ", STRONG, 9, &text));
    }

    /// Writes `error: SENTENCE [code]` to stderr, then `hint: …` and the next command on lines of
    /// their own.
    pub fn error(&self, code: &str, sentence: &str, hint: &str, next_command: Option<&str>) {
        let sentence = one_line(&format!("{sentence} [{code}]"));
        self.write_page(|page| {
            page.paragraph("error: ", BAD, 7, &sentence);
            if !hint.is_empty() {
                page.paragraph("hint: ", STRONG, 6, &one_line(hint));
            }
            if let Some(command) = next_command {
                page.command(command);
            }
        });
    }

    /// Writes a JSON document to stderr. It must be the last line.
    pub fn error_json(&self, document: &Value) {
        let line = json::escaped(&document.to_string()) + "\n";
        self.write_stderr(&line);
    }

    /// Writes a prompt to stderr without a line break.
    pub fn prompt(&self, text: &str) {
        self.write_stderr(&one_line(text));
    }

    /// Starts a spinner. It is hidden unless stderr is a terminal and `--json` is off.
    pub fn spinner(&self, text: &str) -> Spinner {
        let is_shown = self.is_watched() && terminal::supports_escapes();
        let spinner = Spinner::new(is_shown, text);
        *self.spinner.borrow_mut() = spinner.bar();
        spinner
    }

    fn write_page(&self, write: impl FnOnce(&mut Page)) {
        let mut page = Page::new(self.stderr());
        write(&mut page);
        self.write_stderr(&page.text);
    }

    fn write_stderr(&self, text: &str) {
        // If stderr is closed, there is nowhere to report the error.
        let write = || io::stderr().write_all(text.as_bytes());
        let _ = self.spinner.borrow().suspend(write);
    }
}
