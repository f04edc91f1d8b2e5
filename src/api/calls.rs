//! The routes of calls, in the API's own field names.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::{Client, Document, Query, Tokens};
use super::http::Answer;
use super::lenient::{or_none, words};
use crate::error::Result;
use crate::types::{CallId, Category, Language, collapse_whitespace};

/// The body of `POST /v1/calls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewCall {
    /// What the assistant is to do.
    pub submission: Submission,
    /// The user's IANA zone, in which date and time are meant.
    pub timezone: String,
    /// The conversation this call belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// What the assistant is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submission {
    pub task_category: Category,
    pub task_description: String,
    pub respondent_phone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party_size: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appointment_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appointment_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_preference_text: Option<String>,
    pub language: Language,
    pub call_language: Language,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_urgent: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_instructions: Vec<String>,
}

/// How a call stands. The set is open: what the service adds is kept by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Status {
    Success,
    NoAnswer,
    Busy,
    Failed,
    Voicemail,
    Cancelled,
    Terminated,
    Other(String),
}

impl From<String> for Status {
    fn from(name: String) -> Self {
        match name.as_str() {
            "success" => Self::Success,
            "no_answer" => Self::NoAnswer,
            "busy" => Self::Busy,
            "failed" => Self::Failed,
            "voicemail" => Self::Voicemail,
            "cancelled" => Self::Cancelled,
            "terminated" => Self::Terminated,
            _ => Self::Other(name),
        }
    }
}

impl Status {
    /// The API's name for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Voicemail => "voicemail",
            Self::Cancelled => "cancelled",
            Self::Terminated => "terminated",
            Self::Other(name) => name,
        }
    }
}

/// A call, in the newer form (`metadata`, `submission`) or the older (all at the top level). Only the ID is certain.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    /// The ID as the server gave it; it becomes a [`CallId`] when a route is made of it.
    pub call_id: String,
    /// How it stands.
    #[serde(default, deserialize_with = "or_none")]
    pub status: Option<Status>,
    /// What came of it.
    #[serde(default, deserialize_with = "words")]
    pub highlights: Option<String>,
    /// What is left to do.
    #[serde(default, deserialize_with = "words")]
    pub next_steps: Option<String>,
    /// How long was spoken, in seconds.
    #[serde(default, deserialize_with = "or_none")]
    pub duration_seconds: Option<f64>,
    #[serde(default, deserialize_with = "or_none")]
    metadata: Option<Times>,
    #[serde(default, deserialize_with = "or_none")]
    submission: Option<Asked>,
    #[serde(default, deserialize_with = "words")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "words")]
    ended_at: Option<String>,
    #[serde(default, deserialize_with = "words")]
    to: Option<String>,
    #[serde(default, deserialize_with = "words")]
    business_name: Option<String>,
    #[serde(default, deserialize_with = "words")]
    result_summary: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Times {
    #[serde(deserialize_with = "words")]
    created_at: Option<String>,
    #[serde(deserialize_with = "words")]
    ended_at: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(deserialize_with = "words")]
    task_description: Option<String>,
    #[serde(deserialize_with = "words")]
    respondent_phone: Option<String>,
    #[serde(deserialize_with = "words")]
    business_name: Option<String>,
}

impl Call {
    /// When it was requested.
    pub fn created_at(&self) -> Option<Timestamp> {
        let nested = self.metadata.as_ref().and_then(|times| times.created_at.as_deref());
        instant(nested.or(self.created_at.as_deref()))
    }

    /// When it ended, as the server wrote it.
    fn ended(&self) -> Option<&str> {
        self.metadata.as_ref().and_then(|times| times.ended_at.as_deref()).or(self.ended_at.as_deref())
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        instant(self.ended())
    }

    /// Whether it is over: a status we do not know counts as running until there is an end.
    pub fn is_over(&self) -> bool {
        self.ended().is_some() || !matches!(self.status, None | Some(Status::Other(_)))
    }

    /// Whether it did what it was to do.
    pub fn is_success(&self) -> bool {
        self.status == Some(Status::Success)
    }

