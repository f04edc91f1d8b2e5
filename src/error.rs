//! The error type: a kind, a message and optional facts. A table maps each kind to its error code,
//! exit status, hint and next command.

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::{CallId, Invalid, Key};
use crate::signals::Signal;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error. `Display` prints only its message for the user.
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
    /// `KALLYAI_ACCESS_TOKEN` was rejected, or must be unset before a sign-in.
    AccessToken,
    SignInFailed,
    /// The pasted URL does not belong to the pending sign-in, which stays valid.
    CallbackUrl,
    PortInUse,
    TokenFile,
    /// The credentials belong to another service.
    WrongIssuer,
    Unreachable,
    ServiceFailing,
    /// The server's certificate is not trusted.
    Certificate,
    /// The proxy rejected the connection or requires credentials.
    Proxy,
    /// The API rejected the request. The error code comes from the API.
    Refused,
    CallNotFound,
    UnexpectedResponse,
    OutcomeUnknown,
    /// `resume` could not determine the outcome either.
    StillUnknown,
    InProgress,
    /// The key was already used for this request, so that call can be followed.
    KeyInUse,
    CallOpen,
    AlreadyDone,
    NothingToResume,
    JournalUnavailable,
    AddressInUse,
    Interrupted(Signal),
    Io,
    /// The reader of stdout closed the pipe, which is not a failure.
    ClosedPipe,
}

/// The command to suggest after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Nothing,
    SignIn,
    /// The second step of a two-step sign-in.
    FinishSignIn,
    Resume,
    ShowCall,
    History,
}

/// The table row for a kind of error.
struct Row {
    code: &'static str,
    exit: u8,
    next: Next,
    /// The default hint. [`Facts::hint`] overrides it.
    hint: &'static str,
    /// The hint for MCP clients, or "" if it is the same.
    tool_hint: &'static str,
}

#[rustfmt::skip]
const fn row(kind: Kind) -> Row {
    const fn new(code: &'static str, exit: u8, next: Next, hint: &'static str, tool_hint: &'static str) -> Row {
        Row { code, exit, next, hint, tool_hint }
    }
    use Next::{FinishSignIn, History, Nothing, Resume, ShowCall, SignIn};
    match kind {
        Kind::Usage => new("usage", 2, Nothing, "see kallyai --help", ""),
        Kind::InvalidInput => new("invalid_input", 2, Nothing, "", ""),
        Kind::EmergencyNumber => new("emergency_number", 2, Nothing, "in an emergency, dial the number yourself", "tell the user to dial the number"),
        Kind::Cancelled => new("cancelled", 2, Nothing, "", ""),
        Kind::NotSignedIn => new("not_signed_in", 4, SignIn, "sign in with the command below", "call sign_in and give its URL to the user"),
        Kind::AccessToken => new("not_signed_in", 4, SignIn, "unset KALLYAI_ACCESS_TOKEN or give it a valid token", "ask the user to correct KALLYAI_ACCESS_TOKEN for this server"),
        Kind::SignInFailed => new("sign_in_failed", 4, SignIn, "try again", "call auth_status, then sign_in without arguments if the user is not signed in"),
        Kind::CallbackUrl => new("sign_in_failed", 4, FinishSignIn, "paste the whole URL", "ask the user for the whole URL, or call sign_in without arguments"),
        Kind::PortInUse => new("port_in_use", 4, SignIn, "close the program that uses the port, or choose another port", ""),
        Kind::TokenFile => new("token_file", 4, Nothing, "repair the file, or set KALLYAI_TOKEN_FILE to another one", ""),
        Kind::WrongIssuer => new("wrong_issuer", 4, Nothing, "set KALLYAI_TOKEN_FILE to a file with this service's credentials", ""),
        Kind::Unreachable => new("unreachable", 3, Nothing, "check the network, then try again", ""),
        Kind::ServiceFailing => new("service_failing", 3, Nothing, "try again later", ""),
        Kind::Certificate => new("certificate", 1, Nothing, "set SSL_CERT_FILE to the CA's certificate file", ""),
        Kind::Proxy => new("proxy", 1, Nothing, "check the proxy variable", ""),
        Kind::Refused => new("refused", 1, Nothing, "", ""),
        Kind::CallNotFound => new("call_not_found", 1, History, "list your calls to find the ID", "take a key from list_pending_calls or an ID from list_calls"),
        Kind::UnexpectedResponse => new("unexpected_response", 1, Nothing, "try again, and add --debug if it keeps happening", "try again, and tell the user if it keeps happening"),
        Kind::OutcomeUnknown => new("outcome_unknown", 6, Resume, "do not call again: get the result with the command below", "do not call again: get the result with next_tool"),
        Kind::StillUnknown => new("outcome_unknown", 6, History, "do not call again: look for it among your past calls", "do not call again: look for it with list_calls"),
        Kind::InProgress | Kind::KeyInUse => new("in_progress", 6, Resume, "get the result with the command below", "do not call again: call get_call_result until the call has ended"),
        Kind::CallOpen => new("call_open", 6, Resume, "get its result with the command below, and add --again only to call a second time", "get its result with next_tool, and set again: true only if the user asks for a second call"),
        Kind::AlreadyDone => new("already_done", 6, ShowCall, "use that result; to ask for something else, or to change or cancel it, add --again", "use that result; to ask for something else, or to change or cancel it, set again: true with the user's consent"),
        Kind::NothingToResume => new("nothing_to_resume", 1, History, "see your past calls with the command below", "see past calls with list_calls"),
        Kind::JournalUnavailable => new("journal_unavailable", 1, Nothing, "check the folder, or set KALLYAI_STATE_DIR to another one", ""),
        Kind::AddressInUse => new("address_in_use", 1, Nothing, "choose another address", ""),
        Kind::Interrupted(signal) => new("interrupted", signal.exit(), Resume, "", ""),
        Kind::Io => new("io", 1, Nothing, "", ""),
        Kind::ClosedPipe => new("closed_pipe", 0, Nothing, "", ""),
    }
}

