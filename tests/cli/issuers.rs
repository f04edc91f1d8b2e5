//! A login goes to the service that issued it, whatever the environment says.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Home, REFRESH, Reply, Run, Server, SignIn, TOKEN, free_port, now};

fn anything() -> Server {
    Server::always(Reply::json(200, &json!({})))
}

/// A command with this login in its file, for this service.
fn with(home: &Home, login: &Value, url: &str, flags: &[&str]) -> Command {
    std::fs::write(home.token_file(), login.to_string()).expect("a login");
    let mut command = home.kallyai(flags);
    command.env("KALLYAI_API_URL", url).env("KALLYAI_TOKEN_FILE", home.token_file());
    command
}

fn login(expires_in: i64, issuer: Option<&str>) -> Value {
    let mut login =
        json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": now() + expires_in });
    if let Some(issuer) = issuer {
        login["issuer"] = json!(issuer);
    }
    login
}

#[test]
fn a_login_of_another_service_is_refused_before_anything_is_sent() {
    let server = anything();
    for issuer in
        [None, Some("https://api.kallyai.com"), Some("http://127.0.0.1:1"), Some("https://x.example")]
    {
        for expires_in in [3600, -10] {
            for flags in [&["--usage", "--json"][..], &["--auth-status", "--json"]] {
                let home = Home::new();
                let login = login(expires_in, issuer);
                let error = Run::of(&mut with(&home, &login, server.url(), flags)).exits(4).error();
                assert_eq!(error["code"], "wrong_issuer", "{error}");
                let message = error["message"].as_str().expect("a message");
                assert!(message.contains(issuer.unwrap_or("https://api.kallyai.com")), "{message}");
                assert!(message.contains(server.url()), "{message}");
                assert_eq!(error["next_command"], "kallyai --login --no-wait --json");
                assert!(error["hint"].as_str().expect("a hint").contains("environment"), "{error}");
                assert_eq!(home.login(), login);
            }
        }
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_login_of_another_service_does_not_go_to_the_service_itself() {
    for issuer in ["http://127.0.0.1:9", "sandbox"] {
        let home = Home::new();
        let mut command =
            with(&home, &login(3600, Some(issuer)), "https://api.kallyai.com", &["--usage", "--json"]);
        // Nothing must come here.
        let proxy = anything();
        let error = Run::of(command.env("HTTPS_PROXY", proxy.url())).exits(4).error();
        assert_eq!(error["code"], "wrong_issuer", "{error}");
        assert!(proxy.requests().is_empty());
    }
}

#[test]
fn an_origin_is_the_same_however_it_is_spelt() {
    let server = anything();
    let home = Home::new();
    let spelt = format!("{}/some/path/", server.url().to_uppercase().replace("HTTP", "http"));
    Run::of(&mut with(&home, &login(3600, Some(&spelt)), server.url(), &["--usage"])).exits(0);
    let spelt = format!("{}/", server.url());
    Run::of(&mut with(&home, &login(3600, Some(server.url())), &spelt, &["--auth-status"])).exits(0);
}

#[test]
fn a_renewed_login_is_still_the_same_services() {
    let server = Server::always(Reply::json(200, &json!({ "access_token": "fresh" })));
    for issuer in [server.url(), "sandbox"] {
        let home = Home::new();
        Run::of(&mut with(&home, &login(-10, Some(issuer)), server.url(), &["--usage"])).exits(0);
        assert_eq!(
            (&home.login()["access_token"], &home.login()["issuer"]),
            (&json!("fresh"), &json!(issuer))
        );
    }
}

#[test]
fn a_sign_in_says_whose_login_it_replaces_and_names_its_own() {
    let home = Home::new();
    std::fs::write(home.token_file(), login(3600, None).to_string()).expect("a login");
    let port = free_port();
    let sign_in = SignIn::of(home.login_command(port).stdin(std::process::Stdio::null()), port);
    sign_in.running.says("warning: this replaces the saved login, which is for https://api.kallyai.com");
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
    assert_eq!(home.login()["issuer"], "http://127.0.0.1:9");
}

#[test]
fn a_sign_in_begun_with_one_service_is_not_finished_with_another() {
    let home = Home::new();
    let step = |url: Option<&str>, file: &str, flags: &[&str]| {
        let mut command = home.kallyai(flags);
        command.env("KALLYAI_STATE_DIR", home.state()).env("KALLYAI_TOKEN_FILE", home.path(file));
        if let Some(url) = url {
            command.env("KALLYAI_API_URL", url);
        }
        command
    };
    let other = Some("http://127.0.0.1:9");
    for (begun, finished) in [(other, None), (None, other), (other, Some("http://127.0.0.1:8"))] {
        let url = Run::of(&mut step(begun, "first.json", &["--login", "--no-wait"])).exits(0).stdout;
        let (_, state) = url.trim_end().split_once("state=").expect("a state");
        let address = format!("http://localhost:8976/callback?access_token=granted&state={state}");
        let finish = ["--login", "--json", "--callback-url", &address];
        let error = Run::of(&mut step(finished, "second.json", &finish)).exits(4).error();
        assert!(error["message"].as_str().expect("a message").contains("was begun with"), "{error}");
        assert!(!home.path("second.json").exists());
        // It is not spent by that.
        Run::of(&mut step(begun, "first.json", &finish)).exits(0);
    }
}

#[test]
fn a_served_sandbox_takes_the_login_it_exports_and_so_does_the_sandbox() {
    let home = Home::new();
    let port = free_port();
    let mut serving = home.kallyai(["--serve-sandbox", &format!("127.0.0.1:{port}")]);
    let mut serving = crate::support::Running::start(serving.env("KALLYAI_STATE_DIR", home.state()));
    let url = format!("http://127.0.0.1:{port}");
    let file = home.state().join("sandbox/login.json");
    let late = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !file.exists() {
        assert!(std::time::Instant::now() < late, "the login was never written");
        std::thread::yield_now();
    }
    let usage = |flags: &[&str], api: &str| {
        let mut command = home.kallyai(flags);
        command.env("KALLYAI_STATE_DIR", home.state());
        Run::of(command.env("KALLYAI_API_URL", api).env("KALLYAI_TOKEN_FILE", &file).arg("--json"))
    };
    usage(&["--usage"], &url).exits(0);
    usage(&["--sandbox", "--usage"], &url).exits(0);
    assert_eq!(usage(&["--usage"], "https://api.kallyai.com").exits(4).error()["code"], "wrong_issuer");
    serving.kill();
    serving.end();
}

#[test]
fn the_sandbox_replaces_a_login_of_its_own_that_an_earlier_version_wrote() {
    let home = Home::new();
    std::fs::create_dir_all(home.state().join("sandbox")).expect("a folder");
    let file = home.state().join("sandbox/login.json");
    std::fs::write(&file, login(3600, None).to_string()).expect("a login");
    let mut command = home.kallyai(["--sandbox", "--usage"]);
    Run::of(command.env("KALLYAI_STATE_DIR", home.state())).exits(0);
    assert!(std::fs::read_to_string(&file).expect("the login").contains(r#""issuer":"sandbox""#));
}
