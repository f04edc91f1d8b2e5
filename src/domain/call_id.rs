//! Call IDs, and the ways to point at a call.

use std::str::FromStr;

use super::{Invalid, plain, quoted};

/// A call's ID as the server wrote it. It can stand in a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct CallId(String);

const HOW: &str = "copy an ID from the list of calls, or write last";

impl CallId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_path = matches!(text.trim(), "" | "." | "..");
        if is_path || text.chars().any(char::is_control) {
            let message = format!("{} is not a call ID", quoted(text));
            return Err(Invalid::new(message, HOW));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A call as the user points at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallRef {
    /// `last` (0) is the newest call, `last-1` the one before it.
    Last(u8),
    /// The beginning of an ID: hexadecimal digits and dashes.
    Prefix(String),
    Id(CallId),
}

/// `last-199` is the oldest call of the largest page that the API returns.
const MAX_BACK: u8 = 199;
/// Fewer characters would soon match several calls.
const MIN_PREFIX: usize = 4;
/// The service's IDs are UUIDs.
const UUID_LENGTH: usize = 36;

impl FromStr for CallRef {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let typed = plain(text);
        if let Some(back) = typed.to_ascii_lowercase().strip_prefix("last") {
            let number = match back {
                "" => Some(0),
                _ => back.strip_prefix('-').and_then(|back| back.parse().ok()),
            };
            let number = number.filter(|back| *back <= MAX_BACK);
            return number.map(Self::Last).ok_or_else(|| {
                let message = format!("{} is not one of the newest 200 calls", quoted(text));
                Invalid::new(message, format!("write last, or last-1 to last-{MAX_BACK}"))
            });
        }
        let is_hex = typed.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !is_hex || typed.len() >= UUID_LENGTH {
            return typed.parse().map(Self::Id);
        }
        if typed.len() < MIN_PREFIX {
            return Err(Invalid::new(
                format!("{} is too short", quoted(text)),
                format!("write at least {MIN_PREFIX} characters of the ID, or last"),
            ));
        }
        Ok(Self::Prefix(typed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_by_age_prefix_or_id() {
        let uuid = "3f2a9c1e-7b4d-4e8a-9c6f-1a2b3c4d5e6f";
        let id = |text: &str| CallRef::Id(text.parse().expect("an ID"));
        for (text, expected) in [
            (" LAST\u{200b}", CallRef::Last(0)),
            ("last\u{2011}199", CallRef::Last(199)),
            (&uuid[..4], CallRef::Prefix(uuid[..4].into())),
            (uuid, id(uuid)),
            ("call_7", id("call_7")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn other_references_are_refused() {
        for text in "|9|3f2|last-200|last-99999|last-|last1|lastly|..|a\u{7}bcd".split('|') {
            assert!(text.parse::<CallRef>().is_err(), "{text:?}");
        }
    }
}
