//! Views of calls: details, result, transcript, pending calls and dry run.

use serde_json::{Value, json};

use super::time::{appointment, duration, moment};
use super::{Block, View, fields, line};
use crate::api::{Call, Parsed, Speaker, SubmissionEcho, Transcript, Turn};
use crate::domain::{CallId, Key, Language, Zone};
use crate::error::Error;
use crate::service::{Ended, PendingCall, Preview, State, Warning};

/// Shows everything that the service reports about a call, for `call-info`.
pub fn call(call: &Parsed<Call>, zone: &Zone) -> View {
    let Parsed { value, raw } = call;
    let asked = &*value.submission;
    let date = asked.appointment_date.as_deref();
    let time = asked.appointment_time.as_deref();
    let urgent = asked.is_urgent.filter(|is_urgent| *is_urgent);
    let all = fields([
        ("Number", owned(value.number())),
        ("Business", owned(value.business())),
        ("Task", owned(value.task())),
        ("Result", owned(value.summary())),
        ("Next steps", value.next_steps.0.clone()),
        ("Category", asked.task_category.0.clone()),
        ("Instructions", asked.additional_instructions.0.clone()),
        ("Name", asked.user_name.0.clone()),
        ("Your number", asked.user_phone.0.clone()),
        ("People", asked.party_size.map(|people| people.to_string())),
        ("When", appointment(date, time, value.timezone.as_deref())),
        ("Preferred", asked.time_preference_text.0.clone()),
        ("Urgent", urgent.map(|_| "yes".into())),
        ("Language", languages(asked)),
        ("Created", value.created_at().map(|at| moment(at, zone))),
        ("Ended", value.ended_at().map(|at| moment(at, zone))),
        ("Duration", value.duration_seconds.and_then(duration)),
    ]);
    View::server(raw, vec![all, status(value)])
}

/// Shows the result of a call that was made or resumed. The last line is its status and ID.
pub fn result(ended: &Ended, zone: &Zone) -> View {
    let call = &ended.call.value;
    let result = fields([
        ("Called", owned(call.business().or(call.number()))),
        ("Result", owned(call.summary())),
        ("Next steps", call.next_steps.0.clone()),
        ("Ended", call.ended_at().map(|at| moment(at, zone))),
        ("Duration", call.duration_seconds.and_then(duration)),
    ]);
    View::server(&ended.call.raw, vec![result, status(call)])
}

/// Shows that a call is still in progress. `next` is the command or tool call that gets its result.
pub fn in_progress(key: Option<&Key>, call_id: Option<&CallId>, next: &str) -> View {
    let json = json!({
        "status": "in_progress",
        "idempotency_key": key,
        "call_id": call_id,
        "next_command": next,
    });
    let blocks = vec![
        line("The call continues. Get the result with:"),
        Block::Copy(format!("  {next}")),
    ];
    View::own(without_nulls(json), blocks)
}

pub fn transcript(transcript: &Parsed<Transcript>) -> View {
    let turns = &transcript.value.turns;
    let said = |turn: &Turn| (speaker_of(turn), turn.content.clone());
    let block = match turns.is_empty() {
        true => line("Nothing was said."),
        false => Block::Talk(turns.iter().map(said).collect()),
    };
    View::server(&transcript.raw, vec![block])
}

/// Returns the label of a turn. A label starts a line, so only a time and a one-word name are
/// allowed: anything else could imitate our own output.
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

