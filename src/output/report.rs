//! A failure as programs read it: the last line of stderr under `--json`.

use serde::Serialize;

use crate::error::Error;

/// The document.
#[derive(Serialize)]
pub struct Report<'a> {
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    retry_safe: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_command: Option<String>,
}

impl<'a> Report<'a> {
    /// What is reported of a failure; `program` is how this program is called.
    pub fn new(error: &'a Error, program: &str) -> Self {
        Self { error: Failure::new(error, program) }
    }
}

impl<'a> Failure<'a> {
    fn new(error: &'a Error, program: &str) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            hint: error.hint(program),
            http_status: error.http_status(),
            correlation_id: error.correlation_id(),
            retry_safe: error.retry_safe(),
            idempotency_key: error.idempotency_key().map(|key| key.as_str()),
            next_command: error.next_command(program),
        }
    }
}
