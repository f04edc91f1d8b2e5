//! Compares, cleans and quotes text.

use super::Invalid;

/// Replaces every run of white space with one space.
pub fn collapse_whitespace(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns only the letters and digits of a text, in lower case, for comparison.
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
        c if c.is_whitespace() => ' ',
        c => c,
    });
    typed.collect::<String>().trim().to_owned()
}

/// Trims a text. Fails if it has no visible characters.
pub fn parse_text(text: &str) -> Result<String, Invalid> {
    let is_blank = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    if text.chars().all(is_blank) {
        return Err(Invalid::new("the text is empty", "enter some text"));
    }
    Ok(text.trim().to_owned())
}

/// Returns whether Unicode lists a character as `Default_Ignorable_Code_Point`: soft hyphens,
/// joiners, bidi marks, fillers, variation selectors, tags.
pub fn is_invisible(c: char) -> bool {
    match u32::from(c) {
        0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x3164 | 0xfeff | 0xffa0 => true,
        0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f => true,
        0xfe00..=0xfe0f | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a => true,
        code => matches!(code, 0xe0000..=0xe0fff),
    }
}

/// Replaces unpaired surrogate escapes in JSON with U+FFFD. No Rust string can contain them.
pub fn with_whole_pairs(json: &str) -> String {
    let unit = |escape: &str| u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok();
    let is_low = |escape: &str| matches!(unit(escape), Some(0xdc00..=0xdfff));
    let mut escapes = json.split('\\').peekable();
    let mut whole = escapes.next().unwrap_or_default().to_owned();
    while let Some(escape) = escapes.next() {
        let is_high = escape.len() == 5 && matches!(unit(escape), Some(0xd800..=0xdbff));
        // The other half of the pair, or the text after an escaped backslash.
        let next = escapes.next_if(|next| escape.is_empty() || (is_high && is_low(next)));
        match unit(escape) {
            Some(0xd800..=0xdfff) if next.is_none() => {
                whole += "\\ufffd";
                whole += &escape[5..];
            }
            _ => whole.extend(["\\", escape]),
        }
        if let Some(next) = next {
            whole.extend(["\\", next]);
        }
    }
    whole
}

/// Quotes a word for the shell (PowerShell on Windows).
pub fn shell_quoted(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let apostrophe = if cfg!(windows) { "''" } else { "'\\''" };
    format!("'{}'", text.replace('\'', apostrophe))
}

/// Quotes a rejected value for a message. Does not repeat a long value: it may be a token, or a URL
/// with a token, that was pasted in the wrong place.
pub fn quoted(text: &str) -> String {
    const MAX_SHOWN: usize = 30;
    if text.chars().count() > MAX_SHOWN {
        return "this value".into();
    }
    format!("'{text}'")
}

/// Returns the candidate nearest to a mistyped word, if it is at most two edits away.
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let scored = candidates.map(|candidate| (edits(word, candidate), candidate));
    let near = scored.filter(|(edits, _)| *edits <= 2);
    near.min().map(|(_, candidate)| candidate)
}

/// Returns the Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_normalized_to_ascii() {
        assert_eq!(plain("\u{feff} ８\u{2011}９\u{a0}pm\u{200e} "), "8-9 pm");
    }

    #[test]
    fn unpaired_surrogate_becomes_u_fffd() {
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
    fn long_values_are_not_quoted() {
        assert_eq!(quoted("señor 4"), "'señor 4'");
        assert_eq!(quoted(&"a".repeat(31)), "this value");
    }
}
