//! The rules against a model of the service and the user, on a virtual clock. The state machine, the guard, the matching
//! and the journal's lines are the program's own; what a run meets is drawn beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::entry::{Entry, EntryState, GUARDED_FOR, Moment};
use super::super::events::{Action, CallStatus, Ending, Event, HistoryResult, PostResult};
use super::super::guard::{self, Guards};
use super::super::matching::{self, Clocks, Listed, Match};
use super::super::record::{Change, Contents, line_at};
use super::CallState;
use super::plan::{Fault, Plan, TASKS, plan};
use crate::domain::{CallId, CallStatus as Status, IdempotencyKey, Signal, example_request};
use crate::error::{Error, Kind};

const DEADLINE: Duration = Duration::from_secs(600);
const START: i64 = 1_800_000_000;
const ORIGIN: &str = "https://example.org";
/// How long a call lasts, in seconds.
const LASTS: i64 = 40;

/// A call that was made.
#[derive(Debug, Clone)]
struct Made {
    id: CallId,
    key: IdempotencyKey,
    task: usize,
    created: i64,
    /// When the history shows it.
    visible: i64,
}

#[derive(Debug, Default)]
struct World {
    /// Milliseconds since the start.
    now: i64,
    made: Vec<Made>,
    /// The journal, as it is on disk.
    log: Vec<u8>,
    printed: BTreeSet<CallId>,
    keys: usize,
}

/// A process that carries out a plan.
struct Process<'a> {
    plan: &'a Plan,
    key: IdempotencyKey,
    hidden: i64,
    posts: usize,
    looks: usize,
    /// The call whose end is recorded.
    ended: Option<CallId>,
}

impl World {
    fn unix(&self) -> i64 {
        START + self.now / 1000
    }

    fn moment(&self) -> Moment {
        Moment { unix: self.unix(), boot: None }
    }

    fn entries(&self) -> Vec<Entry> {
        Contents::parse(&self.log, ORIGIN).entries
    }

    fn entry(&self, key: &IdempotencyKey) -> Option<Entry> {
        self.entries().into_iter().find(|entry| entry.key == *key)
    }

    fn record(&mut self, key: &IdempotencyKey, change: &Change<'_>) {
        self.log.extend(line_at(key, change, self.unix()));
    }

    fn has_ended(&self, id: &CallId) -> bool {
        self.made.iter().any(|made| made.id == *id && made.created + LASTS <= self.unix())
    }

    /// A phone rings for a key. Neither it nor what was asked may do so twice.
    fn ring(&mut self, process: &Process<'_>, hidden: i64) -> Result<CallId, TestCaseError> {
        let id: CallId = format!("call-{}", self.made.len()).parse().expect("an ID");
        prop_assert!(self.made.iter().all(|made| made.key != process.key), "{} rings twice", process.key);
        if !process.plan.again {
            let young = |made: &&Made| self.unix() - made.created < GUARDED_FOR;
            let ended = |made: &&Made| self.has_ended(&made.id);
            for made in self.made.iter().filter(young) {
                prop_assert!(ended(&made), "the number of {} is called while it rings", made.id);
                let known = self.entry(&made.key).is_some_and(|entry| entry.is_success());
                prop_assert!(!known || made.task != process.plan.task, "{} is asked for again", made.id);
            }
        }
        let created = self.unix();
        let (key, task) = (process.key.clone(), process.plan.task);
        self.made.push(Made { id: id.clone(), key, task, created, visible: created + hidden });
        Ok(id)
    }

    fn run(&mut self, plan: &Plan, hidden: i64) -> Result<(), TestCaseError> {
        self.now += plan.pause * 1000;
        let is_pending = |entry: &Entry| {
            !entry.shown && (entry.state != EntryState::Prepared || entry.is_open(&self.moment(), false))
        };
        let pending = self.entries().into_iter().rev().find(is_pending);
        let (entry, is_new) = match (plan.resume, pending) {
            (true, None) => return Ok(()),
            (true, Some(entry)) => (entry, false),
            (false, _) => {
                self.keys += 1;
                let key = format!("key-{}", self.keys).parse().expect("a key");
                let request = example_request(TASKS[plan.task]);
                (Entry::new(key, &request, ORIGIN.into(), self.moment()), true)
            }
        };
        let mut state = CallState::new(DEADLINE);
        if is_new {
            let guards = Guards { open: !plan.again, done: !plan.again, chosen_key: false };
            if guard::refusal(&self.entries(), &entry, guards, |_| false).is_some() {
                return Ok(());
            }
            self.record(&entry.key, &Change::Prepared(&entry));
        } else {
            match &entry.state {
                EntryState::Ended { call_id: Some(id), .. } => {
                    if !plan.mute {
                        self.printed.insert(id.clone());
                        self.record(&entry.key, &Change::Shown);
                    }
                    return Ok(());
                }
                EntryState::Refused(_) => {
                    self.record(&entry.key, &Change::Discarded);
                    return Ok(());
                }
                EntryState::Prepared
                | EntryState::Sent
                | EntryState::Running(_)
                | EntryState::Ended { call_id: None, .. } => {}
            }
            state = CallState::resume(entry.call_id().cloned(), DEADLINE);
        }
        let process = Process { plan, key: entry.key, hidden, posts: 0, looks: 0, ended: None };
        self.drive(process, state)
    }

