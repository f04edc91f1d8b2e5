//! Calls, from their order to their end.

use super::*;

#[test]
fn a_call_that_succeeds_is_kept_with_its_transcript_and_calendar() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let placed = client.call("+15551234567");
    assert_eq!(placed.status, 201);
    let call = placed.json();
    assert_eq!(call["status"], "success");
    assert_eq!(call["submission"], order("+15551234567")["submission"]);
    assert!(call["duration_seconds"].is_f64() && call["metadata"]["ended_at"].is_string());

    let target = format!("/v1/calls/{}", call["call_id"].as_str().expect("an ID"));
    assert_eq!(client.get(&target).json(), call);
    assert_eq!(client.get(&target.replace('-', "%2D")).json(), call);
    let transcript = client.get(&format!("{target}/transcript")).json();
    assert_eq!(transcript["entries"][0]["speaker"], "HUMAN");
    let calendar = client.get(&format!("{target}/calendar.ics"));
    assert_eq!(calendar.headers["content-type"], "text/calendar; charset=utf-8");
    assert!(calendar.body.starts_with("BEGIN:VCALENDAR\r\n"));
    let statistics = client.get("/v1/users/me/statistics").json();
    assert_eq!(statistics["calls_used"], 1);
}

#[test]
fn the_number_decides_how_the_call_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    for (phone, status) in [
        ("+15555550101", "no_answer"),
        ("+15555550102", "busy"),
        ("+15555550103", "failed"),
        ("+15555550104", "voicemail"),
        ("+15555550105", "cancelled"),
    ] {
        let call = client.call(phone).json();
        assert_eq!(call["status"], status);
        let target = format!("/v1/calls/{}", call["call_id"].as_str().expect("an ID"));
        let calendar = client.get(&format!("{target}/calendar.ics"));
        assert_eq!(calendar.error(), (404, "calendar_not_found".to_owned()));
        let transcript = client.get(&format!("{target}/transcript"));
        assert_eq!(transcript.status == 200, status == "voicemail");
    }
    for (phone, status, code) in [
        ("+15555550140", 402, "quota_exceeded"),
        ("+15555550141", 403, "country_restriction"),
        ("+15555550142", 422, "safety_violation"),
        ("+15555550143", 403, "blocked_number"),
        ("911", 422, "emergency_number"),
    ] {
        assert_eq!(client.call(phone).error(), (status, code.to_owned()));
    }
    assert_eq!(client.get("/v1/calls").json()["total"], 5);
}

#[test]
fn a_refusal_that_may_be_retried_comes_once_per_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let head = "POST /v1/calls\nIdempotency-Key: one";
    let order = order("+15555550120").to_string();
    let refused = client.send(head, &order);
    assert_eq!(refused.error(), (429, "rate_limited".to_owned()));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(client.get("/v1/calls").json()["total"], 0);
    assert_eq!(client.send(head, &order).json()["status"], "success");
}

#[test]
fn a_cache_says_that_the_service_is_down_while_the_call_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let order = order("+15555550121").to_string();
    for (calls, key) in [(1, "one"), (2, "two")] {
        let head = format!("POST /v1/calls\nIdempotency-Key: {key}");
        let lost = client.send(&head, &order);
        assert_eq!((lost.status, lost.headers["retry-after"].as_str()), (503, "5"));
        assert!(lost.body.contains("<html>") && !lost.body.contains("error\":"), "{}", lost.body);
        assert_eq!(client.get("/v1/calls").json()["total"], calls);
        let again = client.send(&head, &order);
        assert_eq!((again.status, &again.json()["status"]), (201, &json!("success")));
        let page = client.get("/v1/calls").json();
        assert_eq!((&page["total"], &page["calls"][0]), (&json!(calls), &again.json()));
    }
}

#[test]
fn a_call_may_be_accepted_before_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let head = "POST /v1/calls\nIdempotency-Key: one";
    let order = order("+15555550106").to_string();
    let accepted = client.send(head, &order);
    assert_eq!(accepted.status, 202);
    let accepted = accepted.json();
    assert_eq!(accepted["status"], "in_progress");
    assert!(accepted.get("highlights").is_none() && accepted["metadata"].get("ended_at").is_none());
    let ended = client.send(head, &order).json();
    assert_eq!((&ended["status"], &ended["call_id"]), (&json!("success"), &accepted["call_id"]));
    let target = format!("/v1/calls/{}", ended["call_id"].as_str().expect("an ID"));
    assert_eq!(client.get(&target).json(), ended);
}

