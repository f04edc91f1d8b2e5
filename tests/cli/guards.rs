//! What keeps a phone from ringing twice beyond the journal: a look at the service before, and what was done already.

use serde_json::{Value, json};

use crate::support::{CALL, Gate, Home, LOOK_BEFORE, Post, Reply, Run, Running, Service, at_once, call, now};

const ID: &str = "00000000-1111-4222-8333-444444444444";

fn running(edit: impl FnOnce(&mut Value)) -> Value {
    let mut running = json!({
        "call_id": ID,
        "status": "in_progress",
        "metadata": { "created_at": crate::support::moment(-30) },
        "submission": { "respondent_phone": CALL[1], "task_description": "Something else" },
    });
    edit(&mut running);
    running
}

#[test]
fn a_number_that_another_client_has_on_the_phone_is_not_called() {
    for edit in [
        |_: &mut Value| {},
        |call: &mut Value| call["status"] = json!("ringing"),
        |call: &mut Value| call["status"] = Value::Null,
        |call: &mut Value| call["submission"]["respondent_phone"] = json!("1 555 123-4567"),
        |call: &mut Value| call["submission"]["respondent_phone"] = json!("+1555***4567"),
        |call: &mut Value| *call = json!({ "call_id": ID, "to": CALL[1], "status": "queued" }),
        |call: &mut Value| {
            call["status"] = json!("scheduled");
            call["metadata"]["created_at"] = json!(crate::support::moment(-30 * 3600));
        },
    ] {
        let home = Home::new();
        let service = Service::with([]);
        service.put_before(running(edit));
        let error = Run::of(service.at(&home, CALL).arg("--json")).exits(6).error();
        assert_eq!((&error["code"], &error["call_id"]), (&json!("call_open"), &json!(ID)));
        assert_eq!(error["next_command"], format!("kallyai --call-info {ID} --json"));
        assert_eq!((service.posts(), home.journal().len()), (0, 0));
        Run::of(service.at(&home, CALL).arg("--again")).exits(0);
    }
}

#[test]
fn a_call_that_is_over_old_or_to_another_number_is_not_in_the_way() {
    for edit in [
        |call: &mut Value| call["status"] = json!("busy"),
        |call: &mut Value| {
            // Nothing says that it goes on.
            call["status"] = Value::Null;
            call["metadata"]["created_at"] = json!(crate::support::moment(-7 * 3600));
        },
        |call: &mut Value| call["submission"]["respondent_phone"] = json!("+15551234568"),
        |call: &mut Value| *call = json!({ "call_id": ID, "status": "in_progress" }),
    ] {
        let home = Home::new();
        let service = Service::with([]);
        service.put_before(running(edit));
        Run::of(&mut service.at(&home, CALL)).exits(0);
    }
}

#[test]
fn what_another_client_had_done_is_not_done_again() {
    let home = Home::new();
    let service = Service::with([]);
    service.put_before(call(ID, "success"));
    let error =
        Run::of(service.at(&home, ["-p", CALL[1], "-t", " reserve A  table"]).arg("--json")).exits(6).error();
    assert_eq!((&error["code"], &error["call_id"]), (&json!("already_done"), &json!(ID)));
    for (flag, value) in [
        ("--date", "2077-01-28"),
        ("--party-size", "4"),
        ("--name", "John Smith"),
        ("-t", "Cancel the table"),
    ] {
        Run::of(service.at(&home, CALL).args([flag, value])).exits(0);
    }
    assert_eq!(service.posts(), 4);
}

#[test]
fn what_the_service_does_not_repeat_makes_another_request_of_a_call_that_was_placed_here() {
    let home = Home::new();
    let service = Service::with([]);
    for flags in [&[][..], &["--urgent"], &["--user-phone", "+15550001111"], &["--session-id", "s"]] {
        Run::of(service.at(&home, CALL).args(flags)).exits(0);
        Run::of(service.at(&home, CALL).args(flags)).exits(6);
    }
    assert_eq!(service.posts(), 4);
}

#[test]
fn a_look_that_fails_stops_nothing() {
    for reply in [Reply::new(500, ""), Reply::new(403, "<html>"), Reply::CutInBody, Reply::new(200, "[]")] {
        let home = Home::new();
        let service = Service::with([]);
        service.look_before(reply);
        Run::of(&mut service.at(&home, CALL)).exits(0);
        assert_eq!(service.posts(), 1);
    }
}

#[test]
fn the_same_request_is_done_once_and_what_did_not_succeed_may_be_repeated() {
    let home = Home::new();
    for status in ["no_answer", "busy", "failed", "voicemail"] {
        let service = Service::with([]);
        // The calls that this model of the service lists all succeeded.
        service.look_before(Reply::new(500, ""));
        service.then(Post::lost(Reply::json(201, &call(ID, status))));
        let task = ["-p", CALL[1], "-t", status];
        Run::of(&mut service.at(&home, task)).exits(0);
        service.then(Post::lost(Reply::json(201, &call(ID, status))));
        Run::of(service.at(&home, task).arg("--json")).exits(0);
        assert_eq!(service.posts(), 2, "{status}");
    }
    let service = Service::with([]);
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let key = service.rings()[0].clone();
    // As the service is not asked for what is known here.
    service.is_gone(true);
    for same in [CALL, ["-p", "+1 (555) 123-4567", "-t", "RESERVE\na table"]] {
        let error = Run::of(service.at(&home, same).arg("--json")).exits(6).error();
        assert_eq!((&error["code"], &error["idempotency_key"]), (&json!("already_done"), &json!(key)));
        let hint = error["hint"].as_str().expect("a hint");
        assert!(hint.contains("--again") && hint.contains("--history"), "{hint}");
    }
    let told = Run::of(service.at(&home, CALL).args(["--dry-run", "--json"])).exits(0).json();
    assert_eq!((&told["would_place"], &told["refusal"]["code"]), (&json!(false), &json!("already_done")));
    assert_eq!(service.posts(), 1);
}

