//! Days as people say them, from which a date comes once it is known what day it is.

use std::str::FromStr;

use jiff::civil::Weekday;

use super::{Date, Invalid, date_hints, quoted, time_words};

/// A day as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// A day of the calendar.
    Date(Date),
    /// The day on which it is said, or so many days after it.
    After(i8),
    /// The next day of that name, never the day on which it is said.
    Next(Weekday),
    /// The next day of this month and this number; where no year has one, the next that there is.
    OfYear {
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
    },
}

const HOW: &str = "write YYYY-MM-DD, for example 2027-01-28, or today, tomorrow or a weekday such as friday";

const HOW_PAST: &str = "write a day up to today: yesterday, friday, 7d, or a date such as 2026-01-28";

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
        let said = without_accents(text);
        match said.as_str() {
            "today" | "hoy" => return Ok(Self::After(0)),
            "tomorrow" | "manana" => return Ok(Self::After(1)),
            "day after tomorrow" | "the day after tomorrow" | "pasado manana" => return Ok(Self::After(2)),
            "yesterday" | "ayer" => {
                return Err(Invalid::new(format!("{} has passed", quoted(text)), HOW));
            }
            _ => {}
        }
        let name = ["on ", "el "].iter().find_map(|word| said.strip_prefix(word)).unwrap_or(&said);
        if let Some((weekday, _)) = WEEKDAYS.iter().find(|(_, names)| names.contains(&name)) {
            return Ok(Self::Next(*weekday));
        }
        if let Some(days) = days_from_now(&said) {
            return Ok(Self::After(days));
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
        if let Some(day) = date_hints::written_out(&said) {
            return Ok(day);
        }
        if let Some(refusal) = date_hints::in_another_writing(text, &said) {
            return Err(refusal);
        }
        let others = ["today", "tomorrow", "hoy", "manana"];
        let names = WEEKDAYS.iter().flat_map(|(_, names)| names.iter()).chain(&others);
        let meant = super::nearest(&said, names.copied()).filter(|_| !said.contains(' '));
        let hint = meant.map_or(HOW.into(), |name| {
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
            // Which year it is, all zones agree on but for hours.
            Self::Date(_) | Self::OfYear { .. } => false,
            Self::After(_) | Self::Next(_) => true,
        }
    }

    /// The date, said on the day `today`. `None` where the calendar ends before it.
    pub fn on(self, today: Date) -> Option<Date> {
        match self {
            Self::Date(date) => Some(date),
            Self::After(days) => today.plus(days),
            Self::Next(weekday) => today.next(weekday),
            // A leap day is at most eight years away.
            Self::OfYear { month, day } => (0..=8)
                .filter_map(|years| today.in_year_after(years, month, day))
                .find(|date| !today.is_after(*date)),
        }
    }
}

/// A day that has begun, as it was said: a weekday is the last one of that name, never the day on which it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastDay(Day);

impl FromStr for PastDay {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let said = without_accents(text);
        if let Some(days) = days_ago(&said) {
            return Ok(Self(Day::After(-days)));
        }
        match said.as_str() {
            "yesterday" | "ayer" => Ok(Self(Day::After(-1))),
            _ => match text.parse() {
                Ok(Day::After(1..)) => Err(Self::not_begun(text)),
                Ok(day) => Ok(Self(day)),
                Err(refusal) if Invalid::hint(&refusal) == HOW => {
                    Err(Invalid::new(refusal.to_string(), HOW_PAST))
                }
                Err(refusal) => Err(refusal),
            },
        }
    }
}

impl PastDay {
    /// The refusal of a day that has not begun.
    pub fn not_begun(said: &str) -> Invalid {
        Invalid::new(format!("{} has not begun", quoted(said)), HOW_PAST)
    }

    /// The date, said on the day `today`. `None` where the calendar begins after it.
    pub fn on(self, today: Date) -> Option<Date> {
        match self.0 {
            Day::Next(weekday) => today.last(weekday),
            Day::OfYear { month, day } => (0..=8)
                .filter_map(|years| today.in_year_after(-years, month, day))
                .find(|date| !date.is_after(today)),
            day => day.on(today),
        }
    }
}