    /// The number that was called.
    pub fn number(&self) -> Option<&str> {
        self.submission.as_ref().and_then(|asked| asked.respondent_phone.as_deref()).or(self.to.as_deref())
    }

    /// The business that was called.
    pub fn business(&self) -> Option<&str> {
        self.submission
            .as_ref()
            .and_then(|asked| asked.business_name.as_deref())
            .or(self.business_name.as_deref())
    }

    /// What was asked for.
    pub fn task(&self) -> Option<&str> {
        self.submission.as_ref().and_then(|asked| asked.task_description.as_deref())
    }

    /// What came of it.
    pub fn summary(&self) -> Option<&str> {
        self.highlights.as_deref().or(self.result_summary.as_deref())
    }

    /// Whether it was this number and this task, white space apart; `None` where the list does not tell.
    pub fn is_for(&self, number: &str, task: &str) -> Option<bool> {
        let digits =
            |text: &str| text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>();
        let same_number = self.number().map(|given| digits(given) == number);
        let same_task = self.task().map(|given| collapse_whitespace(given) == collapse_whitespace(task));
        match (same_number, same_task) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
}

/// RFC 3339; a time without an offset is taken as UTC, which is what Python servers leave out.
fn instant(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    Timestamp::from_str(text).ok().or_else(|| {
        let civil = jiff::civil::DateTime::from_str(text).ok()?;
        Some(civil.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

/// A page of the history: each call as it came, and the number there is in all where the server says it.
#[derive(Debug)]
pub struct Page {
    /// The calls, newest first.
    pub calls: Vec<(Box<RawValue>, Call)>,
    /// How many there are in all.
    pub total: Option<u64>,
}

#[derive(Deserialize)]
struct PageBody {
    #[serde(alias = "items")]
    calls: Vec<Box<RawValue>>,
    #[serde(default, deserialize_with = "or_none")]
    total: Option<u64>,
}

impl Page {
    fn parse(body: &[u8]) -> Option<Self> {
        let page: PageBody = super::client::object(body)?;
        let calls = page
            .calls
            .into_iter()
            .map(|raw| super::client::object(raw.get().as_bytes()).map(|call| (raw, call)))
            .collect::<Option<_>>()?;
        Some(Self { calls, total: page.total })
    }
}

impl Answer {
    /// The call that this answer to a POST is, if it is one.
    pub fn call(&self) -> Option<Call> {
        let call: Call =
            matches!(self.status, 200..=299).then(|| super::client::object(&self.body)).flatten()?;
        (!call.call_id.is_empty()).then_some(call)
    }

    /// The page of the history that this answer is.
    ///
    /// # Errors
    /// When it is none.
    pub fn page(self) -> Result<Document<Page>> {
        match Page::parse(&self.body) {
            Some(value) => Ok(Document { raw: self.body, value }),
            None => Err(self.unexpected()),
        }
    }

    /// The iCalendar file that this answer is, byte for byte.
    ///
    /// # Errors
    /// When it is none.
    pub fn calendar(self) -> Result<Vec<u8>> {
        if self.body.starts_with(b"BEGIN:VCALENDAR") { Ok(self.body) } else { Err(self.unexpected()) }
    }
}

impl<T: Tokens> Client<'_, T> {
    /// One call.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn call(&self, id: &CallId) -> Result<Document<Call>> {
        self.read(&["v1", "calls", id.as_str()], &[]).await
    }

    /// A page of the history; `limit` 1 to 200.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn history(&self, limit: u16, offset: Option<u64>) -> Result<Document<Page>> {
        let query: Query<'_> = &[
            ("limit", limit.to_string()),
            ("offset", offset.map(|offset| offset.to_string()).unwrap_or_default()),
        ];
        let members = if offset.is_some() { query } else { &query[..1] };
        self.get(&["v1", "calls"], members).await?.page()
    }

    /// A call's conversation, as it came.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn transcript(&self, id: &CallId) -> Result<Answer> {
        self.get(&["v1", "calls", id.as_str(), "transcript"], &[]).await
    }

