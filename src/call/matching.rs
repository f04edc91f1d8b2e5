//! Which call of a history is the one that a journal entry asked for. One pure function decides it.
//!
//! The service repeats no idempotency key, so a call is known by its number, its task and its time. What the service
//! leaves out or shortens makes a call a mere possibility, which is taken only if it is the only one.

use std::collections::HashMap;

use jiff::Timestamp;

use super::entry::{Entry, Moment};
use crate::api::Call;
use crate::domain::{CallId, comparable};

/// What the entries of the journal that compete for the calls of a history have in common.
#[derive(Debug, Clone, Copy)]
pub struct Clocks<'a> {
    /// This computer's, now.
    pub here: &'a Moment,
    /// The service's, now, where an answer told it.
    pub service: Option<Timestamp>,
}

/// A call as the history, or a look at the call itself, shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its ID.
    pub id: CallId,
    /// The number that was called.
    pub number: Option<String>,
    /// What was asked for.
    pub task: Option<String>,
    /// When it was requested.
    pub created: Option<Timestamp>,
    /// Whether it was looked at itself, so that what is left out here is left out everywhere.
    pub is_complete: bool,
}

/// Which call is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// This one.
    Ours(CallId),
    /// Which of these cannot be told, and waiting would not tell.
    Ambiguous(Vec<CallId>),
    /// None of those listed, unless it is one of these, which may be another entry's or of another time.
    NotListed(Vec<CallId>),
    /// That depends on what these say when they are looked at themselves.
    NeedsDetails(Vec<CallId>),
}

/// How well a call fits an entry. The better fits come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is another.
    Other,
    /// It may be ours, but when it was requested is not told.
    Undated,
    /// It may be ours: number, task or both are not told in full.
    Possible,
    /// Number, task and time fit.
    Full,
}

/// A call is created at the earliest so long before its entry, by a clock that may be set meanwhile, in seconds.
const CLOCK_SKEW: i64 = 120;
/// A request reaches the service within this time of being sent, or hardly ever, in seconds.
const ARRIVAL_WINDOW: i64 = 10 * 60;
/// A number in national form has as many digits at least.
const NATIONAL_DIGITS: usize = 6;

/// Finds the call of `entry` among those listed that no other entry is known to be. `open` are the entries that may own
/// calls as yet unknown, `entry` among them, oldest first.
pub fn find(entry: &Entry, open: &[&Entry], listed: &[Listed], clocks: Clocks<'_>) -> Match {
    let fit = |entry: &Entry, call: &Listed| classify(entry, call, clocks);
    let best = listed.iter().map(|call| fit(entry, call)).max().unwrap_or(Fit::Other);
    if best == Fit::Other {
        return Match::NotListed(Vec::new());
    }
    let mut fitting: Vec<&Listed> = listed.iter().filter(|call| fit(entry, call) == best).collect();
    fitting.sort_by_key(|call| (call.created, &call.id));
    fitting.dedup_by_key(|call| &call.id);
    let ids = |calls: &[&Listed]| calls.iter().map(|call| call.id.clone()).collect::<Vec<_>>();
    let incomplete: Vec<&Listed> = fitting.iter().copied().filter(|call| !call.is_complete).collect();
    if best != Fit::Full && !incomplete.is_empty() {
        return Match::NeedsDetails(ids(&incomplete));
    }
    let competes =
        |other: &&&Entry| other.key != entry.key && fitting.iter().any(|call| fit(other, call) == best);
    let owners = 1 + open.iter().filter(competes).count();
    // Each of several entries has a call there: the older entry has the older call.
    let rank = open.iter().take_while(|other| other.key != entry.key).filter(competes).count();
    match best {
        Fit::Full if fitting.len() == owners => Match::Ours(ids(&fitting).swap_remove(rank)),
        Fit::Possible if fitting.len() == 1 && owners == 1 => Match::Ours(ids(&fitting).swap_remove(0)),
        Fit::Full | Fit::Possible if fitting.len() > owners => Match::Ambiguous(ids(&fitting)),
        Fit::Full | Fit::Possible | Fit::Undated | Fit::Other => Match::NotListed(ids(&fitting)),
    }
}