    /// One process, from its start to its end.
    fn drive(&mut self, mut process: Process<'_>, mut state: CallState<Error>) -> Result<(), TestCaseError> {
        let plan = process.plan;
        let started = self.now;
        let mut event: Event<CallId, Error> = Event::Begin;
        for step in 0..2000 {
            if plan.kill_at == Some(step) {
                return Ok(());
            }
            if plan.signal_at == Some(step) && !plan.detach {
                event = Event::Signal { signal: Signal::Interrupt, is_sent: process.posts > 0 };
            }
            let action = state.step(Duration::from_millis((self.now - started) as u64), event);
            self.now += 10;
            if let Action::Finish(ending) = action {
                return self.check_end(&process, &ending, started);
            }
            event = self.carry_out(&mut process, action)?;
        }
        prop_assert!(false, "it never ends");
        Ok(())
    }

    fn carry_out(
        &mut self,
        process: &mut Process<'_>,
        action: Action<CallId, Error>,
    ) -> Result<Event<CallId, Error>, TestCaseError> {
        let plan = process.plan;
        let key = process.key.clone();
        let is_deaf = plan.deaf.get(process.looks).copied().unwrap_or(false);
        Ok(match action {
            Action::SendPost { .. } => {
                prop_assert!(!plan.resume, "a resumption sends nothing");
                Event::PostEnded(self.post(process)?)
            }
            Action::RenewLogin if plan.renewable => Event::LoginRenewed(Ok(())),
            Action::RenewLogin => Event::LoginRenewed(Err(error())),
            Action::Wait(wait) => {
                self.now += wait.as_millis() as i64;
                Event::TimerFired
            }
            Action::ReadHistory => {
                process.looks += 1;
                Event::HistoryRead(if is_deaf { HistoryResult::Failed(error()) } else { self.look(&key) })
            }
            Action::AssignCallId(id) => {
                let is_taken = self.entries().iter().any(|e| e.key != key && e.call_id() == Some(&id));
                if !is_taken {
                    self.record(&key, &Change::Running(&id));
                }
                Event::CallIdAssigned(!is_taken)
            }
            Action::ReadCall(id) => {
                process.looks += 1;
                Event::CallRead(match (is_deaf, self.has_ended(&id)) {
                    (true, _) => CallStatus::Failed(error()),
                    (false, true) => CallStatus::Ended(id),
                    (false, false) => CallStatus::Running,
                })
            }
            Action::Deliver(id) => {
                let is_seen = !plan.mute && !plan.detach;
                if is_seen {
                    self.printed.insert(id.clone());
                }
                process.ended = Some(id);
                Event::Delivered(is_seen)
            }
            Action::RecordEnd { shown } => {
                let status = Some(&Status::Success);
                self.record(&key, &Change::Ended { call_id: process.ended.as_ref(), status, shown });
                Event::JournalUpdated
            }
            Action::RecordNotMade(error) => {
                prop_assert!(!plan.resume, "a resumption forgets nothing");
                self.record(&key, &if plan.detach { Change::Refused(&error) } else { Change::Discarded });
                Event::JournalUpdated
            }
            Action::Discard => {
                prop_assert!(!plan.resume, "a resumption forgets nothing");
                self.record(&key, &Change::Discarded);
                Event::JournalUpdated
            }
            Action::Finish(_) => Event::JournalUpdated,
        })
    }

