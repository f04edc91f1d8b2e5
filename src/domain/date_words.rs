//! Days as people say them, from which a date comes once it is known what day it is.

use std::str::FromStr;

use jiff::civil::Weekday;

use super::{Date, Invalid, quoted, time_words};

/// A day as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// A day of the calendar.
    Date(Date),
    /// The day on which it is said, or so many days after it.
    After(i8),
    /// The next day of that name, never the day on which it is said.
    Next(Weekday),
}

const HOW: &str = "write YYYY-MM-DD, for example 2027-01-28, or today, tomorrow or a weekday such as friday";

/// The names of days, without accents.
const WEEKDAYS: [(Weekday, &[&str]); 7] = [
    (Weekday::Monday, &["mon", "monday", "lunes"]),
    (Weekday::Tuesday, &["tue", "tues", "tuesday", "martes"]),
    (Weekday::Wednesday, &["wed", "weds", "wednesday", "miercoles"]),
    (Weekday::Thursday, &["thu", "thur", "thurs", "thursday", "jueves"]),
    (Weekday::Friday, &["fri", "friday", "viernes"]),
    (Weekday::Saturday, &["sat", "saturday", "sabado"]),
    (Weekday::Sunday, &["sun", "sunday", "domingo"]),
];

impl FromStr for Day {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let said: String = super::comparable(text).chars().map(without_accent).collect();
        match said.as_str() {
            "today" | "hoy" => return Ok(Self::After(0)),
            "tomorrow" | "manana" => return Ok(Self::After(1)),
            "day after tomorrow" | "the day after tomorrow" | "pasado manana" => return Ok(Self::After(2)),
            "yesterday" | "ayer" => {
                return Err(Invalid::new(format!("{} has passed", quoted(text)), HOW));
            }
            _ => {}
        }
        if let Some((weekday, _)) = WEEKDAYS.iter().find(|(_, names)| names.contains(&said.as_str())) {
            return Ok(Self::Next(*weekday));
        }
        if let Some(name) = weekday_behind_a_word(&said) {
            return Err(Invalid::new(
                format!("{} may be one of two days", quoted(text)),
                format!("write {name} for the nearer one, never today, or the date as YYYY-MM-DD"),
            ));
        }
        let not_a_date: Invalid = match text.trim().parse() {
            Ok(date) => return Ok(Self::Date(date)),
            Err(invalid) => invalid,
        };
        if let Some(how) = written_out(&said) {
            return Err(Invalid::new(format!("{} is not written as YYYY-MM-DD", quoted(text)), how));
        }
        if let Some(dates) = numbers_in_another_order(&said) {
            let what = match dates.len() {
                1 => format!("{} is not written as YYYY-MM-DD", quoted(text)),
                _ => format!("{} may be read in several ways", quoted(text)),
            };
            return Err(Invalid::new(what, format!("write YYYY-MM-DD: {}", dates.join(", "))));
        }
        let others = ["today", "tomorrow", "hoy", "manana"];
        let names = WEEKDAYS.iter().flat_map(|(_, names)| names.iter()).chain(&others);
        let hint = super::nearest(&said, names.copied()).map_or(HOW.into(), |name| {
            let name = if name == "manana" { "mañana" } else { name };
            format!("did you mean {name}? A date is written YYYY-MM-DD: 2027-01-28")
        });
        Err(Invalid::new(not_a_date.to_string(), hint))
    }
}

impl Day {
    /// Whether it depends on where it is said which date it is.
    pub fn is_relative(self) -> bool {
        match self {
            Self::Date(_) => false,
            Self::After(_) | Self::Next(_) => true,
        }
    }

    /// The date, said on the day `today`. `None` where the calendar ends before it.
    pub fn on(self, today: Date) -> Option<Date> {
        match self {
            Self::Date(date) => Some(date),
            Self::After(days) => today.plus(days),
            Self::Next(weekday) => today.next(weekday),
        }
    }
}

