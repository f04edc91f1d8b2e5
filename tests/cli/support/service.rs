//! A model of the service: it rings for every call it takes, keeps the call, and spoils its answers as a test says.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Home, Reply, Request, Server, call, moment};

/// What becomes of a POST.
#[derive(Debug, Clone)]
pub struct Post {
    /// When the history shows the call; `None`: it is not taken.
    shown: Option<Shown>,
    /// How often the call is still running when it is read.
    running: usize,
    /// What is answered; `None`: the call.
    reply: Option<Reply>,
}

/// When the history shows a call.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    AtOnce,
    /// After so many reads that do not show it.
    After(usize),
    Never,
    /// At once, beside another that it may be.
    Twice,
}

/// The service, which ends when dropped.
pub struct Service {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    posts: VecDeque<Post>,
    looks: VecDeque<Reply>,
    reads: VecDeque<Reply>,
    /// What a look before ringing gets instead.
    look_before: Option<Reply>,
    gone: bool,
    calls: Vec<Kept>,
    /// The key of every POST that was taken.
    rings: Vec<String>,
}

struct Kept {
    call: Value,
    /// What the history says of it.
    listed: Value,
    hidden: usize,
    running: usize,
    /// Whether a look before ringing sees it.
    is_seen_before: bool,
}

/// The look at the history before a phone rings.
pub const LOOK_BEFORE: &str = "/v1/calls?limit=50";
/// A look at the history for a lost call.
pub const LOOK_UP: &str = "/v1/calls?limit=100";

impl Post {
    /// The call is made and answered.
    pub fn answered() -> Self {
        Self { shown: Some(Shown::AtOnce), running: 0, reply: None }
    }

    /// The call is made, and this is answered instead.
    pub fn lost(reply: Reply) -> Self {
        Self { reply: Some(reply), ..Self::answered() }
    }

    /// No call is made.
    pub fn refused(reply: Reply) -> Self {
        Self { shown: None, ..Self::lost(reply) }
    }

    pub fn shown(self, shown: Shown) -> Self {
        Self { shown: Some(shown), ..self }
    }

    pub fn running(self, reads: usize) -> Self {
        Self { running: reads, ..self }
    }
}

impl Service {
    /// A service that does this with the first POSTs, and answers the others.
    pub fn with(posts: impl IntoIterator<Item = Post>) -> Self {
        let state = Arc::new(Mutex::new(State { posts: posts.into_iter().collect(), ..State::default() }));
        let answering = Arc::clone(&state);
        let server = Server::start(move |request| answering.lock().unwrap().answer(request));
        Self { server, state }
    }

    /// What the next POST gets that none was planned for.
    pub fn then(&self, post: Post) {
        self.state.lock().unwrap().posts.push_back(post);
    }

    /// What the next reading of the history gets.
    pub fn then_look(&self, reply: Reply) {
        self.state.lock().unwrap().looks.push_back(reply);
    }

    /// What the next reading of a single call gets.
    pub fn then_read(&self, reply: Reply) {
        self.state.lock().unwrap().reads.push_back(reply);
    }

    /// What every look before ringing gets.
    pub fn look_before(&self, reply: Reply) {
        self.state.lock().unwrap().look_before = Some(reply);
    }

    /// Whether nothing can be read.
    pub fn is_gone(&self, gone: bool) {
        self.state.lock().unwrap().gone = gone;
    }

    /// Adds a call, which the history shows like this once a call was asked for.
    pub fn put(&self, call: Value, listed: Value) {
        let kept = Kept { call, listed, hidden: 0, running: 0, is_seen_before: false };
        self.state.lock().unwrap().calls.push(kept);
    }

    /// Adds a call that another client placed before.
    pub fn put_before(&self, call: Value) {
        let kept = Kept { listed: call.clone(), call, hidden: 0, running: 0, is_seen_before: true };
        self.state.lock().unwrap().calls.push(kept);
    }

    /// What was asked, but for looks before ringing.
    pub fn asked(&self) -> Vec<Request> {
        self.server.requests().into_iter().filter(|request| request.target != LOOK_BEFORE).collect()
    }

    /// Shows every call in the history.
    pub fn show_all(&self) {
        self.state.lock().unwrap().calls.iter_mut().for_each(|kept| kept.hidden = 0);
    }

    /// Makes the calls there are so many seconds older.
    pub fn age(&self, seconds: i64) {
        for kept in &mut self.state.lock().unwrap().calls {
            for call in [&mut kept.call, &mut kept.listed] {
                call["metadata"]["created_at"] = json!(moment(-seconds));
            }
        }
    }

    /// The keys under which a phone rang.
    pub fn rings(&self) -> Vec<String> {
        self.state.lock().unwrap().rings.clone()
    }

    /// The calls there are, oldest first.
    pub fn calls(&self) -> Vec<Value> {
        self.state.lock().unwrap().calls.iter().map(|kept| kept.call.clone()).collect()
    }

    /// How many calls were asked for.
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
            let seen = self.calls.iter().filter(|kept| kept.is_seen_before && kept.hidden == 0);
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
        let Some(shown) = post.shown else { return post.reply.expect("an answer") };
        self.rings.push(request.header("idempotency-key").expect("a key").to_owned());
        let mut made = None;
        for _ in 0..if matches!(shown, Shown::Twice) { 2 } else { 1 } {
            let mut call = call(&format!("3f2a0c1e-55aa-4bbb-8ccc-{:012x}", self.calls.len()), "success");
            call["submission"] = request.json()["submission"].clone();
            let hidden = match shown {
                Shown::AtOnce | Shown::Twice => 0,
                Shown::After(reads) => reads,
                Shown::Never => usize::MAX,
            };
            made.get_or_insert_with(|| call.clone());
            self.calls.push(Kept {
                listed: call.clone(),
                call,
                hidden,
                running: post.running,
                is_seen_before: true,
            });
        }
        post.reply.unwrap_or_else(|| Reply::json(201, &made.expect("a call")))
    }

    fn list(&mut self) -> Reply {
        let mut listed: Vec<_> =
            self.calls.iter().filter(|kept| kept.hidden == 0).map(|kept| kept.listed.clone()).collect();
        listed.reverse();
        for kept in self.calls.iter_mut().filter(|kept| kept.hidden != usize::MAX) {
            kept.hidden = kept.hidden.saturating_sub(1);
        }
        Reply::json(200, &json!({ "total": listed.len(), "calls": listed }))
    }

    fn read(&mut self, id: &str) -> Reply {
        let Some(kept) = self.calls.iter_mut().find(|kept| kept.call["call_id"] == id) else {
            return Reply::json(404, &json!({ "error": { "code": "call_not_found" } }));
        };
        let seen = kept.look();
        kept.running = kept.running.saturating_sub(1);
        Reply::json(200, &seen)
    }
}

impl Kept {
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
