//! Tests that tokens are sent only to the service that issued them and are never printed.

use serde_json::{Value, json};

use crate::refresh::REFRESH_PATH;
use crate::support::{
    CALL, Home, REFRESH, Reply, Run, Server, SignIn, TOKEN, free_port, names, now, says,
};
use crate::wire::words;

fn service() -> Server {
    Server::always(Reply::json(200, &json!({})))
}

/// Writes a credentials file with this issuer and returns its content.
fn write(home: &Home, expires_in: i64, issuer: Option<&str>) -> Value {
    let mut credentials = json!({
        "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": now() + expires_in,
    });
    if let Some(issuer) = issuer {
        credentials["issuer"] = json!(issuer);
    }
    std::fs::write(home.token_file(), credentials.to_string()).expect("a file");
    credentials
}

#[test]
fn credentials_for_another_service_are_not_sent() {
    let server = service();
    let home = Home::new();
    for (issuer, api) in [
        (None, server.url()),
        (Some("https://api.kallyai.com"), server.url()),
        (Some("http://127.0.0.1:1"), server.url()),
        (Some("https://other.example"), server.url()),
        (Some(server.url()), "https://api.kallyai.com"),
        (Some("sandbox"), "https://api.kallyai.com"),
    ] {
        for (args, expires_in) in [("usage", 3600), ("usage", -10), ("auth-status", 3600)] {
            let before = write(&home, expires_in, issuer);
            let mut command = home.command(api, &[args]);
            let run = Run::of(command.env("HTTPS_PROXY", server.url())).exits(4);
            let named = issuer.unwrap_or("https://api.kallyai.com");
            run.notes("[wrong_issuer]").notes(named).notes(api);
            assert_eq!(home.login(), before);
        }
    }
    assert!(server.requests().is_empty());
}

#[test]
fn other_api_url_needs_its_own_token_or_credentials_file() {
    let home = Home::new();
    write(&home, 3600, None);
    std::fs::rename(home.token_file(), home.path(".kallyai_token.json")).expect("a file");
    let server = service();
    let mut command = home.kallyai(["usage"]);
    let run = Run::of(command.env("KALLYAI_API_URL", server.url())).exits(2);
    run.notes("KALLYAI_TOKEN_FILE");
    assert!(server.requests().is_empty());
}

#[test]
fn redirects_are_never_followed() {
    let other = service();
    for status in [301, 302, 303, 307, 308] {
        let target = format!("{}/v1/calls", other.url());
        let server = Server::always(Reply::new(status, "").with("Location", &target));
        for (args, expires_in) in [(&["usage"][..], 3600), (&["usage"], -10), (&CALL, 3600)] {
            let home = Home::new();
            home.sign_in(expires_in);
            let mut command = home.at(&server, args);
            command.args(["--timeout", "1"]);
            let run = Run::of(command.env("KALLYAI_STATE_DIR", home.state()));
            assert!(run.exit.is_some_and(|exit| exit > 0), "{}", run.stderr);
        }
    }
    assert!(other.requests().is_empty());
}

#[test]
fn tokens_are_never_printed() {
    let refreshed = json!({
        "access_token": "refreshed-access", "refresh_token": "refreshed-refresh", "expires_in": 1,
    });
    let echo = format!("<p>{TOKEN} refreshed-access</p>");
    let server = Server::start(move |request| match request.is("POST", REFRESH_PATH) {
        true => Reply::json(200, &refreshed),
        false => Reply::new(200, echo.as_str()),
    });
    for args in [&["usage"][..], &["usage", "--json"], &["usage", "--debug"]] {
        let home = Home::new();
        home.sign_in(-10);
        let run = Run::of(&mut home.at(&server, args)).exits(1);
        run.notes("[redacted]")
            .never_says(TOKEN)
            .never_says(REFRESH);
        run.never_says("refreshed-access")
            .never_says("refreshed-refresh");
    }
    let home = Home::new();
    let port = free_port();
    let mut command = home.login_command(port);
    let run = SignIn::of(command.arg("--debug"), port).succeed("granted-access");
    run.never_says("granted-access")
        .never_says("granted-refresh");
}

#[test]
fn access_token_variable_is_used_but_never_saved() {
    let home = Home::new();
    let server = service();
    let given = |args: &[&str], url: &str, token: &str| {
        let mut command = home.kallyai(args);
        command.env("KALLYAI_API_URL", url);
        Run::of(command.env("KALLYAI_ACCESS_TOKEN", token))
    };
    given(&["usage"], server.url(), " given-token\r\n").exits(0);
    let request = server.requests().pop().expect("a request");
    assert_eq!(request.header("authorization"), Some("Bearer given-token"));
    let status = given(&["auth-status", "--json"], server.url(), "given-token").exits(0);
    let expected = json!({ "signed_in": true, "source": "KALLYAI_ACCESS_TOKEN" });
    assert_eq!(status.json(), expected);
    let revoked = json!({ "error": { "message": "Key revoked." } });
    let server = Server::always(Reply::json(401, &revoked));
    for (args, token, exit, code) in [
        (&["usage"][..], "given\ttoken", 4, "[not_signed_in]"),
        (&["usage"], "given-token", 4, "[not_signed_in]"),
        // Signing in is refused, because KALLYAI_ACCESS_TOKEN would still take precedence.
        (&["login"], "given-token", 2, "[invalid_input]"),
        (&["login", "--no-wait"], "given-token", 2, "[invalid_input]"),
        (
            &["login", "--callback-url", "x"],
            "given-token",
            2,
            "[invalid_input]",
        ),
    ] {
        let run = given(args, server.url(), token).exits(exit);
        run.never_says(token).never_says("state=");
        run.notes(code).notes("unset KALLYAI_ACCESS_TOKEN");
    }
    assert_eq!(names(&home.path("")), [""; 0], "the command wrote a file");
    for line in ["usage --json", "call +15551234567 Ask --json"] {
        let run = given(&words(line), server.url(), "given-token");
        let error = run.fails(4, "not_signed_in");
        assert_eq!(error["http_status"], 401);
        says(&error, "message", "Key revoked");
    }
}

#[test]
fn command_without_credentials_or_terminal_fails_at_once() {
    let home = Home::new();
    let server = service();
    for args in [&["usage"][..], &CALL, &["auth-status"], &["history"]] {
        let mut command = home.command(server.url(), args);
        let error = Run::of(command.arg("--json")).fails(4, "not_signed_in");
        assert_eq!(error["next_command"], "kallyai login --json");
    }
    assert!(server.requests().is_empty());
    assert!(!home.calls_folder().exists() || home.journal().is_empty());
}
