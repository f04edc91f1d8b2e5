//! Everything that can end a run badly: a sentence, a stable code, a hint and an exit status for each.

use std::io;
use std::time::Duration;

use crate::api::ApiError;
use crate::types::{IdempotencyKey, Invalid, shell_quoted};

/// A run's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run ended without its result. `Display` is the sentence for the person who reads it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line makes no sense as a whole.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// A value was refused before anything was sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no usable login.
    #[error("{0}")]
    NotSignedIn(String),
    /// `KALLYAI_ACCESS_TOKEN` stands in the way; no sign-in changes that.
    #[error("{0}")]
    GivenToken(String),
    /// A sign-in was begun and did not end in a login.
    #[error("{0}")]
    SignInFailed(String),
    /// The port of the sign-in callback belongs to another program.
    #[error("port {0} on this computer is in use, so the sign-in could not be received safely")]
    PortInUse(u16),
    /// The file that holds the login cannot be used.
    #[error("{message}")]
    TokenFile {
        /// What is wrong with it.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// No answer: the service was not reached, or did not answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// The service answered, with a failure of its own that persisted.
    #[error("the service is failing: it answered {status}{}", message.as_ref().map(|m| format!(" ({m})")).unwrap_or_default())]
    ServiceFailing {
        /// The HTTP status of the last answer: 429 or 5xx.
        status: u16,
        /// The server's own words.
        message: Option<String>,
        /// The server's name for this failure.
        correlation_id: Option<String>,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// The API refused the request.
    #[error(transparent)]
    Refused(Box<ApiError>),
    /// An ID prefix, or `last`, that names no single call.
    #[error("{0}")]
    NoSuchCall(String),
    /// An answer of a shape nobody documented.
    #[error("the service answered {status} with something unexpected: {excerpt}")]
    UnexpectedResponse {
        /// The HTTP status.
        status: u16,
        /// The first printable characters of the body, or what is wrong with it.
        excerpt: String,
    },
    /// A call was requested, and nobody knows what came of it.
    #[error("{message}")]
    OutcomeUnknown {
        /// What is known.
        message: String,
        /// The key that names the call.
        key: IdempotencyKey,
    },
    /// A call was made, and its result could not be written to stdout.
    #[error("the call was made, but its result could not be written ({why})")]
    ResultUnwritten {
        /// What the system said.
        why: String,
        /// The key that names the call.
        key: IdempotencyKey,
    },
    /// The same call was requested before and is not known to have ended.
    #[error("{message}")]
    CallOpen {
        /// Which one.
        message: String,
        /// The key that names it.
        key: IdempotencyKey,
    },
    /// `--resume`, and the journal holds nothing of the kind.
    #[error("{0}")]
    NothingToResume(String),
    /// There is no journal, or it cannot be written: a call would be unprotected.
    #[error("{0}")]
    JournalUnavailable(String),
    /// A signal ended the waiting.
    #[error("{}", match key {
        Some(_) => "stopped waiting; the call itself goes on",
        None => "interrupted",
    })]
    Interrupted {
        /// Which signal.
        signal: Signal,
        /// The key of the call that goes on.
        key: Option<IdempotencyKey>,
    },
    /// A file or a stream could not be read or written: what was tried, and what the system said.
    #[error("{0:#}")]
    Io(anyhow::Error),
    /// Whoever read our output has stopped reading: no failure at all.
    #[error("the reader of the output has gone")]
    ClosedPipe,
}

/// The signals that end a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The terminal has gone, or its window.
    HangUp,
    /// Ctrl-C.
    Interrupt,
    /// A polite kill; on Windows Ctrl-Break, or the end of the session.
    Terminate,
}

