//! A simulation of the KallyAI service. It stores calls, and tests configure how it responds.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::{CALL, Home, Reply, Request, Run, Server, call, moment};

/// How the service handles one POST request to make a call.
#[derive(Debug, Clone)]
pub struct Post {
    /// When the call appears in the history, or `None` if no call is made.
    shown: Option<Shown>,
    /// How many requests for the call get a response that shows it as still running.
    running: usize,
    /// The response, or `None` to respond with the call.
    reply: Option<Reply>,
}

/// When a new call becomes visible in the history (the list of all calls).
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    AtOnce,
    /// The call appears after this many history responses without it.
    After(usize),
    Never,
    /// The call appears at once, together with a second call for the same request.
    Twice,
}

/// A simulated service with its stored calls. It stops when dropped.
pub struct Service {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    posts: VecDeque<Post>,
    lookups: VecDeque<Reply>,
    reads: VecDeque<Reply>,
    pre_call_lookup: Option<Reply>,
    gone: bool,
    calls: Vec<StoredCall>,
    /// The idempotency keys of all calls that were made.
    made: Vec<String>,
}

struct StoredCall {
    call: Value,
    /// The call as the history shows it.
    listed: Value,
    /// The number of further history responses that will not include the call.
    hidden: usize,
    running: usize,
    /// Whether the history lookup before a new call includes this call.
    is_seen_before: bool,
}

/// The ID of the first call that the service makes.
pub const FIRST: &str = "3f2a0c1e-55aa-4bbb-8ccc-000000000000";
/// The target of the history request that looks for earlier calls before a new call is made.
pub const PRE_CALL_LOOKUP: &str = "/v1/calls?limit=50";
/// The target of the history request that looks for a call whose response was lost.
pub const LOOKUP: &str = "/v1/calls?limit=200";

impl Post {
    /// Returns a `Post` that makes the call and responds with it.
    pub fn accepted() -> Self {
        Self {
            shown: Some(Shown::AtOnce),
            running: 0,
            reply: None,
        }
    }

    /// Returns a `Post` that makes the call but responds with `reply` instead of the result.
    pub fn lost(reply: Reply) -> Self {
        let reply = Some(reply);
        Self {
            reply,
            ..Self::accepted()
        }
    }

    /// Returns a `Post` that makes no call and responds with `reply`.
    pub fn refused(reply: Reply) -> Self {
        let shown = None;
        Self {
            shown,
            ..Self::lost(reply)
        }
    }

    pub fn shown(self, shown: Shown) -> Self {
        let shown = Some(shown);
        Self { shown, ..self }
    }

    pub fn running(self, running: usize) -> Self {
        Self { running, ..self }
    }
}