    fn post(&mut self, process: &mut Process<'_>) -> Result<PostResult<CallId, Error>, TestCaseError> {
        let plan = process.plan;
        let fault = plan.faults.get(process.posts).or(plan.faults.last()).unwrap_or(&Fault::None).clone();
        process.posts += 1;
        let response = |status| PostResult::Response { status, retry_after: None, error: error() };
        if !matches!(fault, Fault::NoConnection(_)) {
            self.record(&process.key, &Change::Sent);
        }
        Ok(match fault {
            Fault::None => {
                let id = self.ring(process, 0)?;
                self.now += LASTS * 1000;
                PostResult::Ended(id)
            }
            Fault::Begins => PostResult::Running(self.ring(process, process.hidden)?),
            Fault::NoConnection(retryable) => PostResult::NoConnection { retryable, error: error() },
            Fault::NotTaken => response(429),
            Fault::Refused => response(422),
            Fault::Unauthorized => response(401),
            Fault::Lost(status, rang) => {
                if rang {
                    self.ring(process, process.hidden)?;
                }
                if status == 0 { PostResult::ResponseLost(error()) } else { response(status) }
            }
        })
    }

    fn look(&self, key: &IdempotencyKey) -> HistoryResult<Error> {
        let entries = self.entries();
        let now = self.moment();
        let taken: BTreeSet<&CallId> =
            entries.iter().filter(|entry| entry.key != *key).filter_map(Entry::call_id).collect();
        let shown = self.made.iter().filter(|made| made.visible <= self.unix() && !taken.contains(&made.id));
        let listed: Vec<Listed> = shown
            .map(|made| Listed {
                id: made.id.clone(),
                number: Some("+15551234567".into()),
                task: Some(TASKS[made.task].into()),
                created: Timestamp::from_second(made.created).ok(),
                is_complete: true,
            })
            .collect();
        let open: Vec<&Entry> =
            entries.iter().filter(|entry| entry.call_id().is_none() && entry.is_open(&now, false)).collect();
        let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
            return HistoryResult::NotFound(Vec::new());
        };
        match matching::find(entry, &open, &listed, Clocks { here: &now, service: None }) {
            Match::Ours(id) => HistoryResult::Found(id),
            Match::Ambiguous(ids) => HistoryResult::Ambiguous(ids),
            Match::NotListed(ids) | Match::NeedsDetails(ids) => HistoryResult::NotFound(ids),
        }
    }

    fn check_end(
        &self,
        process: &Process<'_>,
        ending: &Ending<Error>,
        started: i64,
    ) -> Result<(), TestCaseError> {
        let entry = self.entry(&process.key);
        match ending {
            Ending::Done { delivered } => {
                let is_recorded = |entry: Entry| {
                    matches!(entry.state, EntryState::Ended { .. }) && entry.shown == *delivered
                };
                prop_assert!(entry.is_some_and(is_recorded), "how a call ended is on record");
            }
            Ending::Unreachable(_) | Ending::Refused(_) | Ending::NotTaken(_) | Ending::NotRenewed(_) => {
                let kept = entry.is_some_and(|entry| matches!(entry.state, EntryState::Refused(_)));
                prop_assert_eq!(
                    kept,
                    process.plan.detach,
                    "what was not made is told later, or free to be made"
                );
            }
            Ending::Interrupted { is_open: false, .. } => prop_assert!(entry.is_none()),
            Ending::Unknown { .. } | Ending::Interrupted { is_open: true, .. } => {
                prop_assert!(entry.is_some_and(|entry| !entry.shown), "a call that may ring stays resumable");
            }
        }
        let spent = self.now - started;
        let most = (DEADLINE + Duration::from_secs(60)).as_millis() as i64;
        prop_assert!(spent <= most, "{ending:?} after {spent} ms");
        Ok(())
    }

    /// What the whole program stands for.
    fn check(&self) -> Result<(), TestCaseError> {
        let entries: BTreeMap<String, Entry> =
            self.entries().into_iter().map(|entry| (entry.key.to_string(), entry)).collect();
        for made in &self.made {
            let pending = entries.get(made.key.as_str()).is_some_and(|entry| !entry.shown);
            prop_assert!(self.printed.contains(&made.id) || pending, "the result of {} is lost", made.id);
        }
        Ok(())
    }
}

fn error() -> Error {
    Error::new(Kind::Unreachable, "no answer")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_phone_rings_at_most_once_per_call_and_no_result_is_lost(
        plans in prop::collection::vec(plan(), 1..8),
        hidden in prop::sample::select(vec![0i64, 1, 7, 30, 100, 500]),
    ) {
        let mut world = World::default();
        for plan in &plans {
            world.run(plan, hidden)?;
            world.check()?;
        }
    }
}
