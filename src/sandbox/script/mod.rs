//! What is said in a call and what comes of it, from its submission. The talk is in the call's
//! language and the report of it in the caller's, and neither says more than was submitted, or than
//! a business would answer to it.

mod en;
mod es;

use jiff::civil::{Date, Time};
use serde::Serialize;

use super::appointment::Appointment;
use super::intent::{Intent, has_details};
use super::scenario::Outcome;
use super::submission::{Category, Language, Submission};

#[derive(Debug)]
pub(super) struct Script {
    pub(super) report: Report,
    /// Empty when nobody spoke.
    pub(super) entries: Vec<Entry>,
}

/// How the call went, as the caller is told.
#[derive(Debug)]
pub(super) struct Report {
    /// What to call the appointment in a calendar.
    pub(super) title: String,
    pub(super) highlights: String,
    pub(super) next_steps: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Entry {
    speaker: &'static str,
    content: String,
    timestamp: String,
}

impl Script {
    /// `seconds` is how long the call takes; all that is said is said within it.
    pub(super) fn write(
        submission: &Submission,
        appointment: Option<&Appointment>,
        outcome: Outcome,
        seconds: f64,
    ) -> Self {
        let facts = Facts::of(submission, appointment);
        let report = match submission.report_language() {
            Language::English => en::report(&facts, outcome),
            Language::Spanish => es::report(&facts, outcome),
        };
        let turns = match (outcome, submission.call_language()) {
            (Outcome::Success, Language::English) => en::talk(&facts).turns(),
            (Outcome::Success, Language::Spanish) => es::talk(&facts).turns(),
            (Outcome::Voicemail, Language::English) => en::message(&facts),
            (Outcome::Voicemail, Language::Spanish) => es::message(&facts),
            _ => Vec::new(),
        };
        Self { report, entries: timed(turns, seconds) }
    }
}

enum Turn {
    Ai(String),
    Human(String),
}

/// A talk as every subject and language has it.
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

/// What a call is about.
#[derive(Clone, Copy)]
enum Subject {
    Table,
    Visit,
    Room,
    Cancelling,
    Changing,
    Asking,
    Other,
}

/// A day, a time of day, or both, or neither.
#[derive(Clone, Copy, Default)]
struct Moment {
    date: Option<Date>,
    time: Option<Time>,
}

impl Moment {
    fn is_empty(self) -> bool {
        self.date.is_none() && self.time.is_none()
    }
}

/// What a call is about, short enough to be said.
struct Facts {
    subject: Subject,
    /// Under which name to book.
    name: String,
    business: Option<String>,
    phone: String,
    user_phone: Option<String>,
    /// A sentence, as are the preference and the instructions.
    task: String,
    people: Option<i64>,
    /// What the submission says of the time.
    asked: Moment,
    /// What was agreed on, if anything.
    agreed: Moment,
    /// Whether the task may hold what the other facts lack, and so has to be told itself.
    tells_task: bool,
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
        let asked = Moment { date: submission.date(), time: submission.time() };
        let agreed = appointment.map_or(asked, |appointment| Moment {
            date: Some(appointment.start.date()),
            time: Some(appointment.start.time()),
        });
        let subject = Subject::of(submission);
        let is_complete = asked.date.is_some()
            && asked.time.is_some()
            && (submission.party_size.is_some() || !subject.has_people());
        let instructions = submission.additional_instructions.as_deref().unwrap_or_default().join("; ");
        Self {
            subject,
            name: said(&submission.user_name).unwrap_or_else(|| "KallyAI".to_owned()),
            business: said(&submission.business_name),
            phone: submission.phone().to_owned(),
            user_phone: said(&submission.user_phone),
            task: closed(shortened(submission.task())),
            people: submission.party_size,
            asked,
            agreed,
            tells_task: !is_complete && has_details(submission.task()),
            preference: said(&submission.time_preference_text).map(closed),
            instructions: said(&Some(instructions)).map(closed),
            is_urgent: submission.is_urgent.unwrap_or_default(),
        }
    }
}

impl Subject {
    fn of(submission: &Submission) -> Self {
        match (Intent::of(submission), submission.category()) {
            (Intent::Cancel, _) => Self::Cancelling,
            (Intent::Change, _) => Self::Changing,
            (Intent::Ask, _) => Self::Asking,
            (Intent::Book, Category::Restaurant) => Self::Table,
            (Intent::Book, Category::Clinic) => Self::Visit,
            (Intent::Book, Category::Hotel) => Self::Room,
            (Intent::Book | Intent::Other, _) => Self::Other,
        }
    }

    /// Whether it matters for how many.
    fn has_people(self) -> bool {
        matches!(self, Self::Table | Self::Room)
    }
}

/// The text with a mark at its end.
fn closed(text: String) -> String {
    let is_closed = text.ends_with(['.', '!', '?', '…']);
    if is_closed { text } else { text + "." }
}

/// At most 160 characters, white space collapsed. A longer text is not read to its end.
fn shortened(text: &str) -> String {
    const LIMIT: usize = 160;
    let mut shortened = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let space = if length > 0 { " " } else { "" };
        for character in space.chars().chain(word.chars()) {
            shortened.push(character);
            length += 1;
            if length > LIMIT {
                return shortened.chars().take(LIMIT - 1).chain(['…']).collect();
            }
        }
    }
    shortened
}

/// Gives each turn its moment in a call of so many seconds, by the number of words before it.
fn timed(turns: Vec<Turn>, seconds: f64) -> Vec<Entry> {
    /// How many words could be said in the pause before a turn.
    const PAUSE: f64 = 2.0;
    let texts = turns.into_iter().map(|turn| match turn {
        Turn::Ai(content) => ("AI", content),
        Turn::Human(content) => ("HUMAN", content),
    });
    let texts: Vec<_> = texts.collect();
    let length = |content: &str| content.split_whitespace().count() as f64;
    let total: f64 = texts.iter().map(|(_, content)| PAUSE + length(content)).sum();
    let mut clock = 0.0;
    let entries = texts.into_iter().map(|(speaker, content)| {
        clock += PAUSE;
        let timestamp = timestamp((clock / total * seconds) as u64);
        clock += length(&content);
        Entry { speaker, content, timestamp }
    });
    entries.collect()
}

/// `HH:MM:SS`
fn timestamp(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    format!("{:02}:{:02}:{seconds:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
#[path = "../tests/script.rs"]
mod tests;
