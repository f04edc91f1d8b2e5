//! Refusals, failures and nonsense from the other side.

use serde_json::json;

use crate::support::{Home, ID, Reply, Run, Server};

fn read(reply: Reply) -> Run {
    let home = Home::new();
    Run::of(&mut home.at(&Server::always(reply), ["--usage", "--json"]))
}

#[test]
fn every_documented_code_has_an_exit_and_a_hint_of_its_own() {
    let mut hints = std::collections::HashSet::new();
    for (code, status, exit) in [
        ("quota_exceeded", 402, 5),
        ("missing_phone_number", 422, 1),
        ("emergency_number", 422, 1),
        ("toll_number", 422, 1),
        ("safety_violation", 422, 1),
        ("scheduling_violation", 422, 1),
        ("consent_denied", 422, 1),
        ("unsupported_language", 422, 1),
        ("blocked_number", 403, 1),
        ("suppression_violation", 403, 1),
        ("country_restriction", 403, 1),
        ("unsupported_country", 403, 1),
        ("forbidden", 403, 1),
        ("call_not_found", 404, 1),
        ("transcript_not_found", 404, 1),
        ("something_new", 418, 1),
    ] {
        let body = json!({ "error": { "code": code, "message": format!("About {code}."), "correlation_id": "c-77" } });
        let run = read(Reply::json(status, &body)).exits(exit);
        let error = run.error();
        assert_eq!(error["code"], code);
        assert_eq!(error["message"], format!("About {code}."));
        assert_eq!((&error["http_status"], &error["correlation_id"]), (&json!(status), &json!("c-77")));
        assert_eq!(error["retry_safe"], true);
        assert!(hints.insert(error["hint"].as_str().expect("a hint").to_owned()), "{code}: {error}");
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
        let home = Home::new();
        let text =
            Run::of(&mut home.at(&Server::always(Reply::json(status, &body)), ["--usage"])).exits(exit);
        assert!(text.stderr.starts_with(&format!("error: About {code}. [{code}]\n")), "{}", text.stderr);
        assert!(text.stderr.contains("c-77") && text.stderr.contains("\nhint: "), "{}", text.stderr);
    }
}

#[test]
fn a_402_may_come_without_an_error_object() {
    let body = json!({ "plan_type": "free", "minutes_allocated": 10, "minutes_used": 10, "upgrade_url": "https://kallyai.com/up" });
    let error = read(Reply::json(402, &body)).exits(5).error();
    assert_eq!(error["code"], "quota_exceeded");
    assert!(error["hint"].as_str().unwrap().contains("https://kallyai.com/up"));
}

