//! What is said in a call and what comes of it, in the call's language and from its submission.
//! A talk lasts as long as saying it would, though the sandbox has it over in seconds.

mod en;
mod es;

use jiff::civil::DateTime;
use serde::Serialize;

use super::calendar::Appointment;
use super::outcome::Outcome;
use super::submission::{Category, Language, Submission};

pub(super) struct Script {
    /// What to call the appointment in a calendar.
    pub(super) title: String,
    pub(super) highlights: String,
    pub(super) next_steps: String,
    /// Empty when nobody spoke.
    pub(super) entries: Vec<Entry>,
    /// How long the line was open.
    pub(super) duration_seconds: f64,
}

#[derive(Serialize)]
pub(super) struct Entry {
    speaker: &'static str,
    content: String,
    timestamp: String,
}

impl Script {
    pub(super) fn write(
        submission: &Submission,
        appointment: Option<&Appointment>,
        outcome: Outcome,
    ) -> Self {
        let facts = Facts::of(submission, appointment);
        let telling = match submission.language() {
            Language::English => en::tell(&facts, outcome),
            Language::Spanish => es::tell(&facts, outcome),
        };
        let turns = match outcome {
            Outcome::Success => telling.talk.turns(),
            Outcome::Voicemail => telling.message,
            _ => Vec::new(),
        };
        let (entries, duration_seconds) = timed(turns);
        Self {
            title: telling.title,
            highlights: telling.highlights,
            next_steps: telling.next_steps,
            entries,
            duration_seconds,
        }
    }
}

/// A script before it is timed.
struct Telling {
    title: String,
    highlights: String,
    next_steps: String,
    talk: Talk,
    message: Vec<Turn>,
}

enum Turn {
    Ai(String),
    Human(String),
}

/// A talk as every category and language has it.
struct Talk {
    greeting: String,
    request: String,
    offer: String,
    preference: Option<Exchange>,
    instructions: Option<Exchange>,
    name: String,
    confirmation: String,
    thanks: String,
    goodbye: String,
}

struct Exchange {
    ai: String,
    human: String,
}

impl Talk {
    fn turns(self) -> Vec<Turn> {
        let mut turns = vec![Turn::Human(self.greeting), Turn::Ai(self.request), Turn::Human(self.offer)];
        for exchange in self.preference.into_iter().chain(self.instructions) {
            turns.extend([Turn::Ai(exchange.ai), Turn::Human(exchange.human)]);
        }
        turns.extend([
            Turn::Ai(self.name),
            Turn::Human(self.confirmation),
            Turn::Ai(self.thanks),
            Turn::Human(self.goodbye),
        ]);
        turns
    }
}

/// What a call is about, short enough to be said.
struct Facts {
    category: Category,
    /// Under which name to book.
    name: String,
    business: Option<String>,
    phone: String,
    user_phone: Option<String>,
    /// A sentence, as are the preference and the instructions.
    task: String,
    people: i64,
    start: DateTime,
    /// Whether the submission says when, rather than leaving it to habit.
    has_start: bool,
    preference: Option<String>,
    instructions: Option<String>,
    is_urgent: bool,
}

impl Facts {
    fn of(submission: &Submission, appointment: Option<&Appointment>) -> Self {
        let said = |text: &Option<String>| {
            let text = shortened(text.as_deref().unwrap_or_default());
            (!text.is_empty()).then_some(text)
        };
        let instructions = submission.additional_instructions.as_deref();
        let instructions = instructions.unwrap_or_default().join("; ");
        Self {
            category: submission.category(),
            name: said(&submission.user_name).unwrap_or_else(|| "KallyAI".to_owned()),
            business: said(&submission.business_name),
            phone: submission.phone().to_owned(),
            user_phone: said(&submission.user_phone),
            task: sentence(submission.task().to_owned()),
            people: submission.party_size.unwrap_or(2),
            start: appointment.map_or_else(DateTime::default, |it| it.start.datetime()),
            has_start: submission.date().is_some() || submission.time().is_some(),
            preference: said(&submission.time_preference_text).map(sentence),
            instructions: said(&Some(instructions)).map(sentence),
            is_urgent: submission.is_urgent.unwrap_or_default(),
        }
    }
}

