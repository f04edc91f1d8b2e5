//! One call's way through the rules: carries out, action by action, what the state machine decides.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::entry::Entry;
use super::events::{Action, CallStatus, Ending, Event, PostResult, UnknownReason};
use super::journal::Journal;
use super::look::{READ_TIMEOUT, Search};
use super::record::Change;
use super::state::CallState;
use super::wait_lock::WaitLock;
use crate::api::{BeforeWrite, Call, Client, Parsed, Response, SendError, TokenProvider as _};
use crate::auth::Session;
use crate::domain::{CallId, Secret, Signal};
use crate::error::{Error, Kind, Result};
use crate::signals::{Signals, race};

/// Is told what happens to a call, and takes its result.
pub trait Observer {
    /// The request is about to be written.
    fn sent(&mut self) {}
    /// The call was placed before, under the same key: what follows is its end.
    fn replayed(&mut self) {}
    /// The answer was lost, for this reason; the call is looked up.
    fn response_lost(&mut self, _why: &str) {}
    /// The call has begun: this is how the service shows it.
    fn running(&mut self, _call: &Parsed<Call>) {}
    /// The user should know this.
    fn warn(&mut self, text: &str);
    /// The call has ended. Returns whether the user has seen its result.
    fn deliver(&mut self, call: &Parsed<Call>) -> bool;
    /// The call was certainly not made. Returns whether the user is told so.
    fn not_made(&mut self, error: &Error) -> bool;
}

/// What is sent, and what shows that it is waited for.
struct PendingRequest {
    json: Vec<u8>,
    token: Secret,
    /// Whether a byte of it may have been written.
    is_sent: Arc<watch::Sender<bool>>,
    _waiting: WaitLock,
}

/// A call under way.
pub struct CallDriver<'a> {
    client: &'a Client<'a, Session<'a>>,
    journal: &'a Journal,
    entry: &'a Entry,
    observer: &'a mut dyn Observer,
    search: Search<'a>,
    started: Instant,
    deadline: Instant,
    request: Option<PendingRequest>,
    /// The call whose end is being recorded.
    result: Option<Parsed<Call>>,
}

type CallEvent = Event<Box<Parsed<Call>>, Error>;
type CallAction = Action<Box<Parsed<Call>>, Error>;

/// How long a request that the journal has as sent may take to be written, when a signal comes just then.
const WRITE_GRACE: Duration = Duration::from_millis(50);
/// How long the look at the end of the time may take beyond it.
const MIN_LOOK_TIMEOUT: Duration = Duration::from_secs(1);

