//! The request for a call: as a front end is told it, as the API is sent it, and what makes two of them the same.

use serde::Serialize;

use super::{Category, Date, Day, Language, Phone, Time, Zone, collapse_whitespace, comparable};

/// A call as a front end was told it. What is left out comes from the environment.
#[derive(Debug, Clone)]
pub struct CallDraft {
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
    pub date: Option<Day>,
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

/// The body of `POST /v1/calls`.
#[derive(Debug, Clone, Serialize)]
pub struct CallRequest {
    /// Whom to call, what for and for whom.
    pub submission: Submission,
    /// The user's IANA zone, in which date and time are meant.
    pub timezone: Zone,
    /// The conversation that this call belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// What the assistant is asked to do.
#[derive(Debug, Clone, Serialize)]
pub struct Submission {
    /// The kind of business.
    pub task_category: Category,
    /// What to accomplish, in the user's words.
    pub task_description: String,
    /// The number to call.
    pub respondent_phone: Phone,
    /// The name of the business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_name: Option<String>,
    /// The name to book under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The user's own number, to be called back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_phone: Option<Phone>,
    /// Number of people, 1 to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party_size: Option<u8>,
    /// Day of the appointment, in `timezone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appointment_date: Option<Date>,
    /// Time of the appointment, in `timezone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appointment_time: Option<Time>,
    /// When it suits, in the user's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_preference_text: Option<String>,
    /// Language of the report.
    pub language: Language,
    /// Language that is spoken on the phone.
    pub call_language: Language,
    /// Whether it is urgent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_urgent: bool,
    /// Further instructions, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_instructions: Vec<String>,
}

impl CallDraft {
    /// The request, with what the draft leaves open: the language of the report, the zone, and the day in that zone.
    pub fn complete(self, language: Language, timezone: Zone, date: Option<Date>) -> CallRequest {
        let submission = Submission {
            task_category: self.category.unwrap_or(Category::General),
            task_description: self.task,
            respondent_phone: self.phone,
            business_name: self.business,
            user_name: self.name,
            user_phone: self.user_phone,
            party_size: self.party_size,
            appointment_date: date,
            appointment_time: self.time,
            time_preference_text: self.time_preference,
            language: self.language.unwrap_or(language),
            call_language: self.call_language.or(self.language).unwrap_or(language),
            is_urgent: self.urgent,
            additional_instructions: self.instructions,
        };
        CallRequest { submission, timezone, session_id: self.session_id }
    }
}

impl CallRequest {
    /// The request as JSON, as it is sent.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and lists of them: nothing that could fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The number to call.
    pub fn phone(&self) -> &Phone {
        &self.submission.respondent_phone
    }

    /// When the appointment is to be, as `Thursday 28 January 2027, 20:00 Europe/Madrid`, as far as it was said.
    pub fn when(&self) -> Option<String> {
        let Submission { appointment_date: date, appointment_time: time, .. } = &self.submission;
        let date = date.map(Date::in_words);
        let time = time.map(|time| format!("{time} {}", self.timezone.name()));
        let said: Vec<String> = [date, time].into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(", "))
    }

    /// The task with its white space collapsed.
    pub fn task(&self) -> String {
        collapse_whitespace(&self.submission.task_description)
    }

    /// A digest (SHA-256, in hexadecimal) that two requests share if they ask for the same: every field counts, its
    /// texts as [`comparable`] compares them.
    pub fn digest(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        make_comparable(&mut value);
        // serde_json keeps members sorted, so that equal values have equal texts.
        super::sha256(value.to_string().as_bytes())
    }
}

fn make_comparable(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = comparable(text),
        serde_json::Value::Array(values) => values.iter_mut().for_each(make_comparable),
        serde_json::Value::Object(members) => members.values_mut().for_each(make_comparable),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An ordinary request.
    pub fn request(task: &str) -> CallRequest {
        CallRequest {
            submission: Submission {
                task_category: Category::Restaurant,
                task_description: task.into(),
                respondent_phone: "+15551234567".parse().expect("a number"),
                business_name: None,
                user_name: None,
                user_phone: None,
                party_size: None,
                appointment_date: None,
                appointment_time: None,
                time_preference_text: None,
                language: Language::En,
                call_language: Language::En,
                is_urgent: false,
                additional_instructions: Vec::new(),
            },
            timezone: Zone::UTC,
            session_id: None,
        }
    }

    #[test]
    fn white_space_case_and_unicode_form_do_not_make_another_request() {
        let digest = |task: &str| request(task).digest();
        let composed = digest("Reserve a table at Café Niño");
        assert_eq!(composed, digest(" reserve  a\ntable at CAFE\u{301} NIN\u{303}O "));
        assert_ne!(composed, digest("Reserve a table at Cafe Nino"));
    }

    #[test]
    fn every_field_makes_another_request() {
        let usual = request("Reserve a table");
        let changed = |change: fn(&mut CallRequest)| {
            let mut other = usual.clone();
            change(&mut other);
            other.digest()
        };
        for (name, digest) in [
            ("date", changed(|r| r.submission.appointment_date = "2027-01-28".parse().ok())),
            ("time", changed(|r| r.submission.appointment_time = "20:00".parse().ok())),
            ("name", changed(|r| r.submission.user_name = Some("John".into()))),
            ("party size", changed(|r| r.submission.party_size = Some(4))),
            ("language", changed(|r| r.submission.call_language = Language::Es)),
            ("urgency", changed(|r| r.submission.is_urgent = true)),
            ("instruction", changed(|r| r.submission.additional_instructions = vec!["x".into()])),
            ("session", changed(|r| r.session_id = Some("x".into()))),
            ("zone", changed(|r| r.timezone = "Europe/Madrid".parse().expect("a zone"))),
        ] {
            assert_ne!(digest, usual.digest(), "{name}");
        }
    }
}
