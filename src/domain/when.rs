//! Parses dates and times of day as users type them.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::{self, Date, Weekday};
use jiff::fmt::strtime::BrokenDownTime;
use serde::{Serialize, Serializer};

use super::{Invalid, plain, quoted};

/// A calendar date, or a day relative to today. Only a date can be serialized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Day {
    On(Date),
    /// A number of days after today, or before today if negative.
    #[serde(skip)]
    After(i32),
    /// The next (1) or the most recent (-1) occurrence of a weekday. Today does not count.
    #[serde(skip)]
    Nth(i32, Weekday),
}

/// A day for `--since` or `--until`. A weekday means its most recent occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastDay(pub Day);

const TIME_HINT: &str =
    "use a time such as 20:00, 8:30pm or noon, and put a time range in --time-preference";

/// A time of day, in hours and minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(civil::Time);

impl Day {
    /// Returns whether the date depends on today's date, and therefore on the time zone.
    pub fn is_relative(self) -> bool {
        !matches!(self, Self::On(_))
    }

    pub fn resolve(self, today: Date) -> Date {
        match self {
            Self::On(date) => date,
            Self::After(days) => today.saturating_add(days.days()),
            Self::Nth(nth, weekday) => today.nth_weekday(nth, weekday).unwrap_or(today),
        }
    }
}

impl FromStr for Day {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HINT: &str = "use YYYY-MM-DD, today, tomorrow or a weekday such as friday";
        parse_day(text, HINT, |word| match word {
            "tomorrow" => Some(Self::After(1)),
            _ => weekday(word).map(|weekday| Self::Nth(1, weekday)),
        })
    }
}

impl FromStr for PastDay {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HINT: &str =
            "use YYYY-MM-DD, today, yesterday, a weekday such as friday, or 7d for 7 days ago";
        let day = parse_day(text, HINT, |word| match word.strip_suffix('d') {
            _ if word == "yesterday" => Some(Day::After(-1)),
            Some(days) if days.bytes().all(|b| b.is_ascii_digit()) => days
                .parse()
                .ok()
                .map(|days: u16| Day::After(-i32::from(days))),
            _ => weekday(word).map(|weekday| Day::Nth(-1, weekday)),
        });
        day.map(Self)
    }
}

fn parse_day(text: &str, hint: &str, other: impl Fn(&str) -> Option<Day>) -> Result<Day, Invalid> {
    let word = plain(text).to_ascii_lowercase();
    let day = match word.parse::<Date>() {
        // jiff also parses other formats. Accept only YYYY-MM-DD.
        Ok(date) if date.to_string() == word => Some(Day::On(date)),
        _ if word == "today" => Some(Day::After(0)),
        _ => other(&word),
    };
    day.ok_or_else(|| Invalid::new(format!("{} is not a valid day", quoted(text)), hint))
}

fn weekday(word: &str) -> Option<Weekday> {
    let mut formats = ["%A", "%a"].into_iter();
    formats.find_map(|format| BrokenDownTime::parse(format, word).ok()?.weekday())
}

impl Time {
    pub fn civil(self) -> civil::Time {
        self.0
    }
}

impl FromStr for Time {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let typed = plain(text).to_ascii_lowercase();
        let time = match civil::Time::strptime("%H:%M", &typed) {
            // jiff also parses other formats. Accept only HH:MM.
            Ok(time) if Self(time).to_string() == typed => Some(time),
            _ if typed == "noon" => Some(civil::time(12, 0, 0, 0)),
            _ => twelve_hour(&typed),
        };
        if let Some(time) = time {
            return Ok(Self(time));
        }
        let shown = quoted(text);
        Err(match twelve_hour(&format!("{typed}pm")) {
            Some(evening) => Invalid::new(
                format!("{shown} is ambiguous"),
                format!("use {typed}am, {typed}pm or {}", Self(evening)),
            ),
            None => Invalid::new(format!("{shown} is not a valid time"), TIME_HINT),
        })
    }
}

/// Parses a 12-hour time such as `8pm`, `8 pm` or `8:30pm`.
fn twelve_hour(typed: &str) -> Option<civil::Time> {
    let mut formats = ["%I%p", "%I %p", "%I:%M%p", "%I:%M %p"].into_iter();
    let time = formats.find_map(|format| civil::Time::strptime(format, typed).ok())?;
    // jiff also accepts one-digit minutes, so check that two digits were typed.
    let minutes = time.strftime(":%M").to_string();
    (typed.contains(&minutes) || !typed.contains(':')).then_some(time)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.strftime("%H:%M").fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const THURSDAY: Date = date(2027, 1, 28);

    #[test]
    fn appointment_days_resolve_to_today_or_later() {
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
    }

    #[test]
    fn days_for_since_and_until_resolve_to_past_dates() {
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

    #[test]
    fn times_are_accepted_in_12_and_24_hour_format() {
        for (texts, time) in [
            ("00:00|12am|12 AM", "00:00"),
            ("08:05|8:05am|08:05 am", "08:05"),
            ("12:00|noon|Noon|12pm", "12:00"),
            (
                "20:00|8pm|8 PM|08pm|8\u{202f}pm|\u{200e}２０：００",
                "20:00",
            ),
        ] {
            for text in texts.split('|') {
                let parsed = text.parse::<Time>().map(|time| time.to_string());
                assert_eq!(parsed.as_deref(), Ok(time), "{text:?}");
            }
        }
    }

    #[test]
    fn invalid_times_are_rejected_with_a_hint() {
        let texts = "| |24:00|24|8:3|08:60|8:60|20:00:00|13pm|0am|pm|:30|8:pm|ampm|8ampm|8pmpm|2000\
            |8 pm EST|tonight|7 to 9 pm|+8pm|-1:00|8.30pm|20h|midday|8 : 30 pm|٨pm|marble 4";
        let hint = |text: &str| text.parse::<Time>().expect_err(text).hint().to_owned();
        for text in texts.split('|') {
            assert_eq!(hint(text), TIME_HINT, "{text:?}");
        }
        assert_eq!(hint("12"), "use 12am, 12pm or 12:00");
        assert_eq!(hint("8:30"), "use 8:30am, 8:30pm or 20:30");
    }
}
