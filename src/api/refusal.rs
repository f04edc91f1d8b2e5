//! Parses the API's refusals: responses with an error object or status 402.

use serde_json::Value;

use super::response::object;
use crate::domain::{collapse_whitespace, redact};
use crate::error::{Error, Kind};

/// The API's error codes, each with a fallback message, used if the service sends none, and a hint.
#[rustfmt::skip]
const CODES: [(&str, &str, &str); 17] = [
    (QUOTA, "you're out of minutes", "no call was made: upgrade at https://kallyai.com/pricing or wait for your plan to renew"),
    ("missing_phone_number", "the request has no phone number", "add the number to call"),
    ("emergency_number", "emergency numbers can't be called", "in an emergency, dial the number yourself"),
    ("toll_number", "premium-rate numbers can't be called", "try another number for this business"),
    ("safety_violation", "this task isn't allowed", "KallyAI blocks tasks that could harm someone: if yours is harmless, reword it"),
    ("scheduling_violation", "the date or time isn't allowed", "change the date or time"),
    ("consent_denied", "consent was declined", "give your consent, then try again"),
    ("unsupported_language", "this language isn't supported", "set --language to en or es"),
    ("blocked_number", "this number can't be called", "check the number, or try another one for this business"),
    ("suppression_violation", "this number can't be called", "check the number, or try another one for this business"),
    ("country_restriction", "calls to this country aren't supported", "check the country code, or try a number in another country"),
    ("unsupported_country", "calls to this country aren't supported", "check the country code, or try a number in another country"),
    ("forbidden", "you don't have permission to do this", "run kallyai logout, then kallyai login"),
    ("missing_token", "the service requires you to sign in", "sign in with the command below"),
    ("call_not_found", "there is no call with that ID", "list your calls to find the ID"),
    ("transcript_not_found", "there is no transcript (yet)", "a transcript is available only after an answered call has ended"),
    ("calendar_not_found", "there is no appointment (yet)", "an appointment is available only after a call has ended successfully"),
];

const QUOTA: &str = "quota_exceeded";

/// Describes why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub error: Error,
    /// The message that the service sent, if any.
    pub message: Option<String>,
    /// Whether the refusal has an error code. If so, it is from the service, not from a gateway.
    pub is_definite: bool,
}

impl Refusal {
    /// Parses the error object in a body. Status 402 is a refusal even without an error object.
    pub fn parse(status: u16, body: &[u8]) -> Option<Self> {
        let body: Value = object(body).unwrap_or_default();
        let text = |pointer| {
            let text = body.pointer(pointer)?.as_str()?;
            (!text.trim().is_empty()).then(|| text.to_owned())
        };
        if !body["error"].is_object() && status != 402 {
            return None;
        }
        let message = text("/error/message").or_else(|| text("/error/details/message"));
        let message = match (message, text("/error/details/reason")) {
            (Some(message), Some(reason)) if !message.contains(&reason) => {
                Some(format!("{} ({reason})", normalized(&message)))
            }
            (message, reason) => message.or(reason).map(|message| normalized(&message)),
        };
        let message = message.or_else(|| quota(&body));
        let code = text("/error/code").filter(|code| is_code(code));
        let mut error = refused(status, code.as_deref(), message.as_deref());
        error.facts.correlation_id = text("/error/correlation_id");
        let is_definite = code.is_some();
        Some(Self {
            error,
            message,
            is_definite,
        })
    }
}

fn refused(status: u16, code: Option<&str>, said: Option<&str>) -> Error {
    let code = match (status, code) {
        (402, _) => QUOTA,
        (_, Some(code)) => code,
        (401, None) => "missing_token",
        (403, None) => "forbidden",
        _ => "refused",
    };
    let row = CODES.iter().find(|(known, _, _)| *known == code);
    let message = match (said, row) {
        (Some(said), Some((QUOTA, sentence, _))) => format!("{sentence} ({said})"),
        (Some(said), _) => said.to_owned(),
        (None, Some((_, sentence, _))) => (*sentence).to_owned(),
        (None, None) => format!("the service refused the request (status {status})"),
    };
    let mut error = Error::new(Kind::Refused, message);
    error.facts.server_code = Some(code.to_owned());
    error.facts.hint = row.map(|(_, _, hint)| (*hint).to_owned());
    error
}

