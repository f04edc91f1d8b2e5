//! Call routes, and every response format that the API has been seen to send.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::lenient::{Lenient, Text};
use super::response::{Parsed, Response, object};
use crate::domain::{ApiBase, CallId, CallStatus};
use crate::error::Result;

/// A call, in the newer format (`metadata`, `submission`) or the older one (all fields at the top
/// level). Only the ID is guaranteed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    /// The ID exactly as the service sent it. A URL needs a parsed [`CallId`].
    pub call_id: String,
    pub status: Lenient<Option<CallStatus>>,
    pub next_steps: Text,
    /// Length of the conversation.
    pub duration_seconds: Lenient<Option<f64>>,
    /// Time zone of the appointment, as an IANA name.
    pub timezone: Text,
    pub submission: Lenient<SubmissionEcho>,
    highlights: Text,
    metadata: Lenient<Timestamps>,
    created_at: Text,
    ended_at: Text,
    to: Text,
    business_name: Text,
    result_summary: Text,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Timestamps {
    created_at: Text,
    ended_at: Text,
}

/// The submission as the service echoes it back.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct SubmissionEcho {
    pub task_category: Text,
    pub task_description: Text,
    pub respondent_phone: Text,
    pub business_name: Text,
    pub user_name: Text,
    pub user_phone: Text,
    pub party_size: Lenient<Option<u32>>,
    pub appointment_date: Text,
    pub appointment_time: Text,
    pub time_preference_text: Text,
    /// Language of the report.
    pub language: Text,
    /// Language spoken on the call.
    pub call_language: Text,
    pub is_urgent: Lenient<Option<bool>>,
    /// One instruction per line.
    pub additional_instructions: Text,
}

impl Call {
    pub fn created_at(&self) -> Option<Timestamp> {
        let newer = self.metadata.created_at.as_deref();
        timestamp(newer.or(self.created_at.as_deref())?)
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        timestamp(self.end()?)
    }

    fn end(&self) -> Option<&str> {
        let newer = self.metadata.ended_at.as_deref();
        newer.or(self.ended_at.as_deref())
    }

    /// Returns the status as the API names it, or `unknown` if the service sent none.
    pub fn status_name(&self) -> &str {
        self.status.as_ref().map_or("unknown", CallStatus::as_str)
    }

    /// Returns whether the call is still running. If its status is missing or unknown, it counts as
    /// running until it has an end time, a duration or a result.
    pub fn is_running(&self) -> bool {
        match &self.status.0 {
            Some(CallStatus::Running(_)) => true,
            Some(CallStatus::Other(_)) | None => {
                self.end().is_none() && self.duration_seconds.is_none() && self.summary().is_none()
            }
            Some(_) => false,
        }
    }

    pub fn is_success(&self) -> bool {
        self.status.0 == Some(CallStatus::Success)
    }

    /// Returns the requested appointment, if the service echoed its date. Without a time, returns
    /// the end of that day.
    pub fn appointment(&self) -> Option<Timestamp> {
        let echo = &self.submission;
        let date: civil::Date = echo.appointment_date.as_deref()?.parse().ok()?;
        let time = echo.appointment_time.as_deref();
        let time = time.and_then(|time| time.parse().ok());
        let zone = self.timezone.as_deref();
        let zone = zone.and_then(|zone| TimeZone::get(zone).ok());
        let local = date.to_datetime(time.unwrap_or(civil::time(23, 59, 0, 0)));
        zone.unwrap_or(TimeZone::UTC).to_timestamp(local).ok()
    }

    pub fn number(&self) -> Option<&str> {
        let newer = self.submission.respondent_phone.as_deref();
        newer.or(self.to.as_deref())
    }

    pub fn business(&self) -> Option<&str> {
        let newer = self.submission.business_name.as_deref();
        newer.or(self.business_name.as_deref())
    }

    pub fn task(&self) -> Option<&str> {
        self.submission.task_description.as_deref()
    }

    /// Returns the service's summary of the result.
    pub fn summary(&self) -> Option<&str> {
        let newer = self.highlights.as_deref();
        newer.or(self.result_summary.as_deref())
    }
}

