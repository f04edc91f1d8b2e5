//! What the journal says against a call, as a pure function: a number that may be ringing is not called again, whatever
//! the words, and what was done is not done again.

use super::entry::{Entry, EntryState, GUARDED_FOR};
use crate::domain::IdempotencyKey;

/// Which rules a call is held against.
#[derive(Debug, Clone, Copy)]
pub struct Guards {
    /// An open call to the same number.
    pub open: bool,
    /// A success of the same request.
    pub done: bool,
    /// An earlier use of the key, which the user chose.
    pub chosen_key: bool,
}

/// What an entry of the journal says against a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// This call to the same number is not known to have ended.
    Open(Box<Entry>),
    /// This call for the same ended in success a short time ago.
    Done(Box<Entry>),
    /// The key was used before, for this call of the same request.
    Known(Box<Entry>),
    /// The key was used before, for another request.
    KeyTaken,
}

/// What these entries say against a call, if anything. `is_waited_for` tells of which keys a process waits for the call.
pub fn refusal(
    entries: &[Entry],
    entry: &Entry,
    guards: Guards,
    is_waited_for: impl Fn(&IdempotencyKey) -> bool,
) -> Option<Refusal> {
    let now = &entry.written;
    let is_open = |other: &Entry| other.is_open(now, is_waited_for(&other.key));
    if let Some(known) = entries.iter().find(|known| known.key == entry.key) {
        // What was prepared and never sent used no key.
        if known.state != EntryState::Prepared || is_open(known) {
            let is_same = known.is_same_request(entry);
            return Some(if is_same { Refusal::Known(Box::new(known.clone())) } else { Refusal::KeyTaken });
        }
    }
    let newest_first = || entries.iter().rev().filter(|other| other.key != entry.key);
    let is_young = |other: &Entry| other.written.age(now) < GUARDED_FOR;
    let is_in_the_way = |other: &&Entry| {
        other.number == entry.number && is_open(other) && (is_young(other) || is_waited_for(&other.key))
    };
    let is_done = |other: &&Entry| is_young(other) && other.is_success() && other.is_same_request(entry);
    let open = newest_first().filter(|_| guards.open).find(is_in_the_way);
    let done = newest_first().filter(|_| guards.done).find(is_done);
    match (open, done) {
        (Some(open), _) => Some(Refusal::Open(Box::new(open.clone()))),
        (None, Some(done)) => Some(Refusal::Done(Box::new(done.clone()))),
        (None, None) => None,
    }
}

/// The newest young success at the number, whatever it was for.
pub fn earlier_success<'e>(entries: &'e [Entry], entry: &Entry) -> Option<&'e Entry> {
    let is_young = |other: &Entry| other.written.age(&entry.written) < GUARDED_FOR;
    entries.iter().rev().find(|other| other.number == entry.number && other.is_success() && is_young(other))
}

/// Whether an entry may stand in the way, and only the service can tell: an open call to the same number that is too old to
/// be in the way by itself, or a young one for the same that ended in a way that was not noted.
pub fn is_undecided(entries: &[Entry], entry: &Entry) -> bool {
    let now = &entry.written;
    entries.iter().filter(|other| other.key != entry.key).any(|other| {
        let age = other.written.age(now);
        let is_old_open = other.number == entry.number && age >= GUARDED_FOR && other.is_open(now, false);
        let may_be_done = age < GUARDED_FOR
            && matches!(other.state, EntryState::Ended { status: None, .. })
            && other.is_same_request(entry);
        is_old_open || may_be_done
    })
}

#[cfg(test)]
mod tests {
    use super::super::entry::{KEPT_FOR, Moment};
    use super::*;
    use crate::domain::{CallStatus, example_request};

    const NOW: i64 = 1_800_000_000;
    const ALL: Guards = Guards { open: true, done: true, chosen_key: false };
    const HOUR: i64 = 3600;

    /// An entry written so many seconds ago.
    fn entry(key: &str, task: &str, ago: i64, state: EntryState) -> Entry {
        let written = Moment { unix: NOW - ago, boot: None };
        let request = example_request(task);
        let entry = Entry::new(key.parse().expect("a key"), &request, "https://example.org".into(), written);
        Entry { state, ..entry }
    }

    fn new(key: &str) -> Entry {
        entry(key, "Reserve a table", 0, EntryState::Prepared)
    }

    fn ended(status: CallStatus) -> EntryState {
        EntryState::Ended { call_id: None, status: Some(status) }
    }

