//! The receiver of the sign-in under attack: whoever answers at its port owns the account.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{AT_ONCE, Home, Run, SignIn, answer, connect, exchange, free_port, now};

#[test]
fn a_callback_by_either_address_signs_in() {
    let has_six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    for (by_six, host) in [(false, "localhost"), (false, "127.0.0.1"), (true, "localhost"), (true, "[::1]")] {
        if by_six && !has_six {
            continue;
        }
        let home = Home::new();
        let sign_in = SignIn::start(&home);
        let address = if by_six { sign_in.six() } else { sign_in.four() };
        let target = format!("/callback?{}", sign_in.grant("granted"));
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}:{}\r\n\r\n", sign_in.port);
        let redirect = exchange(address, request.as_bytes());
        assert_eq!((redirect.status, redirect.header("location")), (303, Some("/signed-in")));
        let page = exchange(address, sign_in.head("GET /signed-in").as_bytes());
        assert_eq!(page.status, 200);
        assert!(page.body().contains("You are signed in"));
        let run = sign_in.running.end().exits(0);
        assert_eq!(run.stdout, "Signed in.\n");
        run.never_says("granted");
        let login = home.login();
        assert_eq!(
            (&login["access_token"], &login["refresh_token"]),
            (&json!("granted"), &json!("granted-refresh"))
        );
        let expires_at = login["expires_at"].as_i64().expect("an integer");
        assert!((expires_at - (now() + 3540)).abs() <= 5, "{expires_at}");
    }
}

#[test]
fn what_the_redirect_leaves_out_is_left_out_of_the_login() {
    let home = Home::new();
    home.write_login(
        &json!({ "access_token": "old", "refresh_token": "old", "expires_at": 1, "theirs": [1.0], "issuer": "http://127.0.0.1:9" }),
    );
    let sign_in = SignIn::start(&home);
    let state = sign_in.state.clone();
    let answer = sign_in.get(&format!("/callback?state={state}&access_token=a%2Bb&expires_in=-5&x=y"));
    assert_eq!(answer.status, 303);
    sign_in.running.end().exits(0);
    let login = home.login();
    assert_eq!((&login["access_token"], login.get("refresh_token")), (&json!("a+b"), None));
    assert_eq!(login["theirs"], json!([1.0]));
    assert!((login["expires_at"].as_i64().expect("an integer") - (now() + 3540)).abs() <= 5);
}

#[test]
fn twenty_silent_preconnects_do_not_hold_the_callback_up() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let _silent: Vec<_> = (0..20).map(|_| connect(sign_in.four())).collect();
    let begun = Instant::now();
    assert_eq!(sign_in.complete("granted").status, 200);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    sign_in.running.end().exits(0);
}

/// The most memory a process ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn no_crowd_keeps_the_callback_out() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let address = sign_in.four();
    #[cfg(target_os = "linux")]
    let before = peak(sign_in.running.id());
    let begun = Instant::now();
    let target = sign_in.head("POST /callback");
    let mut crowd: Vec<TcpStream> = (0..200).map(|_| connect(address)).collect();
    for bytes in [
        target.replace("User-Agent: test", "Content-Length: 5000").into_bytes(),
        target.replace("User-Agent: test", "Content-Length: 18446744073709551615").into_bytes(),
        target.replace("User-Agent: test", "Transfer-Encoding: chunked").into_bytes(),
        b"GET /callback HTTP/1.1\r\nHost: local".to_vec(),
        b"GET /callback?state=".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20),
        (0..=255u8).cycle().take(5000).map(|byte| byte.wrapping_mul(167)).collect(),
        b"\r\n\r\n\r\n".to_vec(),
    ] {
        for _ in 0..4 {
            let mut stream = connect(address);
            let _ = stream.write_all(&bytes);
            crowd.push(stream);
        }
    }
    for _ in 0..50 {
        let stream = connect(address);
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a reset on close");
    }
    // Several at once, each 200 MB unless it is cut off.
    let floods: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut stream = connect(address);
                let _ = stream.write_all(b"GET /");
                let chunk = vec![b'a'; 1 << 20];
                (0..200).take_while(|_| stream.write_all(&chunk).is_ok()).count()
            })
        })
        .collect();
    for flood in floods {
        assert!(flood.join().expect("an end") < 200, "a request line without an end was read to its end");
    }
    #[cfg(target_os = "linux")]
    {
        let grown = peak(sign_in.running.id()) - before;
        assert!(grown < 20 * 1024, "grew by {grown} KiB");
    }
    assert_eq!(sign_in.complete("granted").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    sign_in.running.end().exits(0);
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn a_crowd_that_comes_while_the_login_is_saved_does_not_cut_the_browser_off() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let mut lock = home.token_file().into_os_string();
    lock.push(".lock");
    let lock = std::fs::File::create(lock).expect("a lock");
    lock.lock().expect("the lock");
    let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("granted")));
    let mut browser = connect(sign_in.four());
    browser.write_all(request.as_bytes()).expect("the request is taken");
    // Refused only once the first one counts.
    let mut wins = exchange_until_refused(&sign_in, &request);
    let _crowd: Vec<_> = (0..200).map(|_| connect(sign_in.four())).collect();
    assert_eq!(sign_in.get("/favicon.ico").status, 404);
    drop(lock);
    let redirect = answer(wins.as_mut().unwrap_or(&mut browser));
    assert_eq!(redirect.status, 303);
    sign_in.running.end().exits(0);
}

