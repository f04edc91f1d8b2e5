//! The steps of one call: send the request, find the call if its response is lost, and watch it
//! until it ends. The code is generic over a trait, so that tests can make every step fail.
//!
//! A request is resent only if it was not accepted: after a failed connection, a 401 or a 429. Most
//! other 4xx responses are refusals. After any other response without a call, the call counts as
//! lost: it may have been made, so it is looked up in the history and never resent.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::entry::Entry;
use super::find::Finding;
use super::reserve::Reserver;
use crate::api::{Call, Parsed, Response, SendError};
use crate::domain::{CallId, Invalid, Secret};
use crate::error::{Error, Kind, Result};

const MAX_CONNECTS: u32 = 3;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// After a 429 response, a request is resent at most this many times.
const MAX_RESENDS: u32 = 3;
/// If `Retry-After` asks for a longer wait, the call is not made.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The first pause between two lookups. Later pauses grow to at most `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const SEARCH_LIMIT: Duration = Duration::from_secs(120);

/// Access to the service and the journal.
pub trait Backend {
    /// Connects before `connect_by`, records the call, then sends the request once.
    async fn post(
        &mut self,
        reserver: &Reserver,
        token: &Secret,
        connect_by: Instant,
    ) -> Result<Response, SendError>;
    /// Returns a token to replace `rejected`, which the service rejected with a 401.
    async fn renew(&mut self, rejected: &Secret) -> Result<Secret>;
    /// Searches the history once for the call whose response was lost.
    async fn find(&mut self) -> Result<Finding>;
    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>>;
    /// Records and reports a change. Returns `false` if a search found an ID that belongs to
    /// another call.
    async fn record(&mut self, change: Change) -> bool;
}

#[derive(Debug, Clone)]
pub enum Change {
    Lost(Error),
    /// The response to the request contains this call.
    Accepted(Parsed<Call>),
    Running(CallId),
    /// A search of the history found the call under this ID.
    Found(CallId),
    Ended(Parsed<Call>),
    /// The call was certainly not made, for example because the service refused it.
    NotMade(Error),
    /// A lookup failed with this error. Lookups are retried until the deadline.
    Unreachable(Error),
}

pub enum Step {
    /// Send the request with this access token.
    Send(Reserver, Secret),
    /// Search the history for a lost call. The error says why the response was lost, if known.
    Find(Option<Error>),
    Watch(CallId),
    Done(Parsed<Call>),
}

impl Step {
    pub fn after_sending(entry: &Entry) -> Self {
        let lost = Self::Find(entry.error.clone());
        entry.call_id.clone().map_or(lost, Self::Watch)
    }
}

/// Runs a call, starting with `step`, until it ends. Waits at most `limit` for it to end, and
/// searches at most [`SEARCH_LIMIT`] for a lost call.
pub async fn run(
    backend: &mut impl Backend,
    mut step: Step,
    limit: Duration,
) -> Result<Parsed<Call>> {
    // A call whose ID was known from the start is in the history. A new call may not be there yet.
    let is_listed = matches!(step, Step::Watch(_));
    loop {
        step = match step {
            Step::Send(reserver, token) => send(backend, &reserver, token).await?,
            Step::Find(why) => Step::Watch(find(backend, limit.min(SEARCH_LIMIT), why).await?),
            Step::Watch(id) => Step::Done(watch(backend, &id, limit, is_listed).await?),
            Step::Done(call) => return Ok(call),
        };
    }
}

/// Sends the request, and resends it if that is safe.
///
/// A 429 comes from a rate limiter, so the request never reached the service behind it. A refusal
/// is a registered 4xx status (RFC 9110) except 408 and 409, which may mean that the request is in
/// progress. After any other error response, including 503, the call counts as lost: a proxy may
/// send a 503 if it forwarded the request but got no response in time.
async fn send(backend: &mut impl Backend, reserver: &Reserver, mut token: Secret) -> Result<Step> {
    let (mut connects, mut resends, mut renewed) = (0, 0, false);
    let mut connect_by = Instant::now() + CONNECT_WITHIN;
    loop {
        let response = match backend.post(reserver, &token, connect_by).await {
            Ok(response) => response,
            Err(SendError::Lost(error)) => return Ok(lost(backend, error).await),
            Err(SendError::NeverSent { error, retryable }) => {
                connects += 1;
                let pause = Duration::from_millis(250) * connects;
                if !retryable || connects >= MAX_CONNECTS || Instant::now() + pause >= connect_by {
                    return not_made(backend, error).await;
                }
                sleep(pause).await;
                continue;
            }
        };
        if let Some(call) = response.call() {
            return Ok(accepted(backend, call).await);
        }
        match response.status {
            401 if !renewed => {
                renewed = true;
                token = match backend.renew(&token).await {
                    Ok(token) => token,
                    Err(error) => return not_made(backend, response.explain(error)).await,
                };
            }
            429 => {
                let pause = response.retry_after.unwrap_or(FIRST_PAUSE * (1 << resends));
                resends += 1;
                if resends > MAX_RESENDS || pause > LONGEST_RETRY_AFTER {
                    let seconds = pause.as_secs().max(1);
                    let hint = format!("no call was made: try again in {seconds} s");
                    return not_made(backend, response.into_error().with_hint(hint)).await;
                }
                sleep(pause).await;
            }
            400..=407 | 410..=417 | 421 | 422 | 424..=426 | 428 | 431 | 451 => {
                return not_made(backend, response.into_error()).await;
            }
            _ => return Ok(lost(backend, response.into_error()).await),
        }
        connects = 0;
        connect_by = Instant::now() + CONNECT_WITHIN;
    }
}