impl<'a> CallDriver<'a> {
    /// The driver of a call of the journal: it is only read, unless there is something to send.
    pub fn new(
        client: &'a Client<'a, Session<'a>>,
        journal: &'a Journal,
        entry: &'a Entry,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self {
            client,
            journal,
            entry,
            observer,
            search: Search::new(client, journal, entry),
            started: Instant::now(),
            deadline: client.deadline(),
            request: None,
            result: None,
        }
    }

    /// The same with a request to be sent; `waiting` shows other processes that this one waits.
    pub fn sending(self, json: Vec<u8>, token: Secret, waiting: WaitLock) -> Self {
        let is_sent = Arc::new(watch::Sender::new(false));
        Self { request: Some(PendingRequest { json, token, is_sent, _waiting: waiting }), ..self }
    }

    /// Does what the rules say until they say that it is over. Returns the call that ended.
    ///
    /// # Errors
    /// When there is no result, or it could not be delivered; the journal keeps it then.
    pub async fn run(mut self, signals: &mut Signals) -> Result<Parsed<Call>> {
        let time = self.deadline.saturating_duration_since(self.started);
        let mut state = match &self.request {
            Some(_) => CallState::new(time),
            None => CallState::resume(self.entry.call_id().cloned(), time),
        };
        let mut event = Event::Begin;
        let mut held_signal = None;
        loop {
            let action = state.step(self.started.elapsed(), event);
            event = match action {
                Action::Finish(ending) => return self.into_result(ending),
                // What has come is taken before a signal: an answer is delivered, and what the journal is to be told
                // is never left out. A request that is not on its way is not written once there is a signal.
                action => {
                    let sending = sending(&action, self.request.as_ref().map(|request| &*request.is_sent));
                    let signal_first = || is_held_back_by_signal(sending.as_ref());
                    let signal = next_signal(signals, &mut held_signal, sending.as_ref());
                    match race(self.execute(action), signal, signal_first).await {
                        Ok(event) => event,
                        Err(signal) => Event::Signal { signal, is_sent: self.is_sent() },
                    }
                }
            };
        }
    }

    fn is_sent(&self) -> bool {
        self.request.as_ref().is_none_or(|request| *request.is_sent.borrow())
    }

    async fn execute(&mut self, action: CallAction) -> CallEvent {
        match action {
            Action::SendPost { connect_by } => Event::PostEnded(self.post(self.started + connect_by).await),
            Action::RenewLogin => Event::LoginRenewed(self.renew().await),
            Action::Wait(wait) => {
                tokio::time::sleep(wait).await;
                Event::TimerFired
            }
            Action::ReadHistory => {
                self.set_poll_deadline();
                let history = self.search.look().await;
                Event::HistoryRead(history)
            }
            Action::AssignCallId(id) => Event::CallIdAssigned(self.assign_call_id(&id).await),
            Action::ReadCall(id) => Event::CallRead(self.read(&id).await),
            Action::Deliver(call) => {
                let delivered = self.observer.deliver(&call);
                self.result = Some(*call);
                Event::Delivered(delivered)
            }
            Action::RecordEnd { shown } => {
                let call = self.result.as_ref().map(|call| &call.value);
                let call_id = call.and_then(|call| call.call_id.parse().ok());
                let status = call.and_then(|call| call.status.clone());
                let (call_id, status) = (call_id.as_ref(), status.as_ref());
                self.record(&Change::Ended { call_id, status, shown }).await
            }
            Action::RecordNotMade(error) if self.observer.not_made(&error) => {
                self.record(&Change::Discarded).await
            }
            Action::RecordNotMade(error) => self.record(&Change::Refused(&error)).await,
            Action::Discard => self.record(&Change::Discarded).await,
            // It is returned before it comes here.
            Action::Finish(_) => Event::JournalUpdated,
        }
    }

    async fn post(&mut self, connect_by: Instant) -> PostResult<Box<Parsed<Call>>, Error> {
        let Some(request) = &self.request else {
            // Nothing is sent for a call that is only read.
            let error = Error::new(Kind::OutcomeUnknown, "it is not known how the call ended");
            return PostResult::ResponseLost(error);
        };
        let before_write = self.before_write(&request.is_sent);
        let mut is_sent = request.is_sent.subscribe();
        let sent = {
            let PendingRequest { json, token, .. } = request;
            let (key, deadline) = (&self.entry.key, self.deadline);
            let sending = self.client.request_call(json, key, token, connect_by, deadline, before_write);
            let mut sending = std::pin::pin!(sending);
            tokio::select! {
                biased;
                sent = &mut sending => sent,
                _ = is_sent.wait_for(|sent| *sent) => {
                    self.observer.sent();
                    sending.await
                }
            }
        };
        // Whatever comes of it, the next attempt begins anew.
        request.is_sent.send_replace(false);
        match sent {
            Ok(response) => self.understand(response),
            Err(SendError::Setup(invalid)) => {
                PostResult::NoConnection { retryable: false, error: invalid.into() }
            }
            Err(SendError::NeverSent { why, retryable }) => {
                PostResult::NoConnection { retryable, error: Error::new(Kind::Unreachable, why) }
            }
            Err(SendError::Lost { why }) => {
                self.observer.response_lost(&why);
                PostResult::ResponseLost(Error::new(Kind::Unreachable, why))
            }
        }
    }

    /// Notes in the journal that the request is about to be written, without which it is not.
    fn before_write(&self, is_sent: &Arc<watch::Sender<bool>>) -> BeforeWrite {
        let (journal, key) = (self.journal.clone(), self.entry.key.clone());
        let is_sent = Arc::clone(is_sent);
        Arc::new(move || {
            let (journal, key, is_sent) = (journal.clone(), key.clone(), Arc::clone(&is_sent));
            Box::pin(async move {
                journal.record(&key, &Change::Sent).await?;
                is_sent.send_replace(true);
                Ok(())
            })
        })
    }

    fn understand(&mut self, response: Response) -> PostResult<Box<Parsed<Call>>, Error> {
        match response.call() {
            Some(value) => {
                let id = value.call_id.parse::<CallId>();
                let call = Box::new(Parsed { raw: response.body, value });
                match id {
                    Ok(id) if call.value.is_running() => {
                        self.observer.running(&call);
                        PostResult::Running(id)
                    }
                    Ok(_) => PostResult::Ended(call),
                    Err(invalid) => PostResult::ResponseLost(invalid.into()),
                }
            }
            None => PostResult::Response {
                status: response.status,
                retry_after: response.retry_after,
                error: response.into_error().into(),
            },
        }
    }

    async fn renew(&mut self) -> Result<()> {
        if let Some(request) = &mut self.request {
            request.token = self.client.tokens().renew(&request.token, self.deadline).await?;
        }
        Ok(())
    }

    /// Gives one look at the service a time of its own.
    fn set_poll_deadline(&self) {
        self.client.set_deadline(look_by(Instant::now(), self.deadline));
    }

    async fn assign_call_id(&mut self, id: &CallId) -> bool {
        match self.journal.assign_call_id(&self.entry.key, id).await {
            Ok(is_ours) => is_ours,
            Err(error) => {
                self.warn_on_journal_error(&error);
                true
            }
        }
    }

    async fn read(&mut self, id: &CallId) -> CallStatus<Box<Parsed<Call>>, Error> {
        self.set_poll_deadline();
        match self.client.this_call(id).await {
            Ok(call) if call.value.is_running() => {
                self.observer.running(&call);
                CallStatus::Running
            }
            Ok(call) => CallStatus::Ended(Box::new(call)),
            Err(error) => CallStatus::Failed(error.into()),
        }
    }

    async fn record(&mut self, change: &Change<'_>) -> CallEvent {
        if let Err(error) = self.journal.record(&self.entry.key, change).await {
            self.warn_on_journal_error(&error);
        }
        Event::JournalUpdated
    }

    fn warn_on_journal_error(&mut self, error: &std::io::Error) {
        self.observer
            .warn(&format!("the journal could not be written ({error}); it still counts this call as open"));
    }

    fn into_result(self, ending: Ending<Error>) -> Result<Parsed<Call>> {
        let key = &self.entry.key;
        let unknown = |message: &str, id| Err(Error::new(Kind::OutcomeUnknown, message).about(key, id));
        match ending {
            Ending::Done { .. } => self.result.map_or_else(|| unknown("the call has ended", None), Ok),
            Ending::Unreachable(error)
            | Ending::Refused(error)
            | Ending::NotTaken(error)
            | Ending::NotRenewed(error) => Err(error),
            Ending::Interrupted { signal, is_open: false, .. } => Err(Error::new(
                Kind::Interrupted(signal),
                "interrupted before the request was sent; no call was made",
            )),
            Ending::Interrupted { signal, is_open: true, call_id } => {
                let id = call_id.or_else(|| self.entry.call_id().cloned());
                Err(Error::stopped_waiting(signal, key, id))
            }
            Ending::Unknown { reason, call_id } => match reason {
                UnknownReason::NotFound => unknown(
                    "the answer was lost, and the history does not show the call (yet): it may have been made",
                    call_id,
                ),
                UnknownReason::ServiceUnreachable(why) => {
                    unknown(&format!("the service could not be asked what came of the call: {why}"), call_id)
                }
                UnknownReason::StillRunning => unknown("the call has not ended yet", call_id),
                UnknownReason::Ambiguous(ids) => {
                    let names: Vec<&str> = ids.iter().map(CallId::as_str).collect();
                    let message = format!(
                        "the answer was lost, and which call of the history it is cannot be told; it may be {}",
                        names.join(", ")
                    );
                    let mut error = Error::new(Kind::OutcomeUnknown, message).about(key, None);
                    error.facts.candidates = ids;
                    Err(error)
                }
            },
        }
    }
}

