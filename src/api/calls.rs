//! The routes of calls: what the API answers, in the forms that were seen.

use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, Parsed, Query, TokenProvider};
use super::error::Error;
use super::http::Response;
use super::lenient::{or_none, text_or_lines};
use crate::domain::{CallId, CallStatus};

/// A call, in the newer form (`metadata`, `submission`) or the older (all at the top level). Only the ID is certain.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    /// The ID as the server gave it; it becomes a [`CallId`] when a route is made of it.
    pub call_id: String,
    /// How it stands.
    #[serde(default, deserialize_with = "or_none")]
    pub status: Option<CallStatus>,
    /// The result, in the service's words.
    #[serde(default, deserialize_with = "text_or_lines")]
    pub highlights: Option<String>,
    /// What is left to do.
    #[serde(default, deserialize_with = "text_or_lines")]
    pub next_steps: Option<String>,
    /// How long was spoken, in seconds.
    #[serde(default, deserialize_with = "or_none")]
    pub duration_seconds: Option<f64>,
    /// The zone of the appointment, an IANA name.
    #[serde(default, deserialize_with = "text_or_lines")]
    pub timezone: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    metadata: Option<Timestamps>,
    #[serde(default, deserialize_with = "or_none")]
    submission: Option<SubmissionEcho>,
    #[serde(default, deserialize_with = "text_or_lines")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "text_or_lines")]
    ended_at: Option<String>,
    #[serde(default, deserialize_with = "text_or_lines")]
    to: Option<String>,
    #[serde(default, deserialize_with = "text_or_lines")]
    business_name: Option<String>,
    #[serde(default, deserialize_with = "text_or_lines")]
    result_summary: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Timestamps {
    #[serde(deserialize_with = "text_or_lines")]
    created_at: Option<String>,
    #[serde(deserialize_with = "text_or_lines")]
    ended_at: Option<String>,
}

/// The submission as the service repeats it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SubmissionEcho {
    /// The kind of business.
    #[serde(deserialize_with = "text_or_lines")]
    pub task_category: Option<String>,
    /// The task.
    #[serde(deserialize_with = "text_or_lines")]
    pub task_description: Option<String>,
    /// The number that was called.
    #[serde(deserialize_with = "text_or_lines")]
    pub respondent_phone: Option<String>,
    /// The name of the business.
    #[serde(deserialize_with = "text_or_lines")]
    pub business_name: Option<String>,
    /// The name to book under.
    #[serde(deserialize_with = "text_or_lines")]
    pub user_name: Option<String>,
    /// The user's own number.
    #[serde(deserialize_with = "text_or_lines")]
    pub user_phone: Option<String>,
    /// Number of people.
    #[serde(deserialize_with = "or_none")]
    pub party_size: Option<u32>,
    /// Day of the appointment, `YYYY-MM-DD`.
    #[serde(deserialize_with = "text_or_lines")]
    pub appointment_date: Option<String>,
    /// Time of the appointment, `HH:MM`.
    #[serde(deserialize_with = "text_or_lines")]
    pub appointment_time: Option<String>,
    /// When it suits.
    #[serde(deserialize_with = "text_or_lines")]
    pub time_preference_text: Option<String>,
    /// Language of the report.
    #[serde(deserialize_with = "text_or_lines")]
    pub language: Option<String>,
    /// Language that is spoken on the phone.
    #[serde(deserialize_with = "text_or_lines")]
    pub call_language: Option<String>,
    /// Whether it is urgent.
    #[serde(deserialize_with = "or_none")]
    pub is_urgent: Option<bool>,
    /// Further instructions, one on each line.
    #[serde(deserialize_with = "text_or_lines")]
    pub additional_instructions: Option<String>,
}

impl Call {
    /// When it was requested.
    pub fn created_at(&self) -> Option<Timestamp> {
        let nested = self.metadata.as_ref().and_then(|times| times.created_at.as_deref());
        timestamp(nested.or(self.created_at.as_deref()))
    }

    /// When it ended, as the server wrote it.
    fn ended(&self) -> Option<&str> {
        self.metadata.as_ref().and_then(|times| times.ended_at.as_deref()).or(self.ended_at.as_deref())
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        timestamp(self.ended())
    }

    /// The name of its status; `unknown` where it has not said how it stands.
    pub fn status_name(&self) -> &str {
        self.status.as_ref().map_or("unknown", CallStatus::as_str)
    }

    /// Whether its status says that it goes on.
    pub fn is_named_running(&self) -> bool {
        matches!(self.status, Some(CallStatus::Running(_)))
    }

