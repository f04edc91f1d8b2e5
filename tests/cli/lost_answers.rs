//! A call whose answer is lost: it is never requested again, and its result is printed all the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[cfg(unix)]
use crate::support::Terminal;
use crate::support::{
    CALL, Gate, Home, LOOK_UP, Post, Reply, Run, Running, Server, Service, Shown, at_once, call, moment, now,
};

/// A call of somebody else's.
const OTHER: &str = "00000000-1111-4222-8333-444444444444";

/// Every way to lose an answer that is known at once.
fn faults() -> Vec<Reply> {
    let page = "<html><h1>Hello</h1></html>";
    let object = json!({ "error": { "code": "internal", "message": "Sorry." } });
    let mut faults =
        vec![Reply::CutBeforeStatus, Reply::CutInHead, Reply::CutInBody, Reply::Reset, Reply::new(204, "")];
    faults.extend([301, 307, 308].map(|status| Reply::new(status, "").with("Location", "/v1/calls")));
    faults.extend([408, 409, 460, 499, 500, 502, 503, 504, 520].map(|status| Reply::new(status, page)));
    faults.extend([408, 409, 500, 502, 503, 504].map(|status| Reply::json(status, &object)));
    faults.extend([502, 503].map(|status| Reply::new(status, "").with("Retry-After", "0")));
    faults.push(Reply::new(200, page).with("Content-Type", "text/html"));
    faults.extend(
        ["", "null", "[]", "{}", r#"{"call_id":""}"#, r#"{"call_id":7}"#].map(|b| Reply::new(201, b)),
    );
    faults.push(Reply::json(200, &json!({ "calls": [call("x", "success")] })));
    faults.push(Reply::new(201, "not gzip").with("Content-Encoding", "gzip"));
    faults
}

/// A call under way against a service of its own.
struct Trial {
    what: String,
    home: Home,
    service: Service,
    running: Running,
}

impl Trial {
    fn start(post: Post, flags: &[&str]) -> Self {
        Self::begin(Home::new(), Service::with([post.clone()]), format!("{post:?}"), flags)
    }

    fn begin(home: Home, service: Service, what: String, flags: &[&str]) -> Self {
        let running = Running::start(service.at(&home, CALL).args(flags));
        Self { what, home, service, running }
    }

    /// Ends it: one POST and this exit status, whatever was lost.
    #[track_caller]
    fn exits(self, status: i32) -> (Run, Home, Service) {
        let run = self.running.end();
        assert_eq!(run.exit, Some(status), "{}: {} {}", self.what, run.stdout, run.stderr);
        assert_eq!(self.service.posts(), 1, "{}", self.what);
        (run, self.home, self.service)
    }
}

/// What the call prints when its answer is not lost.
fn result(flags: &[&str]) -> String {
    Trial::start(Post::answered(), flags).exits(0).0.stdout
}

fn start_all(shown: Shown, flags: &[&str]) -> Vec<Trial> {
    let start = |fault| Trial::start(Post::lost(fault).shown(shown), flags);
    faults().into_iter().map(start).collect()
}

#[test]
fn a_lost_answer_is_looked_up_and_the_result_printed_as_if_nothing_had_happened() {
    let expected = result(&[]);
    for trial in start_all(Shown::AtOnce, &[]) {
        let (run, home, _) = trial.exits(0);
        assert_eq!(run.stdout, expected);
        assert_eq!(home.journal()[0]["shown"], true);
    }
}

#[test]
fn a_lost_answer_does_not_show_in_the_json_either() {
    let expected = result(&["--json"]);
    for trial in start_all(Shown::AtOnce, &["--json"]) {
        let (run, _, service) = trial.exits(0);
        // The moments in it are of another second.
        assert_eq!(run.json(), service.calls()[0]);
        assert_eq!(run.stdout.len(), expected.len());
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_looked_up_within_the_time() {
    let started = Instant::now();
    let stalls = [Reply::Stall, Reply::Late(Duration::from_secs(30), Box::new(Reply::new(500, "")))];
    let trials = stalls.map(|stall| Trial::start(Post::lost(stall), &["--timeout", "2"]));
    for trial in trials {
        let (run, ..) = trial.exits(0);
        assert!(run.stdout.ends_with("success  3f2a0c1e-55aa-4bbb-8ccc-000000000000\n"), "{}", run.stdout);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_call_that_the_history_shows_late_is_waited_for() {
    let faults = [Reply::CutBeforeStatus, Reply::CutInBody, Reply::new(502, ""), Reply::new(201, "")];
    let late =
        faults.map(|fault| Trial::start(Post::lost(fault).shown(Shown::After(2)), &["--timeout", "30"]));
    for trial in late {
        let (run, _, service) = trial.exits(0);
        assert!(run.stdout.contains("\nResult      A table for four is booked.\n"), "{}", run.stdout);
        assert_eq!(service.server.count("GET", LOOK_UP), 3);
    }
}

#[test]
fn a_call_that_the_history_never_shows_is_unknown_within_the_time() {
    let started = Instant::now();
    for trial in start_all(Shown::Never, &["--timeout", "3", "--json"]) {
        let (run, home, _) = trial.exits(6);
        let error = run.error();
        assert_eq!((&error["code"], &error["retry_safe"]), (&json!("outcome_unknown"), &json!(false)));
        assert_eq!(error["idempotency_key"], home.journal()[0]["key"]);
        assert_eq!(run.stdout, "");
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn two_calls_that_it_may_be_are_both_listed() {
    let two = ["3f2a0c1e-55aa-4bbb-8ccc-000000000000", "3f2a0c1e-55aa-4bbb-8ccc-000000000001"];
    for trial in start_all(Shown::Twice, &["--timeout", "20"]) {
        let (run, home, _) = trial.exits(6);
        assert!(two.iter().all(|id| run.stderr.contains(id)), "{}", run.stderr);
        assert!(run.stderr.contains("do not place it again"), "{}", run.stderr);
        let commands = two.map(|id| format!("  kallyai --call-info {id}\n"));
        assert!(run.stderr.ends_with(&commands.concat()), "{}", run.stderr);
        assert_eq!(home.journal()[0]["shown"], false);
    }
}

#[test]
fn a_history_that_fails_is_read_again_and_one_that_stalls_ends_in_time() {
    let unauthorized = Reply::json(401, &json!({ "error": { "code": "missing_token" } }));
    let odd = [Reply::new(200, "<html>"), Reply::new(404, ""), Reply::new(500, ""), unauthorized];
    let trials = odd.map(|look| {
        let service = Service::with([Post::lost(Reply::Reset)]);
        service.then_look(look.clone());
        Trial::begin(Home::new(), service, format!("{look:?}"), &[])
    });
    let service = Service::with([Post::lost(Reply::Reset)]);
    (0..9).for_each(|_| service.then_look(Reply::Stall));
    let started = Instant::now();
    Trial::begin(Home::new(), service, "stalled".into(), &["--timeout", "2"]).exits(6);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    for trial in trials {
        let (_, _, service) = trial.exits(0);
        assert_eq!(service.server.count("GET", LOOK_UP), 2);
    }
}

#[test]
fn the_same_call_listed_twice_is_one() {
    let service = Service::with([Post::lost(Reply::CutBeforeStatus)]);
    let listed = call("3f2a0c1e-55aa-4bbb-8ccc-000000000000", "success");
    service.then_look(Reply::json(200, &json!({ "calls": [listed, listed] })));
    Trial::begin(Home::new(), service, "listed twice".into(), &[]).exits(0);
}

/// What the history says of a call in some shape, or leaves out.
fn brief(full: &Value, members: &[&str]) -> Value {
    let mut brief = json!({ "call_id": full["call_id"] });
    for member in members {
        match *member {
            "to" => brief["to"] = full["submission"]["respondent_phone"].clone(),
            "created_at" => brief["created_at"] = full["metadata"]["created_at"].clone(),
            member => brief[member] = full[member].clone(),
        }
    }
    brief
}

/// Loses an answer while the history shows these calls, each as told.
fn lost_among(calls: &[(Value, Value)], flags: &[&str]) -> Trial {
    let service = Service::with([Post::refused(Reply::CutBeforeStatus)]);
    for (full, listed) in calls {
        service.put(full.clone(), listed.clone());
    }
    Trial::begin(Home::new(), service, format!("{calls:?}"), flags)
}

#[test]
fn a_call_of_which_the_list_says_too_little_is_fetched() {
    let full = call(OTHER, "busy");
    let shapes: [&[&str]; 5] = [
        &["status"],
        &["to", "status"],
        &["to", "created_at", "status"],
        &["metadata", "status"],
        &["submission", "status"],
    ];
    for trial in shapes.map(|members| lost_among(&[(full.clone(), brief(&full, members))], &[])) {
        let (run, ..) = trial.exits(0);
        assert!(run.stdout.ends_with(&format!("busy  {OTHER}\n")), "{}", run.stdout);
    }
}

#[test]
fn a_call_that_can_no_longer_be_read_does_not_hide_another() {
    let full = call(OTHER, "busy");
    let deleted = json!({ "call_id": "99999999-1111-4222-8333-444444444444" });
    let other = json!({ "call_id": "not/this/one" });
    let nonsense = json!({ "call_id": ".." });
    let calls = [(full.clone(), full), (other, deleted), (nonsense.clone(), nonsense)];
    let trial = lost_among(&calls, &["--timeout", "3"]);
    assert!(trial.exits(0).0.stdout.starts_with("Called"));
}

#[test]
fn a_call_that_is_older_or_for_another_number_or_task_is_not_taken() {
    let other = |edit: &dyn Fn(&mut Value)| {
        let mut other = call(OTHER, "success");
        edit(&mut other);
        other
    };
    let others = [
        other(&|call| call["metadata"]["created_at"] = json!(moment(-150))),
        other(&|call| call["submission"]["respondent_phone"] = json!("+15551234568")),
        other(&|call| call["submission"]["task_description"] = json!("Reserve a table for 2")),
        other(&|call| call["call_id"] = json!("../users/me")),
    ];
    let trials = others.map(|other| {
        // Whether the list says it or only the call itself.
        let told = lost_among(&[(other.clone(), other.clone())], &["--timeout", "2"]);
        (told, lost_among(&[(other.clone(), brief(&other, &[]))], &["--timeout", "2"]))
    });
    for (told, fetched) in trials {
        told.exits(6);
        fetched.exits(6);
    }
    // As far back as the clocks may differ.
    let full = other(&|call| call["metadata"]["created_at"] = json!(moment(-100)));
    lost_among(&[(full.clone(), full)], &[]).exits(0);
}

#[test]
fn a_call_that_another_entry_has_is_not_taken() {
    for settled in [true, false] {
        let home = Home::new();
        home.write_journal([json!({
            "key": "earlier", "at": now() - 7 * 3600, "number": CALL[1], "task": CALL[3], "call_id": OTHER, "settled": settled,
        })
        .to_string()]);
        let service = Service::with([Post::lost(Reply::Reset)]);
        service.put(call(OTHER, "failed"), call(OTHER, "failed"));
        let (run, ..) = Trial::begin(home, service, format!("settled {settled}"), &["--json"]).exits(0);
        assert_eq!(run.json()["call_id"], "3f2a0c1e-55aa-4bbb-8ccc-000000000001");
    }
}

#[test]
fn two_runs_that_find_the_same_call_do_not_both_take_it() {
    let home = Home::new();
    let service = Service::with(vec![Post::lost(Reply::CutBeforeStatus); 2]);
    let gate = Gate::default();
    let first = call("3f2a0c1e-55aa-4bbb-8ccc-000000000000", "success");
    for _ in 0..2 {
        let page = Reply::json(200, &json!({ "calls": [first] }));
        service.then_look(Reply::Held(gate.clone(), Box::new(page)));
    }
    let start = |looks| {
        let running = Running::start(service.at(&home, CALL).args(["--again", "--json"]));
        service.server.wait_for("GET", LOOK_UP, looks);
        running
    };
    let both = [start(1), start(2)];
    gate.open();
    let printed = both.map(|running| running.end().exits(0).json()["call_id"].to_string());
    assert_ne!(printed[0], printed[1]);
    assert_eq!(service.posts(), 2);
}

#[test]
fn a_call_that_goes_on_is_waited_for() {
    let trial = Trial::start(Post::lost(Reply::CutInHead).running(1), &["--json"]);
    let endless = Trial::start(Post::lost(Reply::CutInHead).running(99), &["--json", "--timeout", "3"]);
    let (run, _, service) = trial.exits(0);
    assert_eq!(run.json()["status"], "success");
    assert_eq!(service.server.count("GET", "/v1/calls/3f2a0c1e-55aa-4bbb-8ccc-000000000000"), 2);
    assert_eq!(endless.exits(6).0.error()["message"], "the call has not ended yet");
}

#[test]
fn an_answer_that_only_begins_is_waited_for_and_its_end_printed() {
    at_once([("in_progress", 201), ("ringing", 202), ("odd", 200)], |(status, code)| {
        let mut begun = call("3f2a0c1e-55aa-4bbb-8ccc-000000000000", status);
        for member in ["highlights", "next_steps", "duration_seconds"] {
            begun[member] = Value::Null;
        }
        begun["metadata"]["ended_at"] = Value::Null;
        let post = Post::lost(Reply::json(code, &begun)).running(1);
        let (run, home, service) = Trial::start(post, &["--json"]).exits(0);
        assert_eq!(run.json(), service.calls()[0], "{status}");
        assert_eq!(service.server.count("GET", LOOK_UP), 0, "its ID is known");
        assert_eq!(home.journal()[0]["status"], "success");
    });
}

#[test]
fn a_call_that_only_began_and_does_not_end_in_time_is_named() {
    let begun = json!({ "call_id": "3f2a0c1e-55aa-4bbb-8ccc-000000000000", "status": "queued" });
    let post = Post::lost(Reply::json(202, &begun)).running(99);
    let (run, home, _) = Trial::start(post, &["--json", "--timeout", "1"]).exits(6);
    assert_eq!(
        (&run.error()["code"], &run.error()["call_id"]),
        (&json!("outcome_unknown"), &begun["call_id"])
    );
    assert_eq!(
        (&home.journal()[0]["event"], &home.journal()[0]["call_id"]),
        (&json!("running"), &begun["call_id"])
    );
}

#[test]
fn a_history_of_many_newer_calls_is_read_back_to_the_entry() {
    let service = Service::with([Post::lost(Reply::Reset)]);
    let ids = |first: usize, last: usize| {
        let newer = (first..last).map(|n| {
            let mut newer = call(&format!("00000000-0000-4000-8000-{n:012x}"), "success");
            newer["submission"]["respondent_phone"] = json!("+15550009999");
            newer
        });
        newer.collect::<Vec<_>>()
    };
    let ours = call("3f2a0c1e-55aa-4bbb-8ccc-000000000000", "success");
    service.then_look(Reply::json(200, &json!({ "calls": ids(0, 100) })));
    service.then_look(Reply::json(200, &json!({ "calls": ids(90, 190) })));
    service.then_look(Reply::json(200, &json!({ "calls": [Value::Null, json!({ "call_id": null }), ours] })));
    Trial::begin(Home::new(), service, "behind others".into(), &[]).exits(0);
}

#[cfg(unix)]
#[test]
fn whoever_watches_is_told_of_the_lost_answer_and_then_of_the_result() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::Reset)]);
    let mut terminal = Terminal::sized(service.at(&home, CALL), 80);
    terminal.shows("The answer was lost (");
    assert_eq!(terminal.end(), Some(0));
    terminal.shows("Result");
    assert_eq!(service.posts(), 1);
}

#[test]
fn a_page_that_names_no_usable_call_does_not_end_the_search() {
    let home = Home::new();
    let service = Service::with([Post::lost(Reply::Reset)]);
    let unusable = json!({ "calls": [{ "call_id": ".." }], "total": 9 });
    service.then_look(Reply::json(200, &unusable));
    Run::of(&mut service.at(&home, CALL)).exits(0);
    assert_eq!(service.server.count("GET", &format!("{LOOK_UP}&offset=1")), 1);
}

#[test]
fn an_answer_about_another_call_is_not_taken_for_the_result() {
    let other = call("3f2a0c1e-55aa-4bbb-8ccc-00000000beef", "success");
    let begun = json!({ "call_id": "3f2a0c1e-55aa-4bbb-8ccc-000000000000", "status": "queued" });
    let server = Server::start(move |request| match request.line().as_str() {
        "POST /v1/calls" => Reply::json(202, &begun),
        line if line.starts_with("GET /v1/calls?") => Reply::json(200, &json!({ "calls": [] })),
        _ => Reply::json(200, &other),
    });
    let home = Home::new();
    let error = Run::of(home.at(&server, CALL).args(["--json", "--timeout", "2"])).exits(6).error();
    assert_eq!(error["call_id"], "3f2a0c1e-55aa-4bbb-8ccc-000000000000");
    assert!(Run::of(&mut home.at(&server, ["--pending"])).exits(0).stdout.contains("+15551234567"));
}
