//! Dates, times of day and time zones, as the API takes them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{Invalid, quoted, time_words};

/// A day of the calendar, written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(civil::Date);

impl FromStr for Date {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |why: &str| {
            Invalid::new(
                format!("{} is not a date{why}", quoted(text)),
                "write YYYY-MM-DD, for example 2027-01-28",
            )
        };
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else { return Err(wrong("")) };
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0i16, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i16::from(b - b'0')))
        };
        let (Some(year), Some(month), Some(day)) = (
            number(&[y1, y2, y3, y4]),
            number(&[m1, m2]).map(|m| m as i8),
            number(&[d1, d2]).map(|d| d as i8),
        ) else {
            return Err(wrong(""));
        };
        civil::Date::new(year, month, day).map(Self).map_err(|_| wrong(": there is no such day"))
    }
}

impl From<civil::Date> for Date {
    fn from(date: civil::Date) -> Self {
        Self(date)
    }
}

impl Date {
    /// Whether it comes after another.
    pub fn is_after(self, other: Self) -> bool {
        self.0 > other.0
    }

    /// The day of this month and number in its year, or in one so many years later; `None` where that year has none.
    pub fn in_year_after(self, years: i16, month: u8, day: u8) -> Option<Self> {
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        civil::Date::new(self.0.year().checked_add(years)?, month, day).ok().map(Self)
    }

    /// The date so many days later; `None` beyond the end of the calendar.
    pub fn plus(self, days: i8) -> Option<Self> {
        self.0.checked_add(jiff::Span::new().days(days)).ok().map(Self)
    }

    /// The next day of this name, never the date itself; `None` beyond the end of the calendar.
    pub fn next(self, weekday: civil::Weekday) -> Option<Self> {
        self.0.nth_weekday(1, weekday).ok().map(Self)
    }

    /// The last day of this name before the date; `None` before the beginning of the calendar.
    pub fn last(self, weekday: civil::Weekday) -> Option<Self> {
        self.0.nth_weekday(-1, weekday).ok().map(Self)
    }

    /// The day's name.
    #[cfg(test)]
    pub fn weekday(self) -> civil::Weekday {
        self.0.weekday()
    }

    /// The date with the day's name, as `Thursday 28 January 2027`.
    pub fn in_words(self) -> String {
        self.0.strftime("%A %-d %B %Y").to_string()
    }
}