    /// Whether it goes on. A status that is unknown or absent decides nothing: then an end, a duration or a result
    /// shows that it is over.
    pub fn is_running(&self) -> bool {
        match &self.status {
            Some(CallStatus::Running(_)) => true,
            None | Some(CallStatus::Other(_)) => {
                self.ended().is_none() && self.duration_seconds.is_none() && self.summary().is_none()
            }
            Some(
                CallStatus::Success
                | CallStatus::NoAnswer
                | CallStatus::Busy
                | CallStatus::Failed
                | CallStatus::Voicemail
                | CallStatus::Cancelled
                | CallStatus::Terminated,
            ) => false,
        }
    }

    /// Whether it did what it was to do.
    pub fn is_success(&self) -> bool {
        self.status == Some(CallStatus::Success)
    }

    /// What was asked for, where the service repeats it.
    pub fn submission(&self) -> Option<&SubmissionEcho> {
        self.submission.as_ref()
    }

    /// The number that was called.
    pub fn number(&self) -> Option<&str> {
        self.submission.as_ref().and_then(|echo| echo.respondent_phone.as_deref()).or(self.to.as_deref())
    }

    /// The business that was called.
    pub fn business(&self) -> Option<&str> {
        let nested = self.submission.as_ref().and_then(|echo| echo.business_name.as_deref());
        nested.or(self.business_name.as_deref())
    }

    /// What was asked for.
    pub fn task(&self) -> Option<&str> {
        self.submission.as_ref().and_then(|echo| echo.task_description.as_deref())
    }

    /// The result, in the service's words.
    pub fn summary(&self) -> Option<&str> {
        self.highlights.as_deref().or(self.result_summary.as_deref())
    }
}

