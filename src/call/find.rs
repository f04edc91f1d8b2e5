//! Searches the history for the call whose response was lost, with a pure function.

use jiff::{SignedDuration, Timestamp};

use super::entry::Entry;
use crate::api::Call;
use crate::domain::{CallId, comparable};

/// How long before the request the call may seem to have been created, because clocks differ.
const EARLIEST: SignedDuration = SignedDuration::from_mins(2);
/// How long after the request the call may have been created.
const LATEST: SignedDuration = SignedDuration::from_mins(10);
/// A task that the service cut short matches only if it still has this many characters.
const SHORTENED_TASK: usize = 20;

/// The result of one lookup in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Ours(CallId),
    /// Each of these could be our call.
    Several(Vec<CallId>),
    NotListed,
}

/// Finds the call that matches `entry` on a page of the history. `taken` holds the IDs of other
/// calls in the journal. `clock_difference` is the service's clock minus this computer's, in seconds.
pub fn find<'c>(
    entry: &Entry,
    listed: impl IntoIterator<Item = &'c Call>,
    taken: &[CallId],
    clock_difference: i64,
) -> Finding {
    let before = entry.lookup.iter().flat_map(|lookup| &lookup.listed);
    let known: Vec<&CallId> = before.chain(taken).collect();
    let ours = listed
        .into_iter()
        .filter(|call| is_ours(entry, call, clock_difference));
    let mut ids: Vec<CallId> = ours.filter_map(|call| call.call_id.parse().ok()).collect();
    ids.retain(|id| !known.contains(&id));
    // The page may list a call twice if another call is made at the same time.
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
        && call.task().is_none_or(|task| is_task(task, ours))
        && (call.created_at()).is_some_and(|at| is_in_time(entry, at, clock_difference))
}

fn is_in_time(entry: &Entry, created: Timestamp, clock_difference: i64) -> bool {
    // Without a lookup from before the call, older calls look like ours, so consider only calls
    // created after ours was sent. Allow 1 s, because the service may round times down.
    let (difference, earliest) = match &entry.lookup {
        Some(lookup) => (lookup.clock_difference, EARLIEST),
        None => (clock_difference, SignedDuration::from_secs(1)),
    };
    let sent = entry
        .sent_at
        .saturating_add(SignedDuration::from_secs(difference));
    let since_sent = created.duration_since(sent.unwrap_or(entry.sent_at));
    -earliest <= since_sent && since_sent <= LATEST
}

/// Returns whether the service's task equals ours or is a prefix of it.
fn is_task(theirs: &str, ours: &str) -> bool {
    let is_long = theirs.trim().chars().count() >= SHORTENED_TASK;
    let (theirs, ours) = (comparable(theirs), comparable(ours));
    theirs == ours || (is_long && ours.starts_with(&theirs))
}
