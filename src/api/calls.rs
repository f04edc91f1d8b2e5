//! URLs of calls, and parsing of every call format that the API is known to return.

use std::ops::Deref;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::response::{Parsed, Response, object};
use crate::domain::{ApiBase, CallId, CallRequest, CallStatus, dialed};
use crate::error::Result;

/// A call, in the newer format (`metadata`, `submission`) or the older one (all fields at the top
/// level). Only the ID is guaranteed: any other field may be missing, null or of the wrong type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Call {
    /// The ID exactly as the service sent it. Parse it as a [`CallId`] before using it in a URL.
    pub call_id: String,
    #[serde(flatten)]
    pub fields: Fields,
}

impl Deref for Call {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl Call {
    pub fn created_at(&self) -> Option<Timestamp> {
        timestamp(
            self.text("/metadata/created_at")
                .or(self.text("/created_at"))?,
        )
    }

    pub fn ended_at(&self) -> Option<Timestamp> {
        timestamp(self.end()?)
    }

    fn end(&self) -> Option<&str> {
        self.text("/metadata/ended_at").or(self.text("/ended_at"))
    }

    pub fn status(&self) -> Option<CallStatus> {
        self.text("/status").map(CallStatus::new)
    }

    /// Returns the API's name for the status, or `unknown` if the response has no status.
    pub fn status_name(&self) -> String {
        let status = self.status();
        status.map_or("unknown".into(), |status| status.as_str().to_owned())
    }

    /// Returns whether the call is still running. A call with a missing or unknown status
    /// counts as running until it has an end time, a duration or a result.
    pub fn is_running(&self) -> bool {
        let is_known_to_run = self.status().and_then(|status| status.is_running());
        is_known_to_run.unwrap_or_else(|| {
            self.end().is_none() && self.seconds().is_none() && self.summary().is_none()
        })
    }

    pub fn is_success(&self) -> bool {
        self.status().is_some_and(|status| status.is_success())
    }

    /// Returns the duration of the conversation in seconds.
    pub fn seconds(&self) -> Option<f64> {
        self.value("/duration_seconds")?.as_f64()
    }

    pub fn summary(&self) -> Option<&str> {
        self.text("/highlights").or(self.text("/result_summary"))
    }
}

/// The fields of a call, from a request body or a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(Value);

impl Fields {
    pub fn of_request(request: &CallRequest) -> Self {
        Self(request.body())
    }

    pub fn to_json(&self) -> String {
        self.0.to_string()
    }

    /// Returns the field at a JSON pointer such as `/submission/party_size`.
    pub fn value(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// Returns the text at a JSON pointer, unless it is blank.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        let text = self.value(pointer)?.as_str()?;
        Some(text).filter(|text| !text.trim().is_empty())
    }

    /// Returns the requested appointment time, or the end of the day if there is only a date.
    /// Returns `None` if there is no date, which the service may leave out.
    pub fn appointment(&self) -> Option<Timestamp> {
        let date: civil::Date = self.text("/submission/appointment_date")?.parse().ok()?;
        let time = self.text("/submission/appointment_time");
        let time = time.and_then(|time| time.parse().ok());
        let zone = self.text("/timezone");
        let zone = zone.and_then(|zone| TimeZone::get(zone).ok());
        let local = date.to_datetime(time.unwrap_or(civil::time(23, 59, 0, 0)));
        zone.unwrap_or(TimeZone::UTC).to_timestamp(local).ok()
    }

    pub fn number(&self) -> Option<&str> {
        self.text("/submission/respondent_phone")
            .or(self.text("/to"))
    }

    /// Returns the digits of the number, for comparison with other numbers.
    pub fn dialed(&self) -> Option<String> {
        self.number().map(dialed)
    }

    pub fn business(&self) -> Option<&str> {
        self.text("/submission/business_name")
            .or(self.text("/business_name"))
    }

    pub fn task(&self) -> Option<&str> {
        self.text("/submission/task_description")
    }

    pub fn party_size(&self) -> Option<u32> {
        let people = self.value("/submission/party_size")?.as_u64()?;
        people.try_into().ok()
    }
}

/// Parses an RFC 3339 timestamp. Assumes UTC if there is no offset: Python servers may omit it.
fn timestamp(text: &str) -> Option<Timestamp> {
    let utc = || format!("{text}Z").parse();
    text.parse().or_else(|_| utc()).ok()
}

#[derive(Debug)]
pub struct Page {
    /// The valid calls, newest first, each as raw JSON and as a parsed [`Call`].
    pub calls: Vec<(Box<RawValue>, Call)>,
    /// Number of items on the page, including invalid ones.
    pub len: usize,
    /// Number of calls in the whole history, if the service reports it.
    pub total: Option<u64>,
    /// Time of the response, according to the service's clock.
    pub date: Option<Timestamp>,
}

impl Page {
    fn parse(body: &[u8], date: Option<Timestamp>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(alias = "items")]
            calls: Vec<Box<RawValue>>,
            #[serde(default)]
            total: Value,
        }
        let page: Body = object(body)?;
        let len = page.calls.len();
        // Skip invalid items instead of rejecting the whole page.
        let calls = page.calls.into_iter().filter_map(|raw| {
            let call = object(raw.get().as_bytes())?;
            Some((raw, call))
        });
        Some(Self {
            calls: calls.collect(),
            len,
            total: page.total.as_u64(),
            date,
        })
    }
}

