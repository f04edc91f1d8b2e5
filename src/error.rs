//! Everything that can go wrong, as one type: a kind, a sentence and the facts. Each kind is one
//! row of a table.

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::{CallId, Invalid, Key};
use crate::signals::Signal;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// `Display` is the sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Error {
    pub kind: Kind,
    message: String,
    pub facts: Box<Facts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Usage,
    InvalidInput,
    EmergencyNumber,
    /// The user declined at the prompt.
    Cancelled,
    NotSignedIn,
    /// `KALLYAI_ACCESS_TOKEN` was rejected, or is in the way of a sign-in.
    AccessToken,
    SignInFailed,
    /// The URL is not the redirect of the pending sign-in, which stays valid.
    CallbackUrl,
    PortInUse,
    TokenFile,
    /// The credentials belong to another service.
    WrongIssuer,
    Unreachable,
    ServiceFailing,
    /// A certificate is not trusted.
    Certificate,
    /// A proxy refuses, or wants credentials.
    Proxy,
    /// The API refused the request; the code is the API's own.
    Refused,
    CallNotFound,
    UnexpectedResponse,
    OutcomeUnknown,
    /// `resume` has not found it out either.
    StillUnknown,
    InProgress,
    CallOpen,
    AlreadyDone,
    NothingToResume,
    JournalUnavailable,
    AddressInUse,
    Interrupted(Signal),
    Io,
    /// The reader of stdout is gone, which is not a failure.
    ClosedPipe,
}

/// The command that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Nothing,
    SignIn,
    /// The second step of a sign-in.
    FinishSignIn,
    Resume,
    ShowCall,
    History,
}

/// The consequences of an error for the caller.
struct Row {
    code: &'static str,
    exit: u8,
    /// Whether running the same command again cannot call someone twice.
    retry_safe: bool,
    next: Next,
    /// The hint unless the error brings its own.
    hint: &'static str,
    /// The hint in terms of MCP tools, if it differs.
    tool_hint: &'static str,
}

#[rustfmt::skip]
const fn row(kind: Kind) -> Row {
    const fn new(code: &'static str, exit: u8, retry_safe: bool, next: Next, hint: &'static str) -> Row {
        Row { code, exit, retry_safe, next, hint, tool_hint: "" }
    }
    const fn tools(row: Row, tool_hint: &'static str) -> Row {
        Row { tool_hint, ..row }
    }
    use Next::{FinishSignIn, History, Nothing, Resume, ShowCall, SignIn};
    match kind {
        Kind::Usage => new("usage", 2, true, Nothing, "see kallyai --help"),
        Kind::InvalidInput => new("invalid_input", 2, true, Nothing, ""),
        Kind::EmergencyNumber => tools(new("emergency_number", 2, true, Nothing, "in an emergency, dial the number yourself"), "tell the user to dial the number"),
        Kind::Cancelled => new("cancelled", 2, true, Nothing, ""),
        Kind::NotSignedIn => tools(new("not_signed_in", 4, true, SignIn, "sign in with the command below"), "call sign_in and give its URL to the user"),
        Kind::AccessToken => tools(new("not_signed_in", 4, true, SignIn, "unset KALLYAI_ACCESS_TOKEN or give it a valid token"), "ask the user to correct KALLYAI_ACCESS_TOKEN for this server"),
        Kind::SignInFailed => tools(new("sign_in_failed", 4, true, SignIn, "try again"), "ask for the whole URL, or call sign_in without arguments"),
        Kind::CallbackUrl => tools(new("sign_in_failed", 4, true, FinishSignIn, "paste the whole URL"), "ask for the whole URL, or call sign_in without arguments"),
        Kind::PortInUse => new("port_in_use", 4, true, SignIn, "close the program that uses the port, or choose another port"),
        Kind::TokenFile => new("token_file", 4, true, Nothing, "repair the file, or name another one with KALLYAI_TOKEN_FILE"),
        Kind::WrongIssuer => new("wrong_issuer", 4, true, Nothing, "name a file for this service's credentials with KALLYAI_TOKEN_FILE"),
        Kind::Unreachable => new("unreachable", 3, true, Nothing, "check the network, then try again"),
        Kind::ServiceFailing => new("service_failing", 3, true, Nothing, "try again later"),
        Kind::Certificate => new("certificate", 1, true, Nothing, "name the CA's certificate file with SSL_CERT_FILE"),
        Kind::Proxy => new("proxy", 1, true, Nothing, "check the proxy variable"),
        Kind::Refused => new("refused", 1, true, Nothing, ""),
        Kind::CallNotFound => tools(new("call_not_found", 1, true, History, "list your calls to find the ID"), "take an ID from list_calls"),
        Kind::UnexpectedResponse => tools(new("unexpected_response", 1, true, Nothing, "try again, and with --debug if it stays"), "try again, and tell the user if it stays"),
        Kind::OutcomeUnknown => tools(new("outcome_unknown", 6, false, Resume, "do not call again: get the result with the command below"), "do not call again: get the result with next_tool"),
        Kind::StillUnknown => tools(new("outcome_unknown", 6, false, History, "do not call again: look for it among your past calls"), "do not call again: look for it with list_calls"),
        Kind::InProgress => tools(new("in_progress", 6, false, Resume, "get the result with the command below"), "do not call again: call get_call_result until it has ended"),
        Kind::CallOpen => tools(new("call_open", 6, false, Resume, "get its result with the command below, or add --again to call anyway"), "get its result, or ask the user and set again: true to call anyway"),
        Kind::AlreadyDone => tools(new("already_done", 6, false, ShowCall, "for a different request, a change or a cancellation, add --again"), "for a different request, a change or a cancellation, ask the user and set again: true"),
        Kind::NothingToResume => tools(new("nothing_to_resume", 1, true, History, "see your past calls with the command below"), "see past calls with list_calls"),
        Kind::JournalUnavailable => new("journal_unavailable", 1, true, Nothing, "check the folder, or name another one with KALLYAI_STATE_DIR"),
        Kind::AddressInUse => new("address_in_use", 1, true, Nothing, "choose another address"),
        Kind::Interrupted(signal) => new("interrupted", signal.exit(), true, Resume, ""),
        Kind::Io => new("io", 1, true, Nothing, ""),
        Kind::ClosedPipe => new("closed_pipe", 0, true, Nothing, ""),
    }
}

