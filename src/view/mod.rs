//! Builds a document and JSON from each result. It does not know about terminals: `output` renders
//! the document, and `mcp` returns it as text.

mod account;
mod call;
mod history;
mod time;

pub use account::{
    auth_status, billing, pending_sign_in, served_sandbox, sign_out, subscription, usage,
};
pub use call::{call, in_progress, pending, preview, result, transcript, without_nulls};
pub use history::{history, no_calls};
pub use time::duration;

/// A result as a document for people and as JSON for programs.
#[derive(Debug, Clone)]
pub struct View {
    pub doc: Doc,
    pub json: Json,
}

#[derive(Debug, Clone)]
pub enum Json {
    /// The server's response, byte for byte.
    Server(Vec<u8>),
    Own(serde_json::Value),
}

/// Blocks of text, from top to bottom.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    pub blocks: Vec<Block>,
}

/// A part of a document. Its text may be untrusted: rendering cleans it.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph that starts with our own text.
    Line(String),
    /// Labels and their values.
    Fields(Vec<(&'static str, String)>),
    Table(Table),
    /// A transcript: speakers and what they said.
    Talk(Vec<(String, String)>),
    /// The last line about a call: its status and full ID.
    Status {
        status: String,
        id: String,
    },
    /// A command or URL to copy, never wrapped.
    Copy(String),
    /// Advice for a person, shown only on a terminal.
    Hint {
        text: String,
        command: Option<String>,
    },
    /// Bytes that are never wrapped. On a terminal, JSON is indented. If stdout is not a terminal
    /// and this is the only block, the bytes are written unchanged.
    Raw(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// Header and rows to print if stdout is not a terminal. Nothing in them is shortened.
    pub plain_header: Vec<&'static str>,
    pub plain_rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub title: &'static str,
    /// Whether to shorten this column first on a narrow terminal.
    pub shrinks: bool,
    /// Whether the cells are call statuses, which are shown with a mark.
    pub is_status: bool,
}

impl View {
    pub fn own(json: serde_json::Value, blocks: Vec<Block>) -> Self {
        Self {
            doc: Doc { blocks },
            json: Json::Own(json),
        }
    }

    fn server(raw: &[u8], blocks: Vec<Block>) -> Self {
        Self {
            doc: Doc { blocks },
            json: Json::Server(raw.to_vec()),
        }
    }
}

/// Returns a block of the fields that have a value.
fn fields<const N: usize>(all: [(&'static str, Option<String>); N]) -> Block {
    let given = all
        .into_iter()
        .filter_map(|(label, text)| Some((label, text?)));
    Block::Fields(given.collect())
}

fn line(text: impl Into<String>) -> Block {
    Block::Line(text.into())
}
