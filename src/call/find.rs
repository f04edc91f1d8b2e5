//! Decides which call in the history is the lost one. A pure function.

use jiff::{SignedDuration, Timestamp};

use super::entry::Entry;
use crate::api::Call;
use crate::domain::{CallId, comparable, dialed};

/// How long before it was sent a call may seem to have been created, because clocks differ.
const EARLIEST: SignedDuration = SignedDuration::from_mins(2);
const LATEST: SignedDuration = SignedDuration::from_mins(10);
/// A shortened task matches only if at least this many letters and digits are left.
const SHORTENED_TASK: usize = 20;

/// The result of one lookup in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Ours(CallId),
    /// Each of these could be ours.
    Several(Vec<CallId>),
    NotListed,
}

/// Finds the call that matches `entry` on a page of the history. `taken` holds the IDs that other journal files
/// already have. `clock_difference` is the service's clock minus this computer's, in seconds.
pub fn find(entry: &Entry, listed: &[&Call], taken: &[CallId], clock_difference: i64) -> Finding {
    let is_known = |id: &CallId| {
        taken.contains(id)
            || entry
                .lookup
                .as_ref()
                .is_some_and(|lookup| lookup.listed.contains(id))
    };
    let fits = |call: &&&Call| is_ours(entry, call, clock_difference);
    let ids = listed
        .iter()
        .filter(fits)
        .filter_map(|call| call.call_id.parse().ok());
    let mut ids: Vec<CallId> = ids.filter(|id| !is_known(id)).collect();
    // A call may be listed twice if another is made while the page is read.
    ids.sort();
    ids.dedup();
    match ids.len() {
        0 => Finding::NotListed,
        1 => Finding::Ours(ids.remove(0)),
        _ => Finding::Several(ids),
    }
}

fn is_ours(entry: &Entry, call: &Call, clock_difference: i64) -> bool {
    let is_to_number = call
        .number()
        .is_some_and(|number| dialed(number) == dialed(&entry.number));
    let is_for_task = call.task().is_none_or(|task| is_task(task, &entry.task));
    is_to_number
        && is_for_task
        && call
            .created_at()
            .is_some_and(|at| is_in_time(entry, at, clock_difference))
}

fn is_in_time(entry: &Entry, created: Timestamp, clock_difference: i64) -> bool {
    // Without the lookup before the call, older calls cannot be told apart from ours. Consider only
    // calls created after it was sent. The service may round times down to the second.
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

/// Whether the service's task equals ours or is a prefix of it.
fn is_task(told: &str, ours: &str) -> bool {
    let (told, ours) = (comparable(told), comparable(ours));
    told == ours || (told.chars().count() >= SHORTENED_TASK && ours.starts_with(&told))
}