/// Parses an RFC 3339 timestamp. Without an offset, as Python servers may write it, it is in UTC.
fn timestamp(text: &str) -> Option<Timestamp> {
    let utc = || format!("{text}Z").parse();
    text.parse().or_else(|_| utc()).ok()
}

/// A page of the call history.
#[derive(Debug)]
pub struct Page {
    /// The readable calls, newest first, as raw JSON and parsed.
    pub calls: Vec<(Box<RawValue>, Call)>,
    /// Number of items, including unreadable ones.
    pub len: usize,
    /// Number of calls in the whole history, if the service sends it.
    pub total: Option<u64>,
    /// Time of the response by the service's clock.
    pub date: Option<Timestamp>,
}

impl Page {
    fn parse(body: &[u8], date: Option<Timestamp>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            calls: Lenient<Option<Vec<Box<RawValue>>>>,
            /// The older name of `calls`. A response may contain both.
            items: Lenient<Option<Vec<Box<RawValue>>>>,
            total: Lenient<Option<u64>>,
        }
        let page: Body = object(body)?;
        let items = match (page.calls.0, page.items.0) {
            (Some(calls), Some(items)) if calls.is_empty() => items,
            (Some(list), _) | (None, Some(list)) => list,
            (None, None) => return None,
        };
        let len = items.len();
        // One unreadable item must not hide the others.
        let calls = items.into_iter().filter_map(|raw| {
            let call = object(raw.get().as_bytes())?;
            Some((raw, call))
        });
        Some(Self {
            calls: calls.collect(),
            len,
            total: page.total.0,
            date,
        })
    }

    /// Returns whether there are items but none can be read.
    fn is_unreadable(&self) -> bool {
        self.len > 0 && self.calls.is_empty()
    }
}

impl Response {
    /// Returns the call in this response, if it is a 2xx and contains a call with a valid ID.
    pub fn call(&self) -> Option<Parsed<Call>> {
        let value: Call = object(&self.body).filter(|_| self.is_success())?;
        value.call_id.parse::<CallId>().ok()?;
        let raw = self.body.clone();
        Some(Parsed { value, raw })
    }

    /// Returns the call in this response, or an error if its ID is not `id`.
    pub fn this_call(self, id: &CallId) -> Result<Parsed<Call>> {
        let is_requested =
            |call: &Parsed<Call>| call.value.call_id.eq_ignore_ascii_case(id.as_str());
        self.call()
            .filter(is_requested)
            .ok_or_else(|| self.unexpected())
    }

    /// Parses this response as a page of the call history.
    pub fn page(self) -> Result<Parsed<Page>> {
        let page = Page::parse(&self.body, self.date);
        self.parsed(page.filter(|page| !page.is_unreadable()))
    }

    /// Returns the iCalendar file in this response, with CRLF line endings.
    pub fn calendar(self) -> Result<Vec<u8>> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf");
        let file = body.unwrap_or(&self.body).trim_ascii_end();
        if !file.starts_with(b"BEGIN:VCALENDAR") || !file.ends_with(b"END:VCALENDAR") {
            return Err(self.unexpected());
        }
        let lines = file.split(|b| *b == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        Ok(lines.flat_map(|line| [line, b"\r\n"].concat()).collect())
    }
}

/// Returns the URL for a page of the call history. The API accepts a `limit` of 1 to 200.
pub fn history_url(base: &ApiBase, limit: u16, offset: u64) -> Url {
    let mut url = base.route(&["v1", "calls"]);
    let query = match offset {
        0 => format!("limit={limit}"),
        _ => format!("limit={limit}&offset={offset}"),
    };
    url.set_query(Some(&query));
    url
}

pub fn call_url(base: &ApiBase, id: &CallId) -> Url {
    base.route(&["v1", "calls", id.as_str()])
}

pub fn transcript_url(base: &ApiBase, id: &CallId) -> Url {
    base.route(&["v1", "calls", id.as_str(), "transcript"])
}

