//! A failure as people and programs read it.

use serde::Serialize;

use super::super::hints::Suggesting;
use crate::error::{Error, Kind};
use crate::output::{Line, Output, Tone};
use crate::service::meaning;

/// What programs read: the last line of stderr under `--json`.
#[derive(Serialize)]
struct Document<'a> {
    error: ErrorObject<'a>,
}

/// A failure as an object.
#[derive(Serialize)]
pub struct ErrorObject<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    retry_safe: bool,
    retry_useful: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_command: Option<String>,
}

impl<'a> ErrorObject<'a> {
    /// What is told of a failure.
    pub fn new(error: &'a Error, suggesting: Suggesting) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            hint: suggesting.hint(error).map(|hint| hint.one_line()),
            http_status: error.facts.http_status,
            correlation_id: error.facts.correlation_id.as_deref(),
            retry_safe: error.retry_safe(),
            retry_useful: error.retry_useful(),
            idempotency_key: error.facts.key.as_ref().map(|key| key.as_str()),
            call_id: error.facts.call_id.as_ref().map(|id| id.as_str()),
            next_command: suggesting.next_command(error),
        }
    }
}

/// Says why the run failed: two lines, or under `--json` one document.
pub fn error(out: &Output, error: &Error, suggesting: Suggesting) {
    // What came before the failure belongs to its reader all the same.
    let _ = out.flush();
    if error.kind == Kind::ClosedPipe {
        return;
    }
    if out.is_json() {
        return out.error_document(&Document { error: ErrorObject::new(error, suggesting) });
    }
    // One line each, whatever the server put into them.
    let sentence =
        crate::output::one_line(&format!("{} [{}]", in_readers_language(out, error), error.code()));
    if let Kind::Interrupted(_) = error.kind {
        // As the person wished: nothing has failed.
        let mut letters = sentence.chars();
        let first = letters.next().map(char::to_uppercase).into_iter().flatten();
        out.explain(&Line::new(), &first.chain(letters).collect::<String>());
    } else {
        out.explain(&Line::new().tone(Tone::Bad, &out.translate("error:")).text(" "), &sentence);
    }
    if let Some(id) = &error.facts.correlation_id {
        out.note(&Line::new().tone(Tone::Faint, &out.translate("correlation ID:")).text(" ").text(id));
    }
    if let Some(hint) = suggesting.hint(error) {
        let label = out.translate("hint:");
        out.explain(&Line::new().tone(Tone::Strong, &label).text(" "), &crate::output::one_line(&hint.text));
        // Alone and whole, so that it can be copied.
        for command in &hint.commands {
            out.note_copyable(&Line::new().text("  ").tone(Tone::Strong, &out.translate(command)));
        }
    }
}

/// What happened. A refusal in the service's own language follows what its code means in the reader's.
fn in_readers_language(out: &Output, error: &Error) -> String {
    let said = error.to_string();
    let translated = out.translate(&said);
    let meaning = meaning(error.code()).filter(|_| error.kind == Kind::Refused && translated == said);
    match meaning.map(|meaning| (meaning, out.translate(meaning))) {
        Some((english, meaning)) if meaning != english => format!("{meaning} («{said}»)"),
        _ => translated.into_owned(),
    }
}
