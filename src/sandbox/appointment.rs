//! The appointment a call makes.

use jiff::civil::{Time, time};
use jiff::{SignedDuration, ZonedDateTime};

use super::intent::{Intent, has_details};
use super::submission::{Category, Submission};

#[derive(Debug)]
pub(super) struct Appointment {
    pub(super) start: ZonedDateTime,
    pub(super) end: ZonedDateTime,
}

/// The appointment would be beyond the end of the calendar.
#[derive(Debug)]
pub(super) struct OutOfRange;

impl Appointment {
    /// What the submission asks for at `placed`, which carries the caller's time zone. Where fields
    /// and task are silent, a booking is for tomorrow at the usual hour; where the task alone says
    /// when, there is no appointment rather than a wrong one.
    pub(super) fn of(submission: &Submission, placed: &ZonedDateTime) -> Result<Option<Self>, OutOfRange> {
        let intent = Intent::of(submission);
        let may_choose = !has_details(submission.task()) && submission.time_preference_text.is_none();
        let (usual, length) = default_slot(submission.category());
        let date = match (submission.date(), intent) {
            (_, Intent::Cancel | Intent::Ask) => None,
            (Some(date), _) => Some(date),
            (None, Intent::Book) if may_choose => Some(placed.date().tomorrow().map_err(|_| OutOfRange)?),
            _ => None,
        };
        let time = submission.time().or(may_choose.then_some(usual));
        let Some((date, time)) = date.zip(time) else {
            return Ok(None);
        };
        let start =
            date.to_datetime(time).to_zoned_datetime(placed.time_zone().clone()).map_err(|_| OutOfRange)?;
        let end = start.checked_add(length).map_err(|_| OutOfRange)?;
        Ok(Some(Self { start, end }))
    }
}

/// The usual time of day of an appointment, and its length.
fn default_slot(category: Category) -> (Time, SignedDuration) {
    match category {
        Category::Restaurant => (time(20, 0, 0, 0), SignedDuration::from_hours(2)),
        Category::Clinic => (time(9, 30, 0, 0), SignedDuration::from_mins(30)),
        Category::Hotel => (time(15, 0, 0, 0), SignedDuration::from_hours(20)),
        Category::General => (time(10, 0, 0, 0), SignedDuration::from_hours(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn start(submission: &Value, zone: &str) -> Result<Option<String>, OutOfRange> {
        let raw = serde_json::value::to_raw_value(submission).expect("JSON");
        let placed = "2027-01-09T23:30:00+00:00[UTC]".parse::<ZonedDateTime>().expect("an instant");
        let placed = placed.in_tz(zone).expect("a zone");
        let appointment = Appointment::of(&Submission::recall(&raw), &placed)?;
        Ok(appointment.map(|appointment| appointment.start.timestamp().to_string()))
    }

    #[test]
    fn without_a_date_a_booking_is_tomorrow_where_the_caller_is() {
        let clinic = json!({"task_category": "clinic", "task_description": "Make an appointment"});
        assert_eq!(start(&clinic, "Asia/Tokyo").unwrap().as_deref(), Some("2027-01-11T00:30:00Z"));
        assert_eq!(start(&clinic, "UTC").unwrap().as_deref(), Some("2027-01-10T09:30:00Z"));
    }

    #[test]
    fn nothing_is_made_up_beside_what_the_task_says() {
        for (category, task, time) in [
            ("restaurant", "Reserve a table for 4 at 8pm", None),
            ("restaurant", "Book a table tomorrow", Some("20:00")),
            ("restaurant", "Ask for opening hours", None),
            ("restaurant", "Cancel my table", None),
            ("general", "Book a table", None),
        ] {
            let submission = json!({
                "task_category": category, "task_description": task, "appointment_time": time,
            });
            assert_eq!(start(&submission, "UTC").unwrap(), None, "{task}");
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_told_apart() {
        let late = json!({
            "task_description": "Call", "appointment_date": "9999-12-31", "appointment_time": "23:59",
        });
        assert!(start(&late, "UTC").is_err());
    }
}
