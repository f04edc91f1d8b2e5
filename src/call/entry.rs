//! One call in the journal (the local call log), stored as one JSON file.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::{Call, Fields, Page, Parsed};
use crate::domain::{CallId, CallRequest, Key};
use crate::error::Error;

/// A worker that has not updated its call's file for this long is gone. Updates come every 15 s.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);

/// A call in the journal. Its request may have been sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Key,
    /// The origin of the service's URL, or `sandbox`.
    pub origin: String,
    /// A random ID. It keeps processes that use the same key from changing each other's file.
    pub reservation: String,
    /// The JSON body of the request.
    pub request: Fields,
    pub reserved_at: Timestamp,
    /// When the request was last sent. This is later than `reserved_at` if it was resent.
    pub sent_at: Timestamp,
    /// The result of reading the history before the call, or `None` if that failed.
    pub lookup: Option<Lookup>,
    pub state: State,
    pub call_id: Option<CallId>,
    /// The service's JSON for the call, if it has ended.
    pub result: Option<Value>,
    pub ended_at: Option<Timestamp>,
    /// Why the call was not made, or why its response was lost.
    pub error: Option<Error>,
    /// Whether the user has seen the result.
    pub shown: bool,
    /// When the entry's file was last modified. This is not stored in the file.
    #[serde(skip)]
    pub touched: Option<SystemTime>,
    /// Fields from a newer version, which are kept when the file is rewritten.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The history just before a call, used to find the call if its response is lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// The service's clock minus this computer's, in seconds.
    pub clock_difference: i64,
    /// IDs of the calls that were already in the history.
    pub listed: Vec<CallId>,
}

impl Lookup {
    /// Call this as soon as `page` arrives, because its date is compared with the current time.
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The request is being sent or has been sent, but no response has arrived yet.
    Sent,
    /// The response was lost, so the call may or may not have been made.
    Lost,
    Running,
    Ended,
    /// The call was certainly not made, for example because the service refused it.
    NotMade,
    /// A state that only a newer version knows. The call may still be in progress.
    #[serde(untagged)]
    Unknown(String),
}

impl Entry {
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

    /// Returns whether a worker process is handling the call, judging by the age of its file.
    pub fn has_worker(&self) -> bool {
        let is_fresh = |at: SystemTime| at.elapsed().is_ok_and(|age| age < WORKER_TIMEOUT);
        self.is_open() && self.touched.is_some_and(is_fresh)
    }

    pub fn ended(&self) -> Option<Parsed<Call>> {
        let result = self.result.as_ref();
        let result = result.filter(|_| self.state == State::Ended)?;
        Parsed::object(serde_json::to_vec(result).ok()?)
    }

    pub fn is_success(&self) -> bool {
        self.ended().is_some_and(|call| call.value.is_success())
    }

    /// Returns the reason why the call was not made, or `None` if it may have been made.
    pub fn not_made(&self) -> Option<Error> {
        let error = self.error.as_ref();
        let error = error.filter(|_| self.state == State::NotMade)?;
        Some(error.clone().about(Some(&self.key), None))
    }

    pub fn has_id(&self, id: &str) -> bool {
        let own = self.call_id.as_ref();
        own.is_some_and(|own| own.as_str().eq_ignore_ascii_case(id))
    }

    pub fn set_failed(&mut self, state: State, error: &Error) {
        (self.state, self.error) = (state, Some(error.clone()));
    }

    /// Marks the call as running under `id`. Discards a result recorded under a different ID.
    pub fn set_running(&mut self, id: &CallId) {
        if self.call_id.as_ref() != Some(id) {
            self.call_id = Some(id.clone());
            (self.result, self.ended_at, self.shown) = (None, None, false);
        } else if !self.is_open() {
            return;
        }
        self.state = State::Running;
    }

    /// Updates the entry with a call that the service returned, including its result.
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
