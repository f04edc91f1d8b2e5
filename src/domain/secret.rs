//! Strings that must not be seen.

use std::fmt;

use super::redact::remember;

/// A token, or anything that grants what a token grants. It has no `Display`, its `Debug` tells nothing, and it
/// can stand in a header: visible ASCII only. Whatever prints replaces it from now on, even where the service repeats it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The most bytes of one: every server would refuse a larger header.
    pub const LONGEST: usize = 64 * 1024;

    /// The secret in `text`, if it can stand in a header.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_printable(text).inspect(|secret| remember(&secret.0))
    }

    /// The same for a secret that a person has to be shown: the `state` in the address of a sign-in.
    pub fn parse_printable(text: &str) -> Option<Self> {
        let fits = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Bytes as hexadecimal digits, for a person to be shown.
    pub fn hex(bytes: &[u8; 32]) -> Self {
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// The secret itself, for the header, the body or the file that must hold it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_nothing() {
        let secret = Secret::parse("hunter2").expect("a secret");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[redacted] Some([redacted])");
    }

    #[test]
    fn only_what_can_stand_in_a_header_is_a_secret() {
        for text in ["", "a b", "a\nb", "a\0", "é", "a\tb"] {
            assert_eq!(Secret::parse(text), None, "{text:?}");
        }
    }
}
