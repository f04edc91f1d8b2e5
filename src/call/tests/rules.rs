//! Table-driven tests of the pure functions in `guard` and `find`.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::watch;

use crate::api::{Call, Parsed};
use crate::call::entry::{Entry, Lookup, State};
use crate::call::find::{Finding, find};
use crate::call::guard::{Earlier, check};
use crate::call::journal::{Contents, Journal};
use crate::call::reserve::Reserver;
use crate::domain::{CallFields, CallRequest, Key, Zone};
use crate::error::Kind;
use crate::helper;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn now() -> Timestamp {
    "2027-01-28T12:00:00Z".parse().expect("a time")
}

fn entry_with(number: &str, task: &str, fields: CallFields) -> Entry {
    let phone = number.parse().expect("a number");
    let request = CallRequest::new(phone, task.into(), fields, Zone::UTC, now());
    Entry::new(
        Key::generate(),
        "https://example.org".into(),
        &request,
        now(),
    )
}

fn entry(task: &str) -> Entry {
    entry_with("+15551234567", task, CallFields::default())
}

fn fields(
    name: Option<&str>,
    party_size: Option<u8>,
    date: Option<&str>,
    time: Option<&str>,
) -> CallFields {
    CallFields {
        name: name.map(str::to_owned),
        party_size,
        date: date.map(|date| date.parse().expect("a date")),
        time: time.map(|time| time.parse().expect("a time")),
        ..CallFields::default()
    }
}

fn ended(mut entry: Entry, status: &str, age: SignedDuration, shown: bool) -> Earlier {
    let call = json!({"call_id": "00000000-0000-4000-8000-000000000000", "status": status});
    let raw = call.to_string().into_bytes();
    let value = serde_json::from_value(call).expect("a call");
    entry.set_call(&Parsed { value, raw }, now() - age);
    entry.shown = shown;
    Earlier::of_entry(&entry)
}

fn is_refused(earlier: &[Earlier], new: &Entry, kind: Kind) -> bool {
    check(earlier, new, false, now()).is_err_and(|error| error.kind == kind)
}

fn is_done(earlier: Earlier, new: &Entry) -> bool {
    is_refused(&[earlier], new, Kind::AlreadyDone)
}

fn is_open(entry: &Entry) -> bool {
    let earlier = [Earlier::of_entry(entry)];
    is_refused(&earlier, &self::entry("x"), Kind::CallOpen)
}

#[test]
fn call_in_progress_blocks_its_number_for_six_hours() {
    let sent = |age| {
        let sent_at = now() - age;
        Entry {
            sent_at,
            ..entry("Other words")
        }
    };
    assert!(is_open(&sent(SECOND)));
    assert!(is_open(&sent(HOUR * 6 - SECOND)));
    assert!(!is_open(&sent(HOUR * 6)));
    let other = entry_with("+15557654321", "x", CallFields::default());
    assert!(!is_open(&other), "another number");
    for state in [
        State::Lost,
        State::Running,
        State::Unknown("from the future".into()),
    ] {
        assert!(is_open(&Entry {
            state,
            ..entry("x")
        },));
    }
    let not_made = Entry {
        state: State::NotMade,
        ..entry("x")
    };
    assert!(!is_open(&not_made));
}

