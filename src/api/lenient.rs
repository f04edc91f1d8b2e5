//! Reading members that only decorate an answer: a wrong type there must not cost the rest of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A JSON string in which half of a surrogate pair reads as U+FFFD; for `String` the whole document would be invalid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(match std::str::from_utf8(bytes) {
                    Ok(text) => Cow::Borrowed(text),
                    Err(_) => Cow::Owned(without_surrogates(bytes)),
                }))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                let text = std::str::from_utf8(bytes).map(str::to_owned);
                Ok(Text(Cow::Owned(text.unwrap_or_else(|_| without_surrogates(bytes)))))
            }
        }
        // As bytes, because only these may hold half of a pair.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

/// JSON in which the escape of half a surrogate pair is that of U+FFFD; `None` where there is none.
pub fn with_whole_pairs(json: &str) -> Option<String> {
    const ESCAPE: usize = 6;

    let unit = |escape: &str| {
        let digits = escape.strip_prefix("\\u").and_then(|rest| rest.get(..4))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let is_low = |escape: &str| unit(escape).is_some_and(|unit| matches!(unit, 0xdc00..=0xdfff));
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    let mut is_changed = false;
    while let Some((before, escape)) = rest.find('\\').map(|at| rest.split_at(at)) {
        whole.push_str(before);
        let length = match unit(escape) {
            Some(0xd800..=0xdbff) if escape.get(ESCAPE..).is_some_and(is_low) => 2 * ESCAPE,
            Some(0xd800..=0xdfff) => {
                is_changed = true;
                whole.push('\u{fffd}');
                rest = escape.get(ESCAPE..).unwrap_or_default();
                continue;
            }
            // The character behind a backslash begins no other escape.
            _ => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (escaped, behind) = escape.split_at(length);
        whole.push_str(escaped);
        rest = behind;
    }
    whole.push_str(rest);
    is_changed.then_some(whole)
}

/// Half a pair stands in the bytes as UTF-8 would write it if it allowed that: `ED A0..BF 80..BF`.
fn without_surrogates(bytes: &[u8]) -> String {
    let mut fixed = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = match tail {
            [0xa0..=0xbf, _, behind @ ..] if *first == 0xed => {
                fixed.extend_from_slice("\u{fffd}".as_bytes());
                behind
            }
            _ => {
                fixed.push(*first);
                tail
            }
        };
    }
    String::from_utf8_lossy(&fixed).into_owned()
}

/// The member if it has the expected type, else nothing.
pub fn or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> Deserialize<'a>,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok().flatten())
}

/// Text to show: a string, or a list of strings as its lines. Blank ones are nothing.
pub fn text_or_lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let text = match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(text) => Some(text.0.into_owned()),
        Err(_) => serde_json::from_str::<Vec<Text<'_>>>(raw.get())
            .ok()
            .map(|lines| lines.into_iter().map(|line| line.0).collect::<Vec<_>>().join("\n")),
    };
    Ok(text.filter(|text| !text.trim().is_empty()))
}
