//! What the program may do with a stranger's phone: every rule of it, as a state machine without input, output or a
//! clock of its own. Events go in, one action comes out; the caller carries it out and reports.
//!
//! A call is requested by one POST whose answer comes minutes later. The POST is sent again only when it was certainly
//! not taken: no connection was made, or the service said so (401, 429, a 503 that says why or when to come
//! back). Anything else that is no answer is *lost*: the call may be ringing, so it is looked up and never sent again.

use std::time::Duration;

use crate::error::Signal;

/// What happened, reported to [`Placement::step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The call is in the journal, or was found there.
    Begin,
    /// The POST ended.
    Sent(Sent),
    /// The login was renewed, or could not be.
    Renewed(bool),
    /// The wait is over.
    Woke,
    /// The history was read.
    Looked(Look),
    /// The journal was asked to note which call this is; another entry may have it.
    Claimed(bool),
    /// The call itself was read.
    Seen(Sight),
    /// The result is on stdout, or could not be written.
    Printed(bool),
    /// The journal was told.
    Noted,
    /// The person, or the system, wants the program to end.
    Signal(Signal),
}

/// How the POST ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// No connection was made.
    NoConnection {
        /// Whether another attempt may end differently.
        again: bool,
    },
    /// There was a whole answer.
    Answered {
        /// Its HTTP status.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// Whether it has the API's error object: a proxy's page does not.
        refusal: bool,
        /// Whether it is a 2xx that holds a call.
        call: bool,
    },
    /// The request may have arrived, and its answer did not: reset, cut, stalled.
    Cut,
}

/// What the history shows of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// What it shows.
    Candidates {
        /// The calls it may be, oldest first: same number, same task, not older, not another entry's.
        ids: Vec<String>,
        /// How many open entries of the journal may own these: more than one when the same call was placed again on
        /// purpose.
        claimants: usize,
        /// How many of them are older than this one.
        rank: usize,
    },
    /// The history could not be read.
    Failed,
}

/// What the call itself shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It has ended.
    Over,
    /// It goes on.
    Running,
    /// It could not be read.
    Failed,
}

/// What to do next. Each is reported back by the event in parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send the POST (`Sent`).
    Send {
        /// By when the connection must stand, on the clock that `step` is given.
        connect_by: Duration,
    },
    /// Renew the login (`Renewed`).
    Renew,
    /// Let time pass (`Woke`).
    Wait(Duration),
    /// Read the history (`Looked`).
    LookUp,
    /// Note in the journal that it is this call (`Claimed`).
    Claim(String),
    /// Read this call (`Seen`).
    Fetch(String),
    /// Print the result (`Printed`).
    Print,
    /// Note in the journal that the result is known (`Noted`).
    Settle,
    /// Take the call out of the journal: it was never made (`Noted`).
    Discard,
    /// Nothing more.
    End(Ending),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The result was printed.
    Done,
    /// The result could not be printed; the journal keeps it.
    NotPrinted,
    /// No connection could be made.
    Unreachable,
    /// The API refused.
    Refused,
    /// The service would not take the call, however often it was asked.
    NotTaken,
    /// The login could not be renewed.
    NotRenewed,
    /// Nobody knows what came of the call.
    Unknown(Lost),
    /// A signal ended the waiting.
    Interrupted {
        /// Which.
        signal: Signal,
        /// Whether the call may be under way.
        open: bool,
    },
}

/// Why the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The history does not show it.
    NotFound,
    /// The service could not be asked.
    Gone,
    /// It has not ended.
    StillRunning,
    /// The history shows calls that it may be, and which one cannot be told.
    Unclear(Vec<String>),
}

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
/// A look is worth taking if this much time is left for it.
const ONE_LOOK: Duration = Duration::from_secs(1);

/// The state of one call of this program.
#[derive(Debug, Clone)]
pub struct Placement {
    phase: Phase,
    /// When it must end, on the clock that `step` is given.
    deadline: Duration,
}

