//! Parses phone numbers, and rejects emergency numbers.

use std::str::FromStr;

use super::{Invalid, Zone, plain, quoted};

/// A phone number in E.164 format: `+` and 7 to 15 digits, which begin with a country code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Phone(String);

/// The country codes with one or two digits. All other country codes have three.
const SHORT_CODES: &str = "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 \
    55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98";

/// Country codes after which a 0 may be part of the number instead of a trunk prefix.
const KEEP_ZERO: &str = "39 225 226 229 241 242 250 378 379 992";

/// The emergency numbers of all countries (ITU-T E.129 and its national annexes).
const EMERGENCY: &str = "15 17 18 000 061 062 066 080 088 091 092 100 101 102 103 104 105 106 107 108 110 111 \
    112 113 114 115 116 117 118 119 120 121 122 123 127 128 129 131 132 133 140 144 150 151 155 \
    156 158 160 166 171 180 185 190 191 192 193 194 195 197 198 199 900 901 902 903 907 911 912 913 \
    995 997 998 999 10111";

const HINT: &str = "use + and the country code, for example +15551234567";

impl Phone {
    /// Parses a phone number. In a US or Canadian time zone, the error for 10 digits suggests +1.
    pub fn parse_in(text: &str, zone: Option<&Zone>) -> Result<Self, Invalid> {
        let shown = quoted(text);
        let typed = without_separators(text);
        let (number, extension) = split_extension(&typed);
        if is_emergency(number) {
            return Err(Invalid::emergency(&shown));
        }
        let corrected = corrected(number, zone);
        if let (Some(number), true) = (&corrected, is_digits(extension)) {
            return Err(Invalid::new(
                format!("{shown} has an extension"),
                format!("use {number} and put the extension in --instruction"),
            ));
        }
        let problem = match typed.strip_prefix('+') {
            Some(digits) => problem(digits),
            None => Some("it does not begin with + and a country code".into()),
        };
        match problem {
            None => Ok(Self(typed)),
            Some(problem) => Err(Invalid::new(
                format!("{shown} is not a valid phone number: {problem}"),
                corrected.map_or(HINT.into(), |number| format!("use {number}")),
            )),
        }
    }

