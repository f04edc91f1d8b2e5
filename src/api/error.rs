//! The API's own refusals: what it said, and what the person can do about each.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::lenient::{or_none, words};

/// A refusal by the API: a 4xx with an error object, or a 402.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct ApiError {
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
struct Body {
    error: Option<Box<RawValue>>,
    #[serde(deserialize_with = "words")]
    plan_type: Option<String>,
    #[serde(deserialize_with = "or_none")]
    minutes_allocated: Option<f64>,
    #[serde(deserialize_with = "or_none")]
    minutes_used: Option<f64>,
    #[serde(deserialize_with = "words")]
    upgrade_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Inner {
    #[serde(deserialize_with = "words")]
    code: Option<String>,
    #[serde(deserialize_with = "words")]
    message: Option<String>,
    #[serde(deserialize_with = "or_none")]
    details: Option<Details>,
    #[serde(deserialize_with = "words")]
    correlation_id: Option<String>,
}

impl Inner {
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
    #[serde(deserialize_with = "words")]
    message: Option<String>,
    #[serde(deserialize_with = "words")]
    reason: Option<String>,
}

/// How OAuth 2 refuses a refresh token (RFC 6749, section 5.2).
const INVALID_GRANT: &str = "invalid_grant";

const PRICING: &str = "https://kallyai.com/pricing";

impl ApiError {
    /// The refusal in a body, if it holds one of the two documented forms.
    pub fn parse(status: u16, body: &[u8]) -> Option<Self> {
        // serde would also read a list as a struct.
        let body: Body = body
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
        match body.error.as_deref().and_then(Inner::parse) {
            Some(Inner { code, message, details, correlation_id }) => {
                let details = details.unwrap_or_default();
                Some(Self {
                    code,
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

    /// 5 when the minutes are used up, 4 when the login is not accepted, else 1.
    pub fn exit(&self) -> u8 {
        match self.status {
            401 => 4,
            402 => 5,
            _ => 1,
        }
    }

    /// What the person can do about it; `program` is how this program is called.
    pub fn hint(&self, program: &str) -> String {
        match self.code() {
            "quota_exceeded" => {
                let page =
                    self.upgrade_url.as_deref().filter(|url| url.starts_with("https://")).unwrap_or(PRICING);
                format!("upgrade the plan at {page}; {program} --usage shows what is left")
            }
            "missing_phone_number" => "give the number to call: -p \"+15551234567\"".into(),
            "emergency_number" => {
                "911 and the like cannot be called; in an emergency, dial it yourself".into()
            }
            "toll_number" => {
                "premium-rate numbers cannot be called; look for the business's ordinary number".into()
            }
            "safety_violation" => {
                "word the task differently: -t \"…\"; KallyAI refuses what could harm someone".into()
            }
            "scheduling_violation" => "correct the date or the time: --date YYYY-MM-DD, --time HH:MM".into(),
            "consent_denied" => "consent to calls was declined; grant it in the KallyAI app".into(),
            "unsupported_language" => {
                "choose a language KallyAI speaks: --language en or --language es".into()
            }
            "blocked_number" => {
                "this number cannot be called; look for another number of the business".into()
            }
            "suppression_violation" => {
                "whoever has this number asked not to be called; reach them another way".into()
            }
            "country_restriction" => "calls to this country are not served; see https://kallyai.com".into(),
            "unsupported_country" => {
                "this country is not supported; a number in another country may be".into()
            }
            "forbidden" => {
                format!("the login lacks a permission; renew it: {program} --logout, then {program} --login")
            }
            "missing_token" => format!("sign in: {program} --login"),
            "call_not_found" => format!("check the ID against {program} --history"),
            "transcript_not_found" => {
                format!("there is no transcript (yet); {program} --call-info ID shows how the call stands")
            }
            _ if self.status == 401 => format!("sign in again: {program} --login"),
            _ => match &self.correlation_id {
                Some(_) => "if it stays so, quote the correlation ID to KallyAI's support".into(),
                None => "change what the message names, then run it again".into(),
            },
        }
    }

    fn sentence(&self) -> String {
        let message = match &self.message {
            Some(message) => message.clone(),
            None => ordinary_sentence(self.code(), self.status),
        };
        match &self.reason {
            Some(reason) if !message.contains(reason.as_str()) => format!("{message} ({reason})"),
            _ => message,
        }
    }
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

fn ordinary_sentence(code: &str, status: u16) -> String {
    match code {
        "quota_exceeded" => "the minutes of the plan are used up".into(),
        "missing_phone_number" => "the request named no number to call".into(),
        "emergency_number" => "emergency numbers cannot be called".into(),
        "toll_number" => "premium-rate numbers cannot be called".into(),
        "safety_violation" => "the task was refused as unsafe".into(),
        "scheduling_violation" => "the date or time was refused".into(),
        "consent_denied" => "consent was declined".into(),
        "unsupported_language" => "that language is not supported".into(),
        "blocked_number" | "suppression_violation" => "this number cannot be called".into(),
        "country_restriction" | "unsupported_country" => "this country is not served".into(),
        "forbidden" => "the login does not permit this".into(),
        "missing_token" => "the service asks for a sign-in".into(),
        "call_not_found" => "there is no such call".into(),
        "transcript_not_found" => "there is no transcript of this call".into(),
        _ => format!("the service refused the request with status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_form_is_read_whole() {
        let body = br#"{"error":{"code":"safety_violation","message":"No.","details":{"message":"x","reason":"threat"},
                        "correlation_id":"c-1","new":1}}"#;
        let error = ApiError::parse(422, body).expect("an error object");
        assert_eq!((error.code(), error.exit()), ("safety_violation", 1));
        assert_eq!(error.to_string(), "No. (threat)");
        assert_eq!(error.correlation_id.as_deref(), Some("c-1"));
    }

    #[test]
    fn the_message_may_stand_in_the_details_or_nowhere() {
        let nested = ApiError::parse(422, br#"{"error":{"code":"x","details":{"message":"nested"}}}"#);
        assert_eq!(nested.expect("an error object").to_string(), "nested");
        let bare = ApiError::parse(404, br#"{"error":{"code":"call_not_found"}}"#).expect("an error object");
        assert_eq!(bare.to_string(), "there is no such call");
    }

    #[test]
    fn a_refusal_without_words_is_put_into_some() {
        let bare = |status, code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}"}}}}"#);
            ApiError::parse(status, body.as_bytes()).expect("an error object")
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
        assert_eq!(bare(401, "new").hint("kallyai"), "sign in again: kallyai --login");
        let nameless = ApiError::parse(401, br#"{"error":{}}"#).expect("an error object");
        assert_eq!((nameless.code(), nameless.exit()), ("missing_token", 4));
    }

    #[test]
    fn a_402_needs_no_error_object() {
        let body = br#"{"plan_type":"free","minutes_allocated":10,"minutes_used":10.5,"upgrade_url":"https://k.example/up"}"#;
        let error = ApiError::parse(402, body).expect("a quota");
        assert_eq!((error.code(), error.exit()), ("quota_exceeded", 5));
        assert_eq!(error.to_string(), "the minutes of the free plan are used up: 10.5 of 10");
        assert!(error.hint("kallyai").contains("https://k.example/up"));
        let bare = ApiError::parse(402, b"<html>").expect("a quota");
        assert!(bare.hint("kallyai").contains(PRICING));
    }

    #[test]
    fn an_upgrade_address_that_is_no_web_page_is_not_shown() {
        let error = ApiError::parse(402, br#"{"upgrade_url":"javascript:alert(1)"}"#).expect("a quota");
        assert!(error.hint("kallyai").contains(PRICING));
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
            assert_eq!(ApiError::parse(404, body), None, "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_login_may_be_ended_in_the_words_of_oauth() {
        let error = ApiError::parse(400, br#"{"error":"invalid_grant"}"#).expect("a refusal");
        assert_eq!(error.code(), "invalid_grant");
    }

    #[test]
    fn wrong_types_inside_are_left_out() {
        let error = ApiError::parse(403, br#"{"error":{"code":7,"message":[],"details":"x"}}"#)
            .expect("an error object");
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("forbidden", "the login does not permit this")
        );
    }
}
