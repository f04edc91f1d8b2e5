//! Values that cannot be wrong: each is parsed once, at the edge, and never checked again.

mod api_base;
mod call_id;
mod call_request;
mod call_status;
mod choice;
mod date_hints;
mod date_words;
mod key;
mod phone;
mod raw_request;
mod redact;
mod secret;
mod signal;
mod text;
mod time_words;
mod when;

pub use api_base::{ApiBase, is_loopback};
pub use call_id::{CallId, CallRef};
#[cfg(test)]
pub use call_request::tests::request as example_request;
pub use call_request::{CallDraft, CallRequest, Submission};
pub use call_status::{CallStatus, STATUSES};
pub use choice::{Category, Language};
pub use date_words::{Day, PastDay, without_accents};
pub use key::IdempotencyKey;
pub use phone::Phone;
pub use raw_request::{ApiPath, Method, RawRequest};
pub use redact::{known_secrets, redact, redact_bytes, redact_json};
pub use secret::Secret;
pub use signal::Signal;
pub use text::{collapse_whitespace, comparable, is_unseen, without_unseen};
pub use when::{Date, Time, Zone};

use std::borrow::Cow;

/// A value from the command line, the environment or the server that is refused before it is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Invalid {
    /// The value cannot mean anything.
    #[error("{message}")]
    Value {
        /// What is wrong with it, as a sentence.
        message: String,
        /// What to write instead.
        hint: Cow<'static, str>,
    },
    /// An emergency number: an assistant must never ring one.
    #[error("{0} is an emergency number; KallyAI never calls those")]
    Emergency(String),
}

impl Invalid {
    /// A refusal of a value: what is wrong, and what to write instead.
    pub fn new(message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::Value { message: message.into(), hint: hint.into() }
    }

    /// The same, said of the environment's variable that the value came from.
    pub fn in_variable(self, name: &str) -> Self {
        Self::new(format!("{name}: {self}"), self.hint().to_owned())
    }

    /// The same, said of the flag that the value came with, unless it shows the value or the flag.
    pub fn of_flag(self, name: &str) -> Self {
        match self {
            Self::Value { message, hint } if !name.is_empty() && !message.contains(['\'', '-']) => {
                Self::new(format!("{name} does not take this: {message}"), hint)
            }
            other => other,
        }
    }

    /// What to do instead.
    pub fn hint(&self) -> &str {
        match self {
            Self::Value { hint, .. } => hint,
            Self::Emergency(_) => "in an emergency, dial the number yourself, from a phone",
        }
    }
}

/// SHA-256, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The candidate that a mistyped word probably means, if any is near enough.
pub fn nearest<'c>(said: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    /// Jaro-Winkler similarity, from 0 to 1: what clap asks of the values that it suggests.
    const SIMILAR: f64 = 0.8;
    let scored = candidates.map(|candidate| (strsim::jaro_winkler(said, candidate), candidate));
    let best = scored.filter(|(score, _)| *score > SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, candidate)| candidate)
}

/// A word as a shell takes it; on Windows that is PowerShell.
pub fn shell_quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        let apostrophe = if cfg!(windows) { "''" } else { "'\\''" };
        format!("'{}'", text.replace('\'', apostrophe))
    }
}

/// Whether a text holds the address that a sign-in ends at, pasted in the wrong place: there is a login in it.
fn may_hold_login(text: &str) -> bool {
    let is_part = |text: &str| {
        let text = text.to_ascii_lowercase();
        ["access_token", "refresh_token", "localhost:", "127.0.0.1:", "[::1]:"]
            .iter()
            .any(|p| text.contains(p))
    };
    url::form_urlencoded::parse(text.as_bytes()).any(|(name, value)| is_part(&name) || is_part(&value))
}

/// A refused value as a message shows it: enough to recognise it, nothing where it may be a token or hold one.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 24;
    if may_hold_token(text) {
        return "this value".into();
    }
    let mut start: String = text.chars().take(SHOWN).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("'{start}'")
}

/// Whether a text that somebody typed in the wrong place may be a token, or an address with one in it.
pub fn may_hold_token(text: &str) -> bool {
    const LONGEST_WORD: usize = 40;
    let is_revealing =
        text.to_ascii_lowercase().contains("token") || text.contains("://") || may_hold_login(text);
    is_revealing || text.chars().count() > LONGEST_WORD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_shows_little_of_a_value_and_nothing_of_an_address() {
        assert_eq!(quoted("+1555"), "'+1555'");
        assert_eq!(quoted(&"1".repeat(30)), format!("'{}…'", "1".repeat(24)));
        assert_eq!(quoted(&"1".repeat(41)), "this value");
        for text in
            ["http://localhost:8976/callback?access_token=a", "localhost:8976/callback?", "?Access_Token=a"]
        {
            assert_eq!(quoted(text), "this value");
        }
    }

    #[test]
    fn the_address_that_a_sign_in_ends_at_is_no_name_of_a_call() {
        let address = "http://localhost:8976/callback?access_token=hunter2&state=s3cret";
        let addresses = [
            address.to_owned(),
            address.replace("localhost", "127.0.0.1"),
            address.replace("localhost", "[::1]"),
            "callback?access%5Ftoken=hunter2&state=s3cret".to_owned(),
        ];
        let refusals = addresses.iter().flat_map(|address| {
            [
                address.parse::<CallRef>().expect_err("no call"),
                address.parse::<IdempotencyKey>().expect_err("no key"),
                address.parse::<Phone>().expect_err("no number"),
                address.parse::<Zone>().expect_err("no zone"),
            ]
        });
        for refusal in refusals {
            assert!(
                !refusal.to_string().contains("localhost") && !refusal.hint().contains("hunter2"),
                "{refusal}"
            );
        }
    }
}
