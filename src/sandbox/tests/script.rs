//! What is told of a call.

use super::facts::{closed, shortened};
use super::*;
use serde_json::{Value, json};

const SECONDS: f64 = 4.0;

fn script(submission: &Value, outcome: Outcome) -> Script {
    let raw = serde_json::value::to_raw_value(submission).expect("JSON");
    let submission = Submission::recall(&raw);
    let placed = "2027-03-01T10:00[UTC]".parse().expect("an instant");
    let appointment = Appointment::of(&submission, &placed).expect("in the calendar");
    Script::write(&submission, appointment.as_ref(), outcome, SECONDS)
}

fn dinner() -> Value {
    json!({
        "task_category": "restaurant",
        "task_description": "Book a table.",
        "respondent_phone": "+15551234567",
        "business_name": "Trattoria  Roma",
        "user_name": "Ana",
        "user_phone": "+15557654321",
        "party_size": 4,
        "appointment_date": "2027-03-14",
        "appointment_time": "20:30",
        "time_preference_text": "any time after eight",
        "additional_instructions": ["a quiet table", "one high chair"],
    })
}

fn said(script: &Script) -> String {
    let said: Vec<_> = script.entries.iter().map(|entry| entry.content.as_str()).collect();
    said.join("\n")
}

#[test]
fn a_talk_mentions_everything_that_was_submitted() {
    let script = script(&dinner(), Outcome::Success);
    let said = said(&script);
    for fact in [
        "Trattoria Roma",
        "Ana",
        "4 people",
        "Sunday, March 14 at 8:30 PM",
        "any time after eight",
        "a quiet table; one high chair",
        "+15557654321",
    ] {
        assert!(said.contains(fact), "{fact} in {said}");
    }
    assert_eq!(
        script.report.highlights,
        "Table for 4 people booked at Trattoria Roma, Sunday, March 14 at 8:30 PM, \
         under the name Ana.",
    );
}

#[test]
fn a_spanish_call_is_spanish_throughout() {
    let mut dinner = dinner();
    dinner["call_language"] = json!("es");
    dinner["appointment_time"] = json!("13:00");
    let script = script(&dinner, Outcome::Success);
    assert_eq!(
        script.report.highlights,
        "Mesa para 4 personas reservada en Trattoria Roma, el domingo 14 de marzo \
         a las 13:00, a nombre de Ana.",
    );
    assert_eq!(script.report.title, "Mesa para 4 personas en Trattoria Roma");
    assert!(script.entries[0].content.ends_with("¿En qué puedo ayudarle?"));
}

#[test]
fn one_person_and_one_oclock_are_told_in_the_singular_and_haste_is_told() {
    for (language, booked, haste) in [
        ("en", "Table for 1 person booked at Trattoria Roma, Sunday, March 14 at 1:00 AM", "It is urgent."),
        (
            "es",
            "Mesa para 1 persona reservada en Trattoria Roma, el domingo 14 de marzo a la 1:00",
            "Es urgente.",
        ),
    ] {
        let mut dinner = dinner();
        dinner["call_language"] = json!(language);
        dinner["language"] = json!(language);
        dinner["party_size"] = json!(1);
        dinner["appointment_time"] = json!("01:00");
        dinner["is_urgent"] = json!(true);
        let script = script(&dinner, Outcome::Success);
        assert!(script.report.highlights.starts_with(booked), "{}", script.report.highlights);
        assert!(script.entries.iter().any(|entry| entry.content.contains(haste)), "{language}");
    }
}

#[test]
fn every_talk_has_6_to_12_turns_that_alternate_and_follow_each_other() {
    for language in ["en", "es"] {
        for category in ["restaurant", "clinic", "hotel", "general"] {
            let bare = json!({"task_description": "Ask", "language": language});
            for mut submission in [bare, dinner()] {
                submission["language"] = json!(language);
                submission["task_category"] = json!(category);
                let script = script(&submission, Outcome::Success);
                assert!((6..=12).contains(&script.entries.len()));
                for pair in script.entries.windows(2) {
                    assert_ne!(pair[0].speaker, pair[1].speaker);
                    assert!(pair[0].timestamp <= pair[1].timestamp);
                }
                assert!(script.entries[script.entries.len() - 1].timestamp < timestamp(SECONDS as u64));
            }
        }
    }
}

#[test]
fn only_a_talk_and_a_voicemail_have_words() {
    for (outcome, turns) in [
        (Outcome::NoAnswer, 0),
        (Outcome::Busy, 0),
        (Outcome::Failed, 0),
        (Outcome::Cancelled, 0),
        (Outcome::Voicemail, 2),
    ] {
        for language in ["en", "es"] {
            let mut dinner = dinner();
            dinner["language"] = json!(language);
            dinner["call_language"] = json!(language);
            let script = script(&dinner, outcome);
            assert_eq!(script.entries.len(), turns, "{outcome:?}");
            assert!(!script.report.highlights.is_empty() && !script.report.next_steps.is_empty());
        }
    }
}