impl Service {
    /// Starts a service that handles the first POSTs as configured and accepts all others.
    pub fn with(posts: impl IntoIterator<Item = Post>) -> Self {
        let state = Arc::new(Mutex::new(State {
            posts: posts.into_iter().collect(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| shared.lock().unwrap().respond(request));
        Self { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Configures how to handle one more POST.
    pub fn then(&self, post: Post) {
        self.state().posts.push_back(post);
    }

    /// Queues a response to one history request.
    pub fn then_lookup(&self, reply: Reply) {
        self.state().lookups.push_back(reply);
    }

    /// Queues a response to one GET request for a single call.
    pub fn then_read(&self, reply: Reply) {
        self.state().reads.push_back(reply);
    }

    /// Sets the response to the lookup that precedes each new call.
    pub fn pre_call_lookup(&self, reply: Reply) {
        self.state().pre_call_lookup = Some(reply);
    }

    /// Sets whether the service closes the connection instead of responding, except to a POST.
    pub fn set_down(&self, gone: bool) {
        self.state().gone = gone;
    }

    /// Adds a call that the lookup before a new call does not show. Later lookups show `listed`.
    pub fn put(&self, call: Value, listed: Value) {
        self.state()
            .calls
            .push(StoredCall::new(call, listed, false));
    }

    /// Adds another client's call, which the lookup before a new call finds.
    pub fn put_before(&self, call: Value) {
        let listed = call.clone();
        self.state().calls.push(StoredCall::new(call, listed, true));
    }

    /// Returns all requests except the lookups before a new call.
    pub fn asked(&self) -> Vec<Request> {
        let requests = self.server.requests().into_iter();
        requests.filter(|it| it.target != PRE_CALL_LOOKUP).collect()
    }

    /// Returns the idempotency keys of the calls that were made.
    pub fn made(&self) -> Vec<String> {
        self.state().made.clone()
    }

    /// Returns all stored calls, oldest first.
    pub fn calls(&self) -> Vec<Value> {
        let state = self.state();
        state.calls.iter().map(|kept| kept.call.clone()).collect()
    }

    /// Returns the number of POSTs that requested a call.
    pub fn posts(&self) -> usize {
        self.server.count("POST", "/v1/calls")
    }

    /// Builds a command with credentials for this service and a call log in `home`.
    pub fn at<S: AsRef<OsStr>>(&self, home: &Home, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = home.at(&self.server, args);
        command.env("KALLYAI_STATE_DIR", home.state());
        command
    }

    pub fn run(&self, home: &Home, args: &[&str]) -> Run {
        Run::of(&mut self.at(home, args))
    }

    /// Makes the call [`CALL`] with these flags.
    pub fn call(&self, home: &Home, flags: &[&str]) -> Run {
        Run::of(self.at(home, CALL).args(flags))
    }

    pub fn json_call(&self, home: &Home) -> Run {
        self.call(home, &["--json"])
    }

    /// Returns the call log entry of a call that was made `age` seconds ago and whose response was
    /// lost.
    pub fn entry(&self, key: &str, age: i64) -> Value {
        json!({
            "key": key,
            "origin": self.server.url(),
            "reservation": "1",
            "request": { "submission": {
                "respondent_phone": CALL[1],
                "task_description": CALL[3],
            }},
            "reserved_at": moment(-age),
            "sent_at": moment(-age),
            "state": "lost",
            "shown": false,
        })
    }
}

impl State {
    fn respond(&mut self, request: &Request) -> Reply {
        if request.is("POST", "/v1/auth/refresh") {
            return Reply::json(200, &json!({ "access_token": "fresh", "expires_in": 3600 }));
        }
        if request.is("POST", "/v1/calls") {
            return self.post(request);
        }
        if self.gone {
            return Reply::CutBeforeStatus;
        }
        if request.is("GET", PRE_CALL_LOOKUP) {
            if let Some(reply) = &self.pre_call_lookup {
                return reply.clone();
            }
            let is_seen = |kept: &&StoredCall| kept.is_seen_before && kept.hidden == 0;
            let seen = self.calls.iter().filter(is_seen);
            let calls: Vec<_> = seen.map(StoredCall::json).rev().collect();
            return Reply::json(200, &json!({ "total": calls.len(), "calls": calls }));
        }
        match request.target.strip_prefix("/v1/calls/") {
            Some(id) => self.reads.pop_front().unwrap_or_else(|| self.read(id)),
            None => self.lookups.pop_front().unwrap_or_else(|| self.list()),
        }
    }

    fn post(&mut self, request: &Request) -> Reply {
        let post = self.posts.pop_front().unwrap_or_else(Post::accepted);
        let Some(shown) = post.shown else {
            return post.reply.expect("a response");
        };
        let key = request.header("idempotency-key").expect("a key");
        self.made.push(key.to_owned());
        let first = self.calls.len();
        for n in first..=first + usize::from(matches!(shown, Shown::Twice)) {
            let mut call = call(&format!("3f2a0c1e-55aa-4bbb-8ccc-{n:012x}"), "success");
            call["submission"] = request.json()["submission"].clone();
            self.calls.push(StoredCall {
                hidden: match shown {
                    Shown::AtOnce | Shown::Twice => 0,
                    Shown::After(reads) => reads,
                    Shown::Never => usize::MAX,
                },
                running: post.running,
                ..StoredCall::new(call.clone(), call, true)
            });
        }
        let made = &self.calls[first].call;
        post.reply.unwrap_or_else(|| Reply::json(201, made))
    }

    fn list(&mut self) -> Reply {
        let shown = self.calls.iter().filter(|kept| kept.hidden == 0).rev();
        let listed: Vec<_> = shown.map(|kept| kept.listed.clone()).collect();
        for kept in self.calls.iter_mut().filter(|it| it.hidden != usize::MAX) {
            kept.hidden = kept.hidden.saturating_sub(1);
        }
        Reply::json(200, &json!({ "total": listed.len(), "calls": listed }))
    }

    fn read(&mut self, id: &str) -> Reply {
        let mut calls = self.calls.iter_mut();
        let Some(kept) = calls.find(|kept| kept.call["call_id"] == id) else {
            return Reply::json(404, &json!({ "error": { "code": "call_not_found" } }));
        };
        let seen = kept.json();
        kept.running = kept.running.saturating_sub(1);
        Reply::json(200, &seen)
    }
}

impl StoredCall {
    fn new(call: Value, listed: Value, is_seen_before: bool) -> Self {
        Self {
            call,
            listed,
            hidden: 0,
            running: 0,
            is_seen_before,
        }
    }

    /// Returns the call with its current status, running or ended.
    fn json(&self) -> Value {
        let mut seen = self.call.clone();
        if self.running > 0 {
            seen["status"] = json!("ringing");
            seen["metadata"]["ended_at"] = Value::Null;
        }
        seen
    }
}
