//! One call in the journal: the content of its file.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{Call, Fields, Page, Parsed};
use crate::domain::{CallId, CallRequest, Key};
use crate::error::Error;

/// A worker touches its call's file every 15 s. A file untouched for this long has no worker.
const ALIVE: Duration = Duration::from_secs(60);

/// A call that may have been sent. Unknown fields in the file are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Key,
    /// The service's origin, or `sandbox`.
    pub origin: String,
    /// A random ID, so that two processes with the same key never change each other's file.
    pub reservation: String,
    /// The body of the request.
    pub request: Fields,
    pub reserved_at: Timestamp,
    /// When the request was last sent: later than `reserved_at` if it was resent.
    pub sent_at: Timestamp,
    /// The result of the history lookup before the call, or `None` if the lookup failed.
    pub lookup: Option<Lookup>,
    pub state: State,
    pub call_id: Option<CallId>,
    /// The ended call, as the service returned it.
    pub result: Option<Value>,
    pub ended_at: Option<Timestamp>,
    /// The reason why the call was not made.
    pub error: Option<Error>,
    /// Whether the user has seen the result.
    pub shown: bool,
    /// When the file was last modified, if the entry was read from a file.
    #[serde(skip)]
    pub touched: Option<SystemTime>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The result of the history lookup before a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// The service's clock minus this computer's, in seconds.
    pub clock_difference: i64,
    /// IDs of the calls that the history already listed.
    pub listed: Vec<CallId>,
}

impl Lookup {
    /// Creates a lookup from a page of the history that has just arrived.
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

/// The state of a call. An unknown state, from a newer version, counts as open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The request is being sent or was sent, and no response has arrived yet.
    Sent,
    /// The response was lost: the call may have been made.
    Lost,
    Running,
    Ended,
    /// The service refused the call, or definitely did not accept it.
    NotMade,
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
            request: Fields::of_request(request),
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

    /// Returns whether the call may still be in progress.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Ended | State::NotMade)
    }

    /// Returns whether a worker process is handling the call.
    pub fn has_worker(&self) -> bool {
        let is_fresh = |at: SystemTime| at.elapsed().is_ok_and(|age| age < ALIVE);
        self.is_open() && self.touched.is_some_and(is_fresh)
    }

    /// Returns the recorded result, if the call has ended.
    pub fn ended(&self) -> Option<Parsed<Call>> {
        let result = self
            .result
            .as_ref()
            .filter(|_| self.state == State::Ended)?;
        Parsed::object(serde_json::to_vec(result).ok()?)
    }

    /// Returns the final status, if the call has ended.
    pub fn status(&self) -> Option<String> {
        let call = self.ended()?.value;
        Some(call.status_name())
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

    /// Records the ID of a running call. If the ID is new, drops the result recorded for the old one.
    pub fn set_running(&mut self, id: &CallId) {
        if self.call_id.as_ref() != Some(id) {
            self.call_id = Some(id.clone());
            (self.result, self.ended_at, self.shown) = (None, None, false);
            self.state = State::Running;
        }
        if self.is_open() {
            self.state = State::Running;
        }
    }

    /// Records a call as the service returned it.
    pub fn set_call(&mut self, call: &Parsed<Call>, now: Timestamp) {
        if let Ok(id) = call.value.call_id.parse() {
            self.set_running(&id);
        }
        if !call.value.is_running() {
            self.state = State::Ended;
            self.result = serde_json::from_slice(&call.raw).ok();
            let ended_at = call.value.ended_at().filter(|at| *at < now);
            self.ended_at = self.ended_at.or(ended_at).or(Some(now));
        }
    }
}
