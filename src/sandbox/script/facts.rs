//! What a call is about, short enough to be said.

use jiff::civil::{Date, Time};

use crate::sandbox::appointment::Appointment;
use crate::sandbox::intent::{Intent, has_details};
use crate::sandbox::submission::{Category, Submission};

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Table,
    Visit,
    Room,
    Cancelling,
    Changing,
    Asking,
    Other,
}

/// A day, a time of day, or both, or neither.
#[derive(Clone, Copy, Default)]
pub(super) struct Moment {
    pub(super) date: Option<Date>,
    pub(super) time: Option<Time>,
}

impl Moment {
    pub(super) fn is_empty(self) -> bool {
        self.date.is_none() && self.time.is_none()
    }
}

/// What a call is about, short enough to be said.
pub(super) struct Facts {
    pub(super) subject: Subject,
    /// Under which name to book.
    pub(super) name: String,
    pub(super) business: Option<String>,
    pub(super) phone: String,
    pub(super) user_phone: Option<String>,
    /// A sentence, as are the preference and the instructions.
    pub(super) task: String,
    pub(super) people: Option<i64>,
    /// What the submission says of the time.
    pub(super) asked: Moment,
    /// What was agreed on, if anything.
    pub(super) agreed: Moment,
    /// Whether the task may hold what the other facts lack, and so has to be told itself.
    pub(super) tells_task: bool,
    pub(super) preference: Option<String>,
    pub(super) instructions: Option<String>,
    pub(super) is_urgent: bool,
}

impl Facts {
    /// The moment as the business names it: the day is repeated only by whoever chooses it.
    pub(super) fn offered(&self) -> Moment {
        match self.asked.date {
            Some(_) => Moment { date: None, ..self.agreed },
            None => self.agreed,
        }
    }

    pub(super) fn of(submission: &Submission, appointment: Option<&Appointment>) -> Self {
        let said = |text: &Option<String>| {
            let text = shortened(text.as_deref().unwrap_or_default());
            (!text.is_empty()).then_some(text)
        };
        let asked = Moment { date: submission.date(), time: submission.time() };
        let agreed = appointment.map_or(asked, |appointment| Moment {
            date: Some(appointment.start.date()),
            time: Some(appointment.start.time()),
        });
        let subject = Subject::of(submission);
        let is_complete = asked.date.is_some()
            && asked.time.is_some()
            && (submission.party_size.is_some() || !subject.has_people());
        let instructions = submission.additional_instructions.as_deref().unwrap_or_default().join("; ");
        Self {
            subject,
            name: said(&submission.user_name).unwrap_or_else(|| "KallyAI".to_owned()),
            business: said(&submission.business_name),
            phone: submission.phone().to_owned(),
            user_phone: said(&submission.user_phone),
            task: closed(shortened(submission.task())),
            people: submission.party_size,
            asked,
            agreed,
            tells_task: !is_complete && has_details(submission.task()),
            preference: said(&submission.time_preference_text).map(closed),
            instructions: said(&Some(instructions)).map(closed),
            is_urgent: submission.is_urgent.unwrap_or_default(),
        }
    }
}

impl Subject {
    pub(super) fn of(submission: &Submission) -> Self {
        match (Intent::of(submission), submission.category()) {
            (Intent::Cancel, _) => Self::Cancelling,
            (Intent::Change, _) => Self::Changing,
            (Intent::Ask, _) => Self::Asking,
            (Intent::Book, Category::Restaurant) => Self::Table,
            (Intent::Book, Category::Clinic) => Self::Visit,
            (Intent::Book, Category::Hotel) => Self::Room,
            (Intent::Book | Intent::Other, _) => Self::Other,
        }
    }

    /// Whether it matters for how many.
    pub(super) fn has_people(self) -> bool {
        matches!(self, Self::Table | Self::Room)
    }
}

/// The text with a mark at its end.
pub(super) fn closed(text: String) -> String {
    let is_closed = text.ends_with(['.', '!', '?', '…']);
    if is_closed { text } else { text + "." }
}

/// At most 160 characters, white space collapsed. A longer text is not read to its end.
pub(super) fn shortened(text: &str) -> String {
    const LIMIT: usize = 160;
    let mut shortened = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let space = if length > 0 { " " } else { "" };
        for character in space.chars().chain(word.chars()) {
            shortened.push(character);
            length += 1;
            if length > LIMIT {
                return shortened.chars().take(LIMIT - 1).chain(['…']).collect();
            }
        }
    }
    shortened
}
