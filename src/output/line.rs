//! Lines made of toned pieces. A piece is cleaned as it is rendered: whatever was put in, a line is one line.

use std::borrow::Cow;

use super::clean;
use super::columns::{columns, split_at_column};
use crate::domain::redact;

/// No label of ours is wider. A foreign one of any length must not be paid for in spaces on every line.
const WIDEST_INDENT: usize = 40;

/// How far a line goes on to the right of its beginning, where it has no label.
const HANG: usize = 2;

/// How a piece of text stands out. Bold and dim rather than hues: they read on light and dark alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Not at all.
    Plain,
    /// Bold.
    Strong,
    /// Dim.
    Faint,
    /// Bold green.
    Good,
    /// Bold red.
    Bad,
}

impl Tone {
    fn escape(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("\u{1b}[1m"),
            Self::Faint => Some("\u{1b}[2m"),
            Self::Good => Some("\u{1b}[1;32m"),
            Self::Bad => Some("\u{1b}[1;31m"),
        }
    }

    /// Appends `text`, which is clean, in this tone.
    pub(super) fn paint(self, text: &str, color: bool, to: &mut String) {
        match self.escape().filter(|_| color && !text.is_empty()) {
            Some(escape) => {
                to.push_str(escape);
                to.push_str(text);
                to.push_str("\u{1b}[0m");
            }
            None => to.push_str(text),
        }
    }
}

/// One line of output.
#[derive(Debug, Clone, Default)]
pub struct Line<'a> {
    pieces: Vec<(Tone, Cow<'a, str>)>,
}

impl<'a> Line<'a> {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text.
    pub fn text(self, text: &'a str) -> Self {
        self.tone(Tone::Plain, text)
    }

    /// Adds text that stands out.
    pub fn tone(mut self, tone: Tone, text: &'a str) -> Self {
        self.pieces.push((tone, clean::clean(text)));
        self
    }

    /// Its columns on a terminal.
    pub fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| columns(text)).sum()
    }

    /// Appends the line, without its end.
    pub(super) fn render(&self, color: bool, to: &mut String) {
        for (tone, text) in &self.pieces {
            tone.paint(text, color, to);
        }
    }

    /// The same where there is a width: what is too wide for it goes on below, indented, and never by the terminal's
    /// doing, at whose edge it could pass for another line.
    pub(super) fn render_within(&self, width: Option<usize>, color: bool, to: &mut String) {
        let Some(width) = width.filter(|width| self.width() > *width) else { return self.render(color, to) };
        let (mut column, mut owed) = (0, 0);
        for word in self.words() {
            let wide: usize = word.iter().map(|(_, text)| columns(text.trim_end_matches(' '))).sum();
            if wide == 0 {
                owed += word.iter().map(|(_, text)| text.len()).sum::<usize>();
                continue;
            }
            if column > 0 && column + owed + wide > width {
                break_line(to, &mut column);
            } else {
                to.extend(std::iter::repeat_n(' ', owed));
                column += owed;
            }
            owed = 0;
            for (tone, text) in word {
                let mut rest = text.trim_end_matches(' ');
                owed += text.len() - rest.len();
                while !rest.is_empty() {
                    let (fits, behind) = split_at_column(rest, width.saturating_sub(column));
                    if fits.is_empty() && column > HANG {
                        break_line(to, &mut column);
                        continue;
                    }
                    // A letter wider than the terminal is the terminal's affair.
                    let (fits, behind) = if fits.is_empty() { (rest, "") } else { (fits, behind) };
                    tone.paint(fits, color, to);
                    column += columns(fits);
                    rest = behind;
                }
            }
        }
    }

    /// Its words, each in pieces, with the spaces behind it.
    fn words(&self) -> Vec<Vec<(Tone, &str)>> {
        let mut words: Vec<Vec<(Tone, &str)>> = Vec::new();
        let mut is_open = false;
        for (tone, text) in &self.pieces {
            for part in text.split_inclusive(' ') {
                match words.last_mut().filter(|_| is_open) {
                    Some(word) => word.push((*tone, part)),
                    None => words.push(vec![(*tone, part)]),
                }
                is_open = !part.ends_with(' ');
            }
        }
        words
    }
}

fn break_line(to: &mut String, column: &mut usize) {
    to.push('\n');
    to.extend(std::iter::repeat_n(' ', HANG));
    *column = HANG;
}