#[test]
fn one_number_rings_for_90_seconds_however_long_others_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let waiting = client.open("POST /v1/calls", &order("+15555550190").to_string());
    wait_until(|| client.get("/v1/calls").json()["total"] != 0);
    assert_eq!(client.get("/v1/calls").json()["calls"][0]["status"], "in_progress");
    let memory = sandbox.service.store.read().expect("a memory");
    let record = memory.calls.newest_first().next().expect("a call");
    assert_eq!((record.duration_seconds(), record.outcome), (90.0, scenario::Outcome::Success));
    drop(sandbox);
    assert_eq!(Answer::read(&waiting).status, 504);
}

#[test]
fn a_call_lasts_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), Duration::from_millis(1_200));
    let client = Client::of(&sandbox);
    for (phone, seconds) in [("+15551234567", 1.2), ("+15555550104", 0.96), ("+15555550102", 0.24)] {
        let call = client.call(phone).json();
        assert_eq!(call["duration_seconds"], seconds);
        let instant = |member: &str| -> jiff::Timestamp {
            call["metadata"][member].as_str().and_then(|text| text.parse().ok()).expect("an instant")
        };
        let length = instant("created_at").duration_until(instant("ended_at"));
        assert_eq!(length.as_secs_f64(), seconds);
    }
    // Nobody spoke on a line that was busy.
    let statistics = client.get("/v1/users/me/statistics");
    assert!(statistics.body.contains("\"minutes_used\":0.04,"), "{}", statistics.body);
}

#[test]
fn an_account_without_calls_has_used_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let statistics = Client::of(&sandbox).get("/v1/users/me/statistics").body;
    for member in ["\"minutes_used\":0.0,", "\"minutes_remaining\":100.0,", "\"usage_percentage\":0.0"] {
        assert!(statistics.contains(member), "{statistics}");
    }
}

#[test]
fn a_question_makes_no_appointment() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let mut question = order("+15551234567");
    question["submission"]["task_description"] = json!("Ask for opening hours");
    let call = client.send("POST /v1/calls", &question.to_string()).json();
    let target = format!("/v1/calls/{}/calendar.ics", call["call_id"].as_str().expect("an ID"));
    assert_eq!(client.get(&target).error(), (404, "calendar_not_found".to_owned()));
}

#[test]
fn a_call_whose_answer_is_lost_goes_on_for_every_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = sandbox(folder.path(), HOUR);
    let lost = Client::of(&first).call("+15555550122");
    assert_eq!(lost.status, 504);
    assert!(lost.body.starts_with("<html>"));
    drop(first);

    let second = sandbox(folder.path(), HOUR);
    let client = Client::of(&second);
    let call = client.get("/v1/calls").json()["calls"][0].clone();
    assert_eq!(call["status"], "in_progress");
    assert!(call["metadata"]["created_at"].is_string());
    for member in ["highlights", "next_steps", "duration_seconds"] {
        assert!(call.get(member).is_none());
    }
    assert!(call["metadata"].get("ended_at").is_none());
    let target = format!("/v1/calls/{}", call["call_id"].as_str().expect("an ID"));
    let transcript = client.get(&format!("{target}/transcript"));
    assert_eq!(transcript.error(), (404, "transcript_not_found".to_owned()));
}

#[test]
fn the_same_key_never_makes_a_second_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let place = || {
        let head = "POST /v1/calls\nIdempotency-Key: one";
        client.send(head, &order("+15551234567").to_string()).json()
    };
    let calls = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(place)).collect();
        threads.into_iter().map(|it| it.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(calls[0]["call_id"].is_string());
    assert!(calls.iter().all(|call| *call == calls[0]));
    assert_eq!(client.get("/v1/calls").json()["total"], 1);
}

#[test]
fn pages_of_calls_are_newest_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), Duration::ZERO);
    let client = Client::of(&sandbox);
    for last in 1..=3 {
        client.call(&format!("+1555123456{last}"));
    }
    let page = client.get("/v1/calls?limit=1&offset=1").json();
    assert_eq!(page["total"], 3);
    assert_eq!(page["calls"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["calls"][0]["submission"]["respondent_phone"], "+15551234562");
    for query in ["limit=0", "limit=201", "limit=x", "offset=-1"] {
        let refused = client.get(&format!("/v1/calls?{query}"));
        assert_eq!(refused.error(), (422, "validation_error".to_owned()));
    }
}
