//! The rules against a model of the service, the journal and the user, on a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{Action, CONNECT_WITHIN, Ending, Event, Look, Lost, Placement, Sent, Sight};
use crate::error::Signal;

const DEADLINE: Duration = Duration::from_secs(600);

fn answered(status: u16) -> Sent {
    Sent::Answered { status, retry_after: None, refusal: false, call: false }
}

/// Begins a call whose POST ends like this, and returns what follows.
fn after(sent: Sent) -> (Placement, Action) {
    let mut placement = Placement::new(DEADLINE);
    let first = placement.step(Duration::ZERO, Event::Begin);
    assert_eq!(first, Action::Send { connect_by: CONNECT_WITHIN });
    let next = placement.step(Duration::from_secs(1), Event::Sent(sent));
    (placement, next)
}

#[test]
fn a_lost_answer_is_looked_up_at_once_and_never_sent_again() {
    let no_call = Sent::Answered { status: 201, retry_after: None, refusal: false, call: false };
    let statuses = [200, 204, 301, 302, 307, 308, 408, 409, 500, 501, 502, 503, 504, 520, 599].map(answered);
    for sent in statuses.into_iter().chain([no_call, Sent::Cut]) {
        assert_eq!(after(sent.clone()).1, Action::LookUp, "{sent:?}");
    }
}

#[test]
fn a_refusal_ends_it_and_frees_the_key() {
    for status in [400, 402, 403, 404, 418, 422, 451] {
        let (mut placement, next) = after(answered(status));
        assert_eq!(next, Action::Discard, "{status}");
        assert_eq!(placement.step(DEADLINE, Event::Noted), Action::End(Ending::Refused));
    }
}

#[test]
fn what_was_not_taken_is_sent_again_three_times() {
    let busy = || Event::Sent(Sent::Answered { status: 429, retry_after: None, refusal: false, call: false });
    let mut placement = Placement::new(DEADLINE);
    placement.step(Duration::ZERO, Event::Begin);
    for _ in 0..3 {
        assert!(matches!(placement.step(Duration::ZERO, busy()), Action::Wait(_)));
        assert!(matches!(placement.step(Duration::ZERO, Event::Woke), Action::Send { .. }));
    }
    assert_eq!(placement.step(Duration::ZERO, busy()), Action::Discard);
    assert_eq!(placement.step(Duration::ZERO, Event::Noted), Action::End(Ending::NotTaken));
}

#[test]
fn a_503_counts_as_not_taken_only_when_the_service_itself_says_so() {
    let sent = |retry_after, refusal| Sent::Answered { status: 503, retry_after, refusal, call: false };
    assert!(matches!(after(sent(Some(Duration::from_secs(1)), false)).1, Action::Wait(_)));
    assert!(matches!(after(sent(None, true)).1, Action::Wait(_)));
    assert_eq!(after(sent(None, false)).1, Action::LookUp);
}

#[test]
fn a_retry_after_beyond_the_time_left_is_not_waited_for() {
    let sent = Sent::Answered { status: 429, retry_after: Some(DEADLINE), refusal: false, call: false };
    assert_eq!(after(sent).1, Action::Discard);
}

#[test]
fn the_login_is_renewed_once() {
    let (mut placement, next) = after(answered(401));
    assert_eq!(next, Action::Renew);
    assert!(matches!(placement.step(Duration::ZERO, Event::Renewed(true)), Action::Send { .. }));
    assert_eq!(placement.step(Duration::ZERO, Event::Sent(answered(401))), Action::Discard);
    let (mut placement, _) = after(answered(401));
    assert_eq!(placement.step(Duration::ZERO, Event::Renewed(false)), Action::Discard);
    assert_eq!(placement.step(Duration::ZERO, Event::Noted), Action::End(Ending::NotRenewed));
}