#[derive(Debug, Clone)]
enum Phase {
    /// The POST, which may go out (again).
    Sending(Sending),
    /// The look-up of a lost call: from here no way leads back to the POST.
    Searching(Search),
    Printing,
    /// The journal is told; then it ends like this.
    Noting(Ending),
    Ended(Ending),
}

#[derive(Debug, Clone, Default)]
struct Sending {
    /// The POST is out.
    out: bool,
    /// When connecting began, since the last answer.
    since: Option<Duration>,
    connects: u32,
    resends: u32,
    renewed: bool,
}

#[derive(Debug, Clone)]
struct Search {
    since: Duration,
    looks: u32,
    /// Which call it is, once that is known.
    id: Option<String>,
    /// Whether the last look failed.
    failed: bool,
    /// Calls that may be another entry's.
    unclear: Vec<String>,
}

impl Placement {
    /// A call to be placed, over at `deadline`.
    pub fn new(deadline: Duration) -> Self {
        Self { phase: Phase::Sending(Sending::default()), deadline }
    }

    /// A call that was requested by an earlier run: it is only ever read.
    pub fn resume(id: Option<String>, deadline: Duration) -> Self {
        Self { phase: Phase::Searching(Search::new(Duration::ZERO, id)), deadline }
    }

    /// By when the POST must be answered, so that one look at the history still fits behind it.
    pub fn answer_by(&self) -> Duration {
        self.deadline.saturating_sub((self.deadline / 10).clamp(Duration::from_millis(500), LONGEST_WAIT))
    }

    /// Takes an event at `now` and says what to do. Time never runs backwards.
    pub fn step(&mut self, now: Duration, event: Event) -> Action {
        if let Event::Signal(signal) = event {
            return self.interrupt(signal);
        }
        match std::mem::replace(&mut self.phase, Phase::Ended(Ending::NotPrinted)) {
            Phase::Sending(state) => self.sending(state, now, event),
            Phase::Searching(state) => self.searching(state, now, event),
            Phase::Printing if event == Event::Printed(true) => self.note(Action::Settle, Ending::Done),
            Phase::Printing => self.end(Ending::NotPrinted),
            Phase::Noting(ending) | Phase::Ended(ending) => self.end(ending),
        }
    }

    fn sending(&mut self, mut state: Sending, now: Duration, event: Event) -> Action {
        let sent = match event {
            Event::Sent(sent) => sent,
            Event::Renewed(false) => return self.note(Action::Discard, Ending::NotRenewed),
            _ => {
                state.out = true;
                let connect_by = (*state.since.get_or_insert(now) + CONNECT_WITHIN).min(self.answer_by());
                self.phase = Phase::Sending(state);
                return Action::Send { connect_by };
            }
        };
        state.out = false;
        match sent {
            Sent::NoConnection { again } => {
                state.connects += 1;
                let wait = Duration::from_millis(250) * state.connects;
                let until = (state.since.unwrap_or(now) + CONNECT_WITHIN).min(self.answer_by());
                if again && state.connects < CONNECTS && now + wait < until {
                    return self.pause(state, wait);
                }
                self.note(Action::Discard, Ending::Unreachable)
            }
            Sent::Answered { call: true, .. } => self.print(),
            Sent::Answered { status: 401, .. } if !state.renewed => {
                self.phase = Phase::Sending(Sending { renewed: true, since: None, connects: 0, ..state });
                Action::Renew
            }
            Sent::Answered { status, retry_after, refusal, .. }
                if is_not_taken(status, retry_after, refusal) =>
            {
                let wait = retry_after.unwrap_or(FIRST_WAIT * (1 << state.resends.min(4)));
                state.resends += 1;
                if state.resends > RESENDS || now + wait >= self.answer_by() {
                    return self.note(Action::Discard, Ending::NotTaken);
                }
                self.pause(Sending { since: None, connects: 0, ..state }, wait)
            }
            Sent::Answered { status, .. } if is_refused(status) => {
                self.note(Action::Discard, Ending::Refused)
            }
            Sent::Answered { .. } | Sent::Cut => {
                self.phase = Phase::Searching(Search::new(now, None));
                Action::LookUp
            }
        }
    }

