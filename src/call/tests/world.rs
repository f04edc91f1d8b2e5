//! A simulated service and its clients. The test chooses every fault, kill and interleaving.

mod commands;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::api::{Call, Parsed, Response, SendError};
use crate::call::entry::Entry;
use crate::call::find::{Finding, find};
use crate::call::live::Recorder;
use crate::call::reserve::Reserver;
use crate::call::run::{Backend, Change};
use crate::domain::{CallId, Secret};
use crate::error::{Error, Kind, Result};

pub use commands::{Wanted, command, resume};

const ORIGIN: &str = "https://example.org";
/// Long enough for three lookups, after 0, 2 and 5 s.
const LIMIT: Duration = Duration::from_secs(5);
/// Shorter than `LIMIT`, so a watched call ends before the last lookup.
const CALL_TAKES: Duration = Duration::from_secs(4);

/// Picks one of this many options. If the options are faults, option 0 means no fault.
pub type Choose = Box<dyn FnMut(usize) -> usize>;

/// The simulated service, its clock and the scheduler of its client processes.
pub struct World {
    choose: RefCell<Choose>,
    faults_left: Cell<usize>,
    /// Whether to interleave processes at every step, instead of only when the journal changes.
    pub interleave_all: bool,
    began: (Instant, Timestamp),
    calls: RefCell<Vec<Made>>,
    turns: RefCell<HashMap<usize, Turn>>,
}

pub type Process<'p> = Pin<Box<dyn Future<Output = ()> + 'p>>;

/// A call that the simulated service made.
struct Made {
    number: String,
    call: serde_json::Value,
    ends: Instant,
    is_shown: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Waiting,
    Granted,
    Killed,
}

impl World {
    pub fn new(choose: Choose, faults: usize, interleave_all: bool) -> Rc<Self> {
        Rc::new(Self {
            choose: RefCell::new(choose),
            faults_left: Cell::new(faults),
            interleave_all,
            began: (
                Instant::now(),
                "2027-01-28T12:00:00Z".parse().expect("a time"),
            ),
            calls: RefCell::default(),
            turns: RefCell::default(),
        })
    }

    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.began.0.elapsed()).expect("a short time");
        self.began.1 + elapsed
    }

    /// Chooses one of `options` outcomes, where 0 means no fault. Returns 0 if no faults are left.
    fn fault(&self, options: usize) -> usize {
        if self.faults_left.get() == 0 {
            return 0;
        }
        let chosen = (self.choose.borrow_mut())(options);
        self.faults_left
            .set(self.faults_left.get() - usize::from(chosen > 0));
        chosen
    }

    pub fn no_more_faults(&self) {
        self.faults_left.set(0);
    }

    fn make(&self, entry: &Entry) -> usize {
        let mut calls = self.calls.borrow_mut();
        let id = format!("00000000-0000-4000-8000-{:012}", calls.len());
        let call = json!({
            "call_id": id,
            "metadata": {"created_at": self.now().to_string()},
            "submission": entry.request.value("/submission"),
        });
        calls.push(Made {
            number: entry.request.number().expect("a number").to_owned(),
            call,
            ends: Instant::now() + CALL_TAKES,
            is_shown: Cell::new(false),
        });
        calls.len() - 1
    }

    fn read(&self, index: usize) -> Parsed<Call> {
        let calls = self.calls.borrow();
        let mut call = calls[index].call.clone();
        let has_ended = Instant::now() >= calls[index].ends;
        call["status"] = if has_ended { "success" } else { "in_progress" }.into();
        let raw = call.to_string().into_bytes();
        let value = serde_json::from_value(call).expect("a call");
        Parsed { value, raw }
    }

    fn list(&self) -> Vec<Call> {
        let count = self.calls.borrow().len();
        (0..count)
            .rev()
            .map(|index| self.read(index).value)
            .collect()
    }

    fn index_of(&self, id: &str) -> usize {
        let calls = self.calls.borrow();
        calls
            .iter()
            .position(|made| made.call["call_id"] == id)
            .expect("a call that the service made")
    }

    /// Returns how many times each number was called.
    pub fn calls_per_number(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for made in self.calls.borrow().iter() {
            *counts.entry(made.number.clone()).or_default() += 1;
        }
        counts
    }

    pub fn unseen_results(&self) -> usize {
        self.calls
            .borrow()
            .iter()
            .filter(|made| !made.is_shown.get())
            .count()
    }

    /// Waits until the scheduler lets this process continue.
    async fn turn(&self, process: usize) {
        std::future::poll_fn(|_| {
            let mut turns = self.turns.borrow_mut();
            if turns.get(&process) == Some(&Turn::Granted) {
                turns.remove(&process);
                return Poll::Ready(());
            }
            turns.insert(process, Turn::Waiting);
            Poll::Pending
        })
        .await;
    }

    async fn kill(&self, process: usize) {
        self.turns.borrow_mut().insert(process, Turn::Killed);
        std::future::pending::<()>().await;
    }

    /// Runs processes until all have ended. A killed process is dropped at once.
    pub async fn run(&self, processes: Vec<(usize, Process<'_>)>) {
        let mut processes = processes;
        std::future::poll_fn(|context| {
            loop {
                processes.retain_mut(|(id, process)| {
                    let is_done = process.as_mut().poll(context).is_ready();
                    let is_killed = self.turns.borrow().get(id) == Some(&Turn::Killed);
                    !is_done && !is_killed
                });
                if processes.is_empty() {
                    self.turns.borrow_mut().clear();
                    return Poll::Ready(());
                }
                let turns = self.turns.borrow().clone();
                let waiting = |id: &&usize| turns.get(id) == Some(&Turn::Waiting);
                let waiting: Vec<usize> = processes
                    .iter()
                    .map(|(id, _)| id)
                    .filter(waiting)
                    .copied()
                    .collect();
                let next = match waiting.len() {
                    0 => return Poll::Pending,
                    1 => waiting[0],
                    count => waiting[(self.choose.borrow_mut())(count)],
                };
                self.turns.borrow_mut().insert(next, Turn::Granted);
            }
        })
        .await;
    }
}

