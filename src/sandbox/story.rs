//! Creates a call's conversation and result from templates and the submission. The conversation is
//! in the language of the call, and the result is in the user's language.

use std::collections::HashMap;
use std::iter;

use jiff::ToSpan;
use jiff::civil::{Date, Time, time};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::scenario::Scenario;
use super::state::Call;
use super::submission::Submission;
use super::task::Task;

pub(super) struct Story {
    /// The title of the appointment in a calendar.
    pub(super) title: String,
    pub(super) highlights: String,
    pub(super) next_steps: String,
    /// The turns of the conversation. Empty if no one spoke.
    pub(super) entries: Vec<Value>,
}

impl Story {
    pub(super) fn of(call: &Call) -> Self {
        let submission = Submission::of(&call.submission);
        let task = Task::of(&submission);
        let outcome = Scenario::of(&submission.respondent_phone).outcome;
        let result = match outcome {
            "success" => task.subject,
            other => other,
        };
        let conversation = match result {
            "booking" | "other" => "request",
            result => result,
        };
        let report = Template::new(submission.report_language());
        let talk = Template::new(submission.call_language());
        let reported = report.values(call, &submission, &task);
        let mut spoken = talk.values(call, &submission, &task);
        if talk != report {
            // The task is usually in the user's language, so don't quote it in another one.
            spoken.remove("asked");
        }
        Self {
            title: report.text("title", task.subject, &reported),
            highlights: report.text("highlights", result, &reported),
            next_steps: report.text("next", result, &reported),
            entries: entries(&talk.turns(conversation, &spoken), call.seconds()),
        }
    }
}

/// Creates the entries of a transcript. The business and the assistant take turns, and the
/// timestamp of a turn is proportional to the number of words before it.
fn entries(turns: &[String], seconds: f64) -> Vec<Value> {
    let words = |turn: &String| turn.split_whitespace().count() + 2;
    let total = turns.iter().map(words).sum::<usize>() as f64;
    let (mut spoken, mut entries) = (0, Vec::new());
    for (turn, speaker) in iter::zip(turns, ["HUMAN", "AI"].into_iter().cycle()) {
        let at = (spoken as f64 / total * seconds) as u64;
        let at = format!("{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60);
        entries.push(json!({"speaker": speaker, "content": turn, "timestamp": at}));
        spoken += words(turn);
    }
    entries
}

type When = (Option<Date>, Option<Time>);
type Values = HashMap<&'static str, String>;

/// A template file: lines of `key: text`, with placeholders in the text.
#[derive(PartialEq)]
struct Template(&'static str);

impl Template {
    fn new(language: &str) -> Self {
        Self(match language {
            "es" => include_str!("stories/es.txt"),
            _ => include_str!("stories/en.txt"),
        })
    }

    /// Returns the texts with the key `key.case`, followed by those with the key `key`.
    fn lines(&self, key: &str, case: &str) -> Vec<&'static str> {
        let keys = [format!("{key}.{case}: "), format!("{key}: ")];
        let texts = |key| {
            self.0
                .lines()
                .filter_map(move |line| line.strip_prefix(key))
        };
        keys.iter().map(String::as_str).flat_map(texts).collect()
    }

    fn line(&self, key: &str, case: &str) -> &'static str {
        self.lines(key, case).first().copied().unwrap_or_default()
    }

    /// Returns the first text whose placeholders all have a value.
    fn text(&self, key: &str, case: &str, values: &Values) -> String {
        let lines = self.lines(key, case);
        let text = lines.iter().find_map(|line| fill(line, values));
        text.unwrap_or_default()
    }

    fn turns(&self, result: &str, values: &Values) -> Vec<String> {
        let turns = |line: &&str| {
            let turns = line.split(" | ").map(|turn| fill(turn, values));
            turns.collect::<Option<Vec<_>>>()
        };
        let lines = self.lines("talk", result);
        lines.iter().filter_map(turns).flatten().collect()
    }

    fn values(&self, call: &Call, from: &Submission, task: &Task) -> Values {
        let text = shortened(&from.task_description);
        let when = (from.date(), from.time());
        let urgent = from.is_urgent.then(|| self.line("urgent", "").to_owned());
        let instructions = Some(from.additional_instructions.join("; "));
        // A long task probably has details that no other field has, such as a time or a wish.
        let is_complete = when.1.is_some() && from.party_size.is_some();
        let is_long = text.split(' ').count() > if is_complete { 8 } else { 4 };
        let thing = self.line("thing", &from.task_category);
        let a_thing = self.line("a_thing", &from.task_category);
        let values = [
            ("phone", Some(from.respondent_phone.clone())),
            ("name", from.user_name.clone()),
            ("business", from.business_name.clone()),
            ("user_phone", from.user_phone.clone()),
            ("preference", from.time_preference_text.clone()),
            ("instructions", instructions),
            ("urgent", urgent),
            ("thing", Some(thing.to_owned())),
            ("a_thing", Some(a_thing.replace("{thing}", thing))),
            ("lower_task", Some(lower_first(&text))),
            (
                "details",
                (is_long || task.topic.is_some()).then(|| text.clone()),
            ),
            ("people", from.party_size.map(|count| self.people(count))),
            ("time", when.1.map(|time| self.time(time))),
            ("when", self.when(when)),
            ("alternative", self.when(alternative(when, call))),
            ("clause", task.clause.clone()),
            ("asked", task.asked.clone()),
            ("task", Some(text)),
        ];
        let shortened = values.map(|(name, text)| (name, shortened(&text.unwrap_or_default())));
        let mut values = Values::from(shortened);
        values.retain(|_, text| !text.is_empty());
        for (name, case) in [
            ("answer", task.topic.unwrap_or_default()),
            ("spoken_answer", task.topic.unwrap_or_default()),
            ("hello", ""),
            ("request", task.subject),
            ("offer", task.subject),
            ("confirmation", task.subject),
        ] {
            let text = self.text(name, case, &values);
            values.insert(name, text);
        }
        values.retain(|_, text| !text.is_empty());
        values
    }

    fn people(&self, count: i64) -> String {
        let count = count.to_string();
        self.line("people", &count).replace("{count}", &count)
    }

    fn time(&self, time: Time) -> String {
        let pattern = self.line("time", &time.hour().to_string());
        time.strftime(pattern).to_string()
    }

    fn date(&self, date: Date) -> String {
        let nth = |names, index: i8| {
            let mut names = self.line("words", names).split(", ");
            names.nth(index as usize).unwrap_or_default()
        };
        let weekday = nth("weekdays", date.weekday().to_monday_zero_offset());
        let text = self.line("date", "").replace("{weekday}", weekday);
        let text = text.replace("{month}", nth("months", date.month() - 1));
        text.replace("{day}", &date.day().to_string())
    }

    fn when(&self, (date, time): When) -> Option<String> {
        let date = date.map(|date| self.date(date));
        let time = time.map(|time| self.time(time));
        let (Some(date), Some(time)) = (&date, &time) else {
            return date.or(time);
        };
        let text = self.line("when", "").replace("{date}", date);
        Some(text.replace("{time}", time))
    }
}

