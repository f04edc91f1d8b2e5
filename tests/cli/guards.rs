//! Tests how earlier calls in the local call log or the service's history block a new call.

use serde_json::{Value, json};

use crate::support::{
    CALL, Gate, Home, PRE_CALL_LOOKUP, Post, Reply, Run, Running, Service, call, has, moment,
    parallel, says,
};

const ID: &str = "00000000-1111-4222-8333-444444444444";
const HOUR: i64 = 3600;

/// Returns a call in progress that another client made 30 s ago, modified by `edit`.
fn running(edit: impl FnOnce(&mut Value)) -> Value {
    let mut running = json!({
        "call_id": ID,
        "status": "in_progress",
        "metadata": { "created_at": moment(-30) },
        "submission": { "respondent_phone": CALL[1], "task_description": "Something else" },
    });
    edit(&mut running);
    running
}

#[test]
fn running_call_from_another_client_blocks_a_new_call() {
    for edit in [
        |_: &mut Value| {},
        |call: &mut Value| call["status"] = json!("ringing"),
        |call: &mut Value| call["status"] = Value::Null,
        |call: &mut Value| call["submission"]["respondent_phone"] = json!("1 555 123-4567"),
        |call: &mut Value| *call = json!({ "call_id": ID, "to": CALL[1], "status": "queued" }),
        |call: &mut Value| call["metadata"]["created_at"] = json!(moment(-23 * HOUR)),
        |call: &mut Value| {
            call["status"] = json!("scheduled");
            call["metadata"]["created_at"] = json!(moment(-30 * HOUR));
            call["submission"]["appointment_date"] = json!(&moment(-HOUR)[..10]);
        },
    ] {
        let (home, service) = (Home::new(), Service::with([]));
        service.put_before(running(edit));
        let run = service.json_call(&home).exits(6);
        let error = run.error();
        let expected = json!({ "code": "call_open", "call_id": ID, "retry_safe": false });
        has(&error, expected);
        assert_eq!(error["next_command"], format!("kallyai resume {ID} --json"));
        assert_eq!((service.posts(), home.journal().len()), (0, 0));
        service.call(&home, &["--again"]).exits(0);
    }
}

#[test]
fn ended_old_or_unrelated_call_does_not_block_a_new_call() {
    for edit in [
        |call: &mut Value| call["status"] = json!("busy"),
        |call: &mut Value| call["metadata"]["created_at"] = json!(moment(-25 * HOUR)),
        |call: &mut Value| {
            call["metadata"]["created_at"] = json!(moment(-25 * HOUR));
            call["submission"]["appointment_date"] = json!(&moment(48 * HOUR)[..10]);
        },
        |call: &mut Value| {
            call["status"] = json!("scheduled");
            call["submission"]["appointment_date"] = json!(&moment(-60 * HOUR)[..10]);
        },
        |call: &mut Value| {
            call["status"] = Value::Null;
            call["metadata"]["created_at"] = json!(moment(-7 * HOUR));
        },
        |call: &mut Value| call["submission"]["respondent_phone"] = json!("+15551234568"),
        |call: &mut Value| *call = json!({ "call_id": ID, "status": "in_progress" }),
    ] {
        let service = Service::with([]);
        service.put_before(running(edit));
        service.call(&Home::new(), &[]).exits(0);
    }
}

#[test]
fn successful_call_from_another_client_is_not_repeated() {
    let (home, service) = (Home::new(), Service::with([]));
    service.put_before(call(ID, "success"));
    for same in [
        &["-t", " reserve A  table"][..],
        &["--party-size", "4"],
        &["--name", "John Smith"],
        &["--urgent", "--user-phone", "+15550001111"],
    ] {
        let mut command = service.at(&home, &CALL[..2]);
        command.args(same).arg("--json");
        if same[0] != "-t" {
            command.args(&CALL[2..]);
        }
        let error = Run::of(&mut command).fails(6, "already_done");
        assert_eq!(error["call_id"], ID);
        let next = format!("kallyai call-info {ID} --json");
        assert_eq!(error["next_command"], next);
    }
    for (flag, value) in [("--date", "2077-01-28"), ("-t", "Cancel the table")] {
        let mut command = service.at(&home, &CALL[..2]);
        let task: &[&str] = if flag == "-t" { &[] } else { &CALL[2..] };
        Run::of(command.args(task).args([flag, value])).exits(0);
    }
    assert_eq!(service.posts(), 2);
}

