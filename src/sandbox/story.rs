//! Creates the conversation and the result of a simulated call from a template in each language.
//! The conversation is in the language of the call, and the result is in the user's language.

use std::collections::HashMap;

use jiff::ToSpan as _;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::scenario::Scenario;
use super::state::Call;
use super::submission::Submission;

pub(super) struct Story {
    pub(super) highlights: String,
    pub(super) next_steps: String,
    /// The entries of the transcript. Empty if no one spoke.
    pub(super) entries: Vec<Value>,
}

impl Story {
    pub(super) fn of(call: &Call) -> Self {
        let submission = Submission::of(&call.submission);
        let result = match Scenario::of(&submission.respondent_phone).outcome {
            "success" if Question::in_task(&submission.task_description).is_alone => "question",
            "success" => "request",
            outcome => outcome,
        };
        let report = Template::new(submission.report_language(), call, &submission);
        let talk = Template::new(submission.call_language(), call, &submission);
        Self {
            highlights: report.text(&format!("highlights.{result}")),
            next_steps: report.text(&format!("next.{result}")),
            entries: entries(&talk.texts(&format!("talk.{result}")), call.seconds()),
        }
    }
}

/// Creates the entries of a transcript in which the business and the assistant take turns.
fn entries(turns: &[String], seconds: f64) -> Vec<Value> {
    let entry = |(n, turn)| {
        let speaker = ["HUMAN", "AI"][n % 2];
        let at = (seconds * n as f64 / turns.len() as f64) as u64;
        let at = format!("{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60);
        json!({"speaker": speaker, "content": turn, "timestamp": at})
    };
    turns.iter().enumerate().map(entry).collect()
}

/// English and Spanish verbs that introduce a question.
const ASK: &str = "ask find check pregunta preguntar averigua averiguar comprueba comprobar";

/// Topics of questions. Each topic is followed by prefixes of words that indicate it.
const TOPICS: [(&str, &str); 5] = [
    ("wait", "long wait tard"),
    ("hours", "open clos hour time when abr cierr hora cuándo"),
    ("price", "price cost much precio cuest cuánto"),
    ("place", "where address dónde direcci"),
    ("help", "what which who how why qué cuál quién cómo por"),
];

/// Returns whether a task books something, and is not a question or a cancellation.
pub(super) fn is_booking(task: &str) -> bool {
    let verbs = ["cancel", "cancela", "cancelar", "anula", "anular"];
    let lower = task.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    !words.any(|word| verbs.contains(&word)) && !Question::in_task(task).is_alone
}

/// Describes what a call's task asks the business, if anything.
struct Question {
    /// Whether the task only asks a question and does not also make a request.
    is_alone: bool,
    /// The topic of the question, which selects the answer. `None` if there is no question.
    topic: Option<&'static str>,
}

impl Question {
    fn in_task(task: &str) -> Self {
        let lower = task.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric() && c != '-');
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let is_verb = |word: &&str| ASK.split(' ').any(|verb| verb == *word);
        let verb = words.iter().position(is_verb);
        let has_mark = lower.contains('?');
        let asked = &words[verb.unwrap_or_default()..];
        let occurs = |start: &str| asked.iter().any(|word| word.starts_with(start));
        let mut topics = TOPICS.iter();
        let topic = topics.find(|(_, beginnings)| beginnings.split(' ').any(occurs));
        let topic = topic.map_or("yes", |(topic, _)| topic);
        Self {
            is_alone: verb == Some(0) || (verb.is_none() && has_mark && !lower.contains(". ")),
            topic: (verb.is_some() || has_mark).then_some(topic),
        }
    }
}

/// A template file and the values for its placeholders.
struct Template {
    file: &'static str,
    values: HashMap<&'static str, String>,
}

impl Template {
    fn new(language: &str, call: &Call, from: &Submission) -> Self {
        let file = match language {
            "es" => include_str!("stories/es.txt"),
            _ => include_str!("stories/en.txt"),
        };
        let values = HashMap::new();
        let mut template = Self { file, values };
        let date = |date: Date| date.strftime(&template.text("date")).to_string();
        let time = |time: Time| time.strftime(&template.text("time")).to_string();
        let caller = || template.text("caller");
        let answer = |topic| template.text(&format!("answer.{topic}"));
        let topic = Question::in_task(&from.task_description).topic;
        let instructions = from.additional_instructions.join("; ");
        let values = [
            ("task", Some(shortened(&from.task_description))),
            ("phone", Some(from.respondent_phone.clone())),
            ("business", from.business_name.clone()),
            ("name", from.user_name.clone()),
            ("caller", from.user_name.clone().or_else(|| Some(caller()))),
            ("user_phone", from.user_phone.clone()),
            ("people", from.party_size.map(|count| count.to_string())),
            ("date", from.date().map(date)),
            ("time", from.time().map(time)),
            ("next_day", Some(date(next_day(call, from)))),
            ("preference", from.time_preference_text.clone()),
            ("instructions", Some(instructions)),
            ("answer", topic.map(answer)),
        ];
        let given = values
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        template.values = given
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        template
    }

    /// Returns the text of the first template line with this key.
    fn text(&self, key: &str) -> String {
        self.texts(key).into_iter().next().unwrap_or_default()
    }

    /// Returns the text of every template line with this key.
    fn texts(&self, key: &str) -> Vec<String> {
        let start = format!("{key}: ");
        let texts = self
            .file
            .lines()
            .filter_map(|line| line.strip_prefix(&start));
        texts.map(|text| self.filled(text)).collect()
    }

    /// Replaces `{placeholders}` with values. Omits text in `[brackets]` if a value in it is
    /// missing.
    fn filled(&self, text: &str) -> String {
        let parts = text.split(['[', ']']);
        parts.filter_map(|part| self.filled_part(part)).collect()
    }

    fn filled_part(&self, part: &str) -> Option<String> {
        let pieces = part.split(['{', '}']).enumerate();
        let filled = pieces.map(|(n, piece)| match n % 2 {
            0 => Some(piece),
            _ => self.values.get(piece).map(String::as_str),
        });
        filled.collect()
    }
}

/// Returns the day after the requested day. The business offers it if the requested day is full.
fn next_day(call: &Call, from: &Submission) -> Date {
    let zone = TimeZone::get(&call.timezone).unwrap_or(TimeZone::UTC);
    let today = || call.created_at.to_zoned_datetime(zone).date();
    from.date().unwrap_or_else(today).saturating_add(1.day())
}

/// Returns the text on one line, truncated after 160 characters. A shorter text loses its final
/// period.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(160) {
        Some((end, _)) => line[..end].to_owned() + "…",
        None => line.trim_end_matches('.').to_owned(),
    }
}