    fn searching(&mut self, mut state: Search, now: Duration, event: Event) -> Action {
        match event {
            Event::Looked(Look::Candidates { ids, claimants, .. }) if ids.len() > claimants => {
                return self.end(Ending::Unknown(Lost::Unclear(ids)));
            }
            // Each claimant has a call there: they are told apart by their order.
            Event::Looked(Look::Candidates { ids, claimants, rank }) if ids.len() == claimants => {
                state.failed = false;
                if let Some(id) = ids.into_iter().nth(rank) {
                    state.id = Some(id.clone());
                    self.phase = Phase::Searching(state);
                    return Action::Claim(id);
                }
            }
            // What shows may be another claimant's.
            Event::Looked(Look::Candidates { ids, .. }) => {
                state.failed = false;
                state.unclear = ids;
            }
            Event::Claimed(false) => state.id = None,
            Event::Claimed(true) => {
                state.looks = 0;
                return self.look(state);
            }
            Event::Seen(Sight::Over) => return self.print(),
            Event::Seen(Sight::Running) => state.failed = false,
            Event::Looked(Look::Failed) | Event::Seen(Sight::Failed) => state.failed = true,
            _ => return self.look(state),
        }
        let left = self.deadline.saturating_sub(now);
        let given_up = state.id.is_none() && now.saturating_sub(state.since) >= SEARCH_FOR;
        if left <= ONE_LOOK || given_up {
            return self.end(Ending::Unknown(match state {
                Search { failed: true, .. } => Lost::Gone,
                Search { id: Some(_), .. } => Lost::StillRunning,
                Search { unclear, .. } if unclear.is_empty() => Lost::NotFound,
                Search { unclear, .. } => Lost::Unclear(unclear),
            }));
        }
        let wait = FIRST_WAIT.mul_f64(1.5f64.powi(state.looks.min(8) as i32)).min(LONGEST_WAIT);
        state.looks += 1;
        self.phase = Phase::Searching(state);
        Action::Wait(wait.min(left - ONE_LOOK))
    }

    fn look(&mut self, state: Search) -> Action {
        let action = state.id.clone().map_or(Action::LookUp, Action::Fetch);
        self.phase = Phase::Searching(state);
        action
    }

    fn pause(&mut self, state: Sending, wait: Duration) -> Action {
        self.phase = Phase::Sending(state);
        Action::Wait(wait)
    }

    fn print(&mut self) -> Action {
        self.phase = Phase::Printing;
        Action::Print
    }

    fn note(&mut self, note: Action, ending: Ending) -> Action {
        self.phase = Phase::Noting(ending);
        note
    }

    fn end(&mut self, ending: Ending) -> Action {
        self.phase = Phase::Ended(ending.clone());
        Action::End(ending)
    }

    fn interrupt(&mut self, signal: Signal) -> Action {
        match &self.phase {
            // Between two attempts that were not taken there is no call.
            Phase::Sending(Sending { out: false, .. }) => {
                self.note(Action::Discard, Ending::Interrupted { signal, open: false })
            }
            Phase::Noting(ending) | Phase::Ended(ending) => {
                let ending = ending.clone();
                self.end(ending)
            }
            _ => self.end(Ending::Interrupted { signal, open: true }),
        }
    }
}

impl Search {
    fn new(since: Duration, id: Option<String>) -> Self {
        Self { since, looks: 0, id, failed: false, unclear: Vec::new() }
    }
}

/// 429 is a limiter's; a 503 that says when to come back, or why, is the service's. A bare one may be a proxy's that
/// lost the connection behind it.
fn is_not_taken(status: u16, retry_after: Option<Duration>, refusal: bool) -> bool {
    status == 429 || (status == 503 && (retry_after.is_some() || refusal))
}

/// 408 and 409 say that the request, or one like it, may be under way.
fn is_refused(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 409)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
