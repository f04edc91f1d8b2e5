//! Serving: many clients, hostile ones, and the end.

use std::sync::Barrier;

use super::*;

#[test]
fn closing_ends_every_waiting_request_but_not_its_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), HOUR);
    let client = Client::of(&sandbox);
    let waiting = client.open("POST /v1/calls", &order("+15551234567").to_string());
    wait_until(|| client.get("/v1/calls").json()["total"] != 0);
    drop(sandbox);
    assert_eq!(Answer::read(&waiting).status, 504);
}

#[test]
fn many_clients_are_served_at_once_though_none_hangs_up() {
    const CLIENTS: usize = 40;
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let start = Barrier::new(CLIENTS);
    let place = || {
        start.wait();
        let connection = client.open("POST /v1/calls", &order("+15551234567").to_string());
        (Answer::read(&connection).status, connection)
    };
    let answers = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(place)).collect();
        let answers = clients.into_iter().map(|it| it.join().expect("an answer"));
        answers.collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|(status, _)| *status == 201));
    assert_eq!(client.get("/v1/calls").json()["total"], CLIENTS);
}

#[test]
fn a_head_is_answered_as_its_get_without_the_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let mut stream = Client::of(&sandbox).open("HEAD /v1/calls\nConnection: close", "");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer with an end");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

/// A call whose submission is so many bytes long.
fn order_of(bytes: usize) -> String {
    let mut order = order("+15551234567");
    order["submission"]["additional_instructions"] = json!(["x".repeat(bytes)]);
    order.to_string()
}

#[test]
fn an_answer_of_any_size_comes_at_once_on_a_kept_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), Duration::ZERO);
    let client = Client::of(&sandbox);
    let connection = client.connect();
    for bytes in [100, 1_000, 5_000, 100_000, 1_000_000] {
        client.ask(&connection, "POST /v1/calls", &order_of(bytes));
        let call = Answer::read(&connection).json();
        let target = format!("GET /v1/calls/{}", call["call_id"].as_str().expect("an ID"));
        let times = (0..10).map(|_| {
            let start = Instant::now();
            client.ask(&connection, &target, "");
            assert!(Answer::read(&connection).body.len() > bytes);
            start.elapsed()
        });
        // What is held back by Nagle's algorithm until a delayed acknowledgement takes 40 ms each time.
        let fastest = times.min().expect("ten times");
        assert!(fastest < Duration::from_millis(20), "{bytes} bytes take {fastest:?}");
    }
}

#[test]
fn ringing_calls_keep_nobody_else_waiting() {
    const CLIENTS: usize = 256;
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), HOUR);
    let client = Client::of(&sandbox);
    let order = order("+15551234567").to_string();
    let ringing: Vec<_> = (0..CLIENTS).map(|_| client.open("POST /v1/calls", &order)).collect();
    wait_until(|| client.get("/v1/calls?limit=1").json()["total"] == CLIENTS);
    let times = (0..10).map(|_| {
        let start = Instant::now();
        assert_eq!(client.get("/v1/users/me/statistics").json()["calls_used"], CLIENTS);
        start.elapsed()
    });
    assert!(times.min() < Some(Duration::from_millis(50)));
    drop(sandbox);
    assert!(ringing.iter().all(|connection| Answer::read(connection).status == 504));
}

#[test]
fn many_kept_calls_slow_no_request_down() {
    const CLIENTS: usize = 64;
    const REQUESTS: usize = 50;
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let id = client.call("+15551234567").json()["call_id"].as_str().expect("an ID").to_owned();
    let fill = |memory: &mut store::Memory| {
        let one = memory.calls.find(&id).expect("a call").clone();
        for _ in 1..1_000 {
            let (submission, ended) = (one.submission.clone(), one.ends_at);
            let other = records::Record::new(None, one.outcome, one.created_at, ended, None, submission);
            memory.calls.keep(other.into());
        }
    };
    sandbox.service.store.update(fill).expect("a save");
    for target in [format!("GET /v1/calls/{id}"), "GET /v1/users/me/statistics".to_owned()] {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let connection = client.connect();
                    for _ in 0..REQUESTS {
                        client.ask(&connection, &target, "");
                        assert_eq!(Answer::read(&connection).status, 200);
                    }
                });
            }
        });
        // A program that is not optimised needs about a second, and a minute if it reads the file each time.
        assert!(start.elapsed() < Duration::from_secs(10), "{target}: {:?}", start.elapsed());
    }
}

#[test]
fn requests_sent_ahead_are_answered_in_turn() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let mut connection = client.open("POST /v1/calls", &order("+15551234567").to_string());
    client.ask(&connection, "GET /v1/nothing", "");
    client.ask(&connection, "GET /v1/calls\nConnection: close", "");
    let mut answers = String::new();
    connection.read_to_string(&mut answers).expect("answers with an end");
    let statuses: Vec<_> =
        answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["201", "404", "200"]);
    assert!(answers.contains("\r\nConnection: close\r\n"), "{answers}");
}

#[test]
fn every_answer_says_the_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    for target in ["/v1/calls", "/v1/nothing", "/billing", "/v1/auth/cli"] {
        let date = client.get(target).headers["date"].replace("GMT", "+0000");
        let date = jiff::fmt::rfc2822::parse(&date).expect("a date").timestamp();
        assert!(date.duration_until(clock::now()).as_secs() < 10, "{target}: {date}");
    }
}

#[test]
fn only_names_of_this_machine_are_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let port = client.host.rsplit(':').next().expect("a port").to_owned();
    let ask = |host: &str| {
        let mut stream = client.connect();
        let (token, hosts) = (&client.token, host.replace('|', "\r\nHost: "));
        write!(stream, "GET /v1/calls HTTP/1.1\r\nHost: {hosts}\r\nAuthorization: Bearer {token}\r\n\r\n")
            .expect("a request");
        Answer::read(&stream)
    };
    for host in ["localhost", "LocalHost", "127.0.0.1", "[::1]"] {
        assert_eq!(ask(&format!("{host}:{port}")).status, 200, "{host}");
    }
    for host in [
        "",
        "localhost",
        "localhost:1",
        &format!("a.test:{port}"),
        &format!("localhost.a.test:{port}"),
        &format!("127.0.0.2:{port}"),
        &format!("localhost:0{port}"),
        &format!("localhost:{port}|a.test"),
    ] {
        assert_eq!(ask(host).error(), (403, "wrong_host".to_owned()), "{host}");
    }
}

#[test]
fn a_refusal_reaches_a_client_that_sends_too_much() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let refused = client.send("POST /v1/calls", &order_of(4 << 20));
    assert_eq!(refused.error(), (413, "request_too_large".to_owned()));
    assert_eq!(refused.headers["connection"], "close");
}

#[test]
fn a_body_that_is_announced_too_long_is_refused_before_it_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    for length in [2 << 20, 5_000_000_000, 1 << 40, u128::from(u64::MAX), u128::MAX] {
        let mut connection = client.connect();
        let head = format!("POST /v1/calls HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}", client.host);
        connection.write_all(format!("{head}\r\n\r\n").as_bytes()).expect("a request");
        assert_eq!(Answer::read(&connection).error().0, 413, "{length}");
        assert_eq!(connection.read(&mut [0]).expect("an end"), 0);
    }
    assert_eq!(client.get("/v1/calls").status, 200);
}
