//! The rules of one call: send, find, watch. Generic over what they act on, so that tests can fail
//! and kill every step.
//!
//! The request is sent again only if the service certainly did not accept it: no connection, 401,
//! 429. Everything else without a call in it is a lost response: the call may have been made, so it
//! is looked up in the history and never sent again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::find::Finding;
use super::journal::Reservation;
use crate::api::{Call, Parsed};
use crate::domain::CallId;
use crate::error::{Error, Kind, Result};

const CONNECTS: u32 = 3;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// More POSTs to a service that is too busy.
const RESENDS: u32 = 3;
/// A longer `Retry-After` is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The pauses between looks grow from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Reserves the call: its file exists afterwards.
pub type Reserve =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Reservation>> + Send>> + Send + Sync>;

/// The service and the journal, as the rules see them.
pub trait Backend {
    /// Sends the request once. Connecting must be done by `connect_by`. Then `reserve` is called,
    /// once, and the first byte is written only if it succeeds.
    async fn post(&mut self, connect_by: Instant, reserve: Reserve) -> Posted;
    /// Refreshes the credentials after a 401.
    async fn renew(&mut self) -> Result<()>;
    /// Looks for the call in the history, once.
    async fn find(&mut self) -> Result<Finding>;
    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>>;
    /// Records a change, then reports it. Returns whether a found ID is ours.
    async fn record(&mut self, change: Change) -> bool;
}

/// The end of one attempt to send.
#[derive(Debug)]
pub enum Posted {
    /// The response holds a call.
    Call(Parsed<Call>),
    /// A complete response without a call.
    Response {
        status: u16,
        retry_after: Option<Duration>,
        error: Error,
    },
    NeverSent {
        error: Error,
        retryable: bool,
    },
    /// The request may have arrived, and its response did not.
    Lost(Error),
}

/// News of a call.
#[derive(Debug, Clone)]
pub enum Change {
    Lost(Error),
    Running(CallId),
    /// A search found this ID.
    Found(CallId),
    Ended(Parsed<Call>),
    Refused(Error),
    NotAccepted(Error),
    /// The service cannot be asked at the moment.
    Unreachable(Error),
}

/// The first step.
pub enum Start {
    Send(Reserve),
    Find,
    Watch(CallId),
}

/// How long to look for a lost call, and to wait for the end of a running one.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub search: Duration,
    pub watch: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            search: Duration::from_secs(120),
            watch: Duration::from_secs(2 * 3600),
        }
    }
}

/// Follows a call to its end, or to the limits.
pub async fn run(backend: &mut impl Backend, start: Start, limits: Limits) -> Result<Parsed<Call>> {
    // A call that was just made may not be listed yet.
    let is_final: fn(&Error) -> bool = match start {
        Start::Watch(_) => |error| matches!(error.kind, Kind::Refused | Kind::NotSignedIn),
        Start::Send(_) | Start::Find => |_| false,
    };
    let id = match start {
        Start::Send(reserve) => match send(backend, &reserve).await? {
            Sent::Ended(call) => return Ok(call),
            Sent::Running(id) => id,
            Sent::Lost(why) => find(backend, limits.search, Some(why)).await?,
        },
        Start::Find => find(backend, limits.search, None).await?,
        Start::Watch(id) => id,
    };
    watch(backend, &id, limits.watch, is_final).await
}

enum Sent {
    Ended(Parsed<Call>),
    Running(CallId),
    Lost(Error),
}