/// Sends the request a second time. Returns the connection where that one was the first to be read.
fn exchange_until_refused(sign_in: &SignIn, request: &str) -> Option<TcpStream> {
    let mut second = connect(sign_in.four());
    second.write_all(request.as_bytes()).expect("the request is taken");
    second.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let mut text = String::new();
    match second.read_to_string(&mut text) {
        Ok(_) => {
            assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
            None
        }
        Err(_) => Some(second),
    }
}

#[test]
fn whatever_is_not_the_one_right_request_is_refused_and_the_wait_goes_on() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let port = sign_in.port;
    let (state, good) = (&sign_in.state, sign_in.grant("granted"));
    let host = format!("localhost:{port}");
    let wrong = "0".repeat(64);
    let t = "access_token=intruder&refresh_token=intruder";
    for (line, host, status) in [
        ("GET /favicon.ico".to_owned(), host.as_str(), 404),
        ("GET /".into(), &host, 404),
        ("GET /signed-in".into(), &host, 404),
        ("GET /not-saved".into(), &host, 404),
        (format!("HEAD /callback?{good}"), &host, 405),
        (format!("POST /callback?{good}"), &host, 405),
        (format!("OPTIONS /callback?{good}"), &host, 405),
        (format!("GET /callback?{t}&state={wrong}"), &host, 400),
        (format!("GET /callback?{t}&state={}", &state[..63]), &host, 400),
        (format!("GET /callback?{t}&state={}", state.to_uppercase() + "0"), &host, 400),
        (format!("GET /callback?{t}"), &host, 400),
        (format!("GET /callback?{t}&state="), &host, 400),
        (format!("GET /callback?{good}&state={state}"), &host, 400),
        (format!("GET /callback?{good}&state={wrong}"), &host, 400),
        (format!("GET /callback?state={wrong}&{good}"), &host, 400),
        (format!("GET /callback?error=access_denied&state={wrong}"), &host, 400),
        ("GET /callback?error=access_denied".into(), &host, 400),
        (format!("GET /callback?error=access_denied&state={state}&state={state}"), &host, 400),
        (format!("GET /callback?state={state}"), &host, 400),
        (format!("GET /callback?state={state}&access_token="), &host, 400),
        (format!("GET /callback?state={state}&access_token=a%0d%0ab"), &host, 400),
        (format!("GET /callback?{good}&access_token=intruder"), &host, 400),
        ("GET /callback".into(), &host, 400),
        (format!("GET /callback?{good}"), "evil.example", 403),
        (format!("GET /callback?{good}"), &format!("evil.example:{port}"), 403),
        (format!("GET /callback?{good}"), &format!("localhost.evil.example:{port}"), 403),
        (format!("GET /callback?{good}"), &format!("127.0.0.2:{port}"), 403),
        (format!("GET /callback?{good}"), "localhost", 403),
        (format!("GET /callback?{good}"), "localhost:1", 403),
        (format!("GET /callback?{good}"), &format!("x@localhost:{port}"), 403),
        (format!("GET http://{host}/callback?{good}"), &host, 400),
        (format!("GET /Callback?{good}"), &host, 404),
        (format!("GET /callback/x?{good}"), &host, 404),
        (format!("GET /callback/?{good}"), &host, 404),
        (format!("GET //callback?{good}"), &host, 404),
        (format!("GET /%63allback?{good}"), &host, 404),
        (format!("GET /x/../callback?{good}"), &host, 404),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nCookie: mine=intruder\r\n\r\n");
        refused(&sign_in, request.as_bytes(), status);
    }
    for request in [
        format!("GET /callback?{good} HTTP/1.1\r\n\r\n"),
        format!("GET /callback?{good} HTTP/1.0\r\n\r\n"),
        format!("GET /callback?{good} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"),
        format!("GET /callback?{good} HTTP/1.1\r\nHost : {host}\r\n\r\n"),
        format!("GET callback?{good} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        "\u{16}\u{3}\u{1}\r\n\r\n".into(),
    ] {
        refused(&sign_in, request.as_bytes(), 400);
    }
    assert!(!home.token_file().exists());
    assert_eq!(sign_in.get(&format!("/callback?{good}")).status, 303);
    let saved = home.login();
    // The page is awaited still, and the state is spent.
    refused(&sign_in, sign_in.head(&format!("GET /callback?{}", sign_in.grant("intruder"))).as_bytes(), 400);
    assert_eq!(sign_in.get("/signed-in").status, 200);
    sign_in.running.end().exits(0).never_says("intruder");
    assert_eq!(home.login(), saved);
    assert_eq!(saved["access_token"], "granted");
}

