//! Moments and durations as people read them.

use jiff::{Timestamp, ZonedDateTime};

use super::Messages;
use crate::domain::Zone;

/// The user's zone and the present moment, against which times are shown.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: Zone,
    now: Timestamp,
    messages: Messages,
}

impl Clock {
    /// The clock of this run, in the reader's language.
    pub fn new(zone: Zone, messages: Messages) -> Self {
        Self { zone, now: Timestamp::now(), messages }
    }

    /// A moment: `today 15:30`, `yesterday 15:30`, else `2027-01-28 15:30`.
    pub fn moment(&self, at: Timestamp) -> String {
        let time = self.local(at).strftime("%H:%M");
        match self.days_ago(at) {
            Some(0) => self.messages.fill("today {}", &[&time]),
            Some(1) => self.messages.fill("yesterday {}", &[&time]),
            _ => format!("{} {time}", self.local(at).date()),
        }
    }

    /// A moment in a table: the weekday within a week, `Mon 15:30`; before that the date alone.
    pub fn brief_moment(&self, at: Timestamp) -> String {
        match self.days_ago(at) {
            Some(0 | 1) => self.moment(at),
            Some(2..=6) => {
                let weekday = self.local(at).strftime("%a").to_string();
                format!("{} {}", self.messages.translate(&weekday), self.local(at).strftime("%H:%M"))
            }
            _ => self.local(at).date().to_string(),
        }
    }

    /// How many days ago a moment was, by the calendar.
    fn days_ago(&self, at: Timestamp) -> Option<i32> {
        let today = self.local(self.now).date();
        let days = self.local(at).date().until(today).ok()?.get_days();
        (days >= 0).then_some(days)
    }

    /// The day of a moment that the server wrote; what is no moment is shown as it stands.
    pub fn day(&self, text: &str) -> String {
        text.parse::<Timestamp>().map_or_else(|_| text.to_owned(), |at| self.local(at).date().to_string())
    }

    /// Whether a moment that the server wrote has passed.
    pub fn is_over(&self, text: &str) -> bool {
        text.parse::<Timestamp>().is_ok_and(|at| at < self.now)
    }

    fn local(&self, at: Timestamp) -> ZonedDateTime {
        at.to_zoned_datetime(self.zone.rules().clone())
    }
}

/// The day and time of an appointment as the API writes them, in full: `Thursday 28 January 2027, 20:00 Europe/Madrid`.
/// What is no date or time is shown as it stands.
pub fn appointment(
    messages: Messages,
    date: Option<&str>,
    time: Option<&str>,
    zone: Option<&str>,
) -> Option<String> {
    let date = date.map(|text| text.parse().map_or_else(|_| text.to_owned(), |date| messages.date(date)));
    let time = time.map(|time| match zone {
        Some(zone) => format!("{time} {zone}"),
        None => time.to_owned(),
    });
    match (date, time) {
        (Some(date), Some(time)) => Some(format!("{date}, {time}")),
        (date, time) => date.or(time),
    }
}

/// A duration in seconds, as `1 h 05 min`, `2 min 14 s` or `9 s`.
pub fn duration(seconds: f64) -> Option<String> {
    if !(0.0..1e9).contains(&seconds) {
        return None;
    }
    let whole = seconds.round() as u64;
    Some(match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Language;

    #[test]
    fn moments_are_in_the_users_zone_and_today_is_said() {
        let zone: Zone = "Europe/Madrid".parse().expect("a zone");
        let messages = Messages::of(Language::En);
        let clock = Clock { zone, messages, now: "2027-01-28T23:30:00Z".parse().expect("a time") };
        assert_eq!(clock.moment("2027-01-28T23:10:00Z".parse().expect("a time")), "today 00:10");
        assert_eq!(clock.moment("2027-01-28T12:00:00Z".parse().expect("a time")), "yesterday 13:00");
        assert_eq!(clock.moment("2027-01-27T12:00:00Z".parse().expect("a time")), "2027-01-27 13:00");
        for (moment, brief) in [
            ("2027-01-28T23:10:00Z", "today 00:10"),
            ("2027-01-28T12:00:00Z", "yesterday 13:00"),
            ("2027-01-27T12:00:00Z", "Wed 13:00"),
            ("2027-01-23T12:00:00Z", "Sat 13:00"),
            ("2027-01-22T12:00:00Z", "2027-01-22"),
            ("2027-01-30T12:00:00Z", "2027-01-30"),
        ] {
            assert_eq!(clock.brief_moment(moment.parse().expect("a time")), brief);
        }
        assert_eq!(clock.day("2027-01-31T23:30:00Z"), "2027-02-01");
        assert_eq!(clock.day("2027-01-31"), "2027-01-31");
    }

    #[test]
    fn an_appointment_is_shown_in_full() {
        let english = Messages::of(Language::En);
        let shown = |date, time, zone| appointment(english, date, time, zone).unwrap_or_default();
        assert_eq!(
            shown(Some("2027-01-28"), Some("20:00"), Some("Europe/Madrid")),
            "Thursday 28 January 2027, 20:00 Europe/Madrid"
        );
        assert_eq!(shown(Some("2027-01-08"), None, Some("UTC")), "Friday 8 January 2027");
        assert_eq!(shown(Some("soon"), Some("20:00"), None), "soon, 20:00");
        assert_eq!(
            (shown(None, None, Some("UTC")), shown(None, Some("20:00"), None)),
            ("".into(), "20:00".into())
        );
    }

    #[test]
    fn durations_read_as_spoken() {
        for (seconds, text) in
            [(0.2, "0 s"), (59.6, "1 min 00 s"), (134.0, "2 min 14 s"), (3900.0, "1 h 05 min")]
        {
            assert_eq!(duration(seconds).as_deref(), Some(text));
        }
        assert_eq!((duration(-1.0), duration(f64::NAN), duration(1e300)), (None, None, None));
    }
}
