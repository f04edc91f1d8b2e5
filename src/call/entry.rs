//! One call of the journal: the content of its file.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{Call, Parsed};
use crate::domain::{CallId, CallRequest, Key};
use crate::error::{Error, Kind};

/// The worker touches its file every 15 s. An older file has no worker.
const ALIVE: Duration = Duration::from_secs(60);

/// A call that may have been sent. Members that this version does not know are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Key,
    /// The service's origin, or `sandbox`.
    pub origin: String,
    /// A random number: the file is changed only by processes that made or read this very one.
    pub reservation: String,
    pub number: String,
    pub task: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party_size: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    pub reserved_at: Timestamp,
    /// The last sending, which is later than `reserved_at` after a 401 or 429.
    pub sent_at: Timestamp,
    /// The look at the history before the call, unless it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// The call as the service gave it at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The reason why the call was not made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Recorded>,
    /// Whether the user has seen the result.
    #[serde(default)]
    pub shown: bool,
    /// When the file was last touched, if the entry was read from one.
    #[serde(skip)]
    pub touched: Option<SystemTime>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The look at the history before the call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The service's clock minus this computer's, in seconds.
    pub clock_difference: i64,
    /// Calls that were there already.
    pub listed: Vec<CallId>,
}

/// The states of a call. One that this version does not know counts as open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The request may have arrived, and its response is awaited.
    Sent,
    /// The response was lost: the call may have been made.
    Lost,
    Running,
    Ended,
    Refused,
    /// The service certainly did not accept the call.
    NotAccepted,
    #[serde(untagged)]
    Unknown(String),
}

/// An error, as a file keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    pub code: String,
    pub message: String,
    pub http_status: Option<u16>,
}

impl Entry {
    /// The entry of a call that is about to be made.
    pub fn new(
        key: Key,
        origin: String,
        request: &CallRequest,
        look: Option<Look>,
        now: Timestamp,
    ) -> Self {
        Self {
            key,
            origin,
            reservation: format!("{:016x}", rand::rng().next_u64()),
            number: request.phone.as_str().to_owned(),
            task: request.task.clone(),
            name: request.fields.name.clone(),
            party_size: request.fields.party_size,
            date: request.date().map(|date| date.to_string()),
            time: request.fields.time.map(|time| time.to_string()),
            reserved_at: now,
            sent_at: now,
            look,
            state: State::Sent,
            call_id: None,
            result: None,
            ended_at: None,
            error: None,
            shown: false,
            touched: None,
            other: Map::new(),
        }
    }

    /// Whether the call may still be under way.
    pub fn is_open(&self) -> bool {
        !matches!(
            self.state,
            State::Ended | State::Refused | State::NotAccepted
        )
    }

    /// Whether a worker is at work on the call.
    pub fn has_worker(&self) -> bool {
        let is_fresh = |at: SystemTime| at.elapsed().is_ok_and(|age| age < ALIVE);
        self.is_open() && self.touched.is_some_and(is_fresh)
    }

    /// The recorded end.
    pub fn ended(&self) -> Option<Parsed<Call>> {
        let result = self
            .result
            .as_ref()
            .filter(|_| self.state == State::Ended)?;
        let raw = serde_json::to_vec(result).ok()?;
        let value = serde_json::from_value(result.clone()).ok()?;
        Some(Parsed { value, raw })
    }

    pub fn is_success(&self) -> bool {
        self.ended().is_some_and(|call| call.value.is_success())
    }

    /// The recorded reason why the call was not made.
    pub fn not_made(&self) -> Option<Error> {
        let recorded = self.error.as_ref().filter(|_| !self.is_open())?;
        let kind = match recorded.code.as_str() {
            "not_signed_in" => Kind::NotSignedIn,
            "unreachable" => Kind::Unreachable,
            "service_failing" => Kind::ServiceFailing,
            "journal_unavailable" => Kind::JournalUnavailable,
            _ => Kind::Refused,
        };
        let mut error = Error::new(kind, &recorded.message).about(Some(&self.key), None);
        error.facts.http_status = recorded.http_status;
        error.facts.server_code = (kind == Kind::Refused).then(|| recorded.code.clone());
        Some(error)
    }

    /// Records the ID of the call, which may replace another one with its result.
    fn set_id(&mut self, id: &CallId) {
        if self.call_id.as_ref() != Some(id) {
            self.call_id = Some(id.clone());
            self.state = State::Running;
            (self.result, self.ended_at) = (None, None);
            self.shown = false;
        }
    }

    pub fn set_running(&mut self, id: &CallId) {
        self.set_id(id);
        if self.is_open() {
            self.state = State::Running;
        }
    }

    pub fn set_ended(&mut self, call: &Parsed<Call>, now: Timestamp) {
        if let Ok(id) = call.value.call_id.parse() {
            self.set_id(&id);
        }
        self.state = State::Ended;
        self.result = serde_json::from_slice(&call.raw).ok();
        let ended_at = call.value.ended_at().filter(|at| *at < now);
        self.ended_at = self.ended_at.or(ended_at).or(Some(now));
    }

    pub fn set_not_made(&mut self, state: State, error: &Error) {
        self.state = state;
        self.error = Some(Recorded {
            code: error.code().to_owned(),
            message: error.to_string(),
            http_status: error.facts.http_status,
        });
    }
}
