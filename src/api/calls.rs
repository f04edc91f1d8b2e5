//! The routes of calls, and their responses in the forms that were seen.

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

/// A call, in the newer form (`metadata`, `submission`) or the older one (all at the top level). Only
/// the ID is certain.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    /// As the service wrote it. A route needs a [`CallId`].
    pub call_id: String,
    pub status: Lenient<Option<CallStatus>>,
    pub next_steps: Text,
    /// Of the conversation.
    pub duration_seconds: Lenient<Option<f64>>,
    /// The appointment's, an IANA name.
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

/// The submission as the service repeats it.
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
    /// Of the report.
    pub language: Text,
    /// Spoken on the call.
    pub call_language: Text,
    pub is_urgent: Lenient<Option<bool>>,
    /// One on each line.
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

    /// `unknown` if the service sent none.
    pub fn status_name(&self) -> &str {
        self.status.as_ref().map_or("unknown", CallStatus::as_str)
    }

    /// Whether it is running. With an unknown status or none, it is running unless it has an end, a
    /// duration or a result.
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

    /// The appointment asked for, if the service repeats its date: the end of the day without a time.
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

    /// The result, in the service's words.
    pub fn summary(&self) -> Option<&str> {
        let newer = self.highlights.as_deref();
        newer.or(self.result_summary.as_deref())
    }
}

/// RFC 3339. Without an offset, as Python servers may write it, it is UTC.
fn timestamp(text: &str) -> Option<Timestamp> {
    let utc = || format!("{text}Z").parse();
    text.parse().or_else(|_| utc()).ok()
}

/// A page of the history.
#[derive(Debug)]
pub struct Page {
    /// Newest first, each as it came and as parsed.
    pub calls: Vec<(Box<RawValue>, Call)>,
    /// The number of items, with those that can't be read.
    pub len: usize,
    /// The number of calls in the whole history, if the service says so.
    pub total: Option<u64>,
    /// The service's clock.
    pub date: Option<Timestamp>,
}

impl Page {
    fn parse(body: &[u8], date: Option<Timestamp>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            calls: Lenient<Option<Vec<Box<RawValue>>>>,
            /// The list's older name. A service may send both.
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
        // An item that can't be read hides no other.
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

    /// Whether there are items and none can be read.
    fn is_unreadable(&self) -> bool {
        self.len > 0 && self.calls.is_empty()
    }
}

impl Response {
    /// The call in this 2xx response, if it holds one with an ID.
    pub fn call(&self) -> Option<Parsed<Call>> {
        let value: Call = object(&self.body).filter(|_| self.is_success())?;
        value.call_id.parse::<CallId>().ok()?;
        let raw = self.body.clone();
        Some(Parsed { value, raw })
    }

    /// The call in this response, which must be the one that was asked for.
    pub fn this_call(self, id: &CallId) -> Result<Parsed<Call>> {
        let is_it = |call: &Parsed<Call>| call.value.call_id.eq_ignore_ascii_case(id.as_str());
        self.call().filter(is_it).ok_or_else(|| self.unexpected())
    }

    /// The page of the history in this response.
    pub fn page(self) -> Result<Parsed<Page>> {
        let page = Page::parse(&self.body, self.date);
        self.parsed(page.filter(|page| !page.is_unreadable()))
    }

    /// The iCalendar file in this response, with CRLF line ends.
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

/// `limit` is 1 to 200.
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

    fn call(members: &str) -> Call {
        let json = format!(r#"{{"call_id":"a",{members}}}"#);
        object(json.as_bytes()).expect(&json)
    }

    fn page(json: &str) -> Option<Page> {
        Page::parse(json.as_bytes(), None)
    }

    #[test]
    fn both_forms_of_a_call_mean_the_same() {
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
    fn unknown_status_is_running_without_an_end() {
        for (members, is_running) in [
            (r#""status":null"#, true),
            (r#""status":"archived","highlights":"","ended_at":"""#, true),
            (r#""status":"ringing","highlights":"Talking.""#, true),
            (r#""status":"archived","ended_at":"?""#, false),
            (r#""status":"archived","duration_seconds":3"#, false),
            (r#""result_summary":"Booked.""#, false),
            (r#""status":"terminated""#, false),
        ] {
            assert_eq!(call(members).is_running(), is_running, "{members}");
        }
    }

    #[test]
    fn page_has_calls_or_items() {
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
    fn bad_item_hides_no_other() {
        let items = r#"{"calls":[{"call_id":null},{"call_id":"a\ud83d"},7,{"call_id":"b"}]}"#;
        let mixed = page(items).expect("a page");
        assert_eq!((mixed.calls.len(), mixed.len), (2, 4));
        assert!(page(r#"{"calls":[{}]}"#).expect("a page").is_unreadable());
    }

    #[test]
    fn calendar_is_whole_and_ends_lines_with_crlf() {
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