#[test]
fn a_sentence_is_closed_once() {
    for (text, sentence) in [("Ask\n", "Ask."), ("Ask.", "Ask."), ("Is it open? ", "Is it open?")] {
        assert_eq!(closed(shortened(text)), sentence);
    }
}

#[test]
fn a_long_text_is_cut_between_characters() {
    assert_eq!(shortened(" a\n b\t "), "a b");
    let long = shortened(&"ñ".repeat(500));
    assert_eq!(long.chars().count(), 160);
    assert!(long.ends_with('…'));
}

#[test]
fn the_report_is_in_the_callers_language_and_the_talk_in_the_calls() {
    for (report, call, highlights, greeting) in
        [("en", "es", "Table for 4 people", "dígame"), ("es", "en", "Mesa para 4 personas", "hello")]
    {
        let mut dinner = dinner();
        dinner["language"] = json!(report);
        dinner["call_language"] = json!(call);
        let script = script(&dinner, Outcome::Success);
        assert!(script.report.highlights.starts_with(highlights), "{}", script.report.highlights);
        assert!(said(&script).contains(greeting), "{}", said(&script));
    }
}

/// A call of this category and task alone.
fn told(category: &str, task: &str, fields: Value) -> (String, String) {
    let mut submission = fields;
    submission["task_category"] = json!(category);
    submission["task_description"] = json!(task);
    submission["respondent_phone"] = json!("+15551234567");
    let script = script(&submission, Outcome::Success);
    let said = said(&script);
    (script.report.highlights, said)
}

#[test]
fn nothing_is_booked_that_was_not_asked_for() {
    for (category, task, done) in [
        ("restaurant", "Ask for opening hours", "Answered: Ask for opening hours."),
        ("restaurant", "Cancel my table", "Cancelled: Cancel my table."),
        ("clinic", "Move my appointment to Monday", "Changed: Move my appointment to Monday."),
        ("hotel", "Complain about the noise", "Done: Complain about the noise."),
        ("restaurant", "Cancela la mesa", "Cancelled: Cancela la mesa."),
        ("general", "Book a table", "Done: Book a table."),
    ] {
        let (highlights, said) = told(category, task, json!({}));
        assert_eq!(highlights, done);
        assert!(said.contains(task), "{said}");
        assert!(!said.contains("like to") && !said.contains(" PM") && !said.contains("2 people"), "{said}");
    }
}

#[test]
fn what_only_the_task_says_is_told_in_its_words_and_nothing_else_is_made_up() {
    let task = "Reserve a table for 4 at 8pm";
    let (highlights, said) = told("restaurant", task, json!({}));
    assert_eq!(highlights, format!("Table booked, under the name KallyAI. As asked: {task}."));
    assert!(
        said.contains("In their words: Reserve a table for 4 at 8pm.") && !said.contains("people"),
        "{said}"
    );
    let (highlights, _) = told("restaurant", task, json!({"appointment_date": "2027-03-14"}));
    assert!(highlights.starts_with("Table booked, Sunday, March 14, under"), "{highlights}");
    let (highlights, _) = told("hotel", "Book a room tonight", json!({"appointment_time": "19:00"}));
    assert!(highlights.starts_with("Room booked, arriving at 7:00 PM, under"), "{highlights}");
}

#[test]
fn every_category_tells_for_how_many_and_when() {
    let fields = json!({
        "party_size": 3, "appointment_date": "2027-03-14", "appointment_time": "20:30", "user_name": "Ana",
        "business_name": "Roma",
    });
    for category in ["restaurant", "hotel", "clinic", "general"] {
        for task in ["Book it", "Ask about the menu", "Cancel it", "Reschedule it"] {
            let (highlights, said) = told(category, task, fields.clone());
            for fact in ["3 people", "Sunday, March 14 at 8:30 PM", "Ana", "Roma"] {
                assert!(said.contains(fact), "{category}, {task}: {fact} in {said}");
            }
            assert!(
                highlights.contains("Roma") && highlights.contains("March 14 at 8:30 PM"),
                "{highlights}"
            );
        }
    }
}

#[test]
fn a_business_offers_a_time_where_none_was_asked_for() {
    let (highlights, said) = told("restaurant", "Book a table", json!({"party_size": 4}));
    assert!(said.contains("Yes, I have a table for 4 people, Tuesday, March 2 at 8:00 PM."), "{said}");
    assert!(said.contains("I would like to book a table for 4 people, please."), "{said}");
    assert!(highlights.contains("Tuesday, March 2 at 8:00 PM"), "{highlights}");
}

#[test]
fn a_long_text_is_not_read_to_its_end() {
    let endless = std::iter::repeat_n("word ", 1 << 20).collect::<String>();
    let start = std::time::Instant::now();
    for _ in 0..1_000 {
        assert_eq!(shortened(&endless).chars().count(), 160);
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}
