//! What a history tells, call by call and page by page.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::super::entry::EntryState;
use super::super::record::{Change, Contents};
use super::*;
use crate::domain::{IdempotencyKey, example_request};

const NOW: i64 = 1_800_000_000;
const ALL: Guards = Guards { open: true, done: true, chosen_key: false };

fn at(unix: i64) -> Timestamp {
    Timestamp::from_second(unix).expect("a moment")
}

/// A call of the history, created so many seconds ago.
fn listed(id: &str, ago: i64, status: &str) -> Value {
    json!({
        "call_id": id,
        "status": status,
        "metadata": { "created_at": at(NOW - ago).to_string() },
        "submission": { "respondent_phone": "+15551234567", "task_description": "Ask" },
    })
}

fn call(value: &Value) -> Call {
    serde_json::from_value(value.clone()).expect("a call")
}

fn raw(value: &Value) -> (Box<RawValue>, Call) {
    (to_raw_value(value).expect("JSON"), call(value))
}

fn page(calls: &[Value], total: Option<u64>) -> Page {
    Page { calls: calls.iter().map(raw).collect(), len: calls.len(), total, date: None }
}

/// What is in the way of asking the same once more, and the message about it.
fn found(calls: &[Value], guards: Guards) -> Option<(Kind, String)> {
    let calls: Vec<Call> = calls.iter().map(call).collect();
    let found =
        in_the_way(calls.iter(), &example_request("Ask"), guards, at(NOW), |call| call.call_id == "known");
    found.map(|(error, _)| (error.kind, error.to_string()))
}

#[test]
fn a_call_that_was_done_or_may_be_under_way_is_in_the_way_for_six_hours_and_says_how_old_it_is() {
    let under_way = "a call to +15551234567 that began 5 h 59 min ago is under way";
    let done = "the same was asked of +15551234567 5 h 59 min ago, and that call succeeded";
    for (status, kind, message) in
        [("archived", Kind::CallOpen, under_way), ("success", Kind::AlreadyDone, done)]
    {
        let young = [listed("a", GUARDED_FOR - 1, status)];
        assert_eq!(found(&young, ALL), Some((kind, message.to_owned())));
        assert_eq!(found(&young, Guards { open: false, done: false, ..ALL }), None);
        assert_eq!(found(&[listed("a", GUARDED_FOR, status)], ALL), None, "{status}");
    }
}

#[test]
fn a_call_that_is_said_to_be_under_way_is_in_the_way_however_old_it_is() {
    let message = "a call to +15551234567 that began 10 h 00 min ago is under way";
    let scheduled = [listed("a", 36_000, "scheduled")];
    assert_eq!(found(&scheduled, ALL), Some((Kind::CallOpen, message.to_owned())));
    assert_eq!(found(&scheduled, Guards { open: false, ..ALL }), None);
}

#[test]
fn what_was_done_is_the_same_in_every_respect_and_a_success() {
    let mut other = listed("a", 0, "success");
    other["submission"]["task_description"] = json!("Something else");
    let calls = [other, listed("b", 0, "busy")];
    assert_eq!(found(&calls, ALL), None);
    assert_eq!(found(&[listed("known", 0, "success")], ALL), None, "the journal knows that it is another");
    assert!(found(&[listed("known", 0, "ringing")], ALL).is_some(), "whatever it is about");
    assert!(found(&[&calls[..], &[listed("c", 0, "success")]].concat(), ALL).is_some());
}

#[test]
fn a_look_before_ringing_takes_a_quarter_of_the_time_and_five_seconds_at_most() {
    let now = Instant::now();
    for (seconds, expected) in [(600, 5000), (20, 5000), (4, 1000), (0, 0)] {
        let by = look_by(now, now + Duration::from_secs(seconds));
        assert_eq!(by - now, Duration::from_millis(expected), "{seconds} s");
    }
}

