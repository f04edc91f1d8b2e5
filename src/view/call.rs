//! Views of calls: details, result, transcript, pending calls and dry run.

use serde_json::{Value, json};

use super::time::{appointment, duration, moment};
use super::{Block, View, fields, line};
use crate::api::{Call, Parsed, Speaker, Turn};
use crate::domain::{CallId, Key, Language, Zone};
use crate::error::Error;
use crate::service::{Ended, PendingCall, Preview, State, Warning};

/// Returns a view of a call's details, for `call-info` and `get_call`.
pub fn call(call: &Parsed<Call>, zone: &Zone) -> View {
    let Parsed { value, raw } = call;
    let asked = |field| value.text(&format!("/submission/{field}"));
    let date = asked("appointment_date");
    let when = appointment(date, asked("appointment_time"), value.text("/timezone"));
    let is_urgent = value.value("/submission/is_urgent") == Some(&Value::Bool(true));
    let all = fields([
        ("Number", owned(value.number())),
        ("Business", owned(value.business())),
        ("Task", owned(value.task())),
        ("Result", owned(value.summary())),
        ("Next steps", owned(value.text("/next_steps"))),
        ("Category", owned(asked("task_category"))),
        ("Instructions", instructions(value)),
        ("Name", owned(asked("user_name"))),
        ("Your number", owned(asked("user_phone"))),
        ("People", value.party_size().map(|n| n.to_string())),
        ("When", when),
        ("Preferred", owned(asked("time_preference_text"))),
        ("Urgent", is_urgent.then(|| "yes".into())),
        ("Language", languages(value)),
        ("Created", value.created_at().map(|at| moment(at, zone))),
        ("Ended", value.ended_at().map(|at| moment(at, zone))),
        ("Duration", value.seconds().and_then(duration)),
    ]);
    View::server(raw, vec![all, status(value)])
}

/// Returns a view of a call's result, for `call` and `resume`. The last line is the status and ID.
pub fn result(ended: &Ended, zone: &Zone) -> View {
    let call = &ended.call.value;
    let result = fields([
        ("Called", owned(call.business().or(call.number()))),
        ("Result", owned(call.summary())),
        ("Next steps", owned(call.text("/next_steps"))),
        ("Ended", call.ended_at().map(|at| moment(at, zone))),
        ("Duration", call.seconds().and_then(duration)),
    ]);
    View::server(&ended.call.raw, vec![result, status(call)])
}

/// Returns a view of a call that is still in progress. `next` is the command or tool call that gets
/// the result, and `next_json` contains the same as JSON fields.
pub fn in_progress(
    key: Option<&Key>,
    call_id: Option<&CallId>,
    next: &str,
    next_json: Value,
) -> View {
    let mut json = json!({ "status": "in_progress", "idempotency_key": key, "call_id": call_id });
    for (name, value) in next_json.as_object().into_iter().flatten() {
        json[name] = value.clone();
    }
    let blocks = vec![
        line("The call continues. Get the result with:"),
        Block::Copy(format!("  {next}")),
    ];
    View::own(json, blocks)
}

pub fn transcript(transcript: &Parsed<Vec<Turn>>) -> View {
    let turns = &transcript.value;
    let said = |turn: &Turn| (speaker_of(turn), turn.content.clone());
    let block = match turns.is_empty() {
        true => line("Nothing was said."),
        false => Block::Fields(turns.iter().map(said).collect()),
    };
    View::server(&transcript.raw, vec![block])
}

/// Returns a view of an unchanged iCalendar file.
pub fn calendar(file: Vec<u8>) -> View {
    let json = json!({ "calendar": String::from_utf8_lossy(&file) });
    View::own(json, vec![Block::Raw(file)])
}

/// Returns the time and speaker of a turn in a transcript. This text starts a line, so only a time
/// and a one-word name are allowed. Anything else could imitate our own output.
fn speaker_of(turn: &Turn) -> String {
    let is_in_time = |c: char| c.is_ascii_digit() || ":.".contains(c);
    let is_time = |text: &&str| !text.is_empty() && text.chars().all(is_in_time);
    let is_name = |name: &&String| name.chars().all(char::is_alphanumeric);
    let name = match &turn.speaker {
        Speaker::Ai => "AI",
        Speaker::Human => "Human",
        Speaker::Other(name) => Some(name).filter(is_name).map_or("?", |name| name),
        Speaker::Unknown => "?",
    };
    match turn.timestamp.as_deref().filter(is_time) {
        Some(time) => format!("{time}  {name}"),
        None => name.to_owned(),
    }
}

/// Returns a view of the pending calls. `next` returns the command that gets a call's result, or
/// `None` if the reader cannot run commands.
pub fn pending(
    calls: &[PendingCall],
    zone: &Zone,
    next: impl Fn(&PendingCall) -> Option<String>,
) -> View {
    let listed = calls.iter().map(|call| pending_json(call, next(call)));
    let json = json!({ "pending": listed.collect::<Vec<_>>() });
    let mut blocks = Vec::new();
    for call in calls {
        blocks.push(fields([
            ("Number", owned(call.request.number())),
            ("Task", owned(call.request.task())),
            ("Started", Some(moment(call.sent_at, zone))),
            ("Status", Some(state(call))),
            ("ID", call.call_id.as_ref().map(CallId::to_string)),
            ("Key", Some(call.key.to_string())),
        ]));
        blocks.extend(next(call).map(|command| Block::Hint {
            text: "Get the result with:".into(),
            command: Some(command),
        }));
    }
    if calls.is_empty() {
        blocks.push(line(
            "No pending calls: every result has been shown. Past calls are in the history.",
        ));
    }
    View::own(json, blocks)
}

