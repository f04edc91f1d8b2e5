//! Everything that can go wrong, as one type: a kind, a sentence, and the facts that go with it. Each property of an
//! error is one exhaustive match over its kind.

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::{CallId, IdempotencyKey, Invalid, Signal, may_hold_token};
use crate::{api, auth};

/// A run's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no result. `Display` is the sentence for the person who reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What happened, as a sentence.
    message: String,
    /// What else is known.
    pub facts: Box<Facts>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The command line makes no sense as a whole.
    Usage,
    /// A value was refused before anything was sent.
    InvalidInput,
    /// The number is an emergency number.
    EmergencyNumber,
    /// There is no usable login; signing in helps.
    NotSignedIn,
    /// `KALLYAI_ACCESS_TOKEN` stands in the way; no sign-in changes that.
    AccessToken,
    /// A sign-in was begun and did not end in a login.
    SignInFailed,
    /// The port of the sign-in callback belongs to another program.
    PortInUse(u16),
    /// The file that holds the login cannot be used; a sign-in replaces it.
    TokenFileUnreadable,
    /// The file that holds the login cannot be used, and its owner has to repair that.
    TokenFile,
    /// The login belongs to another service.
    WrongIssuer,
    /// No answer: the service was not reached, or did not answer in time.
    Unreachable,
    /// The service answered 429 or 5xx, however often it was asked.
    ServiceFailing,
    /// The API refused the request.
    Refused,
    /// An ID that names no single call.
    CallNotFound,
    /// There is no call at all that could be read.
    NoCalls,
    /// An answer of a shape that is not documented.
    UnexpectedResponse,
    /// A call was requested, and how it ended is unknown.
    OutcomeUnknown,
    /// A call was made, and its result could not be written to stdout.
    ResultUnwritten,
    /// An earlier call to the same number is not known to have ended.
    CallOpen,
    /// The same request ended in success a short time ago.
    AlreadyDone,
    /// The journal holds nothing of the kind.
    NothingToResume,
    /// There is no journal, or it cannot be written: a call would be unprotected.
    JournalUnavailable,
    /// A signal ended the waiting.
    Interrupted(Signal),
    /// A file or a stream could not be read or written.
    Io,
    /// The reader of our output has stopped reading: no failure at all.
    ClosedPipe,
}

/// What is known of a failure beyond its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// What to write instead, where only the place of the failure knows.
    pub hint: Option<String>,
    /// The API's name for a refusal.
    pub server_code: Option<String>,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
    /// The server's name for this very failure.
    pub correlation_id: Option<String>,
    /// How long the server asked to wait, in seconds.
    pub retry_after: Option<u64>,
    /// Where the plan can be upgraded.
    pub upgrade_url: Option<String>,
    /// The key of the call that this is about.
    pub key: Option<IdempotencyKey>,
    /// The ID of the call that this is about.
    pub call_id: Option<CallId>,
    /// The calls that it may be, where that cannot be told.
    pub candidates: Vec<CallId>,
    /// Whether the call of `key` is the only one whose end was not shown.
    pub is_only_pending: bool,
    /// Whether a sign-in was cut off.
    pub cut_sign_in: bool,
}

