//! `--serve-sandbox` under many clients and under hostile ones, and a sandbox that lost its memory.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Home;

/// The emulator in a process of its own.
struct Served {
    process: Child,
    address: String,
    token: String,
}

impl Served {
    fn start(home: &Home) -> Self {
        let mut command = home.kallyai(["--serve-sandbox", "127.0.0.1:0", "--json"]);
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let served: Value = serde_json::from_str(&line).expect("JSON");
        let login = std::fs::read(served["token_file"].as_str().expect("a path")).expect("the login");
        let login: Value = serde_json::from_slice(&login).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            process,
            address: text(&served["api_url"]).replace("http://", ""),
            token: text(&login["access_token"]),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
    }

    /// Sends a request of this line on a connection that ends with its answer.
    fn ask(&self, line: &str, body: &str) -> TcpStream {
        let mut stream = self.connect();
        let (address, token, length) = (&self.address, &self.token, body.len());
        let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}");
        let head = format!("{head}\r\nConnection: close\r\nContent-Length: {length}");
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("it reads");
        stream
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All that comes until the other side closes.
fn answer(mut stream: &TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn calls_ring_side_by_side_and_hold_no_other_request_up() {
    const CALLS: usize = 256;
    // As many rang at once when they rang in turns.
    const A_TURN: usize = 64;
    let home = Home::new();
    let served = Served::start(&home);
    let call = json!({ "submission": {
        "task_category": "general", "task_description": "Say hello", "respondent_phone": "+15551234567",
    }});
    let start = Instant::now();
    let ringing: Vec<_> = (0..CALLS).map(|_| served.ask("POST /v1/calls", &call.to_string())).collect();
    let ring = || answer(&served.ask("GET /v1/calls?limit=200", "")).matches("\"in_progress\"").count();
    while ring() <= A_TURN {
        assert!(start.elapsed() < Duration::from_secs(60), "they ring in turns");
        thread::yield_now();
    }
    let times = (0..10).map(|_| {
        let start = Instant::now();
        assert!(answer(&served.ask("GET /v1/users/me/statistics", "")).starts_with("HTTP/1.1 200 "));
        start.elapsed()
    });
    let fastest = times.min().expect("ten times");
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    assert!(ringing.iter().all(|stream| answer(stream).starts_with("HTTP/1.1 201 ")));
}

#[cfg(target_os = "linux")]
#[test]
fn a_body_that_is_announced_and_never_sent_costs_neither_memory_nor_descriptors() {
    let home = Home::new();
    let served = Served::start(&home);
    let process = format!("/proc/{}", served.process.id());
    let descriptors = || std::fs::read_dir(format!("{process}/fd")).expect("a folder").count();
    let before = descriptors();
    let lengths = ["2000000", "5000000000", "4611686018427387904", "18446744073709551615", "9e9", "-1"];
    for half in lengths.chunks(3) {
        let hostile = |length: &&str| {
            let mut stream = served.connect();
            let head = format!("POST /v1/calls HTTP/1.1\r\nHost: {}\r\n", served.address);
            let head = format!("{head}Content-Length: {length}\r\n\r\n{{");
            stream.write_all(head.as_bytes()).expect("it reads");
            stream
        };
        let streams: Vec<_> = half.iter().cycle().take(200).map(hostile).collect();
        for stream in &streams {
            let refused = answer(stream);
            assert!(
                refused.starts_with("HTTP/1.1 413 ") || refused.starts_with("HTTP/1.1 400 "),
                "{refused}"
            );
        }
        // Ours are still open: it has to let go by itself.
        let limit = Instant::now() + Duration::from_secs(30);
        while descriptors() > before {
            assert!(Instant::now() < limit, "{half:?}: {} after {before}", descriptors());
            thread::yield_now();
        }
    }
    let status = std::fs::read_to_string(format!("{process}/status")).expect("a status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kilobytes < 100 << 10, "{peak}");
    assert!(answer(&served.ask("GET /v1/calls", "")).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_sandbox_that_lost_its_memory_signs_nobody_out() {
    let home = Home::new();
    let folder = home.path("work/sandbox");
    let run = |flag: &str| {
        let mut command = home.kallyai(["--sandbox", flag]);
        crate::support::Run::of(command.env("KALLYAI_STATE_DIR", home.path("work")))
    };
    run("--usage").exits(0);
    std::fs::remove_file(folder.join("state.json")).expect("the memory");
    assert_eq!(run("--history").exits(0).stdout, "There are no calls yet.\n");

    // The same with a login that has to be renewed first.
    let file = folder.join("login.json");
    let mut login: Value = serde_json::from_slice(&std::fs::read(&file).expect("the login")).expect("JSON");
    login["expires_at"] = json!(1);
    std::fs::write(&file, login.to_string()).expect("a login");
    std::fs::remove_file(folder.join("state.json")).expect("the memory");
    assert_eq!(run("--history").exits(0).stdout, "There are no calls yet.\n");
}
