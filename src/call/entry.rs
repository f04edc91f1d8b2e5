//! One call in the journal: the content of its file.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{Call, Page, Parsed};
use crate::domain::{CallId, CallRequest, Key};
use crate::error::Error;

/// A worker touches its file every 15 s. A file untouched for longer than this has no worker.
const ALIVE: Duration = Duration::from_secs(60);

/// A call that may have been sent. Unknown fields are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Key,
    /// The service's origin, or `sandbox`.
    pub origin: String,
    /// A random number that identifies this reservation, so a process never changes the file of
    /// another one that uses the same key.
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
    /// When the request was last sent. Later than `reserved_at` after a 401 or 429.
    pub sent_at: Timestamp,
    /// The history lookup before the call, unless it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<Lookup>,
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// The ended call, as the service returned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The reason why the call was not made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// Whether the user has seen the result.
    #[serde(default)]
    pub shown: bool,
    /// When the file was last touched, if the entry was read from one.
    #[serde(skip)]
    pub touched: Option<SystemTime>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A history lookup before the call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// The service's clock minus this computer's, in seconds.
    pub clock_difference: i64,
    /// IDs of the calls that were already listed.
    pub listed: Vec<CallId>,
}

impl Lookup {
    /// A lookup whose response just arrived.
    pub fn of_page(page: &Page) -> Self {
        let now = Timestamp::now();
        let difference = page.date.map(|date| date.duration_since(now).as_secs());
        let ids = page.calls.iter().map(|(_, call)| call.call_id.parse());
        Self {
            clock_difference: difference.unwrap_or_default(),
            listed: ids.flatten().collect(),
        }
    }
}

/// The states of a call. An unknown state counts as open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The request may have been sent, and the response has not arrived yet.
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

impl Entry {
    /// Creates the entry for a call that is about to be made.
    pub fn new(key: Key, origin: String, request: &CallRequest, now: Timestamp) -> Self {
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
            lookup: None,
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

    /// Whether the call may still be in progress.
    pub fn is_open(&self) -> bool {
        !matches!(
            self.state,
            State::Ended | State::Refused | State::NotAccepted
        )
    }

    /// Whether a worker is running the call.
    pub fn has_worker(&self) -> bool {
        let is_fresh = |at: SystemTime| at.elapsed().is_ok_and(|age| age < ALIVE);
        self.is_open() && self.touched.is_some_and(is_fresh)
    }

    /// Returns the recorded result.
    pub fn ended(&self) -> Option<Parsed<Call>> {
        let result = self
            .result
            .as_ref()
            .filter(|_| self.state == State::Ended)?;
        let raw = serde_json::to_vec(result).ok()?;
        let value = serde_json::from_value(result.clone()).ok()?;
        Some(Parsed { value, raw })
    }

    /// Returns the status of a call that has ended.
    pub fn status(&self) -> Option<String> {
        let call = self.ended()?.value;
        Some(call.status_name().to_owned())
    }

    pub fn is_success(&self) -> bool {
        self.ended().is_some_and(|call| call.value.is_success())
    }

    /// Returns the recorded reason why the call was not made.
    pub fn not_made(&self) -> Option<Error> {
        let error = self.error.clone().filter(|_| !self.is_open())?;
        Some(error.about(Some(&self.key), None))
    }

    pub fn has_id(&self, id: &str) -> bool {
        let own = self.call_id.as_ref();
        own.is_some_and(|own| own.as_str().eq_ignore_ascii_case(id))
    }

    /// Records the call's ID. If it replaces another ID, that one's result is dropped.
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
}
