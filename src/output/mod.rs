//! Prints to stdout and stderr. No other module does. Results go to stdout, and everything else
//! goes to stderr. All untrusted text is cleaned here.

mod clean;
mod json;
mod layout;
mod table;
mod terminal;

pub use clap::ColorChoice as Color;
pub use clean::clean;

use std::io::{self, Write as _};
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::view::{Block, View};
use clean::one_line;
use layout::{BAD, Page, STRONG};
use terminal::TermInfo;

#[derive(Clone)]
pub struct Output {
    pub json: bool,
    color: Color,
    /// Hidden until the first wait and whenever other text is printed.
    spinner: ProgressBar,
}

impl Output {
    pub fn new(color: Color, json: bool) -> Self {
        Self {
            json,
            color,
            spinner: ProgressBar::hidden(),
        }
    }

    /// Returns the properties of stdout. They are not cached, because the user may resize the
    /// terminal during a call.
    fn stdout(&self) -> TermInfo {
        TermInfo::of(&Term::stdout(), self.color)
    }

    fn stderr(&self) -> TermInfo {
        TermInfo::of(&Term::stderr(), self.color)
    }

    /// Returns whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.stdout().width.is_some()
    }

    /// Returns whether a user sees stderr, that is, stderr is a terminal and `--json` is off.
    pub fn is_watched(&self) -> bool {
        self.stderr().width.is_some() && !self.json
    }

    /// Writes a result to stdout as text, or as JSON with `--json`, and flushes it. On a terminal,
    /// JSON is indented, and control and invisible characters are escaped.
    pub fn show(&self, view: &View) -> Result<()> {
        let mut bytes = match view.blocks.as_slice() {
            _ if self.json && self.is_terminal() => {
                json::indented(&String::from_utf8_lossy(&view.json)).into_bytes()
            }
            _ if self.json => view.json.clone(),
            // Write a calendar file or the body of an API response unchanged.
            [Block::Raw(bytes)] if !self.is_terminal() => return self.raw(bytes),
            _ => view.render(self.stdout()).into_bytes(),
        };
        if self.json && !bytes.ends_with(b"\n") {
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
        let written = self.spinner.suspend(write);
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::new(Kind::ClosedPipe, "stdout was closed"),
            _ => Error::io("can't write to stdout", &error),
        })
    }

    /// Writes a cleaned line to stderr. Wraps the line unless it is a URL or an indented command,
    /// which the user may want to copy.
    pub fn note(&self, text: &str) {
        let is_url = text.contains("://") && !text.trim().contains(' ');
        let block = match is_url || text.starts_with("  ") {
            true => Block::Copy(text.into()),
            false => Block::Line(text.into()),
        };
        self.write_page(|page| page.block(&block));
    }

    /// Writes a line to stderr without wrapping it.
    pub fn note_copy(&self, text: &str) {
        self.write_page(|page| page.block(&Block::Copy(text.into())));
    }

    /// Writes `warning: TEXT [code]` to stderr.
    pub fn warn(&self, code: &str, text: &str) {
        let text = one_line(&format!("{text} [{code}]"));
        self.write_page(|page| page.paragraph("warning: ", STRONG, &text));
    }

    /// Writes `error: SENTENCE [code]` to stderr, then `hint: …` and the next command on separate
    /// lines.
    pub fn error(&self, code: &str, sentence: &str, hint: &str, next_command: Option<&str>) {
        let sentence = one_line(&format!("{sentence} [{code}]"));
        self.write_page(|page| {
            page.paragraph("error: ", BAD, &sentence);
            if !hint.is_empty() {
                page.paragraph("hint: ", STRONG, &one_line(hint));
            }
            if let Some(command) = next_command {
                page.command(command);
            }
        });
    }

    /// Writes a JSON document to stderr. Programs parse the last line, so write nothing after it.
    pub fn error_json(&self, document: &Value) {
        let line = json::escaped(&document.to_string()) + "\n";
        self.write_stderr(&line);
    }

    /// Writes a prompt to stderr without a line break.
    pub fn prompt(&self, text: &str) {
        self.write_stderr(&one_line(text));
    }

    /// Shows a spinner with the elapsed time, or updates its text. Does nothing unless stderr is a
    /// terminal and `--json` is off.
    pub fn spin(&self, text: &str) {
        if !self.is_watched() || !terminal::supports_escapes() {
            return;
        }
        self.spinner.set_message(one_line(text));
        let style = ProgressStyle::with_template("{spinner} {elapsed_precise}  {msg}");
        if let (true, Ok(style)) = (self.spinner.is_hidden(), style) {
            self.spinner.set_style(style);
            self.spinner.reset_elapsed();
            self.spinner.set_draw_target(ProgressDrawTarget::stderr());
            self.spinner.enable_steady_tick(Duration::from_millis(120));
        }
    }

    pub fn stop_spinner(&self) {
        self.spinner.finish_and_clear();
    }

    fn write_page(&self, write: impl FnOnce(&mut Page)) {
        let mut page = Page::new(self.stderr());
        write(&mut page);
        self.write_stderr(&page.text);
    }

    fn write_stderr(&self, text: &str) {
        // Ignore errors: if stderr is closed, there is nowhere to report it.
        let _ = (self.spinner).suspend(|| io::stderr().write_all(text.as_bytes()));
    }
}
