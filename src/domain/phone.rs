//! Telephone numbers in E.164 form, and the numbers that must never be dialled.

use std::fmt;
use std::str::FromStr;

use super::{Invalid, quoted};

/// A telephone number in E.164 form: `+`, a country code, 7 to 15 digits in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Phone(String);

/// ITU-T E.164 allows at most 15 digits; nothing shorter than 7 is a subscriber's number abroad.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

const HOW: &str = "write + and the country code, for example +15551234567";

/// Three-digit emergency numbers in service somewhere, as listed in ITU-T E.129 and its national annexes.
const EMERGENCY: &[&str] = &[
    "000", "061", "062", "080", "088", "091", "092", "100", "101", "102", "103", "104", "105", "106", "107",
    "108", "110", "111", "112", "113", "114", "115", "116", "117", "118", "119", "120", "121", "122", "123",
    "127", "128", "129", "131", "132", "133", "140", "144", "150", "151", "155", "156", "158", "160", "166",
    "180", "185", "190", "191", "192", "193", "194", "195", "197", "198", "199", "900", "901", "902", "903",
    "907", "911", "912", "913", "995", "997", "998", "999",
];

impl Phone {
    /// The number at which the user is reached.
    ///
    /// # Errors
    /// As of any number; that of an emergency service is none of a user's.
    pub fn of_user(given: &str) -> Result<Self, Invalid> {
        given.parse().map_err(|invalid| match invalid {
            Invalid::Emergency(shown) => {
                Invalid::new(format!("{shown} is an emergency number, and nobody's own"), HOW)
            }
            other => other,
        })
    }

    /// How many digits stand behind `+1` where it is not ten, as every number of the North American Numbering Plan has.
    pub fn wrong_length(&self) -> Option<usize> {
        const BEHIND_THE_1: usize = 10;
        self.0.strip_prefix("+1").map(str::len).filter(|digits| *digits != BEHIND_THE_1)
    }

    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Phone {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let shown = quoted(given);
        // As a link has it (RFC 3966).
        let written: String =
            given.strip_prefix("tel:").unwrap_or(given).chars().filter(|c| !is_spacing(*c)).collect();
        if is_emergency(&written) {
            return Err(Invalid::Emergency(shown));
        }
        if written.contains("(0)") {
            let mended = written.replacen("(0)", "", 1).parse::<Self>();
            return Err(Invalid::new(
                format!("the (0) in {shown} is dialled only inside the country"),
                match mended {
                    Ok(number) => format!("write {number}"),
                    Err(_) => "leave the (0) out, for example +44 20 7946 0018".into(),
                },
            ));
        }
        let number: String = written.chars().filter(|c| !matches!(c, '(' | ')')).collect();
        let Some(digits) = number.strip_prefix('+') else {
            return Err(without_country_code(given, &number));
        };
        if let Some(stray) = digits.chars().find(|c| !c.is_ascii_digit()) {
            return Err(Invalid::new(
                format!("{shown} is not a phone number: it contains '{}'", stray.escape_default()),
                HOW,
            ));
        }
        if digits.starts_with('0') {
            return Err(Invalid::new(format!("{shown} has no country code: none begins with 0"), HOW));
        }
        if !DIGITS.contains(&digits.len()) {
            return Err(Invalid::new(
                format!("{shown} has {} digits; a phone number has 7 to 15", digits.len()),
                HOW,
            ));
        }
        Ok(Self(number))
    }
}

fn without_country_code(given: &str, number: &str) -> Invalid {
    if given.trim().is_empty() {
        return Invalid::new("the phone number is empty", HOW);
    }
    let shown = quoted(given);
    if let Some(behind_the_1) = number.strip_prefix('1').filter(|rest| rest.len() == 10)
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        return Invalid::new(format!("{shown} has no + in front"), format!("write +1{behind_the_1}"));
    }
    let abroad =
        number.strip_prefix("00").filter(|rest| rest.len() >= 7 && rest.bytes().all(|b| b.is_ascii_digit()));
    match abroad {
        Some(rest) => Invalid::new(format!("{shown} has no + in front"), format!("write +{rest}")),
        None => Invalid::new(format!("{shown} is not a phone number with a country code"), HOW),
    }
}

/// White space, dots and dashes of any script: people paste numbers as web pages typeset them.
fn is_spacing(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '.' | '-' | '\u{2010}'
                ..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' | '\u{00B7}'
        )
}