/// Lists pending calls. `next` returns the command that gets a call's result, or `None` if the
/// reader cannot run commands.
pub fn pending(
    calls: &[PendingCall],
    zone: &Zone,
    next: impl Fn(&PendingCall) -> Option<String>,
) -> View {
    let listed = calls.iter().map(|call| pending_json(call, next(call)));
    let json = json!({ "pending": listed.collect::<Vec<_>>() });
    let mut blocks = Vec::new();
    for call in calls {
        if !blocks.is_empty() {
            blocks.push(line(""));
        }
        blocks.push(fields([
            ("Number", Some(call.number.clone())),
            ("Task", Some(call.task.clone())),
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
        blocks.push(line("No pending calls: you have seen every result."));
    }
    View::own(json, blocks)
}

fn pending_json(call: &PendingCall, next: Option<String>) -> Value {
    let status = match call.state {
        State::Sent | State::Running => Some("in_progress".into()),
        _ => call.status(),
    };
    without_nulls(json!({
        "idempotency_key": call.key,
        "call_id": call.call_id,
        "number": call.number,
        "task": call.task,
        "requested_at": call.sent_at.to_string(),
        "state": call.state,
        "status": status,
        "next_command": next,
    }))
}

/// Describes the state of a pending call.
fn state(call: &PendingCall) -> String {
    match &call.state {
        State::Sent | State::Running => "in progress".into(),
        State::Lost => "the response was lost".into(),
        State::Ended => call.status().unwrap_or_default().replace('_', " "),
        State::Refused => "refused, no call was made".into(),
        State::NotAccepted => "not accepted, no call was made".into(),
        State::Unknown(state) => state.replace('_', " "),
    }
}

/// Shows the exact request and whether it would be sent. `refusal_json` converts an error to the
/// JSON of the front end.
pub fn preview(preview: &Preview, refusal_json: impl Fn(&Error) -> Value) -> View {
    let (request, refusal) = (&preview.request, &preview.refusal);
    let body = request.to_json();
    let json = without_nulls(json!({
        "method": "POST",
        "path": "/v1/calls",
        "body": serde_json::from_slice::<Value>(&body).unwrap_or_default(),
        "when": request.when(),
        "would_place": refusal.is_none(),
        "refusal": refusal.as_ref().map(refusal_json),
        "warnings": preview.warnings,
    }));
    let mut blocks = vec![line("POST /v1/calls"), Block::Raw(body)];
    blocks.extend(request.when().map(|when| line(format!("When: {when}"))));
    for Warning { code, text } in &preview.warnings {
        blocks.push(line(format!("Warning: {text} [{code}]")));
    }
    blocks.push(line(match refusal {
        Some(refusal) => format!("This call would be refused: {refusal} [{}]", refusal.code()),
        None => "This call would be made, as far as this computer knows. Nothing was sent.".into(),
    }));
    View::own(json, blocks)
}

/// Removes the null fields of an object.
pub fn without_nulls(mut json: Value) -> Value {
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    json
}

fn status(call: &Call) -> Block {
    Block::Status {
        status: call.status_name().to_owned(),
        id: call.call_id.clone(),
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn languages(asked: &SubmissionEcho) -> Option<String> {
    let report = asked.language.as_deref().map(language);
    match (report, asked.call_language.as_deref().map(language)) {
        (Some(report), Some(spoken)) if report != spoken => {
            Some(format!("{report}, {spoken} on the call"))
        }
        (report, spoken) => owned(report.or(spoken)),
    }
}

/// Returns the name of a language code. An unknown code is returned unchanged.
fn language(code: &str) -> &str {
    code.parse::<Language>()
        .map_or(code, |language| language.in_words())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Json;

    fn parsed(json: &str) -> Parsed<Call> {
        Parsed {
            value: serde_json::from_str(json).unwrap(),
            raw: json.into(),
        }
    }

    #[test]
    fn details_end_with_status_and_id() {
        let json = r#"{"call_id":"5e1e0001","status":"success","highlights":"Booked.\nAsk for Lucía.","duration_seconds":123.4,
            "timezone":"Europe/Madrid","metadata":{"created_at":"2026-12-01T19:00:00Z"},
            "submission":{"respondent_phone":"+15551234567","appointment_date":"2026-12-04","appointment_time":"20:00",
            "language":"en","call_language":"es","is_urgent":false}}"#;
        let shown = call(&parsed(json), &Zone::UTC);
        assert_eq!(
            shown.doc.to_text(),
            "Number    +15551234567\n\
             Result    Booked.\n\
             \u{20}         Ask for Lucía.\n\
             When      Fri 2026-12-04 20:00 Europe/Madrid\n\
             Language  English, Spanish on the call\n\
             Created   Tue 2026-12-01 19:00\n\
             Duration  2 min 3 s\n\
             success  5e1e0001"
        );
        assert!(matches!(shown.json, Json::Server(bytes) if bytes == json.as_bytes()));
    }

    #[test]
    fn speaker_names_cannot_imitate_our_output() {
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

    #[test]
    fn null_fields_are_omitted() {
        let view = in_progress(None, None, "kallyai resume");
        let json = match view.json {
            Json::Own(json) => json,
            Json::Server(_) => Value::Null,
        };
        let expected = json!({ "status": "in_progress", "next_command": "kallyai resume" });
        assert_eq!(json, expected);
    }
}
