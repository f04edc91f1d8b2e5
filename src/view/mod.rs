//! Converts results to text and JSON. This module does not depend on a terminal: `output` lays out
//! the text for a terminal, and `mcp` returns the text without layout.

mod account;
mod call;
mod history;
mod time;

pub use account::*;
pub use call::*;
pub use history::*;

use serde_json::Value;

/// A result as text for people and as JSON for programs.
#[derive(Debug, Clone)]
pub struct View {
    pub blocks: Vec<Block>,
    /// The server's response, unchanged byte for byte, or our own JSON.
    pub json: Vec<u8>,
}

/// A block of text. The text may be untrusted, so rendering sanitizes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph that starts with our own text.
    Line(String),
    /// Labels with values, or speakers with their words. An empty line separates them from the
    /// preceding block.
    Fields(Vec<(String, String)>),
    Table(Table),
    /// The status and full ID of a call. This is the last line about the call.
    Status {
        status: String,
        id: String,
    },
    /// A command or URL to copy, never wrapped.
    Copy(String),
    /// Advice for the user, shown only on a terminal.
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
    pub columns: Vec<(&'static str, Style)>,
    pub rows: Vec<Vec<String>>,
    /// The header and rows for output that is not a terminal. Their cells are never shortened.
    pub plain: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Fixed,
    /// A column that is shortened on a narrow terminal.
    Shrinks,
    /// A column of call statuses. On a terminal, each is shown with a symbol.
    Status,
}

impl View {
    /// Creates a view whose JSON is ours, not the service's. Omits null fields.
    pub fn own(json: Value, blocks: Vec<Block>) -> Self {
        Self::server(without_nulls(json).to_string().as_bytes(), blocks)
    }

    fn server(raw: &[u8], blocks: Vec<Block>) -> Self {
        let json = raw.to_vec();
        Self { blocks, json }
    }

    /// Creates a view that shows the body of a response unchanged.
    pub fn raw(body: Vec<u8>) -> Self {
        Self::server(&body, vec![Block::Raw(body.clone())])
    }
}

/// Removes null fields from an object and from all objects inside it.
pub fn without_nulls(json: Value) -> Value {
    match json {
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Object(fields) => {
            let given = fields.into_iter().filter(|(_, value)| !value.is_null());
            given.map(|(name, it)| (name, without_nulls(it))).collect()
        }
        other => other,
    }
}

/// Returns a block of the fields that have a value.
fn fields<const N: usize>(all: [(&'static str, Option<String>); N]) -> Block {
    let given = all
        .into_iter()
        .filter_map(|(label, text)| Some((label.to_owned(), text?)));
    Block::Fields(given.collect())
}

fn line(text: impl Into<String>) -> Block {
    Block::Line(text.into())
}
