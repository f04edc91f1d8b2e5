//! A call as it was asked for: what the environment adds to it, and what of it is probably not meant.

use jiff::Timestamp;

use super::place::Warning;
use crate::domain::{CallDraft, CallRequest, Date, Day, Invalid, Submission, Zone};
use crate::settings::Settings;

/// The request of a draft, and what of it is probably not meant. `zone_hint` says how a front end is told a zone.
///
/// # Errors
/// When the environment names no language or zone, or a day is relative and nobody knows where.
pub fn complete(
    draft: CallDraft,
    settings: Settings,
    zone_hint: &str,
) -> Result<(CallRequest, Vec<Warning>), Invalid> {
    let now = Timestamp::now();
    let language = draft.language.map_or_else(Settings::language, Ok)?;
    let zone = CallZone::of(settings, draft.timezone.clone())?;
    let date = draft.date.map(|day| zone.date(day, now, zone_hint)).transpose()?;
    let request = draft.complete(language, zone.zone.clone(), date);
    let warnings = warnings(&request.submission, &zone, now, zone_hint);
    Ok((request, warnings))
}

/// The zone in which date and time are meant.
struct CallZone {
    zone: Zone,
    known: ZoneSource,
}

/// How a zone is known.
enum ZoneSource {
    /// The user chose it for this call, or for all calls.
    Chosen,
    /// The computer is there.
    Computer,
    /// Not at all, so it is UTC.
    Nobody,
}

impl CallZone {
    fn of(settings: Settings, given: Option<Zone>) -> Result<Self, Invalid> {
        if let Some(zone) = given.map_or_else(|| settings.chosen_zone(), |zone| Ok(Some(zone)))? {
            return Ok(Self { zone, known: ZoneSource::Chosen });
        }
        Ok(match settings.zone()? {
            Some(zone) => Self { zone, known: ZoneSource::Computer },
            None => Self { zone: Zone::UTC, known: ZoneSource::Nobody },
        })
    }

    /// The date of a day. What `tomorrow` is, a computer that may be anywhere does not know: the wrong day would be booked.
    fn date(&self, day: Day, now: Timestamp, hint: &str) -> Result<Date, Invalid> {
        let why = match self.known {
            ZoneSource::Nobody => Some("this computer's time zone is not known"),
            ZoneSource::Computer if self.zone.is_utc() => {
                Some("this computer's time zone is UTC, as where none was set")
            }
            ZoneSource::Chosen | ZoneSource::Computer => None,
        };
        if let Some(why) = why.filter(|_| day.is_relative()) {
            return Err(Invalid::new(
                format!("which date is meant depends on where you are, and {why}"),
                format!("{hint}; or write the date as YYYY-MM-DD"),
            ));
        }
        day.on(self.zone.date_at(now))
            .ok_or_else(|| Invalid::new("there is no such day", "write the date as YYYY-MM-DD"))
    }
}

/// What is probably not meant. Containers are in UTC or nowhere, and would book at the wrong hour.
fn warnings(submission: &Submission, zone: &CallZone, now: Timestamp, hint: &str) -> Vec<Warning> {
    let (date, time) = (submission.appointment_date, submission.appointment_time);
    let mut warnings = Vec::new();
    let utc_zone = match (&zone.known, time) {
        (ZoneSource::Nobody, _) => {
            Some(format!("this computer's time zone is not known, so UTC is sent; {hint}"))
        }
        (ZoneSource::Computer, Some(time)) if zone.zone.is_utc() => {
            Some(format!("this computer's time zone is UTC, so {time} means {time} UTC; {hint}"))
        }
        (ZoneSource::Chosen | ZoneSource::Computer, _) => None,
    };
    warnings.extend(utc_zone.map(|text| Warning { code: "utc_zone", text }));
    if let Some(date) = date.filter(|date| zone.zone.is_past(*date, time, now)) {
        let time = time.map(|time| format!(", {time}")).unwrap_or_default();
        let when = date.in_words() + &time;
        warnings.push(Warning { code: "past_date", text: format!("{when} is over in {}", zone.zone.name()) });
    }
    if let Some(digits) = submission.respondent_phone.wrong_length() {
        let text = format!("{digits} digits stand behind the +1, where a number has 10");
        warnings.push(Warning { code: "number_length", text });
    }
    let is_reservation = submission.party_size.is_some() || date.is_some() || time.is_some();
    if is_reservation && submission.task_category.takes_a_name() && submission.user_name.is_none() {
        warnings.push(Warning { code: "no_name", text: "there is no name to book under".into() });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Category, example_request};

    fn codes(change: impl FnOnce(&mut CallRequest)) -> Vec<&'static str> {
        let mut request = example_request("Reserve a table");
        request.submission.user_name = Some("John Smith".into());
        change(&mut request);
        let now = "2027-01-28T23:30:00Z".parse().expect("a moment");
        let zone = CallZone { zone: request.timezone, known: ZoneSource::Chosen };
        warnings(&request.submission, &zone, now, "").iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn a_reservation_without_a_name_is_noticed_and_a_question_is_not() {
        assert_eq!(codes(|_| {}), [""; 0]);
        let nameless = |request: &mut CallRequest| {
            request.submission.user_name = None;
            request.submission.party_size = Some(4);
        };
        assert_eq!(codes(nameless), ["no_name"]);
        let question = |request: &mut CallRequest| {
            request.submission.user_name = None;
            request.submission.task_category = Category::General;
        };
        assert_eq!(codes(question), [""; 0]);
    }

    #[test]
    fn a_number_with_a_digit_too_few_is_noticed_where_every_number_has_as_many() {
        let to = |number: &str| {
            codes(|request| request.submission.respondent_phone = number.parse().expect("a number"))
        };
        assert_eq!(to("+15551234567"), [""; 0]);
        assert_eq!(to("+1555123456"), ["number_length"]);
        assert_eq!(to("+155512345678"), ["number_length"]);
        assert_eq!(to("+34912345"), [""; 0]);
    }

    #[test]
    fn a_day_is_past_by_the_clocks_of_its_zone() {
        let on = |date: &str, time: Option<&str>, zone: &str| {
            codes(|request| {
                request.submission.appointment_date = date.parse().ok();
                request.submission.appointment_time = time.and_then(|time| time.parse().ok());
                request.timezone = zone.parse().expect("a zone");
            })
        };
        assert_eq!(on("2027-01-27", None, "UTC"), ["past_date"]);
        assert_eq!(on("2027-01-28", None, "UTC"), [""; 0]);
        assert_eq!(on("2027-01-28", None, "Europe/Madrid"), ["past_date"], "it is half past midnight there");
        assert_eq!(on("2027-01-28", Some("20:00"), "UTC"), ["past_date"]);
        assert_eq!(on("2027-01-28", Some("23:45"), "UTC"), [""; 0]);
    }
}
