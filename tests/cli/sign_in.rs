//! Tests the callback port for sign-in and the events that end the wait for the redirect.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Home, PROMPT, Run, SignIn, connect, exchange, free_port, now};

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn callback_on_ipv4_or_ipv6_loopback_signs_in() {
    for (is_six, host) in [
        (false, "localhost"),
        (false, "127.0.0.1"),
        (true, "localhost"),
        (true, "[::1]"),
    ] {
        if is_six && !has_ipv6() {
            eprintln!("skipped: this computer has no IPv6 loopback address");
            continue;
        }
        let home = Home::new();
        home.sign_in(3600);
        let sign_in = SignIn::start(&home);
        let replaced = "warning: signing in replaces the credentials for https://api.kallyai.com";
        sign_in.running.says(replaced);
        let address = [sign_in.ipv4(), sign_in.ipv6()][usize::from(is_six)];
        let (port, query) = (sign_in.port, sign_in.grant("granted"));
        let request = format!("GET /callback?{query} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        let redirect = exchange(address, request.as_bytes());
        assert_eq!(redirect.status, 303);
        assert_eq!(redirect.header("location"), Some("/signed-in"));
        let page = exchange(address, sign_in.head("GET /signed-in").as_bytes());
        assert!(page.body().contains("You are signed in"), "{}", page.text);
        assert!(!page.text.contains("granted"), "{}", page.text);
        for response in [&redirect, &page] {
            assert_eq!(response.header("cache-control"), Some("no-store"));
            assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
        }
        let run = sign_in.running.end().exits(0);
        assert!(run.stdout.starts_with("Signed in until "), "{}", run.stdout);
        run.never_says("granted");
        let saved = home.login();
        assert_eq!(home.tokens(), ["granted", "granted-refresh"]);
        assert_eq!(saved["issuer"], "http://127.0.0.1:9");
        let expires_at = saved["expires_at"].as_i64().expect("an integer");
        assert!((expires_at - (now() + 3540)).abs() <= 60, "{expires_at}");
    }
}

#[test]
fn unrelated_requests_do_not_end_the_wait_for_the_redirect() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    // While the program waits, it occupies the port on both loopback addresses.
    assert!(TcpListener::bind(sign_in.ipv4()).is_err());
    assert!(!has_ipv6() || TcpListener::bind(sign_in.ipv6()).is_err());
    let (state, good) = (&sign_in.state, sign_in.grant("granted"));
    let port = sign_in.port;
    let host = format!("localhost:{port}");
    let wrong = "0".repeat(64);
    let token = "access_token=intruder&refresh_token=intruder";
    let send = |line: &str, host: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nCookie: mine=intruder\r\n\r\n");
        exchange(sign_in.ipv4(), request.as_bytes())
    };
    for query in [
        format!("{token}&state={wrong}"),
        token.to_owned(),
        format!("{good}&state={state}"),
        format!("error=access_denied&state={wrong}"),
        format!("state={state}&access_token=a%0d%0ab"),
    ] {
        let response = send(&format!("GET /callback?{query}"), &host);
        assert_eq!(response.status, 400, "{query}");
        assert!(response.body().contains("earlier sign-in"), "{query}");
        for echo in ["intruder", "granted", "access_denied", state] {
            assert!(!response.text.contains(echo), "{}", response.text);
        }
    }
    let callback = format!("/callback?{good}");
    let (evil, other) = (format!("evil.example:{port}"), format!("127.0.0.2:{port}"));
    for (method, target, host, status) in [
        ("GET", "/favicon.ico", &host, 404),
        ("GET", "/signed-in", &host, 404),
        ("POST", &callback, &host, 405),
        ("GET", &callback, &evil, 403),
        ("GET", &callback, &other, 403),
        ("GET", &format!("http://{host}{callback}"), &host, 400),
    ] {
        let response = send(&format!("{method} {target}"), host);
        assert_eq!(response.status, status, "{method} {target}");
        assert_eq!(response.body(), "");
    }
    assert!(!home.token_file().exists());
    assert_eq!(sign_in.get(&callback).status, 303);
    // Each `state` can be used only once.
    let again = format!("/callback?{}", sign_in.grant("intruder"));
    assert_eq!(sign_in.get(&again).status, 400);
    assert_eq!(sign_in.get("/signed-in").status, 200);
    sign_in.running.end().exits(0).never_says("intruder");
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn silent_connections_do_not_block_the_callback() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let address = sign_in.ipv4();
    let begun = Instant::now();
    let mut crowd: Vec<TcpStream> = (0..80).map(|_| connect(address)).collect();
    for bytes in [
        b"GET /callback HTTP/1.1\r\nHost: local".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20),
        sign_in.head("POST /\r\nContent-Length: 5000").into_bytes(),
    ] {
        let mut stream = connect(address);
        stream.write_all(&bytes).expect("sent");
        crowd.push(stream);
    }
    let mut flood = connect(address);
    let megabyte = vec![b'a'; 1 << 20];
    let sent = (0..100).take_while(|_| flood.write_all(&megabyte).is_ok());
    assert!(
        sent.count() < 100,
        "the program did not stop reading endless headers"
    );
    sign_in.succeed("granted");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn sign_in_finishes_even_if_the_response_is_never_read() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let mut browser = connect(sign_in.ipv4());
    let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("granted")));
    browser.write_all(request.as_bytes()).expect("sent");
    let begun = Instant::now();
    // The program exits although the browser has neither read the response nor disconnected.
    sign_in.running.end().exits(0);
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
}