/// Details of one error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Overrides the default hint of the kind.
    pub hint: Option<String>,
    /// The API's error code.
    pub server_code: Option<String>,
    pub http_status: Option<u16>,
    pub correlation_id: Option<String>,
    /// The call's key, if the call log has a file for it. After an interruption, a key means that
    /// the call continues.
    pub key: Option<Key>,
    pub call_id: Option<CallId>,
    /// The calls that could be meant, if a lost request or an ID prefix matches several.
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

    /// Creates an error for failed I/O. `what` is the failure, for example "can't read a.txt".
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

    /// Returns the stable name that programs match on.
    pub fn code(&self) -> &str {
        match (self.kind, self.facts.server_code.as_deref()) {
            (Kind::Refused, Some(code)) => code,
            (kind, _) => row(kind).code,
        }
    }

    /// Returns the exit status. Errors with the same code have the same status.
    pub fn exit(&self) -> u8 {
        match (self.kind, self.code()) {
            (Kind::Refused, "quota_exceeded") => 5,
            (Kind::Refused, "missing_token") => 4,
            (Kind::Refused, "emergency_number") => 2,
            (kind, _) => row(kind).exit,
        }
    }

    /// Returns whether the same command can be run again without a risk of calling someone twice.
    pub fn retry_safe(&self) -> bool {
        let is_cut_short = matches!(self.kind, Kind::Interrupted(_) | Kind::Io);
        self.exit() != 6 && !(is_cut_short && self.facts.key.is_some())
    }

    pub fn hint(&self) -> &str {
        self.facts.hint.as_deref().unwrap_or(row(self.kind).hint)
    }

    /// Returns the hint for MCP clients.
    pub fn tool_hint(&self) -> &str {
        match (row(self.kind).tool_hint, self.kind, self.next()) {
            ("", Kind::Refused, Next::SignIn) => row(Kind::NotSignedIn).tool_hint,
            ("", Kind::Refused, Next::History) => row(Kind::CallNotFound).tool_hint,
            ("", Kind::Refused, Next::ShowCall) => "see the call's status with get_call",
            // The candidates are more helpful than a list of all calls.
            (_, Kind::CallNotFound, _) if !self.facts.candidates.is_empty() => self.hint(),
            ("", _, _) => self.hint(),
            (hint, _, _) => hint,
        }
    }

    /// Returns the command to suggest. Falls back to `history` if the command needs a key or call
    /// ID that the error does not have.
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
            // A call from another computer is not in the local log and is resumed by its ID.
            Next::Resume if self.facts.key.is_some() || has_call => Next::Resume,
            Next::ShowCall if has_call => Next::ShowCall,
            Next::ShowCall if self.facts.key.is_some() => Next::Resume,
            // The command was interrupted before it made a call, so there is nothing to resume.
            Next::Resume if matches!(self.kind, Kind::Interrupted(_)) => Next::Nothing,
            Next::Resume | Next::ShowCall => Next::History,
            next => next,
        }
    }
}

/// Returns the operating system's message in our style, for example "permission denied".
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.collect::<String>() + chars.as_str()
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        let kind = match invalid.is_emergency {
            true => Kind::EmergencyNumber,
            false => Kind::InvalidInput,
        };
        Self::new(kind, invalid.to_string()).with_hint(invalid.hint())
    }
}
