//! What the program may do with a stranger's phone: every rule of it, as a state machine without input, output or a
//! clock of its own. Events go in, one action comes out; the caller carries it out and reports.
//!
//! A call is requested by one POST whose answer comes minutes later. The POST is sent again only when it was certainly
//! not taken: no connection was made, or the service said so (401, 429). Anything else that is no answer is *lost*: the
//! call may be ringing, so it is looked up and never sent again.

use std::time::Duration;

use super::events::{Action, CallStatus, Ending, Event, HistoryResult, PostResult, UnknownReason};
use crate::domain::{CallId, Signal};

/// How often a connection is tried.
const CONNECTS: u32 = 3;
/// The time within which connections are tried.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How often the POST is sent again to a service that did not take it.
const RESENDS: u32 = 3;
/// How long the history is searched for a lost call.
const SEARCH_FOR: Duration = Duration::from_secs(120);
/// The waits between looks grow from the first to the last.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The state of one call of this program.
#[derive(Debug, Clone)]
pub struct CallState<E> {
    phase: Phase<E>,
    /// When waiting ends, on the clock that `step` is given. One last look is taken then.
    deadline: Duration,
}

#[derive(Debug, Clone)]
enum Phase<E> {
    /// The POST, which may go out (again).
    Sending(Sending),
    /// The look-up of a lost call: from here no way leads back to the POST.
    Searching(Search<E>),
    /// The wait for the end of a call that is known.
    Watching(Watch<E>),
    /// The result is being delivered.
    Delivering,
    /// The journal is being told; then it ends like this.
    Recording(Ending<E>),
    Finished(Ending<E>),
}

#[derive(Debug, Clone, Default)]
struct Sending {
    /// The POST is under way.
    under_way: bool,
    /// When connecting began, since the last answer.
    since: Option<Duration>,
    connects: u32,
    resends: u32,
    renewed: bool,
}

#[derive(Debug, Clone)]
struct Search<E> {
    since: Duration,
    looks: u32,
    /// The call that the journal was asked to note.
    found: Option<CallId>,
    /// Calls that it may be.
    possible: Vec<CallId>,
    /// Why the last look failed.
    failed: Option<E>,
    /// Whether the look under way is the last.
    is_last: bool,
}

#[derive(Debug, Clone)]
struct Watch<E> {
    id: CallId,
    looks: u32,
    failed: Option<E>,
    is_last: bool,
}

impl<E: Clone> CallState<E> {
    /// A call to be placed; waiting ends at `deadline`.
    pub fn new(deadline: Duration) -> Self {
        Self { phase: Phase::Sending(Sending::default()), deadline }
    }

    /// A call that was requested by an earlier run: it is only ever read.
    pub fn resume(id: Option<CallId>, deadline: Duration) -> Self {
        let phase = match id {
            Some(id) => Phase::Watching(Watch::new(id)),
            None => Phase::Searching(Search::new(Duration::ZERO)),
        };
        Self { phase, deadline }
    }

    /// Takes an event at `now` and says what to do. Time never runs backwards. An event that does not answer the last
    /// action changes nothing and is answered by ending: nothing is sent because of it.
    pub fn step<R>(&mut self, now: Duration, event: Event<R, E>) -> Action<R, E> {
        if let Event::Signal { signal, is_sent } = event {
            return self.interrupt(signal, is_sent);
        }
        let lost = Ending::Unknown { reason: UnknownReason::NotFound, call_id: None };
        match std::mem::replace(&mut self.phase, Phase::Finished(lost)) {
            Phase::Sending(state) => self.sending(state, now, event),
            Phase::Searching(state) => self.searching(state, now, event),
            Phase::Watching(state) => self.watching(state, now, event),
            Phase::Delivering => {
                let delivered = matches!(event, Event::Delivered(true));
                self.record(Action::RecordEnd { shown: delivered }, Ending::Done { delivered })
            }
            Phase::Recording(ending) | Phase::Finished(ending) => self.finish(ending),
        }
    }

