//! Idempotency keys.

use std::str::FromStr;

use super::{Invalid, quoted};

/// The `Idempotency-Key` of a call. A retry of the request sends the same key. The header keeps the
/// user's case, and everything else ignores case.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Key(String);

const MAX_LENGTH: usize = 128;

impl Key {
    pub fn generate() -> Self {
        Self(format!("kallyai-{:032x}", rand::random::<u128>()))
    }

    /// Returns the key for the header, in its original case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key for file names and comparisons, in lower case.
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
        // `kallyai resume KEY` would parse `-x` as a flag and `last` as the newest call.
        let is_reserved = text.starts_with('-') || text.to_ascii_lowercase().starts_with("last");
        if is_key && !is_reserved {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("{} is not a valid idempotency key", quoted(text)),
            "use 1 to 128 letters, digits, dots, dashes and underscores, for example dentist-2027-01-28",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_keeps_its_case_but_comparison_ignores_case() {
        let key: Key = "Dentist-2027.01_28".parse().expect("a key");
        assert_eq!(Ok(key.clone()), "dentist-2027.01_28".parse());
        assert_eq!(key.as_str(), "Dentist-2027.01_28");
        assert_eq!(key.folded(), "dentist-2027.01_28");
        let generated = Key::generate();
        assert_eq!(generated.as_str().parse(), Ok(generated));
    }

    #[test]
    fn invalid_keys_are_rejected() {
        assert!("k".repeat(MAX_LENGTH).parse::<Key>().is_ok());
        assert!("k".repeat(MAX_LENGTH + 1).parse::<Key>().is_err());
        for text in ["", "a b", "é", "a/b", "..\\a", "-a", "last", "Last-1"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