/// A day that has begun, as it was said: a weekday is the last one of that name, never the day on which it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastDay(Day);

impl FromStr for PastDay {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match super::comparable(text).as_str() {
            "yesterday" | "ayer" => Ok(Self(Day::After(-1))),
            _ => match text.parse()? {
                Day::After(1..) => Err(Self::not_begun(text)),
                day => Ok(Self(day)),
            },
        }
    }
}

impl PastDay {
    /// The refusal of a day that has not begun.
    pub fn not_begun(said: &str) -> Invalid {
        let how = "write a day up to today: yesterday, friday, or a date such as 2026-01-28";
        Invalid::new(format!("{} has not begun", quoted(said)), how)
    }

    /// The date, said on the day `today`. `None` where the calendar begins after it.
    pub fn on(self, today: Date) -> Option<Date> {
        match self.0 {
            Day::Next(weekday) => today.last(weekday),
            day => day.on(today),
        }
    }
}

fn without_accent(c: char) -> char {
    match c {
        'á' => 'a',
        'é' => 'e',
        'ñ' => 'n',
        'ó' => 'o',
        other => other,
    }
}

/// The weekday in `next friday`, which is tomorrow's to some and next week's to others.
fn weekday_behind_a_word(said: &str) -> Option<&str> {
    let words = ["next ", "this ", "coming ", "el ", "este ", "proximo ", "el proximo "];
    let is_weekday = |name: &&str| WEEKDAYS.iter().any(|(_, names)| names.contains(name));
    words.iter().filter_map(|word| said.strip_prefix(word)).find(is_weekday)
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

/// How a date is to be written that was said with its month's name, or without its zeros: `28 January 2027`, `Jan 28th`,
/// `28 de enero`, `2027-2-3`. Without a year, that is left to be filled in.
fn written_out(said: &str) -> Option<String> {
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
    // A leap year, where nobody says which.
    let exists = format!("{}-{month:02}-{day:02}", year.unwrap_or("2028")).parse::<Date>().is_ok();
    exists.then(|| match year {
        Some(year) => format!("write {year}-{month:02}-{day:02}"),
        None => format!("write the year too: YYYY-{month:02}-{day:02}"),
    })
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
    use proptest::prelude::*;

    use super::*;

    fn on(said: &str, today: &str) -> String {
        let day: Day = said.parse().expect(said);
        day.on(today.parse().expect("a date")).expect("a day of the calendar").to_string()
    }

    #[test]
    fn a_day_is_taken_as_people_say_it() {
        // A Thursday.
        let today = "2027-01-28";
        for (said, date) in [
            ("2027-02-14", "2027-02-14"),
            (" 2027-02-14 ", "2027-02-14"),
            ("today", "2027-01-28"),
            ("Hoy", "2027-01-28"),
            ("tomorrow", "2027-01-29"),
            ("mañana", "2027-01-29"),
            ("man\u{303}ana", "2027-01-29"),
            ("manana", "2027-01-29"),
            ("Pasado mañana", "2027-01-30"),
            ("the day after tomorrow", "2027-01-30"),
            ("fri", "2027-01-29"),
            ("VIERNES", "2027-01-29"),
            ("sábado", "2027-01-30"),
            ("sun", "2027-01-31"),
            ("lunes", "2027-02-01"),
            ("Tues", "2027-02-02"),
            ("miércoles", "2027-02-03"),
            ("thursday", "2027-02-04"),
            ("jueves", "2027-02-04"),
        ] {
            assert_eq!(on(said, today), date, "{said:?}");
        }
        assert_eq!(on("tomorrow", "2028-02-28"), "2028-02-29");
        assert_eq!(on("mon", "2026-12-31"), "2027-01-04");
    }

    #[test]
    fn a_day_that_has_begun_is_looked_for_backwards() {
        let on = |said: &str| {
            let day: PastDay = said.parse().expect(said);
            day.on("2027-01-28".parse().expect("a Thursday")).expect("a date").to_string()
        };
        for (said, date) in [
            ("today", "2027-01-28"),
            ("yesterday", "2027-01-27"),
            ("Ayer", "2027-01-27"),
            ("wednesday", "2027-01-27"),
            ("jueves", "2027-01-21"),
            ("fri", "2027-01-22"),
            ("2026-12-31", "2026-12-31"),
        ] {
            assert_eq!(on(said), date, "{said}");
        }
        assert!("tomorrow".parse::<PastDay>().is_err() && "1/2/2027".parse::<PastDay>().is_err());
    }

    #[test]
    fn what_may_be_two_days_is_refused_with_what_to_write() {
        let hint = |said: &str| said.parse::<Day>().expect_err(said).hint().to_owned();
        assert_eq!(hint("28/01/2027"), "write YYYY-MM-DD: 2027-01-28");
        assert_eq!(hint("01/02/2027"), "write YYYY-MM-DD: 2027-02-01, 2027-01-02");
        assert_eq!(hint("5.5.2027"), "write YYYY-MM-DD: 2027-05-05");
        assert!(hint("next friday").starts_with("write friday for the nearer one"));
        assert!(hint("el próximo viernes").starts_with("write viernes for the nearer one"));
    }

    #[test]
    fn a_date_in_another_writing_is_told_as_it_is_written() {
        let hint = |said: &str| said.parse::<Day>().expect_err(said).hint().to_owned();
        for (said, written) in [
            ("28 January 2027", "write 2027-01-28"),
            ("Jan 28, 2027", "write 2027-01-28"),
            ("January 28th", "write the year too: YYYY-01-28"),
            ("28 de enero de 2027", "write 2027-01-28"),
            ("3 ago", "write the year too: YYYY-08-03"),
            ("2027-2-3", "write 2027-02-03"),
            ("2027/02/03", "write 2027-02-03"),
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
        ] {
            assert_eq!(hint(said), HOW, "{said}");
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for said in [
            "",
            "  ",
            "2026-02-30",
            "27-01-28",
            "30/02/2027",
            "yesterday",
            "friday 13",
            "fridays",
            "f",
            "mar",
            "8pm",
            "2027-01-28T20:00",
            "２０２７-01-28x",
            "tomorrow night",
        ] {
            let refusal = said.parse::<Day>().expect_err(said);
            assert!(refusal.hint().contains("YYYY-MM-DD"), "{said:?}: {refusal:?}");
        }
        let hint = |said: &str| said.parse::<Day>().expect_err(said).hint().to_owned();
        assert!(hint("mañna").starts_with("did you mean mañana?"));
        assert!(hint("mondy").starts_with("did you mean monday?"));
        assert!(hint("tomorow").starts_with("did you mean tomorrow?"));
        assert!(hint("xyz").starts_with("write") && hint("yesterday").starts_with("write"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_breaks_the_parser(text in "\\PC{0,16}") {
            let _ = text.parse::<Day>();
        }

        #[test]
        fn a_weekday_is_one_of_the_seven_days_that_come(days in 0i32..20_000, which in 0usize..7, spelling in 0usize..3) {
            let today = Date::from(jiff::civil::date(2000, 1, 1) + jiff::Span::new().days(days));
            let (weekday, names) = WEEKDAYS[which];
            let date = names[spelling.min(names.len() - 1)].parse::<Day>().expect("a day").on(today).expect("a date");
            prop_assert_eq!(date.weekday(), weekday);
            prop_assert!((1..=7).any(|n| today.plus(n) == Some(date)), "{} {}", today, date);
        }

        #[test]
        fn a_date_is_what_it_says(year in 1970i16..2200, month in 1i8..=12, day in 1i8..=31) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            match text.parse::<Day>() {
                Ok(said) => {
                    let date = said.on("2027-01-28".parse().expect("a date"));
                    prop_assert_eq!(date.map(|date| date.to_string()), Some(text));
                }
                Err(_) => prop_assert!(jiff::civil::Date::new(year, month, day).is_err()),
            }
        }
    }
}
