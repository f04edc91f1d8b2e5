//! Removes escape sequences, control characters and invisible characters from untrusted text.

use crate::domain::is_invisible;

/// Returns whether a character controls the terminal, changes the layout or is invisible.
pub(super) fn is_unsafe(c: char) -> bool {
    let is_layout = matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}');
    c.is_control() || is_layout || is_invisible(c)
}

/// Removes control characters, escape sequences, bidi controls and invisible characters. Every kind
/// of line break becomes `\n`, and a tab becomes a space.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.as_str().starts_with('\n') => {}
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                cleaned.push('\n');
            }
            '\t' => cleaned.push(' '),
            '\u{1b}' => rest = after_sequence(rest.as_str()).chars(),
            c if is_unsafe(c) => {}
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// Cleans text and replaces its line breaks with spaces.
pub(super) fn one_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// Returns the text after an ECMA-48 escape sequence. `text` starts after the ESC. Keeps a command
/// string without a terminator as text, so that it cannot hide everything after it.
fn after_sequence(text: &str) -> &str {
    let mut rest = text.chars();
    match rest.next() {
        Some('[') => {
            let end = rest.as_str().trim_start_matches(|c| matches!(c, ' '..='?'));
            end.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(end)
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let end = rest.as_str().trim_start_matches(|c: char| !c.is_control());
            let bell = end.strip_prefix('\u{7}');
            bell.or(end.strip_prefix("\u{1b}\\"))
                .unwrap_or(rest.as_str())
        }
        Some(' '..='~') => rest.as_str(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_are_removed_completely() {
        for (hostile, harmless) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}cx\u{9b}", "x"),
            ("\u{1b}]never ended", "never ended"),
            ("a\u{7}b\u{8}c\u{7f}d\u{0}e", "abcde"),
            ("\u{202e}evil\u{202c} \u{2066}x\u{2069}", "evil x"),
            ("a\r\nb\tc\u{2028}d\re", "a\nb c\nd\ne"),
            ("su\u{ad}cc\u{200b}ess\u{e0041}", "success"),
        ] {
            assert_eq!(clean(hostile), harmless, "{hostile:?}");
        }
    }

    proptest! {
        #[test]
        fn cleaned_text_has_no_unsafe_characters(text in "[\\PC\u{1b}\u{9b}\u{9d}\u{7}\u{202e}\n\r\\]\\[;m]*") {
            let cleaned = clean(&text);
            prop_assert!(!cleaned.chars().any(|c| c != '\n' && is_unsafe(c)));
            prop_assert_eq!(clean(&cleaned), cleaned);
        }
    }
}
