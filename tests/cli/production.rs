//! The production address, behind a proxy that answers for it with a certificate of a private authority.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{CALL, Home, ID, Proxy, REFRESH, Reply, Run, TOKEN, call, now};

/// The service as it is known, for whoever comes with one of its tokens.
fn service() -> Proxy {
    Proxy::start(|request| {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        match (request.method.as_str(), path.as_str(), request.header("authorization")) {
            ("POST", "/v1/auth/refresh", _) => {
                Reply::json(200, &json!({ "access_token": "fresh", "expires_in": 3600 }))
            }
            (_, _, None) => Reply::json(401, &json!({ "error": { "code": "missing_token" } })),
            ("POST", "/v1/calls", _) => Reply::json(201, &call(ID, "success")),
            (_, "/v1/calls", _) => Reply::json(200, &json!({ "calls": [call(ID, "success")], "total": 1 })),
            (_, "/v1/users/me/statistics", _) => Reply::json(200, &json!({ "plan_type": "pro" })),
            (_, "/v1/stripe/billing-portal", _) => {
                Reply::json(200, &json!({ "url": "https://billing.example/1" }))
            }
            (_, path, _) if path.ends_with("/transcript") => {
                Reply::json(200, &json!([{ "role": "AI", "text": "Hi" }]))
            }
            _ => Reply::json(200, &call(ID, "success")),
        }
    })
}

fn login(home: &Home, expires_at: i64) -> Value {
    let login = json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": expires_at });
    std::fs::write(home.path(".kallyai_token.json"), login.to_string()).expect("a login");
    login
}

fn through<'c>(command: &'c mut Command, proxy: &Proxy) -> &'c mut Command {
    command.env("HTTPS_PROXY", &proxy.url)
}

#[test]
fn every_command_works_at_the_production_address_through_a_proxy() {
    let home = Home::new();
    login(&home, now() + 3600);
    let proxy = service();
    proxy.trust(&home.path("ca.pem"));
    for flags in [
        &["--usage"][..],
        &["--history"],
        &["--call-info", ID],
        &["--transcript", "last"],
        &["--billing"],
        &CALL,
    ] {
        let mut command = home.kallyai(flags);
        if flags == CALL {
            // The history is full of it.
            command.arg("--again");
        }
        Run::of(through(&mut command, &proxy).env("SSL_CERT_FILE", home.path("ca.pem"))).exits(0);
    }
    assert!(
        proxy.tunnels().iter().all(|line| line.starts_with("CONNECT api.kallyai.com:443 ")),
        "{:?}",
        proxy.tunnels()
    );
    let bearer = format!("Bearer {TOKEN}");
    assert!(proxy.requests().iter().all(|request| request.header("authorization") == Some(&bearer)));
}

#[test]
fn a_renewal_goes_the_same_way_from_a_process_of_its_own() {
    let home = Home::new();
    login(&home, 1);
    let proxy = service();
    proxy.trust(&home.path("ca.pem"));
    let mut command = home.kallyai(["--usage"]);
    // The path is relative, and that process is elsewhere.
    Run::of(through(&mut command, &proxy).current_dir(home.path("")).env("SSL_CERT_FILE", "ca.pem")).exits(0);
    let lines: Vec<String> = proxy.requests().iter().map(|request| request.line()).collect();
    assert_eq!(lines, ["POST /v1/auth/refresh", "GET /v1/users/me/statistics"]);
    assert_eq!(proxy.tunnels().len(), 2);
    let saved = std::fs::read_to_string(home.path(".kallyai_token.json")).expect("the login");
    assert!(saved.contains("fresh") && !saved.contains("issuer"), "{saved}");
}

#[test]
fn an_untrusted_certificate_ends_it_without_a_second_attempt() {
    let home = Home::new();
    let before = login(&home, now() + 3600);
    let (proxy, other) = (service(), service());
    other.trust(&home.path("other.pem"));
    for flags in [&["--usage", "--json"][..], &["-p", "+15551234567", "-t", "x", "--json"]] {
        let mut command = home.kallyai(flags);
        let run =
            Run::of(through(&mut command, &proxy).env("SSL_CERT_FILE", home.path("other.pem"))).exits(3);
        let message = run.error()["message"].as_str().expect("a message").to_owned();
        assert!(message.contains("certificate") && message.contains("api.kallyai.com"), "{message}");
    }
    assert_eq!(proxy.tunnels().len(), 2, "one for each run");
    assert!(proxy.requests().is_empty());
    let after: Value =
        serde_json::from_slice(&std::fs::read(home.path(".kallyai_token.json")).expect("the file"))
            .expect("JSON");
    assert_eq!(after, before);
}

#[test]
fn certificates_that_cannot_be_read_are_said() {
    let home = Home::new();
    // In a read, in a call, in a renewal.
    for (flags, lasts) in [(&["--usage"][..], 3600), (&CALL, 3600), (&["--usage"], -10)] {
        let before = login(&home, now() + lasts);
        let mut command = home.kallyai(flags);
        let run = Run::of(command.arg("--json").env("SSL_CERT_FILE", home.path("missing.pem"))).exits(2);
        let error = run.error();
        assert!(error["message"].as_str().expect("a message").contains("SSL_CERT_FILE"), "{error}");
        assert_eq!(error["retry_safe"], true);
        let kept = std::fs::read_to_string(home.path(".kallyai_token.json")).expect("the login");
        assert_eq!(kept, before.to_string());
    }
}

#[test]
fn the_trusted_certificates_may_be_in_folders() {
    let home = Home::new();
    login(&home, now() + 3600);
    let proxy = service();
    let folders = [home.path("none"), home.path("certs")];
    folders.iter().for_each(|folder| std::fs::create_dir(folder).expect("a folder"));
    // Named by what OpenSSL would look for.
    proxy.trust(&folders[1].join("0123abcd.0"));
    let listed = std::env::join_paths(&folders).expect("a list");
    let mut command = home.kallyai(["--usage"]);
    Run::of(through(&mut command, &proxy).env("SSL_CERT_DIR", &listed)).exits(0);
    std::fs::remove_file(folders[1].join("0123abcd.0")).expect("the certificate");
    let mut command = home.kallyai(["--usage", "--json"]);
    let run = Run::of(through(&mut command, &proxy).env("SSL_CERT_DIR", &listed)).exits(2);
    assert!(run.error()["message"].as_str().expect("a message").contains("SSL_CERT_DIR"));
}
