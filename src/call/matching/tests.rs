//! Which call is ours, case by case; every part of the rule has a case that fails without it.

use super::*;
use crate::domain::{IdempotencyKey, example_request};

const NOW: i64 = 1_800_000_000;

fn here() -> Moment {
    Moment { unix: NOW, boot: None }
}

fn clocks(here: &Moment) -> Clocks<'_> {
    Clocks { here, service: None }
}

/// An entry written so many seconds ago.
fn entry(key: &str, ago: i64) -> Entry {
    let key: IdempotencyKey = key.parse().expect("a key");
    let written = Moment { unix: NOW - ago, boot: None };
    Entry::new(key, &example_request("Reserve a table"), "https://example.org".into(), written)
}

fn id(text: &str) -> CallId {
    text.parse().expect("an ID")
}

/// A call of the same number and task, created so many seconds ago.
fn call(name: &str, ago: i64) -> Listed {
    Listed {
        id: id(name),
        number: Some("+15551234567".into()),
        task: Some(" reserve a  TABLE".into()),
        created: Timestamp::from_second(NOW - ago).ok(),
        is_complete: true,
    }
}

fn found(entry: &Entry, open: &[&Entry], listed: &[Listed]) -> Match {
    find(entry, open, listed, clocks(&here()))
}

#[test]
fn a_call_of_the_same_number_task_and_time_is_ours() {
    let ours = entry("a", 60);
    assert_eq!(found(&ours, &[&ours], &[call("x", 58)]), Match::Ours(id("x")));
    assert_eq!(found(&ours, &[], &[]), Match::NotListed(vec![]));
}

#[test]
fn another_number_or_task_is_another_call() {
    let ours = entry("a", 60);
    let other_number = Listed { number: Some("+15551234568".into()), ..call("x", 58) };
    let other_task = Listed { task: Some("Cancel a table".into()), ..call("y", 58) };
    assert_eq!(found(&ours, &[], &[other_number, other_task]), Match::NotListed(vec![]));
}

#[test]
fn a_call_from_before_the_entry_or_long_after_it_is_nobodys() {
    let ours = entry("a", 3600);
    for (ago, is_ours) in [(3600 + 121, false), (3600 + 120, true), (3000, true), (2999, false)] {
        let expected = if is_ours { Match::Ours(id("x")) } else { Match::NotListed(vec![]) };
        assert_eq!(found(&ours, &[], &[call("x", ago)]), expected, "{ago} s ago");
    }
}

#[test]
fn the_time_counts_from_when_the_request_was_last_sent() {
    let waited = Entry { sent_at: Some(NOW - 100), ..entry("a", 3600) };
    assert_eq!(found(&waited, &[], &[call("x", 90)]), Match::Ours(id("x")));
}

#[test]
fn clocks_that_differ_are_told_apart_by_what_the_service_says() {
    let day = 24 * 3600;
    // This computer's clock is a day behind the service's.
    let service = Timestamp::from_second(NOW + day).ok();
    let here = here();
    let clocks = Clocks { here: &here, service };
    let ours = entry("a", 60);
    assert_eq!(find(&ours, &[], &[call("x", 58 - day)], clocks), Match::Ours(id("x")));
    assert_eq!(find(&ours, &[], &[call("x", 58)], clocks), Match::NotListed(vec![]));
    // It was a day ahead when the entry was written, and has been set right since.
    let ahead = Entry { clock_difference: Some(-day), ..entry("a", 60 - day) };
    assert_eq!(find(&ahead, &[], &[call("x", 58)], clocks), Match::Ours(id("x")));
}

#[test]
fn a_clock_that_was_set_since_is_told_by_the_time_since_the_start() {
    use super::super::entry::SinceBoot;
    let boot = |seconds| Some(SinceBoot { id: "b".into(), seconds });
    let here = Moment { unix: NOW, boot: boot(1000) };
    let service = Timestamp::from_second(NOW).ok();
    // Written 600 s ago by a clock that was an hour ahead.
    let written = Moment { unix: NOW - 600 + 3600, boot: boot(400) };
    let ours = Entry { written: written.clone(), ..entry("a", 0) };
    let clocks = Clocks { here: &here, service };
    assert_eq!(find(&ours, &[], &[call("x", 598)], clocks), Match::Ours(id("x")));
    // Before a restart nothing tells that the clock was wrong.
    let ours = Entry { written: Moment { boot: None, ..written }, ..ours };
    assert_eq!(find(&ours, &[], &[call("x", 58)], clocks), Match::NotListed(vec![]));
}

