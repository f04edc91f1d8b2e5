//! Only the user who started a sign-in can complete it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Home, SignIn, at_once, connect};

/// Users no file of the machine belongs to.
const OTHER: u32 = 54_321;

/// Completes the sign-in from a shell of another user, and returns the answer's first line.
fn by_another_user(sign_in: &SignIn, user: u32) -> String {
    let script = r#"exec 3<>"/dev/tcp/127.0.0.1/$0" && printf '%s' "$1" >&3 && head -1 <&3"#;
    let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("intruder")));
    let mut shell = Command::new("bash");
    shell.args(["-c", script, &sign_in.port.to_string(), &request]).uid(user).gid(user);
    let output = shell.stdin(Stdio::null()).output().expect("a shell");
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

#[test]
fn another_users_program_cannot_bring_the_callback() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    assert_eq!(by_another_user(&sign_in, OTHER), "HTTP/1.1 403 Forbidden");
    let said = sign_in.running.says("another user of this computer");
    assert!(said.contains("paste here the address"), "{said}");
    assert_eq!(by_another_user(&sign_in, OTHER), "HTTP/1.1 403 Forbidden");
    assert!(!home.token_file().exists());
    sign_in.complete("granted");
    let run = sign_in.running.end().exits(0);
    assert_eq!(run.stderr.matches("another user").count(), 1, "{}", run.stderr);
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn a_user_who_is_not_root_signs_in_and_keeps_others_out() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    std::os::unix::fs::chown(home.path(""), Some(OTHER), Some(OTHER)).expect("an owner");
    let port = crate::support::free_port();
    let mut command = home.login_command(port);
    let sign_in = SignIn::of(command.uid(OTHER).gid(OTHER).stdin(Stdio::null()), port);
    assert_eq!(by_another_user(&sign_in, OTHER + 1), "HTTP/1.1 403 Forbidden");
    assert_eq!(by_another_user(&sign_in, OTHER), "HTTP/1.1 303 See Other");
    sign_in.running.end().exits(0);
}

#[test]
fn a_fetch_an_embedded_page_or_a_prefetch_does_not_complete_a_sign_in() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    for fields in [
        "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Purpose: prefetch",
    ] {
        let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("intruder")));
        let request = request.replace("User-Agent: test", fields);
        assert_eq!(crate::support::exchange(sign_in.four(), request.as_bytes()).status, 403, "{fields}");
    }
    let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site";
    let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("granted")));
    let request = request.replace("User-Agent: test", fields);
    assert_eq!(crate::support::exchange(sign_in.four(), request.as_bytes()).status, 303);
    sign_in.running.end().exits(0).never_says("intruder");
}

#[test]
fn a_whole_callback_is_answered_though_a_crowd_comes_with_it() {
    at_once(0..5, |_| {
        let home = Home::new();
        let sign_in = SignIn::start(&home);
        let request = sign_in.head(&format!("GET /callback?{}", sign_in.grant("granted")));
        // While it is stopped all of them arrive, so that it finds them at once.
        sign_in.running.signal(rustix::process::Signal::STOP);
        let mut before: Vec<TcpStream> = (0..8).map(|_| connect(sign_in.four())).collect();
        let mut browser = connect(sign_in.four());
        browser.write_all(request.as_bytes()).expect("the request is taken");
        before.extend((0..110).map(|_| connect(sign_in.four())));
        sign_in.running.signal(rustix::process::Signal::CONT);
        browser.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut text = String::new();
        browser.read_to_string(&mut text).expect("an answer, and no reset");
        assert!(text.starts_with("HTTP/1.1 303 "), "{text}");
        sign_in.running.end().exits(0);
    });
}