/// Converts a message from the service to our style: no final period, and a lowercase first letter
/// if the first word is in a list of common words.
fn normalized(message: &str) -> String {
    const ORDINARY: &str = "The This That There No Your You A An It Invalid Missing Please Call";
    let message = collapse_whitespace(&redact(message));
    let message = match message.strip_suffix('.') {
        Some(sentence) if !sentence.ends_with('.') => sentence,
        _ => &message,
    };
    let (first, rest) = message.split_at(message.find(' ').unwrap_or_default());
    match ORDINARY.split(' ').any(|word| word == first) {
        true => first.to_ascii_lowercase() + rest,
        false => message.to_owned(),
    }
}

/// Returns whether `text` is a single short word that is safe to print as an error code.
fn is_code(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Summarizes the usage figures that a 402 response may contain instead of an error object.
fn quota(body: &Value) -> Option<String> {
    let used = body["minutes_used"].as_f64()?;
    let allocated = body["minutes_allocated"].as_f64()?;
    let plan = body["plan_type"].as_str().unwrap_or("current");
    Some(format!(
        "{used:.1} of {allocated:.0} minutes used on the {plan} plan"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::parse(status, body.as_bytes()).expect(body)
    }

    #[test]
    fn error_object_provides_code_message_and_correlation_id() {
        let body = r#"{"error":{"code":"safety_violation","message":"No way.","details":{"message":"x","reason":"threat"},"correlation_id":"c-1"}}"#;
        let error = refusal(422, body).error;
        assert_eq!((error.code(), error.exit()), ("safety_violation", 1));
        assert_eq!(error.to_string(), "no way (threat)");
        assert_eq!(error.facts.correlation_id.as_deref(), Some("c-1"));
        assert!(error.hint().contains("reword"));
    }

    #[test]
    fn missing_parts_of_an_error_object_are_inferred() {
        #[rustfmt::skip]
        let rows = [
            (422, r#"{"code":"x","details":{"message":"nested"}}"#, "x", "nested"),
            (404, r#"{"code":"call_not_found"}"#, "call_not_found", "there is no call with that ID"),
            (418, r#"{"code":"new"}"#, "new", "the service refused the request (status 418)"),
            (403, r#"{"code":7,"message":[]}"#, "forbidden", "you don't have permission to do this"),
            (401, "{}", "missing_token", "the service requires you to sign in"),
            (422, r#"{"code":"two words","message":"US numbers…"}"#, "refused", "US numbers…"),
        ];
        for (status, error, code, message) in rows {
            let refusal = refusal(status, &format!(r#"{{"error":{error}}}"#));
            assert_eq!(refusal.error.code(), code);
            assert_eq!(refusal.error.to_string(), message);
            let is_inferred = ["forbidden", "missing_token", "refused"].contains(&code);
            assert_eq!(refusal.is_definite, !is_inferred);
        }
        let bodies = r#"<html> [] null {} {"error":null} {"error":"invalid_grant"} [{"code":1}]"#;
        for body in bodies.split(' ') {
            assert_eq!(Refusal::parse(404, body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn status_402_always_means_quota_exceeded() {
        let used = r#"{"plan_type":"free","minutes_allocated":10,"minutes_used":10.5}"#;
        for (body, said) in [
            (used, " (10.5 of 10 minutes used on the free plan)"),
            ("<html>", ""),
            (r#"{"error":{"code":"x","message":"Pay."}}"#, " (Pay)"),
        ] {
            let error = refusal(402, body).error;
            assert_eq!((error.code(), error.exit()), ("quota_exceeded", 5));
            assert_eq!(error.to_string(), format!("you're out of minutes{said}"));
            assert!(error.hint().contains("https://kallyai.com/pricing"));
        }
    }
}
