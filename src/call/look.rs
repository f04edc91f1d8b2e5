//! Reading the history: before a phone rings, to see whether that call is made already, and after an answer was lost,
//! to find the call it was about.

use std::cell::LazyCell;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::entry::{Entry, GUARDED_FOR, Moment, ago};
use super::events::HistoryResult;
use super::guard::Guards;
use super::journal::Journal;
use super::matching::{self, Clocks, Details, Listed, Match, Told};
use crate::api::{Call, Client, Page};
use crate::auth::{self, Session};
use crate::domain::{CallId, CallRequest, comparable};
use crate::error::{Error, Kind};

/// How many of the newest calls are looked at before a phone rings.
const RECENT: u16 = 50;
/// How long that may take.
const LOOK_BEFORE_TIMEOUT: Duration = Duration::from_secs(5);
/// The part of the time there is that it may take.
const LOOK_BEFORE_SHARE: u32 = 4;
/// How long a page of a search, or one call, may be waited for, so that a stalled one is not the last.
pub const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// The size of a page when a call is searched for.
const PAGE: u16 = 100;
/// No search reads more pages than this.
const MAX_PAGES: usize = 200;
/// How many calls are looked at themselves in one search, where the list does not tell enough.
const MAX_DETAILS: usize = 20;
/// A history may be out of order by so much, in seconds.
const DISORDER: i64 = 600;

/// What a look before ringing showed.
#[derive(Debug)]
pub struct LookBefore {
    /// How far the service's clock is ahead of this computer's, in seconds, where it told.
    pub clock_difference: Option<i64>,
    /// Why the call must not be placed.
    pub refusal: Option<Error>,
    /// What was achieved at that number a short time ago, and how many seconds ago.
    pub earlier_success: Option<(Option<String>, i64)>,
}

/// Looks for a call to the same number that is under way, or for the same that has succeeded, whoever placed it.
///
/// # Errors
/// When the history could not be read.
pub async fn look_before(
    client: &Client<'_, Session<'_>>,
    journal: &Journal,
    request: &CallRequest,
    guards: Guards,
) -> Result<LookBefore, auth::Error> {
    let deadline = client.deadline();
    client.set_deadline(look_by(Instant::now(), deadline));
    let page = client.history(RECENT, None).await;
    client.set_deadline(deadline);
    let page = page?.value;
    let now = page.date.unwrap_or_else(Timestamp::now);
    let clock_difference = page.date.map(|date| date.as_second() - Timestamp::now().as_second());
    let calls = page.calls.iter().map(|(_, call)| call);
    let entries = LazyCell::new(|| journal.read().map(|contents| contents.entries).unwrap_or_default());
    let digest = LazyCell::new(|| request.digest());
    // The service does not repeat all that was asked; the journal knows.
    let is_other = |call: &Call| {
        known(&entries, call).and_then(|entry| entry.digest.as_ref()).is_some_and(|known| *known != *digest)
    };
    let refusal = in_the_way(calls, request, guards, now, is_other).map(|(mut error, call)| {
        error.facts.call_id = call.call_id.parse().ok();
        error.facts.key = known(&entries, call).map(|entry| entry.key.clone());
        error
    });
    let earlier_success = earlier_success(page.calls.iter().map(|(_, call)| call), request, now);
    Ok(LookBefore { clock_difference, refusal, earlier_success })
}

/// The newest young success at the number, whatever it was for: its task, and its age in seconds.
fn earlier_success<'c>(
    mut calls: impl Iterator<Item = &'c Call>,
    request: &CallRequest,
    now: Timestamp,
) -> Option<(Option<String>, i64)> {
    calls.find_map(|call| {
        let age = now.as_second() - call.created_at()?.as_second();
        let is_same = matching::compare_numbers(call.number()?, request.phone().as_str()) == Told::Same;
        (is_same && call.is_success() && age < GUARDED_FOR).then(|| (call.task().map(str::to_owned), age))
    })
}

/// What the journal knows of a call of the history.
fn known<'e>(entries: &'e [Entry], call: &Call) -> Option<&'e Entry> {
    let id = call.call_id.parse().ok()?;
    entries.iter().find(|entry| entry.call_id() == Some(&id))
}

/// By when a look that begins now is over.
fn look_by(now: Instant, deadline: Instant) -> Instant {
    now + (deadline.saturating_duration_since(now) / LOOK_BEFORE_SHARE).min(LOOK_BEFORE_TIMEOUT)
}

/// By when the next read of a look is over: never earlier than the one before, nor later than all looks.
fn read_by(now: Instant, before: Instant, all: Instant) -> Instant {
    before.max(all.min(now + READ_TIMEOUT))
}