impl serde::Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time of day on the 24-hour clock, written `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    hour: u8,
    minute: u8,
}

impl FromStr for Time {
    type Err = Invalid;

    /// As [`time_words::parse`].
    fn from_str(text: &str) -> Result<Self, Invalid> {
        time_words::parse(text).map(|(hour, minute)| Self { hour, minute })
    }
}

impl Time {
    /// The time on a clock's dial.
    fn civil(self) -> civil::Time {
        civil::Time::midnight()
            .with()
            .hour(i8::try_from(self.hour).unwrap_or_default())
            .minute(i8::try_from(self.minute).unwrap_or_default())
            .build()
            .unwrap_or_default()
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

/// A time zone of the IANA database, under its own spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone's rules.
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }

    /// The zone's name in the IANA database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date there at this moment.
    pub fn date_at(&self, now: Timestamp) -> Date {
        Date(self.0.to_datetime(now).date())
    }

    /// When a day begins there; `None` where the clock knows no such moment.
    pub fn start_of(&self, date: Date) -> Option<Timestamp> {
        date.0.to_zoned_datetime(self.0.clone()).ok().map(|start| start.timestamp())
    }

    /// Whether a day, or a time on it, is over there at this moment.
    pub fn is_past(&self, date: Date, time: Option<Time>, now: Timestamp) -> bool {
        let now = self.0.to_datetime(now);
        match time {
            Some(time) => date.0.to_datetime(time.civil()) < now,
            None => date.0 < now.date(),
        }
    }

    /// Whether clocks there never differ from UTC: what a container has that was never told where it is.
    pub fn is_utc(&self) -> bool {
        matches!(
            self.name(),
            "UTC"
                | "UCT"
                | "Zulu"
                | "Universal"
                | "GMT"
                | "Etc/UTC"
                | "Etc/UCT"
                | "Etc/GMT"
                | "Etc/Zulu"
                | "Etc/Universal"
        )
    }
}

impl serde::Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Zone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = rules(text).filter(|zone| zone.iana_name().is_some() && !zone.is_unknown());
        known.map(Self).ok_or_else(|| {
            let how = "write a region and a city, for example America/New_York or Europe/Madrid".into();
            let hint = meant(text).map_or(how, |name| format!("did you mean {name}?"));
            Invalid::new(format!("{} is not a time zone of the IANA database", quoted(text)), hint)
        })
    }
}

/// The zone that a mistyped name, or a city alone, probably means.
fn meant(said: &str) -> Option<String> {
    let said = said.trim().replace(' ', "_");
    let names: Vec<String> = TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.to_string())
        // Those of `Etc` have the sign that nobody expects: Etc/GMT+1 is an hour behind.
        .filter(|name| name.contains('/') && !name.starts_with("Etc/"))
        .collect();
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let wanted = said.to_lowercase();
    let exact = names.iter().find(|name| city(name) == wanted);
    // A wrong guess books at a wrong hour.
    const NEAR: f64 = 0.92;
    let likeness = |name: &str| {
        let whole = strsim::jaro_winkler(&wanted, &name.to_lowercase());
        whole.max(strsim::jaro_winkler(&wanted, &city(name)))
    };
    let scored = names.iter().map(|name| (likeness(name), name)).filter(|(score, _)| *score > NEAR);
    let near = || scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name);
    exact.or_else(near).cloned()
}

/// A zone's rules as the system has them, else as they were when this program was built. jiff alone would read the names
/// of all files of the database first.
fn rules(name: &str) -> Option<TimeZone> {
    let Ok(known) = TimeZoneDatabase::bundled().get(name) else { return TimeZone::get(name).ok() };
    let Some(spelled) = known.iana_name().filter(|_| known.to_fixed_offset().is_err()) else {
        return Some(known);
    };
    // Windows has no such folder, and anybody may make one of that name there.
    let usual = cfg!(unix).then(|| "/usr/share/zoneinfo".into());
    let folders = [std::env::var_os("TZDIR"), usual];
    let installed = folders.into_iter().flatten().find_map(|folder| {
        let rules = std::fs::read(Path::new(&folder).join(spelled)).ok()?;
        TimeZone::tzif(spelled, &rules).ok()
    });
    Some(installed.unwrap_or(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_zone_or_a_city_alone_is_answered_with_the_one_that_is_meant() {
        for (said, meant) in [
            ("Madrid", "did you mean Europe/Madrid?"),
            ("new york", "did you mean America/New_York?"),
            ("Europe/Madird", "did you mean Europe/Madrid?"),
            ("Londn", "did you mean Europe/London?"),
            ("GMT+1", "write a region and a city, for example America/New_York or Europe/Madrid"),
            ("Pacific Time", "write a region and a city, for example America/New_York or Europe/Madrid"),
            ("Canarias", "write a region and a city, for example America/New_York or Europe/Madrid"),
            ("EST5", "write a region and a city, for example America/New_York or Europe/Madrid"),
        ] {
            assert_eq!(said.parse::<Zone>().expect_err(said).hint(), meant);
        }
    }

    #[test]
    fn a_date_must_exist() {
        assert_eq!("2027-01-28".parse::<Date>().map(|d| d.to_string()).as_deref(), Ok("2027-01-28"));
        assert!("2028-02-29".parse::<Date>().is_ok(), "a leap year");
        for text in [
            "2026-02-30",
            "2027-02-29",
            "2027-13-01",
            "2027-00-10",
            "27-01-28",
            "2027-1-28",
            "28/01/2027",
            "tomorrow",
            "",
            "2027-01-28T20:00",
            "-027-01-28",
            "２０２７-01-28",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_time_is_written_on_the_24_hour_clock() {
        assert_eq!("8:05 pm".parse::<Time>().map(|t| t.to_string()).as_deref(), Ok("20:05"));
        assert_eq!("8:05".parse::<Time>().map(|t| t.to_string()).as_deref(), Ok("08:05"));
    }

    #[test]
    fn a_day_is_over_where_it_is_meant() {
        let now = "2027-01-28T11:00:00Z".parse().expect("a moment");
        let (date, noon) = ("2027-01-28".parse().expect("a date"), Some("noon".parse().expect("a time")));
        for (zone, past, today) in
            [("Europe/Madrid", false, "2027-01-28"), ("Pacific/Kiritimati", true, "2027-01-29")]
        {
            let zone: Zone = zone.parse().expect("a zone");
            assert_eq!((zone.is_past(date, None, now), zone.date_at(now).to_string()), (past, today.into()));
        }
        let zone: Zone = "Europe/Paris".parse().expect("a zone");
        assert!(!zone.is_past(date, noon, now), "it is noon there");
        assert!(zone.is_past(date, noon, "2027-01-28T11:01:00Z".parse().expect("a moment")));
        assert_eq!(date.in_words(), "Thursday 28 January 2027");
    }

    #[test]
    fn a_zone_is_known_and_keeps_its_own_spelling() {
        assert_eq!("america/new_york".parse::<Zone>().expect("known").name(), "America/New_York");
        for text in ["", "Mars/Olympus", "EDT-ish", "Etc/Unknown", "../etc/passwd", "UTC+2"] {
            assert!(text.parse::<Zone>().is_err(), "{text:?}");
        }
        assert!("Etc/UTC".parse::<Zone>().expect("known").is_utc());
        assert!(!"Europe/Madrid".parse::<Zone>().expect("known").is_utc());
    }
}
