//! Time zones.

use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::{Invalid, Time, plain, quoted};

/// A zone in the IANA database, with the database's spelling of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// The moment of a date and time in a zone, if there is exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTime {
    At(Timestamp),
    /// It doesn't exist, because clocks are set forward past it.
    Skipped,
    /// It happens twice, because clocks are set back.
    Ambiguous,
}

/// The names under `America/` that computers in the US and Canada usually use.
const US_AND_CANADA: &str = "Anchorage Boise Chicago Denver Detroit Edmonton Halifax Indiana \
    Juneau Kentucky Los_Angeles Moncton Montreal New_York North_Dakota Phoenix Regina St_Johns \
    Toronto Vancouver Whitehorse Winnipeg Yellowknife";

impl Zone {
    pub const UTC: Self = Self(TimeZone::UTC);

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    pub fn jiff(&self) -> &TimeZone {
        &self.0
    }

    pub fn today(&self, now: Timestamp) -> Date {
        self.0.to_datetime(now).date()
    }

    /// Returns whether the zone is UTC, as in a container that has no zone set.
    pub fn is_utc(&self) -> bool {
        let name = self.name().trim_start_matches("Etc/");
        let mut names = "UTC UCT Zulu Universal GMT GMT0 Greenwich".split(' ');
        names.any(|utc| utc == name)
    }

    /// Returns whether this is a US or Canadian zone, where phone numbers have ten digits after +1.
    pub(super) fn is_us_or_canadian(&self) -> bool {
        match self.name().split('/').collect::<Vec<_>>()[..] {
            ["US" | "Canada", _] | ["Pacific", "Honolulu"] => true,
            ["America", place, ..] => US_AND_CANADA.split(' ').any(|name| name == place),
            _ => false,
        }
    }

    /// Returns the first moment of a day.
    pub fn start_of(&self, date: Date) -> Timestamp {
        let start = date.to_zoned_datetime(self.0.clone());
        // This fails only on the last day of the calendar, in the year 9999.
        start.map_or(Timestamp::MAX, |start| start.timestamp())
    }

    pub fn local(&self, date: Date, time: Time) -> LocalTime {
        let at = date.to_datetime(time.civil());
        match self.0.to_ambiguous_timestamp(at).offset() {
            AmbiguousOffset::Gap { .. } => LocalTime::Skipped,
            AmbiguousOffset::Fold { .. } => LocalTime::Ambiguous,
            AmbiguousOffset::Unambiguous { offset } => {
                LocalTime::At(offset.to_timestamp(at).unwrap_or(Timestamp::MAX))
            }
        }
    }
}

impl FromStr for Zone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HINT: &str = "use a region and a city, such as America/New_York or Europe/Madrid";
        let name = plain(text);
        find(&name).map(Self).ok_or_else(|| {
            let hint = zone_of_city(&name).map_or(HINT.into(), |zone| format!("use {zone}"));
            Invalid::new(format!("{} is not a known time zone", quoted(text)), hint)
        })
    }
}

/// Finds a zone by name, ignoring case. Prefers the system's rules, which may be newer than ours.
fn find(name: &str) -> Option<TimeZone> {
    let bundled = TimeZoneDatabase::bundled().get(name).ok()?;
    let is_zone = |name: &&str| !matches!(*name, "Factory" | "Etc/Unknown");
    let name = bundled.iana_name().filter(is_zone)?;
    // Windows has no such folder, and any user could create it there. `TimeZone::get` also reads
    // it, but lists all zones first, which takes milliseconds.
    let path = Path::new("/usr/share/zoneinfo").join(name);
    let rules = std::fs::read(path).ok().filter(|_| cfg!(unix));
    let installed = rules.and_then(|rules| TimeZone::tzif(name, &rules).ok());
    Some(installed.unwrap_or_else(|| bundled.clone()))
}

/// Finds the zone of a city, which is the end of its name. Skips zones in `Etc`, because their
/// signs are the opposite of the usual ones.
fn zone_of_city(city: &str) -> Option<String> {
    let end = format!("/{}", city.replace(' ', "_").to_ascii_lowercase());
    let zones = TimeZoneDatabase::bundled();
    let mut names = zones.available().map(|name| name.to_string());
    names.find(|zone| zone.to_ascii_lowercase().ends_with(&end) && !zone.starts_with("Etc/"))
}

impl serde::Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn zone(name: &str) -> Zone {
        name.parse().expect(name)
    }

    #[test]
    fn zone_name_uses_the_database_spelling() {
        assert_eq!(zone(" america/new_york\u{200b}").name(), "America/New_York");
        assert_eq!(zone("EST5EDT").name(), "EST5EDT");
        for name in "UTC Zulu GMT Greenwich Etc/UTC Etc/GMT".split(' ') {
            assert!(zone(name).is_utc(), "{name}");
        }
        for name in ["Europe/London", "Africa/Abidjan", "Etc/GMT+1"] {
            assert!(!zone(name).is_utc(), "{name}");
        }
    }

    #[test]
    fn unknown_zone_names_are_rejected_with_a_hint() {
        let hint = "use a region and a city, such as America/New_York or Europe/Madrid";
        let texts = "|Mars/Olympus|localtime|posixrules|factory|Etc/Unknown|UTC+2|GMT+1|EST5|Etc/\
            |../etc/passwd|/usr/share/zoneinfo/Europe/Madrid|posix/Europe/Madrid|Europe/\
            |CET-1CEST,M3.5.0,M10.5.0/3";
        for text in texts.split('|') {
            let invalid = text.parse::<Zone>().expect_err(text);
            assert_eq!(invalid.hint(), hint, "{text:?}");
        }
        let city = "buenos aires".parse::<Zone>().expect_err("a city");
        assert_eq!(city.hint(), "use America/Argentina/Buenos_Aires");
    }

    #[test]
    fn local_time_is_unique_skipped_or_ambiguous() {
        let local = |date: Date, time: &str| {
            let time = time.parse().expect(time);
            zone("America/New_York").local(date, time)
        };
        let at = "2027-01-29T01:00:00Z".parse().expect("a timestamp");
        assert_eq!(local(date(2027, 1, 28), "20:00"), LocalTime::At(at));
        assert_eq!(local(date(2027, 3, 14), "02:30"), LocalTime::Skipped);
        assert_eq!(local(date(2027, 11, 7), "01:30"), LocalTime::Ambiguous);
        assert_eq!(local(Date::MAX, "23:59"), LocalTime::At(Timestamp::MAX));
    }

    #[test]
    fn day_starts_at_1_am_if_midnight_is_skipped() {
        let start_of = |name, date| zone(name).start_of(date).to_string();
        // Clocks went from 00:00 to 01:00.
        let sao_paulo = start_of("America/Sao_Paulo", date(2018, 11, 4));
        assert_eq!(sao_paulo, "2018-11-04T03:00:00Z");
    }
}
