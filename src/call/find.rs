//! A pure function that searches the history for a call whose response was lost.

use jiff::{SignedDuration, Timestamp};

use super::entry::Entry;
use super::journal::Contents;
use crate::api::Call;
use crate::domain::{CallId, comparable};

/// Clocks differ, so a call may seem to have been created up to this long before its request.
const MAX_BEFORE_SENDING: SignedDuration = SignedDuration::from_mins(2);
/// A call may have been created up to this long after its request was sent.
const MAX_AFTER_SENDING: SignedDuration = SignedDuration::from_mins(10);
/// If the service has truncated a task, at least this many characters must remain for a match.
const MIN_TRUNCATED_TASK: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Ours(CallId),
    /// More than one call matches, so it is unclear which one is the lost call.
    Several(Vec<CallId>),
    NotListed,
}

/// Finds the call that matches `entry` among `listed`, a page of the history. Skips calls that the
/// journal (`contents`) has under other keys. `clock_difference` is the service's clock minus this
/// computer's, in seconds.
pub fn find<'c>(
    entry: &Entry,
    listed: impl IntoIterator<Item = &'c Call>,
    contents: &Contents,
    clock_difference: i64,
) -> Finding {
    // Prefer the entry in the journal, because it has the time when the request was last sent.
    let own = contents.of_key(&entry.key);
    let entry = own
        .filter(|own| own.reservation == entry.reservation)
        .unwrap_or(entry);
    let before = entry.lookup.iter().flat_map(|lookup| &lookup.listed);
    let known: Vec<&CallId> = before.chain(contents.ids_of_others(&entry.key)).collect();
    let ours = |call: &&Call| is_ours(entry, call, clock_difference);
    let ids = listed
        .into_iter()
        .filter(ours)
        .map(|call| call.call_id.parse());
    let mut ids: Vec<CallId> = ids.flatten().filter(|id| !known.contains(&id)).collect();
    // Remove duplicates: a page may repeat a call if a new call is made during the request.
    ids.sort();
    ids.dedup();
    match ids.len() {
        0 => Finding::NotListed,
        1 => Finding::Ours(ids.remove(0)),
        _ => Finding::Several(ids),
    }
}

fn is_ours(entry: &Entry, call: &Call, clock_difference: i64) -> bool {
    let ours = entry.request.task().unwrap_or_default();
    call.dialed() == entry.request.dialed()
        && call.task().is_none_or(|task| is_same_task(task, ours))
        && (call.created_at()).is_some_and(|at| is_in_time(entry, at, clock_difference))
}

fn is_in_time(entry: &Entry, created: Timestamp, clock_difference: i64) -> bool {
    // If the history was not read before the call, older calls could match by mistake, so accept
    // only calls created after the request was sent. Allow 1 s, because the service may round down.
    let (difference, earliest) = match &entry.lookup {
        Some(lookup) => (lookup.clock_difference, MAX_BEFORE_SENDING),
        None => (clock_difference, SignedDuration::from_secs(1)),
    };
    let since_sent = created.duration_since(entry.sent_at) - SignedDuration::from_secs(difference);
    -earliest <= since_sent && since_sent <= MAX_AFTER_SENDING
}

/// Returns whether the task that the service lists equals ours or is a truncated version of it.
fn is_same_task(theirs: &str, ours: &str) -> bool {
    let is_long = theirs.trim().chars().count() >= MIN_TRUNCATED_TASK;
    let (theirs, ours) = (comparable(theirs), comparable(ours));
    theirs == ours || (is_long && ours.starts_with(&theirs))
}
