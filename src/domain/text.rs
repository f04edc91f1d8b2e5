//! Compares, cleans and quotes text.

use super::Invalid;

/// Trims text and replaces each run of whitespace in it with one space.
pub fn collapse_whitespace(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the letters and digits of `text` in lower case, for comparison.
pub fn comparable(text: &str) -> String {
    let seen = text.chars().filter(|c| c.is_alphanumeric());
    seen.flat_map(char::to_lowercase).collect()
}

pub fn without_invisible(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).collect()
}

/// Normalizes text to plain keyboard input: trims it, removes invisible characters, and replaces
/// full-width characters and every kind of dash and space with ASCII.
pub fn plain(text: &str) -> String {
    let typed = text.chars().filter(|c| !is_invisible(*c)).map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        '\u{2024}' => '.',
        '\u{fe62}' => '+',
        c if c.is_whitespace() => ' ',
        c => c,
    });
    typed.collect::<String>().trim().to_owned()
}

/// Returns the trimmed text. Fails if the text has no visible characters.
pub fn parse_text(text: &str) -> Result<String, Invalid> {
    let is_blank = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    if text.chars().all(is_blank) {
        return Err(Invalid::new("the text is empty", "enter some text"));
    }
    Ok(text.trim().to_owned())
}

/// Returns whether a character is invisible, that is, a `Default_Ignorable_Code_Point` in Unicode.
/// Soft hyphens, joiners and variation selectors are examples.
pub fn is_invisible(c: char) -> bool {
    match u32::from(c) {
        0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x3164 | 0xfeff | 0xffa0 => true,
        0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f => true,
        0xfe00..=0xfe0f | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a => true,
        code => matches!(code, 0xe0000..=0xe0fff),
    }
}

/// Replaces unpaired surrogate escapes in JSON with U+FFFD, because a Rust string cannot contain
/// surrogates.
pub fn with_whole_pairs(json: &str) -> String {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut whole = String::new();
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        let next = escape.get(6..).unwrap_or_default();
        let (copied, length) = match (unit(escape), unit(next)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (&escape[..12], 12),
            (Some(0xd800..=0xdfff), _) => ("\\ufffd", 6),
            // Copy the backslash and the character after it, which may be another backslash.
            _ => {
                let length = escape
                    .char_indices()
                    .nth(2)
                    .map_or(escape.len(), |(at, _)| at);
                (&escape[..length], length)
            }
        };
        whole.extend([before, copied]);
        rest = &escape[length..];
    }
    whole + rest
}

/// Quotes a word for the shell, or for PowerShell on Windows.
pub fn shell_quoted(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let apostrophe = if cfg!(windows) { "''" } else { "'\\''" };
    format!("'{}'", text.replace('\'', apostrophe))
}

/// Quotes a rejected value for an error message. Hides a long value, because it may be a token, or
/// a URL with a token, that was pasted in the wrong place.
pub fn quoted(text: &str) -> String {
    const MAX_SHOWN: usize = 30;
    if text.chars().count() > MAX_SHOWN {
        return "this value".into();
    }
    format!("'{text}'")
}

/// Returns the candidate that is most similar to a mistyped word, if at most two edits are needed.
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let scored = candidates.map(|candidate| (strsim::levenshtein(word, candidate), candidate));
    let near = scored.filter(|(edits, _)| *edits <= 2);
    near.min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_and_invisible_characters_are_normalized() {
        assert_eq!(plain("\u{feff} ８\u{2011}９\u{a0}pm\u{200e} "), "8-9 pm");
    }

    #[test]
    fn unpaired_surrogate_becomes_the_replacement_character() {
        for (json, whole) in [
            (r"a\ud83db", r"a\ufffdb"),
            (r"\udca9\ud83d", r"\ufffd\ufffd"),
            (r"\ud83d\uD83D\uDCA9", r"\ufffd\uD83D\uDCA9"),
            (r"\ud83d\n\ud83dx\udca9", r"\ufffd\n\ufffdx\ufffd"),
            (r"\\ud83d\\\ud83d", r"\\ud83d\\\ufffd"),
            (r"\ud83d\\udca9", r"\ufffd\\udca9"),
        ] {
            assert_eq!(with_whole_pairs(json), whole, "{json}");
        }
        for json in r#"{} "\u00e9\"\\" \ \u \ud83 \é"#.split(' ') {
            assert_eq!(with_whole_pairs(json), json);
        }
    }

    #[test]
    fn text_without_visible_characters_is_rejected() {
        for text in "|  \n|\u{200b}|\u{202a}\u{feff} |\u{3164}|\u{7}".split('|') {
            assert!(parse_text(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_text(" Ana  María \n").as_deref(), Ok("Ana  María"));
    }

    #[test]
    fn long_values_are_not_repeated_in_error_messages() {
        assert_eq!(quoted("señor 4"), "'señor 4'");
        assert_eq!(quoted(&"a".repeat(31)), "this value");
    }
}