    fn found(known: Entry, entry: &Entry, guards: Guards, is_waited_for: bool) -> Option<Refusal> {
        refusal(&[known], entry, guards, |_| is_waited_for)
    }

    #[test]
    fn an_open_call_to_the_number_is_in_the_way_for_six_hours_whatever_the_words() {
        for (ago, is_waited_for, is_refused) in
            [(0, false, true), (6 * HOUR - 1, false, true), (6 * HOUR, false, false), (6 * HOUR, true, true)]
        {
            let open = entry("a", "Other words", ago, EntryState::Sent);
            let refused = found(open.clone(), &new("b"), ALL, is_waited_for);
            let expected = is_refused.then(|| Refusal::Open(Box::new(open.clone())));
            assert_eq!(refused, expected, "{ago} s ago, {is_waited_for}");
            assert_eq!(found(open, &new("b"), Guards { open: false, ..ALL }, is_waited_for), None);
        }
        let other = Entry { number: "+15551234568".into(), ..entry("a", "x", 0, EntryState::Sent) };
        assert_eq!(found(other, &new("b"), ALL, true), None);
        let over = entry("a", "x", 0, ended(CallStatus::Busy));
        assert_eq!(found(over, &new("b"), ALL, true), None);
    }

    #[test]
    fn what_ended_in_success_is_not_done_again_for_six_hours() {
        let done = |task, ago, status| entry("a", task, ago, ended(status));
        for (known, is_refused) in [
            (done("reserve a TABLE", 0, CallStatus::Success), true),
            (done("Reserve a table", 6 * HOUR - 1, CallStatus::Success), true),
            (done("Reserve a table", 6 * HOUR, CallStatus::Success), false),
            (done("Reserve a room", 0, CallStatus::Success), false),
            (done("Reserve a table", 0, CallStatus::NoAnswer), false),
        ] {
            let expected = is_refused.then(|| Refusal::Done(Box::new(known.clone())));
            assert_eq!(found(known.clone(), &new("b"), ALL, false), expected, "{known:?}");
            assert_eq!(found(known, &new("b"), Guards { done: false, ..ALL }, false), None);
        }
    }

    #[test]
    fn a_key_is_known_by_its_request_unless_nothing_was_ever_sent_under_it() {
        let sent = entry("a", "Reserve a table", 9 * HOUR, EntryState::Sent);
        assert_eq!(found(sent.clone(), &new("a"), ALL, false), Some(Refusal::Known(Box::new(sent.clone()))));
        let other = entry("a", "Something else", 0, EntryState::Sent);
        assert_eq!(found(other, &new("a"), ALL, false), Some(Refusal::KeyTaken));
        let boot = Some(super::super::entry::SinceBoot { id: "b".into(), seconds: 1 });
        let here = |entry: Entry| Entry { written: Moment { boot: boot.clone(), ..entry.written }, ..entry };
        let prepared = here(entry("a", "Something else", 60, EntryState::Prepared));
        assert_eq!(found(prepared.clone(), &here(new("a")), ALL, false), None);
        assert_eq!(found(prepared, &here(new("a")), ALL, true), Some(Refusal::KeyTaken));
    }

    #[test]
    fn an_old_open_call_to_the_number_must_be_looked_up() {
        for (ago, is_old) in [(0, false), (6 * HOUR - 1, false), (6 * HOUR, true), (KEPT_FOR, true)] {
            let open = entry("a", "x", ago, EntryState::Sent);
            assert_eq!(is_undecided(std::slice::from_ref(&open), &new("b")), is_old, "{ago} s ago");
            assert!(!is_undecided(std::slice::from_ref(&open), &new("a")), "it is this call");
            assert!(!is_undecided(&[Entry { number: "+15551234568".into(), ..open }], &new("b")));
            let over = entry("a", "Reserve a table", ago, ended(CallStatus::Busy));
            assert!(!is_undecided(&[over], &new("b")));
            // Earlier versions did not note how a call ended.
            let nobody_noted = EntryState::Ended { call_id: None, status: None };
            let over = |task| entry("a", task, ago, nobody_noted.clone());
            assert_eq!(is_undecided(&[over("Reserve a table")], &new("b")), ago < 6 * HOUR);
            assert!(!is_undecided(&[over("Something else")], &new("b")));
        }
        assert_eq!((GUARDED_FOR, KEPT_FOR), (6 * HOUR, 30 * 24 * HOUR));
    }
}
