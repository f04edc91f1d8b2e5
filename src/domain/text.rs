//! When two texts say the same, and what of a text nobody sees.

/// The same words with every run of white space as one space.
pub fn collapse_whitespace(text: &str) -> String {
    let mut collapsed = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    collapsed
}

/// A text as two texts are compared: white space collapsed, case folded, in one Unicode form (NFKC), without characters
/// that nobody sees.
pub fn comparable(text: &str) -> String {
    let seen = without_unseen(text);
    let normalizer = icu_normalizer::ComposingNormalizerBorrowed::new_nfkc();
    // Where letters of one case share one of the other (ẞ, ß and ss; σ and ς), only the way there and back folds them.
    let lower = normalizer.normalize(&seen);
    let upper = lower.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    let folded: String = upper.flat_map(char::to_lowercase).collect();
    // Folded letters may have fallen apart again.
    collapse_whitespace(&normalizer.normalize(&folded))
}

/// A text without characters that nobody sees.
pub fn without_unseen(text: &str) -> String {
    text.chars().filter(|c| !is_unseen(*c)).collect()
}

/// Whether a character is not seen by itself: what Unicode's DerivedCoreProperties.txt calls `Default_Ignorable_Code_Point`
/// (soft hyphens, joiners, bidi marks, fillers, variation selectors, tags; that list has room for what is yet to come).
#[inline]
pub fn is_unseen(c: char) -> bool {
    match c {
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        c => matches!(c, '\u{e0000}'..='\u{e0fff}'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_makes_no_other_text() {
        for unseen in
            "\u{ad}\u{34f}\u{180e}\u{200b}\u{200d}\u{202e}\u{2060}\u{2069}\u{3164}\u{fe0f}\u{feff}\u{e0041}"
                .chars()
        {
            assert_eq!(
                comparable(&format!("Book{unseen} a {unseen}table{unseen}")),
                comparable("book a table")
            );
        }
        assert_ne!(comparable("an"), comparable("a n"));
    }

    #[test]
    fn the_case_of_a_letter_makes_no_other_text_however_many_letters_share_it() {
        for (one, other) in
            [("Straße", "STRASSE"), ("STRA\u{1e9e}E", "straße"), ("ΟΔΟΣ", "οδος"), ("οδοσ", "οδος")]
        {
            assert_eq!(comparable(one), comparable(other));
        }
        assert_ne!(comparable("señor"), comparable("senor"));
    }
}
