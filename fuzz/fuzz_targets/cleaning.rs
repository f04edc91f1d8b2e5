//! Foreign text on its way to a terminal.
//!
//! The first bytes of an input say how wide the terminal is and where the text is cut; the rest is the text.

#![no_main]

use std::sync::LazyLock;

use kallyai::fuzzing::output::{a_line, clean, columns, file, lines, prose, shorten, table};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choices, width, cut, bytes @ ..] = data else { return };
    let text = &*String::from_utf8_lossy(bytes);
    let width = usize::from(*width) + 20;

    // Nothing hostile is left, cleaning again changes nothing, and nothing is made up.
    let cleaned = clean(text);
    assert_harmless(&cleaned, false);
    assert_eq!(clean(&cleaned), cleaned);
    let mut rest = text.chars();
    assert!(cleaned.chars().all(|c| rest.any(|from| from == c || (c == ' ' && breaks(from)))), "made up");
    // Where nothing opens an escape sequence, every word stays but for marks, joiners and selectors.
    if !text.contains(opens) {
        let seen = |c: &char| !is_hostile(*c) && !takes_no_room(*c);
        let kept: String = text.chars().map(|c| if breaks(c) { ' ' } else { c }).filter(seen).collect();
        assert_eq!(cleaned.chars().filter(seen).collect::<String>(), kept);
    }
    // No sequence reaches over a line break, so none hides the lines behind its own.
    for line_break in ['\n', '\r'] {
        let parts: Vec<_> = text.split(line_break).map(clean).collect();
        assert_eq!(parts.join(" "), cleaned, "across {line_break:?}");
    }

    // Lines: one for each break that any reader knows.
    let broken: Vec<_> = lines(text).collect();
    let ends = ['\n', '\u{2028}', '\u{2029}', '\u{85}', '\u{b}', '\u{c}'];
    assert_eq!(broken.len(), text.strip_suffix('\n').unwrap_or(text).split(ends).count());
    broken.iter().for_each(|line| assert_harmless(line, false));

    // Whatever is hostile is so anywhere.
    let at = (usize::from(*cut)..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (first, second) = text.split_at(at);
    let planted = HOSTILE.iter().cycle().nth(usize::from(*choices) + bytes.len()).expect("endless");
    assert_harmless(&clean(&format!("{first}{planted}{second}")), false);

    // A line is one line, in colour too.
    let plain = utf8(a_line(first, second, false));
    assert_eq!(plain, format!("{}{}\n", clean(first), clean(second)));
    assert_eq!(without_color(&utf8(a_line(first, second, true))), plain);

    // Prose stands behind its label: nothing else begins a line, no word is lost.
    let screen = (choices & 1 == 0).then_some(width);
    let label = &*first.chars().take(usize::from(choices >> 4)).collect::<String>();
    let printed = utf8(prose(label, second, screen, false));
    assert_harmless(&printed, true);
    assert_eq!(without_color(&utf8(prose(label, second, screen, true))), printed);
    let taken = columns(&clean(label));
    let is_beside = screen.is_none_or(|width| taken <= width.min(100) / 2);
    let indent = match screen {
        None => taken,
        Some(_) if is_beside => taken.max(2),
        Some(_) => 2,
    };
    let behind = printed.strip_prefix(&*clean(label)).expect("the label");
    for line in behind.strip_suffix('\n').expect("an end").split('\n').skip(1) {
        assert!(line.is_empty() || line.starts_with(&" ".repeat(indent)), "{line:?}");
    }
    let words = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let said: String = lines(second).map(|line| words(&line)).collect();
    assert_eq!(words(behind), said);
    if let Some(width) = screen {
        for line in printed.lines() {
            assert!(columns(line) <= width.min(100), "{} columns in {width}: {line:?}", columns(line));
        }
    } else {
        assert_eq!(behind.matches('\n').count(), lines(second).count());
    }

    // What is cut fits, and is the beginning.
    let most = usize::from(*cut).max(1);
    let short = shorten(&cleaned, most);
    assert!(columns(&short) <= most, "{} columns in {most}: {short:?}", columns(&short));
    let beginning = short.strip_suffix('…').unwrap_or(&short);
    assert!(cleaned.starts_with(beginning) && (short == cleaned || short.ends_with('…')), "{short:?}");

    // A table has a line for each row, none wider than the terminal; its last column is aligned.
    let third = &*text.chars().rev().collect::<String>();
    let rows = [[first, second, third], [third, first, second], ["", text, "x"], [text, "", ""]];
    let width = width.max(40);
    let printed = utf8(table(&rows, width, false));
    assert_harmless(&printed, true);
    assert_eq!(without_color(&utf8(table(&rows, width, true))), printed);
    assert_eq!(printed.matches('\n').count(), 1 + rows.len());
    for line in printed.lines() {
        assert!(columns(line) <= width, "{} columns in {width}: {line:?}", columns(line));
        assert_eq!(line, line.trim_end());
    }

    // A file passes untouched to another program, and cleaned to a person.
    assert_eq!(file(bytes, None).as_deref(), Some(bytes));
    assert_harmless(&utf8(file(bytes, Some(80))), true);
});

/// Every character that must not be printed.
static HOSTILE: LazyLock<Vec<char>> =
    LazyLock::new(|| ('\0'..=char::MAX).filter(|c| is_hostile(*c)).collect());

fn utf8(printed: Option<Vec<u8>>) -> String {
    String::from_utf8(printed.expect("memory takes everything")).expect("UTF-8")
}

/// What may stand in no line; the program's own rule, written down once more.
fn is_hostile(c: char) -> bool {
    matches!(u32::from(c),
        0..=0x1f | 0x7f..=0x9f | 0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5
        | 0x180b..=0x180f | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e | 0x2060..=0x206f
        | 0x3164 | 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xfe00..=0xfe0d | 0xfeff | 0xffa0
        | 0xfff0..=0xfffb | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff | 0xf0000..)
        || u32::from(c) & 0xfffe == 0xfffe
}

fn takes_no_room(c: char) -> bool {
    columns(c.encode_utf8(&mut [0; 4])) == 0
}

fn breaks(c: char) -> bool {
    matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn opens(c: char) -> bool {
    matches!(c, '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}')
}

fn assert_harmless(text: &str, of_lines: bool) {
    assert!(!text.chars().any(|c| is_hostile(c) && !(of_lines && c == '\n')), "{text:?}");
}

fn without_color(text: &str) -> String {
    ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[1;31m", "\u{1b}[1;32m"]
        .iter()
        .fold(text.to_owned(), |text, escape| text.replace(escape, ""))
}
