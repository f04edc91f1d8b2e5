//! A call as it was asked for: what the environment adds to it, and what of it is probably not meant.

use jiff::Timestamp;

use super::place::Warning;
use crate::domain::{CallRequest, Category, Date, Invalid, Language, Phone, Submission, Time, Zone};
use crate::settings::Settings;

/// A call as a front end was told it. What is left out comes from the environment.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The number to call.
    pub phone: Phone,
    /// What to accomplish.
    pub task: String,
    /// The kind of business; `General` where nobody says.
    pub category: Option<Category>,
    /// Language of the report, and of the call.
    pub language: Option<Language>,
    /// Language of the call alone.
    pub call_language: Option<Language>,
    /// The name to book under.
    pub name: Option<String>,
    /// The name of the business.
    pub business: Option<String>,
    /// Number of people, 1 to 50.
    pub party_size: Option<u8>,
    /// Day of the appointment.
    pub date: Option<Date>,
    /// Time of the appointment.
    pub time: Option<Time>,
    /// When it suits.
    pub time_preference: Option<String>,
    /// The user's own number.
    pub user_phone: Option<Phone>,
    /// Further instructions, in order.
    pub instructions: Vec<String>,
    /// Whether it is urgent.
    pub urgent: bool,
    /// Zone of date and time.
    pub timezone: Option<Zone>,
    /// The conversation that the call belongs to.
    pub session_id: Option<String>,
}

impl Draft {
    /// The request, and what of it is probably not meant. `zone_hint` says how a front end is told a zone.
    ///
    /// # Errors
    /// When the environment names no language or zone.
    pub fn complete(
        self,
        settings: Settings,
        zone_hint: &str,
    ) -> Result<(CallRequest, Vec<Warning>), Invalid> {
        let language = self.language.map_or_else(|| settings.language(), Ok)?;
        let (timezone, assumed) = zone(settings, self.timezone, self.time, zone_hint)?;
        let submission = Submission {
            task_category: self.category.unwrap_or(Category::General),
            task_description: self.task,
            respondent_phone: self.phone,
            business_name: self.business,
            user_name: self.name,
            user_phone: self.user_phone,
            party_size: self.party_size,
            appointment_date: self.date,
            appointment_time: self.time,
            time_preference_text: self.time_preference,
            language,
            call_language: self.call_language.unwrap_or(language),
            is_urgent: self.urgent,
            additional_instructions: self.instructions,
        };
        let request = CallRequest { submission, timezone, session_id: self.session_id };
        let mut told: Vec<Warning> = assumed.into_iter().collect();
        told.extend(warnings(&request, Timestamp::now()));
        Ok((request, told))
    }
}

/// The zone in which date and time are meant. Containers are in UTC or nowhere, and would book at the wrong hour.
fn zone(
    settings: Settings,
    chosen: Option<Zone>,
    time: Option<Time>,
    hint: &str,
) -> Result<(Zone, Option<Warning>), Invalid> {
    if let Some(zone) = chosen {
        return Ok((zone, None));
    }
    let warning = |text: String| Some(Warning { code: "utc_zone", text });
    Ok(match (settings.zone()?, time) {
        (None, _) => {
            (Zone::UTC, warning(format!("this computer's time zone is not known, so UTC is sent; {hint}")))
        }
        (Some(zone), Some(time)) if zone.is_utc() => {
            (zone, warning(format!("this computer's time zone is UTC, so {time} means {time} UTC; {hint}")))
        }
        (Some(zone), _) => (zone, None),
    })
}

/// What of a request is probably not meant.
fn warnings(request: &CallRequest, now: Timestamp) -> Vec<Warning> {
    let asked = &request.submission;
    let mut warnings = Vec::new();
    if let Some(date) = asked.appointment_date
        && date.is_past(asked.appointment_time, &request.timezone, now)
    {
        let zone = request.timezone.name();
        let moment =
            asked.appointment_time.map_or_else(|| date.to_string(), |time| format!("{date}, {time}"));
        warnings.push(Warning { code: "past_date", text: format!("{moment} is in the past in {zone}") });
    }
    let books = match asked.task_category {
        Category::Restaurant | Category::Clinic | Category::Hotel => true,
        Category::General => false,
    };
    if books && asked.user_name.is_none() {
        let text = "there is no name to book under; a reservation usually needs one".into();
        warnings.push(Warning { code: "no_name", text });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::example_request;

    fn codes(change: impl FnOnce(&mut CallRequest)) -> Vec<&'static str> {
        let mut request = example_request("Reserve a table");
        request.submission.user_name = Some("John Smith".into());
        change(&mut request);
        let now = "2027-01-28T23:30:00Z".parse().expect("a moment");
        warnings(&request, now).iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn a_reservation_without_a_name_is_noticed_and_a_question_is_not() {
        assert_eq!(codes(|_| {}), [""; 0]);
        assert_eq!(codes(|request| request.submission.user_name = None), ["no_name"]);
        let question = |request: &mut CallRequest| {
            request.submission.user_name = None;
            request.submission.task_category = Category::General;
        };
        assert_eq!(codes(question), [""; 0]);
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