/// A process that uses the simulated service.
struct Client<'w> {
    world: &'w World,
    process: usize,
    recorder: Recorder<'w>,
}

impl Client<'_> {
    /// Marks a point at which the process may be killed.
    async fn point(&self) {
        if self.world.interleave_all {
            self.world.turn(self.process).await;
        }
        if self.world.fault(2) == 1 {
            self.world.kill(self.process).await;
        }
    }

    fn entry(&self) -> Entry {
        self.recorder.entry.clone().expect("an entry")
    }
}

impl Backend for Client<'_> {
    async fn post(
        &mut self,
        reserver: &Reserver,
        _: &Secret,
        _: Instant,
    ) -> Result<Response, SendError> {
        self.point().await;
        let unreachable = || Error::new(Kind::Unreachable, "no connection");
        let never_sent = |error, retryable| SendError::NeverSent { error, retryable };
        if self.world.fault(2) == 1 {
            return Err(never_sent(unreachable(), true));
        }
        self.world.turn(self.process).await;
        if let Err(error) = reserver.reserve(self.world.now()).await {
            return Err(never_sent(error, false));
        }
        self.point().await;
        let make = || self.world.make(&self.entry());
        let made = match self.world.fault(8) {
            0 => make(),
            1 => {
                make();
                return Err(SendError::Lost(unreachable()));
            }
            2 => return Err(SendError::Lost(unreachable())),
            3 => return Ok(response(401, vec![])),
            4 => return Ok(response(429, vec![])),
            5 => {
                make();
                return Ok(response(503, vec![]));
            }
            6 => return Ok(response(422, vec![])),
            _ => return Ok(response(202, self.world.read(make()).raw)),
        };
        self.point().await;
        tokio::time::sleep(CALL_TAKES).await;
        self.point().await;
        Ok(response(200, self.world.read(made).raw))
    }

    async fn renew(&mut self, rejected: &Secret) -> Result<Secret> {
        match self.world.fault(2) {
            0 => Ok(rejected.clone()),
            _ => Err(Error::new(Kind::NotSignedIn, "signed out")),
        }
    }

    async fn find(&mut self) -> Result<Finding> {
        self.point().await;
        if self.world.fault(2) == 1 {
            return Err(Error::new(Kind::Unreachable, "no connection"));
        }
        let entry = self.entry();
        let contents = self.recorder.journal.read().expect("a journal");
        let listed = self.world.list();
        Ok(find(&entry, &listed, &contents, 0))
    }

    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>> {
        self.point().await;
        match self.world.fault(2) {
            0 => Ok(self.world.read(self.world.index_of(id.as_str()))),
            _ => Err(Error::new(Kind::Unreachable, "no connection")),
        }
    }

    async fn record(&mut self, change: Change) -> bool {
        self.point().await;
        self.world.turn(self.process).await;
        let recorded = self
            .recorder
            .record(change, self.world.now())
            .await
            .expect("a journal");
        self.point().await;
        recorded
    }
}

fn response(status: u16, body: Vec<u8>) -> Response {
    Response {
        status,
        retry_after: None,
        date: None,
        redirect: None,
        body,
    }
}