/// The text with a mark at its end.
fn sentence(text: String) -> String {
    let text = shortened(&text);
    let is_closed = text.ends_with(['.', '!', '?', '…']);
    if is_closed { text } else { text + "." }
}

/// At most 160 characters, white space collapsed.
fn shortened(text: &str) -> String {
    const LIMIT: usize = 160;
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(LIMIT) {
        Some(_) => text.chars().take(LIMIT - 1).chain(['…']).collect(),
        None => text,
    }
}

/// Gives each turn its moment, and says when the last one ends, at the pace of a calm talk.
fn timed(turns: Vec<Turn>) -> (Vec<Entry>, f64) {
    const SECONDS_PER_WORD: f64 = 0.4;
    const PAUSE_SECONDS: f64 = 0.8;
    let mut clock = 0.0;
    let entries = turns.into_iter().map(|turn| {
        let (speaker, content) = match turn {
            Turn::Ai(content) => ("AI", content),
            Turn::Human(content) => ("HUMAN", content),
        };
        clock += PAUSE_SECONDS;
        let timestamp = timestamp(clock as u64);
        clock += SECONDS_PER_WORD * content.split_whitespace().count() as f64;
        Entry { speaker, content, timestamp }
    });
    let entries = entries.collect();
    (entries, (clock * 10.0).round() / 10.0)
}

/// `HH:MM:SS`
fn timestamp(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!("{:02}:{:02}:{seconds:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn script(submission: &Value, outcome: Outcome) -> Script {
        let raw = serde_json::value::to_raw_value(submission).expect("JSON");
        let submission = Submission::recall(&raw);
        let placed = "2027-03-01T10:00[UTC]".parse().expect("an instant");
        let appointment = Appointment::of(&submission, &placed);
        Script::write(&submission, appointment.as_ref(), outcome)
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

    #[test]
    fn a_talk_mentions_everything_that_was_submitted() {
        let script = script(&dinner(), Outcome::Success);
        let said: Vec<_> = script.entries.iter().map(|it| it.content.as_str()).collect();
        let said = said.join("\n");
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
            script.highlights,
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
            script.highlights,
            "Mesa para 4 personas reservada en Trattoria Roma, el domingo 14 de marzo \
             a las 13:00, a nombre de Ana.",
        );
        assert_eq!(script.title, "Mesa para 4 personas en Trattoria Roma");
        assert!(script.entries[0].content.ends_with("¿En qué puedo ayudarle?"));
    }

    #[test]
    fn one_person_and_one_oclock_are_told_in_the_singular_and_haste_is_told() {
        for (language, booked, haste) in [
            (
                "en",
                "Table for 1 person booked at Trattoria Roma, Sunday, March 14 at 1:00 AM",
                "It is urgent.",
            ),
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
            assert!(script.highlights.starts_with(booked), "{}", script.highlights);
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
                        assert!(pair[0].timestamp < pair[1].timestamp);
                    }
                    let end = timestamp(script.duration_seconds as u64);
                    assert!(end > script.entries[script.entries.len() - 1].timestamp);
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
                assert_eq!(script.duration_seconds > 0.0, turns > 0, "{outcome:?}");
                assert!(!script.highlights.is_empty() && !script.next_steps.is_empty());
            }
        }
    }

    #[test]
    fn a_sentence_is_closed_once() {
        for (text, closed) in [("Ask\n", "Ask."), ("Ask.", "Ask."), ("Is it open? ", "Is it open?")] {
            assert_eq!(sentence(text.to_owned()), closed);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened(" a\n b\t "), "a b");
        let long = shortened(&"ñ".repeat(500));
        assert_eq!(long.chars().count(), 160);
        assert!(long.ends_with('…'));
    }
}