#[track_caller]
fn refused(sign_in: &SignIn, request: &[u8], status: u16) {
    let answer = exchange(sign_in.four(), request);
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(request));
    assert_eq!(answer.body(), "");
    for echo in ["intruder", "granted", "evil", "mine", "access_denied", &sign_in.state] {
        assert!(!answer.text.contains(echo), "{}", answer.text);
    }
}

#[test]
fn a_head_with_64_kib_of_cookies_passes() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("granted")));
    let large =
        |kib: usize| request.replace("test", &format!("test\r\nCookie: c={}", "x".repeat(kib * 1024)));
    assert_eq!(exchange(sign_in.four(), large(140).as_bytes()).status, 431);
    assert_eq!(exchange(sign_in.four(), large(64).as_bytes()).status, 303);
    sign_in.running.end().exits(0);
}

#[test]
fn a_port_that_somebody_holds_ends_it_at_once_and_opens_nothing() {
    let mut addresses: Vec<SocketAddr> =
        vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv4Addr::UNSPECIFIED, 0).into()];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.extend([(Ipv6Addr::LOCALHOST, 0).into(), SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))]);
    }
    for mut address in addresses {
        let home = Home::new();
        let port = free_port();
        address.set_port(port);
        let _holder = TcpListener::bind(address).expect("a free port");
        let mut command = home.login_command(port);
        command.arg("--json").env("BROWSER", format!("touch {}", home.path("opened").display()));
        let begun = Instant::now();
        let run = Run::of(&mut command).exits(4);
        assert!(begun.elapsed() < AT_ONCE, "{address}: {:?}", begun.elapsed());
        let error = run.error();
        assert_eq!(error["code"], "port_in_use");
        assert!(error["message"].as_str().unwrap().contains(&port.to_string()));
        assert!(error["hint"].as_str().unwrap().contains("--callback-port"));
        // The address comes before the browser.
        run.never_says("state=");
        assert!(!home.path("opened").exists());
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_can_have_the_port_while_it_waits() {
    use socket2::{Domain, SockAddr, Socket, Type};

    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let mut addresses = vec![sign_in.four(), (Ipv4Addr::UNSPECIFIED, sign_in.port).into()];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.extend([sign_in.six(), (Ipv6Addr::UNSPECIFIED, sign_in.port).into()]);
    }
    let mut squatters = Vec::new();
    for address in addresses {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option");
        socket.set_reuse_port(true).expect("an option");
        if address.is_ipv6() {
            socket.set_only_v6(true).expect("an option");
        }
        let squatted = socket.bind(&SockAddr::from(address)).and_then(|()| socket.listen(8));
        // Linux alone refuses the wildcard too; elsewhere it may be had, and gets nothing.
        let may_have_it = cfg!(not(target_os = "linux")) && address.ip().is_unspecified();
        assert!(squatted.is_err() || may_have_it, "{address}");
        squatters.push(socket);
    }
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
}

#[test]
fn every_answer_forbids_storing_sniffing_and_running_anything() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let lost = sign_in.get("/");
    let redirect = sign_in.get(&format!("/callback?{}", sign_in.grant("granted")));
    let page = sign_in.get(redirect.header("location").expect("a place to go"));
    assert_eq!((lost.status, redirect.status, page.status), (404, 303, 200));
    assert_eq!((lost.body(), redirect.body()), ("", ""));
    for answer in [&lost, &redirect, &page] {
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("content-length"), Some(answer.body().len().to_string().as_str()));
        assert!(!answer.text.contains("granted") && !answer.text.contains(&sign_in.state), "{}", answer.text);
    }
    assert!(!page.body().contains("<script") && !page.body().contains("http"), "{}", page.body());
    sign_in.running.end().exits(0);
}

#[test]
fn it_ends_soon_after_the_callback_though_nobody_fetches_the_page() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let begun = Instant::now();
    let mut browser = connect(sign_in.four());
    let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("granted")));
    browser.write_all(request.as_bytes()).expect("the request is taken");
    // Neither read from nor closed.
    sign_in.running.end().exits(0);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn a_login_that_cannot_be_saved_is_told_in_the_browser_too() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    std::fs::create_dir(home.token_file()).expect("a folder in its place");
    let page = sign_in.complete("granted");
    assert_eq!(page.status, 200);
    assert!(page.body().contains("could not be saved"), "{}", page.body());
    let run = sign_in.running.end().exits(4);
    assert!(run.stderr.contains("[token_file]"), "{}", run.stderr);
    assert_eq!(run.never_says("granted").stdout, "");
}

#[test]
fn a_refusal_with_the_right_state_ends_it() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    let target =
        format!("/callback?error=access%1b%5B31mdenied%0Aerror:+x&access_token=a&state={}", sign_in.state);
    let redirect = sign_in.get(&target);
    assert_eq!((redirect.status, redirect.header("location")), (303, Some("/declined")));
    assert!(sign_in.get("/declined").body().contains("declined"));
    let run = sign_in.running.end().exits(4);
    assert!(run.stderr.contains("declined") && run.stderr.contains("[sign_in_failed]"), "{}", run.stderr);
    assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains("\nerror: x"), "{}", run.stderr);
    assert!(!home.token_file().exists());
}
