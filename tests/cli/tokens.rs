//! The login file, shared with other clients.

use serde_json::{Value, json};

use crate::support::{CALL, Home, ID, REFRESH, Reply, Run, Server, TOKEN, call, now};

/// A service that renews logins and accepts only renewed ones.
fn renewing(renewed: Value) -> Server {
    Server::start(move |request| match (request.line().as_str(), request.header("authorization")) {
        ("POST /v1/auth/refresh", _) => Reply::json(200, &renewed),
        (_, Some("Bearer fresh")) => Reply::json(200, &json!({ "plan_type": "pro" })),
        _ => Reply::json(401, &json!({ "error": { "code": "missing_token" } })),
    })
}

#[test]
fn a_login_written_by_the_python_client_is_read() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    home.write_login(
        &json!({ "access_token": TOKEN, "refresh_token": null, "expires_at": now() as f64 + 1800.25 }),
    );
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    assert_eq!(server.requests()[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
}

#[test]
fn a_renewed_login_is_written_as_every_client_reads_it() {
    let home = Home::new();
    home.write_login(&json!({
        "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": 1.5, "theirs": { "keep": [1.10, "x"] },
    }));
    let server = renewing(json!({ "access_token": "fresh", "expires_in": 7200 }));
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    let login = home.login();
    assert_eq!((&login["access_token"], &login["refresh_token"]), (&json!("fresh"), &json!(REFRESH)));
    let expires_at = login["expires_at"].as_i64().expect("an integer");
    assert!((expires_at - (now() + 7140)).abs() <= 5, "{expires_at}");
    assert_eq!(login["theirs"], json!({ "keep": [1.10, "x"] }));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(home.token_file()).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_refused_token_is_renewed_once_and_the_request_repeated() {
    let home = Home::new();
    home.sign_in(3600);
    let server = renewing(json!({ "access_token": "fresh", "refresh_token": "next" }));
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    let lines: Vec<String> = server.requests().iter().map(|r| r.line()).collect();
    assert_eq!(
        lines,
        ["GET /v1/users/me/statistics", "POST /v1/auth/refresh", "GET /v1/users/me/statistics"]
    );
    assert_eq!(home.login()["refresh_token"], "next");
}

#[test]
fn a_token_refused_after_its_renewal_ends_the_run() {
    let home = Home::new();
    home.sign_in(3600);
    let server = renewing(json!({ "access_token": "stale", "refresh_token": "next" }));
    let error = Run::of(&mut home.at(&server, ["--usage", "--json"])).exits(4).error();
    assert_eq!((&error["code"], &error["http_status"]), (&json!("missing_token"), &json!(401)));
    assert_eq!(error["next_command"], "kallyai --login --no-wait --json");
    assert_eq!(server.count("POST", "/v1/auth/refresh"), 1);
}

#[test]
fn a_login_that_is_refused_without_a_word_is_renewed_and_then_given_up() {
    let home = Home::new();
    home.sign_in(3600);
    let server = Server::start(|request| match request.line().as_str() {
        "POST /v1/auth/refresh" => Reply::json(200, &json!({ "access_token": "fresh" })),
        _ => Reply::new(401, ""),
    });
    let error = Run::of(&mut home.at(&server, ["--usage", "--json"])).exits(4).error();
    assert_eq!(
        (&error["code"], &error["next_command"]),
        (&json!("not_signed_in"), &json!("kallyai --login --no-wait --json"))
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_refused_login_that_has_gone_or_cannot_be_renewed_is_not_renewed() {
    let home = Home::new();
    for removed in [true, false] {
        home.write_login(&json!({ "access_token": TOKEN, "expires_at": now() + 999 }));
        let file = home.token_file();
        let server = Server::start(move |_| {
            if removed {
                std::fs::remove_file(&file).expect("the login");
            }
            Reply::new(401, "")
        });
        let error = Run::of(&mut home.at(&server, ["--usage", "--json"])).exits(4).error();
        let why = if removed { "has been removed" } else { "without the means to renew it" };
        assert_eq!(error["code"], "not_signed_in");
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_refusal_of_an_old_login_leads_to_the_one_that_another_client_saved_meanwhile() {
    // It is still good, or has to be renewed in turn.
    for (lasts, expected) in [(999, "newer"), (-10, "fresh")] {
        let home = Home::new();
        home.sign_in(-10);
        let newer =
            json!({ "access_token": "newer", "refresh_token": "newer-refresh", "expires_at": now() + lasts });
        let (file, newer) = (home.token_file(), std::sync::Mutex::new(newer));
        let server = Server::start(move |request| match request.line().as_str() {
            "POST /v1/auth/refresh" if request.json()["refresh_token"] == "newer-refresh" => {
                Reply::json(200, &json!({ "access_token": "fresh" }))
            }
            "POST /v1/auth/refresh" => {
                let mut newer = newer.lock().unwrap();
                newer["issuer"] = json!(format!("http://{}", request.header("host").expect("a host")));
                std::fs::write(&file, newer.to_string()).expect("the login");
                Reply::json(401, &json!({ "error": { "code": "invalid_refresh_token" } }))
            }
            _ => Reply::json(200, &json!({})),
        });
        Run::of(&mut home.at(&server, ["--usage"])).exits(0);
        assert_eq!(home.login()["access_token"], expected);
        let last = server.requests().pop().expect("a request");
        assert_eq!(last.header("authorization"), Some(format!("Bearer {expected}").as_str()));
    }
}

#[test]
fn a_good_access_token_is_kept_whatever_is_odd_beside_it() {
    for (renewed, lasts, refresh) in [
        (r#"{"access_token":"fresh","expires_in":"7200"}"#, 7140, REFRESH),
        (r#"{"access_token":"fresh","expires_in":null,"refresh_token":null}"#, 3540, REFRESH),
        (r#"{"access_token":"fresh","expires_in":true,"refresh_token":7}"#, 3540, REFRESH),
        (r#"{"access_token":"fresh","expires_in":1e400,"refresh_token":"a b"}"#, 3540, REFRESH),
        (r#"{"access_token":"fresh","expires_in":{"s":1},"refresh_token":""}"#, 3540, REFRESH),
        (r#"{"access_token":"fresh","expires_in":-1,"refresh_token":"next","x":"\ud800"}"#, 3540, "next"),
    ] {
        let home = Home::new();
        home.sign_in(-10);
        let server = Server::start(move |request| match request.line().as_str() {
            "POST /v1/auth/refresh" => Reply::new(200, renewed),
            _ => Reply::json(200, &json!({})),
        });
        Run::of(&mut home.at(&server, ["--usage"])).exits(0);
        let login = home.login();
        assert_eq!((&login["access_token"], &login["refresh_token"]), (&json!("fresh"), &json!(refresh)));
        let expires_at = login["expires_at"].as_i64().expect("an integer");
        assert!((expires_at - (now() + lasts)).abs() <= 5, "{renewed}: {expires_at}");
    }
}

#[test]
fn a_renewal_that_finds_nobody_is_tried_three_times_and_leaves_the_login() {
    let home = Home::new();
    home.sign_in(-10);
    let mut command = home.at_url("http://127.0.0.1:9", ["--usage", "--debug"]);
    let before = home.login();
    let run = Run::of(&mut command).exits(3);
    assert_eq!(run.stderr.matches("> POST http://127.0.0.1:9/v1/auth/refresh").count(), 3, "{}", run.stderr);
    assert!(run.stderr.contains("the login could not be renewed: no connection"), "{}", run.stderr);
    assert_eq!(home.login(), before);
}

#[cfg(unix)]
#[test]
fn without_a_home_folder_it_is_said_what_has_no_place() {
    let home = Home::new();
    let said = |flags: &[&str], exit: i32| {
        let mut command = home.kallyai(flags);
        Run::of(command.arg("--json").env("HOME", "relative")).exits(exit).error()["message"].clone()
    };
    for flags in [&["--usage"][..], &["--logout"], &CALL] {
        assert_eq!(said(flags, 4), "there is no home folder to keep the login in");
    }
    for flags in [&["--resume"][..], &["--login", "--no-wait"], &["--sandbox", "--usage"]] {
        assert_eq!(said(flags, 1), "there is no home folder to keep the journal in");
    }
}

#[test]
fn a_definite_refusal_signs_out_and_starts_no_sign_in() {
    let home = Home::new();
    home.sign_in(-10);
    let server = Server::always(Reply::json(401, &json!({ "error": { "code": "invalid_refresh_token" } })));
    let run = Run::of(&mut home.at(&server, ["--usage", "--json"])).exits(4);
    assert_eq!(run.error()["code"], "not_signed_in");
    assert!(!home.token_file().exists());
    assert_eq!(server.requests().len(), 1);
    let mut again = home.kallyai(["--usage"]);
    again.env("KALLYAI_API_URL", server.url()).env("KALLYAI_TOKEN_FILE", home.token_file());
    Run::of(&mut again).exits(4);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn any_other_answer_to_a_renewal_leaves_the_file_as_it_is() {
    for reply in [
        Reply::new(500, ""),
        Reply::new(429, ""),
        Reply::new(503, "<html>"),
        Reply::new(200, "<html>"),
        Reply::new(200, "{}"),
        Reply::new(401, "<html>"),
        Reply::new(403, ""),
        Reply::new(403, "{\"error\":\"Forbidden\"}"),
        Reply::new(403, "{\"error\":{\"code\":403}}"),
        Reply::new(403, "{\"error\":{\"code\":[\"forbidden\"]}}"),
        Reply::new(403, "{\"error\":{\"message\":\"blocked\"}}"),
        Reply::new(302, "").with("Location", "/"),
        Reply::new(200, "{\"access_token\":\"a b\"}"),
        Reply::new(404, "{\"error\":{}}"),
        Reply::CutInBody,
        Reply::CutBeforeStatus,
        Reply::Reset,
    ] {
        let home = Home::new();
        home.write_login(
            &json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": 5.5, "x": null }),
        );
        let server = Server::always(reply.clone());
        let mut command = home.at(&server, ["--usage"]);
        let before = std::fs::read(home.token_file()).expect("the file");
        let error = Run::of(command.arg("--json")).exits(3).error();
        let is_failing = matches!(reply, Reply::Answer { status: 429 | 500 | 503, .. });
        assert_eq!(error["code"], if is_failing { "service_failing" } else { "unreachable" }, "{reply:?}");
        assert_eq!(std::fs::read(home.token_file()).expect("the file"), before, "{reply:?}");
        assert_eq!(server.count("POST", "/v1/auth/refresh"), 1, "{reply:?}");
    }
}

#[test]
fn a_login_that_cannot_be_read_is_left_alone() {
    for text in [
        "",
        "{",
        "[]",
        "{\"access_token\":5}",
        "{\"access_token\":\"a b\"}",
        "{\"refresh_token\":\"x\"}",
        "{\"access_token\":\"a\",\"expires_at\":\"soon\"}",
        "{\"access_token\":\"a\",\"refresh_token\":7}",
    ] {
        let home = Home::new();
        let server = Server::always(Reply::json(200, &json!({})));
        let mut command = home.at(&server, ["--usage", "--json"]);
        std::fs::write(home.token_file(), text).expect("the file");
        let run = Run::of(&mut command).exits(4);
        assert_eq!(run.error()["code"], "token_file", "{text}");
        assert!(run.error()["hint"].as_str().unwrap().contains("kallyai --login"));
        assert_eq!(std::fs::read_to_string(home.token_file()).expect("the file"), text);
        assert!(server.requests().is_empty());
    }
}

#[test]
fn without_a_login_off_a_terminal_the_way_to_one_is_named() {
    let home = Home::new();
    for flags in [
        &["--usage", "--json"][..],
        &["-p", "+15551234567", "-t", "x", "--json"],
        &["--auth-status", "--json"],
    ] {
        let run = Run::of(&mut home.kallyai(flags)).exits(4);
        let error = run.error();
        assert_eq!(
            (&error["code"], &error["next_command"]),
            (&json!("not_signed_in"), &json!("kallyai --login --no-wait --json"))
        );
    }
}

#[test]
fn a_given_token_is_used_as_it_is_and_never_saved() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let mut command = home.kallyai(["--usage"]);
    Run::of(command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_ACCESS_TOKEN", "given")).exits(0);
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer given"));
    assert!(std::fs::read_dir(home.path("")).expect("the home").next().is_none(), "nothing was written");
    let status =
        Run::of(home.kallyai(["--auth-status", "--json"]).env("KALLYAI_ACCESS_TOKEN", "given")).exits(0);
    assert_eq!(status.json(), json!({ "signed_in": true, "source": "KALLYAI_ACCESS_TOKEN" }));
    let status = Run::of(home.kallyai(["--auth-status"]).env("KALLYAI_ACCESS_TOKEN", "given")).exits(0);
    assert_eq!(status.stdout, "Signed in with KALLYAI_ACCESS_TOKEN, which was not tried.\n");
    let server = Server::always(Reply::new(401, ""));
    for (command, token) in [("--usage", "a\tb"), ("--usage", "given"), ("--login", "given")] {
        let mut command = home.kallyai([command, "--json"]);
        let run =
            Run::of(command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_ACCESS_TOKEN", token)).exits(4);
        let error = run.error();
        // No sign-in helps as long as it is set.
        assert_eq!((&error["code"], error.get("next_command")), (&json!("not_signed_in"), None));
        assert!(error["hint"].as_str().expect("a hint").contains("unset"), "{error}");
    }
}

#[test]
fn a_login_that_is_never_accepted_is_not_spent_at_every_look() {
    let home = Home::new();
    home.sign_in(3600);
    let server = Server::start(|request| match request.target.as_str() {
        "/v1/auth/refresh" => {
            Reply::json(200, &json!({ "access_token": "fresh", "refresh_token": "next", "expires_in": 3600 }))
        }
        _ if request.method == "POST" => Reply::CutBeforeStatus,
        _ => Reply::new(401, ""),
    });
    let mut command = home.at(&server, CALL);
    Run::of(command.args(["--timeout", "6"]).env("KALLYAI_STATE_DIR", home.state())).exits(6);
    assert!(server.count("GET", "/v1/calls") > 2, "{:?}", server.requests());
    assert_eq!(server.count("POST", "/v1/auth/refresh"), 1);
}

#[test]
fn a_login_of_the_service_goes_to_no_other_place() {
    let home = Home::new();
    std::fs::write(
        home.path(".kallyai_token.json"),
        json!({ "access_token": TOKEN, "expires_at": now() + 999 }).to_string(),
    )
    .expect("a login");
    let server = Server::always(Reply::json(200, &json!({})));
    let run = Run::of(home.kallyai(["--usage", "--json"]).env("KALLYAI_API_URL", server.url())).exits(2);
    assert!(run.error()["hint"].as_str().unwrap().contains("KALLYAI_TOKEN_FILE"));
    assert!(server.requests().is_empty());
}

#[test]
fn the_status_sends_nothing_while_the_login_lasts() {
    let home = Home::new();
    let server = renewing(json!({ "access_token": "fresh", "expires_in": 3600 }));
    home.sign_in(3600);
    let run = Run::of(&mut home.at(&server, ["--auth-status", "--json"])).exits(0);
    assert_eq!((&run.json()["signed_in"], &run.json()["source"]), (&json!(true), &json!("file")));
    assert!(server.requests().is_empty());
    home.sign_in(-1);
    Run::of(&mut home.at(&server, ["--auth-status"])).exits(0);
    assert_eq!(server.count("POST", "/v1/auth/refresh"), 1);
    home.write_login(&json!({ "access_token": TOKEN, "expires_at": 0 }));
    for command in ["--auth-status", "--usage"] {
        let error = Run::of(home.at(&server, [command]).arg("--json")).exits(4).error();
        assert_eq!(error["message"], "the login has expired");
    }
}

#[test]
fn signing_out_removes_the_login_and_is_no_error_without_one() {
    let home = Home::new();
    let server = Server::always(Reply::json(201, &call(ID, "success")));
    Run::of(&mut home.at(&server, CALL)).exits(0);
    let run = Run::of(&mut home.at(&server, ["--logout", "--json"])).exits(0);
    assert_eq!(run.json(), json!({ "signed_in": false, "was_signed_in": true }));
    assert!(!home.token_file().exists());
    let mut lock = home.token_file().into_os_string();
    lock.push(".lock");
    assert!(!std::path::Path::new(&lock).exists());
    let mut again = home.kallyai(["--logout"]);
    Run::of(again.env("KALLYAI_TOKEN_FILE", home.token_file())).exits(0);
}

#[cfg(unix)]
#[test]
fn a_login_others_could_read_is_made_the_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.sign_in(3600);
    std::fs::set_permissions(home.token_file(), std::fs::Permissions::from_mode(0o644)).expect("permissions");
    let server = Server::always(Reply::json(200, &json!({})));
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    assert_eq!(std::fs::metadata(home.token_file()).expect("the file").permissions().mode() & 0o777, 0o600);
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_stays_and_what_is_no_file_is_refused() {
    let home = Home::new();
    let real = home.path("real.json");
    std::fs::write(
        &real,
        json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": 1 }).to_string(),
    )
    .expect("a login");
    std::os::unix::fs::symlink(&real, home.token_file()).expect("a link");
    let server = renewing(json!({ "access_token": "fresh" }));
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    assert!(std::fs::symlink_metadata(home.token_file()).expect("the link").is_symlink());
    assert_eq!(home.login()["access_token"], "fresh");
    let folder = Home::new();
    std::fs::create_dir(folder.token_file()).expect("a folder");
    Run::of(&mut folder.at(&server, ["--usage"])).exits(4);
}