#[test]
fn successful_call_is_not_repeated_while_service_is_down() {
    let (home, service) = (Home::new(), Service::with([]));
    service.call(&home, &[]).exits(0);
    let key = service.made()[0].clone();
    service.set_down(true);
    for same in [CALL, ["-p", "+1 (555) 123-4567", "-t", "RESERVE\na table"]] {
        let error = Run::of(service.at(&home, same).arg("--json")).fails(6, "already_done");
        assert_eq!(error["idempotency_key"], key);
        says(&error, "message", "\"Reserve a table\"");
        says(&error, "hint", "use that result, or add --again");
    }
    let dry = service.call(&home, &["--dry-run", "--json"]);
    let dry = dry.exits(0).json();
    let with_key = ["--dry-run", "--json", "--idempotency-key", &key];
    let repeated = service.call(&home, &with_key).exits(0).json();
    assert_eq!(repeated["refusal"]["code"], "already_done");
    assert_eq!(dry["would_place"], false);
    assert_eq!(dry["refusal"]["code"], "already_done");
    assert_eq!(service.posts(), 1);
}

#[test]
fn unsuccessful_call_can_be_repeated() {
    let home = Home::new();
    for status in ["no_answer", "busy", "failed", "voicemail"] {
        let service = Service::with([]);
        // Make the lookup fail, because the simulated history shows every call as a success.
        service.pre_call_lookup(Reply::new(500, ""));
        for _ in 0..2 {
            service.then(Post::lost(Reply::json(201, &call(ID, status))));
            service.call(&home, &[]).exits(0);
        }
        assert_eq!(service.posts(), 2, "{status}");
    }
}

#[test]
fn unseen_result_blocks_new_calls_to_the_number_for_a_day() {
    let home = Home::new();
    let service = Service::with([]);
    let mut unseen = service.entry("dinner", 23 * HOUR);
    unseen["state"] = json!("ended");
    unseen["call_id"] = json!(ID);
    unseen["result"] = call(ID, "success");
    unseen["ended_at"] = json!(moment(-23 * HOUR));
    home.write_journal([unseen.clone()]);
    let other = ["-p", CALL[1], "-t", "Ask for the hours", "--json"];
    Run::of(&mut service.at(&home, other)).fails(6, "already_done");
    unseen["ended_at"] = json!(moment(-25 * HOUR));
    home.write_journal([unseen]);
    Run::of(&mut service.at(&home, other)).exits(0);
}

#[test]
fn old_unfinished_call_is_looked_up_before_a_new_call() {
    let created = |status: &str| {
        let mut call = call(ID, status);
        call["metadata"] = json!({ "created_at": moment(-7 * HOUR) });
        call
    };
    for (found, refusal) in [
        (Some("in_progress"), Some("call_open")),
        (Some("success"), Some("already_done")),
        (Some("busy"), None),
        (None, None),
    ] {
        let (home, service) = (Home::new(), Service::with([]));
        home.write_journal([service.entry("dinner", 7 * HOUR)]);
        if let Some(call) = found.map(created) {
            service.put(call.clone(), call);
        }
        let run = service.json_call(&home);
        if let Some(code) = refusal {
            assert_eq!(run.fails(6, code)["idempotency_key"], "dinner");
        } else {
            run.exits(0);
        }
        assert_eq!(service.posts(), usize::from(refusal.is_none()));
    }
}

#[test]
fn call_that_the_history_lists_as_ended_is_recorded_as_ended() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut open = service.entry("dinner", 60);
    open["call_id"] = json!(ID);
    open["state"] = json!("running");
    home.write_journal([open]);
    service.put_before(call(ID, "busy"));
    service.call(&home, &[]).exits(0);
    assert_eq!(home.journal()[0]["state"], "ended");
}