/// Which of these calls, newest first, is in the way of another, and what that means. `is_other` says which are known to
/// have been for something else.
fn in_the_way<'c>(
    calls: impl Iterator<Item = &'c Call> + Clone,
    request: &CallRequest,
    guards: Guards,
    now: Timestamp,
    is_other: impl Fn(&Call) -> bool,
) -> Option<(Error, &'c Call)> {
    let age = |call: &Call| call.created_at().map(|at| now.as_second() - at.as_second());
    let fits = |call: &Call| {
        let number = call.number().map(|number| matching::compare_numbers(number, request.phone().as_str()));
        matches!(number, Some(Told::Same | Told::InPart))
    };
    // What the service names as going on does so, however long ago it began: it may be scheduled.
    let counts = |call: &Call| call.is_named_running() || age(call).is_none_or(|age| age < GUARDED_FOR);
    let mut calls = calls.filter(|call| counts(call) && fits(call));
    let when = |call: &Call| age(call).map(ago);
    let running = guards.open.then(|| calls.clone().find(|call| call.is_running())).flatten();
    let done = || calls.find(|call| call.is_success() && is_same_request(request, call) && !is_other(call));
    if let Some(call) = running {
        let message = match when(call) {
            Some(when) => format!("a call to {} that began {when} is under way", request.phone()),
            None => format!("a call to {} is under way", request.phone()),
        };
        return Some((Error::new(Kind::CallOpen, message), call));
    }
    let call = guards.done.then(done).flatten()?;
    let message = match when(call) {
        Some(when) => format!("the same was asked of {} {when}, and that call succeeded", request.phone()),
        None => format!("the same was asked of {}, and that call succeeded", request.phone()),
    };
    Some((Error::new(Kind::AlreadyDone, message), call))
}

/// Whether a call was for the same, as far as the service repeats what it was for. What it does not repeat is no sameness.
fn is_same_request(request: &CallRequest, call: &Call) -> bool {
    let Some(echo) = call.submission() else { return false };
    let asked = &request.submission;
    let same = |told: &Option<String>, asked: Option<String>| {
        told.as_deref().map(comparable) == asked.as_deref().map(comparable)
    };
    let instructions =
        (!asked.additional_instructions.is_empty()).then(|| asked.additional_instructions.join("\n"));
    same(&echo.task_description, Some(asked.task_description.clone()))
        && same(&echo.business_name, asked.business_name.clone())
        && same(&echo.user_name, asked.user_name.clone())
        && same(&echo.appointment_date, asked.appointment_date.map(|date| date.to_string()))
        && same(&echo.appointment_time, asked.appointment_time.map(|time| time.to_string()))
        && same(&echo.time_preference_text, asked.time_preference_text.clone())
        && same(&echo.additional_instructions, instructions)
        && echo.party_size == asked.party_size.map(u32::from)
        // The category may be the service's own finding.
        && agrees(&echo.language, &asked.language)
        && agrees(&echo.call_language, &asked.call_language)
        && agrees(&call.timezone, &request.timezone)
        && echo.is_urgent.is_none_or(|told| told == asked.is_urgent)
        && echo.user_phone.as_deref().is_none_or(|told| {
            let compared =
                asked.user_phone.as_ref().map(|asked| matching::compare_numbers(told, asked.as_str()));
            matches!(compared, Some(Told::Same | Told::InPart))
        })
}

/// Whether what was told of a request is what is asked now. Untold, it may be.
fn agrees(told: &Option<String>, asked: &impl serde::Serialize) -> bool {
    let asked = serde_json::to_value(asked).unwrap_or_default();
    told.as_deref().is_none_or(|told| asked.as_str().is_some_and(|asked| told.eq_ignore_ascii_case(asked)))
}

/// The search for the call of an entry, over several looks.
pub struct Search<'a> {
    client: &'a Client<'a, Session<'a>>,
    journal: &'a Journal,
    entry: &'a Entry,
    /// By when all looks are over.
    deadline: Instant,
    /// What single calls said of themselves.
    details: Details,
}

impl<'a> Search<'a> {
    /// A search that has not looked yet.
    pub fn new(client: &'a Client<'a, Session<'a>>, journal: &'a Journal, entry: &'a Entry) -> Self {
        Self { client, journal, entry, deadline: client.deadline(), details: Details::new() }
    }