/// The facts of an error beyond its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Replaces the hint of the kind.
    pub hint: Option<String>,
    /// The API's code of a refusal.
    pub server_code: Option<String>,
    pub http_status: Option<u16>,
    pub correlation_id: Option<String>,
    /// In seconds.
    pub retry_after: Option<u64>,
    /// The call's key, if it has a file in the call log. An interrupted command with a key left a
    /// call that continues.
    pub key: Option<Key>,
    pub call_id: Option<CallId>,
    /// The calls that a lost one may be.
    pub candidates: Vec<CallId>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            facts: Box::default(),
        }
    }

    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message).with_hint(hint)
    }

    /// A failed read or write: `what` says what was tried, such as "can't read notes.txt".
    pub fn io(what: impl std::fmt::Display, source: &io::Error) -> Self {
        Self::new(Kind::Io, format!("{what}: {}", io_reason(source)))
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.facts.hint = Some(hint.into());
        self
    }

    /// Adds the call that the error is about.
    pub fn about(mut self, key: Option<&Key>, call_id: Option<&CallId>) -> Self {
        self.facts.key = key.cloned();
        self.facts.call_id = call_id.cloned();
        self
    }

    /// Adds the key of the call that the error is about.
    pub fn of_key(mut self, key: &Key) -> Self {
        self.facts.key = Some(key.clone());
        self
    }

    /// Whether the key was reserved before. A call that this process has sent is named by its ID.
    pub fn is_in_progress_under(&self, key: &Key) -> bool {
        let has_id = self.facts.call_id.is_some();
        self.kind == Kind::InProgress && self.facts.key.as_ref() == Some(key) && !has_id
    }

    /// The stable name that programs match on.
    pub fn code(&self) -> &str {
        match (self.kind, self.facts.server_code.as_deref()) {
            (Kind::Refused, Some(code)) => code,
            (kind, _) => row(kind).code,
        }
    }

    /// The exit status: one per code.
    pub fn exit(&self) -> u8 {
        match (self.kind, self.code()) {
            (Kind::Refused, "quota_exceeded") => 5,
            (Kind::Refused, "missing_token") => 4,
            (Kind::Refused, "emergency_number") => 2,
            (kind, _) => row(kind).exit,
        }
    }

    /// Whether running the same command again cannot call someone twice.
    pub fn retry_safe(&self) -> bool {
        let is_continuing =
            matches!(self.kind, Kind::Interrupted(_) | Kind::Io) && self.facts.key.is_some();
        row(self.kind).retry_safe && !is_continuing
    }

    pub fn hint(&self) -> &str {
        self.facts.hint.as_deref().unwrap_or(row(self.kind).hint)
    }

    /// The hint in terms of MCP tools.
    pub fn tool_hint(&self) -> &str {
        match (row(self.kind).tool_hint, self.kind, self.next()) {
            ("", Kind::Refused, Next::SignIn) => row(Kind::NotSignedIn).tool_hint,
            ("", Kind::Refused, Next::History) => row(Kind::CallNotFound).tool_hint,
            ("", Kind::Refused, Next::ShowCall) => "see the call's status with get_call",
            ("", _, _) => self.hint(),
            (hint, _, _) => hint,
        }
    }

    /// The command that comes next. One that needs a fact which is missing becomes `history`.
    pub fn next(&self) -> Next {
        let next = match (self.kind, self.code()) {
            (Kind::Refused, "missing_token" | "forbidden") => Next::SignIn,
            (Kind::Refused, "transcript_not_found" | "calendar_not_found") => Next::ShowCall,
            (Kind::Refused, "call_not_found") => Next::History,
            (Kind::Io, _) if self.facts.key.is_some() => Next::Resume,
            (kind, _) => row(kind).next,
        };
        let has_call = self.facts.call_id.is_some();
        match next {
            // A call that the local log does not know, such as another computer's, is resumed by its ID.
            Next::Resume if self.facts.key.is_some() || has_call => Next::Resume,
            Next::ShowCall if has_call => Next::ShowCall,
            Next::ShowCall if self.facts.key.is_some() => Next::Resume,
            // Nothing was left behind.
            Next::Resume if matches!(self.kind, Kind::Interrupted(_)) => Next::Nothing,
            Next::Resume | Next::ShowCall => Next::History,
            next => next,
        }
    }
}

/// The system's reason in lower case, without its number: "permission denied".
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        let kind = if invalid.is_emergency() {
            Kind::EmergencyNumber
        } else {
            Kind::InvalidInput
        };
        Self::new(kind, invalid.to_string()).with_hint(invalid.hint())
    }
}