async fn accepted(backend: &mut impl Backend, call: Parsed<Call>) -> Step {
    match call.value.call_id.parse() {
        Ok(id) => {
            backend.record(Change::Accepted(call.clone())).await;
            match call.value.is_running() {
                true => Step::Watch(id),
                false => Step::Done(call),
            }
        }
        Err(invalid) => lost(backend, Invalid::into(invalid)).await,
    }
}

async fn lost(backend: &mut impl Backend, why: Error) -> Step {
    backend.record(Change::Lost(why.clone())).await;
    Step::Find(Some(why))
}

async fn not_made(backend: &mut impl Backend, error: Error) -> Result<Step> {
    backend.record(Change::NotMade(error.clone())).await;
    Err(error)
}

/// Spends at most `limit` searching the history for a lost call. Returns the call's ID.
async fn find(backend: &mut impl Backend, limit: Duration, why: Option<Error>) -> Result<CallId> {
    let (mut next, deadline) = (FIRST_PAUSE, Instant::now() + limit);
    let cause = match &why {
        Some(why) => format!("the response was lost ({why})"),
        None => "the response was lost".into(),
    };
    let unknown = |message| {
        let mut error = Error::new(Kind::OutcomeUnknown, message);
        if let Some(why) = &why {
            error.facts = why.facts.clone();
            error.facts.hint = None;
        }
        error
    };
    loop {
        let outcome = match backend.find().await {
            Ok(Finding::Ours(id)) if backend.record(Change::Found(id.clone())).await => {
                return Ok(id);
            }
            Ok(Finding::Several(ids)) => {
                let names: Vec<&str> = ids.iter().map(CallId::as_str).collect();
                let names = names.join(", ");
                let mut error = unknown(format!("{cause}, and several calls match: {names}"));
                error.facts.candidates = ids;
                return Err(error);
            }
            Ok(Finding::Ours(_) | Finding::NotListed) => {
                format!("{cause}, and the call is not in the history, but it may have been made")
            }
            Err(error) => {
                let message = format!("{cause}, and the history could not be read: {error}");
                backend.record(Change::Unreachable(error)).await;
                message
            }
        };
        if !pause(&mut next, deadline).await {
            return Err(unknown(outcome));
        }
    }
}

/// Waits until the call with this ID ends. If `is_listed`, a refusal such as a 404 is an error.
/// Otherwise the call may not be in the history yet, so the read is retried.
async fn watch(
    backend: &mut impl Backend,
    id: &CallId,
    limit: Duration,
    is_listed: bool,
) -> Result<Parsed<Call>> {
    let (mut next, deadline) = (FIRST_PAUSE, Instant::now() + limit);
    let mut kind = Kind::OutcomeUnknown;
    loop {
        let error = match backend.read(id).await {
            Ok(call) if !call.value.is_running() => {
                backend.record(Change::Ended(call.clone())).await;
                return Ok(call);
            }
            Ok(_) => {
                backend.record(Change::Running(id.clone())).await;
                kind = Kind::InProgress;
                Error::new(kind, "the call is still in progress")
            }
            Err(error) if is_listed && matches!(error.kind, Kind::Refused | Kind::NotSignedIn) => {
                return Err(error);
            }
            Err(error) => {
                let message = format!("the call's result could not be read: {error}");
                backend.record(Change::Unreachable(error)).await;
                Error::new(kind, message)
            }
        };
        if !pause(&mut next, deadline).await {
            return Err(error.about(None, Some(id)));
        }
    }
}

/// Waits until the next lookup is due. Returns `false` at once if the deadline has passed.
async fn pause(next: &mut Duration, deadline: Instant) -> bool {
    let now = Instant::now();
    if now >= deadline {
        return false;
    }
    sleep_until(deadline.min(now + *next)).await;
    *next = LONGEST_PAUSE.min(*next * 3 / 2);
    true
}
