//! Formats dates and durations: `Fri 2026-12-04 20:00`, `2 min 3 s`.

use jiff::Timestamp;
use jiff::civil;

use crate::domain::Zone;

pub(super) fn moment(at: Timestamp, zone: &Zone) -> String {
    let local = zone.jiff().to_datetime(at);
    local.strftime("%a %Y-%m-%d %H:%M").to_string()
}

fn date(date: civil::Date) -> String {
    date.strftime("%a %Y-%m-%d").to_string()
}

/// Formats the day of a timestamp. Billing periods are whole days in UTC, so midnight UTC is shown
/// as its UTC day, whatever the time zone. Text that cannot be parsed is returned unchanged.
pub(super) fn day(text: &str, zone: &Zone) -> String {
    let Ok(at) = text.parse::<Timestamp>() else {
        return text.parse().map_or_else(|_| text.to_owned(), date);
    };
    let utc = Zone::UTC.jiff().to_datetime(at);
    let is_midnight = utc.time() == civil::Time::midnight();
    let local = zone.jiff().to_datetime(at);
    date(if is_midnight { utc } else { local }.date())
}

/// Formats an appointment's date, time and time zone. A date that cannot be parsed stays unchanged.
pub(super) fn appointment(
    day: Option<&str>,
    time: Option<&str>,
    zone: Option<&str>,
) -> Option<String> {
    let day = day.map(|text| text.parse().map_or_else(|_| text.to_owned(), date));
    let zone = zone.filter(|_| time.is_some());
    let parts = [day.as_deref(), time, zone];
    let given: Vec<&str> = parts.into_iter().flatten().collect();
    (!given.is_empty()).then(|| given.join(" "))
}

/// Formats a duration in seconds as `1 h 5 min`, `2 min 3 s` or `9 s`.
pub(super) fn duration(seconds: f64) -> Option<String> {
    if !(0.0..1e9).contains(&seconds) {
        return None;
    }
    let whole = seconds.round() as u64;
    Some(match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn billing_day_is_the_same_in_every_time_zone() {
        let zone = |name: &str| name.parse::<Zone>().unwrap();
        for name in ["America/Los_Angeles", "UTC", "Asia/Tokyo"] {
            assert_eq!(day("2026-12-31T00:00:00Z", &zone(name)), "Thu 2026-12-31");
            assert_eq!(day("2026-12-31", &zone(name)), "Thu 2026-12-31");
        }
        let evening = day("2026-12-30T20:00:00Z", &zone("Asia/Tokyo"));
        assert_eq!(
            (evening.as_str(), day("soon", &Zone::UTC)),
            ("Thu 2026-12-31", "soon".into())
        );
    }

    #[test]
    fn appointment_shows_only_the_known_parts() {
        let shown = |day, time| appointment(day, time, Some("Europe/Madrid"));
        let whole = shown(Some("2026-12-04"), Some("20:00")).unwrap();
        assert_eq!(whole, "Fri 2026-12-04 20:00 Europe/Madrid");
        assert_eq!(shown(Some("2026-12-04"), None).unwrap(), "Fri 2026-12-04");
        assert_eq!(shown(Some("soon"), None).unwrap(), "soon");
        assert_eq!(shown(None, None), None);
    }

    #[test]
    fn duration_is_shown_in_at_most_two_units() {
        let texts = [0.2, 59.6, 123.0, 3900.0].map(|seconds| duration(seconds).unwrap());
        assert_eq!(texts, ["0 s", "1 min 0 s", "2 min 3 s", "1 h 5 min"]);
        assert_eq!([-1.0, f64::NAN, 1e300].map(duration), [None, None, None]);
    }
}
