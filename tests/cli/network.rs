//! Proxies, certificates, folders, and responses that are a little off.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    CALL, Certificate, Home, ID, Post, Proxy, Reply, Run, Server, Service, Shown, USUAL, at_once,
    call, cells,
};

/// An HTTPS address that a proxy applies to. A connection past the proxy arrives here.
struct Direct(TcpListener);

impl Direct {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a mode");
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    fn command(&self, home: &Home, args: &[&str]) -> Command {
        // The system takes it for 127.0.0.1.
        let mut command = home.at_url(&format!("https://0.0.0.0:{}", self.port()), args);
        command
            .env("KALLYAI_STATE_DIR", home.state())
            .env("SSL_CERT_FILE", home.path("ca.pem"));
        command
    }

    fn has_connection(&self) -> bool {
        self.0.accept().is_ok()
    }
}

/// The service, for tunnels to a [`Direct`] address.
fn proxy(home: &Home) -> Proxy {
    let certificate = Certificate {
        hosts: &["0.0.0.0"],
        ..USUAL
    };
    let proxy = Proxy::with(certificate, |request| match request.method.as_str() {
        "POST" => Reply::json(201, &call(ID, "success")),
        _ => Reply::json(200, &json!({ "plan_type": "pro", "calls": [] })),
    });
    proxy.trust(&home.path("ca.pem"));
    proxy
}

#[test]
fn proxy_credentials_are_sent_as_written() {
    let home = Home::new();
    let (direct, proxy) = (Direct::new(), proxy(&home));
    for (written, meant) in [
        ("me:pa[ss", "me:pa[ss"),
        (r"CORP\me:x", r"CORP\me:x"),
        ("me:p@ss", "me:p@ss"),
        ("me:a@b@c^d", "me:a@b@c^d"),
        ("me:p%40s%5Bs", "me:p@s[s"),
        ("me:#1/?é", "me:#1/?é"),
        ("me", "me:"),
    ] {
        let mut command = direct.command(&home, &["usage"]);
        Run::of(command.env("HTTPS_PROXY", proxy.url_with(written))).exits(0);
        let head = proxy.connects().pop().expect("a tunnel").to_lowercase();
        let sent = STANDARD.encode(meant).to_lowercase();
        assert!(
            head.contains(&format!("authorization: basic {sent}\r\n")),
            "{written}: {head}"
        );
        assert!(
            head.starts_with(&format!("connect 0.0.0.0:{} ", direct.port())),
            "{head}"
        );
    }
    let socks = proxy.url_with("me:p@s[s").replace("http:", "socks5:");
    Run::of(direct.command(&home, &["usage"]).env("ALL_PROXY", socks)).exits(0);
    assert_eq!(proxy.connects().pop().expect("a tunnel"), "me:p@s[s");
    let mut command = direct.command(&home, &CALL);
    Run::of(command.env("HTTPS_PROXY", proxy.url_with("me:p@ss"))).exits(0);
    // The look at the history, and the call from a process of its own.
    assert_eq!(proxy.tunnels().len(), 10);
    assert!(!direct.has_connection());
}

#[test]
fn first_proxy_variable_that_is_not_empty_counts() {
    let home = Home::new();
    let (direct, proxy) = (Direct::new(), proxy(&home));
    let used = proxy.url.as_str();
    let other = "http://127.0.0.1:1";
    for (n, variables) in [
        [("HTTPS_PROXY", ""), ("https_proxy", used)],
        [("https_proxy", ""), ("HTTPS_PROXY", used)],
        [("https_proxy", used), ("HTTPS_PROXY", other)],
        [("HTTPS_PROXY", used), ("ALL_PROXY", other)],
        [("HTTPS_PROXY", ""), ("all_proxy", used)],
        [
            ("https_proxy", used),
            ("NO_PROXY", "other.example,10.0.0.0/8,0.0.0.0:1,*.0.0.1"),
        ],
        [("https_proxy", used), ("no_proxy", "")],
    ]
    .into_iter()
    .enumerate()
    {
        Run::of(direct.command(&home, &["usage"]).envs(variables)).exits(0);
        assert_eq!(proxy.tunnels().len(), n + 1, "{variables:?}");
    }
    assert!(!direct.has_connection());
}

