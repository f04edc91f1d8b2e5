//! What a look-up makes of a list that tells too little, and of the entries and calls beside the one that it looks for.

use serde_json::{Value, json};

use crate::support::{CALL, Home, ID, LOOK_UP, Post, Reply, Run, Service, call};

/// A service that loses its answers and makes no calls of its own.
fn lost() -> Service {
    Service::with([Post::refused(Reply::Reset)])
}

/// What a list says that leaves the task out.
fn without_task(full: &Value) -> Value {
    let mut brief = full.clone();
    brief["submission"].as_object_mut().expect("an object").remove("task_description");
    brief
}

fn looked_up(service: &Service, timeout: &str) -> Run {
    Run::of(service.at(&Home::new(), CALL).args(["--json", "--timeout", timeout]))
}

#[test]
fn a_call_that_cannot_be_read_itself_is_known_by_what_the_list_says() {
    let service = lost();
    let listed = without_task(&call(ID, "success"));
    service.put(json!({ "call_id": "no/id" }), listed);
    let error = looked_up(&service, "1").exits(6).error();
    assert_eq!((&error["code"], &error["call_id"]), (&json!("outcome_unknown"), &json!(ID)));
    assert_eq!(service.server.count("GET", LOOK_UP), 1, "it was found at the first look");
}

#[test]
fn a_call_that_fails_to_be_read_is_not_taken_for_what_the_list_leaves_open() {
    let service = lost();
    let mut other = call(ID, "success");
    other["submission"]["task_description"] = json!("Something else");
    service.put(other.clone(), without_task(&other));
    service.then_read(Reply::new(500, ""));
    let error = looked_up(&service, "3").exits(6).error();
    assert_eq!((&error["code"], error.get("call_id")), (&json!("outcome_unknown"), None));
}

#[test]
fn a_call_that_calls_itself_something_else_keeps_the_id_that_the_list_knows() {
    let service = lost();
    let full = call(ID, "success");
    service.put(full.clone(), without_task(&full));
    let mut renamed = full.clone();
    renamed["call_id"] = json!("another");
    service.then_read(Reply::new(200, renamed.to_string()));
    assert_eq!(looked_up(&service, "3").exits(0).json(), full);
}

#[test]
fn a_page_on_which_nothing_can_be_read_hides_no_other_page() {
    let service = Service::with([Post::lost(Reply::Reset)]);
    service.then_look(Reply::json(200, &json!({ "total": 2, "calls": [{ "call_id": 7 }] })));
    assert_eq!(looked_up(&service, "20").exits(0).json()["status"], "success");
    assert_eq!(service.server.count("GET", LOOK_UP), 1, "it was found at the first look");
    // A history of nothing else tells nothing.
    let service = lost();
    for _ in 0..9 {
        service.then_look(Reply::json(200, &json!({ "total": 1, "calls": [{ "call_id": 7 }] })));
    }
    let error = looked_up(&service, "1").exits(6).error();
    let message = error["message"].as_str().expect("a message");
    assert!(message.starts_with("the service could not be asked"), "{message}");
}

#[test]
fn one_look_reads_twenty_calls_to_tell_them_apart_and_the_next_one_those_that_are_left() {
    for (others, looks) in [(19, 1), (20, 2)] {
        let service = lost();
        for number in 0..others {
            let mut other = call(&format!("00000000-0000-4000-8000-{number:012x}"), "success");
            other["submission"]["task_description"] = json!("Something else");
            service.put(other.clone(), without_task(&other));
        }
        let ours = call(ID, "success");
        service.put(ours.clone(), without_task(&ours));
        looked_up(&service, "20").exits(0);
        assert_eq!(service.server.count("GET", LOOK_UP), looks, "{others} others");
    }
}

#[test]
fn an_entry_whose_call_is_known_does_not_compete_for_another() {
    let home = Home::new();
    let begun = json!({ "call_id": "3f2a0c1e-55aa-4bbb-8ccc-000000000000", "status": "queued" });
    let service = Service::with([Post::lost(Reply::json(202, &begun)).running(99), Post::lost(Reply::Reset)]);
    Run::of(service.at(&home, CALL).args(["--timeout", "1"])).exits(6);
    let run = Run::of(service.at(&home, CALL).args(["--again", "--json", "--timeout", "5"])).exits(0);
    assert_eq!(run.json()["call_id"], "3f2a0c1e-55aa-4bbb-8ccc-000000000001");
}
