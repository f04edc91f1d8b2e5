//! Times of day.

use std::fmt;
use std::str::FromStr;

use jiff::civil;

use super::{Invalid, plain, quoted};

/// A time of day on the 24-hour clock, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(civil::Time);

const HINT: &str = "use 20:00, 8pm, 8:30pm or noon, and put a range into --time-preference";

impl Time {
    pub fn civil(self) -> civil::Time {
        self.0
    }
}

impl FromStr for Time {
    type Err = Invalid;

    /// Parses `HH:MM`, `8pm`, `8:30 pm` and `noon`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = |problem, hint: &str| {
            let message = format!("{} is {problem}", quoted(text));
            Err(Invalid::new(message, hint))
        };
        let typed = plain(text).to_ascii_lowercase();
        if typed == "noon" {
            return Ok(Self(civil::time(12, 0, 0, 0)));
        }
        let (clock, half) = match (typed.strip_suffix("am"), typed.strip_suffix("pm")) {
            (Some(clock), _) => (clock.trim_end(), Some(0)),
            (_, Some(clock)) => (clock.trim_end(), Some(12)),
            _ => (typed.as_str(), None),
        };
        let Some((hour, minute)) = hour_and_minute(clock) else {
            return refused("not a time", HINT);
        };
        let is_twelve_hour = (1..=12).contains(&hour);
        let hour = match half {
            Some(half) if is_twelve_hour => hour % 12 + half,
            Some(_) => return refused("not a time", HINT),
            None if clock.len() == "HH:MM".len() => hour,
            None if is_twelve_hour => {
                let evening = hour % 12 + 12;
                let hint = format!("use {clock}am, {clock}pm or {evening}:{minute:02}");
                return refused("ambiguous", &hint);
            }
            None => return refused("not a time", &format!("use {hour:02}:{minute:02}")),
        };
        Ok(Self(civil::time(hour, minute, 0, 0)))
    }
}

/// Parses `8`, `8:30` and `20:30`.
fn hour_and_minute(clock: &str) -> Option<(i8, i8)> {
    let (hour, minute) = clock.split_once(':').unwrap_or((clock, "00"));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if hour.len() > 2 || minute.len() != 2 || !is_number(hour) || !is_number(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some((hour, minute))
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.strftime("%H:%M").fmt(f)
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(hint(text), HINT, "{text:?}");
        }
        assert_eq!(hint("12"), "use 12am, 12pm or 12:00");
        assert_eq!(hint("8:30"), "use 8:30am, 8:30pm or 20:30");
        assert_eq!(hint("0:15"), "use 00:15");
    }
}