#[test]
fn what_ended_nobody_noted_how_is_asked_of_the_service_before_it_is_done_again() {
    let home = Home::new();
    let line =
        |age| json!({ "key": "k", "at": now() - age, "number": CALL[1], "task": CALL[3], "settled": true });
    let service = Service::with([]);
    service.is_gone(true);
    home.write_journal([line(60).to_string()]);
    let error = Run::of(service.at(&home, CALL).args(["--json", "--timeout", "8"])).exits(6).error();
    assert_eq!((&error["code"], service.posts()), (&json!("call_open"), 0));
    // Something else may be asked of the number, and the same when it was long ago.
    Run::of(&mut service.at(&home, ["-p", CALL[1], "-t", "Ask for the hours"])).exits(0);
    home.write_journal([line(7 * 3600).to_string()]);
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[test]
fn a_demonstration_can_be_repeated_and_is_told_what_would_be_refused_for_real() {
    at_once([("+15555550102", false), ("+15551234567", true)], |(number, is_done)| {
        let home = Home::new();
        let call = ["-p", number, "-t", "Ask for the hours"];
        let is_told = |run: &Run| run.stderr.contains("for real it would be refused");
        assert!(!is_told(&home.sandbox(&call).exits(0)));
        assert_eq!(is_told(&home.sandbox(&call).exits(0)), is_done);
        assert!(!is_told(&home.sandbox(&[&call[..], &["--again"]].concat()).exits(0)));
        let dry = home.sandbox(&[&call[..], &["--dry-run", "--json"]].concat()).exits(0).json();
        assert_eq!(dry["would_place"], true);
        let codes: Vec<_> = dry["warnings"].as_array().expect("a list").iter().map(|w| &w["code"]).collect();
        assert_eq!(codes == ["sandbox_repeat"], is_done, "{codes:?}");
    });
}

#[test]
fn how_far_the_clocks_differ_is_noted_with_the_call() {
    let home = Home::new();
    let service = Service::with([]);
    let tomorrow = jiff::Timestamp::from_second(now() + 86_400).expect("a moment");
    let date = tomorrow.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    service.look_before(Reply::json(200, &json!({ "calls": [], "total": 0 })).with("Date", &date));
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let ahead = home.journal()[0]["clock_difference"].as_i64().expect("a number");
    assert!((86_340..=86_400).contains(&ahead), "{ahead}");
}

#[test]
fn other_words_for_a_number_that_was_called_with_success_are_placed_with_a_warning() {
    let (home, service) = (Home::new(), Service::with([]));
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let reworded = ["-p", CALL[1], "-t", "Please book a table"];
    let dry = Run::of(service.at(&home, reworded).args(["--dry-run", "--json"])).exits(0).json();
    assert_eq!((&dry["would_place"], &dry["warnings"][0]["code"]), (&json!(true), &json!("recent_success")));
    let run = Run::of(&mut service.at(&home, reworded)).exits(0);
    let said = "+15551234567 was called less than a minute ago for \"Reserve a table\", and that succeeded";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let other = Run::of(&mut service.at(&home, ["-p", "+15557654321", "-t", "Reserve a table"])).exits(0);
    assert_eq!((other.stderr.as_str(), service.posts()), ("", 3));
    let again = Run::of(service.at(&home, reworded).args(["--again", "--dry-run", "--json"])).exits(0).json();
    assert_eq!(again["warnings"][0]["code"], "recent_success");
    assert_eq!(Run::of(service.at(&home, reworded).arg("--again")).exits(0).stderr, "");

    // Another computer, which has only the history to go by.
    let (elsewhere, service) = (Home::new(), Service::with([]));
    service.put_before(call(ID, "success"));
    let run = Run::of(service.at(&elsewhere, reworded).args(["--json"])).exits(0);
    assert!(run.stderr.contains("and that succeeded [recent_success]"), "{}", run.stderr);
}

#[test]
fn a_person_is_told_that_a_known_key_rings_no_phone() {
    let (home, service) = (Home::new(), Service::with([]));
    let with_key = || service.at(&home, CALL).args(["--idempotency-key", "dinner"]).arg("--again").output();
    let said = || String::from_utf8(with_key().expect("a run").stderr).expect("UTF-8");
    assert_eq!(said(), "");
    assert!(said().starts_with("No phone rings"), "{}", said());
    assert_eq!(service.posts(), 1);
}

#[test]
fn a_call_that_another_process_places_under_the_same_key_during_the_look_is_the_callers_own() {
    let (home, gate, service) = (Home::new(), Gate::default(), Service::with([]));
    let page = Reply::json(200, &json!({ "total": 1, "calls": [running(|_| {})] }));
    service.look_before(Reply::Held(gate.clone(), Box::new(page)));
    let with_key = ["--idempotency-key", "dinner", "--json"];
    let first = Running::start(service.at(&home, CALL).args(with_key));
    service.server.wait_for("GET", LOOK_BEFORE, 1);
    let second = Run::of(service.at(&home, CALL).args(with_key).arg("--again")).exits(0);
    gate.open();
    assert_eq!(first.end().exits(0).json(), second.json());
    assert_eq!(service.posts(), 1);
}
