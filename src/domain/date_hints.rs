//! Dates in another writing than ours: those that are taken, and the hint for those that are not.

use super::{Date, Day, Invalid, quoted, time_words};

/// The refusal of a text that is a date in another writing, with that date; `said` is the text as it is compared.
pub fn in_another_writing(text: &str, said: &str) -> Option<Invalid> {
    let refused = |how: String| Invalid::new(format!("{} is not written as YYYY-MM-DD", quoted(text)), how);
    if let Some(day) = day_beside_a_time(text) {
        return Some(refused(format!("write the day alone: {day}; the time is a value of its own")));
    }
    match numbers_in_another_order(said)?.as_slice() {
        [date] => Some(refused(format!("write YYYY-MM-DD: {date}"))),
        [one, other] => {
            let what = format!("{} may be read in several ways", quoted(text));
            Some(Invalid::new(what, format!("write YYYY-MM-DD: {one} or {other}")))
        }
        _ => None,
    }
}

/// The day in `friday 8pm` or `2027-01-28T20:00`.
fn day_beside_a_time(text: &str) -> Option<&str> {
    let (day, time) = text.trim().split_once([' ', 'T'])?;
    (day.parse::<Day>().is_ok() && time_words::parse(time).is_ok()).then_some(day)
}

/// The beginnings of the months' names, in English and in Spanish.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene"],
    &["feb"],
    &["mar"],
    &["apr", "abr"],
    &["may"],
    &["jun"],
    &["jul"],
    &["aug", "ago"],
    &["sep", "set"],
    &["oct"],
    &["nov"],
    &["dec", "dic"],
];

/// A date with its month's name, or without its zeros: `28 January 2027`, `Jan 28th`, `28 de enero`, `2027-2-3`, `20270203`.
pub fn written_out(said: &str) -> Option<Day> {
    let words: Vec<&str> = said
        .split([' ', ',', '.', '-', '/'])
        .filter(|word| !matches!(*word, "" | "de" | "of" | "the"))
        .collect();
    let month_of =
        |word: &str| MONTHS.iter().position(|names| names.iter().any(|name| word.starts_with(name)));
    let short = |word: &str| {
        let digits =
            ["st", "nd", "rd", "th"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
        time_words::number(digits, 1..=2)
    };
    if let (8, true) = (said.len(), said.bytes().all(|b| b.is_ascii_digit())) {
        let date = format!("{}-{}-{}", said.get(..4)?, said.get(4..6)?, said.get(6..)?);
        return date.parse().ok().map(Day::Date);
    }
    let is_year = |word: &&str| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit());
    let months = || words.iter().filter_map(|word| month_of(word));
    let days: Vec<u8> = words.iter().filter_map(|word| short(word)).collect();
    let year = words.iter().copied().find(is_year);
    let (month, day) = match (months().next(), days.as_slice(), year) {
        (Some(month), [day], _) if months().count() == 1 => (month + 1, *day),
        (None, [month, day], Some(year)) if words.first() == Some(&year) => (usize::from(*month), *day),
        _ => return None,
    };
    if words.len() != 2 + usize::from(year.is_some()) {
        return None;
    }
    let in_year = |year: &str| format!("{year}-{month:02}-{day:02}").parse::<Date>().ok();
    match year {
        Some(year) => in_year(year).map(Day::Date),
        // A leap year has all days that there are.
        None => in_year("2028").map(|_| Day::OfYear { month: month as u8, day }),
    }
}

/// The dates that three numbers in another order than ours may be, for the hint.
fn numbers_in_another_order(said: &str) -> Option<Vec<String>> {
    let numbers: Vec<&str> = said.split(['/', '.', '-']).collect();
    let [first, second, year] = numbers[..] else { return None };
    let short = |text: &str| time_words::number(text, 1..=2);
    let (first, second) = (short(first)?, short(second)?);
    if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let date = |month: u8, day: u8| format!("{year}-{month:02}-{day:02}").parse::<Date>().ok();
    let mut dates: Vec<String> =
        [date(second, first), date(first, second)].iter().flatten().map(Date::to_string).collect();
    dates.dedup();
    (!dates.is_empty()).then_some(dates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_in_another_writing_is_told_as_it_is_written() {
        let hint = |said: &str| said.parse::<Day>().expect_err(said).hint().to_owned();
        for (said, written) in [
            ("28/01/2027", "write YYYY-MM-DD: 2027-01-28"),
            ("01/02/2027", "write YYYY-MM-DD: 2027-02-01 or 2027-01-02"),
            ("friday 8pm", "write the day alone: friday; the time is a value of its own"),
            ("2027-01-28T20:00", "write the day alone: 2027-01-28; the time is a value of its own"),
        ] {
            assert_eq!(hint(said), written, "{said}");
        }
        for said in [
            "30 February 2027",
            "Jan 28 29",
            "january",
            "28",
            "2027",
            "jan feb 3",
            "2027-13-01",
            "32 May 2027",
            "Feb 30",
        ] {
            assert!(hint(said).contains("tomorrow"), "{said}");
        }
    }
}