    fn sending<R>(&mut self, mut state: Sending, now: Duration, event: Event<R, E>) -> Action<R, E> {
        let ended = match event {
            Event::Begin | Event::TimerFired | Event::LoginRenewed(Ok(())) if !state.under_way => {
                state.under_way = true;
                let connect_by = (*state.since.get_or_insert(now) + CONNECT_WITHIN).min(self.deadline);
                self.phase = Phase::Sending(state);
                return Action::SendPost { connect_by };
            }
            Event::LoginRenewed(Err(error)) => return self.not_made(error, Ending::NotRenewed),
            Event::PostEnded(ended) => ended,
            // Not an answer to what was asked for: the request under way, if any, may have arrived.
            Event::Begin
            | Event::TimerFired
            | Event::LoginRenewed(Ok(()))
            | Event::HistoryRead(_)
            | Event::CallIdAssigned(_)
            | Event::CallRead(_)
            | Event::Delivered(_)
            | Event::JournalUpdated
            | Event::Signal { .. } => return self.search(now),
        };
        state.under_way = false;
        match ended {
            PostResult::Ended(result) => self.deliver(result),
            PostResult::Running(id) => {
                self.phase = Phase::Watching(Watch::new(id.clone()));
                Action::AssignCallId(id)
            }
            PostResult::ResponseLost(_) => self.search(now),
            PostResult::NoConnection { retryable, error } => {
                state.connects += 1;
                let wait = Duration::from_millis(250) * state.connects;
                let until = (state.since.unwrap_or(now) + CONNECT_WITHIN).min(self.deadline);
                if retryable && state.connects < CONNECTS && now + wait < until {
                    return self.pause(state, wait);
                }
                self.not_made(error, Ending::Unreachable)
            }
            PostResult::Response { status, retry_after, error } => match meaning(status, state.renewed) {
                Meaning::Unauthorized => {
                    self.phase = Phase::Sending(Sending { renewed: true, since: None, connects: 0, ..state });
                    Action::RenewLogin
                }
                Meaning::NotTaken => {
                    let wait = retry_after.unwrap_or(FIRST_WAIT * (1 << state.resends.min(4)));
                    state.resends += 1;
                    if state.resends > RESENDS || now + wait >= self.deadline {
                        return self.not_made(error, Ending::NotTaken);
                    }
                    self.pause(Sending { since: None, connects: 0, ..state }, wait)
                }
                Meaning::Refused => self.not_made(error, Ending::Refused),
                Meaning::Lost => self.search(now),
            },
        }
    }

    fn searching<R>(&mut self, mut state: Search<E>, now: Duration, event: Event<R, E>) -> Action<R, E> {
        match event {
            Event::HistoryRead(HistoryResult::Ambiguous(ids)) => {
                let reason = UnknownReason::Ambiguous(ids);
                return self.finish(Ending::Unknown { reason, call_id: None });
            }
            Event::HistoryRead(HistoryResult::Found(id)) => {
                state.found = Some(id.clone());
                self.phase = Phase::Searching(state);
                return Action::AssignCallId(id);
            }
            Event::HistoryRead(HistoryResult::NotFound(possible)) => {
                state.possible = possible;
                state.failed = None;
            }
            Event::HistoryRead(HistoryResult::Failed(error)) => state.failed = Some(error),
            Event::CallIdAssigned(is_ours) => {
                if let Some(id) = state.found.take().filter(|_| is_ours) {
                    self.phase = Phase::Watching(Watch { is_last: state.is_last, ..Watch::new(id.clone()) });
                    return Action::ReadCall(id);
                }
            }
            // These only read.
            Event::Begin
            | Event::TimerFired
            | Event::PostEnded(_)
            | Event::LoginRenewed(_)
            | Event::CallRead(_)
            | Event::Delivered(_)
            | Event::JournalUpdated
            | Event::Signal { .. } => {
                state.is_last |= now >= self.deadline;
                self.phase = Phase::Searching(state);
                return Action::ReadHistory;
            }
        }
        if state.is_last || now.saturating_sub(state.since) >= SEARCH_FOR {
            let reason = match state {
                Search { failed: Some(error), .. } => UnknownReason::ServiceUnreachable(error),
                Search { possible, .. } if !possible.is_empty() => UnknownReason::Ambiguous(possible),
                Search { .. } => UnknownReason::NotFound,
            };
            return self.finish(Ending::Unknown { reason, call_id: None });
        }
        let wait = self.pause_before_look(now, &mut state.looks, &mut state.is_last);
        self.phase = Phase::Searching(state);
        Action::Wait(wait)
    }

