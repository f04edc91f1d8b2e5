//! The idempotency key of a call.

use std::str::FromStr;

use super::{Invalid, quoted};

/// The `Idempotency-Key` of one call, the same on every resend. Case is kept for the header and
/// ignored everywhere else.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Key(String);

const MAX_LENGTH: usize = 128;

impl Key {
    pub fn generate() -> Self {
        Self(format!("kallyai-{:032x}", rand::random::<u128>()))
    }

    /// The key as the header holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as file names and comparisons use it.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Key {}

impl FromStr for Key {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let is_key = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_allowed);
        // `kallyai resume KEY` would take a leading dash for a flag, and `last` for a call.
        let is_reserved = text.starts_with('-') || text.to_ascii_lowercase().starts_with("last");
        if is_key && !is_reserved {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("{} is not an idempotency key", quoted(text)),
            "write 1 to 128 letters, digits, dots, dashes and underscores, such as dentist-2027-01-28",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_ignoring_case_and_keep_it() {
        let key: Key = "Dentist-2027.01_28".parse().expect("a key");
        assert_eq!(Ok(key.clone()), "dentist-2027.01_28".parse());
        assert_eq!(key.as_str(), "Dentist-2027.01_28");
        assert_eq!(key.folded(), "dentist-2027.01_28");
        let generated = Key::generate();
        assert_eq!(generated.as_str().parse(), Ok(generated));
    }

    #[test]
    fn other_texts_are_not_keys() {
        assert!("k".repeat(MAX_LENGTH).parse::<Key>().is_ok());
        assert!("k".repeat(MAX_LENGTH + 1).parse::<Key>().is_err());
        for text in ["", "a b", "é", "a/b", "..\\a", "-a", "last", "Last-1"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