    /// Returns the number, including the `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the digits of a number for comparison, without the mobile prefix that is sometimes
/// inserted into Mexican and Argentine numbers.
pub fn dialed(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    match digits.split_at_checked(3) {
        Some(("521", rest)) => format!("52{rest}"),
        Some(("549", rest)) => format!("54{rest}"),
        _ => digits,
    }
}

/// Removes `tel:` and the separators that people and web pages put between digits. Converts letters
/// to lower case.
fn without_separators(text: &str) -> String {
    let is_separator = |c: char| " .-/()\u{b7}\u{2044}\u{2215}".contains(c);
    let mut typed = plain(text).to_ascii_lowercase();
    typed.retain(|c| !is_separator(c));
    typed.trim_start_matches("tel:").to_owned()
}

/// Splits off the digits of an extension, which can be written as `x12`, `ext12`, `;ext=12`, `,12`
/// or `#12`.
fn split_extension(typed: &str) -> (&str, &str) {
    let is_marker = |c: char| ",;#=:".contains(c) || c.is_ascii_lowercase();
    let (number, tail) = typed.split_at(typed.find(is_marker).unwrap_or(typed.len()));
    let extension = tail.trim_start_matches(is_marker).trim_end_matches('#');
    match is_digits(number.trim_start_matches('+')) && is_digits(extension) {
        true => (number, extension),
        false => (typed, ""),
    }
}

/// Returns the number that the user probably meant, if it is valid.
fn corrected(number: &str, zone: Option<&Zone>) -> Option<Phone> {
    let has_area_code = zone.is_some_and(Zone::is_us_or_canadian) && number.len() == 10;
    let international = number.strip_prefix('+').or(number.strip_prefix("00"));
    let digits = match international {
        Some(digits) => digits.to_owned(),
        None if has_area_code => format!("1{number}"),
        None if number.len() == 11 && number.starts_with('1') => number.to_owned(),
        None => return None,
    };
    let (code, national) = split_country_code(&digits);
    let national = match is_in(code, KEEP_ZERO) {
        true => national,
        false => national.trim_start_matches('0'),
    };
    let digits = format!("{code}{national}");
    let is_valid = problem(&digits).is_none();
    is_valid.then(|| Phone(format!("+{digits}")))
}

/// Returns what is wrong with the characters after a `+`, or `None` if they form a phone number.
fn problem(digits: &str) -> Option<String> {
    if let Some(stray) = digits.chars().find(|c| !c.is_ascii_digit()) {
        let stray = stray.escape_default();
        return Some(format!("it contains '{stray}'"));
    }
    let (code, national) = split_country_code(digits);
    let (length, national_length) = (digits.len(), national.len());
    Some(if digits.starts_with('0') {
        "a country code can't begin with 0".into()
    } else if code == "1" && national_length != 10 {
        format!("it has {national_length} digits after +1, but should have 10")
    } else if code == "1" && national.starts_with(['0', '1']) {
        "an area code can't begin with 0 or 1".into()
    } else if national.starts_with('0') && !is_in(code, KEEP_ZERO) {
        "it has a 0 after the country code".into()
    } else if !(7..=15).contains(&length) {
        format!("it has {length} digits, but a phone number has 7 to 15")
    } else {
        return None;
    })
}

fn split_country_code(digits: &str) -> (&str, &str) {
    let mut splits = (1..3).filter_map(|length| digits.split_at_checked(length));
    let short = splits.find(|(code, _)| is_in(code, SHORT_CODES));
    short.or(digits.split_at_checked(3)).unwrap_or((digits, ""))
}

/// Returns whether this is an emergency number, alone or after a country code.
fn is_emergency(number: &str) -> bool {
    let bare = number.trim_start_matches('+');
    let international = number.strip_prefix('+').or(number.strip_prefix("00"));
    let national = international.map_or("", |digits| split_country_code(digits).1);
    let without_zero = national.strip_prefix('0').unwrap_or(national);
    let candidates = [bare, national, without_zero];
    candidates.iter().any(|number| is_in(number, EMERGENCY))
}

fn is_in(text: &str, list: &str) -> bool {
    list.split(' ').any(|item| item == text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl FromStr for Phone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse_in(text, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, Invalid> {
        text.parse::<Phone>().map(|phone| phone.to_string())
    }

    fn hint(text: &str, zone: &str) -> String {
        let zone = zone.parse().ok();
        let refused = Phone::parse_in(text, zone.as_ref()).expect_err(text);
        refused.hint().to_owned()
    }

    #[test]
    fn phone_numbers_in_common_formats_are_accepted() {
        let texts = "(+1) 555/123.4567| TEL: +1-555-123-4567|＋１ （５５５）　１２３－４５６７\
            |+1\u{2011}555\u{2013}123\u{2212}4567|+1\u{a0}555\u{202f}123\u{2009}4567\
            |\u{feff}\u{200e}\u{202a}+1555\u{200b}1234567\u{202c}";
        for text in texts.split('|') {
            assert_eq!(parsed(text).as_deref(), Ok("+15551234567"), "{text:?}");
        }
        for number in ["+3491112", "+441234567890123", "+390612345", "+2250612345"] {
            assert_eq!(parsed(number).as_deref(), Ok(number));
        }
    }

    #[test]
    fn correctable_phone_number_is_rejected_with_a_suggestion() {
        for (text, zone, number) in [
            ("0034 912 345 678", "", "+34912345678"),
            ("1 (555) 123-4567", "", "+15551234567"),
            ("+44 (0)20 7946 0018", "", "+442079460018"),
            ("(212) 555-0001", "America/Chicago", "+12125550001"),
        ] {
            assert_eq!(hint(text, zone), format!("use {number}"), "{text:?}");
        }
        for zone in ["Europe/Madrid", "America/Mexico_City", ""] {
            assert_eq!(hint("2125550001", zone), HINT);
        }
    }

    #[test]
    fn phone_extension_is_rejected_with_a_hint_to_remove_it() {
        for extension in "x123| Ext. 12|;ext=12|,12|,,12#|#12".split('|') {
            let hint = hint(&format!("+1 555 123 4567{extension}"), "");
            assert!(hint.starts_with("use +15551234567 and put"), "{extension}");
        }
    }

    #[test]
    fn invalid_phone_number_is_rejected_with_a_format_hint() {
        let texts = "|\u{200b}|5551234567|020 7946 0018|+|+123456|+1234567890123456|x12|12/5\
            |+1555x234567|+0551234567|++15551234567|+15551234567#|+1 800 FLOWERS|+١٥٥٥١٢٣٤٥٦٧\
            |+1 555 123 456|+1 055 123 4567|+1 155 123 4567|555123|1911|+1 555 123 411";
        for text in texts.split('|') {
            let invalid = parsed(text).expect_err(text);
            assert!(!invalid.is_emergency, "{text:?}");
            assert_eq!(invalid.hint(), HINT, "{text:?}");
        }
    }

    #[test]
    fn emergency_numbers_are_rejected_in_any_notation() {
        let texts =
            "911|000|061|+1 911|+34112|0034112|+44 (0)999|+351112|9-1-1|tel:911|９１１|911,1";
        for text in texts.split('|') {
            assert!(parsed(text).expect_err(text).is_emergency, "{text:?}");
        }
        assert_eq!(parsed("+15551234911").as_deref(), Ok("+15551234911"));
    }

    #[test]
    fn different_formats_of_a_phone_number_compare_equal() {
        for (one, other) in [
            ("+15551234567", "1 (555) 123-4567"),
            ("+52 1 55 1234 5678", "+525512345678"),
            ("+54 9 11 1234 5678", "541112345678"),
        ] {
            assert_eq!(dialed(one), dialed(other));
        }
    }
}
