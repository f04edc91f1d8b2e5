//! Finds time zones by name, and converts dates and times with them.

use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousTimestamp, TimeZone, TimeZoneDatabase};

use super::{Invalid, Time, plain, quoted};

/// A time zone from the IANA database. Its name is spelled as in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// The time zones under `America/` that computers in the US and Canada usually use.
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

    /// Returns whether the time zone is UTC. Most containers use UTC, wherever the user is.
    pub fn is_utc(&self) -> bool {
        let name = self.name().trim_start_matches("Etc/");
        let mut names = "UTC UCT Zulu Universal GMT GMT0 Greenwich".split(' ');
        names.any(|utc| utc == name)
    }

    /// Returns whether the time zone is in the US or Canada, where phone numbers have ten digits
    /// after +1.
    pub(super) fn is_us_or_canadian(&self) -> bool {
        match self.name().split('/').collect::<Vec<_>>()[..] {
            ["US" | "Canada", _] | ["Pacific", "Honolulu"] => true,
            ["America", place, ..] => US_AND_CANADA.split(' ').any(|name| name == place),
            _ => false,
        }
    }

    /// Returns the first moment of a day in this time zone.
    pub fn start_of(&self, date: Date) -> Timestamp {
        let start = date.to_zoned_datetime(self.0.clone());
        // The conversion fails only on the last day that jiff supports, in the year 9999.
        start.map_or(Timestamp::MAX, |start| start.timestamp())
    }

    /// Converts a local date and time to a timestamp. Because of DST, the local time may be skipped
    /// or ambiguous.
    pub fn local(&self, date: Date, time: Time) -> AmbiguousTimestamp {
        self.0
            .to_ambiguous_timestamp(date.to_datetime(time.civil()))
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

/// Finds a time zone by name, ignoring case. Prefers the system's rules, which may be newer than
/// the bundled ones.
fn find(name: &str) -> Option<TimeZone> {
    let bundled = TimeZoneDatabase::bundled().get(name).ok()?;
    let is_zone = |name: &&str| !matches!(*name, "Factory" | "Etc/Unknown");
    let name = bundled.iana_name().filter(is_zone)?;
    // Do not use `TimeZone::get`, which first lists all time zones. That takes milliseconds.
    let path = Path::new("/usr/share/zoneinfo").join(name);
    // Ignore the file on Windows, where any user could create the folder `/usr/share/zoneinfo`.
    let rules = std::fs::read(path).ok().filter(|_| cfg!(unix));
    let installed = rules.and_then(|rules| TimeZone::tzif(name, &rules).ok());
    Some(installed.unwrap_or_else(|| bundled.clone()))
}

/// Finds the time zone whose name ends with this city. Skips names such as `Etc/GMT+1`, which is an
/// hour behind UTC although its name suggests the opposite.
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
    use super::*;

    fn zone(name: &str) -> Zone {
        name.parse().expect(name)
    }

    #[test]
    fn time_zone_name_is_spelled_as_in_the_database() {
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
    fn unknown_time_zones_are_rejected_with_a_hint() {
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
}