#[test]
fn connecting_is_tried_three_times_within_ten_seconds() {
    let failed = || Event::Sent(Sent::NoConnection { again: true });
    let mut placement = Placement::new(DEADLINE);
    placement.step(Duration::ZERO, Event::Begin);
    for _ in 0..2 {
        assert!(matches!(placement.step(Duration::ZERO, failed()), Action::Wait(_)));
        assert!(matches!(placement.step(Duration::ZERO, Event::Woke), Action::Send { .. }));
    }
    assert_eq!(placement.step(Duration::ZERO, failed()), Action::Discard);
    let mut slow = Placement::new(DEADLINE);
    slow.step(Duration::ZERO, Event::Begin);
    assert_eq!(slow.step(CONNECT_WITHIN, failed()), Action::Discard);
    assert_eq!(after(Sent::NoConnection { again: false }).1, Action::Discard);
}

#[test]
fn looks_back_off_from_two_to_fifteen_seconds_and_end_after_two_minutes() {
    let (mut placement, mut action) = after(Sent::Cut);
    let (mut now, mut waits) = (Duration::from_secs(1), Vec::new());
    loop {
        action = match action {
            Action::LookUp => {
                placement.step(now, Event::Looked(Look::Candidates { ids: vec![], claimants: 1, rank: 0 }))
            }
            Action::Wait(wait) => {
                waits.push(wait);
                now += wait;
                placement.step(now, Event::Woke)
            }
            Action::End(ending) => {
                assert_eq!(ending, Ending::Unknown(Lost::NotFound));
                break;
            }
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(waits[..3], [Duration::from_secs(2), Duration::from_secs(3), Duration::from_millis(4500)]);
    assert_eq!(waits.iter().max(), Some(&Duration::from_secs(15)));
    assert!((120..=136).contains(&now.as_secs()), "{now:?}");
}

#[test]
fn several_claimants_take_their_calls_in_order_once_all_of_them_show() {
    let look = |ids: &[&str], rank| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        after(Sent::Cut)
            .0
            .step(Duration::from_secs(2), Event::Looked(Look::Candidates { ids, claimants: 2, rank }))
    };
    assert!(matches!(look(&[], 0), Action::Wait(_)) && matches!(look(&["a"], 0), Action::Wait(_)));
    assert_eq!(
        (look(&["a", "b"], 0), look(&["a", "b"], 1)),
        (Action::Claim("a".into()), Action::Claim("b".into()))
    );
    assert!(matches!(look(&["a", "b", "c"], 0), Action::End(Ending::Unknown(Lost::Unclear(_)))));
}

#[test]
fn a_call_that_was_found_is_waited_for_until_the_deadline() {
    let (mut placement, _) = after(Sent::Cut);
    let found = Event::Looked(Look::Candidates { ids: vec!["a".into()], claimants: 1, rank: 0 });
    assert_eq!(placement.step(Duration::from_secs(2), found), Action::Claim("a".into()));
    assert_eq!(placement.step(Duration::from_secs(2), Event::Claimed(true)), Action::Fetch("a".into()));
    let running = placement.step(Duration::from_secs(300), Event::Seen(Sight::Running));
    assert!(matches!(running, Action::Wait(_)), "beyond the two minutes of the search");
    assert_eq!(placement.step(Duration::from_secs(302), Event::Woke), Action::Fetch("a".into()));
    let late = placement.step(DEADLINE, Event::Seen(Sight::Running));
    assert_eq!(late, Action::End(Ending::Unknown(Lost::StillRunning)));
}

#[test]
fn a_signal_between_attempts_frees_the_key_and_any_other_keeps_the_call_open() {
    let (mut waiting, _) = after(answered(429));
    assert_eq!(waiting.step(Duration::ZERO, Event::Signal(Signal::Interrupt)), Action::Discard);
    let mut sent = Placement::new(DEADLINE);
    sent.step(Duration::ZERO, Event::Begin);
    let ending = Ending::Interrupted { signal: Signal::Terminate, open: true };
    assert_eq!(sent.step(Duration::ZERO, Event::Signal(Signal::Terminate)), Action::End(ending));
}

// The model. What a run meets is drawn beforehand; the user runs the same command, or resumes, some times in a row.

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
