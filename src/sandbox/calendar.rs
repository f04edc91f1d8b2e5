//! Creates the iCalendar file (RFC 5545) for a call's appointment.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::state::Call;
use super::story::is_booking;
use super::submission::Submission;

/// Returns the call's appointment as an iCalendar file, or `None` if no date was booked.
pub(super) fn file(call: &Call) -> Option<String> {
    let submission = Submission::of(&call.submission);
    let (start, end) = period(&submission, &call.timezone)?;
    if !is_booking(&submission.task_description) {
        return None;
    }
    let mut lines = vec![
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//KallyAI//Sandbox//EN".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}@sandbox.kallyai.com", call.id),
        format!("DTSTAMP:{}", utc(call.ends_at)),
        format!("DTSTART{start}"),
        format!("DTEND{end}"),
        format!("SUMMARY:{}", escaped(&submission.task_description)),
        format!("DESCRIPTION:{}", submission.respondent_phone),
    ];
    let location = submission.business_name.iter();
    lines.extend(location.map(|name| format!("LOCATION:{}", escaped(name))));
    lines.extend(["END:VEVENT", "END:VCALENDAR"].map(str::to_owned));
    Some(lines.join("\r\n") + "\r\n")
}

/// Returns the text after `DTSTART` and `DTEND` on their lines. An appointment without a time lasts
/// the whole day.
fn period(submission: &Submission, timezone: &str) -> Option<(String, String)> {
    let date = submission.date()?;
    let Some(time) = submission.time() else {
        let day = |date: Date| date.strftime(";VALUE=DATE:%Y%m%d").to_string();
        return Some((day(date), day(date.tomorrow().ok()?)));
    };
    let start = date.to_datetime(time).in_tz(timezone).ok()?.timestamp();
    let end = start.checked_add(SignedDuration::from_hours(1)).ok()?;
    Some((format!(":{}", utc(start)), format!(":{}", utc(end))))
}

fn utc(instant: Timestamp) -> String {
    instant.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Escapes text for iCalendar (RFC 5545, section 3.3.11) and drops control characters, which are
/// invalid there.
fn escaped(text: &str) -> String {
    let mut escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    escaped = escaped.replace(',', "\\,").replace(';', "\\;");
    escaped.retain(|character| !character.is_control());
    escaped
}