#[test]
fn no_proxy_lists_hosts_that_are_reached_directly() {
    let home = Home::new();
    let proxy = proxy(&home);
    at_once(["0.0.0.0", "x, 0.0.0.0:PORT", "0.0.0.0/8", "*"], |list| {
        let (home, direct) = (Home::new(), Direct::new());
        proxy.trust(&home.path("ca.pem"));
        let mut command = direct.command(&home, &["usage", "--timeout", "1"]);
        let list = list.replace("PORT", &direct.port().to_string());
        Run::of(
            command
                .env("HTTPS_PROXY", &proxy.url)
                .env("NO_PROXY", &list),
        )
        .exits(3);
        assert!(direct.has_connection(), "{list}");
    });
    let mut command = home.at_url("https://api.corp.invalid", ["usage", "--timeout", "5"]);
    command
        .env("HTTPS_PROXY", &proxy.url)
        .env("NO_PROXY", "*.corp.invalid");
    Run::of(&mut command).exits(3);
    assert_eq!(proxy.tunnels(), Vec::<String>::new());
}

#[test]
fn unusable_proxy_variable_is_refused_by_name() {
    let home = Home::new();
    let direct = Direct::new();
    for value in [
        "ftp://127.0.0.1:1",
        "http://",
        "two words",
        "http://me:x@",
        "socks4://u:p@h:1",
        "http://h:1/path",
        "http://h:http",
    ] {
        for args in [
            &["usage", "--json"][..],
            &["call", "+15551234567", "Ask", "--json"],
        ] {
            for name in ["https_proxy", "ALL_PROXY"] {
                let mut command = direct.command(&home, args);
                let error = Run::of(command.env(name, value)).exits(2).error();
                let message = error["message"].as_str().expect("a message");
                assert!(message.starts_with(name), "{value}: {message}");
            }
        }
    }
    assert!(!direct.has_connection());
}

