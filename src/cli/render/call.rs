//! A call as text.

use std::borrow::Cow;

use super::View;
use crate::domain::{CallRef, CallStatus, redact, shell_quoted};
use crate::error::Result;
use crate::output::{Line, Tone, appointment, brief, duration};
use crate::service::{Call, Parsed, SubmissionEcho};

/// How a status stands out.
pub fn tone(status: Option<&CallStatus>) -> Tone {
    match status {
        Some(CallStatus::Success) => Tone::Good,
        Some(CallStatus::Failed) => Tone::Bad,
        _ => Tone::Strong,
    }
}

/// How a status reads: to a person as words behind a mark, which tells success, failure and neither apart without colour
/// too; to a program as the API's name, which `--status` takes. A call without one has not said how it stands.
pub fn status(view: &View<'_>, status: Option<&CallStatus>) -> String {
    /// The most columns: those of a name that the API may add.
    const WIDEST: usize = 24;

    let name = status.map_or("unknown", CallStatus::as_str);
    if !view.out.is_terminal() {
        return name.to_owned();
    }
    let mark = match tone(status) {
        Tone::Good => '✓',
        Tone::Bad => '✗',
        _ => '·',
    };
    let words = redact(name).replace(['_', '-'], " ");
    format!("{mark} {}", brief(&view.out.translate(&words), WIDEST))
}

/// The result of a call that was waited for, brought to its reader; and to a person what to read next, where `last` names
/// the newest call.
pub fn result(view: &View<'_>, call: &Parsed<Call>, is_newest: bool) -> Result<()> {
    view.parsed(call, called_outcome)?;
    suggest_to_watcher(view, &call.value, is_newest)
}

fn suggest_to_watcher(view: &View<'_>, call: &Call, is_newest: bool) -> Result<()> {
    view.out.flush()?;
    if view.out.is_terminal() && view.out.is_watched() {
        suggest(view, call, is_newest);
    }
    Ok(())
}

/// Names the commands that show more of a call in which somebody spoke.
fn suggest(view: &View<'_>, call: &Call, is_newest: bool) {
    let was_answered = match &call.status {
        Some(CallStatus::Success | CallStatus::Voicemail | CallStatus::Terminated) => true,
        Some(CallStatus::NoAnswer | CallStatus::Busy | CallStatus::Failed | CallStatus::Cancelled) => false,
        Some(CallStatus::Running(_) | CallStatus::Other(_)) | None => call.duration_seconds.is_some(),
    };
    if !was_answered {
        return;
    }
    let id = if is_newest { "last" } else { short_id(&call.call_id) };
    let Ok(reference) = id.parse::<CallRef>() else { return };
    if matches!(&reference, CallRef::Id(id) if !id.is_plain()) {
        return;
    }
    let id = shell_quoted(id);
    let program = view.program;
    let has_appointment = call.submission().is_some_and(|asked| asked.appointment_date.is_some());
    let calendar = (call.is_success() && has_appointment).then(|| format!("{program} --calendar {id}"));
    let commands = [Some(format!("{program} --transcript {id}")), calendar];
    let commands: Vec<String> = commands.into_iter().flatten().collect();
    let next = view.out.translate("next:");
    let or = view.out.translate("  or  ");
    let mut on_one_line = Line::new().tone(Tone::Faint, &next).text(" ");
    for (n, command) in commands.iter().enumerate() {
        on_one_line = if n > 0 { on_one_line.tone(Tone::Faint, &or) } else { on_one_line }.text(command);
    }
    if on_one_line.width() <= view.out.table_width() {
        return view.out.note_copyable(&on_one_line);
    }
    // A command is not broken in two.
    view.out.note(&Line::new().tone(Tone::Faint, &next));
    commands.iter().for_each(|command| view.out.note_copyable(&Line::new().text("  ").text(command)));
}

/// The beginning of a UUID, as much of it as tells calls apart; another kind of ID whole.
pub fn short_id(id: &str) -> &str {
    const LENGTH: usize = 8;

    let is_uuid = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_uuid { id.get(..LENGTH).unwrap_or(id) } else { id }
}

/// Everything about a call.
pub fn call(view: &View<'_>, call: &Parsed<Call>) -> Result<()> {
    view.parsed(call, details)?;
    suggest_to_watcher(view, &call.value, false)
}

/// Whom a call was to, and its result.
fn called_outcome(view: &View<'_>, call: &Call) -> Result<()> {
    if let Some(called) = call.business().or(call.number()) {
        view.field("Called", called)?;
    }
    outcome(view, call)
}

/// The result of a call, ending with one line that carries the status and the whole ID.
fn outcome(view: &View<'_>, call: &Call) -> Result<()> {
    if let Some(summary) = call.summary() {
        view.field("Result", summary)?;
    }
    if let Some(next) = &call.next_steps {
        view.field("Next steps", next)?;
    }
    if let Some(time) = call.duration_seconds.and_then(duration) {
        view.field("Duration", &time)?;
    }
    let status = status(view, call.status.as_ref());
    view.out.line(&Line::new().tone(tone(call.status.as_ref()), &status).text("  ").text(&call.call_id))
}

/// All that was asked for, then the result.
pub fn details(view: &View<'_>, call: &Call) -> Result<()> {
    let nothing = SubmissionEcho::default();
    let asked = call.submission().unwrap_or(&nothing);
    let party = asked.party_size.map(|people| people.to_string());
    let messages = view.out.messages();
    let appointment = appointment(
        messages,
        asked.appointment_date.as_deref(),
        asked.appointment_time.as_deref(),
        call.timezone.as_deref(),
    );
    let spoken = asked.call_language.as_deref().filter(|spoken| asked.language.as_deref() != Some(spoken));
    let languages = match [asked.language.as_deref(), spoken]
        .map(|code| code.map(|code| messages.translate(language(code))))
    {
        [Some(report), Some(spoken)] => Some(messages.fill("{}; {} on the phone", &[&report, &spoken])),
        [report, spoken] => report.or(spoken).map(Cow::into_owned),
    };
    let category = asked.task_category.as_deref().map(|category| messages.translate(category));
    let yes = messages.translate("yes");
    let [requested, ended] =
        [call.created_at(), call.ended_at()].map(|moment| moment.map(|at| view.clock.moment(at)));
    for (label, text) in [
        ("Number", call.number()),
        ("Business", call.business()),
        ("Category", category.as_deref()),
        ("Task", call.task()),
        ("Instruction", asked.additional_instructions.as_deref()),
        ("Name", asked.user_name.as_deref()),
        ("Your number", asked.user_phone.as_deref()),
        ("People", party.as_deref()),
        ("Appointment", appointment.as_deref()),
        ("Preferred", asked.time_preference_text.as_deref()),
        ("Urgent", asked.is_urgent.filter(|urgent| *urgent).map(|_| &*yes)),
        ("Language", languages.as_deref()),
        ("Requested", requested.as_deref()),
        ("Ended", ended.as_deref()),
    ] {
        if let Some(text) = text {
            view.field(label, text)?;
        }
    }
    outcome(view, call)
}

/// A language of the API by its name; one that is not known here as it stands.
pub fn language(code: &str) -> &str {
    match code {
        "en" => "English",
        "es" => "Spanish",
        other => other,
    }
}
