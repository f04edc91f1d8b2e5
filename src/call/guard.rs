//! What the journal says against a call, as a pure function: a number that may be ringing is not called again, whatever
//! the words, and what was done is not done again.

use super::entry::{Entry, EntryState, GUARDED_FOR, KEPT_FOR};
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

/// Whether an entry may stand in the way, and only the service can tell: an open call to the same number that is too old to
/// be in the way by itself, or a young one for the same that ended in a way that was not noted.
pub fn is_undecided(entries: &[Entry], entry: &Entry) -> bool {
    let now = &entry.written;
    entries.iter().filter(|other| other.key != entry.key).any(|other| {
        let age = other.written.age(now);
        let is_old_open = other.number == entry.number
            && (GUARDED_FOR..KEPT_FOR).contains(&age)
            && other.is_open(now, false);
        let may_be_done = age < GUARDED_FOR
            && matches!(other.state, EntryState::Ended { status: None, .. })
            && other.is_same_request(entry);
        is_old_open || may_be_done
    })
}
