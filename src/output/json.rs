//! JSON passed on as it came: numbers, escapes, order and unknown members untouched; only white space between tokens
//! changes, and characters that could act on a terminal become `\u` escapes.

use std::borrow::Cow;
use std::io::{self, Write};

use super::clean::{Sieve, is_ordinary_text};
use crate::domain::{redact_bytes, redact_json};

/// How a document is laid out.
#[derive(Debug, Clone, Copy)]
pub enum Layout {
    /// On one line.
    Compact,
    /// Two spaces a level, beginning at this level.
    Indented(usize),
}

/// Copies a document, which is known to be JSON in UTF-8.
///
/// # Errors
/// Those of the writer.
pub fn copy(raw: &[u8], layout: Layout, to: &mut impl Write) -> io::Result<()> {
    let mut copier =
        Copier { to, layout, depth: if let Layout::Indented(depth) = layout { depth } else { 0 } };
    let mut rest = raw;
    let mut empty = false;
    while let Some((&byte, after)) = rest.split_first() {
        let from_here = std::mem::replace(&mut rest, after);
        if byte.is_ascii_whitespace() {
            continue;
        }
        if empty && !matches!(byte, b'}' | b']') {
            copier.line_break()?;
        }
        match byte {
            b'"' => rest = copier.string(after)?,
            b'{' | b'[' => {
                copier.to.write_all(&[byte])?;
                copier.depth += 1;
            }
            b'}' | b']' => {
                copier.depth = copier.depth.saturating_sub(1);
                if !empty {
                    copier.line_break()?;
                }
                copier.to.write_all(&[byte])?;
            }
            b',' => {
                copier.to.write_all(b",")?;
                copier.line_break()?;
            }
            b':' => copier.to.write_all(if matches!(layout, Layout::Compact) { b":" } else { b": " })?,
            _ => {
                let end = after.iter().position(|b| b",]} \t\r\n".contains(b)).unwrap_or(after.len());
                let (scalar, behind) = from_here.split_at(end + 1);
                match redact_bytes(scalar) {
                    Cow::Borrowed(scalar) => copier.to.write_all(scalar)?,
                    // A number that is a token becomes a string.
                    Cow::Owned(_) => copier.to.write_all(b"\"[redacted]\"")?,
                }
                rest = behind;
            }
        }
        empty = matches!(byte, b'{' | b'[');
    }
    Ok(())
}

struct Copier<'w, W> {
    to: &'w mut W,
    layout: Layout,
    depth: usize,
}

/// What indentation is written from.
const SPACES: &[u8] = &[b' '; 64];

