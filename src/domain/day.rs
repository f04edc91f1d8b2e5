//! Days, as the user writes them.

use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use serde::Serialize;

use super::{Invalid, plain, quoted};

/// A calendar date, or a day relative to today. Only a date can be serialized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Day {
    On(Date),
    /// This many days after today, or before today if negative.
    #[serde(skip)]
    After(i32),
    /// The next such weekday, never today.
    #[serde(skip)]
    Next(Weekday),
    /// The most recent such weekday, never today.
    #[serde(skip)]
    Last(Weekday),
}

/// A day for `--since` or `--until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastDay(pub Day);

impl Day {
    /// Returns whether the date depends on today, and therefore on the time zone.
    pub fn is_relative(self) -> bool {
        !matches!(self, Self::On(_))
    }

    pub fn resolve(self, today: Date) -> Date {
        match self {
            Self::On(date) => date,
            Self::After(days) => today.saturating_add(days.days()),
            Self::Next(weekday) => today.nth_weekday(1, weekday).unwrap_or(Date::MAX),
            Self::Last(weekday) => today.nth_weekday(-1, weekday).unwrap_or(Date::MIN),
        }
    }
}

impl FromStr for Day {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HINT: &str = "use YYYY-MM-DD, today, tomorrow or a weekday such as friday";
        parse(text, HINT, |word| match word {
            "tomorrow" => Some(Self::After(1)),
            _ => weekday(word).map(Self::Next),
        })
    }
}

impl FromStr for PastDay {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HINT: &str =
            "use YYYY-MM-DD, today, yesterday, a weekday such as friday, or 7d for 7 days ago";
        let day = parse(text, HINT, |word| match word {
            "yesterday" => Some(Day::After(-1)),
            _ => days_ago(word).or_else(|| weekday(word).map(Day::Last)),
        });
        day.map(Self)
    }
}

fn parse(text: &str, hint: &str, other: impl Fn(&str) -> Option<Day>) -> Result<Day, Invalid> {
    let word = plain(text).to_ascii_lowercase();
    let day = match word.parse::<Date>() {
        // jiff also parses other formats.
        Ok(date) if date.to_string() == word => Some(Day::On(date)),
        _ if word == "today" => Some(Day::After(0)),
        _ => other(&word),
    };
    day.ok_or_else(|| Invalid::new(format!("{} is not a valid day", quoted(text)), hint))
}

fn days_ago(word: &str) -> Option<Day> {
    let days = word.strip_suffix('d')?;
    let is_number = days.bytes().all(|b| b.is_ascii_digit());
    let days: u16 = days.parse().ok().filter(|_| is_number)?;
    Some(Day::After(-i32::from(days)))
}

fn weekday(word: &str) -> Option<Weekday> {
    let mut names = "monday tuesday wednesday thursday friday saturday sunday".split(' ');
    let offset = names.position(|name| name == word || name.get(..3) == Some(word))?;
    Weekday::from_monday_zero_offset(offset as i8).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const THURSDAY: Date = date(2027, 1, 28);

    #[test]
    fn days_resolve_to_today_or_later() {
        for (text, resolved) in [
            (" ２０２７\u{2011}02\u{2212}14\u{200b} ", date(2027, 2, 14)),
            ("Today", date(2027, 1, 28)),
            ("\u{feff}tomorrow", date(2027, 1, 29)),
            ("Friday", date(2027, 1, 29)),
            ("thu", date(2027, 2, 4)),
        ] {
            let day: Day = text.parse().expect(text);
            assert_eq!(day.resolve(THURSDAY), resolved, "{text:?}");
        }
        assert_eq!(Day::Next(Weekday::Friday).resolve(Date::MAX), Date::MAX);
    }

    #[test]
    fn past_days_resolve_to_earlier_dates() {
        for (text, resolved) in [
            ("2026-12-31", date(2026, 12, 31)),
            ("Yesterday", date(2027, 1, 27)),
            ("\u{200e}7D", date(2027, 1, 21)),
            ("wednesday", date(2027, 1, 27)),
            ("thu", date(2027, 1, 21)),
        ] {
            let PastDay(day) = text.parse().expect(text);
            assert_eq!(day.resolve(THURSDAY), resolved, "{text:?}");
        }
    }

    #[test]
    fn invalid_days_are_rejected() {
        let texts = "|\u{200b}|marble 4|martes|12/5|28/01/2027|27-01-28|2027-1-28|20270128|f|tues\
            |2027-01-28T20:00|-027-01-28|next friday|fri 8pm|tonight|jan 28|2027-02-29|2027-13-01";
        for text in texts.split('|') {
            text.parse::<PastDay>().expect_err(text);
            text.parse::<Day>().expect_err(text);
        }
        for text in "tomorrow|d|-1d|+1d|1.5d|99999d|7 d|7 days|last week".split('|') {
            text.parse::<PastDay>().expect_err(text);
        }
    }
}
