//! Keeps tokens out of the program's output.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A token of visible ASCII characters, which are valid in an HTTP header. It has no `Display`, and
/// its `Debug` is redacted, so that it can't be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Minimum length of a token that is redacted, in characters. A shorter token could be an ordinary
/// word.
const MIN_REDACTED: usize = 8;

static KNOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Secret {
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if text.len() >= MIN_REDACTED && !known.iter().any(|token| token == text) {
            known.push(text.to_owned());
        }
        Some(Self(text.to_owned()))
    }

    /// Returns the raw token. Use it only in the header, body or file that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Replaces all tokens that are known to this process with `[redacted]`.
pub fn redact(text: &str) -> String {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let hide = |text: String, token: &String| text.replace(token, "[redacted]");
    known.iter().fold(text.to_owned(), hide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_redacted_in_debug_output_and_quoted_text() {
        let token = Secret::parse("secret_rs_hunter2").expect("a token");
        assert_eq!(format!("{:?}", Some(&token)), "Some([redacted])");
        assert_eq!(redact("a secret_rs_hunter2!"), "a [redacted]!");
    }
}