/// What tells whether the request that an action sends is on its way; nothing for any other action.
fn sending(action: &CallAction, is_sent: Option<&watch::Sender<bool>>) -> Option<watch::Receiver<bool>> {
    is_sent.filter(|_| matches!(action, Action::SendPost { .. })).map(watch::Sender::subscribe)
}

/// The next signal. Where the journal has a request as sent, that is written too before the signal counts: one that comes
/// meanwhile is held, for the action that follows if this one ends first.
async fn next_signal(
    signals: &mut Signals,
    held: &mut Option<Signal>,
    is_sent: Option<&watch::Receiver<bool>>,
) -> Signal {
    let signal = match *held {
        Some(signal) => signal,
        None => signals.next().await,
    };
    *held = Some(signal);
    if is_sent.is_some_and(|is_sent| *is_sent.borrow()) {
        tokio::time::sleep(WRITE_GRACE).await;
    }
    *held = None;
    signal
}

/// Whether a signal keeps a request from being written: one that is to be sent, and is not on its way.
fn is_held_back_by_signal(is_sent: Option<&watch::Receiver<bool>>) -> bool {
    is_sent.is_some_and(|is_sent| !*is_sent.borrow())
}

/// By when a look that begins now is over.
fn look_by(now: Instant, deadline: Instant) -> Instant {
    deadline.min(now + READ_TIMEOUT).max(now + MIN_LOOK_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_holds_back_what_is_not_on_its_way() {
        let is_sent = watch::Sender::new(false);
        let is_held_back = |action, is_sent| is_held_back_by_signal(sending(&action, is_sent).as_ref());
        let post = || Action::SendPost { connect_by: Duration::ZERO };
        assert!(is_held_back(post(), Some(&is_sent)));
        assert!(!is_held_back(Action::ReadHistory, Some(&is_sent)) && !is_held_back(post(), None));
        is_sent.send_replace(true);
        assert!(!is_held_back(post(), Some(&is_sent)));
    }

    #[tokio::test]
    async fn a_signal_lets_what_the_journal_has_as_sent_be_written_and_is_not_forgotten_for_it() {
        let is_sent = watch::Sender::new(true).subscribe();
        let (mut signals, mut held) = (Signals::none(), Some(Signal::Interrupt));
        let during_write = next_signal(&mut signals, &mut held, Some(&is_sent));
        assert!(tokio::time::timeout(Duration::ZERO, during_write).await.is_err());
        assert_eq!(next_signal(&mut signals, &mut held, None).await, Signal::Interrupt);
        assert_eq!(held, None);
    }

    #[test]
    fn a_look_has_time_of_its_own_and_hardly_any_beyond_the_calls() {
        let now = Instant::now();
        let seconds = |seconds| now + Duration::from_secs(seconds);
        for (left, looks) in [(600, 15), (15, 15), (14, 14), (1, 1), (0, 1)] {
            assert_eq!(look_by(now, seconds(left)), seconds(looks), "{left} s are left");
        }
        assert_eq!(look_by(seconds(9), now), seconds(10), "the last look is taken when the time is up");
    }
}