#[test]
fn failure_to_save_tokens_is_shown_in_browser_and_terminal() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    std::fs::create_dir(home.token_file()).expect("a folder");
    let page = sign_in.complete("granted");
    assert!(page.body().contains("could not be saved"), "{}", page.text);
    let run = sign_in.running.end().exits(4);
    run.notes("[token_file]").never_says("granted");
}

#[test]
fn command_exits_with_4_if_the_user_declines_to_sign_in() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let query = format!("error=no%1b%5B31m%0Aerror:+x&state={}", sign_in.state);
    let redirect = sign_in.get(&format!("/callback?{query}"));
    assert_eq!(redirect.header("location"), Some("/declined"));
    assert!(sign_in.get("/declined").body().contains("declined"));
    let run = sign_in.running.end().exits(4);
    run.notes("[sign_in_failed]").never_says("\nerror: x");
    assert!(!home.token_file().exists());
}

#[test]
fn browser_opens_only_if_credentials_can_be_saved() {
    // Each of these symlink targets is unusable: the symlink itself, a folder or a path below a
    // file.
    for target in ["login.json", ".", "file/login.json"] {
        let home = Home::new();
        std::fs::write(home.path("file"), "").expect("a file");
        std::os::unix::fs::symlink(target, home.token_file()).expect("a link");
        for flag in [None, Some("--no-wait")] {
            let mut command = home.login_command(free_port());
            let touch = format!("touch {}", home.path("opened").display());
            let run = Run::of(command.env("BROWSER", touch).args(flag)).exits(4);
            run.notes("[token_file]").never_says("state=");
            assert!(!home.path("opened").exists() && !home.state().exists());
        }
    }
}

#[test]
fn login_opens_no_browser_if_the_callback_port_is_in_use() {
    let mut addresses: Vec<SocketAddr> = vec![
        (Ipv4Addr::LOCALHOST, 0).into(),
        (Ipv4Addr::UNSPECIFIED, 0).into(),
    ];
    if has_ipv6() {
        addresses.push((Ipv6Addr::LOCALHOST, 0).into());
        addresses.push((Ipv6Addr::UNSPECIFIED, 0).into());
    }
    for mut address in addresses {
        let home = Home::new();
        let port = free_port();
        address.set_port(port);
        let _holder = TcpListener::bind(address).expect("a free port");
        let mut command = home.login_command(port);
        let touch = format!("touch {}", home.path("opened").display());
        let run = Run::of(command.env("BROWSER", touch)).exits(4);
        run.notes(&format!("error: port {port} is in use"))
            .notes("[port_in_use]");
        run.notes("--callback-port 8978").never_says("state=");
        assert!(!home.path("opened").exists());
    }
}

#[test]
fn timeout_or_signal_ends_a_sign_in_without_a_terminal() {
    let home = Home::new();
    let mut command = home.login_command(free_port());
    let run = Run::of(command.args(["--timeout", "1"])).exits(4);
    run.notes("sign-in timed out [sign_in_failed]");
    for (signal, exit) in [
        (Signal::INT, Some(130)),
        (Signal::TERM, Some(143)),
        (Signal::HUP, None),
    ] {
        let sign_in = SignIn::start(&home);
        sign_in.running.signal(signal);
        assert_eq!(sign_in.running.end().exit, exit);
        assert!(!home.token_file().exists());
    }
}
