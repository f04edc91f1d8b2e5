//! Names of calls: an ID that can stand in a path, and the ways a person may point at one.

use std::fmt;
use std::str::FromStr;

use super::{Invalid, may_hold_login, quoted};

/// A call's ID. It is one path segment: never empty, `.`, `..`, nor holding control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct CallId(String);

const HOW: &str = "copy an ID from `kallyai --history`, or write `last`";

/// Longer than any ID, shorter than what a server refuses as a path.
const MAX_LENGTH: usize = 256;

impl CallId {
    /// Whether nothing else can be read into it: on a line that is not wrapped, so that it can be copied, a terminal breaks it
    /// anywhere.
    pub fn is_plain(&self) -> bool {
        self.0.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    }

    /// The ID as the server wrote it, not yet percent-encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.trim().is_empty() {
            return Err(Invalid::new("the call ID is empty", HOW));
        }
        if matches!(text, "." | "..") || text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
            return Err(Invalid::new(format!("{} is not a call ID", quoted(text)), HOW));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for CallId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The oldest call of the newest 200.
const FURTHEST_BACK: u8 = 199;

/// How a person points at a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallRef {
    /// `last` (0): the newest call; `last-1` the one before it, up to 199.
    Last(u8),
    /// The beginning of an ID, 4 or more hexadecimal digits and dashes.
    Prefix(String),
    /// The whole ID.
    Id(CallId),
}

/// Fewer characters than these would soon be those of several calls.
const SHORTEST_PREFIX: usize = 4;
/// The length of a UUID in its usual form, which the service uses.
const UUID_LENGTH: usize = 36;

impl FromStr for CallRef {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim_matches(' ');
        let said = text.to_ascii_lowercase();
        if said == "last" {
            return Ok(Self::Last(0));
        }
        let counted = said.strip_prefix("last").filter(|rest| !rest.starts_with(|c: char| c.is_alphabetic()));
        if let Some(counted) = counted {
            let back = counted.strip_prefix('-').filter(|back| back.bytes().all(|b| b.is_ascii_digit()));
            return match back.and_then(|back| back.parse().ok()) {
                Some(back @ 1..=FURTHEST_BACK) => Ok(Self::Last(back)),
                _ => Err(Invalid::new(
                    format!("{} is not a call that can be counted back to", quoted(text)),
                    "write last, or last-1 for the one before it, up to last-199",
                )),
            };
        }
        if may_hold_login(text) {
            return Err(Invalid::new(format!("{} is not a call ID", quoted(text)), HOW));
        }
        let id: CallId = text.parse()?;
        let may_begin_id = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if text.len() < SHORTEST_PREFIX && may_begin_id {
            return Err(Invalid::new(
                format!("{} is too short for the beginning of an ID", quoted(text)),
                format!("write {SHORTEST_PREFIX} characters of it or more, or `last`"),
            ));
        }
        let is_prefix = may_begin_id && (SHORTEST_PREFIX..UUID_LENGTH).contains(&text.len());
        Ok(if is_prefix { Self::Prefix(text.to_owned()) } else { Self::Id(id) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_whole_a_prefix_or_last() {
        assert_eq!("last".parse(), Ok(CallRef::Last(0)));
        assert_eq!("Last".parse(), Ok(CallRef::Last(0)));
        assert_eq!("last-1".parse(), Ok(CallRef::Last(1)));
        assert_eq!("last-199".parse(), Ok(CallRef::Last(199)));
        for text in [
            "last-0", "last-200", "last-", "last-+1", "last-x", "last--1", "last~1", "last^", "last 1",
            "last2",
        ] {
            assert!(text.parse::<CallRef>().is_err(), "{text}");
        }
        assert_eq!("3f2a".parse(), Ok(CallRef::Prefix("3f2a".into())));
        assert_eq!("3f2a0c1e-55".parse(), Ok(CallRef::Prefix("3f2a0c1e-55".into())));
        let whole = "3f2a0c1e-55aa-4bbb-8ccc-0123456789ab";
        assert_eq!(whole.parse(), Ok(CallRef::Id(CallId(whole.into()))));
        assert_eq!("call_77".parse(), Ok(CallRef::Id(CallId("call_77".into()))));
    }

    #[test]
    fn what_could_leave_the_route_is_refused() {
        for text in ["", " ", ".", "..", "a\nb", "a\u{7f}", "\u{85}"] {
            assert!(text.parse::<CallRef>().is_err(), "{text:?}");
        }
        assert!("../users/me".parse::<CallId>().is_ok(), "it is one segment once it is percent-encoded");
    }
}