/// RFC 3339; a time without an offset is taken as UTC, which is what Python servers leave out.
fn timestamp(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    Timestamp::from_str(text).ok().or_else(|| {
        let civil = jiff::civil::DateTime::from_str(text).ok()?;
        Some(civil.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

/// A page of the history.
#[derive(Debug)]
pub struct Page {
    /// The calls, newest first, each as it came and as far as this program understands it.
    pub calls: Vec<(Box<RawValue>, Call)>,
    /// How many items there were, with those that cannot be read.
    pub len: usize,
    /// How many calls there are in all, where the service says it.
    pub total: Option<u64>,
    /// The service's clock, where it says it.
    pub date: Option<Timestamp>,
}

#[derive(Deserialize)]
struct PageBody {
    #[serde(default, deserialize_with = "or_none")]
    calls: Option<Vec<Box<RawValue>>>,
    /// The list's other name. A service that changes from one to the other may send both.
    #[serde(default, deserialize_with = "or_none")]
    items: Option<Vec<Box<RawValue>>>,
    #[serde(default, deserialize_with = "or_none")]
    total: Option<u64>,
}

impl Page {
    fn parse(body: &[u8]) -> Option<Self> {
        let page: PageBody = super::client::object(body)?;
        let items = match (page.calls, page.items) {
            (Some(calls), Some(items)) if calls.is_empty() => items,
            (Some(list), _) | (None, Some(list)) => list,
            (None, None) => return None,
        };
        let len = items.len();
        // One item that cannot be read must not hide the others.
        let calls: Vec<_> = items
            .into_iter()
            .filter_map(|raw| super::client::object(raw.get().as_bytes()).map(|call| (raw, call)))
            .collect();
        Some(Self { calls, len, total: page.total, date: None })
    }

    /// Whether there are items, and none of them can be read.
    pub fn is_unreadable(&self) -> bool {
        self.len > 0 && self.calls.is_empty()
    }
}

impl Response {
    /// The call that this response to a POST is, if it is one.
    pub fn call(&self) -> Option<Call> {
        let call: Call =
            matches!(self.status, 200..=299).then(|| super::client::object(&self.body)).flatten()?;
        // Without an ID that can be asked for, nothing that follows is possible.
        call.call_id.parse::<CallId>().is_ok().then_some(call)
    }

    /// The page of the history that this response is.
    ///
    /// # Errors
    /// When it is none, or nothing on it can be read.
    pub fn page(self) -> Result<Parsed<Page>, Error> {
        let value = self.any_page()?;
        if value.is_unreadable() { Err(self.unexpected()) } else { Ok(Parsed { value, raw: self.body }) }
    }

    /// The same, though nothing on it can be read: there are other pages.
    ///
    /// # Errors
    /// When it is none.
    pub fn any_page(&self) -> Result<Page, Error> {
        let page = Page::parse(&self.body).ok_or_else(|| self.unexpected())?;
        Ok(Page { date: self.date, ..page })
    }

    /// The iCalendar file that this response is, byte for byte.
    ///
    /// # Errors
    /// When it is none.
    pub fn calendar(self) -> Result<Vec<u8>, Error> {
        if self.body.starts_with(b"BEGIN:VCALENDAR") { Ok(self.body) } else { Err(self.unexpected()) }
    }
}

impl<T: TokenProvider> Client<'_, T> {
    /// One call, as the service answers it.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn call(&self, id: &CallId) -> Result<Parsed<Call>, T::Error> {
        self.read(&["v1", "calls", id.as_str()], &[]).await
    }

    /// One call, and no other.
    ///
    /// # Errors
    /// As [`Client::read`], and when the answer is about another call: a cache or a connection that is out of step.
    pub async fn this_call(&self, id: &CallId) -> Result<Parsed<Call>, T::Error> {
        let call = self.call(id).await?;
        if !call.value.call_id.eq_ignore_ascii_case(id.as_str()) {
            return Err(Error::UnexpectedResponse { status: 200, excerpt: "another call".into() }.into());
        }
        Ok(call)
    }

    /// A page of the history; `limit` 1 to 200.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn history(&self, limit: u16, offset: Option<u64>) -> Result<Parsed<Page>, T::Error> {
        Ok(self.history_response(limit, offset).await?.page()?)
    }

    /// A page of the history as it came, which is smaller than what it says.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn history_response(&self, limit: u16, offset: Option<u64>) -> Result<Response, T::Error> {
        let query: Query<'_> = &[
            ("limit", limit.to_string()),
            ("offset", offset.map(|offset| offset.to_string()).unwrap_or_default()),
        ];
        let members = if offset.is_some() { query } else { &query[..1] };
        self.get(&["v1", "calls"], members).await
    }

    /// A call's conversation, as it came.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn transcript(&self, id: &CallId) -> Result<Response, T::Error> {
        self.get(&["v1", "calls", id.as_str(), "transcript"], &[]).await
    }

    /// A call's appointment: the bytes of an iCalendar file.
    ///
    /// # Errors
    /// As [`Client::get`], and when the answer is no calendar.
    pub async fn calendar(&self, id: &CallId) -> Result<Vec<u8>, T::Error> {
        Ok(self.get(&["v1", "calls", id.as_str(), "calendar.ics"], &[]).await?.calendar()?)
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
            assert!(seen.ended_at().is_some() && !seen.is_running());
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
    fn a_call_is_running_by_its_status_or_by_the_absence_of_an_end() {
        let running = |json: &str| call(&format!(r#"{{"call_id":"a"{json}}}"#)).is_running();
        for json in [
            "",
            r#","status":null"#,
            r#","status":"archived""#,
            r#","status":"in_progress""#,
            r#","status":"ringing","duration_seconds":3.0,"highlights":"Talking.""#,
            r#","status":"queued","ended_at":"2027-01-28T20:00:00Z""#,
        ] {
            assert!(running(json), "{json}");
        }
        for json in [
            r#","status":"archived","ended_at":"2027-01-28T20:00:00Z""#,
            r#","status":"archived","duration_seconds":3"#,
            r#","highlights":"Booked.""#,
            r#","result_summary":"Booked.""#,
            r#","status":"no_answer""#,
            r#","status":"terminated""#,
        ] {
            assert!(!running(json), "{json}");
        }
    }

    #[test]
    fn a_page_holds_calls_or_items() {
        let newer = Page::parse(br#"{"calls":[{"call_id":"a","n":1.10}],"total":7}"#).expect("a page");
        assert_eq!((newer.calls[0].0.get(), newer.total), (r#"{"call_id":"a","n":1.10}"#, Some(7)));
        assert_eq!(Page::parse(br#"{"items":[]}"#).expect("a page").total, None);
        let one = r#"[{"call_id":"a"}]"#;
        for (calls, items) in [(one, "null"), ("null", one), (one, "[]"), ("[]", one), (one, one)] {
            let both = format!(r#"{{"calls":{calls},"items":{items}}}"#);
            assert_eq!(Page::parse(both.as_bytes()).expect("a page").len, 1, "{both}");
        }
        for other in [&b"[]"[..], b"{}", br#"{"calls":{}}"#, br#"{"calls":null}"#, b"<html>"] {
            assert!(Page::parse(other).is_none(), "{:?}", String::from_utf8_lossy(other));
        }
        for half in [r#"{"call_id":"a\ud83d"}"#, r#"{"call_id":"a","b\ud83d":1}"#] {
            let page = Page::parse(format!(r#"{{"calls":[{half}]}}"#).as_bytes()).expect("a page");
            assert_eq!(page.calls.len(), 1, "{half}");
        }
        let mixed = Page::parse(br#"{"calls":[{"call_id":null},{"call_id":"a"},7]}"#).expect("a page");
        assert_eq!((mixed.calls.len(), mixed.len), (1, 3), "one bad item does not hide the others");
        let unreadable = |body| Page::parse(body).expect("a page").is_unreadable();
        assert!(
            unreadable(br#"{"calls":[{}]}"#)
                && unreadable(br#"{"calls":["a"]}"#)
                && !unreadable(br#"{"calls":[]}"#)
        );
    }
}