/// Appends a foreign text in a tone behind a label. Its own line breaks, and the lines it is wrapped to where there is a
/// width, stand under its beginning; where the label leaves less than half of the width, on lines of their own.
pub(super) fn write_behind(
    label: &Line<'_>,
    text: &str,
    tone: Tone,
    width: Option<usize>,
    color: bool,
    to: &mut String,
) {
    let taken = label.width();
    let (mut is_first, indent) = match width {
        Some(width) if taken > width / 2 => (false, HANG),
        // Below nothing of ours it could pass for another line.
        Some(_) => (true, taken.max(HANG)),
        None => (true, taken.min(WIDEST_INDENT)),
    };
    if is_first {
        label.render(color, to);
    } else {
        label.render_within(width, color, to);
        to.push('\n');
        if text.is_empty() {
            return;
        }
    }
    let mut push = |line: &str, to: &mut String| {
        if !std::mem::take(&mut is_first) && !line.is_empty() {
            to.extend(std::iter::repeat_n(' ', indent));
        }
        tone.paint(line, color, to);
        to.push('\n');
    };
    let Some(room) = width.map(|columns| columns.saturating_sub(indent).max(1)) else {
        if clean::is_plain(text) {
            return push(&redact(text), to);
        }
        return clean::lines(text).for_each(|line| push(&line, to));
    };
    for line in clean::lines(text) {
        for wrapped in wrap(line.trim_end(), room) {
            if columns(&wrapped) <= room {
                push(&wrapped, to);
            } else {
                // Emoji count once there and take two columns here. What a terminal breaks by itself stands at its
                // edge, where it could pass for another line.
                wrap(&wrapped, (room / 2).max(1)).iter().for_each(|half| push(half, to));
            }
        }
    }
}

fn wrap(line: &str, room: usize) -> Vec<Cow<'_, str>> {
    textwrap::wrap(line, textwrap::Options::new(room).word_splitter(textwrap::WordSplitter::NoHyphenation))
}

