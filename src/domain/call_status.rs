//! How a call stands.

use serde::{Deserialize, Serialize};

use super::without_unseen;

/// A call's status. The set is open: a name that the service adds is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum CallStatus {
    /// It did what it was to do.
    Success,
    /// Nobody answered.
    NoAnswer,
    /// The line was engaged.
    Busy,
    /// It did not do what it was to do.
    Failed,
    /// A machine answered.
    Voicemail,
    /// It was called off.
    Cancelled,
    /// It was broken off.
    Terminated,
    /// It has begun and goes on, under this name: `in_progress`, `ringing` and the like.
    Running(String),
    /// A name that is not known here.
    Other(String),
}

/// How calls end, as the API documents it.
pub const STATUSES: [&str; 6] = ["success", "no_answer", "busy", "failed", "voicemail", "cancelled"];

/// The names under which a call has begun and not ended.
const RUNNING: &[&str] = &[
    "queued",
    "pending",
    "scheduled",
    "initiated",
    "dialing",
    "calling",
    "connecting",
    "ringing",
    "in_progress",
    "in-progress",
    "ongoing",
    "running",
    "started",
    "processing",
];

impl From<String> for CallStatus {
    fn from(name: String) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "success" => Self::Success,
            "no_answer" => Self::NoAnswer,
            "busy" => Self::Busy,
            "failed" => Self::Failed,
            "voicemail" => Self::Voicemail,
            "cancelled" => Self::Cancelled,
            "terminated" => Self::Terminated,
            running if RUNNING.contains(&running) => Self::Running(name),
            // What nobody sees could hide what must not be seen.
            _ => Self::Other(without_unseen(&name)),
        }
    }
}

impl From<CallStatus> for String {
    fn from(status: CallStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl CallStatus {
    /// The API's name for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Voicemail => "voicemail",
            Self::Cancelled => "cancelled",
            Self::Terminated => "terminated",
            Self::Running(name) | Self::Other(name) => name,
        }
    }
}
