//! What a terminal, or a reader of a terminal, must never be sent: control characters, escape sequences, marks that
//! reorder or hide text, and characters that are not seen at all.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

use super::columns::is_drawn_wider;

use crate::domain::{is_unseen, redact};

/// Whether a character does something other than be read wherever it stands: controls (C0 but for tab and line feed, DEL,
/// C1), line separators, noncharacters, private use, and what is not seen but for joiners and emoji's variation selectors,
/// which [`Sieve`] judges.
#[inline]
pub fn is_unsafe(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        ' '..='~' => false,
        '\u{a0}'..='\u{ac}' | '\u{ae}'..='\u{34e}' => false,
        '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => false,
        '\u{2028}' | '\u{2029}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' => true,
        '\u{fff9}'..='\u{fffb}' | '\u{f0000}'.. => true,
        _ => is_unseen(c) || u32::from(c) & 0xfffe == 0xfffe || c.is_control(),
    }
}

/// Whether a character may stand anywhere, whatever is beside it.
#[inline]
fn is_ordinary(c: char) -> bool {
    match c {
        ' '..='~' | '\u{a0}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' => true,
        c => !is_unsafe(c) && takes_room(c) && !matches!(c, '\t' | '\n'),
    }
}

fn takes_room(c: char) -> bool {
    c.width().is_some_and(|columns| columns > 0)
}

/// Whether every character of a text may stand anywhere.
pub fn is_ordinary_text(text: &str) -> bool {
    is_plain(text) || text.chars().all(is_ordinary)
}

/// Marks that may hang on one letter: more than any script needs, too few to reach other lines.
const MOST_MARKS: usize = 8;

/// Passes a text's characters, one after the other, and keeps back those that are not to be printed.
#[derive(Debug, Default)]
pub struct Sieve {
    /// The last character that passed and takes room.
    base: Option<char>,
    /// What has passed behind it and takes none.
    marks: usize,
    /// Whether one of those is drawn beside it.
    has_wide_mark: bool,
    /// Whether the last that passed was a joiner.
    has_joined: bool,
}

impl Sieve {
    /// Whether `c` may be printed where it stands, before `next`.
    #[inline]
    pub fn passes(&mut self, c: char, next: Option<char>) -> bool {
        if matches!(c, ' '..='~') {
            *self = Self { base: Some(c), ..Self::default() };
            return true;
        }
        self.passes_any(c, next)
    }

    fn passes_any(&mut self, c: char, next: Option<char>) -> bool {
        if is_unsafe(c) {
            return false;
        }
        if takes_room(c) {
            *self = Self { base: Some(c), ..Self::default() };
            return true;
        }
        let is_apt = match c {
            // A zero-width joiner or non-joiner, between letters that join.
            '\u{200c}' | '\u{200d}' => {
                let pair = self.base.zip(next.filter(|next| takes_room(*next)));
                !self.has_joined && pair.is_some_and(|(base, next)| joins(base, c) && joins(next, c))
            }
            // How an emoji is drawn.
            '\u{fe0e}' | '\u{fe0f}' => self.marks == 0 && self.base.is_some_and(may_be_emoji),
            // Counted once more than they are drawn, many would reach the edge of the terminal.
            c if is_drawn_wider(c) => !std::mem::replace(&mut self.has_wide_mark, true),
            _ => true,
        };
        let passes = is_apt && self.marks < MOST_MARKS;
        if passes {
            self.marks += 1;
            self.has_joined = matches!(c, '\u{200c}' | '\u{200d}');
        }
        passes
    }
}

/// Whether a character belongs to what a joiner (U+200D) or non-joiner (U+200C) acts on: letters of scripts from Arabic
/// to Mongolian and, for the joiner, emoji.
fn joins(c: char, joiner: char) -> bool {
    matches!(c, '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1900}'..='\u{1cff}')
        || matches!(c, '\u{a800}'..='\u{abff}' | '\u{11000}'..='\u{11fff}')
        || joiner == '\u{200d}' && may_be_emoji(c) && !c.is_ascii()
}

