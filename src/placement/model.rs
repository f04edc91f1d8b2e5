//! The rules against a model of the service, the journal and the user, on a virtual clock. What a run meets is drawn
//! beforehand; the user runs the same command, or resumes, some times in a row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{Action, Ending, Event, Look, Placement, Sent, Sight};
use crate::error::Signal;

const DEADLINE: Duration = Duration::from_secs(600);

fn answered(status: u16) -> Sent {
    Sent::Answered { status, retry_after: None, refusal: false, call: false }
}

/// What the POST of a run meets.
#[derive(Debug, Clone)]
enum Fault {
    None,
    NoConnection(bool),
    NotTaken(u16),
    Refused,
    Unauthorized,
    /// The answer is lost; the phone rings, or the request never arrived.
    Lost(Sent, bool),
}

/// What the user does, and what happens to that run.
#[derive(Debug, Clone)]
struct Run {
    resume: bool,
    again: bool,
    /// What each POST meets; the last one repeats.
    faults: Vec<Fault>,
    /// Which looks at the service fail.
    deaf: Vec<bool>,
    /// After how many actions the process is killed, or gets a signal.
    kill_at: Option<usize>,
    signal_at: Option<usize>,
    /// Whether stdout is closed.
    mute: bool,
    renewable: bool,
}

#[derive(Debug, Default)]
struct World {
    now: Duration,
    /// By key: the IDs of the phones that rang for it.
    rings: BTreeMap<u32, Vec<String>>,
    /// When each call ends, and when the history shows it.
    calls: BTreeMap<String, (Duration, Duration)>,
    journal: BTreeMap<u32, Entry>,
    printed: BTreeSet<String>,
    next_key: u32,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    settled: bool,
    call: Option<String>,
}

impl World {
    fn ring(&mut self, key: u32, lasts: Duration, hidden: Duration) -> String {
        let rings = self.rings.entry(key).or_default();
        let id = format!("{key}-{}", rings.len());
        rings.push(id.clone());
        self.calls.insert(id.clone(), (self.now + lasts, self.now + hidden));
        id
    }

    fn look(&self, key: u32) -> Look {
        let taken = |id: &String| self.journal.iter().any(|(k, e)| *k != key && e.call.as_ref() == Some(id));
        let shown = |(_, visible): &(Duration, Duration)| *visible <= self.now;
        // Keys and IDs count up, so their order is that of time.
        let ids =
            self.calls.iter().filter(|(id, times)| shown(times) && !taken(id)).map(|(id, _)| id.clone());
        let claims = |other: &u32| {
            let entry = &self.journal[other];
            *other == key || (!entry.settled && entry.call.is_none())
        };
        let claimants: Vec<&u32> = self.journal.keys().filter(|other| claims(other)).collect();
        let rank = claimants.iter().position(|other| **other == key).unwrap_or_default();
        Look::Candidates { ids: ids.collect(), claimants: claimants.len(), rank }
    }

    /// One process, from its start to its end.
    fn run(&mut self, plan: &Run, hidden: Duration) -> Result<(), TestCaseError> {
        let open = self.journal.iter().rev().find(|(_, entry)| !entry.settled).map(|(key, _)| *key);
        let (key, mut placement) = match (plan.resume, open) {
            (true, None) => return Ok(()),
            (true, Some(key)) => (key, Placement::resume(self.journal[&key].call.clone(), DEADLINE)),
            // The journal refuses the same call.
            (false, Some(_)) if !plan.again => return Ok(()),
            (false, _) => {
                self.next_key += 1;
                self.journal.insert(self.next_key, Entry::default());
                (self.next_key, Placement::new(DEADLINE))
            }
        };
        let started = self.now;
        let (mut event, mut posts, mut looks) = (Event::Begin, 0, 0);
        let mut result: Option<String> = None;
        for step in 0..1000 {
            if plan.kill_at == Some(step) {
                return Ok(());
            }
            if plan.signal_at == Some(step) {
                event = Event::Signal(Signal::Interrupt);
            }
            let deaf = plan.deaf.get(looks).copied().unwrap_or(false);
            let action = placement.step(self.now - started, event);
            self.now += Duration::from_millis(10);
            event = match action {
                Action::Send { .. } => {
                    prop_assert!(!plan.resume, "a resumption sends nothing");
                    let fault = plan.faults.get(posts).or(plan.faults.last()).unwrap_or(&Fault::None);
                    posts += 1;
                    Event::Sent(self.post(key, fault, hidden, &mut result))
                }
                Action::Renew => Event::Renewed(plan.renewable),
                Action::Wait(wait) => {
                    self.now += wait;
                    Event::Woke
                }
                Action::LookUp => {
                    looks += 1;
                    Event::Looked(if deaf { Look::Failed } else { self.look(key) })
                }
                Action::Claim(id) => {
                    let taken = self.journal.iter().any(|(k, e)| *k != key && e.call.as_ref() == Some(&id));
                    if let Some(entry) = self.journal.get_mut(&key).filter(|_| !taken) {
                        entry.call = Some(id);
                    }
                    Event::Claimed(!taken)
                }
                Action::Fetch(id) => {
                    looks += 1;
                    let over = self.calls[&id].0 <= self.now;
                    result = Some(id);
                    Event::Seen(if deaf {
                        Sight::Failed
                    } else if over {
                        Sight::Over
                    } else {
                        Sight::Running
                    })
                }
                Action::Print => {
                    let id = result.clone().expect("something to print");
                    if !plan.mute {
                        self.printed.insert(id);
                    }
                    Event::Printed(!plan.mute)
                }
                Action::Settle => {
                    if let Some(entry) = self.journal.get_mut(&key) {
                        *entry = Entry { settled: true, call: result.clone() };
                    }
                    Event::Noted
                }
                Action::Discard => {
                    prop_assert!(!plan.resume, "a resumption forgets nothing");
                    self.journal.remove(&key);
                    Event::Noted
                }
                Action::End(ending) => return self.check_end(key, &ending, started),
            };
        }
        prop_assert!(false, "it never ends");
        Ok(())
    }