impl Response {
    /// Returns the call in this response if it has a valid ID. In a response other than 2xx, only an
    /// object with a known call status is a call. Otherwise, it may describe an error.
    pub fn call(&self) -> Option<Parsed<Call>> {
        let value: Call = object(&self.body)?;
        value.call_id.parse::<CallId>().ok()?;
        let status = value.status().and_then(|status| status.is_running());
        if !self.is_success() && (status.is_none() || value.value("/error").is_some()) {
            return None;
        }
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

    pub fn page(self) -> Result<Parsed<Page>> {
        let page = Page::parse(&self.body, self.date);
        let is_valid = |page: &Page| page.len == 0 || !page.calls.is_empty();
        self.parsed(page.filter(is_valid))
    }

    /// Returns the iCalendar file in this response, with its line endings converted to CRLF.
    pub fn calendar(self) -> Result<Vec<u8>> {
        let file = self.body.trim_ascii_end();
        if !file.starts_with(b"BEGIN:VCALENDAR") || !file.ends_with(b"END:VCALENDAR") {
            return Err(self.unexpected());
        }
        // Split at both CR and LF, then drop empty lines, including those between a CR and its LF.
        let lines = file.split(|b| b"\r\n".contains(b));
        let lines = lines.filter(|line| !line.is_empty());
        Ok(lines.flat_map(|line| [line, b"\r\n"].concat()).collect())
    }
}

/// Returns the URL for a page of the call history. The API accepts a `limit` from 1 to 200.
pub fn history_url(base: &ApiBase, limit: u16, offset: u64) -> Url {
    let mut url = base.route(&["v1", "calls"]);
    let query = match offset {
        0 => format!("limit={limit}"),
        _ => format!("limit={limit}&offset={offset}"),
    };
    url.set_query(Some(&query));
    url
}

/// Returns the URL of a call or, if `part` is set, of its `transcript` or `calendar.ics`.
pub fn call_url(base: &ApiBase, id: &CallId, part: Option<&str>) -> Url {
    let route = ["v1", "calls", id.as_str()].into_iter().chain(part);
    base.route(&route.collect::<Vec<_>>())
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
    fn older_and_newer_formats_give_the_same_call() {
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
    fn call_with_unknown_status_is_running_until_it_has_a_result() {
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
    fn history_page_may_list_calls_under_calls_or_items() {
        let newer = page(r#"{"calls":[{"call_id":"a","n":1.10}],"total":7}"#).expect("a page");
        assert_eq!(newer.calls[0].0.get(), r#"{"call_id":"a","n":1.10}"#);
        assert_eq!(newer.total, Some(7));
        let older = page(r#"{"items":[{"call_id":"a"}]}"#).expect("a page");
        assert_eq!((older.len, older.total), (1, None));
        for other in r#"[] {} {"calls":{}} {"calls":null} <html>"#.split(' ') {
            assert!(page(other).is_none(), "{other}");
        }
    }

    #[test]
    fn invalid_history_items_are_skipped() {
        let items = r#"{"calls":[{"call_id":null},{"call_id":"a\ud83d"},7,{"call_id":"b"}]}"#;
        let mixed = page(items).expect("a page");
        assert_eq!((mixed.calls.len(), mixed.len), (2, 4));
        assert!(Response::of(200, r#"{"calls":[{}]}"#).page().is_err());
    }

    #[test]
    fn calendar_must_be_complete_and_gets_crlf_line_endings() {
        let calendar = |body: &str| Response::of(200, body).calendar();
        for body in [
            "BEGIN:VCALENDAR\nX:1\nEND:VCALENDAR",
            "BEGIN:VCALENDAR\rX:1\r\rEND:VCALENDAR\r",
            "BEGIN:VCALENDAR\r\nX:1\nEND:VCALENDAR\r\n \n",
        ] {
            let expected = b"BEGIN:VCALENDAR\r\nX:1\r\nEND:VCALENDAR\r\n";
            assert_eq!(calendar(body).expect("a calendar"), expected);
        }
        for body in ["", "<html>", "BEGIN:VCALENDAR\nX:1", "{}\nEND:VCALENDAR"] {
            assert!(calendar(body).is_err(), "{body}");
        }
    }
}
