//! Why a request brought no result.

use std::time::Duration;

use super::refusal::Refusal;
use crate::domain::Invalid;

/// A request without a result. `Display` is a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Error {
    /// Nothing could be sent: certificates or a proxy's address cannot be used.
    #[error(transparent)]
    Setup(#[from] Invalid),
    /// The request was certainly not sent: no connection could be made.
    #[error("{0}")]
    NotSent(String),
    /// No answer: the service was not reached, or did not answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// The service answered 429 or 5xx, however often it was asked.
    #[error("the service is failing: it answered {status}{}", message.as_ref().map(|m| format!(" ({m})")).unwrap_or_default())]
    Failing {
        /// The HTTP status of the last answer.
        status: u16,
        /// The server's own words.
        message: Option<String>,
        /// The server's name for this very failure.
        correlation_id: Option<String>,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// The API refused the request.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The service does not accept the token, and says no more.
    #[error("the service does not accept the login")]
    Unauthorized,
    /// An answer of a shape that is not documented.
    #[error("the service answered {status} with something unexpected: {excerpt}")]
    UnexpectedResponse {
        /// The HTTP status.
        status: u16,
        /// The first printable characters of the body, or what is wrong with it.
        excerpt: String,
    },
}

impl Error {
    /// The HTTP status of the answer, if there was one.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Setup(_) | Self::NotSent(_) | Self::Unreachable(_) => None,
            Self::Unauthorized => Some(401),
            Self::Refused(refusal) => Some(refusal.status),
            Self::Failing { status, .. } | Self::UnexpectedResponse { status, .. } => Some(*status),
        }
    }
}