#[tokio::test]
async fn the_journal_knows_the_key_of_a_call_of_the_history_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::new(folder.path().join("state"), "https://example.org".into());
    let again = Guards { open: false, done: false, chosen_key: false };
    for (key, id) in [("first", Some("a")), ("second", Some("b")), ("third", None)] {
        let key: IdempotencyKey = key.parse().expect("a key");
        let entry =
            Entry::new(key.clone(), &example_request(key.as_str()), journal.origin().into(), Moment::now());
        drop(journal.open(&entry, again, Contents::default()).await.expect("a journal"));
        let id = id.map(|id| id.parse().expect("an ID"));
        let ended = Change::Ended { call_id: id.as_ref(), status: None, shown: false };
        journal.record(&key, &ended).await.expect("a line");
    }
    for (id, key) in [("a", Some("first")), ("b", Some("second")), ("c", None), ("../users/me", None)] {
        let entries = journal.read().expect("a journal").entries;
        let known = known(&entries, &call(&listed(id, 0, "ringing")));
        assert_eq!(known.map(|entry| entry.key.as_str()), key, "{id}");
    }
}

/// An entry written now, at the service's clock.
fn entry() -> (Entry, Moment) {
    let here = Moment { unix: NOW, boot: None };
    let key = "k".parse().expect("a key");
    let entry = Entry::new(key, &example_request("Ask"), "https://example.org".into(), here.clone());
    (Entry { state: EntryState::Sent, ..entry }, here)
}

#[test]
fn a_history_is_read_back_until_it_is_older_than_the_entry() {
    // The clocks may differ by 120 s.
    for (ago, is_over) in [(DISORDER + 120, false), (DISORDER + 121, true)] {
        let (entry, here) = entry();
        let mut read = ReadBack::default();
        let calls = [listed("a", ago, "success"), listed("b", 0, "success")];
        assert_eq!(read.add(&page(&calls, None), &entry, &here), is_over, "{ago} s ago");
    }
}

#[test]
fn a_history_is_read_back_to_its_end_or_to_a_page_that_comes_again() {
    let (entry, here) = entry();
    let [a, b, c] = ["a", "b", "c"].map(|id| listed(id, 0, "success"));
    let over = |pages: &[Page]| {
        let mut read = ReadBack::default();
        let over: Vec<bool> = pages.iter().map(|page| read.add(page, &entry, &here)).collect();
        (over, read.calls.iter().map(|call| call.id.to_string()).collect::<String>())
    };
    let two = [a.clone(), b.clone()];
    assert_eq!(
        over(&[page(&two, Some(3)), page(std::slice::from_ref(&c), Some(3))]),
        (vec![false, true], "abc".into())
    );
    assert_eq!(over(&[page(&two, None), page(&[], None)]), (vec![false, true], "ab".into()));
    assert_eq!(over(&[page(&two, None), page(&[b, c], None)]), (vec![false, false], "abc".into()));
    assert_eq!(over(&[page(&two, None), page(&two, None)]), (vec![false, true], "ab".into()));
    // What names no call that could be asked for does not repeat itself.
    let unusable = json!({ "call_id": ".." });
    assert_eq!(over(&[page(&[unusable], None)]), (vec![false], String::new()));
}

#[test]
fn each_page_has_time_of_its_own_within_the_time_of_all_looks() {
    let begun = Instant::now();
    let at = |seconds| begun + Duration::from_secs(seconds);
    for (now, before, all, by) in [(10, 15, 600, 25), (10, 15, 20, 20), (30, 31, 20, 31)] {
        assert_eq!(read_by(at(now), at(before), at(all)), at(by), "at {now} s");
    }
}

#[test]
fn the_clock_of_the_newest_page_that_has_one_counts() {
    let (entry, here) = entry();
    let mut read = ReadBack::default();
    for date in [None, Some(at(NOW + 5)), Some(at(NOW + 9))] {
        read.add(&Page { date, ..page(&[], None) }, &entry, &here);
    }
    assert_eq!(read.service, Some(at(NOW + 5)));
}

#[test]
fn another_language_zone_or_number_of_ones_own_is_another_request() {
    let differing = [
        ("language", json!("es")),
        ("call_language", json!("es")),
        ("is_urgent", json!(true)),
        ("user_phone", json!("+15557654321")),
    ];
    for (member, told) in differing {
        let mut done = listed("a", 60, "success");
        done["submission"][member] = told;
        assert_eq!(found(&[done], ALL), None, "{member}");
    }
    let mut elsewhere = listed("a", 60, "success");
    elsewhere["timezone"] = json!("Asia/Tokyo");
    assert_eq!(found(&[elsewhere], ALL), None);
}
