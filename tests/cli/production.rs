//! Tests commands for the production address. A proxy with a private CA simulates the service.

use std::process::Command;

use serde_json::json;

use crate::support::{CALL, Home, ID, Proxy, Reply, Run, call};

const FILE: &str = ".kallyai_token.json";

fn service() -> Proxy {
    Proxy::start(
        |request| match (request.line().as_str(), request.header("authorization")) {
            ("POST /v1/auth/refresh", _) => {
                Reply::json(200, &json!({ "access_token": "fresh", "expires_in": 3600 }))
            }
            (_, None) => Reply::json(401, &json!({ "error": { "code": "missing_token" } })),
            ("POST /v1/calls", _) => Reply::json(201, &call(ID, "success")),
            ("GET /v1/users/me/statistics", _) => Reply::json(200, &json!({})),
            _ => Reply::json(200, &json!({ "calls": [], "total": 0 })),
        },
    )
}

/// Writes credentials to the default credentials file.
fn sign_in(home: &Home, expires_in: i64) {
    home.sign_in(expires_in);
    std::fs::rename(home.token_file(), home.path(FILE)).expect("a file");
}

fn saved(home: &Home) -> String {
    std::fs::read_to_string(home.path(FILE)).expect("the file")
}

/// Returns a command that uses `proxy` and runs in the home folder.
fn through(proxy: &Proxy, home: &Home, args: &[&str]) -> Command {
    let mut command = home.kallyai(args);
    command
        .current_dir(home.path(""))
        .env("HTTPS_PROXY", &proxy.url);
    command
}

#[test]
fn commands_work_through_a_proxy_with_a_private_ca() {
    let home = Home::new();
    let proxy = service();
    proxy.trust(&home.path("ca.pem"));
    let pem = std::fs::read_to_string(home.path("ca.pem")).expect("a file");
    std::fs::write(home.path("ca.pem"), format!("\u{feff}# CA\n\u{feff}{pem}")).expect("a file");
    std::fs::create_dir(home.path("certs")).expect("a folder");
    // In a certificate folder, OpenSSL reads only files whose names are hashes, like this one.
    proxy.trust(&home.path("certs/0123abcd.0"));
    // The path `ca.pem` must also work in helper processes, whose working directory differs.
    for (args, expires_in) in [(&["usage"][..], 3600), (&CALL, 3600), (&["usage"], -10)] {
        sign_in(&home, expires_in);
        let mut command = through(&proxy, &home, args);
        Run::of(command.env("SSL_CERT_FILE", "ca.pem")).exits(0);
    }
    let folders = std::env::join_paths(["none", "certs"]).expect("a list");
    let mut command = through(&proxy, &home, &["usage"]);
    Run::of(command.env("SSL_CERT_DIR", &folders)).exits(0);
    let tunnels = proxy.tunnels();
    let is_ours = |line: &String| line.starts_with("CONNECT api.kallyai.com:443 ");
    assert!(tunnels.iter().all(is_ours), "{tunnels:?}");
    let lines: Vec<String> = proxy.requests().iter().map(|sent| sent.line()).collect();
    let usage = "GET /v1/users/me/statistics";
    let (lookup, call) = ("GET /v1/calls?limit=50", "POST /v1/calls");
    let refresh = "POST /v1/auth/refresh";
    assert_eq!(lines, [usage, lookup, call, refresh, usage, usage]);
    let saved = saved(&home);
    assert!(
        saved.contains("fresh") && !saved.contains("issuer"),
        "{saved}"
    );
}
