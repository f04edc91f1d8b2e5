//! Parses a request for a call and checks it against the service's rules.

use jiff::civil::{Date, Time};
use serde::Deserialize;
use serde_json::Value;

use super::http::{Refusal, Result};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Submission {
    pub(super) task_category: String,
    pub(super) task_description: String,
    pub(super) respondent_phone: String,
    pub(super) appointment_date: Option<String>,
    pub(super) appointment_time: Option<String>,
    language: Option<String>,
    call_language: Option<String>,
    pub(super) business_name: Option<String>,
    pub(super) user_name: Option<String>,
    pub(super) user_phone: Option<String>,
    pub(super) time_preference_text: Option<String>,
    pub(super) party_size: Option<i64>,
    is_urgent: bool,
    pub(super) additional_instructions: Vec<String>,
}

impl Submission {
    /// Parses a submission that has already been checked.
    pub(super) fn of(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_default()
    }

    pub(super) fn check(value: &Value) -> Result<Self> {
        let submission = Self::deserialize(value).map_err(Refusal::validation)?;
        submission.check_rules()?;
        Ok(submission)
    }

    pub(super) fn date(&self) -> Option<Date> {
        let text = self.appointment_date.as_deref()?;
        let date: Date = text.parse().ok()?;
        // Reject the last day that jiff supports: the end of the appointment would be out of range.
        (date.to_string() == text && date < Date::MAX).then_some(date)
    }

    pub(super) fn time(&self) -> Option<Time> {
        let text = self.appointment_time.as_deref()?;
        let time = Time::strptime("%H:%M", text).ok()?;
        (time.strftime("%H:%M").to_string() == text).then_some(time)
    }

    pub(super) fn call_language(&self) -> &str {
        let language = self.call_language.as_deref().or(self.language.as_deref());
        language.unwrap_or("en")
    }

    /// Returns the language of the highlights and next steps.
    pub(super) fn report_language(&self) -> &str {
        let language = self.language.as_deref().or(self.call_language.as_deref());
        language.unwrap_or("en")
    }

    #[rustfmt::skip]
    fn check_rules(&self) -> Result<()> {
        let check = |is_kept, code, message| match is_kept {
            true => Ok(()),
            false => Err(Refusal::new(422, code, message)),
        };
        let phone = &*self.respondent_phone;
        let has_own_phone = self.user_phone.as_deref().is_none_or(is_e164);
        let categories = ["restaurant", "clinic", "hotel", "general"];
        let has_category = categories.contains(&&*self.task_category);
        let has_task = !self.task_description.trim().is_empty();
        let has_party = (1..=50).contains(&self.party_size.unwrap_or(1));
        let has_date = self.appointment_date.is_none() || self.date().is_some();
        let has_time = self.appointment_time.is_none() || self.time().is_some();
        let languages = [self.report_language(), self.call_language()];
        let has_languages = languages.iter().all(|language| ["en", "es"].contains(language));
        check(!phone.is_empty(), "missing_phone_number", "respondent_phone is required")?;
        check(!is_emergency(phone), "emergency_number", "emergency numbers cannot be called")?;
        check(is_e164(phone), "invalid_phone_number", "respondent_phone is not in E.164 format")?;
        check(has_own_phone, "invalid_phone_number", "user_phone is not in E.164 format")?;
        check(!phone.starts_with("+1900"), "toll_number", "premium-rate numbers cannot be called")?;
        check(has_category, "validation_error", "task_category is missing or unknown")?;
        check(has_task, "validation_error", "task_description is required")?;
        check(has_party, "validation_error", "party_size is not between 1 and 50")?;
        check(has_date, "scheduling_violation", "appointment_date is not a YYYY-MM-DD date")?;
        check(has_time, "scheduling_violation", "appointment_time is not an HH:MM time")?;
        check(has_languages, "unsupported_language", "the language must be en or es")
    }
}

fn is_e164(phone: &str) -> bool {
    let digits = phone.strip_prefix('+').unwrap_or_default();
    let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    is_number && (7..=15).contains(&digits.len())
}

/// Returns whether this is an emergency number, with or without a country code.
fn is_emergency(phone: &str) -> bool {
    let numbers = ["000", "061", "110", "112", "911", "999"];
    let is_short = phone.trim_start_matches('+').len() <= 6;
    is_short && numbers.iter().any(|number| phone.ends_with(number))
}
