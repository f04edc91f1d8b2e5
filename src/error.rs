//! The error type: a kind, a message and optional details. A table maps each kind of error to its
//! error code, exit status, hint and suggested command.

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::{CallId, Invalid, Key};
use crate::signals::Signal;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error to show to the user. `Display` prints only the message, without the details.
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
    /// `KALLYAI_ACCESS_TOKEN` was rejected, or must be unset before signing in.
    AccessToken,
    SignInFailed,
    /// The pasted URL does not belong to the pending sign-in, which remains valid.
    CallbackUrl,
    PortInUse,
    TokenFile,
    /// The credentials belong to another service.
    WrongIssuer,
    Unreachable,
    ServiceFailing,
    Certificate,
    Proxy,
    /// The API rejected the request. The error code comes from the API.
    Refused,
    CallNotFound,
    UnexpectedResponse,
    OutcomeUnknown,
    /// The `resume` command looked for the call, but its outcome is still unknown.
    StillUnknown,
    InProgress,
    /// The key was already used for the same request. The user can resume that call.
    KeyUsed {
        /// Whether that call may still be in progress.
        is_open: bool,
    },
    CallOpen,
    AlreadyDone,
    NothingToResume,
    JournalUnavailable,
    AddressInUse,
    Interrupted(Signal),
    Io,
    /// The program that reads stdout closed the pipe, as `head` does. This is not a failure.
    ClosedPipe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Nothing,
    SignIn,
    FinishSignIn,
    Resume,
    ShowCall,
    History,
}

struct Row {
    code: &'static str,
    exit: u8,
    next: Next,
    hint: &'static str,
    /// The hint for MCP clients. If it is empty, they get `hint`.
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
        Kind::EmergencyNumber => new("emergency_number", 2, Nothing, "in an emergency, dial the number yourself", "in an emergency, tell the user to dial the number directly"),
        Kind::Cancelled => new("cancelled", 2, Nothing, "", ""),
        Kind::NotSignedIn => new("not_signed_in", 4, SignIn, "sign in with the command below", "call sign_in and give the user the URL that it returns"),
        Kind::AccessToken => new("not_signed_in", 4, SignIn, "unset KALLYAI_ACCESS_TOKEN or set it to a valid token", "ask the user to set KALLYAI_ACCESS_TOKEN for this MCP server to a valid token"),
        Kind::SignInFailed => new("sign_in_failed", 4, SignIn, "try signing in again", "call auth_status, and if the user is not signed in, call sign_in without arguments"),
        Kind::CallbackUrl => new("sign_in_failed", 4, FinishSignIn, "paste the whole URL from the browser's address bar", "ask the user for the whole URL, or call sign_in without arguments to start over"),
        Kind::PortInUse => new("port_in_use", 4, SignIn, "close the program that is using the port, or choose another port", ""),
        Kind::TokenFile => new("token_file", 4, Nothing, "repair the credentials file, or set KALLYAI_TOKEN_FILE to another file", ""),
        Kind::WrongIssuer => new("wrong_issuer", 4, Nothing, "set KALLYAI_TOKEN_FILE to a file with credentials for this service", ""),
        Kind::Unreachable => new("unreachable", 3, Nothing, "check your network connection, then try again", ""),
        Kind::ServiceFailing => new("service_failing", 3, Nothing, "try again later", ""),
        Kind::Certificate => new("certificate", 1, Nothing, "set SSL_CERT_FILE to a PEM file with the CA's certificate", ""),
        Kind::Proxy => new("proxy", 1, Nothing, "", ""),
        Kind::Refused => new("refused", 1, Nothing, "", ""),
        Kind::CallNotFound => new("call_not_found", 1, History, "list your calls to find the ID", "use a key from list_pending_calls or an ID from list_calls"),
        Kind::UnexpectedResponse => new("unexpected_response", 1, Nothing, "try again, and add --debug if the error persists", "try again, and tell the user if the error persists"),
        Kind::OutcomeUnknown => new("outcome_unknown", 6, Resume, "do not call again: get the result with the command below", "do not repeat place_call: get the result with the tool in next_tool"),
        Kind::StillUnknown => new("outcome_unknown", 6, History, "do not call again: look for the call in your history", "do not repeat place_call: use list_calls to look for the call"),
        Kind::InProgress | Kind::KeyUsed { is_open: true } => new("in_progress", 6, Resume, "get the result with the command below", "do not repeat place_call: keep calling get_call_result until the call has ended"),
        Kind::KeyUsed { is_open: false } => new("already_done", 6, ShowCall, "get the result with the command below", "get the result with the tool in next_tool"),
        Kind::CallOpen => new("call_open", 6, Resume, "get the result with the command below, or add --again to call a second time", "get the result with the tool in next_tool, and pass again=true only if the user asks for a second call"),
        Kind::AlreadyDone => new("already_done", 6, ShowCall, "use that result, or add --again for a different request, a change or a cancellation", "use that result, or ask the user and pass again=true for a different request, a change or a cancellation"),
        Kind::NothingToResume => new("nothing_to_resume", 1, History, "list your past calls with the command below", "list past calls with list_calls"),
        Kind::JournalUnavailable => new("journal_unavailable", 1, Nothing, "", ""),
        Kind::AddressInUse => new("address_in_use", 1, Nothing, "choose another address or port", ""),
        Kind::Interrupted(signal) => new("interrupted", signal.exit(), Resume, "", ""),
        Kind::Io => new("io", 1, Nothing, "", ""),
        Kind::ClosedPipe => new("closed_pipe", 0, Nothing, "", ""),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Overrides the default hint for this kind of error.
    pub hint: Option<String>,
    pub server_code: Option<String>,
    pub http_status: Option<u16>,
    pub correlation_id: Option<String>,
    /// The call's key, if the call is in the call log. If an interrupted command reports a key, its
    /// call continues.
    pub key: Option<Key>,
    pub call_id: Option<CallId>,
    /// The IDs of all matching calls, if an ID prefix or a lost request matches several.
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

    /// Sets the key and the ID of the call that the error is about, if they are known.
    pub fn about(mut self, key: Option<&Key>, call_id: Option<&CallId>) -> Self {
        self.facts.key = key.cloned().or(self.facts.key);
        self.facts.call_id = call_id.cloned().or(self.facts.call_id);
        self
    }

    /// Adds the reason to the message.
    pub fn because(mut self, reason: impl std::fmt::Display) -> Self {
        self.message = format!("{self}: {reason}");
        self
    }

    /// Returns the error code. It must never change, because other programs match on it.
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

    /// Returns whether the same command can be run again without the risk of calling someone twice.
    pub fn retry_safe(&self) -> bool {
        let is_cut_short = matches!(self.kind, Kind::Interrupted(_) | Kind::Io);
        self.exit() != 6 && !(is_cut_short && self.facts.key.is_some())
    }

    pub fn hint(&self) -> &str {
        self.facts.hint.as_deref().unwrap_or(row(self.kind).hint)
    }

    pub fn tool_hint(&self) -> &str {
        match (row(self.kind).tool_hint, self.kind, self.next()) {
            ("", Kind::Refused, Next::SignIn) => row(Kind::NotSignedIn).tool_hint,
            ("", Kind::Refused, Next::History) => row(Kind::CallNotFound).tool_hint,
            ("", Kind::Refused, Next::ShowCall) => "check the call's status with get_call",
            // If several calls match, ask for a longer ID instead of suggesting a tool that lists
            // calls.
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
            // A call that was made on another computer has no local key and is resumed by its ID.
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

/// Returns the operating system's error text, starting in lower case, without the error number.
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
