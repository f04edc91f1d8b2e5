//! What a call is for, as the client sent it, and what the service refuses to call for.

use jiff::civil::{Date, Time};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::Refusal;

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Category {
    Restaurant,
    Clinic,
    Hotel,
    #[default]
    General,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Language {
    English,
    Spanish,
}

impl Language {
    fn of(code: Option<&str>) -> Self {
        if code == Some("es") { Self::Spanish } else { Self::English }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Submission {
    task_category: Option<Category>,
    task_description: Option<String>,
    respondent_phone: Option<String>,
    appointment_date: Option<String>,
    appointment_time: Option<String>,
    language: Option<String>,
    call_language: Option<String>,
    pub(super) business_name: Option<String>,
    pub(super) user_name: Option<String>,
    pub(super) user_phone: Option<String>,
    pub(super) time_preference_text: Option<String>,
    pub(super) party_size: Option<i64>,
    pub(super) is_urgent: Option<bool>,
    pub(super) additional_instructions: Option<Vec<String>>,
}

impl Submission {
    /// A submission the service takes, or the first reason why it does not.
    pub(super) fn parse(raw: &RawValue) -> Result<Self, Refusal> {
        if !raw.get().starts_with('{') {
            return Err(Refusal::validation("submission is not an object."));
        }
        let submission: Self = serde_json::from_str(raw.get()).map_err(Refusal::validation)?;
        submission.check_phones()?;
        submission.check_task()?;
        submission.check_appointment()?;
        submission.check_languages()?;
        Ok(submission)
    }

    /// What was taken before; a file edited by hand yields a general call about nothing.
    pub(super) fn recall(raw: &RawValue) -> Self {
        serde_json::from_str(raw.get()).unwrap_or_default()
    }

    pub(super) fn category(&self) -> Category {
        self.task_category.unwrap_or_default()
    }

    pub(super) fn task(&self) -> &str {
        self.task_description.as_deref().unwrap_or_default()
    }

    pub(super) fn phone(&self) -> &str {
        self.respondent_phone.as_deref().unwrap_or_default()
    }

    pub(super) fn date(&self) -> Option<Date> {
        let [year, month, day] = numbers(self.appointment_date.as_deref()?, '-', [4, 2, 2])?;
        Date::new(year, month as i8, day as i8).ok()
    }

    pub(super) fn time(&self) -> Option<Time> {
        let [hour, minute] = numbers(self.appointment_time.as_deref()?, ':', [2, 2])?;
        Time::new(hour as i8, minute as i8, 0, 0).ok()
    }

    /// The language that is spoken in the call.
    pub(super) fn call_language(&self) -> Language {
        Language::of(self.call_language.as_deref().or(self.language.as_deref()))
    }

    /// The language in which the caller is told how it went.
    pub(super) fn report_language(&self) -> Language {
        Language::of(self.language.as_deref().or(self.call_language.as_deref()))
    }

    fn check_phones(&self) -> Result<(), Refusal> {
        let invalid = |name: &str| {
            let message = format!("{name} is not a number in E.164 form, such as +15551234567.");
            Err(Refusal::new(422, "invalid_phone_number", message))
        };
        match self.phone().trim() {
            "" => Err(Refusal::new(422, "missing_phone_number", "respondent_phone is required.")),
            phone if is_emergency(phone) => {
                Err(Refusal::new(422, "emergency_number", "Emergency numbers cannot be called."))
            }
            phone if !is_e164(phone) => invalid("respondent_phone"),
            _ if !self.user_phone.as_deref().is_none_or(is_e164) => invalid("user_phone"),
            _ => Ok(()),
        }
    }

    fn check_task(&self) -> Result<(), Refusal> {
        if self.task_category.is_none() {
            return Err(Refusal::validation("task_category is required."));
        }
        if self.task().trim().is_empty() {
            return Err(Refusal::validation("task_description is required."));
        }
        if self.party_size.is_some_and(|size| !(1..=50).contains(&size)) {
            return Err(Refusal::validation("party_size is not between 1 and 50."));
        }
        Ok(())
    }

    fn check_appointment(&self) -> Result<(), Refusal> {
        let message = if self.appointment_date.is_some() && self.date().is_none() {
            "appointment_date is not a date, such as 2027-03-14."
        } else if self.appointment_time.is_some() && self.time().is_none() {
            "appointment_time is not a time of day, such as 19:30."
        } else {
            return Ok(());
        };
        Err(Refusal::new(422, "scheduling_violation", message))
    }

    fn check_languages(&self) -> Result<(), Refusal> {
        let mut languages = self.language.iter().chain(&self.call_language);
        match languages.find(|language| !matches!(language.as_str(), "en" | "es")) {
            Some(_) => Err(Refusal::new(422, "unsupported_language", "The languages are en and es.")),
            None => Ok(()),
        }
    }
}

fn is_e164(phone: &str) -> bool {
    let digits = phone.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

/// Whether this is an emergency number, alone or behind a country code.
fn is_emergency(phone: &str) -> bool {
    const NUMBERS: [&str; 6] = ["000", "061", "110", "112", "911", "999"];
    let digits = phone.trim_start_matches('+');
    NUMBERS.iter().any(|number| {
        digits
            .strip_suffix(number)
            .is_some_and(|country| country.len() <= 3 && country.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Exactly these many digits each, with `separator` between them.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i16; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let digits = parts.next()?;
        let exact = digits.len() == width && digits.bytes().all(|byte| byte.is_ascii_digit());
        *number = exact.then(|| digits.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refusal_of(member: &str, value: Value) -> Option<&'static str> {
        let mut submission = json!({
            "task_category": "restaurant",
            "task_description": "Book a table",
            "respondent_phone": "+15551234567",
        });
        submission[member] = value;
        let raw = serde_json::value::to_raw_value(&submission).expect("JSON");
        Submission::parse(&raw).err().map(|refusal| refusal.code())
    }

    #[test]
    fn a_sound_submission_is_taken() {
        assert_eq!(refusal_of("appointment_date", json!("2028-02-29")), None);
        assert_eq!(refusal_of("appointment_time", json!("00:00")), None);
        assert_eq!(refusal_of("user_phone", Value::Null), None);
        assert_eq!(refusal_of("unheard_of", json!([1])), None);
    }

    #[test]
    fn every_fault_has_a_fitting_code() {
        for (member, value, code) in [
            ("respondent_phone", Value::Null, "missing_phone_number"),
            ("respondent_phone", json!(""), "missing_phone_number"),
            ("respondent_phone", json!("911"), "emergency_number"),
            ("respondent_phone", json!("+34112"), "emergency_number"),
            ("respondent_phone", json!("+0123456789"), "invalid_phone_number"),
            ("respondent_phone", json!("555 1234"), "invalid_phone_number"),
            ("user_phone", json!("+1"), "invalid_phone_number"),
            ("task_category", json!("opera"), "validation_error"),
            ("task_category", Value::Null, "validation_error"),
            ("task_description", json!(" "), "validation_error"),
            ("party_size", json!(0), "validation_error"),
            ("party_size", json!(51), "validation_error"),
            ("party_size", json!("four"), "validation_error"),
            ("appointment_date", json!("2026-02-30"), "scheduling_violation"),
            ("appointment_date", json!("2026-3-1"), "scheduling_violation"),
            ("appointment_time", json!("24:00"), "scheduling_violation"),
            ("appointment_time", json!("+9:30"), "scheduling_violation"),
            ("language", json!("fr"), "unsupported_language"),
            ("call_language", json!("EN"), "unsupported_language"),
        ] {
            assert_eq!(refusal_of(member, value.clone()), Some(code), "{member} {value}");
        }
    }

    #[test]
    fn call_and_report_have_languages_of_their_own_and_stand_in_for_each_other() {
        let languages = |json: &str| {
            let raw: &RawValue = serde_json::from_str(json).expect("JSON");
            let submission = Submission::recall(raw);
            (submission.call_language(), submission.report_language())
        };
        use Language::{English, Spanish};
        for (json, call, report) in [
            (r#"{"language":"es"}"#, Spanish, Spanish),
            (r#"{"call_language":"es"}"#, Spanish, Spanish),
            (r#"{"language":"en","call_language":"es"}"#, Spanish, English),
            (r#"{"language":"es","call_language":"en"}"#, English, Spanish),
            ("{}", English, English),
        ] {
            assert_eq!(languages(json), (call, report), "{json}");
        }
    }
}