impl<W: Write> Copier<'_, W> {
    fn line_break(&mut self) -> io::Result<()> {
        if matches!(self.layout, Layout::Compact) {
            return Ok(());
        }
        self.to.write_all(b"\n")?;
        let mut columns = self.depth.saturating_mul(2);
        while columns > 0 {
            let (some, _) = SPACES.split_at(columns.min(SPACES.len()));
            self.to.write_all(some)?;
            columns -= some.len();
        }
        Ok(())
    }

    /// Copies a string whose opening quote was read, and returns what follows its closing quote.
    fn string<'r>(&mut self, after_quote: &'r [u8]) -> io::Result<&'r [u8]> {
        let mut end = 0;
        let mut suspicious = false;
        loop {
            match after_quote.get(end) {
                Some(b'"') | None => break,
                Some(b'\\') => end += 1,
                Some(byte) => suspicious |= !matches!(byte, b' '..=b'~'),
            }
            end += 1;
        }
        let (content, rest) = after_quote.split_at(end.min(after_quote.len()));
        let content = redact_json(content);
        self.to.write_all(b"\"")?;
        match std::str::from_utf8(&content) {
            Ok(text) if suspicious && !is_ordinary_text(text) => self.escaped(text)?,
            Ok(_) => self.to.write_all(&content)?,
            Err(_) => self.escaped(&String::from_utf8_lossy(&content))?,
        }
        self.to.write_all(b"\"")?;
        Ok(rest.get(1..).unwrap_or_default())
    }

    fn escaped(&mut self, text: &str) -> io::Result<()> {
        let mut sieve = Sieve::default();
        let mut clean_from = 0;
        let mut rest = text.char_indices();
        while let Some((at, c)) = rest.next() {
            let next = rest.clone().next().map(|(_, c)| c);
            if matches!(c, '\t' | '\n') || sieve.passes(c, next) {
                continue;
            }
            self.to.write_all(text.get(clean_from..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(self.to, "\\u{unit:04x}")?;
            }
            clean_from = at + c.len_utf8();
        }
        self.to.write_all(text.get(clean_from..).unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::clean::is_unsafe;
    use super::*;

    fn laid_out(raw: &str, layout: Layout) -> String {
        let mut to = Vec::new();
        copy(raw.as_bytes(), layout, &mut to).expect("a Vec takes everything");
        String::from_utf8(to).expect("UTF-8")
    }

    #[test]
    fn letters_and_numbers_are_kept() {
        let raw = "{ \"n\" : [ 1.10, 123456789012345678901234567890 , 1E5 ],\n\"s\":\"a\\u0041 \\\" \\\\\" , \"e\":{}, \"l\":[ ] }";
        let compact = r#"{"n":[1.10,123456789012345678901234567890,1E5],"s":"a\u0041 \" \\","e":{},"l":[]}"#;
        assert_eq!(laid_out(raw, Layout::Compact), compact);
        let indented = "{\n  \"n\": [\n    1.10,\n    123456789012345678901234567890,\n    1E5\n  ],\n  \"s\": \"a\\u0041 \\\" \\\\\",\n  \"e\": {},\n  \"l\": []\n}";
        assert_eq!(laid_out(raw, Layout::Indented(0)), indented);
        assert_eq!(laid_out("[1]", Layout::Indented(2)), "[\n      1\n    ]");
        assert_eq!(laid_out(" null ", Layout::Compact), "null");
    }

    #[test]
    fn secrets_are_replaced_however_they_are_escaped() {
        for secret in ["json_rs/secret_1", "98765432109876543"] {
            crate::domain::Secret::parse(secret).expect("a secret");
        }
        assert_eq!(
            laid_out(
                r#"{"json_rs/secret_1":"\"json_rs\/secret_1\n", "n" : 98765432109876543,"u":"js\u006fn_rs/secret_1"}"#,
                Layout::Compact
            ),
            r#"{"[redacted]":"\"[redacted]\n","n":"[redacted]","u":"[redacted]"}"#
        );
    }

    #[test]
    fn what_acts_on_a_terminal_is_escaped() {
        assert_eq!(
            laid_out("\"\u{7f}\u{9b}\u{202e}\u{e0041}é\"", Layout::Compact),
            r#""\u007f\u009b\u202e\udb40\udc41é""#
        );
        assert_eq!(
            laid_out("\"a\u{ad}b\u{3164} 👩\u{200d}👧\u{200d} e\u{301}\"", Layout::Compact),
            "\"a\\u00adb\\u3164 👩\u{200d}👧\\u200d e\u{301}\""
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_document_means_the_same_in_every_layout(value in any_json()) {
            let raw = serde_json::to_string_pretty(&value).expect("JSON");
            let expected: Value = serde_json::from_str(&raw).expect("JSON");
            for layout in [Layout::Compact, Layout::Indented(0), Layout::Indented(3)] {
                let copied = laid_out(&raw, layout);
                prop_assert!(!copied.chars().any(is_unsafe));
                prop_assert_eq!(&serde_json::from_str::<Value>(&copied).expect("JSON"), &expected);
            }
            prop_assert_eq!(laid_out(&raw, Layout::Compact).lines().count(), 1);
        }
    }
}