    /// A call's appointment: the bytes of an iCalendar file.
    ///
    /// # Errors
    /// As [`Client::get`], and when the answer is no calendar.
    pub async fn calendar(&self, id: &CallId) -> Result<Vec<u8>> {
        self.get(&["v1", "calls", id.as_str(), "calendar.ics"], &[]).await?.calendar()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(json: &str) -> Call {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn both_forms_of_a_call_say_the_same() {
        let newer = call(
            r#"{"call_id":"a","status":"success","highlights":"Booked.",
                "metadata":{"created_at":"2027-01-28T20:00:00Z","ended_at":"2027-01-28T20:02:00+00:00"},
                "submission":{"respondent_phone":"+15551234567","business_name":"Bistro","task_description":"x"}}"#,
        );
        let older = call(
            r#"{"call_id":"a","status":"success","created_at":"2027-01-28T20:00:00.000000",
                "ended_at":"2027-01-28T20:02:00Z","to":"+15551234567","business_name":"Bistro",
                "result_summary":"Booked."}"#,
        );
        for seen in [&newer, &older] {
            assert_eq!(seen.number(), Some("+15551234567"));
            assert_eq!(seen.business(), Some("Bistro"));
            assert_eq!(seen.summary(), Some("Booked."));
            assert_eq!(seen.created_at().map(|t| t.to_string()).as_deref(), Some("2027-01-28T20:00:00Z"));
            assert!(seen.ended_at().is_some() && seen.is_over());
        }
    }

    #[test]
    fn a_null_or_odd_decoration_costs_only_itself() {
        let odd = call(
            r#"{"call_id":"a","status":null,"highlights":["one","two"],"next_steps":{"x":1},"duration_seconds":"12",
                "metadata":null,"submission":[],"created_at":5}"#,
        );
        assert_eq!(odd.summary(), Some("one\ntwo"));
        assert_eq!((odd.next_steps.as_deref(), odd.duration_seconds, odd.created_at()), (None, None, None));
    }

    #[test]
    fn an_unknown_status_without_an_end_is_still_running() {
        assert!(!call(r#"{"call_id":"a","status":"in_progress"}"#).is_over());
        assert!(!call(r#"{"call_id":"a"}"#).is_over());
        assert!(call(r#"{"call_id":"a","status":"archived","ended_at":"2027-01-28T20:00:00Z"}"#).is_over());
        assert!(call(r#"{"call_id":"a","status":"no_answer"}"#).is_over());
    }

    #[test]
    fn a_call_is_matched_by_number_and_task_or_left_open() {
        let listed = call(
            r#"{"call_id":"a","submission":{"respondent_phone":"+1 555 123 4567","task_description":"Ask  for\nhours"}}"#,
        );
        assert_eq!(listed.is_for("+15551234567", " Ask for hours "), Some(true));
        assert_eq!(listed.is_for("+15551234567", "Ask"), Some(false));
        assert_eq!(call(r#"{"call_id":"a","to":"+15551234567"}"#).is_for("+15551234567", "Ask"), None);
        assert_eq!(call(r#"{"call_id":"a","to":"+15550000000"}"#).is_for("+15551234567", "Ask"), Some(false));
    }

    #[test]
    fn a_page_holds_calls_or_items() {
        let newer = Page::parse(br#"{"calls":[{"call_id":"a","n":1.10}],"total":7}"#).expect("a page");
        assert_eq!((newer.calls[0].0.get(), newer.total), (r#"{"call_id":"a","n":1.10}"#, Some(7)));
        assert_eq!(Page::parse(br#"{"items":[]}"#).expect("a page").total, None);
        for other in
            [&b"[]"[..], b"{}", br#"{"calls":{}}"#, br#"{"calls":[{}]}"#, br#"{"calls":["a"]}"#, b"<html>"]
        {
            assert!(Page::parse(other).is_none(), "{:?}", String::from_utf8_lossy(other));
        }
    }
}