/// Runs a read and a call. Both must end with exit 1, this code, and a hint with this part.
#[track_caller]
fn permanent(home: &Home, command: impl Fn(&[&str]) -> Command, code: &str, hint: &str) {
    for args in [&["usage"][..], &CALL] {
        let error = Run::of(command(args).arg("--json")).exits(1).error();
        assert_eq!(
            (&error["code"], &error["retry_safe"]),
            (&json!(code), &json!(true)),
            "{error}"
        );
        assert!(error["hint"].to_string().contains(hint), "{hint}: {error}");
    }
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[test]
fn proxy_that_refuses_is_exit_1_and_named() {
    let home = Home::new();
    let direct = Direct::new();
    let asks = |status| Server::always(Reply::new(status, "").with("Proxy-Authenticate", "Basic"));
    let (asking, refusing, failing) = (asks(407), asks(403), asks(502));
    let with = |server: &Server| server.url().replace("://", "://me:secret@");
    for (value, hint) in [
        ("http://127.0.0.1:1", "HTTPS_PROXY (http://127.0.0.1:1)"),
        ("socks5://127.0.0.1:1", "HTTPS_PROXY (socks5://127.0.0.1:1)"),
        (
            asking.url(),
            "put user:password@ into HTTPS_PROXY (http://127",
        ),
        (
            &with(&asking),
            "check user:password@ in HTTPS_PROXY (http://127",
        ),
        (refusing.url(), "NO_PROXY"),
        (failing.url(), "HTTPS_PROXY (http://127"),
    ] {
        let command = |args: &[&str]| {
            std::fs::remove_file(home.path("ca.pem")).ok();
            let mut command = direct.command(&home, args);
            command
                .env_remove("SSL_CERT_FILE")
                .env("HTTPS_PROXY", value);
            command
        };
        permanent(&home, command, "proxy", hint);
    }
    assert!(!direct.has_connection());
}

#[test]
fn certificate_that_is_not_trusted_is_exit_1() {
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let clock = format!("check this computer's clock, which says {today}");
    for (hosts, years, is_trusted, hint) in [
        (USUAL.hosts, USUAL.years, false, "SSL_CERT_FILE"),
        (USUAL.hosts, [3000, 4000], true, clock.as_str()),
        (USUAL.hosts, [2000, 2001], true, &clock),
        (&["portal.example"], USUAL.years, true, "network"),
    ] {
        let home = Home::new();
        let proxy = Proxy::with(Certificate { hosts, years }, |_| Reply::new(200, "{}"));
        proxy.trust(&home.path("ca.pem"));
        let command = |args: &[&str]| {
            let mut command = home.kallyai(args);
            command
                .env("KALLYAI_STATE_DIR", home.state())
                .env("KALLYAI_ACCESS_TOKEN", "given")
                .env("HTTPS_PROXY", &proxy.url);
            if is_trusted {
                command.env("SSL_CERT_FILE", home.path("ca.pem"));
            }
            command
        };
        permanent(&home, command, "certificate", hint);
        // One attempt of each read and call. The look before the call has shown the reason.
        assert!(proxy.tunnels().len() <= 3, "{:?}", proxy.tunnels());
        assert_eq!(proxy.requests().len(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn folder_that_cannot_be_written_is_exit_1() {
    let home = Home::new();
    let service = Service::with([]);
    // Nothing can be created in /proc, not even by root.
    for (variable, value) in [("KALLYAI_STATE_DIR", "/proc/x"), ("HOME", "/proc")] {
        let check = |mut command: Command, code: &str| {
            command.env_remove("KALLYAI_STATE_DIR").env(variable, value);
            let error = Run::of(command.arg("--json")).exits(1).error();
            assert_eq!(error["code"], code, "{error}");
            let said = format!("{} {}", error["message"], error["hint"]);
            assert!(said.contains("/proc/"), "{said}");
            assert!(said.contains("KALLYAI_STATE_DIR"), "{said}");
        };
        // Whether the service can be reached or not.
        for url in [service.server.url(), "http://127.0.0.1:9"] {
            check(home.at_url(url, CALL), "journal_unavailable");
        }
        check(home.kallyai(["--sandbox", "usage"]), "io");
        check(home.kallyai(["serve-sandbox", "127.0.0.1:0"]), "io");
    }
    let mut command = home.kallyai(["login", "--json"]);
    let error = Run::of(command.env("HOME", "/proc")).exits(4).error();
    let hint = error["hint"].as_str().expect("a hint");
    assert!(hint.contains("KALLYAI_TOKEN_FILE"), "{hint}");
    assert_eq!(service.posts(), 0);
}

#[test]
fn reads_accept_what_is_a_little_off() {
    let home = Home::new();
    let calendar = "BEGIN:VCALENDAR\r\nX:1\r\nEND:VCALENDAR\r\n";
    for (args, body, part) in [
        ("usage --json", "\u{feff}{\"n\":1.10}", "{\"n\":1.10}"),
        ("usage", "\u{feff}\n {\"plan_type\":\"pro\"}", "pro"),
        ("history", "{\"calls\":[7,DOUBLED]}", "success"),
        ("call-info ID", "\u{feff}DOUBLED", "success"),
        ("calendar ID", &calendar.replace('\r', ""), calendar),
        ("calendar ID", &format!("\u{feff}{calendar}\n"), calendar),
    ] {
        let doubled = r#"{"call_id":"ID","status":"busy","status":"success"}"#;
        let body = body.replace("DOUBLED", doubled).replace("ID", ID);
        let server = Server::always(Reply::new(200, body.clone()));
        let args = args.replace("ID", ID);
        let run = Run::of(&mut home.at(&server, args.split(' '))).exits(0);
        assert!(run.stdout.contains(part), "{body}: {}", run.stdout);
    }
}

#[test]
fn unexpected_response_to_a_read_is_repeated() {
    let home = Home::new();
    for row in r#"usage    | 302 |                                    | 1 | redirected to portal.example (status 302)
        usage    | 511 | <h1>Sign in</h1>                   | 3 | the network asks you to sign in (status 511)
        usage    | 500 | upstream is gone                   | 3 | (status 500: upstream is gone)
        usage    | 500 | {"error":{"message":"Try later."}} | 3 | (status 500: Try later)
        usage    | 404 | <h1>Lost</h1>                      | 1 | (status 404): <h1>Lost</h1>
        usage    | 200 | <html>Welcome to the hotel         | 1 | (status 200): <html>Welcome to the hotel
        history  | 200 | {"calls":7}                        | 1 | (status 200): {"calls":7}
        calendar | 200 | BEGIN:VCALENDAR                    | 1 | (status 200): BEGIN:VCALENDAR
        calendar | 200 | <h1>Not yet</h1>                   | 1 | (status 200): <h1>Not yet</h1>"#
        .lines()
    {
        let [command, status, body, exit, part] = cells(row);
        let reply = Reply::new(status.parse().expect("a status"), body);
        let server = Server::always(reply.with("Location", "http://portal.example/sign-in"));
        let id = (command == "calendar").then_some(ID);
        let run = Run::of(&mut home.at(&server, [command].into_iter().chain(id)));
        let run = run.exits(exit.parse().expect("an exit status"));
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn lost_response_to_a_call_is_exit_6_with_its_cause() {
    for row in r#"302 |                                  | redirected to portal.example (status 302)
        307 |                                            | redirected to portal.example (status 307)
        511 | <h1>Sign in</h1>                           | the network asks you to sign in (status 511)
        200 | <h1>Welcome</h1>                           | (status 200): <h1>Welcome</h1>
        200 |                                            | (status 200): an empty body
        201 | {"call_id":null}                           | (status 201): {"call_id":null}
        409 | {"error":{"message":"A call is running."}} | a call is running
        409 | {"detail":"duplicate"}                     | (status 409): {"detail":"duplicate"}
        408 |                                            | status 408
        503 | backend timed out                          | (status 503: backend timed out)"#
        .lines()
    {
        let [status, body, cause] = cells(row);
        let home = Home::new();
        let reply = Reply::new(status.parse().expect("a status"), body)
            .with("Location", "http://portal.example/sign-in")
            .with("Retry-After", "0");
        // Two calls may be ours, so that the search ends at once.
        let service = Service::with([Post::lost(reply).shown(Shown::Twice)]);
        let run = Run::of(service.at(&home, CALL).arg("--json"));
        let error = run.exits(6).error();
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(cause), "{cause}: {message}");
        assert_eq!(error["candidates"].as_array().map(Vec::len), Some(2));
        assert_eq!((&error["retry_safe"], service.posts()), (&json!(false), 1));
        assert!(error["next_command"].is_string());
    }
}

#[test]
fn retry_after_date_counts_from_the_responses_own_date() {
    for days in [-1_i64, 1] {
        let at = |seconds| {
            let at = Timestamp::now() + jiff::SignedDuration::from_secs(days * 86_400 + seconds);
            at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };
        let later = |status| {
            Reply::new(status, "")
                .with("Date", &at(0))
                .with("Retry-After", &at(2))
        };
        let home = Home::new();
        let service = Service::with([Post::refused(later(429))]);
        let started = Instant::now();
        Run::of(&mut service.at(&home, CALL)).exits(0);
        assert!(started.elapsed() >= Duration::from_secs(2));
        assert_eq!(service.posts(), 2);
        service.then_read(later(503));
        Run::of(&mut service.at(&home, ["call-info", "last"])).exits(0);
    }
}
