//! What is said in a call and what comes of it, from its submission. The talk is in the call's
//! language and the report of it in the caller's, and neither says more than was submitted, or than
//! a business would answer to it.

mod en;
mod es;
mod facts;
mod talk;

use serde::Serialize;

use super::appointment::Appointment;
use super::scenario::Outcome;
use super::submission::{Language, Submission};
use facts::Facts;
use talk::{Report, Turn};

#[derive(Debug)]
pub(super) struct Script {
    pub(super) report: Report,
    /// Empty when nobody spoke.
    pub(super) entries: Vec<TranscriptEntry>,
}

#[derive(Debug, Serialize)]
pub(super) struct TranscriptEntry {
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

/// Gives each turn its moment in a call of so many seconds, by the number of words before it.
fn timed(turns: Vec<Turn>, seconds: f64) -> Vec<TranscriptEntry> {
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
        TranscriptEntry { speaker, content, timestamp }
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