/// What comes next, for a front end to put into its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<'a> {
    /// Nothing that a command would do.
    Nothing,
    /// Sign in.
    SignIn,
    /// Learn how the call of this key ended.
    Resume(&'a IdempotencyKey),
    /// Read this call.
    ShowCall(&'a CallId),
    /// Look at the calls there are.
    History,
}

impl Error {
    /// A failure of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), facts: Box::default() }
    }

    /// A command line that makes no sense as a whole, and what to write instead.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message).with_hint(hint)
    }

    /// A failed read or write of a file or stream: what was tried, and what the system said.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::new(Kind::Io, format!("{:#}", anyhow::Error::new(source).context(what.into())))
    }

    /// A signal that ended the waiting while nothing was under way.
    pub fn interrupted(signal: Signal) -> Self {
        Self::new(Kind::Interrupted(signal), "interrupted")
    }

    /// A signal that ended the waiting for a call that goes on.
    pub fn stopped_waiting(signal: Signal, key: &IdempotencyKey, call_id: Option<CallId>) -> Self {
        Self::new(Kind::Interrupted(signal), "stopped waiting; the call itself goes on").about(key, call_id)
    }

    /// The same, with what to write instead.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.facts.hint = Some(hint.into());
        self
    }

    /// The same, about the call of this key.
    pub fn about(mut self, key: &IdempotencyKey, call_id: Option<CallId>) -> Self {
        self.facts.key = Some(key.clone());
        self.facts.call_id = call_id;
        self
    }

    /// The same, about the call of this ID, unless that is a token in the wrong place.
    pub fn about_call(mut self, call_id: &CallId) -> Self {
        self.facts.call_id = Some(call_id).filter(|id| !may_hold_token(id.as_str())).cloned();
        self
    }

    /// The stable name programs match on.
    pub fn code(&self) -> &str {
        match self.kind {
            Kind::Usage => "usage",
            Kind::InvalidInput => "invalid_input",
            Kind::EmergencyNumber => "emergency_number",
            Kind::NotSignedIn | Kind::AccessToken => "not_signed_in",
            Kind::SignInFailed => "sign_in_failed",
            Kind::PortInUse(_) => "port_in_use",
            Kind::TokenFileUnreadable | Kind::TokenFile => "token_file",
            Kind::WrongIssuer => "wrong_issuer",
            Kind::Unreachable => "unreachable",
            Kind::ServiceFailing => "service_failing",
            Kind::Refused => self.facts.server_code.as_deref().unwrap_or("refused"),
            Kind::CallNotFound | Kind::NoCalls => "call_not_found",
            Kind::UnexpectedResponse => "unexpected_response",
            Kind::OutcomeUnknown => "outcome_unknown",
            Kind::CallOpen => "call_open",
            Kind::AlreadyDone => "already_done",
            Kind::NothingToResume => "nothing_to_resume",
            Kind::JournalUnavailable => "journal_unavailable",
            Kind::Interrupted(_) => "interrupted",
            Kind::ResultUnwritten | Kind::Io | Kind::ClosedPipe => "io",
        }
    }

    /// The process's exit status, as documented in `--help`.
    pub fn exit(&self) -> u8 {
        match self.kind {
            Kind::ClosedPipe => 0,
            Kind::Refused => match self.facts.http_status {
                Some(401) => 4,
                Some(402) => 5,
                _ => 1,
            },
            Kind::CallNotFound
            | Kind::NoCalls
            | Kind::UnexpectedResponse
            | Kind::NothingToResume
            | Kind::JournalUnavailable
            | Kind::ResultUnwritten
            | Kind::Io => 1,
            Kind::Usage | Kind::InvalidInput | Kind::EmergencyNumber => 2,
            Kind::Unreachable | Kind::ServiceFailing => 3,
            Kind::NotSignedIn
            | Kind::AccessToken
            | Kind::SignInFailed
            | Kind::PortInUse(_)
            | Kind::TokenFileUnreadable
            | Kind::TokenFile
            | Kind::WrongIssuer => 4,
            Kind::OutcomeUnknown | Kind::CallOpen | Kind::AlreadyDone => 6,
            Kind::Interrupted(signal) => signal.exit(),
        }
    }

    /// Whether running the same command again cannot ring a phone a second time.
    pub fn retry_safe(&self) -> bool {
        match self.kind {
            Kind::OutcomeUnknown | Kind::ResultUnwritten | Kind::CallOpen | Kind::AlreadyDone => false,
            // With a key, a call goes on.
            Kind::Interrupted(_) => self.facts.key.is_none(),
            Kind::Usage
            | Kind::InvalidInput
            | Kind::EmergencyNumber
            | Kind::NotSignedIn
            | Kind::AccessToken
            | Kind::SignInFailed
            | Kind::PortInUse(_)
            | Kind::TokenFileUnreadable
            | Kind::TokenFile
            | Kind::WrongIssuer
            | Kind::Unreachable
            | Kind::ServiceFailing
            | Kind::Refused
            | Kind::CallNotFound
            | Kind::NoCalls
            | Kind::UnexpectedResponse
            | Kind::NothingToResume
            | Kind::JournalUnavailable
            | Kind::Io
            | Kind::ClosedPipe => true,
        }
    }

    /// Whether the same command may end differently when nothing but time has passed.
    pub fn retry_useful(&self) -> bool {
        match self.kind {
            // There may be none yet.
            Kind::Refused => matches!(self.code(), "transcript_not_found" | "calendar_not_found"),
            Kind::PortInUse(_)
            | Kind::Unreachable
            | Kind::ServiceFailing
            | Kind::UnexpectedResponse
            | Kind::OutcomeUnknown
            | Kind::CallOpen
            | Kind::JournalUnavailable
            | Kind::Interrupted(_)
            | Kind::Io => true,
            Kind::Usage
            | Kind::InvalidInput
            | Kind::EmergencyNumber
            | Kind::NotSignedIn
            | Kind::AccessToken
            | Kind::SignInFailed
            | Kind::TokenFileUnreadable
            | Kind::TokenFile
            | Kind::WrongIssuer
            | Kind::CallNotFound
            | Kind::NoCalls
            | Kind::ResultUnwritten
            | Kind::AlreadyDone
            | Kind::NothingToResume
            | Kind::ClosedPipe => false,
        }
    }

    /// What comes next.
    pub fn next(&self) -> Next<'_> {
        match self.kind {
            Kind::NotSignedIn | Kind::SignInFailed | Kind::TokenFileUnreadable | Kind::WrongIssuer => {
                Next::SignIn
            }
            Kind::Refused if self.exit() == 4 => Next::SignIn,
            Kind::Refused => match (self.code(), &self.facts.call_id) {
                ("transcript_not_found" | "calendar_not_found", Some(id)) => Next::ShowCall(id),
                ("call_not_found", _) => Next::History,
                _ => Next::Nothing,
            },
            Kind::Interrupted(_) if self.facts.key.is_none() && self.facts.cut_sign_in => Next::SignIn,
            Kind::OutcomeUnknown | Kind::ResultUnwritten | Kind::CallOpen | Kind::Interrupted(_) => {
                self.next_of_call()
            }
            Kind::AlreadyDone => match (&self.facts.call_id, &self.facts.key) {
                (Some(id), _) => Next::ShowCall(id),
                (None, Some(key)) => Next::Resume(key),
                (None, None) => Next::History,
            },
            Kind::CallNotFound => Next::History,
            Kind::Usage
            | Kind::InvalidInput
            | Kind::EmergencyNumber
            | Kind::AccessToken
            | Kind::PortInUse(_)
            | Kind::TokenFile
            | Kind::Unreachable
            | Kind::ServiceFailing
            | Kind::NoCalls
            | Kind::UnexpectedResponse
            | Kind::NothingToResume
            | Kind::JournalUnavailable
            | Kind::Io
            | Kind::ClosedPipe => Next::Nothing,
        }
    }

    fn next_of_call(&self) -> Next<'_> {
        match (&self.facts.key, &self.facts.call_id) {
            (Some(key), _) => Next::Resume(key),
            // A call that another device or program placed.
            (None, Some(id)) => Next::ShowCall(id),
            (None, None) => Next::Nothing,
        }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        let kind = match &invalid {
            Invalid::Value { .. } => Kind::InvalidInput,
            Invalid::Emergency(_) => Kind::EmergencyNumber,
        };
        Self::new(kind, invalid.to_string()).with_hint(invalid.hint())
    }
}

