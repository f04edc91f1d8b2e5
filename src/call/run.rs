//! The rules for one call: send, find, watch. They are generic over a trait, so tests can make
//! every step fail.
//!
//! A request is resent only if the service definitely did not accept it: no connection, 401, 429.
//! Most other 4xx responses are refusals. After any other response without a call, the call counts
//! as lost: it may have been made, so it is looked up in the history and never resent.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::entry::Entry;
use super::find::Finding;
use super::reserve::Reserver;
use crate::api::{Call, Parsed, Response, SendError};
use crate::domain::{CallId, Invalid, Secret};
use crate::error::{Error, Kind, Result};

const CONNECTS: u32 = 3;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How many times a request is resent after a 429.
const RESENDS: u32 = 3;
/// If `Retry-After` asks for a longer wait, the call is not made.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The pauses between lookups grow from this to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const SEARCH_LIMIT: Duration = Duration::from_secs(120);

/// Access to the service and the journal.
pub trait Backend {
    /// Connects by `connect_by`, reserves the call, and only then sends the request, once.
    async fn post(
        &mut self,
        reserver: &Reserver,
        token: &Secret,
        connect_by: Instant,
    ) -> Result<Response, SendError>;
    /// Returns a token to replace `rejected`, which the service rejected with a 401.
    async fn renew(&mut self, rejected: &Secret) -> Result<Secret>;
    /// Looks up the call in the history, once.
    async fn find(&mut self) -> Result<Finding>;
    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>>;
    /// Records a change, then reports it. Returns `false` if a found ID belongs to another call.
    async fn record(&mut self, change: Change) -> bool;
}

/// A change to a call.
#[derive(Debug, Clone)]
pub enum Change {
    Lost(Error),
    /// The response to the request contains this call.
    Accepted(Parsed<Call>),
    Running(CallId),
    /// A lookup found this ID.
    Found(CallId),
    Ended(Parsed<Call>),
    /// The service refused the call, or definitely did not accept it.
    NotMade(Error),
    /// A lookup failed and will be retried.
    Unreachable(Error),
}

/// The next step for a call.
pub enum Step {
    /// Send the request with this token.
    Send(Reserver, Secret),
    /// Look up a lost call. The error is the reason why the response was lost, if known.
    Find(Option<Error>),
    Watch(CallId),
    Done(Parsed<Call>),
}

impl Step {
    /// Returns the next step for a call that was already sent.
    pub fn after_sending(entry: &Entry) -> Self {
        entry.call_id.clone().map_or(Self::Find(None), Self::Watch)
    }
}

/// Runs a call from `step` until it ends, or for `limit` after it was sent. Searches for a lost
/// call for at most [`SEARCH_LIMIT`].
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
/// A 429 comes from a rate limiter in front of the service, which never saw the request. A refusal
/// is a registered 4xx status (RFC 9110) except 408 and 409, which may mean that the request is in
/// progress. After any other response, the call counts as lost, including 503: a proxy may send it
/// after forwarding a request and getting no response in time.
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
                if !retryable || connects >= CONNECTS || Instant::now() + pause >= connect_by {
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
                    Err(error) => return not_made(backend, error).await,
                };
            }
            429 => {
                let pause = response.retry_after.unwrap_or(FIRST_PAUSE * (1 << resends));
                resends += 1;
                if resends > RESENDS || pause > LONGEST_RETRY_AFTER {
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

/// Looks up a lost call in the history until it is found, or for `limit`. Returns its ID.
async fn find(backend: &mut impl Backend, limit: Duration, why: Option<Error>) -> Result<CallId> {
    let (mut next, deadline) = (FIRST_PAUSE, Instant::now() + limit);
    let cause = match &why {
        Some(why) => format!("the response was lost ({why})"),
        None => "the response was lost".into(),
    };
    let unknown = |message| {
        let mut error = Error::new(Kind::OutcomeUnknown, message);
        error.facts = why
            .as_ref()
            .map(|why| why.facts.clone())
            .unwrap_or_default();
        error.facts.hint = None;
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

/// Waits until a call with a known ID ends. A refusal such as 404 is an error if the call is
/// already in the history. Otherwise the lookup is retried.
async fn watch(
    backend: &mut impl Backend,
    id: &CallId,
    limit: Duration,
    is_listed: bool,
) -> Result<Parsed<Call>> {
    let (mut next, deadline) = (FIRST_PAUSE, Instant::now() + limit);
    let mut was_running = false;
    loop {
        let error = match backend.read(id).await {
            Ok(call) if !call.value.is_running() => {
                backend.record(Change::Ended(call.clone())).await;
                return Ok(call);
            }
            Ok(_) => {
                backend.record(Change::Running(id.clone())).await;
                was_running = true;
                Error::new(Kind::InProgress, "the call is still in progress")
            }
            Err(error) if is_listed && matches!(error.kind, Kind::Refused | Kind::NotSignedIn) => {
                return Err(error);
            }
            Err(error) => {
                let message = format!("the call's result could not be read: {error}");
                backend.record(Change::Unreachable(error)).await;
                let kind = match was_running {
                    true => Kind::InProgress,
                    false => Kind::OutcomeUnknown,
                };
                Error::new(kind, message)
            }
        };
        if !pause(&mut next, deadline).await {
            return Err(error.about(None, Some(id)));
        }
    }
}

/// Waits until the next lookup is due. Returns `false` once the deadline has passed.
async fn pause(next: &mut Duration, deadline: Instant) -> bool {
    let now = Instant::now();
    if now >= deadline {
        return false;
    }
    sleep_until(deadline.min(now + *next)).await;
    *next = LONGEST_PAUSE.min(*next * 3 / 2);
    true
}
