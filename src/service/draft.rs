//! Turns a draft into a complete request and warns about likely mistakes.

use jiff::Timestamp;
use jiff::tz::AmbiguousOffset;
use serde::Serialize;

use super::Service;
use crate::domain::{CallFields, CallRequest, Date, Phone, Time, Zone};
use crate::error::{Error, Kind, Result};
use crate::settings::{LocalZone, Settings};

/// A call as the user described it.
#[derive(Debug, Clone)]
pub struct CallDraft {
    pub phone: Phone,
    pub task: String,
    pub fields: CallFields,
}

/// A likely mistake in a request. `code` is a stable name for programs.
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
        let zone = local.zone.clone();
        let request = CallRequest::new(draft.phone, draft.task, fields, zone, now);
        let warnings = warnings(&request, &local, now)?;
        Ok((request, warnings))
    }
}

/// Returns warnings about a request. A local time that does not exist is an error.
fn warnings(request: &CallRequest, local: &LocalZone, now: Timestamp) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    let mut warn = |code, text: String| warnings.push(Warning { code, text });
    let (date, time, zone) = (request.date, request.fields.time, &request.timezone);
    if let Some(tz) = &local.ignored_tz {
        warn(
            "ignored_tz",
            format!(
                "TZ={tz} is not an IANA time zone and is ignored: using {}",
                zone.name()
            ),
        );
    }
    if let Some(time) = time.filter(|_| local.is_uncertain()) {
        warn(
            "utc_zone",
            format!("no time zone was given, and this computer's is UTC: {time} means {time} UTC"),
        );
    }
    let when = request.when().unwrap_or_default();
    match date
        .zip(time)
        .map(|(date, time)| zone.local(date, time).offset())
    {
        Some(AmbiguousOffset::Gap { .. }) => {
            let message = format!("{when} does not exist, because clocks are set forward");
            return Err(
                Error::new(Kind::InvalidInput, message).with_hint("choose a time an hour later")
            );
        }
        Some(AmbiguousOffset::Fold { .. }) => {
            warn(
                "ambiguous_time",
                format!("{when} happens twice, because clocks are set back"),
            );
        }
        Some(AmbiguousOffset::Unambiguous { .. }) | None => {}
    }
    if is_past(date, time, zone, now) {
        warn(
            "past_date",
            format!("the appointment is in the past ({when})"),
        );
    }
    let fields = &request.fields;
    let is_reservation = fields.party_size.is_some() || date.is_some() || time.is_some();
    if is_reservation && fields.category.unwrap_or_default().takes_a_name() && fields.name.is_none()
    {
        warn("no_name", "no name was given for the booking".into());
    }
    Ok(warnings)
}

fn is_past(date: Option<Date>, time: Option<Time>, zone: &Zone, now: Timestamp) -> bool {
    let Some(date) = date else {
        return false;
    };
    match time.map(|time| zone.local(date, time).unambiguous()) {
        Some(Ok(at)) => at < now,
        Some(Err(_)) | None => date < zone.today(now),
    }
}