impl From<api::Error> for Error {
    fn from(error: api::Error) -> Self {
        let message = error.to_string();
        let mut facts = Facts { http_status: error.http_status(), ..Facts::default() };
        let kind = match error {
            api::Error::Setup(invalid) => return invalid.into(),
            api::Error::NotSent(_) | api::Error::Unreachable(_) => Kind::Unreachable,
            api::Error::Failing { correlation_id, retry_after, .. } => {
                facts.correlation_id = correlation_id;
                facts.retry_after = retry_after.map(|wait| wait.as_secs());
                Kind::ServiceFailing
            }
            api::Error::Refused(refusal) => {
                facts.server_code = Some(refusal.code().to_owned());
                facts.upgrade_url = refusal.upgrade_url().map(str::to_owned);
                facts.correlation_id = refusal.correlation_id;
                Kind::Refused
            }
            api::Error::Unauthorized => Kind::NotSignedIn,
            api::Error::UnexpectedResponse { .. } => Kind::UnexpectedResponse,
        };
        Self { kind, message, facts: Box::new(facts) }
    }
}

impl From<auth::Error> for Error {
    fn from(error: auth::Error) -> Self {
        let message = error.to_string();
        let kind = match error {
            auth::Error::NotSignedIn(_) => Kind::NotSignedIn,
            auth::Error::AccessToken(_) => Kind::AccessToken,
            auth::Error::SignInFailed(_) => Kind::SignInFailed,
            auth::Error::PortInUse(port) => Kind::PortInUse(port),
            auth::Error::TokenFile { replaceable: true, .. } => Kind::TokenFileUnreadable,
            auth::Error::TokenFile { replaceable: false, .. } => Kind::TokenFile,
            auth::Error::WrongIssuer { .. } => Kind::WrongIssuer,
            auth::Error::Busy => Kind::Unreachable,
            auth::Error::Api(error) => return error.into(),
        };
        Self::new(kind, message)
    }
}