async fn send(backend: &mut impl Backend, reserve: &Reserve) -> Result<Sent> {
    let (mut connects, mut resends, mut renewed) = (0, 0, false);
    let mut connect_by = Instant::now() + CONNECT_WITHIN;
    loop {
        let pause = match backend.post(connect_by, Arc::clone(reserve)).await {
            Posted::Call(call) => return Ok(accepted(backend, call).await),
            Posted::Lost(error) => return Ok(lost(backend, error).await),
            Posted::NeverSent { error, retryable } => {
                connects += 1;
                let pause = Duration::from_millis(250) * connects;
                if !retryable || connects >= CONNECTS || Instant::now() + pause >= connect_by {
                    return not_accepted(backend, error).await;
                }
                sleep(pause).await;
                continue;
            }
            Posted::Response {
                status,
                retry_after,
                error,
            } => match meaning(status, renewed) {
                Meaning::Lost => return Ok(lost(backend, error).await),
                Meaning::Refused => {
                    backend.record(Change::Refused(error.clone())).await;
                    return Err(error);
                }
                Meaning::Unauthorized => {
                    renewed = true;
                    if let Err(error) = backend.renew().await {
                        return not_accepted(backend, error).await;
                    }
                    Duration::ZERO
                }
                Meaning::Busy => {
                    let pause = retry_after.unwrap_or(FIRST_PAUSE * (1 << resends));
                    resends += 1;
                    if resends > RESENDS || pause > LONGEST_RETRY_AFTER {
                        return not_accepted(backend, busy(error, pause)).await;
                    }
                    pause
                }
            },
        };
        sleep(pause).await;
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

async fn not_accepted(backend: &mut impl Backend, error: Error) -> Result<Sent> {
    backend.record(Change::NotAccepted(error.clone())).await;
    Err(error)
}

fn busy(mut error: Error, retry_after: Duration) -> Error {
    error.facts.retry_after = Some(retry_after.as_secs());
    error.with_hint(format!(
        "no call was made: try again in {} s",
        retry_after.as_secs().max(1)
    ))
}

/// The meaning of a response without a call.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// The credentials were rejected, and can be refreshed.
    Unauthorized,
    /// Certainly not accepted, and may be later.
    Busy,
    /// Certainly not accepted.
    Refused,
    /// The call may have been made.
    Lost,
}

/// A 429 comes from a rate limiter in front of the service. A 503 proves nothing: caches and proxies
/// send it, with `Retry-After`, after they passed a request on and got no response in time. Only the 4xx that RFC 9110 and its companions register are refusals, without
/// 408 and 409, which mean that the request, or one like it, may be in progress.
fn meaning(status: u16, renewed: bool) -> Meaning {
    match status {
        401 if !renewed => Meaning::Unauthorized,
        429 => Meaning::Busy,
        400..=407 | 410..=417 | 421 | 422 | 424..=426 | 428 | 431 | 451 => Meaning::Refused,
        _ => Meaning::Lost,
    }
}

/// Looks for a lost call in the history.
async fn find(backend: &mut impl Backend, limit: Duration, why: Option<Error>) -> Result<CallId> {
    let give_up = Instant::now() + limit;
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
    let mut pauses = Pauses::default();
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
        if !pauses.pause(give_up).await {
            return Err(unknown(outcome));
        }
    }
}

/// Waits for the end of a known call. A final error ends the waiting.
async fn watch(
    backend: &mut impl Backend,
    id: &CallId,
    limit: Duration,
    is_final: fn(&Error) -> bool,
) -> Result<Parsed<Call>> {
    let give_up = Instant::now() + limit;
    let mut pauses = Pauses::default();
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
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                let message = format!("the call's result could not be read: {error}");
                backend.record(Change::Unreachable(error)).await;
                Error::new(Kind::OutcomeUnknown, message)
            }
        };
        if !pauses.pause(give_up).await {
            return Err(error.about(None, Some(id)));
        }
    }
}

/// Growing pauses between looks. The last look is at the deadline.
#[derive(Default)]
struct Pauses {
    looks: u32,
    is_last: bool,
}

impl Pauses {
    /// Returns whether there is to be another look.
    async fn pause(&mut self, deadline: Instant) -> bool {
        if self.is_last || Instant::now() >= deadline {
            return false;
        }
        let growth = 1.5f64.powi(self.looks.min(8) as i32);
        let pause = FIRST_PAUSE.mul_f64(growth).min(LONGEST_PAUSE);
        let next = Instant::now() + pause;
        self.looks += 1;
        self.is_last = next >= deadline;
        sleep_until(next.min(deadline)).await;
        true
    }
}