#[test]
fn sandbox_warns_but_allows_repeating_a_successful_call() {
    parallel(
        [("+15555550102", false), ("+15551234567", true)],
        |(number, is_done)| {
            let home = Home::new();
            let call = ["-p", number, "-t", "Ask for the hours"];
            home.sandbox(&call).exits(0);
            let again = home.sandbox(&call).exits(0);
            assert_eq!(again.stderr.contains("[already_done]"), is_done);
            let dry = home.sandbox(&[&call[..], &["--dry-run", "--json"]].concat());
            let dry = dry.exits(0).json();
            assert_eq!(dry["would_place"], true);
            let warnings = dry["warnings"].to_string();
            assert_eq!(warnings.contains("already_done"), is_done, "{warnings}");
        },
    );
}

#[test]
fn recent_successful_call_to_the_same_number_causes_a_warning() {
    let (home, service) = (Home::new(), Service::with([]));
    service.call(&home, &[]).exits(0);
    let reworded = ["-p", CALL[1], "-t", "Please book a table"];
    let dry = Run::of(service.at(&home, reworded).args(["--dry-run", "--json"]));
    let dry = dry.exits(0).json();
    assert_eq!(dry["would_place"], true);
    assert_eq!(dry["warnings"][0]["code"], "recent_success");
    let run = Run::of(&mut service.at(&home, reworded)).exits(0);
    let said = "succeeded less than 6 hours ago (\"Reserve a table\")";
    run.notes(said);
    let other = ["-p", "+15557654321", "-t", "Reserve a table"];
    let run = Run::of(&mut service.at(&home, other)).exits(0);
    assert_eq!((run.stderr.as_str(), service.posts()), ("", 3));

    // Simulate another computer: the call is in the history, but not in the local call log.
    let service = Service::with([]);
    service.put_before(call(ID, "success"));
    let run = Run::of(service.at(&Home::new(), reworded).arg("--json")).exits(0);
    run.notes("[recent_success]");
}

#[test]
fn failed_history_lookup_does_not_block_a_call() {
    for reply in [
        Reply::new(500, ""),
        Reply::new(403, "<html>"),
        Reply::CutInBody,
        Reply::new(200, "[]"),
    ] {
        let service = Service::with([]);
        service.pre_call_lookup(reply);
        service.call(&Home::new(), &[]).exits(0);
        assert_eq!(service.posts(), 1);
    }
}

#[test]
fn request_with_a_used_idempotency_key_is_never_resent() {
    let (home, service) = (Home::new(), Service::with([]));
    let with_key = |request: [&str; 4], flags: &[&str]| {
        let mut command = service.at(&home, request);
        command.args(["--idempotency-key", "Dinner", "--json"]);
        Run::of(command.args(flags))
    };
    let first = with_key(CALL, &[]).exits(0);
    assert_eq!(first.stderr, "");
    let replayed = with_key(CALL, &["--again"]).exits(0);
    assert_eq!(replayed.json(), first.json());
    let run = service.call(&home, &["--idempotency-key", "dinner"]);
    let note = "This key was already used for this request.";
    assert!(run.exits(0).stderr.starts_with(note));
    let other = ["-p", "+15557654321", "-t", "Ask"];
    with_key(other, &["--again"]).fails(2, "invalid_input");
    assert_eq!(service.posts(), 1);
}

#[test]
fn simultaneous_commands_with_the_same_key_make_one_call() {
    let (home, gate, service) = (Home::new(), Gate::default(), Service::with([]));
    let page = Reply::json(200, &json!({ "calls": [running(|_| {})] }));
    service.pre_call_lookup(gate.hold(page));
    let with_key = ["--idempotency-key", "dinner", "--json", "--again"];
    let first = Running::start(service.at(&home, CALL).args(with_key));
    service.server.wait_for("GET", PRE_CALL_LOOKUP, 1);
    let second = Running::start(service.at(&home, CALL).args(with_key));
    service.server.wait_for("GET", PRE_CALL_LOOKUP, 2);
    gate.open();
    assert_eq!(first.end().exits(0).json(), second.end().exits(0).json());
    assert_eq!(service.posts(), 1);
}
