//! The rules of one call: send, find, watch. They are generic over a trait, so tests can make every
//! step fail.
//!
//! A request is resent only if the service definitely did not accept it: no connection, 401, 429.
//! Any other response without a call counts as lost: the call may have been made, so it is looked up
//! in the history and never resent.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::entry::{Entry, State};
use super::find::Finding;
use crate::api::{Call, Parsed, Response, SendError};
use crate::domain::CallId;
use crate::error::{Error, Kind, Result};

const CONNECTS: u32 = 3;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How many times a request is resent after a 429.
const RESENDS: u32 = 3;
/// If `Retry-After` asks for more, the call fails.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The pauses between lookups grow from this to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The service and the journal.
pub trait Backend {
    /// Connects by `connect_by`, reserves the call, and only then sends the request, once.
    async fn post(&mut self, connect_by: Instant) -> Result<Response, SendError>;
    /// Refreshes the credentials after a 401.
    async fn renew(&mut self) -> Result<()>;
    /// Looks up the call in the history, once.
    async fn find(&mut self) -> Result<Finding>;
    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>>;
    /// Records a change, then reports it. Returns whether a found ID is ours.
    async fn record(&mut self, change: Change) -> bool;
}

/// A change to a call.
#[derive(Debug, Clone)]
pub enum Change {
    Lost(Error),
    Running(CallId),
    /// A search found this ID.
    Found(CallId),
    Ended(Parsed<Call>),
    /// `Refused` or `NotAccepted`, and why.
    NotMade(State, Error),
    /// A request failed and will be repeated.
    Unreachable(Error),
}

/// The first step.
pub enum Start {
    Send,
    Find,
    Watch(CallId),
}

impl Start {
    /// Returns the first step for a call that was already sent.
    pub fn again(entry: &Entry) -> Self {
        entry.call_id.clone().map_or(Self::Find, Self::Watch)
    }
}

/// How long to look for a lost call, and how long to wait for a running one.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub search: Duration,
    pub watch: Duration,
}

impl Limits {
    pub const ONE_LOOKUP: Self = Self {
        search: Duration::ZERO,
        watch: Duration::ZERO,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            search: Duration::from_secs(120),
            watch: Duration::from_secs(2 * 3600),
        }
    }
}

/// Follows a call until it ends or a limit is reached.
pub async fn run(backend: &mut impl Backend, start: Start, limits: Limits) -> Result<Parsed<Call>> {
    // A call that was just made may not be in the history yet.
    let is_listed = matches!(start, Start::Watch(_));
    let id = match start {
        Start::Send => match send(backend).await? {
            Sent::Ended(call) => return Ok(call),
            Sent::Running(id) => id,
            Sent::Lost(why) => find(backend, limits.search, Some(why)).await?,
        },
        Start::Find => find(backend, limits.search, None).await?,
        Start::Watch(id) => id,
    };
    watch(backend, &id, limits.watch, is_listed).await
}

enum Sent {
    Ended(Parsed<Call>),
    Running(CallId),
    Lost(Error),
}

