//! The API's refusals, in the forms that were seen.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::lenient::{or_none, text_or_lines};

/// A refusal by the API: a 4xx with an error object, or a 402.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{}", self.sentence())]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The server's name for this very failure.
    pub correlation_id: Option<String>,
    code: Option<String>,
    message: Option<String>,
    reason: Option<String>,
    upgrade_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    error: Option<Box<RawValue>>,
    #[serde(deserialize_with = "text_or_lines")]
    plan_type: Option<String>,
    #[serde(deserialize_with = "or_none")]
    minutes_allocated: Option<f64>,
    #[serde(deserialize_with = "or_none")]
    minutes_used: Option<f64>,
    #[serde(deserialize_with = "text_or_lines")]
    upgrade_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorObject {
    #[serde(deserialize_with = "or_none")]
    code: Option<String>,
    #[serde(deserialize_with = "text_or_lines")]
    message: Option<String>,
    #[serde(deserialize_with = "or_none")]
    details: Option<Details>,
    #[serde(deserialize_with = "text_or_lines")]
    correlation_id: Option<String>,
}

impl ErrorObject {
    /// An object, or the bare code of a login that has ended. Another word may be a proxy's.
    fn parse(raw: &RawValue) -> Option<Self> {
        if raw.get().starts_with('{') {
            return serde_json::from_str(raw.get()).ok();
        }
        let code: String = serde_json::from_str(raw.get()).ok()?;
        (code == INVALID_GRANT).then(|| Self { code: Some(code), ..Self::default() })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    #[serde(deserialize_with = "text_or_lines")]
    message: Option<String>,
    #[serde(deserialize_with = "text_or_lines")]
    reason: Option<String>,
}

/// How OAuth 2 refuses a refresh token (RFC 6749, section 5.2).
const INVALID_GRANT: &str = "invalid_grant";

impl Refusal {
    /// The refusal in a body, if it holds one of the two documented forms.
    pub fn parse(status: u16, body: &[u8]) -> Option<Self> {
        // serde would also read a list as a struct.
        let body: ErrorBody = body
            .trim_ascii_start()
            .starts_with(b"{")
            .then(|| serde_json::from_slice(body).ok())
            .flatten()
            .unwrap_or_default();
        let empty = Self {
            status,
            correlation_id: None,
            code: None,
            message: None,
            reason: None,
            upgrade_url: body.upgrade_url,
        };
        match body.error.as_deref().and_then(ErrorObject::parse) {
            Some(ErrorObject { code, message, details, correlation_id }) => {
                let details = details.unwrap_or_default();
                Some(Self {
                    code: code.filter(|code| is_code(code)),
                    message: message.or(details.message),
                    reason: details.reason,
                    correlation_id,
                    ..empty
                })
            }
            None if status == 402 => {
                let message = quota(body.plan_type.as_deref(), body.minutes_used, body.minutes_allocated);
                Some(Self { message: Some(message), ..empty })
            }
            None => None,
        }
    }

    /// The API's stable name for the refusal.
    pub fn code(&self) -> &str {
        match &self.code {
            Some(code) => code,
            None => match self.status {
                401 => "missing_token",
                402 => "quota_exceeded",
                403 => "forbidden",
                _ => "refused",
            },
        }
    }

    /// Whether the service itself says so: another program's filter may answer with an object of the same form, but
    /// knows no code.
    pub fn is_definite(&self) -> bool {
        self.code.is_some()
    }

    /// Where the plan can be upgraded, if that is a page of the vendor's.
    pub fn upgrade_url(&self) -> Option<&str> {
        self.upgrade_url.as_deref().filter(|url| is_vendors_page(url))
    }

