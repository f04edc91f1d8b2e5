//! A model of the service: it makes calls, keeps them, and spoils its responses as a test says.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::{Home, Reply, Request, Server, call};

/// What the service does with a POST.
#[derive(Debug, Clone)]
pub struct Post {
    /// When the history shows the call. `None`: no call is made.
    shown: Option<Shown>,
    /// The number of reads that find the call still running.
    running: usize,
    /// `None`: the call.
    reply: Option<Reply>,
}

/// When the history shows a call.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    AtOnce,
    /// After this number of reads that do not show it.
    After(usize),
    Never,
    /// At once, and with another one that it may be.
    Twice,
}

/// The service. It ends when dropped.
pub struct Service {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    posts: VecDeque<Post>,
    looks: VecDeque<Reply>,
    reads: VecDeque<Reply>,
    look_before: Option<Reply>,
    gone: bool,
    calls: Vec<Kept>,
    /// The key of every call that was made.
    rings: Vec<String>,
}

struct Kept {
    call: Value,
    /// The call in the history.
    listed: Value,
    hidden: usize,
    running: usize,
    /// Whether the look before a call shows it.
    is_seen_before: bool,
}

/// The look at the history before a call.
pub const LOOK_BEFORE: &str = "/v1/calls?limit=50";
/// A look at the history for a lost call.
pub const LOOK_UP: &str = "/v1/calls?limit=200";

impl Post {
    /// The call is made, and the response has it.
    pub fn answered() -> Self {
        Self {
            shown: Some(Shown::AtOnce),
            running: 0,
            reply: None,
        }
    }

    /// The call is made, and this is the response instead.
    pub fn lost(reply: Reply) -> Self {
        Self {
            reply: Some(reply),
            ..Self::answered()
        }
    }

    /// No call is made.
    pub fn refused(reply: Reply) -> Self {
        Self {
            shown: None,
            ..Self::lost(reply)
        }
    }

    pub fn shown(self, shown: Shown) -> Self {
        Self {
            shown: Some(shown),
            ..self
        }
    }

    pub fn running(self, reads: usize) -> Self {
        Self {
            running: reads,
            ..self
        }
    }
}

impl Service {
    /// A service that does this with the first POSTs, and makes the calls of the others.
    pub fn with(posts: impl IntoIterator<Item = Post>) -> Self {
        let state = Arc::new(Mutex::new(State {
            posts: posts.into_iter().collect(),
            ..State::default()
        }));
        let answering = Arc::clone(&state);
        let server = Server::start(move |request| answering.lock().unwrap().answer(request));
        Self { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Plans one more POST.
    pub fn then(&self, post: Post) {
        self.state().posts.push_back(post);
    }

    /// Plans the response to the next reading of the history.
    pub fn then_look(&self, reply: Reply) {
        self.state().looks.push_back(reply);
    }

    /// Plans the response to the next reading of a single call.
    pub fn then_read(&self, reply: Reply) {
        self.state().reads.push_back(reply);
    }

    /// The response to every look before a call.
    pub fn look_before(&self, reply: Reply) {
        self.state().look_before = Some(reply);
    }

    /// Whether nothing can be read.
    pub fn is_gone(&self, gone: bool) {
        self.state().gone = gone;
    }

    /// Adds a call that the look before a call does not show.
    pub fn put(&self, call: Value, listed: Value) {
        self.state().calls.push(Kept::new(call, listed, false));
    }

    /// Adds a call of another client.
    pub fn put_before(&self, call: Value) {
        let listed = call.clone();
        self.state().calls.push(Kept::new(call, listed, true));
    }

    /// The requests, without looks before a call.
    pub fn asked(&self) -> Vec<Request> {
        let requests = self.server.requests().into_iter();
        requests.filter(|it| it.target != LOOK_BEFORE).collect()
    }

    /// The keys of the calls that were made.
    pub fn rings(&self) -> Vec<String> {
        self.state().rings.clone()
    }

    /// The calls, oldest first.
    pub fn calls(&self) -> Vec<Value> {
        self.state()
            .calls
            .iter()
            .map(|kept| kept.call.clone())
            .collect()
    }

    /// The number of POSTs.
    pub fn posts(&self) -> usize {
        self.server.count("POST", "/v1/calls")
    }

    /// A command that speaks to this service, signed in, with a journal in `home`.
    pub fn at<S: AsRef<OsStr>>(&self, home: &Home, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = home.at(&self.server, args);
        command.env("KALLYAI_STATE_DIR", home.state());
        command
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        if request.is("POST", "/v1/auth/refresh") {
            return Reply::json(200, &json!({ "access_token": "fresh", "expires_in": 3600 }));
        }
        if request.is("POST", "/v1/calls") {
            return self.post(request);
        }
        if self.gone {
            return Reply::CutBeforeStatus;
        }
        if request.is("GET", LOOK_BEFORE) {
            if let Some(reply) = &self.look_before {
                return reply.clone();
            }
            let seen = self
                .calls
                .iter()
                .filter(|kept| kept.is_seen_before && kept.hidden == 0);
            let calls: Vec<_> = seen.map(Kept::look).rev().collect();
            return Reply::json(200, &json!({ "total": calls.len(), "calls": calls }));
        }
        match request.target.strip_prefix("/v1/calls/") {
            Some(id) => self.reads.pop_front().unwrap_or_else(|| self.read(id)),
            None => self.looks.pop_front().unwrap_or_else(|| self.list()),
        }
    }

    fn post(&mut self, request: &Request) -> Reply {
        let post = self.posts.pop_front().unwrap_or_else(Post::answered);
        let Some(shown) = post.shown else {
            return post.reply.expect("a response");
        };
        let key = request.header("idempotency-key").expect("a key");
        self.rings.push(key.to_owned());
        let first = self.calls.len();
        for n in first..=first + usize::from(matches!(shown, Shown::Twice)) {
            let mut call = call(&format!("3f2a0c1e-55aa-4bbb-8ccc-{n:012x}"), "success");
            call["submission"] = request.json()["submission"].clone();
            self.calls.push(Kept {
                hidden: match shown {
                    Shown::AtOnce | Shown::Twice => 0,
                    Shown::After(reads) => reads,
                    Shown::Never => usize::MAX,
                },
                running: post.running,
                ..Kept::new(call.clone(), call, true)
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
        let Some(kept) = self
            .calls
            .iter_mut()
            .find(|kept| kept.call["call_id"] == id)
        else {
            return Reply::json(404, &json!({ "error": { "code": "call_not_found" } }));
        };
        let seen = kept.look();
        kept.running = kept.running.saturating_sub(1);
        Reply::json(200, &seen)
    }
}

impl Kept {
    fn new(call: Value, listed: Value, is_seen_before: bool) -> Self {
        Self {
            call,
            listed,
            hidden: 0,
            running: 0,
            is_seen_before,
        }
    }

    /// The call as it is now.
    fn look(&self) -> Value {
        let mut seen = self.call.clone();
        if self.running > 0 {
            seen["status"] = json!("ringing");
            seen["metadata"]["ended_at"] = Value::Null;
        }
        seen
    }
}
