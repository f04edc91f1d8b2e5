//! How many columns of a terminal a text takes.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Whether terminals give a character a column more than the tables of widths do: signs that are part of a letter
/// (Unicode's `Other_Grapheme_Extend`) and yet stand beside it, number signs that stand above digits, circled numbers.
pub fn is_drawn_wider(c: char) -> bool {
    match c {
        ..'\u{605}' => false,
        '\u{605}' | '\u{70f}' | '\u{8e2}' | '\u{9be}' | '\u{9d7}' | '\u{b3e}' | '\u{b57}' | '\u{bbe}'
        | '\u{bd7}' => true,
        '\u{cc0}' | '\u{cc2}' | '\u{cc7}' | '\u{cc8}' | '\u{cca}' | '\u{ccb}' | '\u{cd5}' | '\u{cd6}' => true,
        '\u{d3e}' | '\u{d57}' | '\u{dcf}' | '\u{ddf}' | '\u{1715}' | '\u{1734}' | '\u{1b35}' | '\u{1b3b}' => {
            true
        }
        '\u{1b3d}' | '\u{1b43}' | '\u{1b44}' | '\u{1baa}' | '\u{1bf2}' | '\u{1bf3}' | '\u{302e}'
        | '\u{302f}' => true,
        '\u{3248}'..='\u{324f}'
        | '\u{a953}'
        | '\u{a9c0}'
        | '\u{ff9e}'
        | '\u{ff9f}'
        | '\u{111c0}'
        | '\u{11235}' => true,
        '\u{1133e}' | '\u{1134d}' | '\u{11357}' | '\u{113b8}'..='\u{113cf}' | '\u{114b0}' | '\u{114bd}' => {
            true
        }
        '\u{115af}' | '\u{116b6}' | '\u{11930}' | '\u{1193d}' | '\u{11f41}' | '\u{16ff0}' | '\u{16ff1}' => {
            true
        }
        _ => false,
    }
}

/// The beginning of a clean text that takes so many columns at the most, and the rest. No letter is counted for less than
/// it takes.
pub fn split_at_column(text: &str, most: usize) -> (&str, &str) {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        // As an emoji, a letter of one column takes two.
        taken += if *c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) + usize::from(is_drawn_wider(*c)) };
        taken > most
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// The columns of a clean text on a terminal, at the most: some draw signs that are joined to one each in cells of its own,
/// and what was cut too wide would go on at the edge. Lam and alef are one in a font that joins them, but have a cell each.
pub fn columns(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let mut after_lam = false;
    let joined = text.chars().filter(|c| {
        let joins = after_lam && matches!(c, '\u{622}' | '\u{623}' | '\u{625}' | '\u{627}');
        // Vowel signs may stand between the two.
        after_lam = *c == '\u{644}' || (after_lam && matches!(c, '\u{64b}'..='\u{65f}'));
        joins
    });
    let wider = text.chars().filter(|c| is_drawn_wider(*c)).count();
    let apart: usize = text.chars().filter_map(|c| c.width()).sum();
    wider + apart.max(text.width() + joined.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_beside_a_letter_take_a_column_as_terminals_draw_them() {
        for (text, cells) in [("ক\u{9be}", 2), ("a\u{9be}b", 3), ("\u{3248}", 2), ("e\u{301}", 1)] {
            assert_eq!(columns(text), cells, "{text:?}");
            assert_eq!(split_at_column(text, cells), (text, ""), "{text:?}");
            assert!(split_at_column(text, cells - 1).0.len() < text.len(), "{text:?}");
        }
    }
}