pub fn calendar_url(base: &ApiBase, id: &CallId) -> Url {
    base.route(&["v1", "calls", id.as_str(), "calendar.ics"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(fields: &str) -> Call {
        let json = format!(r#"{{"call_id":"a",{fields}}}"#);
        object(json.as_bytes()).expect(&json)
    }

    fn page(json: &str) -> Option<Page> {
        Page::parse(json.as_bytes(), None)
    }

    #[test]
    fn older_and_newer_call_formats_parse_alike() {
        for form in [
            r#""highlights":"Booked.","submission":{"respondent_phone":"+15551234567","business_name":"Bistro"},
               "metadata":{"created_at":"2027-01-28T20:00:00Z","ended_at":"2027-01-28T20:02:00+00:00"}"#,
            r#""created_at":"2027-01-28T20:00:00.000000","ended_at":"2027-01-28T20:02:00",
               "to":"+15551234567","business_name":"Bistro","result_summary":"Booked.","metadata":5"#,
        ] {
            let call = call(form);
            let called = (call.number(), call.business());
            assert_eq!(called, (Some("+15551234567"), Some("Bistro")));
            assert_eq!(call.summary(), Some("Booked."));
            assert_eq!(call.created_at(), "2027-01-28T20:00:00Z".parse().ok());
            assert_eq!(call.ended_at(), "2027-01-28T20:02:00Z".parse().ok());
        }
    }

    #[test]
    fn call_with_unknown_status_runs_until_it_has_a_result() {
        for (fields, is_running) in [
            (r#""status":null"#, true),
            (r#""status":"archived","highlights":"","ended_at":"""#, true),
            (r#""status":"ringing","highlights":"Talking.""#, true),
            (r#""status":"archived","ended_at":"?""#, false),
            (r#""status":"archived","duration_seconds":3"#, false),
            (r#""result_summary":"Booked.""#, false),
            (r#""status":"terminated""#, false),
        ] {
            assert_eq!(call(fields).is_running(), is_running, "{fields}");
        }
    }

    #[test]
    fn page_accepts_calls_or_items() {
        let newer = page(r#"{"calls":[{"call_id":"a","n":1.10}],"total":7}"#).expect("a page");
        assert_eq!(newer.calls[0].0.get(), r#"{"call_id":"a","n":1.10}"#);
        assert_eq!(newer.total, Some(7));
        let one = r#"[{"call_id":"a"}]"#;
        for (calls, items) in [
            (one, "7"),
            ("null", one),
            (one, "[]"),
            ("[]", one),
            (one, one),
        ] {
            let both = page(&format!(r#"{{"calls":{calls},"items":{items}}}"#));
            assert_eq!(both.expect("a page").len, 1, "{calls} {items}");
        }
        for other in r#"[] {} {"calls":{}} {"calls":null} <html>"#.split(' ') {
            assert!(page(other).is_none(), "{other}");
        }
    }

    #[test]
    fn unreadable_item_does_not_hide_the_others() {
        let items = r#"{"calls":[{"call_id":null},{"call_id":"a\ud83d"},7,{"call_id":"b"}]}"#;
        let mixed = page(items).expect("a page");
        assert_eq!((mixed.calls.len(), mixed.len), (2, 4));
        assert!(page(r#"{"calls":[{}]}"#).expect("a page").is_unreadable());
    }

    #[test]
    fn calendar_must_be_complete_and_gets_crlf_line_endings() {
        let calendar = |body: &str| Response::of(200, body).calendar();
        for body in [
            "BEGIN:VCALENDAR\nX:1\nEND:VCALENDAR",
            "\u{feff}BEGIN:VCALENDAR\r\nX:1\nEND:VCALENDAR\r\n \n",
        ] {
            let expected = b"BEGIN:VCALENDAR\r\nX:1\r\nEND:VCALENDAR\r\n";
            assert_eq!(calendar(body).expect("a calendar"), expected);
        }
        for body in ["", "<html>", "BEGIN:VCALENDAR\nX:1", "{}\nEND:VCALENDAR"] {
            assert!(calendar(body).is_err(), "{body}");
        }
    }
}