#[test]
fn refusal_says_in_words_how_old_the_earlier_call_is() {
    let new = entry("x");
    for (seconds, age) in [
        (59, "less than a minute"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (2 * 3600, "2 hours"),
    ] {
        let call = ended(entry("y"), "success", SECOND * seconds, false);
        let error = check(&[call], &new, false, now()).expect_err("a refusal");
        let end = format!("succeeded {age} ago (\"y\")");
        assert!(error.to_string().ends_with(&end), "{error}");
    }
}

#[tokio::test]
async fn record_has_the_times_of_the_first_and_the_last_sending() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::new(folder.path().to_path_buf(), "https://example.org".into());
    let (_viewer, viewer) = helper::in_this_process();
    let reserver = Reserver {
        journal: journal.clone(),
        entry: entry("x"),
        again: false,
        viewer,
        is_reserved: watch::Sender::new(false),
    };
    let times = [1, 60, 600].map(|seconds| now() + SECOND * seconds);
    for sent_at in times {
        reserver.reserve(sent_at).await.expect("a reservation");
        let found = journal.find(&reserver.entry.key).expect("a call log");
        let times_of = |entry: Entry| (entry.reserved_at, entry.sent_at);
        assert_eq!(found.map(times_of), Some((times[0], sent_at)));
    }
    let late = reserver.reserve(times[0] + SECOND * 600).await;
    assert_eq!(late.err().expect("an error").kind, Kind::ServiceFailing);
}

#[test]
fn unseen_successful_call_blocks_its_number_for_a_day() {
    let new = entry("Something else");
    assert!(is_done(
        ended(entry("x"), "success", HOUR * 24 - SECOND, false),
        &new
    ));
    assert!(!is_done(
        ended(entry("x"), "success", HOUR * 24, false),
        &new
    ));
    assert!(!is_done(ended(entry("x"), "success", SECOND, true), &new));
    assert!(!is_done(ended(entry("x"), "busy", SECOND, false), &new));
}

#[test]
fn successful_request_cannot_be_repeated_for_six_hours() {
    let new = entry("Ask for the opening hours.");
    let seen = |task, age| ended(entry(task), "success", age, true);
    assert!(is_done(seen("ask for the OPENING hours", SECOND), &new));
    assert!(is_done(
        seen("ask for the opening hours", HOUR * 6 - SECOND),
        &new
    ));
    assert!(!is_done(seen("ask for the opening hours", HOUR * 6), &new));
    assert!(!is_done(seen("ask for the closing hours", SECOND), &new));
}

#[test]
fn bookings_are_compared_by_appointment_not_by_wording() {
    let at = |name, size, date, time| fields(name, size, date, time);
    let request = |fields| entry_with("+15551234567", "Book a table", fields);
    let reworded = |fields| entry_with("+15551234567", "A table, please", fields);
    let day = Some("2027-02-01");
    for (earlier, new, is_same) in [
        (
            at(None, Some(4), day, Some("20:00")),
            at(None, None, day, Some("20:00")),
            true,
        ),
        (
            at(Some("Ann"), None, day, None),
            at(None, Some(2), day, None),
            true,
        ),
        (
            at(Some("Ann"), None, day, None),
            at(Some("ANN"), None, day, None),
            true,
        ),
        (
            at(Some("Ann"), None, day, None),
            at(Some("Bob"), None, day, None),
            false,
        ),
        (
            at(None, Some(4), day, None),
            at(None, Some(5), day, None),
            false,
        ),
        (
            at(None, None, day, None),
            at(None, None, Some("2027-02-02"), None),
            false,
        ),
        (
            at(None, None, day, Some("20:00")),
            at(None, None, day, None),
            false,
        ),
        (at(None, None, None, None), at(None, None, day, None), false),
        (
            at(None, None, None, None),
            at(None, None, None, None),
            false,
        ),
    ] {
        let done = ended(request(earlier.clone()), "success", SECOND, true);
        assert_eq!(
            is_done(done, &reworded(new.clone())),
            is_same,
            "{earlier:?} {new:?}"
        );
    }
}

#[test]
fn running_call_in_the_history_blocks_its_number_for_a_day() {
    let listed = |status: &str, age: SignedDuration, date: Option<&str>| {
        let call = json!({
            "call_id": "a-b", "status": status, "metadata": {"created_at": (now() - age).to_string()},
            "submission": {"respondent_phone": "+1 555 123 4567", "appointment_date": date},
        });
        let call: Call = serde_json::from_value(call).expect("a call");
        let earlier = [Earlier::of_listed(&call, now()).expect("it has a number")];
        is_refused(&earlier, &entry("x"), Kind::CallOpen)
    };
    assert!(listed("in_progress", HOUR * 23, None));
    assert!(!listed("in_progress", HOUR * 25, None));
    assert!(listed("scheduled", HOUR * 100, Some("2027-01-28")));
    assert!(!listed("scheduled", HOUR * 100, Some("2027-01-26")));
    assert!(!listed("busy", SECOND, None));
}