/// Whether a character may be drawn as an emoji, or is part of one.
pub(super) fn may_be_emoji(c: char) -> bool {
    matches!(c, '#' | '*' | '0'..='9' | '©' | '®' | '\u{203c}'..='\u{2bff}' | '\u{3030}' | '\u{303d}')
        || matches!(c, '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
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

/// A foreign text as one line that is safe to print: line breaks become spaces, secrets of this run are replaced.
pub fn clean(text: &str) -> Cow<'_, str> {
    match printable(text) {
        Cow::Borrowed(text) => redact(text),
        // What stood between the letters of a secret is gone by now.
        Cow::Owned(text) => match redact(&text) {
            Cow::Owned(redacted) => Cow::Owned(redacted),
            Cow::Borrowed(_) => Cow::Owned(text),
        },
    }
}

fn printable(text: &str) -> Cow<'_, str> {
    if is_ordinary_text(text) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut sieve = Sieve::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            c if ends_line(c) || matches!(c, '\t' | '\r') => {
                sieve = Sieve::default();
                cleaned.push(' ');
            }
            c if sieve.passes(c, rest.clone().next()) => cleaned.push(c),
            _ => {}
        }
    }
    Cow::Owned(cleaned)
}

type Rest<'a> = std::str::Chars<'a>;

/// ECMA-48 escape sequences: `ESC [ …`, the string-opening ones, and the two- and three-character rest. They go whole:
/// what is left of a colour would stand in words that somebody meant to be read.
fn skip_escape(rest: &mut Rest<'_>) {
    match rest.clone().next() {
        Some('[') => {
            rest.next();
            skip_control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        Some(' '..='/') => {
            while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            rest.next_if(|c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => {
            rest.next();
        }
        _ => {}
    }
}

/// Parameters, intermediates and one final character. What breaks the form is text again.
fn skip_control_sequence(rest: &mut Rest<'_>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// A device or operating system command: visible characters up to a terminator. Where another control character, or
/// nothing, ends them they are text, so that no opening hides what follows it. As openings are control characters, no
/// text is searched twice.
fn skip_string(rest: &mut Rest<'_>) {
    let mut ahead = rest.clone();
    while ahead.next_if(|c| !c.is_control()).is_some() {}
    match ahead.next() {
        Some('\u{7}' | '\u{9c}') => *rest = ahead,
        Some('\u{1b}') if ahead.next() == Some('\\') => *rest = ahead,
        _ => {}
    }
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
        ] {
            assert_eq!(clean(hostile), harmless, "{hostile:?}");
        }
    }

    #[test]
    fn a_secret_is_replaced_also_where_something_stood_between_its_letters() {
        crate::domain::Secret::parse("clean_rs_secret_of_the_test").expect("a secret");
        for text in ["clean_rs_secret_of_the_test", "clean_rs\u{200b}_secret_\u{1b}[31mof_the_test"] {
            assert_eq!(clean(&format!("token {text}.")), "token [redacted].");
        }
    }

    #[test]
    fn what_nobody_sees_goes() {
        for hidden in [
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{2060}',
            '\u{2065}',
            '\u{3164}',
            '\u{e123}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{ffff}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{10fffd}',
        ] {
            assert_eq!(clean(&format!("su{hidden}ccess")), "success", "{hidden:?}");
            assert_eq!(clean(&format!("{hidden}")), "", "{hidden:?}");
        }
    }

    #[test]
    fn what_scripts_and_emoji_need_stays() {
        for text in [
            "👩‍👩‍👧 e\u{301} שלום",
            "🏳️‍🌈 👩🏽‍🚀 ❤️‍🔥 3️⃣ ☎︎ 🤦🏻‍♂️",
            "می\u{200c}خواهم",
            "क्\u{200d}ष श्री",
            "한국어 日本語が ไม่มี e\u{301}te\u{301} ﷺ",
            "a\u{a0}b\u{3000}c",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn joiners_and_selectors_stand_once_and_only_where_they_act() {
        for (hostile, harmless) in [
            ("👩\u{200d}\u{200d}\u{200d}👧", "👩\u{200d}👧"),
            ("👩\u{200d}", "👩"),
            ("👩\u{200d}x", "👩x"),
            ("a\u{200c}b", "ab"),
            ("م\u{200c}\u{200c}ن", "م\u{200c}ن"),
            ("❤\u{fe0f}\u{fe0f}\u{fe0e}", "❤\u{fe0f}"),
            ("e\u{fe0f}", "e"),
            ("\u{fe0f}❤", "❤"),
        ] {
            assert_eq!(clean(hostile), harmless, "{hostile:?}");
        }
    }

    #[test]
    fn so_many_marks_hang_on_a_letter_at_the_most() {
        let flood = format!("e{}f{}", "\u{301}".repeat(5_000), "\u{489}".repeat(8));
        assert_eq!(clean(&flood), format!("e{}f{}", "\u{301}".repeat(8), "\u{489}".repeat(8)));
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
                prop_oneof![any::<char>(), prop::sample::select(vec!['\u{1b}', '[', ']', '\n', '\u{9b}', '\\', 'm', '\u{202e}', '\u{200d}', '\u{fe0f}', '\u{301}', '👩', 'م'])],
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
