//! Reading members that only decorate an answer: a wrong type there must not cost the rest of it.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The member if it has the expected type, else nothing.
pub fn or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> Deserialize<'a>,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok().flatten())
}

/// Words to show: a string, or a list of strings as its lines. Blank ones are nothing.
pub fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Lines(Vec<String>),
    }
    Ok(or_none(deserializer)?
        .map(|words| match words {
            Words::One(text) => text,
            Words::Lines(lines) => lines.join("\n"),
        })
        .filter(|text| !text.trim().is_empty()))
}