/// How well a call fits an entry.
pub fn classify(entry: &Entry, call: &Listed, clocks: Clocks<'_>) -> Fit {
    let number =
        call.number.as_deref().map_or(Told::Nothing, |number| compare_numbers(number, &entry.number));
    let task = call.task.as_deref().map_or(Told::Nothing, |task| compare_tasks(task, &entry.task));
    if number == Told::Other || task == Told::Other {
        return Fit::Other;
    }
    let Some(created) = call.created else { return Fit::Undated };
    let [earliest, latest] = window(entry, clocks);
    match created.as_second() {
        created if created < earliest || created > latest => Fit::Other,
        _ if number == Told::Same && task == Told::Same => Fit::Full,
        _ => Fit::Possible,
    }
}

/// From when until when the call of an entry may have been created, in Unix seconds of the service's clock.
pub fn window(entry: &Entry, clocks: Clocks<'_>) -> [i64; 2] {
    let difference_now = clocks.service.map(|service| service.as_second() - clocks.here.unix);
    let to_service = |unix: i64| match (entry.clock_difference, difference_now) {
        // Told when the entry was written: right however this computer's clock was set since.
        (Some(difference), _) => unix.saturating_add(difference),
        // Its age by the clock that nobody sets, before the service's present.
        (None, Some(difference)) if entry.written.is_same_boot(clocks.here) => {
            let moved = clocks.here.unix - entry.written.age(clocks.here) - entry.written.unix;
            unix.saturating_add(moved).saturating_add(difference)
        }
        (None, difference) => unix.saturating_add(difference.unwrap_or_default()),
    };
    let last_sent = entry.sent_at.unwrap_or(entry.written.unix).max(entry.written.unix);
    [
        to_service(entry.written.unix).saturating_sub(CLOCK_SKEW),
        to_service(last_sent).saturating_add(ARRIVAL_WINDOW),
    ]
}

/// What one field of a call tells of an entry's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is the same.
    Same,
    /// It is not told in full, and fits as far as it is.
    InPart,
    /// It is not told.
    Nothing,
    /// It is another.
    Other,
}

/// Compares a number as a service or an older client may write it with one in E.164 form.
pub fn compare_numbers(told: &str, ours: &str) -> Told {
    let is_mask = |c: char| matches!(c, '*' | 'x' | 'X' | '#' | '•' | '…' | '●' | '_');
    let our_digits = ours.trim_start_matches('+');
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    if told.contains(is_mask) {
        let start = digits(told.split(is_mask).next().unwrap_or_default());
        let end = digits(told.rsplit(is_mask).next().unwrap_or_default());
        let fits = (our_digits.starts_with(&start) || start.is_empty()) && our_digits.ends_with(&end);
        return if fits { Told::InPart } else { Told::Other };
    }
    let all = digits(told);
    let international = all.strip_prefix("00").filter(|_| !told.contains('+')).unwrap_or(&all);
    if international == our_digits {
        return Told::Same;
    }
    // A national form leaves the country out, and may have a trunk zero in front.
    let national = all.trim_start_matches('0');
    let is_national =
        !told.contains('+') && national.len() >= NATIONAL_DIGITS && our_digits.ends_with(national);
    match () {
        () if all.is_empty() => Told::Nothing,
        () if is_national => Told::InPart,
        () => Told::Other,
    }
}

fn compare_tasks(told: &str, ours: &str) -> Told {
    let (told, ours) = (comparable(told), comparable(ours));
    if told == ours {
        return Told::Same;
    }
    let start = told.trim_end_matches(['…', '.']).trim_end();
    let is_shortened = start.len() < told.len() && !start.is_empty() && ours.starts_with(start);
    // A service may cut without saying so, but hardly before so many letters.
    let is_cut = told.chars().count() >= 20 && ours.starts_with(&told);
    match () {
        () if start.is_empty() => Told::Nothing,
        () if is_shortened || is_cut => Told::InPart,
        () => Told::Other,
    }
}

impl Listed {
    /// What a call of the history tells; `None` without an ID that could be asked for.
    pub fn of(call: &Call, is_complete: bool) -> Option<Self> {
        Some(Self {
            id: call.call_id.parse().ok()?,
            number: call.number().map(str::to_owned),
            task: call.task().map(str::to_owned),
            created: call.created_at(),
            is_complete,
        })
    }
}

/// What looks at single calls brought, so that the next look-up need not ask again.
pub type Details = HashMap<CallId, Listed>;

#[cfg(test)]
mod tests;
