//! The iCalendar file (RFC 5545) of a call's appointment.

use jiff::Timestamp;

use super::appointment::Appointment;
use super::records::Record;
use super::submission::Submission;

/// The .ics file of the call's appointment.
pub(super) fn file(record: &Record, appointment: &Appointment) -> String {
    let submission = Submission::recall(&record.submission);
    let mut lines = vec![
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//KallyAI//Sandbox//EN".to_owned(),
        "CALSCALE:GREGORIAN".to_owned(),
        "METHOD:PUBLISH".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}@sandbox.kallyai.com", record.call_id),
        format!("DTSTAMP:{}", instant(record.ends_at)),
        format!("DTSTART:{}", instant(appointment.start.timestamp())),
        format!("DTEND:{}", instant(appointment.end.timestamp())),
        format!("SUMMARY:{}", escaped(&record.script().report.title)),
        format!("DESCRIPTION:{}", escaped(&description(&submission))),
    ];
    lines.extend(submission.business_name.iter().map(|name| format!("LOCATION:{}", escaped(name))));
    lines.extend(["STATUS:CONFIRMED", "END:VEVENT", "END:VCALENDAR"].map(str::to_owned));
    lines.iter().map(|line| folded(line)).collect()
}

fn description(submission: &Submission) -> String {
    format!("{}\n{}", submission.task(), submission.phone())
}

fn instant(instant: Timestamp) -> String {
    instant.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A TEXT value, section 3.3.11; control characters cannot be written in one.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.replace("\r\n", "\n").chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\\' | ';' | ',' => escaped.extend(['\\', character]),
            '\t' => escaped.push(character),
            _ if character.is_control() => {}
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A content line of at most 75 octets without its break, section 3.1: what is longer goes on
/// behind a space, and no character is cut in two.
fn folded(line: &str) -> String {
    const WIDTH: usize = 75;
    let mut folded = String::with_capacity(line.len() + 2);
    let mut width = 0;
    for character in line.chars() {
        if width + character.len_utf8() > WIDTH {
            folded.push_str("\r\n ");
            width = 1;
        }
        folded.push(character);
        width += character.len_utf8();
    }
    folded + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::scenario::Outcome;
    use serde_json::{Value, json};

    fn file_of(mut submission: Value, timezone: &str) -> String {
        submission["appointment_date"] = json!("2027-07-14");
        submission["appointment_time"] = json!("20:30");
        let created_at = "2027-01-09T23:30:00Z".parse().expect("an instant");
        let submission = serde_json::value::to_raw_value(&submission).expect("JSON");
        let zone = Some(timezone.to_owned());
        let record = Record::new(None, Outcome::Success, created_at, created_at, zone, submission);
        file(&record, &record.appointment().expect("an appointment"))
    }

    #[test]
    fn an_appointment_is_converted_from_the_callers_zone() {
        let submission = json!({"task_category": "restaurant"});
        let madrid = file_of(submission.clone(), "Europe/Madrid");
        assert!(madrid.contains("\r\nDTSTART:20270714T183000Z\r\nDTEND:20270714T203000Z\r\n"));
        let new_york = file_of(submission, "America/New_York");
        assert!(new_york.contains("\r\nDTSTART:20270715T003000Z\r\n"));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a,b;c\\d\r\ne\u{1b}\tf"), "a\\,b\\;c\\\\d\\ne\tf");
    }

    #[test]
    fn no_line_is_longer_than_75_octets_and_unfolding_restores_it() {
        let submission = json!({"business_name": "Café Señor ".repeat(40)});
        let file = file_of(submission, "UTC");
        assert!(file.starts_with("BEGIN:VCALENDAR\r\n"));
        assert!(file.ends_with("END:VCALENDAR\r\n"));
        assert!(file.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')));
        let unfolded = file.replace("\r\n ", "");
        assert!(unfolded.contains(&format!("LOCATION:{}", "Café Señor ".repeat(40))));
    }
}
