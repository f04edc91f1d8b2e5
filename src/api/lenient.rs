//! Lenient JSON parsing: one malformed field does not invalidate the others.

use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::with_whole_pairs;

/// A field that falls back to its default if it is missing, null or of the wrong type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lenient<T>(pub T);

/// Text to display, parsed from a string or a list of lines. `None` if it is blank or of the wrong
/// type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text(pub Option<String>);

impl<T> Deref for Lenient<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Deref for Text {
    type Target = Option<String>;

    fn deref(&self) -> &Option<String> {
        &self.0
    }
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde treats a missing field as null only if the type is an `Option`.
        let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
        let value = raw.and_then(|raw| parse(raw.get()));
        Ok(Self(value.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Lenient::<Value>::deserialize(deserializer)?.0 {
            Value::String(text) => Some(text),
            other => serde_json::from_value(other)
                .map(|lines: Vec<String>| lines.join("\n"))
                .ok(),
        };
        Ok(Self(text.filter(|text| !text.trim().is_empty())))
    }
}

/// Returns a body as text, without a byte order mark or leading white space.
pub fn text(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    Some(text.trim_start_matches('\u{feff}').trim_start())
}

/// Parses JSON. If that fails, tries again with unpaired surrogates replaced by U+FFFD, and keeps
/// the last of duplicate keys, which serde rejects for a struct.
pub fn parse<T: DeserializeOwned>(json: &str) -> Option<T> {
    if let Ok(value) = serde_json::from_str(json) {
        return Some(value);
    }
    let value: Value = serde_json::from_str(&with_whole_pairs(json)).ok()?;
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_field_does_not_affect_the_others() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Fields {
            text: Text,
            number: Lenient<Option<u8>>,
        }
        for (json, text, number) in [
            (r#"{"text":"a","number":1,"number":2}"#, Some("a"), Some(2)),
            (
                r#"{"text":["a","b\ud83d"],"number":"2"}"#,
                Some("a\nb\u{fffd}"),
                None,
            ),
            (r#"{"text":" ","number":null}"#, None, None),
            (r#"{"text":{"x":[1]},"number":256}"#, None, None),
            ("{}", None, None),
        ] {
            let expected = Fields {
                text: Text(text.map(str::to_owned)),
                number: Lenient(number),
            };
            assert_eq!(parse(json), Some(expected), "{json}");
        }
    }
}