/// Sends the request, and resends it where that is safe.
///
/// A 429 comes from a rate limiter in front of the service. A refusal is a registered 4xx status
/// (RFC 9110) except 408 and 409, which may mean that the request is in progress. Any other response
/// counts as lost. That includes 503: proxies send it after they forwarded a request and got no
/// response in time.
async fn send(backend: &mut impl Backend) -> Result<Sent> {
    let (mut connects, mut resends, mut renewed) = (0, 0, false);
    let mut connect_by = Instant::now() + CONNECT_WITHIN;
    loop {
        let response = match backend.post(connect_by).await {
            Ok(response) => response,
            Err(SendError::Lost(error)) => return Ok(lost(backend, error).await),
            Err(SendError::NeverSent { error, retryable }) => {
                connects += 1;
                let pause = Duration::from_millis(250) * connects;
                if !retryable || connects >= CONNECTS || Instant::now() + pause >= connect_by {
                    return not_made(backend, State::NotAccepted, error).await;
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
                if let Err(error) = backend.renew().await {
                    return not_made(backend, State::NotAccepted, error).await;
                }
            }
            429 => {
                let pause = response.retry_after.unwrap_or(FIRST_PAUSE * (1 << resends));
                resends += 1;
                if resends > RESENDS || pause > LONGEST_RETRY_AFTER {
                    let error = busy(response.into_error(), pause);
                    return not_made(backend, State::NotAccepted, error).await;
                }
                sleep(pause).await;
            }
            400..=407 | 410..=417 | 421 | 422 | 424..=426 | 428 | 431 | 451 => {
                return not_made(backend, State::Refused, response.into_error()).await;
            }
            _ => return Ok(lost(backend, response.into_error()).await),
        }
        connects = 0;
        connect_by = Instant::now() + CONNECT_WITHIN;
    }
}

async fn accepted(backend: &mut impl Backend, call: Parsed<Call>) -> Sent {
    let id = call.value.call_id.parse::<CallId>();
    match id {
        Ok(id) if call.value.is_running() => {
            backend.record(Change::Running(id.clone())).await;
            Sent::Running(id)
        }
        Ok(_) => {
            backend.record(Change::Ended(call.clone())).await;
            Sent::Ended(call)
        }
        Err(invalid) => lost(backend, invalid.into()).await,
    }
}

async fn lost(backend: &mut impl Backend, why: Error) -> Sent {
    backend.record(Change::Lost(why.clone())).await;
    Sent::Lost(why)
}

async fn not_made(backend: &mut impl Backend, state: State, error: Error) -> Result<Sent> {
    backend.record(Change::NotMade(state, error.clone())).await;
    Err(error)
}

fn busy(mut error: Error, retry_after: Duration) -> Error {
    let seconds = retry_after.as_secs();
    error.facts.retry_after = Some(seconds);
    error.with_hint(format!(
        "no call was made: try again in {} s",
        seconds.max(1)
    ))
}

/// Looks up a lost call in the history.
async fn find(backend: &mut impl Backend, limit: Duration, why: Option<Error>) -> Result<CallId> {
    let mut pauses = Pauses::new(Instant::now() + limit);
    let cause = match &why {
        Some(why) => format!("the response was lost ({why})"),
        None => "the response was lost".into(),
    };
    let unknown = |message| {
        let mut error = Error::new(Kind::OutcomeUnknown, message);
        if let Some(why) = &why {
            error.facts.http_status = why.facts.http_status;
            error.facts.correlation_id = why.facts.correlation_id.clone();
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
                format!("{cause}, and the history does not show the call: it may have been made")
            }
            Err(error) => {
                let message = format!("{cause}, and the history could not be read: {error}");
                backend.record(Change::Unreachable(error)).await;
                message
            }
        };
        if !pauses.pause().await {
            return Err(unknown(outcome));
        }
    }
}

/// Waits until a call with a known ID ends. If the history must already have it, a refusal such as
/// 404 is an error.
async fn watch(
    backend: &mut impl Backend,
    id: &CallId,
    limit: Duration,
    is_listed: bool,
) -> Result<Parsed<Call>> {
    let mut pauses = Pauses::new(Instant::now() + limit);
    loop {
        let error = match backend.read(id).await {
            Ok(call) if !call.value.is_running() => {
                backend.record(Change::Ended(call.clone())).await;
                return Ok(call);
            }
            Ok(_) => {
                backend.record(Change::Running(id.clone())).await;
                Error::new(Kind::InProgress, "the call is still in progress")
            }
            Err(error) if is_listed && matches!(error.kind, Kind::Refused | Kind::NotSignedIn) => {
                return Err(error);
            }
            Err(error) => {
                let message = format!("the call's result could not be read: {error}");
                backend.record(Change::Unreachable(error)).await;
                Error::new(Kind::OutcomeUnknown, message)
            }
        };
        if !pauses.pause().await {
            return Err(error.about(None, Some(id)));
        }
    }
}

/// Growing pauses between lookups. The last lookup is at the deadline.
struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    fn new(deadline: Instant) -> Self {
        Self {
            next: FIRST_PAUSE,
            deadline,
        }
    }

    /// Waits for the next lookup. Returns `false` if there is none.
    async fn pause(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        sleep_until(self.deadline.min(now + self.next)).await;
        self.next = LONGEST_PAUSE.min(self.next * 3 / 2);
        true
    }
}