    /// One look.
    pub async fn look(&mut self) -> HistoryResult<Error> {
        match self.find().await {
            Ok(Match::Ours(id)) => HistoryResult::Found(id),
            Ok(Match::Ambiguous(ids)) => HistoryResult::Ambiguous(ids),
            Ok(Match::NotListed(ids) | Match::NeedsDetails(ids)) => HistoryResult::NotFound(ids),
            Err(error) => HistoryResult::Failed(error),
        }
    }

    async fn find(&mut self) -> Result<Match, Error> {
        let here = Moment::now();
        let read = self.read_back(&here).await?;
        let clocks = Clocks { here: &here, service: read.service };
        // What cannot be read assigns nothing; that is checked again under the journal's lock.
        let contents = self.journal.read().unwrap_or_default();
        let taken = contents.assigned_to_others(&self.entry.key);
        let may_own = |other: &&Entry| {
            other.call_id().is_none() && other.is_open(&here, self.journal.is_waited_for(&other.key))
        };
        let open: Vec<&Entry> = contents.entries.iter().filter(may_own).collect();
        let mut fetched = 0;
        loop {
            let known = |listed: &Listed| self.details.get(&listed.id).unwrap_or(listed).clone();
            let listed: Vec<Listed> =
                read.calls.iter().filter(|call| !taken.contains(call.id.as_str())).map(known).collect();
            let found = matching::find(self.entry, &open, &listed, clocks);
            let Match::NeedsDetails(ids) = found else { return Ok(found) };
            for id in ids {
                fetched += 1;
                if fetched > MAX_DETAILS {
                    return Ok(Match::NotListed(Vec::new()));
                }
                self.read_details(id, &listed).await?;
            }
        }
    }

    /// Reads a call itself. One that is not there (yet) tells no more than the list, and hides no other.
    async fn read_details(&mut self, id: CallId, listed: &[Listed]) -> Result<(), Error> {
        let read = self.client.call(&id).await.map_err(Error::from);
        self.allow_another_read();
        let as_listed = || listed.iter().find(|call| call.id == id).cloned();
        let details = match read {
            Ok(call) => Listed::of(&call.value, true).or_else(as_listed),
            Err(error) if error.facts.http_status == Some(404) => as_listed(),
            Err(error) => return Err(error),
        };
        if let Some(details) = details {
            // It is what was asked for, whatever it calls itself.
            self.details.insert(id.clone(), Listed { id, is_complete: true, ..details });
        }
        Ok(())
    }

    /// The calls from the newest back to before the entry.
    async fn read_back(&self, here: &Moment) -> Result<ReadBack, Error> {
        let mut read = ReadBack::default();
        let mut unreadable = None;
        for _ in 0..MAX_PAGES {
            let offset = (read.offset > 0).then_some(read.offset);
            let response = self.client.history_response(PAGE, offset).await?;
            self.allow_another_read();
            let page = response.any_page()?;
            if page.is_unreadable() {
                unreadable = Some(response.unexpected());
            }
            if read.add(&page, self.entry, here) {
                break;
            }
        }
        match unreadable {
            Some(error) if read.calls.is_empty() => Err(error.into()),
            _ => Ok(read),
        }
    }

    /// A look of many pages is given up only when one of them stalls.
    fn allow_another_read(&self) {
        self.client.set_deadline(read_by(Instant::now(), self.client.deadline(), self.deadline));
    }
}

/// The history, from the newest call back as far as it was read.
#[derive(Default)]
struct ReadBack {
    calls: Vec<Listed>,
    /// The service's clock.
    service: Option<Timestamp>,
    /// Where the next page begins.
    offset: u64,
}

impl ReadBack {
    /// Adds the next page. Returns whether no further one can show a call of this entry.
    fn add(&mut self, page: &Page, entry: &Entry, here: &Moment) -> bool {
        self.service = self.service.or(page.date);
        let listed: Vec<Listed> = page.calls.iter().filter_map(|(_, call)| Listed::of(call, false)).collect();
        let names_any = !listed.is_empty();
        // Calls move down the history as new ones are placed.
        let new: Vec<Listed> =
            listed.into_iter().filter(|call| !self.calls.iter().any(|other| other.id == call.id)).collect();
        // A service that knows no offset answers the same page for ever.
        let is_repeated = names_any && new.is_empty();
        self.calls.extend(new);
        self.offset += page.len as u64;
        let [earliest, _] = matching::window(entry, Clocks { here, service: self.service });
        let oldest = page.calls.iter().filter_map(|(_, call)| call.created_at()).min();
        let is_behind = oldest.is_some_and(|at| at.as_second() < earliest - DISORDER);
        let is_end = page.len == 0 || page.total.is_some_and(|total| self.offset >= total);
        is_behind || is_end || is_repeated
    }
}

#[cfg(test)]
mod tests;
