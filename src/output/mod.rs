//! The only place that prints. Whatever passes through it is cleaned, so no command can forget to; stdout is the
//! result and nothing else, stderr is everything else.

#[cfg(any(test, fuzzing))]
mod captured;
mod clean;
mod closed_stdout;
mod columns;
mod json;
mod json_list;
mod line;
mod messages;
mod progress;
mod stream_caps;
mod table;
mod text;
mod when;

#[cfg(test)]
pub use clean::is_unsafe;
pub use closed_stdout::was_closed as stdout_was_closed;
pub use json_list::JsonList;
pub use line::{Line, Tone};
pub use messages::Messages;
pub use progress::Progress;
pub use table::{Cell, Column, Table};
pub use text::{brief, clean_json, lines, one_line};
pub use when::{Clock, appointment, duration};

/// What the fuzz targets come in by.
#[cfg(fuzzing)]
pub(crate) mod fuzz_api {
    pub(crate) use super::clean::{clean, is_unsafe, lines};
    pub(crate) use super::columns::columns;
    pub(crate) use super::line::shorten;
}

use std::borrow::Cow;
use std::cell::{self, RefCell};
use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::domain::{Language, redact_bytes};
use crate::error::{Error, Kind, Result};
use stream_caps::StreamCaps;

/// The columns of stdout, where it is a terminal.
pub fn stdout_width() -> Option<usize> {
    stream_caps::width(&io::stdout())
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set; anywhere if `CLICOLOR_FORCE` is.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// The program's stdout and stderr.
pub struct Output {
    stdout: RefCell<BufWriter<Box<dyn Write>>>,
    stderr: RefCell<Box<dyn Write>>,
    result: cell::Cell<StreamCaps>,
    notes: cell::Cell<StreamCaps>,
    json: bool,
    messages: Messages,
    /// Warnings under `--json`: an error's document has stderr to itself.
    deferred_warnings: RefCell<Vec<String>>,
}

/// The width of a table where there is no terminal.
const OFF_TERMINAL_WIDTH: usize = 80;

impl Output {
    /// The output of one run. What programs read is English in every language.
    pub fn new(color: Color, json: bool, language: Language) -> Self {
        let language = if json { Language::En } else { language };
        let (result, notes) = (StreamCaps::of(color, &io::stdout()), StreamCaps::of(color, &io::stderr()));
        let out = Self::to(Box::new(io::stdout()), Box::new(io::stderr()), result, notes, json);
        Self { messages: Messages::of(language), ..out }
    }

    fn to(
        stdout: Box<dyn Write>,
        stderr: Box<dyn Write>,
        result: StreamCaps,
        notes: StreamCaps,
        json: bool,
    ) -> Self {
        let stdout = RefCell::new(BufWriter::with_capacity(64 * 1024, stdout));
        Self {
            stdout,
            stderr: RefCell::new(stderr),
            result: cell::Cell::new(result),
            notes: cell::Cell::new(notes),
            json,
            messages: Messages::of(Language::En),
            deferred_warnings: RefCell::default(),
        }
    }

    /// Whether results are JSON documents.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// What is said, in the reader's language.
    pub fn messages(&self) -> Messages {
        self.messages
    }

    /// A text of ours in the reader's language.
    pub fn translate<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.messages.translate(text)
    }

    /// Whether a person sees the result as it is printed.
    pub fn is_terminal(&self) -> bool {
        self.result.get().width.is_some()
    }

    /// Whether a person sees on stderr what is said beside the result.
    pub fn is_watched(&self) -> bool {
        self.notes.get().width.is_some() && !self.json
    }

    /// The columns a table may use.
    pub fn table_width(&self) -> usize {
        self.result.get().width.unwrap_or(OFF_TERMINAL_WIDTH)
    }

    /// Prints one line of the result; on a terminal what is too wide goes on below, indented.
    ///
    /// # Errors
    /// When stdout cannot be written, or its reader has gone.
    pub fn line(&self, line: &Line<'_>) -> Result<()> {
        let mut text = String::new();
        line.render_within(self.result.get().width, self.result.get().color, &mut text);
        text.push('\n');
        self.write(text.as_bytes())
    }

    /// Prints a line of our own that is to be copied, a command or an address: on one line however wide it is.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn copyable(&self, line: &Line<'_>) -> Result<()> {
        let mut text = String::new();
        line.render(self.result.get().color, &mut text);
        text.push('\n');
        self.write(text.as_bytes())
    }

    /// Prints an empty line.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn blank(&self) -> Result<()> {
        self.write(b"\n")
    }

    /// Prints prose behind a label. Its own line breaks, and on a terminal the wrapped lines, stand under its beginning,
    /// so that no text can pass for another line of the output.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn prose(&self, label: &Line<'_>, text: &str) -> Result<()> {
        self.toned(label, Tone::Plain, text)
    }

    /// The same, with prose that stands out.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn toned(&self, label: &Line<'_>, tone: Tone, text: &str) -> Result<()> {
        let mut printed = String::with_capacity(text.len() + 32);
        let StreamCaps { width, color } = self.result.get().for_prose();
        line::write_behind(label, text, tone, width, color, &mut printed);
        self.write(printed.as_bytes())
    }

    /// Prints a table.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn table(&self, table: &mut Table) -> Result<()> {
        let mut printed = String::new();
        table.render(self.table_width(), self.result.get().color, &mut printed);
        self.write(printed.as_bytes())
    }

    /// Prints a JSON document that came from the server, member for member and letter for letter: indented on a
    /// terminal, compact off one.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn document(&self, raw: &[u8]) -> Result<()> {
        self.fragment(raw, 0)?;
        self.write(b"\n")
    }

    /// Prints a JSON value as part of a document, `depth` levels inside it.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn fragment(&self, raw: &[u8], depth: usize) -> Result<()> {
        let layout = if self.is_terminal() { json::Layout::Indented(depth) } else { json::Layout::Compact };
        json::copy(raw, layout, &mut *self.stdout.borrow_mut()).map_err(stdout_failed)
    }

    /// Prints a JSON document of our own.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn object(&self, value: &impl Serialize) -> Result<()> {
        let raw = to_json(value)?;
        self.document(&raw)
    }

    /// Prints a JSON value of our own on one line, which it does not end.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn compact(&self, value: &impl Serialize) -> Result<()> {
        let raw = to_json(value)?;
        json::copy(&raw, json::Layout::Compact, &mut *self.stdout.borrow_mut()).map_err(stdout_failed)
    }

    /// Prints text of our own that is made of many lines: help, a script, a page.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn raw_text(&self, text: &str) -> Result<()> {
        self.write(text.as_bytes())
    }

    /// Prints bytes as they are, but for secrets: a file for another program. On a terminal each line is cleaned, and
    /// folded as iCalendar folds it.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let bytes = redact_bytes(bytes);
        if !self.is_terminal() {
            return self.write(&bytes);
        }
        String::from_utf8_lossy(&bytes).lines().try_for_each(|text| self.line(&Line::new().text(text)))
    }

    /// Brings everything printed so far to its reader.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn flush(&self) -> Result<()> {
        self.stdout.borrow_mut().flush().map_err(stdout_failed)
    }

    /// Tells the person something on stderr, wrapped as [`Self::line`] is on stdout.
    pub fn note(&self, line: &Line<'_>) {
        let mut printed = String::new();
        let StreamCaps { width, color } = self.notes.get().for_prose();
        line.render_within(width, color, &mut printed);
        printed.push('\n');
        self.tell(printed.as_bytes());
    }

    /// Tells the person a command or an address of our own: on one line however wide it is, so that it can be copied.
    pub fn note_copyable(&self, line: &Line<'_>) {
        let mut printed = String::new();
        line.render(self.notes.get().color, &mut printed);
        printed.push('\n');
        self.tell(printed.as_bytes());
    }

    /// Tells the person something of ours at length on stderr, in the reader's language, wrapped and behind a label as
    /// [`Self::prose`] is on stdout.
    pub fn explain(&self, label: &Line<'_>, text: &str) {
        let mut printed = String::new();
        let StreamCaps { width, color } = self.notes.get().for_prose();
        line::write_behind(label, &self.translate(text), Tone::Plain, width, color, &mut printed);
        self.tell(printed.as_bytes());
    }

    fn tell(&self, printed: &[u8]) {
        // Many readers see both streams as one; a failure is reported when the result is finished.
        let _ = self.flush();
        // Nobody is left to tell that stderr is gone.
        let _ = self.stderr.borrow_mut().write_all(printed);
    }

    /// Warns the person on stderr. Under `--json` that waits for the end, and programs are told the warning's code.
    pub fn warn(&self, code: &str, text: &str) {
        if self.json {
            self.deferred_warnings.borrow_mut().push(format!("{text} [{code}]"));
        } else {
            let label = self.translate("warning:");
            self.explain(&Line::new().tone(Tone::Strong, &label).text(" "), text);
        }
    }

    /// Ends the output: what was printed reaches its reader, the warnings that were deferred are said.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn finish(&self) -> Result<()> {
        self.flush()?;
        for text in self.deferred_warnings.borrow_mut().drain(..) {
            self.note_copyable(&Line::new().text("warning: ").text(&text));
        }
        Ok(())
    }

    /// Prints a failure's document as stderr's last line, in place of the warnings that were deferred.
    pub fn error_document(&self, document: &impl Serialize) {
        let mut line = Vec::new();
        let raw = serde_json::to_vec(document).unwrap_or_default();
        let _ = json::copy(&raw, json::Layout::Compact, &mut line);
        line.push(b'\n');
        self.tell(&line);
    }

    /// Shows that something is under way and for how long, above what may be done about it: to a person who watches
    /// stderr and to nobody else.
    pub fn progress(&self, doing: &str, advice: &str) -> Progress {
        if !self.is_watched() {
            return Progress::none();
        }
        if !stream_caps::moves_cursor() {
            self.note(&Line::new().text(doing));
            self.note(&Line::new().tone(Tone::Faint, advice));
            return Progress::none();
        }
        Progress::start(doing.to_owned(), advice.to_owned(), self.notes.get().color)
    }

    /// Prints a JSON document of our own indented, wherever it goes: as part of a text.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn indented(&self, raw: &[u8]) -> Result<()> {
        json::copy(raw, json::Layout::Indented(0), &mut *self.stdout.borrow_mut()).map_err(stdout_failed)?;
        self.blank()
    }

    /// Takes the width that the terminal has by now: while a call was waited for, it may have been resized.
    pub fn remeasure(&self) {
        let (result, notes) = (io::stdout(), io::stderr());
        self.result.set(self.result.get().remeasured(stream_caps::width(&result)));
        self.notes.set(self.notes.get().remeasured(stream_caps::width(&notes)));
    }

    /// Rings the bell of a terminal on stderr.
    pub fn ring(&self) {
        if self.notes.get().width.is_some() {
            self.tell(b"\x07");
        }
    }

    /// Whether results are coloured.
    pub fn is_colored(&self) -> bool {
        self.result.get().color
    }

    /// What `--debug` prints with: it outlives no run, but the API client knows nothing of this.
    pub fn tracer(&self) -> impl Fn(&str) + 'static {
        let notes = self.notes.get();
        move |text| {
            let mut line = String::new();
            Line::new().tone(Tone::Faint, text).render_within(notes.width, notes.color, &mut line);
            line.push('\n');
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    /// Prints text in a JSON document whose line breaks and spaces stand for layout: they are left out off a terminal.
    fn layout(&self, text: &str) -> Result<()> {
        if self.is_terminal() {
            return self.write(text.as_bytes());
        }
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        self.write(compact.as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        self.stdout.borrow_mut().write_all(bytes).map_err(stdout_failed)
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::io("the result could not be written", e.into()))
}

fn stdout_failed(source: io::Error) -> Error {
    /// ERROR_PIPE_NOT_CONNECTED: what Windows says of a named pipe, and the standard library knows no kind for.
    const DISCONNECTED: i32 = 233;

    let disconnected = cfg!(windows) && source.raw_os_error() == Some(DISCONNECTED);
    if disconnected || source.kind() == io::ErrorKind::BrokenPipe {
        return Error::new(Kind::ClosedPipe, "the reader of the output has gone");
    }
    Error::io("the result could not be written", source)
}