/// Returns another time to offer if the requested one is not free.
fn alternative(when: When, call: &Call) -> When {
    let zone = TimeZone::get(&call.timezone).unwrap_or(TimeZone::UTC);
    let today = call.created_at.to_zoned_datetime(zone).date();
    let next_day = |date: Date| Some(date.saturating_add(1.day()));
    match when {
        (date, Some(t)) if t < time(22, 0, 0, 0) => (date, Some(t.wrapping_add(1.hour()))),
        (date, Some(t)) => (date, Some(t.wrapping_sub(1.hour()))),
        (Some(date), None) => (next_day(date), None),
        (None, None) => (next_day(today), Some(time(12, 30, 0, 0))),
    }
}

/// Replaces placeholders with their values. Omits text in brackets if a value in it is missing.
/// Returns `None` if any other value is missing.
fn fill(mut template: &str, values: &Values) -> Option<String> {
    let mut text = String::new();
    while let Some((before, rest)) = template.split_once('[') {
        let (optional, after) = rest.split_once(']')?;
        text += &fill_plain(before, values)?;
        text += &fill_plain(optional, values).unwrap_or_default();
        template = after;
    }
    text += &fill_plain(template, values)?;
    for (twice, once) in [("?.", "?"), ("!.", "!"), ("….", "…")] {
        text = text.replace(twice, once);
    }
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    Some(first.chain(characters).collect())
}

fn fill_plain(mut template: &str, values: &Values) -> Option<String> {
    let mut text = String::new();
    while let Some((before, rest)) = template.split_once('{') {
        let (name, after) = rest.split_once('}')?;
        text.extend([before, values.get(name)?]);
        template = after;
    }
    Some(text + template)
}

/// Shortens a text to 160 characters, with single spaces and without a final period.
fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(160) {
        Some((end, _)) => text[..end].to_owned() + "…",
        None => text.trim_end_matches('.').to_owned(),
    }
}

/// Converts the first letter to lower case, unless the first word is an acronym or "I".
fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}