    fn post(&mut self, key: u32, fault: &Fault, hidden: Duration, result: &mut Option<String>) -> Sent {
        let lasts = Duration::from_secs(40);
        let status =
            |status| Sent::Answered { status, retry_after: None, refusal: status != 503, call: false };
        match fault {
            Fault::None => {
                *result = Some(self.ring(key, lasts, Duration::ZERO));
                self.now += lasts;
                Sent::Answered { status: 201, retry_after: None, refusal: false, call: true }
            }
            Fault::NoConnection(again) => Sent::NoConnection { again: *again },
            Fault::NotTaken(code) => {
                let retry_after = Some(Duration::from_secs(1));
                Sent::Answered { status: *code, retry_after, refusal: false, call: false }
            }
            Fault::Refused => status(422),
            Fault::Unauthorized => status(401),
            Fault::Lost(sent, rang) => {
                if *rang {
                    self.ring(key, lasts, hidden);
                }
                sent.clone()
            }
        }
    }

    fn check_end(&self, key: u32, ending: &Ending, started: Duration) -> Result<(), TestCaseError> {
        let entry = self.journal.get(&key);
        match ending {
            Ending::Done => {
                prop_assert!(entry.is_some_and(|entry| entry.settled), "a printed call is settled")
            }
            Ending::Unreachable | Ending::Refused | Ending::NotTaken | Ending::NotRenewed => {
                prop_assert!(entry.is_none(), "a call that was not made is free to be made");
            }
            Ending::Interrupted { open: false, .. } => prop_assert!(entry.is_none()),
            Ending::NotPrinted | Ending::Unknown(_) | Ending::Interrupted { open: true, .. } => {
                prop_assert!(
                    entry.is_some_and(|entry| !entry.settled),
                    "a call that may ring stays resumable"
                );
            }
        }
        let spent = self.now - started;
        prop_assert!(spent <= DEADLINE + Duration::from_secs(60), "{ending:?} after {spent:?}");
        Ok(())
    }

    /// What the whole program stands for.
    fn check(&self) -> Result<(), TestCaseError> {
        for (key, rings) in &self.rings {
            prop_assert!(rings.len() <= 1, "the phone rang {} times for one call", rings.len());
            for id in rings {
                let open = self.journal.get(key).is_some_and(|entry| !entry.settled);
                prop_assert!(self.printed.contains(id) || open, "the result of {id} is lost");
            }
        }
        Ok(())
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let lost = prop_oneof![
        Just(Sent::Cut),
        prop::sample::select(vec![200, 201, 204, 302, 307, 408, 409, 500, 502, 503, 504, 520])
            .prop_map(answered),
    ];
    prop_oneof![
        2 => Just(Fault::None),
        1 => any::<bool>().prop_map(Fault::NoConnection),
        1 => prop::sample::select(vec![429, 503]).prop_map(Fault::NotTaken),
        1 => Just(Fault::Refused),
        1 => Just(Fault::Unauthorized),
        6 => (lost, any::<bool>()).prop_map(|(sent, rang)| Fault::Lost(sent, rang)),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    let moment = || prop::option::weighted(0.25, 0..12usize);
    let faults = prop::collection::vec(fault(), 1..4);
    let deaf = prop::collection::vec(any::<bool>(), 0..6);
    (
        any::<bool>(),
        prop::bool::weighted(0.15),
        faults,
        deaf,
        moment(),
        moment(),
        prop::bool::weighted(0.15),
        any::<bool>(),
    )
        .prop_map(|(resume, again, faults, deaf, kill_at, signal_at, mute, renewable)| Run {
            resume,
            again,
            faults,
            deaf,
            kill_at,
            signal_at,
            mute,
            renewable,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_phone_rings_at_most_once_per_call_and_no_result_is_lost(
        runs in prop::collection::vec(run(), 1..8),
        hidden in prop::sample::select(vec![0u64, 1, 7, 30, 100, 500]),
    ) {
        let mut world = World::default();
        for plan in &runs {
            world.run(plan, Duration::from_secs(hidden))?;
            world.check()?;
        }
    }
}
