//! How a call reads as text.

use super::Context;
use crate::api::{Call, Status};
use crate::error::Result;
use crate::output::{Line, Tone, duration};

/// The columns of a label.
const LABEL: usize = 12;

/// Prints a labelled text.
pub fn field(context: &Context, label: &str, text: &str) -> Result<()> {
    let label = format!("{label:<LABEL$}");
    context.out.prose(&Line::new().tone(Tone::Faint, &label), text)
}

/// How a status stands out.
pub fn tone(status: Option<&Status>) -> Tone {
    match status {
        Some(Status::Success) => Tone::Good,
        Some(Status::Failed) => Tone::Bad,
        _ => Tone::Strong,
    }
}

/// The name of a status; a call without one has not said how it stands.
pub fn status_name(status: Option<&Status>) -> &str {
    status.map_or("unknown", Status::as_str)
}

/// What came of a call, ending with one line that carries the status and the whole ID.
pub fn result(context: &Context, call: &Call) -> Result<()> {
    if let Some(summary) = call.summary() {
        field(context, "Result", summary)?;
    }
    if let Some(next) = &call.next_steps {
        field(context, "Next steps", next)?;
    }
    if let Some(time) = call.duration_seconds.and_then(duration) {
        field(context, "Duration", &time)?;
    }
    let status = status_name(call.status.as_ref());
    context.out.line(&Line::new().tone(tone(call.status.as_ref()), status).text("  ").text(&call.call_id))
}

/// Everything about a call: what was asked for, then what came of it.
pub fn details(context: &Context, call: &Call) -> Result<()> {
    let clock = context.clock();
    let times = [call.created_at(), call.ended_at()].map(|moment| moment.map(|at| clock.moment(at)));
    let [requested, ended] = &times;
    for (label, text) in [
        ("Number", call.number()),
        ("Business", call.business()),
        ("Task", call.task()),
        ("Requested", requested.as_deref()),
        ("Ended", ended.as_deref()),
    ] {
        if let Some(text) = text {
            field(context, label, text)?;
        }
    }
    result(context, call)
}