impl Error {
    /// A failed read or write of a file or stream.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io(anyhow::Error::new(source).context(what.into()))
    }

    /// A file of the login that cannot be used.
    pub fn token_file(path: &std::path::Path, what: &str) -> Self {
        Self::TokenFile {
            message: format!("the login file {} {what}", path.display()),
            hint: "repair or move that file, or name another with KALLYAI_TOKEN_FILE, then: kallyai --login"
                .into(),
        }
    }

    /// The stable name programs match on.
    pub fn code(&self) -> &str {
        match self {
            Self::Usage { .. } => "usage",
            Self::Invalid(Invalid::Value { .. }) => "invalid_input",
            Self::Invalid(Invalid::Emergency(_)) => "emergency_number",
            Self::NotSignedIn(_) | Self::GivenToken(_) => "not_signed_in",
            Self::SignInFailed(_) => "sign_in_failed",
            Self::PortInUse(_) => "port_in_use",
            Self::TokenFile { .. } => "token_file",
            Self::Unreachable(_) => "unreachable",
            Self::ServiceFailing { .. } => "service_failing",
            Self::Refused(error) => error.code(),
            Self::NoSuchCall(_) => "call_not_found",
            Self::UnexpectedResponse { .. } => "unexpected_response",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::CallOpen { .. } => "call_open",
            Self::NothingToResume(_) => "nothing_to_resume",
            Self::JournalUnavailable(_) => "journal_unavailable",
            Self::Interrupted { .. } => "interrupted",
            Self::ResultUnwritten { .. } | Self::Io(_) | Self::ClosedPipe => "io",
        }
    }

    /// The process's exit status, as documented in `--help`.
    pub fn exit(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Refused(error) => error.exit(),
            Self::NoSuchCall(_)
            | Self::UnexpectedResponse { .. }
            | Self::NothingToResume(_)
            | Self::JournalUnavailable(_)
            | Self::ResultUnwritten { .. }
            | Self::Io(_) => 1,
            Self::Usage { .. } | Self::Invalid(_) => 2,
            Self::Unreachable(_) | Self::ServiceFailing { .. } => 3,
            Self::NotSignedIn(_)
            | Self::GivenToken(_)
            | Self::SignInFailed(_)
            | Self::PortInUse(_)
            | Self::TokenFile { .. } => 4,
            Self::OutcomeUnknown { .. } | Self::CallOpen { .. } => 6,
            Self::Interrupted { signal, .. } => signal.exit(),
        }
    }

    /// What to do next; `program` is how this program is called (`kallyai`, or `kallyai --sandbox`).
    pub fn hint(&self, program: &str) -> Option<String> {
        let hint = match self {
            Self::Usage { hint, .. } | Self::TokenFile { hint, .. } => hint.clone(),
            Self::Invalid(invalid) => invalid.hint().to_owned(),
            Self::NotSignedIn(_) => {
                format!("sign in: {program} --login (where no browser can open: {program} --login --no-wait)")
            }
            Self::GivenToken(_) => "unset KALLYAI_ACCESS_TOKEN to sign in or to use the saved login, or replace it".into(),
            Self::SignInFailed(_) => format!("try again: {program} --login"),
            Self::PortInUse(port) => {
                let other = if *port == u16::MAX { port - 1 } else { port + 1 };
                format!(
                    "end the program that holds it, or take another: {program} --login --callback-port {other}"
                )
            }
            Self::Unreachable(_) => "check the network and any proxy, then run the same command again".into(),
            Self::ServiceFailing { retry_after: Some(wait), .. } => {
                format!("run the same command again in {} s", wait.as_secs().max(1))
            }
            Self::ServiceFailing { .. } => "wait a minute, then run the same command again".into(),
            Self::Refused(error) => error.hint(program),
            Self::NoSuchCall(_) => format!("copy an ID from {program} --history"),
            Self::UnexpectedResponse { .. } => {
                "run the command again with --debug to see the whole answer; a proxy may have sent it".into()
            }
            Self::OutcomeUnknown { key, .. } => {
                format!("do not place it again; learn how it ended: {}", resume(program, key))
            }
            Self::ResultUnwritten { key, .. } => {
                format!("do not place it again; print its result: {}", resume(program, key))
            }
            Self::CallOpen { key, .. } => format!(
                "learn how it ended: {} (to place a second call on purpose: the same command with --again)",
                resume(program, key)
            ),
            Self::NothingToResume(_) => format!("see the calls there were: {program} --history"),
            Self::JournalUnavailable(_) => {
                "make room, end the process that holds it, or name another folder with KALLYAI_STATE_DIR; then run it again"
                    .into()
            }
            Self::Interrupted { key: Some(key), .. } => {
                format!("learn how it ended: {}", resume(program, key))
            }
            Self::Interrupted { key: None, .. } => {
                "no call is under way; run the command again when you like".into()
            }
            Self::ClosedPipe => return None,
            Self::Io(_) => "check the path, its permissions and the free space".into(),
        };
        Some(hint)
    }

    /// Whether running the same command again cannot ring a phone a second time.
    pub fn retry_safe(&self) -> bool {
        !matches!(
            self,
            Self::OutcomeUnknown { .. }
                | Self::ResultUnwritten { .. }
                | Self::CallOpen { .. }
                | Self::Interrupted { key: Some(_), .. }
        )
    }

    /// The HTTP status, where an answer caused this.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Refused(error) => Some(error.status),
            Self::ServiceFailing { status, .. } | Self::UnexpectedResponse { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The server's name for this failure, to quote to its support.
    pub fn correlation_id(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => error.correlation_id.as_deref(),
            Self::ServiceFailing { correlation_id, .. } => correlation_id.as_deref(),
            _ => None,
        }
    }

    /// The key of the call this is about.
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        match self {
            Self::OutcomeUnknown { key, .. }
            | Self::ResultUnwritten { key, .. }
            | Self::CallOpen { key, .. } => Some(key),
            Self::Interrupted { key, .. } => key.as_ref(),
            _ => None,
        }
    }

    /// The exact command that comes next, for programs.
    pub fn next_command(&self, program: &str) -> Option<String> {
        match self {
            Self::NotSignedIn(_) | Self::SignInFailed(_) => Some(format!("{program} --login")),
            Self::Refused(error) if error.exit() == 4 => Some(format!("{program} --login")),
            _ => self.idempotency_key().map(|key| resume(program, key)),
        }
    }
}

impl Signal {
    /// 128 and the signal's number, as shells report it.
    pub fn exit(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// The command that learns how a call ended.
fn resume(program: &str, key: &IdempotencyKey) -> String {
    format!("{program} --resume {}", shell_quoted(key.as_str()))
}
