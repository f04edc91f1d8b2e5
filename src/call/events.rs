//! The language of the call state machine: what may happen, what is to be done, how it ends.
//!
//! `R` is a result, a call as the service gave it, and `E` an error: they pass through unread.

use std::time::Duration;

use crate::domain::{CallId, Signal};

/// What happened, reported to `CallState::step`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<R, E> {
    /// The call is in the journal, or was found there.
    Begin,
    /// The POST ended.
    PostEnded(PostResult<R, E>),
    /// The login was renewed, or could not be.
    LoginRenewed(Result<(), E>),
    /// The wait is over.
    TimerFired,
    /// The history was read.
    HistoryRead(HistoryResult<E>),
    /// The journal was asked to note which call this is; another entry may have it.
    CallIdAssigned(bool),
    /// The call itself was read.
    CallRead(CallStatus<R, E>),
    /// The result was delivered, or could not be.
    Delivered(bool),
    /// The journal was told.
    JournalUpdated,
    /// The person, or the system, wants the program to end.
    Signal {
        /// Which signal.
        signal: Signal,
        /// Whether a byte of the request under way may have been written.
        is_sent: bool,
    },
}

/// How the POST ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostResult<R, E> {
    /// No connection was made.
    NoConnection {
        /// Whether another attempt may end differently.
        retryable: bool,
        /// What happened.
        error: E,
    },
    /// There was a whole answer that is no call.
    Response {
        /// Its HTTP status.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// What it means.
        error: E,
    },
    /// The answer, a 2xx, is a call that has ended.
    Ended(R),
    /// The answer, a 2xx, is a call that goes on.
    Running(CallId),
    /// The request may have arrived, and its answer did not: reset, cut, stalled.
    ResponseLost(E),
}

/// What the history shows of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryResult<E> {
    /// It is this call.
    Found(CallId),
    /// It is one of these, and which cannot be told.
    Ambiguous(Vec<CallId>),
    /// It is not there, unless it is one of these.
    NotFound(Vec<CallId>),
    /// The history could not be read.
    Failed(E),
}

/// What the call itself shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallStatus<R, E> {
    /// It has ended.
    Ended(R),
    /// It goes on.
    Running,
    /// It could not be read.
    Failed(E),
}

/// What to do next. Each is reported back by the event in parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<R, E> {
    /// Send the POST (`PostEnded`).
    SendPost {
        /// By when the connection must stand, on the clock that `step` is given.
        connect_by: Duration,
    },
    /// Renew the login (`LoginRenewed`).
    RenewLogin,
    /// Let time pass (`TimerFired`).
    Wait(Duration),
    /// Read the history (`HistoryRead`).
    ReadHistory,
    /// Note in the journal that it is this call (`CallIdAssigned`).
    AssignCallId(CallId),
    /// Read this call (`CallRead`).
    ReadCall(CallId),
    /// Deliver the result to whoever waits for it (`Delivered`).
    Deliver(R),
    /// Note in the journal how the call ended, and whether that was shown (`JournalUpdated`).
    RecordEnd {
        /// Whether it was shown.
        shown: bool,
    },
    /// The call was certainly not made, for this reason. Take it out of the journal, or keep it there until the user
    /// has been told (`JournalUpdated`).
    RecordNotMade(E),
    /// Take the call out of the journal: the user ended it before it was made (`JournalUpdated`).
    Discard,
    /// Nothing more.
    Finish(Ending<E>),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending<E> {
    /// The call ended. The result was delivered, or is kept by the journal.
    Done {
        /// Whether it was delivered.
        delivered: bool,
    },
    /// No connection could be made.
    Unreachable(E),
    /// The API refused.
    Refused(E),
    /// The service would not take the call, however often it was asked.
    NotTaken(E),
    /// The login could not be renewed.
    NotRenewed(E),
    /// How the call ended is unknown.
    Unknown {
        /// Why.
        reason: UnknownReason<E>,
        /// Which call it is, where that is known.
        call_id: Option<CallId>,
    },
    /// A signal ended the waiting.
    Interrupted {
        /// Which.
        signal: Signal,
        /// Whether the call may be under way.
        is_open: bool,
        /// Which call it is, where that is known.
        call_id: Option<CallId>,
    },
}

/// Why the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownReason<E> {
    /// The history does not show it.
    NotFound,
    /// The service could not be asked.
    ServiceUnreachable(E),
    /// It has not ended.
    StillRunning,
    /// The history shows calls that it may be, and which one cannot be told.
    Ambiguous(Vec<CallId>),
}