fn pending_json(call: &PendingCall, next: Option<String>) -> Value {
    let status = match call.state {
        State::Sent | State::Running => Some("in_progress".into()),
        _ => call.ended().map(|call| call.value.status_name()),
    };
    json!({
        "idempotency_key": call.key,
        "call_id": call.call_id,
        "number": call.request.number(),
        "task": call.request.task(),
        "requested_at": call.sent_at.to_string(),
        "state": call.state,
        "status": status,
        "next_command": next,
    })
}

fn state(call: &PendingCall) -> String {
    match &call.state {
        State::Sent | State::Running => "in progress".into(),
        State::Lost => "the response was lost".into(),
        State::Ended => match call.ended() {
            Some(call) => call.value.status_name().replace('_', " "),
            None => String::new(),
        },
        State::NotMade => "no call was made".into(),
        State::Unknown(state) => state.replace('_', " "),
    }
}

/// Returns a view of the exact request and whether it would be sent. `refusal_json` converts an
/// error to the front end's JSON.
pub fn preview(preview: &Preview, refusal_json: impl Fn(&Error) -> Value) -> View {
    let (request, refusal) = (&preview.request, &preview.refusal);
    let json = json!({
        "method": "POST",
        "path": "/v1/calls",
        "body": request.body(),
        "when": request.when(),
        "would_place": refusal.is_none(),
        "refusal": refusal.as_ref().map(refusal_json),
        "warnings": preview.warnings,
    });
    let mut blocks = vec![
        line("POST /v1/calls"),
        Block::Raw(request.body().to_string().into_bytes()),
    ];
    blocks.extend(request.when().map(|when| line(format!("When: {when}"))));
    for Warning { code, text } in &preview.warnings {
        blocks.push(line(format!("Warning: {text} [{code}]")));
    }
    blocks.push(line(match refusal {
        Some(refusal) => format!("This call would be refused: {refusal} [{}]", refusal.code()),
        None => "Local checks passed: this call would be made. Nothing was sent.".into(),
    }));
    View::own(json, blocks)
}

fn status(call: &Call) -> Block {
    Block::Status {
        status: call.status_name(),
        id: call.call_id.clone(),
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn instructions(call: &Call) -> Option<String> {
    let lines = call
        .value("/submission/additional_instructions")?
        .as_array()?;
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn languages(call: &Call) -> Option<String> {
    let report = call.text("/submission/language").map(language);
    let spoken = call.text("/submission/call_language").map(language);
    match (report, spoken) {
        (Some(report), Some(spoken)) if report != spoken => {
            Some(format!("{report} ({spoken} on the call)"))
        }
        (report, spoken) => owned(report.or(spoken)),
    }
}

/// Returns the name of a language. Returns an unknown language code unchanged.
fn language(code: &str) -> &str {
    code.parse::<Language>()
        .map_or(code, |language| language.in_words())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Parsed<Call> {
        Parsed {
            value: serde_json::from_str(json).unwrap(),
            raw: json.into(),
        }
    }

    #[test]
    fn call_details_end_with_status_and_id() {
        let json = r#"{"call_id":"5e1e0001","status":"success","highlights":"Booked.\nAsk for Lucía.","duration_seconds":123.4,
            "timezone":"Europe/Madrid","metadata":{"created_at":"2026-12-01T19:00:00Z"},
            "submission":{"respondent_phone":"+15551234567","appointment_date":"2026-12-04","appointment_time":"20:00",
            "language":"en","call_language":"es","is_urgent":false}}"#;
        let shown = call(&parsed(json), &Zone::UTC);
        assert_eq!(
            shown.to_text(),
            "Number    +15551234567\n\
             Result    Booked.\n\
             \u{20}         Ask for Lucía.\n\
             When      Fri 2026-12-04 20:00 Europe/Madrid\n\
             Language  English (Spanish on the call)\n\
             Created   Tue 2026-12-01 19:00\n\
             Duration  2 min 3 s\n\
             success  5e1e0001"
        );
        assert_eq!(shown.json, json.as_bytes());
    }

    #[test]
    fn speaker_name_cannot_imitate_program_output() {
        let label = |speaker, timestamp: &str| {
            speaker_of(&Turn {
                speaker,
                content: String::new(),
                timestamp: Some(timestamp.into()),
            })
        };
        let named = |name: &str| Speaker::Other(name.into());
        assert_eq!(label(Speaker::Ai, "00:00:05"), "00:00:05  AI");
        assert_eq!(label(named("Lucía"), "soon"), "Lucía");
        assert_eq!(label(named("error: no call [io]"), ""), "?");
        assert_eq!(label(Speaker::Unknown, "1\n2"), "?");
    }
}
