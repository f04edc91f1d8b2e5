//! Call IDs, and other ways in which a user can refer to a call.

use std::str::FromStr;

use super::{Invalid, plain, quoted};

/// A call's ID, exactly as the server sent it. The ID is valid as a URL path segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct CallId(String);

const HINT: &str = "copy an ID from the list of calls, or use last for the newest call";

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
            return Err(Invalid::new(message, HINT));
        }
        Ok(Self(text.to_owned()))
    }
}

/// How a user refers to a call: by position in the list of calls, or by ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallRef {
    /// The position of a call, counted from the newest: 0 for `last`, 1 for `last-1`.
    Last(u8),
    /// The first characters of an ID: hexadecimal digits and dashes.
    Prefix(String),
    Id(CallId),
}

/// Maximum N in `last-N`. The API returns at most 200 calls per page.
const MAX_BACK: u8 = 199;
/// Minimum length of an ID prefix, in characters. A shorter prefix would often match several calls.
const MIN_PREFIX: usize = 4;
/// Length of a complete ID, in characters. The service uses UUIDs.
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
                Invalid::new(message, format!("use last, or last-1 to last-{MAX_BACK}"))
            });
        }
        let is_hex = typed.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !is_hex || typed.len() >= UUID_LENGTH {
            return typed.parse().map(Self::Id);
        }
        if typed.len() < MIN_PREFIX {
            return Err(Invalid::new(
                format!("{} is too short for a call ID", quoted(text)),
                format!("use at least the first {MIN_PREFIX} characters of the ID"),
            ));
        }
        Ok(Self::Prefix(typed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_reference_is_a_position_an_id_prefix_or_an_id() {
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
    fn invalid_call_references_are_rejected() {
        for text in "|9|3f2|last-200|last-99999|last-|last1|lastly|..|a\u{7}bcd".split('|') {
            assert!(text.parse::<CallRef>().is_err(), "{text:?}");
        }
    }
}