/// A word as it is compared: however it is typed, accents left out or not.
pub fn without_accents(text: &str) -> String {
    let plain = |c| match c {
        'á' => 'a',
        'é' => 'e',
        'í' => 'i',
        'ñ' => 'n',
        'ó' => 'o',
        'ú' => 'u',
        other => other,
    };
    super::comparable(text).chars().map(plain).collect()
}

/// How many days from now: `in 3 days`, `dentro de una semana`.
fn days_from_now(said: &str) -> Option<i8> {
    let rest = ["in ", "en ", "dentro de "].iter().find_map(|word| said.strip_prefix(word))?;
    let (days, unit) = rest.split_once(' ')?;
    let count = match days {
        "a" | "one" | "un" | "una" => 1,
        "two" | "dos" => 2,
        digits => time_words::number(digits, 1..=2)?,
    };
    let days = match unit {
        "day" | "days" | "dia" | "dias" => count,
        "week" | "weeks" | "semana" | "semanas" => count.checked_mul(7)?,
        _ => return None,
    };
    i8::try_from(days).ok()
}

/// How many days before now: `3 days ago`, `hace 3 dias`, `7d`.
fn days_ago(said: &str) -> Option<i8> {
    let endings = |days: &'_ str, endings: [&str; 2]| {
        endings.iter().find_map(|ending| days.strip_suffix(ending).map(str::to_owned))
    };
    let days = endings(said, [" days ago", " day ago"])
        .or_else(|| endings(said.strip_prefix("hace ")?, [" dias", " dia"]))
        .or_else(|| said.strip_suffix('d').map(str::to_owned))?;
    time_words::number(&days, 1..=2).and_then(|days| i8::try_from(days).ok())
}

/// The weekday in `next friday`, which is tomorrow's to some and next week's to others.
fn weekday_behind_a_word(said: &str) -> Option<&str> {
    let words = ["next ", "this ", "coming ", "este ", "proximo ", "el proximo "];
    let is_weekday = |name: &&str| WEEKDAYS.iter().any(|(_, names)| names.contains(name));
    words.iter().filter_map(|word| said.strip_prefix(word)).find(is_weekday)
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
            ("in 3 days", "2027-01-31"),
            ("dentro de 10 días", "2027-02-07"),
            ("in a week", "2027-02-04"),
            ("en dos semanas", "2027-02-11"),
            ("28 January 2027", "2027-01-28"),
            ("Feb 3rd", "2027-02-03"),
            ("Jan 27", "2028-01-27"),
            ("3 de agosto", "2027-08-03"),
            ("29 feb", "2028-02-29"),
            ("2027-2-3", "2027-02-03"),
            ("20270203", "2027-02-03"),
            ("el viernes", "2027-01-29"),
            ("on Friday", "2027-01-29"),
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
            ("7d", "2027-01-21"),
            ("2 days ago", "2027-01-26"),
            ("Dec 24", "2026-12-24"),
            ("hace 1 día", "2027-01-27"),
        ] {
            assert_eq!(on(said), date, "{said}");
        }
        let hint = "last week".parse::<PastDay>().expect_err("no day").hint().to_owned();
        assert!(hint.starts_with("write a day up to today"), "{hint}");
        assert!("tomorrow".parse::<PastDay>().is_err() && "1/2/2027".parse::<PastDay>().is_err());
    }

    #[test]
    fn what_may_be_two_days_is_refused_with_what_to_write() {
        let hint = |said: &str| said.parse::<Day>().expect_err(said).hint().to_owned();
        assert_eq!(hint("28/01/2027"), "write YYYY-MM-DD: 2027-01-28");
        assert_eq!(hint("01/02/2027"), "write YYYY-MM-DD: 2027-02-01 or 2027-01-02");
        assert_eq!(hint("5.5.2027"), "write YYYY-MM-DD: 2027-05-05");
        assert!(hint("next friday").starts_with("write friday for the nearer one"));
        assert!(hint("el próximo viernes").starts_with("write viernes for the nearer one"));
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
