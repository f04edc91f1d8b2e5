//! Random sequences of faults, commands, kills and resumptions: no key rings twice, and no result is lost.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::{CALL, Gate, Home, LOOK_UP, Post, Reply, Run, Running, Service, Shown, at_once};

const SEQUENCES: u64 = 48;
/// They wait more than they work.
const AT_ONCE: u64 = 48;
const STEPS: usize = 7;

#[test]
fn no_sequence_of_faults_and_kills_rings_a_key_twice_or_loses_a_result() {
    at_once(0..AT_ONCE, |first| {
        (first..SEQUENCES).step_by(AT_ONCE as usize).for_each(|seed| Sequence::new(seed).run());
    });
}

/// A user, a service, and what was seen of both.
struct Sequence {
    rng: StdRng,
    home: Home,
    service: Service,
    /// Whether two calls for the same were open at a time, so that nobody may tell them apart.
    doubled: bool,
    printed: HashSet<String>,
    /// What happened, for whoever has to understand a failure.
    log: Vec<String>,
}

impl Sequence {
    fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            home: Home::new(),
            service: Service::with([]),
            doubled: false,
            printed: HashSet::new(),
            log: vec![format!("seed {seed}")],
        }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            match self.rng.random_range(0..10) {
                0..7 => self.place(),
                _ => self.resume(),
            }
            self.check();
        }
        self.service.show_all();
        for key in self.open().into_iter().map(|entry| entry["key"].as_str().expect("a key").to_owned()) {
            let run = Run::of(&mut self.service.at(&self.home, ["--resume", &key, "--timeout", "5"]));
            self.saw(&run, "the last resume", &[0, 6]);
            assert!(run.exit == Some(0) || self.doubled, "{:#?}", self.log);
        }
        self.check();
        assert!(self.lost().is_empty() || self.doubled, "{:?} {:#?}", self.lost(), self.log);
    }

    /// The entries whose result was not printed.
    fn open(&self) -> Vec<Value> {
        self.home.journal().into_iter().filter(|entry| entry["shown"] != true).collect()
    }

    /// The calls whose result was not printed.
    fn lost(&self) -> Vec<String> {
        let calls = self.service.calls();
        let ids = calls.iter().map(|call| call["call_id"].as_str().expect("an ID").to_owned());
        ids.filter(|id| !self.printed.contains(id)).collect()
    }

    /// What must hold at any moment.
    fn check(&self) {
        let rings = self.service.rings();
        let keys: HashSet<&String> = rings.iter().collect();
        assert_eq!(keys.len(), rings.len(), "a key rang twice: {:#?}", self.log);
        let (open, lost) = (self.open(), self.lost());
        assert_eq!(lost.len(), open.len(), "{lost:?} not printed, {open:?} open: {:#?}", self.log);
    }

    fn saw(&mut self, run: &Run, what: &str, exits: &[i32]) {
        self.log.push(format!("{what}: {:?} {} {}", run.exit, run.stdout, run.stderr));
        assert!(run.exit.is_none_or(|exit| exits.contains(&exit)), "{exits:?}: {:#?}", self.log);
        if run.exit == Some(0) {
            let last = run.stdout.lines().last().unwrap_or_default();
            let id = match serde_json::from_str::<Value>(last) {
                Ok(call) => call["call_id"].as_str().map(str::to_owned),
                Err(_) => last.split_whitespace().last().map(str::to_owned),
            };
            self.printed.extend(id);
        }
    }

    fn resume(&mut self) {
        if self.rng.random() {
            self.service.show_all();
        }
        let posts = self.service.posts();
        let run = Run::of(&mut self.service.at(&self.home, ["--resume", "--timeout", "1"]));
        self.saw(&run, "resume", if self.open().is_empty() { &[0, 1] } else { &[0, 6] });
        assert_eq!(self.service.posts(), posts, "{:#?}", self.log);
    }

    fn place(&mut self) {
        let task = ["One", "Two", "Three", "Four"][self.rng.random_range(0..4)];
        let mut flags = vec!["-p", CALL[1], "-t", task];
        if self.rng.random() {
            flags.push("--json");
        }
        let entries = self.home.journal();
        let is_same = |entry: &Value| entry["task"] == task;
        let is_open = |entry: &Value| entry["event"] != "ended";
        // The number may be ringing, whatever the words, or the same was done: each call here succeeds.
        let is_refused = entries.iter().any(|entry| is_open(entry) || is_same(entry));
        if self.rng.random_range(0..4) == 0 {
            self.doubled |= entries.iter().any(|entry| is_open(entry) && is_same(entry));
            flags.push("--again");
        } else if is_refused {
            let posts = self.service.posts();
            let run = Run::of(&mut self.service.at(&self.home, &flags));
            self.saw(&run, "the same again", &[6]);
            return assert_eq!(self.service.posts(), posts, "{:#?}", self.log);
        }
        match self.rng.random_range(0..12) {
            10.. => self.detach(&flags),
            0..2 => self.kill_during_the_call(&flags),
            2 => self.kill_during_the_look_up(&flags),
            3 => self.leave_before_the_result(&flags),
            _ => self.spoil(&flags),
        }
    }

    fn spoil(&mut self, flags: &[&str]) {
        let limited = || Post::refused(Reply::new(429, "").with("Retry-After", "0"));
        let unauthorized = Reply::json(401, &json!({ "error": { "code": "missing_token" } }));
        let (posts, exits): (Vec<Post>, &[i32]) = match self.rng.random_range(0..10) {
            0 => (vec![limited(), limited(), limited(), limited()], &[3]),
            1 => (vec![limited(), limited(), limited(), Post::lost(Reply::Reset)], &[0, 6]),
            2 => (vec![Post::refused(Reply::new(422, ""))], &[1]),
            3 => (vec![Post::refused(unauthorized), Post::lost(Reply::CutInHead)], &[0, 6]),
            4 => (vec![Post::lost(self.fault()).shown(Shown::Never)], &[6, 0]),
            5 => (vec![Post::answered()], &[0]),
            _ => (vec![Post::lost(self.fault())], &[0, 6]),
        };
        let what = format!("{flags:?} {posts:?}");
        posts.into_iter().for_each(|post| self.service.then(post));
        // One look must do where no other would see more.
        let timeout = if exits[0] == 6 { "2" } else { "10" };
        let run = Run::of(self.service.at(&self.home, flags).args(["--timeout", timeout]));
        // Another that is open may be taken for it, or doubted; without one there is a result.
        let exits = if self.doubled { exits } else { &exits[..1] };
        self.saw(&run, &what, exits);
    }

    /// Leaves the call to a helper, and waits for its end by that.
    fn detach(&mut self, flags: &[&str]) {
        let gate = Gate::default();
        let fault =
            if self.rng.random() { self.fault() } else { Reply::new(503, "").with("Retry-After", "5") };
        self.service.then(Post::lost(Reply::Held(gate.clone(), Box::new(fault))));
        let posts = self.service.posts();
        let mut running = Running::start(self.service.at(&self.home, flags).arg("--detach"));
        self.service.server.wait_for("POST", "/v1/calls", posts + 1);
        running.kill();
        running.end();
        self.log.push("detached, and its parent killed".into());
        let key = self.service.rings().last().expect("a ring").clone();
        let resuming =
            Running::start(&mut self.service.at(&self.home, ["--resume", &key, "--timeout", "10"]));
        gate.open();
        let run = resuming.end();
        self.saw(&run, "resumed", &[0, 6]);
    }

    fn fault(&mut self) -> Reply {
        match self.rng.random_range(0..8) {
            0 => Reply::CutBeforeStatus,
            1 => Reply::CutInHead,
            2 => Reply::CutInBody,
            3 => Reply::Reset,
            4 => Reply::new(307, "").with("Location", "/v1/calls"),
            5 => Reply::new(201, ""),
            _ => Reply::new([408, 409, 500, 502, 503, 504, 520][self.rng.random_range(0..7)], "<html>"),
        }
    }

    fn kill_during_the_call(&mut self, flags: &[&str]) {
        let held = Reply::Held(Gate::default(), Box::new(Reply::Reset));
        self.service.then(Post::lost(held));
        let posts = self.service.posts();
        let running = Running::start(&mut self.service.at(&self.home, flags));
        self.service.server.wait_for("POST", "/v1/calls", posts + 1);
        self.kill(running, "killed during the call");
    }

    fn kill_during_the_look_up(&mut self, flags: &[&str]) {
        let fault = self.fault();
        self.service.then(Post::lost(fault));
        self.service.then_look(Reply::Stall);
        let looks = self.service.server.count("GET", LOOK_UP);
        let running = Running::start(&mut self.service.at(&self.home, flags));
        self.service.server.wait_for("GET", LOOK_UP, looks + 1);
        self.kill(running, "killed during the look-up");
    }

    fn kill(&mut self, #[cfg_attr(unix, expect(unused_mut))] mut running: Running, what: &str) {
        #[cfg(unix)]
        {
            use rustix::process::Signal;
            let signals = [Signal::KILL, Signal::INT, Signal::TERM, Signal::HUP];
            running.signal(signals[self.rng.random_range(0..4)]);
        }
        // Windows gives whom it ends a status; here it is 1.
        #[cfg(windows)]
        running.kill();
        let run = running.end();
        self.saw(&run, what, if cfg!(windows) { &[1] } else { &[129, 130, 143] });
    }

    fn leave_before_the_result(&mut self, flags: &[&str]) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        // A program that another thread starts at this moment has it open too, until it has begun.
        #[cfg(unix)]
        {
            use rustix::event::{PollFd, PollFlags, poll};
            poll(&mut [PollFd::new(&writer, PollFlags::empty())], None).expect("an end");
        }
        let mut child = self.service.at(&self.home, flags).stdout(writer).spawn().expect("a run");
        self.log.push("nobody reads the result".into());
        assert!(child.wait().expect("an end").success(), "{:#?}", self.log);
    }
}
