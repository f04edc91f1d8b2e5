//! Each value of the product as a document and as JSON. It knows nothing of terminals: `output`
//! renders a document, `mcp` returns it as text.

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

/// A value, ready to be shown.
#[derive(Debug, Clone)]
pub struct View {
    pub doc: Doc,
    pub json: Json,
}

#[derive(Debug, Clone)]
pub enum Json {
    /// The server's bytes, passed through.
    Server(Vec<u8>),
    Own(serde_json::Value),
}

/// A document: blocks from top to bottom.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    pub blocks: Vec<Block>,
}

/// A part of a document. Texts may hold anything: rendering cleans them.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A line of our own.
    Line(String),
    /// Labels and their values.
    Fields(Vec<(&'static str, String)>),
    Table(Table),
    /// Speakers and their words.
    Talk(Vec<(String, String)>),
    /// The last line of a call: its status and full ID.
    Status {
        status: String,
        id: String,
    },
    /// A command or URL to copy, never wrapped.
    Copy(String),
    /// Advice for a person, shown on a terminal only.
    Hint {
        text: String,
        command: Option<String>,
    },
    /// Never wrapped. On a terminal JSON is indented. Off a terminal a document of this block alone
    /// is written as it is.
    Raw(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// The rows off a terminal, nothing shortened, with their header.
    pub plain_header: Vec<&'static str>,
    pub plain_rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub title: &'static str,
    /// Whether it is shortened first when the terminal is narrow.
    pub shrinks: bool,
    /// Whether its cells are statuses of calls, which get a mark.
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

/// The fields that have a value.
fn fields<const N: usize>(all: [(&'static str, Option<String>); N]) -> Block {
    let given = all
        .into_iter()
        .filter_map(|(label, text)| Some((label, text?)));
    Block::Fields(given.collect())
}

fn line(text: impl Into<String>) -> Block {
    Block::Line(text.into())
}
