//! Parses and generates idempotency keys.

use std::str::FromStr;

use super::{Invalid, quoted};

/// A call's idempotency key, which a retry sends again. The HTTP header contains the key as the
/// user wrote it, but comparisons and file names ignore case.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Key(String);

const MAX_LENGTH: usize = 128;

impl Key {
    pub fn generate() -> Self {
        Self(format!("kallyai-{:032x}", rand::random::<u128>()))
    }

    /// Returns the key as the user wrote it, for the HTTP header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key in lower case, for file names and comparisons.
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
        // `kallyai resume` would parse `-x` as a flag, and `last` or `last-1` as a recent call.
        let is_reserved = text.starts_with('-') || text.to_ascii_lowercase().starts_with("last");
        if is_key && !is_reserved {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            format!("{} is not a valid idempotency key", quoted(text)),
            "use letters, digits, dots, dashes and underscores (at most 128, not starting with a dash or 'last'), for example dentist-2027-01-28",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idempotency_keys_are_compared_case_insensitively() {
        let key: Key = "Dentist-2027.01_28".parse().expect("a key");
        assert_eq!(Ok(key.clone()), "dentist-2027.01_28".parse());
        assert_eq!(key.as_str(), "Dentist-2027.01_28");
        assert_eq!(key.folded(), "dentist-2027.01_28");
        let generated = Key::generate();
        assert_eq!(generated.as_str().parse(), Ok(generated));
    }

    #[test]
    fn invalid_idempotency_keys_are_rejected() {
        assert!("k".repeat(MAX_LENGTH).parse::<Key>().is_ok());
        assert!("k".repeat(MAX_LENGTH + 1).parse::<Key>().is_err());
        for text in ["", "a b", "é", "a/b", "..\\a", "-a", "last", "Last-1"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
    }
}