/// Whether this is an emergency number, alone or behind a country code (at most three digits).
fn is_emergency(written: &str) -> bool {
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    let international = if written.contains('+') { Some(&*digits) } else { digits.strip_prefix("00") };
    let ends_in_one = |number: &str| EMERGENCY.iter().any(|short| number.ends_with(short));
    EMERGENCY.contains(&&*digits)
        || international.is_some_and(|number| number.len() <= 6 && ends_in_one(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, Invalid> {
        text.parse::<Phone>().map(|phone| phone.to_string())
    }

    #[test]
    fn a_number_from_a_link_is_taken_and_one_without_its_plus_told_with_it() {
        assert_eq!(
            "tel:+1-555-123-4567".parse::<Phone>().map(|phone| phone.to_string()).as_deref(),
            Ok("+15551234567")
        );
        let hint = |said: &str| said.parse::<Phone>().expect_err(said).hint().to_owned();
        assert_eq!(hint("1 (555) 123-4567"), "write +15551234567");
        assert_eq!(hint("5551234567"), HOW);
    }

    #[test]
    fn nobody_is_called_back_at_an_emergency_number() {
        let refused = Phone::of_user("112").expect_err("no number of a user");
        assert_eq!(refused.to_string(), "'112' is an emergency number, and nobody's own");
        let own = Phone::of_user("+15551234567").map(|phone| phone.to_string());
        assert_eq!(own.as_deref(), Ok("+15551234567"));
    }

    #[test]
    fn numbers_are_taken_as_people_write_them() {
        for (written, number) in [
            ("+15551234567", "+15551234567"),
            ("+1 (555) 123-4567", "+15551234567"),
            (" +34\u{a0}912.345.678 ", "+34912345678"),
            ("+1\u{2011}555\u{2013}123\u{2212}4567", "+15551234567"),
            ("+49\u{202f}30\u{2009}901820", "+4930901820"),
            ("+6421234567", "+6421234567"),
        ] {
            assert_eq!(parsed(written).as_deref(), Ok(number), "{written:?}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused_with_what_to_write() {
        for written in [
            "",
            "  ",
            "5551234567",
            "+",
            "+123456",
            "+1234567890123456",
            "+1555x234567",
            "+0551234567",
            "++15551234567",
            "+1 555 123 4567 ext 3",
            "+１５５５１２３４５６７",
            "+1555\u{200b}1234567",
        ] {
            let refusal = parsed(written).expect_err(written);
            assert!(matches!(refusal, Invalid::Value { .. }), "{written:?}: {refusal:?}");
            assert!(refusal.hint().contains('+'), "{written:?}: {refusal:?}");
        }
    }

    #[test]
    fn a_trunk_zero_in_parentheses_is_refused_and_not_dialled() {
        for written in ["+44 (0)20 7946 0018", "+44 ( 0 ) 20 7946 0018"] {
            let refusal = parsed(written).expect_err(written);
            assert!(refusal.to_string().contains("(0)"));
            assert_eq!(refusal.hint(), "write +442079460018");
        }
        assert!(parsed("(0)20 7946 0018").expect_err("no country").hint().contains("+44"));
    }

    #[test]
    fn an_international_prefix_is_named_with_its_plus_form() {
        assert_eq!(parsed("0034 912 345 678").expect_err("00").hint(), "write +34912345678");
    }

    #[test]
    fn emergency_numbers_are_never_dialled_however_written() {
        for written in [
            "911",
            "112",
            "999",
            "000",
            "110",
            "061",
            "+911",
            "+1 911",
            "+34112",
            "+34 112",
            "0034112",
            "+44 999",
            "+351112",
            "9-1-1",
            "(911)",
            "+34 (112)",
            "+61 000",
            "+34 061",
        ] {
            assert!(
                matches!(parsed(written), Err(Invalid::Emergency(_))),
                "{written:?}: {:?}",
                parsed(written)
            );
        }
    }

    #[test]
    fn a_number_without_its_country_code_that_ends_like_an_emergency_number_is_none() {
        for written in ["555123", "6123", "555999"] {
            assert!(matches!(parsed(written), Err(Invalid::Value { .. })), "{written}");
        }
    }

    #[test]
    fn a_number_that_only_ends_like_an_emergency_number_is_taken() {
        assert_eq!(parsed("+1 555 123 4911").as_deref(), Ok("+15551234911"));
        assert_eq!(parsed("+3491112").as_deref(), Ok("+3491112"));
    }
}