    fn watching<R>(&mut self, mut state: Watch<E>, now: Duration, event: Event<R, E>) -> Action<R, E> {
        match event {
            Event::CallRead(CallStatus::Ended(result)) => return self.deliver(result),
            Event::CallRead(CallStatus::Running) => state.failed = None,
            Event::CallRead(CallStatus::Failed(error)) => state.failed = Some(error),
            // The service has just said that it goes on.
            Event::CallIdAssigned(_) => {}
            // These only read.
            Event::Begin
            | Event::TimerFired
            | Event::PostEnded(_)
            | Event::LoginRenewed(_)
            | Event::HistoryRead(_)
            | Event::Delivered(_)
            | Event::JournalUpdated
            | Event::Signal { .. } => {
                state.is_last |= now >= self.deadline;
                let id = state.id.clone();
                self.phase = Phase::Watching(state);
                return Action::ReadCall(id);
            }
        }
        if state.is_last {
            let reason = state.failed.map_or(UnknownReason::StillRunning, UnknownReason::ServiceUnreachable);
            return self.finish(Ending::Unknown { reason, call_id: Some(state.id) });
        }
        let wait = self.pause_before_look(now, &mut state.looks, &mut state.is_last);
        self.phase = Phase::Watching(state);
        Action::Wait(wait)
    }

    /// The wait before the next look, which is the last one if the time is up then.
    fn pause_before_look(&self, now: Duration, looks: &mut u32, is_last: &mut bool) -> Duration {
        let wait = FIRST_WAIT.mul_f64(1.5f64.powi((*looks).min(8) as i32)).min(LONGEST_WAIT);
        *looks += 1;
        let left = self.deadline.saturating_sub(now);
        *is_last = left <= wait;
        wait.min(left)
    }

    fn search<R>(&mut self, now: Duration) -> Action<R, E> {
        let is_last = now >= self.deadline;
        self.phase = Phase::Searching(Search { is_last, ..Search::new(now) });
        Action::ReadHistory
    }

    fn pause<R>(&mut self, state: Sending, wait: Duration) -> Action<R, E> {
        self.phase = Phase::Sending(state);
        Action::Wait(wait)
    }

    fn deliver<R>(&mut self, result: R) -> Action<R, E> {
        self.phase = Phase::Delivering;
        Action::Deliver(result)
    }

    fn not_made<R>(&mut self, error: E, ending: fn(E) -> Ending<E>) -> Action<R, E> {
        self.record(Action::RecordNotMade(error.clone()), ending(error))
    }

    fn record<R>(&mut self, record: Action<R, E>, ending: Ending<E>) -> Action<R, E> {
        self.phase = Phase::Recording(ending);
        record
    }

    fn finish<R>(&mut self, ending: Ending<E>) -> Action<R, E> {
        self.phase = Phase::Finished(ending.clone());
        Action::Finish(ending)
    }

    fn interrupt<R>(&mut self, signal: Signal, is_sent: bool) -> Action<R, E> {
        let open = |call_id| Ending::Interrupted { signal, is_open: true, call_id };
        match &self.phase {
            // Between two attempts that were not taken, and before the first byte of one, there is no call.
            Phase::Sending(Sending { under_way, .. }) if !(*under_way && is_sent) => {
                self.record(Action::Discard, Ending::Interrupted { signal, is_open: false, call_id: None })
            }
            Phase::Recording(ending) | Phase::Finished(ending) => {
                let ending = ending.clone();
                self.finish(ending)
            }
            Phase::Watching(Watch { id, .. }) => {
                let ending = open(Some(id.clone()));
                self.finish(ending)
            }
            Phase::Sending(_) | Phase::Searching(_) | Phase::Delivering => self.finish(open(None)),
        }
    }
}

impl<E> Search<E> {
    fn new(since: Duration) -> Self {
        Self { since, looks: 0, found: None, possible: Vec::new(), failed: None, is_last: false }
    }
}

impl<E> Watch<E> {
    fn new(id: CallId) -> Self {
        Self { id, looks: 0, failed: None, is_last: false }
    }
}

/// What an answer that is no call means for the request.
enum Meaning {
    /// The login was not accepted, and can be renewed.
    Unauthorized,
    /// It was certainly not taken, and may be later.
    NotTaken,
    /// It was certainly not taken.
    Refused,
    /// It may have been taken.
    Lost,
}

/// 429 is a limiter's, which stands in front. A 503 is not: caches and proxies answer it, with `Retry-After`, when the
/// service behind them has taken a request and not answered in time. Of the 4xx only those count that RFC 9110 and its
/// companions register, but for 408 and 409, which say that the request, or one like it, may be under way.
fn meaning(status: u16, renewed: bool) -> Meaning {
    match status {
        401 if !renewed => Meaning::Unauthorized,
        429 => Meaning::NotTaken,
        400..=407 | 410..=417 | 421 | 422 | 424..=426 | 428 | 431 | 451 => Meaning::Refused,
        _ => Meaning::Lost,
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod tests;