#[test]
fn two_entries_take_their_calls_once_both_show() {
    let (first, second) = (entry("a", 60), entry("b", 50));
    let open = [&first, &second];
    assert_eq!(found(&second, &open, &[call("x", 48)]), Match::NotListed(vec![id("x")]));
    let both = [call("y", 48), call("x", 58)];
    assert_eq!(found(&first, &open, &both), Match::Ours(id("x")));
    assert_eq!(found(&second, &open, &both), Match::Ours(id("y")), "in their order");
    let three = [call("x", 58), call("y", 48), call("z", 47)];
    assert_eq!(found(&first, &open, &three), Match::Ambiguous(vec![id("x"), id("y"), id("z")]));
}

#[test]
fn an_entry_of_another_time_or_task_does_not_compete() {
    let ours = entry("a", 60);
    let old = entry("b", 60 + 721);
    let other = Entry { task: "Cancel a table".into(), ..entry("c", 60) };
    assert_eq!(found(&ours, &[&ours, &old, &other], &[call("x", 58)]), Match::Ours(id("x")));
}

#[test]
fn a_call_listed_twice_is_one() {
    let ours = entry("a", 60);
    assert_eq!(found(&ours, &[], &[call("x", 58), call("x", 58)]), Match::Ours(id("x")));
}

#[test]
fn what_the_list_leaves_out_is_asked_of_the_call_and_taken_only_alone() {
    let ours = entry("a", 60);
    let vague = |name: &str| Listed { task: None, is_complete: false, ..call(name, 58) };
    assert_eq!(found(&ours, &[], &[vague("x")]), Match::NeedsDetails(vec![id("x")]));
    let complete = |name: &str| Listed { is_complete: true, ..vague(name) };
    assert_eq!(found(&ours, &[], &[complete("x")]), Match::Ours(id("x")));
    let two = [complete("x"), complete("y")];
    assert_eq!(found(&ours, &[], &two), Match::Ambiguous(vec![id("x"), id("y")]));
    let other = entry("b", 60);
    assert_eq!(found(&ours, &[&other], &[complete("x")]), Match::NotListed(vec![id("x")]));
    assert_eq!(found(&ours, &[&other], &two), Match::NotListed(vec![id("x"), id("y")]));
    assert_eq!(
        found(&ours, &[], &[complete("x"), call("y", 57)]),
        Match::Ours(id("y")),
        "a full fit is better"
    );
}

#[test]
fn a_call_without_a_time_is_never_taken_and_is_named() {
    let ours = entry("a", 60);
    let undated = Listed { created: None, ..call("x", 0) };
    assert_eq!(found(&ours, &[], &[undated]), Match::NotListed(vec![id("x")]));
}

#[test]
fn numbers_are_compared_as_services_write_them() {
    for (told, expected) in [
        ("+1 (555) 123-4567", Told::Same),
        ("15551234567", Told::Same),
        ("0015551234567", Told::Same),
        ("5551234567", Told::InPart),
        ("05551234567", Told::InPart),
        ("+1555***4567", Told::InPart),
        ("•••••••4567", Told::InPart),
        ("+1555***4568", Told::Other),
        ("+5551234567", Told::Other),
        ("4567", Told::Other),
        ("+15551234568", Told::Other),
        ("", Told::Nothing),
        ("unknown", Told::Nothing),
    ] {
        assert_eq!(compare_numbers(told, "+15551234567"), expected, "{told}");
    }
}

#[test]
fn tasks_are_compared_as_services_shorten_them() {
    let ours = "Reserve a table for four people at eight";
    for (told, expected) in [
        ("reserve  a table for FOUR people at eight", Told::Same),
        ("Reserve a table for fo…", Told::InPart),
        ("Reserve a table...", Told::InPart),
        ("Reserve a table for four", Told::InPart),
        ("Reserve a table", Told::Other),
        ("Reserve a room for four…", Told::Other),
        ("…", Told::Nothing),
        ("", Told::Nothing),
    ] {
        assert_eq!(compare_tasks(told, ours), expected, "{told}");
    }
}
