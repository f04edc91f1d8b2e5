//! A model of the service: it rings for every call it takes, keeps the call, and spoils its answers as a test says.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Home, Reply, Request, Server, call};

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
}

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

    /// Whether nothing can be read.
    pub fn is_gone(&self, gone: bool) {
        self.state.lock().unwrap().gone = gone;
    }

    /// Adds a call, which the history shows like this.
    pub fn put(&self, call: Value, listed: Value) {
        self.state.lock().unwrap().calls.push(Kept { call, listed, hidden: 0, running: 0 });
    }

    /// Shows every call in the history.
    pub fn show_all(&self) {
        self.state.lock().unwrap().calls.iter_mut().for_each(|kept| kept.hidden = 0);
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
        match request.target.strip_prefix("/v1/calls/") {
            Some(id) => self.read(id),
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
            self.calls.push(Kept { listed: call.clone(), call, hidden, running: post.running });
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
        let mut seen = kept.call.clone();
        if kept.running > 0 {
            kept.running -= 1;
            seen["status"] = json!("ringing");
            seen["metadata"]["ended_at"] = Value::Null;
        }
        Reply::json(200, &seen)
    }
}