#[test]
fn a_login_that_is_not_accepted_exits_4() {
    let home = Home::new();
    let server = Server::always(Reply::json(401, &json!({ "error": { "code": "missing_token" } })));
    let mut command = home.kallyai(["--usage", "--json"]);
    let run = Run::of(command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_ACCESS_TOKEN", "t")).exits(4);
    assert_eq!(run.error()["code"], "not_signed_in");
    assert_eq!(server.requests().len(), 1, "a token that was given is not renewed");
}

#[test]
fn a_failing_service_is_asked_again_and_then_exits_3() {
    for status in [429, 502, 503, 504] {
        let home = Home::new();
        let server = Server::always(Reply::new(status, "<html>"));
        let run = Run::of(&mut home.at(&server, ["--usage", "--json"])).exits(3);
        assert_eq!(
            (&run.error()["code"], &run.error()["retry_safe"]),
            (&json!("service_failing"), &json!(true))
        );
        assert_eq!(server.requests().len(), 4, "{status}");
    }
    let home = Home::new();
    let server = Server::always(Reply::new(500, ""));
    Run::of(&mut home.at(&server, ["--usage"])).exits(3);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_service_that_recovers_is_not_an_error() {
    let home = Home::new();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Reply::new(503, "").with("Retry-After", "0"),
        1 => Reply::CutBeforeStatus,
        _ => Reply::json(200, &json!({})),
    });
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_retry_after_beyond_the_time_left_ends_at_once() {
    let home = Home::new();
    let server = Server::always(Reply::new(429, "").with("Retry-After", "3600"));
    let run = Run::of(&mut home.at(&server, ["--usage", "--json"])).exits(3);
    assert!(run.error()["hint"].as_str().unwrap().contains("3600 s"), "{}", run.stderr);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn nonsense_is_unexpected_and_shown_in_part() {
    let bodies: &[&[u8]] = &[
        b"",
        b"null",
        b"[]",
        b"5",
        b"\"x\"",
        b"{",
        b"<html>\x1b[2J<h1>Hi</h1>",
        b"{\"minutes_used\":\"many\"}",
        b"\xff\xfe",
        b"{\"plan_type\":7}",
        b"{} {}",
    ];
    for body in bodies {
        let run = read(Reply::new(200, *body)).exits(1);
        let error = run.error();
        assert_eq!(
            (&error["code"], &error["http_status"]),
            (&json!("unexpected_response"), &json!(200)),
            "{body:?}"
        );
        assert!(!run.stderr.contains('\u{1b}') && run.stdout.is_empty());
    }
    for hidden in [&b"{\"entries\":[],\"x\":\"\xff\xc2\x9b2J\"}"[..], b"[{\"text\":\"a\",\"x\":\"\xff\"}]"] {
        let home = Home::new();
        let server = Server::always(Reply::new(200, hidden));
        let run = Run::of(&mut home.at(&server, ["--transcript", ID, "--json"])).exits(1);
        assert_eq!((&run.error()["code"], run.stdout.as_str()), (&json!("unexpected_response"), ""));
    }
    let deep = "[".repeat(5000);
    read(Reply::new(200, deep)).exits(1);
    read(Reply::new(200, " ".repeat(100_000))).exits(1);
}

#[test]
fn a_redirect_is_not_followed() {
    let home = Home::new();
    let other = Server::always(Reply::json(200, &json!({})));
    let server =
        Server::always(Reply::new(302, "").with("Location", &format!("{}/v1/elsewhere", other.url())));
    let run = Run::of(&mut home.at(&server, ["--usage", "--json"])).exits(1);
    assert_eq!(run.error()["code"], "unexpected_response");
    assert!(other.requests().is_empty());
    let nowhere = read(Reply::new(302, "")).exits(1).error();
    assert!(nowhere["message"].as_str().unwrap().contains("a redirect to nowhere"), "{nowhere}");
}

#[test]
fn a_service_may_be_known_by_a_name() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let url = server.url().replace("127.0.0.1", "localhost");
    Run::of(&mut home.at_url(&url, ["--usage"])).exits(0);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_service_that_is_not_there_exits_3() {
    let home = Home::new();
    let error = Run::of(&mut home.at_url("http://127.0.0.1:9", ["--usage", "--json"])).exits(3).error();
    assert_eq!((&error["code"], &error["retry_safe"]), (&json!("unreachable"), &json!(true)));
}

#[test]
fn a_service_that_never_answers_is_given_up_in_time() {
    let home = Home::new();
    let server = Server::always(Reply::Stall);
    let error =
        Run::of(&mut home.at(&server, ["--call-info", ID, "--json", "--timeout", "1"])).exits(3).error();
    assert_eq!(error["code"], "unreachable");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let home = Home::new();
    let turns: Vec<_> =
        (0..20_000).map(|n| json!({ "speaker": "AI", "content": format!("turn {n}") })).collect();
    for conversation in [json!(turns), json!("One line.\n".repeat(20_000))] {
        let server = Server::always(Reply::json(200, &json!({ "transcript": conversation })));
        let mut command = home.at(&server, ["--transcript", ID]);
        let mut child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("starts");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("ends");
        assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
    }
}

#[test]
fn debug_shows_the_conversation_without_its_secrets() {
    let home = Home::new();
    home.sign_in(-10);
    let server = Server::start(|request| match request.line().as_str() {
        "POST /v1/auth/refresh" => Reply::json(
            200,
            &json!({ "access_token": "new-secret-token", "refresh_token": "next-secret-token" }),
        ),
        _ => Reply::json(200, &json!({ "plan_type": "pro" })),
    });
    let run = Run::of(&mut home.at(&server, ["--usage", "--debug"])).exits(0);
    for line in ["> POST ", "> GET ", "< 200", "Bearer [redacted]", "\"plan_type\":\"pro\""] {
        assert!(run.stderr.contains(line), "{line}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
}

#[test]
fn debug_keeps_back_what_a_server_hands_out_and_cuts_what_is_long() {
    let home = Home::new();
    let reply = Reply::new(302, "x".repeat(20_000))
        .with("Set-Cookie", "id=secret-cookie")
        .with("Location", "https://elsewhere.example/secret-place");
    let server = Server::always(reply);
    let run = Run::of(&mut home.at(&server, ["--usage", "--debug"])).exits(1);
    for line in ["< set-cookie: [redacted]", "< location: [redacted]", "< [3616 more bytes]"] {
        assert!(run.stderr.lines().any(|shown| shown == line), "{line}: {}", run.stderr);
    }
    run.never_says("secret");
}
