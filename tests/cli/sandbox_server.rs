//! Tests `serve-sandbox`, which lets other clients use the sandbox.

use std::net::TcpListener;
#[cfg(unix)]
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Home, Run, Running, exchange, parallel, says};

fn serve(home: &Home) -> Running {
    let mut command = home.kallyai(["serve-sandbox", "127.0.0.1:0", "--json"]);
    Running::start(command.stdin(Stdio::null()))
}

#[test]
fn sandbox_calls_do_not_block_other_requests() {
    const CALLS: usize = 32;
    let home = Home::new();
    let mut serving = serve(&home);
    let served: Value = serde_json::from_str(&serving.prints("}\n")).expect("JSON");
    let address = served["api_url"]
        .as_str()
        .expect("a URL")
        .replace("http://", "");
    let login = std::fs::read(served["token_file"].as_str().expect("a path")).expect("a file");
    let login: Value = serde_json::from_slice(&login).expect("JSON");
    let token = login["access_token"].as_str().expect("a token");
    let request = |line: &str, body: &str| {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(address.parse().expect("an address"), head.as_bytes())
    };
    let call = json!({ "timezone": "UTC", "submission": {
        "task_category": "general", "task_description": "Say hello", "respondent_phone": "+15551234567",
    }});
    let ended = AtomicUsize::new(0);
    parallel(0..=CALLS, |n| {
        if n < CALLS {
            assert_eq!(request("POST /v1/calls", &call.to_string()).status, 201);
            ended.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let running = || {
            let history = request("GET /v1/calls?limit=200", "");
            history.text.matches("\"in_progress\"").count()
        };
        while running() < CALLS {
            assert_eq!(
                ended.load(Ordering::SeqCst),
                0,
                "a call ended before all were in progress"
            );
        }
    });
    serving.kill();
}

#[test]
fn address_in_use_error_suggests_another_address() {
    let home = Home::new();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let held = holder.local_addr().expect("an address").to_string();
    let serve = |address: &str| Run::of(&mut home.kallyai(["serve-sandbox", address, "--json"]));
    let error = serve(&held).fails(1, "address_in_use");
    says(&error, "message", &held);
    says(&error, "hint", "serve-sandbox 127.0.0.1:");
    // The sandbox must not be reachable from other computers.
    assert_eq!(serve("0.0.0.0:0").exits(2).error()["code"], "invalid_input");
}

#[cfg(unix)]
#[test]
fn printed_export_commands_work_in_a_shell() {
    let home = Home::new();
    let folder = home.path("it's a \"folder\" of $HOME");
    let mut command = home.kallyai(["serve-sandbox", "127.0.0.1:0"]);
    command
        .env("KALLYAI_STATE_DIR", &folder)
        .stdin(Stdio::null());
    let serving = Running::start(&mut command);
    let exports = serving.prints("/login.json'\n");
    let script = format!("{exports} exec \"$0\" \"$@\"");
    let mut shell = Command::new("/bin/sh");
    let client = home.kallyai(["usage", "--json"]);
    shell
        .args(["-c", &script])
        .arg(client.get_program())
        .args(client.get_args());
    let run = Run::of(shell.env("HOME", home.path(""))).exits(0);
    assert_eq!(run.json()["calls_used"], 0);
    serving.signal(rustix::process::Signal::INT);
    let run = serving.end().exits(0);
    assert!(run.stderr.ends_with("Sandbox stopped.\n"), "{}", run.stderr);
}