fn listed(number: &str, task: Option<&str>, created: SignedDuration) -> Call {
    let call = json!({
        "call_id": format!("id-{}", created.as_secs()), "metadata": {"created_at": (now() + created).to_string()},
        "submission": {"respondent_phone": number, "task_description": task},
    });
    serde_json::from_value(call).expect("a call")
}

#[test]
fn lost_call_is_found_by_number_task_and_time() {
    let long = "Reserve a table for four people at eight";
    let mut ours = entry(long);
    ours.lookup = Some(Lookup::default());
    let number = "+15551234567";
    for (call, is_ours) in [
        (listed(number, Some(long), SECOND), true),
        (listed("1 (555) 123-4567", None, SECOND), true),
        (
            listed(number, Some("Reserve a table for four people…"), SECOND),
            true,
        ),
        (listed(number, Some("Reserve a table"), SECOND), false),
        (listed(number, Some("Ask for the hours"), SECOND), false),
        (listed("+15557654321", Some(long), SECOND), false),
        (listed(number, Some(long), SECOND * -120), true),
        (listed(number, Some(long), SECOND * -121), false),
        (listed(number, Some(long), SECOND * 600), true),
        (listed(number, Some(long), SECOND * 601), false),
    ] {
        let found = find(&ours, [&call], &Contents::default(), 0);
        assert_eq!(found != Finding::NotListed, is_ours, "{call:?}");
    }
}

#[test]
fn lost_call_is_not_confused_with_an_earlier_call() {
    let ours = entry("x");
    let is_found = |contents: &Contents, seconds, difference| {
        let call = listed("+15551234567", Some("x"), SECOND * seconds);
        find(&ours, [&call], contents, difference) != Finding::NotListed
    };
    let empty = Contents::default();
    assert!(is_found(&empty, 0, 0));
    assert!(!is_found(&empty, -2, 0));
    // Here the service's clock is an hour ahead.
    assert!(!is_found(&empty, 1, 3600));
    assert!(is_found(&empty, 3601, 3600));
    let resent = Contents {
        calls: vec![Entry {
            sent_at: now() + SECOND * 60,
            ..ours.clone()
        }],
        ..Contents::default()
    };
    assert!(!is_found(&resent, 30, 0), "before the request was resent");
    assert!(is_found(&resent, 60, 0));
}

#[test]
fn lost_call_search_skips_known_calls_and_reports_ambiguity() {
    let mut ours = entry("x");
    let [first, second] = [1, 2].map(|seconds| listed("+15551234567", Some("x"), SECOND * seconds));
    let [first_id, second_id] = [&first, &second].map(|call| call.call_id.parse().expect("an ID"));
    let both = [&first, &second];
    assert_eq!(
        find(&ours, both, &Contents::default(), 0),
        Finding::Several(vec![first_id, second_id])
    );
    let mut other = entry("y");
    other.call_id = first.call_id.parse().ok();
    let taken = Contents {
        calls: vec![other],
        ..Contents::default()
    };
    let second_id = second.call_id.parse().expect("an ID");
    assert_eq!(find(&ours, both, &taken, 0), Finding::Ours(second_id));
    let listed = both.map(|call| call.call_id.parse().expect("an ID")).into();
    ours.lookup = Some(Lookup {
        clock_difference: 0,
        listed,
    });
    assert_eq!(
        find(&ours, both, &Contents::default(), 0),
        Finding::NotListed
    );
}
