//! Tests proxies, certificates, and responses that deviate slightly from the documentation.

use std::net::TcpListener;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    CALL, Certificate, Home, ID, Proxy, Reply, Run, Server, USUAL, call, listen, parallel,
};

/// A service address. Its listener detects connections that bypass the proxy.
struct Direct(TcpListener);

impl Direct {
    fn new() -> Self {
        let listener = listen();
        listener.set_nonblocking(true).expect("non-blocking mode");
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    fn command(&self, home: &Home, args: &[&str]) -> Command {
        // 0.0.0.0 reaches this computer, but unlike 127.0.0.1, it does not bypass the proxy.
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

/// Starts a proxy that answers requests to any [`Direct`] address, as the service would.
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
fn proxy_credentials_need_no_percent_encoding() {
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
    let mut command = direct.command(&home, &CALL);
    Run::of(command.env("HTTPS_PROXY", proxy.url_with("me:p@ss"))).exits(0);
    // One tunnel for each of seven `usage` runs, one for the history lookup and one for the call.
    assert_eq!(proxy.tunnels().len(), 9);
    assert!(!direct.has_connection());
}

#[cfg(unix)] // On Windows, variable names are not case-sensitive.
#[test]
fn first_nonempty_proxy_variable_wins() {
    let home = Home::new();
    let (direct, proxy) = (Direct::new(), proxy(&home));
    let used = proxy.url.as_str();
    let other = "http://127.0.0.1:1";
    let unlisted = "x.example,10.0.0.0/8,0.0.0.0:1,*.0.0.1";
    for (n, variables) in [
        [("HTTPS_PROXY", ""), ("https_proxy", used)],
        [("https_proxy", ""), ("HTTPS_PROXY", used)],
        [("https_proxy", used), ("HTTPS_PROXY", other)],
        [("HTTPS_PROXY", ""), ("all_proxy", used)],
        [("HTTPS_PROXY", used), ("ALL_PROXY", other)],
        [("https_proxy", used), ("NO_PROXY", unlisted)],
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
fn hosts_in_no_proxy_are_reached_directly() {
    let home = Home::new();
    let proxy = proxy(&home);
    parallel(["0.0.0.0", "x, 0.0.0.0:PORT", "0.0.0.0/8", "*"], |list| {
        let (home, direct) = (Home::new(), Direct::new());
        proxy.trust(&home.path("ca.pem"));
        let mut command = direct.command(&home, &["usage", "--timeout", "1"]);
        let list = list.replace("PORT", &direct.port().to_string());
        command.envs([("HTTPS_PROXY", &proxy.url), ("NO_PROXY", &list)]);
        Run::of(&mut command).exits(3);
        assert!(direct.has_connection(), "{list}");
    });
    let mut command = home.at_url("https://api.corp.invalid", ["usage", "--timeout", "5"]);
    command.envs([("HTTPS_PROXY", &*proxy.url), ("NO_PROXY", "*.corp.invalid")]);
    Run::of(&mut command).exits(3);
    assert_eq!(proxy.tunnels(), Vec::<String>::new());
}

#[test]
fn invalid_proxy_variable_is_reported() {
    let home = Home::new();
    let direct = Direct::new();
    let values = "ftp://h:1|http://|two words|http://me:x@|socks4://h:1|http://h:1/x|http://h:h";
    for value in values.split('|') {
        for (args, name) in [(&["usage"][..], "https_proxy"), (&CALL, "all_proxy")] {
            let mut command = direct.command(&home, args);
            let run = Run::of(command.env(name, value)).exits(2);
            run.notes(&format!("error: {name}"));
        }
    }
    assert!(!direct.has_connection());
}

/// Asserts that `usage` and a call both exit with `exit` and report an error with this code and hint.
#[track_caller]
fn assert_fails(home: &Home, command: impl Fn(&[&str]) -> Command, exit: (i32, &str), hint: &str) {
    for args in [&["usage"][..], &CALL] {
        let error = Run::of(command(args).arg("--json")).fails(exit.0, exit.1);
        assert_eq!(error["retry_safe"], true);
        assert!(error.to_string().contains(hint), "{error}");
    }
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[test]
fn command_exits_with_1_and_a_hint_for_a_proxy_error() {
    let home = Home::new();
    let direct = Direct::new();
    let asks = |status| Server::always(Reply::new(status, "").with("Proxy-Authenticate", "Basic"));
    let (asking, refusing, failing) = (asks(407), asks(403), asks(502));
    let with = |server: &Server| server.url().replace("://", "://me:secret@");
    let command = |proxy: &str, args: &[&str]| {
        let mut command = direct.command(&home, args);
        command
            .env("https_proxy", proxy)
            .env_remove("SSL_CERT_FILE");
        command
    };
    for (value, hint) in [
        ("http://127.0.0.1:1", "https_proxy (http://127.0.0.1:1)"),
        ("socks5://127.0.0.1:1", "https_proxy (socks5://127.0.0.1:1)"),
        (asking.url(), "proxy authorization required): status 407"),
        (&with(&asking), "https_proxy (http://127"),
        (refusing.url(), ": status 403"),
    ] {
        assert_fails(&home, |args| command(value, args), (1, "proxy"), hint);
    }
    let failing = |args: &[&str]| command(failing.url(), args);
    assert_fails(&home, failing, (3, "unreachable"), "\"http_status\":502");
    assert!(!direct.has_connection());
}

#[test]
fn command_exits_with_1_and_a_hint_for_an_invalid_certificate() {
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let clock = format!("check this computer's clock, which is set to {today}");
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
        assert_fails(&home, command, (1, "certificate"), hint);
        // Without retries, `usage`, the lookup and the call need at most one tunnel each.
        assert!(proxy.tunnels().len() <= 3, "{:?}", proxy.tunnels());
        assert_eq!(proxy.requests().len(), 0);
    }
}

#[test]
fn slightly_malformed_responses_are_accepted() {
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
        assert!(!run.stdout.contains('\u{feff}'), "{body}");
    }
}