/// The beginning of a clean text that fits so many columns, cut behind a word where that costs less than half, with an
/// ellipsis where something was cut.
pub fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    if columns(text) <= most {
        return Cow::Borrowed(text);
    }
    let room = most.saturating_sub(1);
    // Between a beginning that fits and one that does not, halved until nothing is: marks without width may be many.
    let (mut end, mut over) = (0, text.len());
    while let Some(next) = text.get(end..over).and_then(|part| Some(end + part.chars().next()?.len_utf8()))
        && next < over
    {
        let half = (next..=end.midpoint(over)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(next);
        if text.get(..half).is_some_and(|part| columns(part) <= room) {
            end = half;
        } else {
            over = half;
        }
    }
    let part = text.get(..end).unwrap_or_default();
    let inside_word = text.get(end..).is_some_and(|rest| !rest.starts_with(char::is_whitespace));
    let kept = match part.rfind(char::is_whitespace).filter(|space| inside_word && *space >= part.len() / 2) {
        Some(space) => part.get(..space).unwrap_or(part),
        None => part,
    };
    Cow::Owned(format!(
        "{}…",
        kept.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':'))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indented(text: &str, indent: usize, width: Option<usize>) -> String {
        let mut to = String::new();
        let label = "l".repeat(indent);
        write_behind(&Line::new().text(&label), text, Tone::Plain, width, false, &mut to);
        to.strip_prefix(&label).unwrap_or(&to).to_owned()
    }

    #[test]
    fn a_foreign_line_break_cannot_forge_a_line() {
        assert_eq!(indented("ok\nerror: no\r\n\nend", 3, None), "ok\n   error: no\n\n   end\n");
        let mut rendered = String::new();
        Line::new().text("a\nb\u{1b}[1mc").render(false, &mut rendered);
        assert_eq!(rendered, "a bc");
    }

    #[test]
    fn prose_is_wrapped_under_its_beginning() {
        assert_eq!(
            indented("one two three four five six", 4, Some(24)),
            "one two three four\n    five six\n"
        );
        assert_eq!(
            indented("日本語の長い文章はここで折り返す", 2, Some(22)),
            "日本語の長い文章はこ\n  こで折り返す\n"
        );
    }

    #[test]
    fn emoji_that_take_two_columns_do_not_push_words_to_the_edge_of_the_terminal() {
        let hearts = "\u{2764}\u{fe0f}".repeat(20) + " AI     forged " + &"3\u{fe0f}".repeat(25);
        let printed = indented(&hearts, 4, Some(44));
        for line in printed.lines().map(|line| line.trim_start_matches(' ')) {
            assert!(columns(line) <= 40, "{} columns: {line}", columns(line));
        }
        let joined: String = printed.split_whitespace().collect();
        assert_eq!(joined, hearts.split_whitespace().collect::<String>());
    }

    #[test]
    fn a_label_of_any_length_indents_what_follows_by_so_much_at_the_most() {
        assert_eq!(indented("a\nb", 5000, None), format!("a\n{}b\n", " ".repeat(40)));
        assert_eq!(indented("a\nb", 40, Some(80)), format!("a\n{}b\n", " ".repeat(40)));
        assert_eq!(indented("a\nb", 41, Some(80)), "\n  a\n  b\n");
        assert_eq!(indented("a b", 0, Some(2)), "a\n  b\n");
    }

    #[test]
    fn a_line_too_wide_goes_on_below_at_a_word_and_keeps_its_tones() {
        let within = |line: &Line<'_>, width, color| {
            let mut to = String::new();
            line.render_within(Some(width), color, &mut to);
            to
        };
        let status = Line::new().tone(Tone::Good, "success").text("  ").text("3f2a0c1e-55aa-4bbb");
        assert_eq!(within(&status, 27, false), "success  3f2a0c1e-55aa-4bbb");
        assert_eq!(within(&status, 26, false), "success\n  3f2a0c1e-55aa-4bbb");
        assert_eq!(within(&status, 12, false), "success\n  3f2a0c1e-5\n  5aa-4bbb");
        assert_eq!(within(&status, 26, true), "\u{1b}[1;32msuccess\u{1b}[0m\n  3f2a0c1e-55aa-4bbb");
        let glued = Line::new().text("one two").tone(Tone::Strong, "three").text(", four");
        assert_eq!(within(&glued, 10, false), "one\n  twothree\n  , four");
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        for part in ["x", "寿司", "❤\u{fe0f}", "a b", "👩\u{200d}👧", "e\u{301}", "لا", "1\u{fe0f}\u{20e3} "]
        {
            let foreign = part.repeat(500);
            let line = Line::new().tone(Tone::Bad, &foreign).text("  ").text(&foreign);
            for width in [20, 33, 80] {
                let mut to = String::new();
                line.render_within(Some(width), false, &mut to);
                to.push('\n');
                write_behind(&line, &foreign, Tone::Plain, Some(width), false, &mut to);
                write_behind(
                    &Line::new().text("Label  "),
                    &foreign,
                    Tone::Plain,
                    Some(width),
                    false,
                    &mut to,
                );
                for line in to.lines() {
                    assert!(columns(line) <= width, "{part} in {width}: {} {line}", columns(line));
                }
                let at_the_edge = to.lines().filter(|line| !line.starts_with("  ")).count();
                assert_eq!(at_the_edge, 3, "{part} in {width}: {to}");
            }
        }
    }

    #[test]
    fn marks_without_width_are_cut_with_their_letter_however_many_they_are() {
        for mark in ["\u{301}", "\u{200d}", "\u{fe0f}"] {
            // Measured from the start for each of them, this would take minutes.
            let marked = "e".to_owned() + &mark.repeat(50_000) + &"a".repeat(50);
            assert!(shorten(&marked, 30).ends_with("aaa…"), "{mark:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_word() {
        assert_eq!(shorten("A table for four, tonight", 25), "A table for four, tonight");
        assert_eq!(shorten("A table for four, tonight", 20), "A table for four…");
        assert_eq!(shorten("Donaudampfschifffahrtsgesellschaft", 10), "Donaudamp…");
        assert_eq!(shorten("日本語の長い文章", 7), "日本語…");
        assert_eq!(shorten("abc", 0), "…");
    }

    #[test]
    fn columns_are_cells_of_a_terminal() {
        for (text, cells) in [
            ("abc", 3),
            ("寿司", 4),
            ("e\u{301}", 1),
            // A terminal that does not join them draws three.
            ("👩‍👩‍👧", 6),
            ("👍🏽", 4),
            ("⌚\u{fe0e}", 2),
            ("❤\u{fe0f}", 2),
            ("مطعم", 4),
            ("مشغولاً", 6),
            ("الا", 3),
            ("ل\u{64e}ا", 2),
        ] {
            assert_eq!(columns(text), cells, "{text}");
        }
    }

    #[test]
    fn tones_are_escapes_only_in_colour() {
        let line = Line::new().tone(Tone::Bad, "no").text("!");
        let (mut plain, mut colored) = (String::new(), String::new());
        line.render(false, &mut plain);
        line.render(true, &mut colored);
        assert_eq!((plain.as_str(), colored.as_str()), ("no!", "\u{1b}[1;31mno\u{1b}[0m!"));
    }
}
