//! What a terminal, or a reader of a terminal, must never be sent: control characters, escape sequences, and marks that
//! reorder or hide text.

use std::borrow::Cow;

/// Whether a character does something other than be read: controls (C0 but for tab and line feed, DEL, C1), bidi
/// overrides, isolates and marks, line separators, interlinear annotation, tags, the byte order mark.
#[inline]
pub fn is_unsafe(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        ' '..='~' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{fff9}'..='\u{fffb}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => c.is_control(),
    }
}

/// Whether a text is one line of printable ASCII, as most are: known at a glance.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// The lines of a foreign text, each cleaned. A line ends where any reader might end one.
pub fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split(ends_line).map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        clean(line)
    })
}

/// Whether any reader might end a line here; the return that may precede a line feed stays with its line.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}')
}

/// A foreign text as one line: line breaks become spaces.
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.chars().any(|c| is_unsafe(c) || matches!(c, '\t' | '\n')) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut unended = usize::MAX;
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest, &mut unended),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest, &mut unended),
            '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => cleaned.push(' '),
            c if is_unsafe(c) => {}
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

type Rest<'a> = std::str::Chars<'a>;

/// ECMA-48 escape sequences: `ESC [ …`, the string-opening ones, and the two- and three-character rest.
fn skip_escape(rest: &mut Rest<'_>, unended: &mut usize) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            *rest = ahead;
            skip_control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = ahead;
            skip_string(rest, unended);
        }
        Some(' '..='/') => {
            while let Some(' '..='/') = ahead.clone().next() {
                ahead.next();
            }
            ahead.next_if(|c| matches!(c, '0'..='~'));
            *rest = ahead;
        }
        Some('0'..='~') => *rest = ahead,
        _ => {}
    }
}

/// Parameters, intermediates and one final character. What breaks the form is text again.
fn skip_control_sequence(rest: &mut Rest<'_>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// A device or operating system command, up to its terminator. One that never ends is cut at the next line, so that an
/// attacker cannot hide the rest of a text. `unended` is how much was left where the last search for a terminator ended
/// in vain: another from before there would too, and a text full of openings is searched once.
fn skip_string(rest: &mut Rest<'_>, unended: &mut usize) {
    if rest.as_str().len() > *unended {
        return;
    }
    let mut ahead = rest.clone();
    while let Some(c) = ahead.next() {
        match c {
            '\u{7}' | '\u{9c}' => return *rest = ahead,
            '\u{1b}' => {
                ahead.next_if(|c| c == '\\');
                return *rest = ahead;
            }
            '\n' | '\r' => break,
            _ => {}
        }
    }
    *unended = ahead.as_str().len();
}

trait NextIf {
    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char>;
}

impl NextIf for Rest<'_> {
    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let c = self.clone().next().filter(|c| wanted(*c))?;
        self.next();
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_go_whole_and_words_stay() {
        for (hostile, harmless) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9b}2Jx", "x"),
            ("\u{1b}(Bx", "x"),
            ("\u{1b}cx", "x"),
            ("a\u{1b}", "a"),
            ("\u{1b}]never ended", "never ended"),
            ("a\u{7}b\u{8}c\u{7f}d\u{0}e", "abcde"),
            ("\u{202e}evil\u{202c} \u{2066}x\u{2069}", "evil x"),
            ("a\r\nb\tc\u{2028}d", "a  b c d"),
            ("hidden\u{e0041}\u{e0042}", "hidden"),
            ("👩‍👩‍👧 e\u{301} שלום", "👩‍👩‍👧 e\u{301} שלום"),
        ] {
            assert_eq!(clean(hostile), harmless, "{hostile:?}");
        }
    }

    #[test]
    fn lines_end_where_any_reader_ends_them() {
        assert_eq!(lines("a\r\nb\u{2028}c\u{85}d\n").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(lines("").count(), 1);
    }

    #[test]
    fn strings_without_an_end_hide_nothing_however_many_they_are() {
        for opening in ["\u{9d}", "\u{90}x", "\u{9f}\u{1b}[m"] {
            // Searched again for each of them, this would take minutes.
            let words = opening.repeat(100_000) + "the end";
            assert!(clean(&words).ends_with("the end"), "{opening:?}");
        }
    }

    #[test]
    fn a_string_that_ends_goes_whole_behind_one_that_does_not() {
        for (hostile, harmless) in [
            ("\u{9d}a\n\u{9d}b\u{9c}c", "a c"),
            ("\u{9d}a\u{9d}b\nc\u{7}", "ab c"),
            ("\u{90}a\r\u{1b}]b\u{7}\u{98}d", "a d"),
        ] {
            assert_eq!(clean(hostile), harmless, "{hostile:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_hostile_is_left_and_cleaning_twice_changes_nothing(
            text in proptest::collection::vec(
                prop_oneof![any::<char>(), prop::sample::select(vec!['\u{1b}', '[', ']', '\n', '\u{9b}', '\\', 'm', '\u{202e}'])],
                0..80,
            ).prop_map(|chars| chars.into_iter().collect::<String>())
        ) {
            let cleaned = clean(&text).into_owned();
            prop_assert!(!cleaned.chars().any(|c| is_unsafe(c) || c == '\n'));
            let again = clean(&cleaned).into_owned();
            prop_assert_eq!(again, cleaned);
        }
    }
}