    fn sentence(&self) -> String {
        let message = match &self.message {
            Some(message) => message.clone(),
            None => meaning(self.code()).map_or_else(
                || format!("the service refused the request with status {}", self.status),
                str::to_owned,
            ),
        };
        match &self.reason {
            Some(reason) if !message.contains(reason.as_str()) => format!("{message} ({reason})"),
            _ => message,
        }
    }
}

/// Whether a text can be a code: programs match on it, and it stands in the middle of a sentence.
fn is_code(text: &str) -> bool {
    /// Twice the longest that was seen, in bytes.
    const LONGEST_CODE: usize = 64;
    (1..=LONGEST_CODE).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// An https address below kallyai.com, without anything that reads as more than an address.
fn is_vendors_page(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let is_vendor =
        url.host_str().is_some_and(|host| host == "kallyai.com" || host.ends_with(".kallyai.com"));
    is_vendor
        && url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && text.bytes().all(|b| b.is_ascii_graphic())
}

fn quota(plan: Option<&str>, used: Option<f64>, allocated: Option<f64>) -> String {
    let plan = plan.map(|plan| format!(" of the {plan} plan")).unwrap_or_default();
    match (used, allocated) {
        (Some(used), Some(allocated)) => {
            format!("the minutes{plan} are used up: {used:.1} of {allocated:.0}")
        }
        _ => format!("the minutes{plan} are used up"),
    }
}

/// What a code of the API means, in our words.
pub fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "quota_exceeded" => "the minutes of the plan are used up",
        "missing_phone_number" => "the request named no number to call",
        "emergency_number" => "emergency numbers cannot be called",
        "toll_number" => "premium-rate numbers cannot be called",
        "safety_violation" => "the task was refused as unsafe",
        "scheduling_violation" => "the date or time was refused",
        "consent_denied" => "consent was declined",
        "unsupported_language" => "that language is not supported",
        "blocked_number" | "suppression_violation" => "this number cannot be called",
        "country_restriction" | "unsupported_country" => "this country is not served",
        "forbidden" => "the login does not permit this",
        "missing_token" => "the service asks for a sign-in",
        "call_not_found" => "there is no such call",
        "transcript_not_found" => "there is no transcript of this call",
        "calendar_not_found" => "there is no appointment of this call",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_form_is_read_whole() {
        let body = br#"{"error":{"code":"safety_violation","message":"No.","details":{"message":"x","reason":"threat"},
                        "correlation_id":"c-1","new":1}}"#;
        let error = Refusal::parse(422, body).expect("an error object");
        assert_eq!(error.code(), "safety_violation");
        assert_eq!(error.to_string(), "No. (threat)");
        assert_eq!(error.correlation_id.as_deref(), Some("c-1"));
    }

    #[test]
    fn the_message_may_stand_in_the_details_or_nowhere() {
        let nested = Refusal::parse(422, br#"{"error":{"code":"x","details":{"message":"nested"}}}"#);
        assert_eq!(nested.expect("an error object").to_string(), "nested");
        let bare = Refusal::parse(404, br#"{"error":{"code":"call_not_found"}}"#).expect("an error object");
        assert_eq!(bare.to_string(), "there is no such call");
    }

    #[test]
    fn a_refusal_without_words_is_put_into_some() {
        let bare = |status, code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}"}}}}"#);
            Refusal::parse(status, body.as_bytes()).expect("an error object")
        };
        for code in [
            "quota_exceeded",
            "missing_phone_number",
            "emergency_number",
            "toll_number",
            "safety_violation",
            "scheduling_violation",
            "consent_denied",
            "unsupported_language",
            "blocked_number",
            "suppression_violation",
            "country_restriction",
            "unsupported_country",
            "forbidden",
            "missing_token",
            "call_not_found",
            "transcript_not_found",
        ] {
            assert!(!bare(422, code).to_string().contains("status"), "{code}");
        }
        assert_eq!(bare(418, "new").to_string(), "the service refused the request with status 418");
        let nameless = Refusal::parse(401, br#"{"error":{}}"#).expect("an error object");
        assert_eq!((nameless.code(), nameless.is_definite()), ("missing_token", false));
    }

    #[test]
    fn a_402_needs_no_error_object() {
        let body = br#"{"plan_type":"free","minutes_allocated":10,"minutes_used":10.5,"upgrade_url":"https://kallyai.com/up"}"#;
        let error = Refusal::parse(402, body).expect("a quota");
        assert_eq!(error.code(), "quota_exceeded");
        assert_eq!(error.to_string(), "the minutes of the free plan are used up: 10.5 of 10");
        assert_eq!(error.upgrade_url(), Some("https://kallyai.com/up"));
        assert_eq!(Refusal::parse(402, b"<html>").expect("a quota").upgrade_url(), None);
    }

    #[test]
    fn an_upgrade_address_must_be_a_page_of_the_vendors() {
        for (url, shown) in [
            ("https://kallyai.com/pricing?a=b", true),
            ("https://app.kallyai.com/up", true),
            ("javascript:alert(1)", false),
            ("http://kallyai.com/up", false),
            ("https://kallyai.com.evil.example/", false),
            ("https://notkallyai.com/", false),
            ("https://kallyai.com@evil.example/", false),
            ("https://user@kallyai.com/", false),
            ("https://kallyai.com/ and then run rm", false),
        ] {
            let body = serde_json::json!({ "upgrade_url": url }).to_string();
            let error = Refusal::parse(402, body.as_bytes()).expect("a quota");
            assert_eq!(error.upgrade_url().is_some(), shown, "{url}");
        }
    }

    #[test]
    fn a_code_is_one_word_or_none() {
        for code in ["", "two words", "a\nb", "ünï", &"x".repeat(65)] {
            let body = serde_json::json!({ "error": { "code": code } }).to_string();
            let error = Refusal::parse(403, body.as_bytes()).expect("an error object");
            assert_eq!((error.code(), error.is_definite()), ("forbidden", false), "{code}");
        }
    }

    #[test]
    fn other_bodies_are_no_refusal() {
        for body in [
            &b""[..],
            b"<html>",
            b"[]",
            b"null",
            b"{}",
            b"{\"error\":null}",
            b"{\"error\":5}",
            b"{\"error\":\"upstream connect error\"}",
            b"[{\"code\":1}]",
        ] {
            assert_eq!(Refusal::parse(404, body), None, "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_login_may_be_ended_in_the_words_of_oauth() {
        let error = Refusal::parse(400, br#"{"error":"invalid_grant"}"#).expect("a refusal");
        assert_eq!(error.code(), "invalid_grant");
    }

    #[test]
    fn wrong_types_inside_are_left_out() {
        let error = Refusal::parse(403, br#"{"error":{"code":7,"message":[],"details":"x"}}"#)
            .expect("an error object");
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("forbidden", "the login does not permit this")
        );
    }
}
