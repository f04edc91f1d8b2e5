//! Parses JSON leniently: the service may send unpaired surrogates or duplicate keys.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::with_whole_pairs;

/// Returns a UTF-8 body as text, without a byte order mark or leading whitespace.
pub fn text(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    Some(text.trim_start_matches('\u{feff}').trim_start())
}

/// Parses JSON. If that fails, replaces unpaired surrogates with U+FFFD and tries again. The second
/// attempt also accepts duplicate keys, which serde rejects in a struct, and keeps the last.
pub fn parse<T: DeserializeOwned>(json: &str) -> Option<T> {
    if let Ok(value) = serde_json::from_str(json) {
        return Some(value);
    }
    let value: Value = serde_json::from_str(&with_whole_pairs(json)).ok()?;
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn unpaired_surrogates_and_duplicate_keys_are_accepted() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Fields {
            text: String,
        }
        let text = "b\u{fffd}".to_owned();
        assert_eq!(
            parse(r#"{"text":"a","text":"b\ud83d"}"#),
            Some(Fields { text })
        );
    }
}
