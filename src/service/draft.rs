//! Turns the draft of a call into a complete request and warns about likely mistakes.

use jiff::Timestamp;
use jiff::tz::AmbiguousOffset;
use serde::Serialize;

use super::Service;
use crate::domain::{CallFields, CallRequest, Phone};
use crate::error::{Error, Kind, Result};
use crate::settings::{LocalZone, Settings};

/// A call as the user described it, before defaults are filled in.
#[derive(Debug, Clone)]
pub struct CallDraft {
    pub phone: Phone,
    pub task: String,
    pub fields: CallFields,
}

/// A warning for the user. `code` identifies the warning to programs, so it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub code: &'static str,
    #[serde(rename = "message")]
    pub text: String,
}

impl Service<'_> {
    /// Fills in defaults from the environment and looks for likely mistakes.
    pub(super) fn complete(
        &self,
        draft: CallDraft,
        now: Timestamp,
    ) -> Result<(CallRequest, Vec<Warning>)> {
        let mut fields = draft.fields;
        let chosen_zone = fields.timezone.take();
        let local = Settings::zone(chosen_zone.or_else(|| self.options.timezone.clone()))?;
        fields.date.map_or(Ok(()), |day| local.check(day))?;
        fields.language = fields.language.or(self.options.language);
        if fields.language.is_none() {
            fields.language = Some(Settings::language()?);
        }
        if fields.name.is_none() {
            fields.name = Settings::name()?;
        }
        if fields.user_phone.is_none() {
            fields.user_phone = Settings::user_phone()?;
        }
        let request = CallRequest::new(draft.phone, draft.task, fields, local.zone.clone(), now);
        let warnings = warnings(&request, &local, now)?;
        Ok((request, warnings))
    }
}

/// Returns warnings about a request. A local time that daylight saving skips is an error.
fn warnings(request: &CallRequest, local: &LocalZone, now: Timestamp) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    let mut warn = |code, text: String| warnings.push(Warning { code, text });
    let (date, time, zone) = (request.date, request.fields.time, &request.timezone);
    if let Some(text) = ignored_tz(local) {
        warn("ignored_tz", text);
    }
    if let Some(time) = time.filter(|_| local.is_uncertain()) {
        warn(
            "utc_zone",
            format!("no time zone was given and this computer uses UTC: {time} means {time} UTC"),
        );
    }
    let when = request.when().unwrap_or_default();
    match date
        .zip(time)
        .map(|(date, time)| zone.local(date, time).offset())
    {
        Some(AmbiguousOffset::Gap { .. }) => {
            let message =
                format!("{when} does not exist, because clocks are set forward on that day");
            return Err(
                Error::new(Kind::InvalidInput, message).with_hint("choose a time an hour later")
            );
        }
        Some(AmbiguousOffset::Fold { .. }) => {
            warn(
                "ambiguous_time",
                format!("{when} happens twice, because clocks are set back on that day"),
            );
        }
        Some(AmbiguousOffset::Unambiguous { .. }) | None => {}
    }
    let at = |date, time| zone.local(date, time).unambiguous().ok();
    let is_past = |date| match time.and_then(|time| at(date, time)) {
        Some(at) => at < now,
        None => date < zone.today(now),
    };
    if date.is_some_and(is_past) {
        warn(
            "past_date",
            format!("the appointment is in the past ({when})"),
        );
    }
    let fields = &request.fields;
    let is_booking = fields.party_size.is_some() || date.is_some() || time.is_some();
    if is_booking && fields.category.unwrap_or_default().takes_a_name() && fields.name.is_none() {
        warn("no_name", "no name was given for the booking".into());
    }
    Ok(warnings)
}

/// Returns the warning for an environment variable `TZ` that is ignored.
pub(super) fn ignored_tz(local: &LocalZone) -> Option<String> {
    let (tz, zone) = (local.ignored_tz.as_ref()?, local.zone.name());
    Some(format!(
        "TZ={tz} is not an IANA time zone: using {zone} instead"
    ))
}
