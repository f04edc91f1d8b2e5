//! Before anybody is asked to sign in, it is certain that the login can be saved; and nothing else is touched for it.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::login_races::{lock_file, names, renewing};
use crate::support::{Home, REFRESH, Run, SignIn, TOKEN, at_once, free_port};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Each of the ways to sign in ends at once with exit 4, opens nothing, and shows no address to sign in at.
#[track_caller]
fn refused(home: &Home, why: &str) {
    let opened = home.path("opened");
    for flags in [&["--login"][..], &["--login", "--no-wait"]] {
        let mut command = home.login_command(free_port());
        command.args(&flags[1..]).env("BROWSER", format!("touch {}", opened.display()));
        command.env("KALLYAI_STATE_DIR", home.state());
        let begun = Instant::now();
        let run = Run::of(command.arg("--json")).exits(4);
        assert!(begun.elapsed() < Duration::from_secs(5), "{why}: {:?}", begun.elapsed());
        let error = run.never_says("state=").error();
        assert_eq!(error["code"], "token_file", "{error}");
        assert!(error["message"].as_str().expect("a message").contains(why), "{error}");
        assert!(!opened.exists());
        assert!(!home.state().join("sign-in.json").exists());
    }
}

#[test]
fn a_sign_in_whose_login_could_not_be_saved_is_not_begun() {
    let a_folder = |home: &Home| std::fs::create_dir(home.token_file()).expect("a folder");
    let a_pipe = |home: &Home| {
        assert!(Command::new("mkfifo").arg(home.token_file()).status().expect("mkfifo").success());
    };
    let a_loop = |home: &Home| symlink("login.json", home.token_file()).expect("a link");
    let no_lock = |home: &Home| std::fs::create_dir(lock_file(home)).expect("a folder");
    type Prepare = fn(&Home);
    let cases: [(Prepare, &str); 4] = [
        (a_folder, "is not a file"),
        (a_pipe, "is not a file"),
        (a_loop, "cannot be"),
        (no_lock, "cannot be locked"),
    ];
    at_once(cases, |(prepare, why)| {
        let home = Home::new();
        prepare(&home);
        refused(&home, why);
    });
    // As if the process that has it had been stopped.
    let home = Home::new();
    let lock = File::create(lock_file(&home)).expect("a lock");
    lock.lock().expect("the lock");
    refused(&home, "another process is renewing the login");
}

#[test]
fn a_file_that_cannot_be_written_is_found_out_before_it_is_too_late() {
    let home = Home::new();
    home.sign_in(3600);
    let immutable = |flag: &str| {
        let changed = Command::new("chattr").arg(flag).arg(home.token_file()).stderr(Stdio::null()).status();
        changed.is_ok_and(|status| status.success())
    };
    if !immutable("+i") {
        // Not root, or a file system that knows no such thing.
        return;
    }
    let run = Run::of(&mut home.login_command(free_port())).exit;
    assert!(immutable("-i"));
    assert_eq!(run, Some(4));
}

#[test]
fn a_second_step_that_could_not_save_spends_nothing() {
    let home = Home::new();
    let step = |flags: &[&str]| {
        let mut command = home.kallyai(flags);
        command.env("KALLYAI_STATE_DIR", home.state()).env("KALLYAI_TOKEN_FILE", home.token_file());
        command
    };
    let url = Run::of(&mut step(&["--login", "--no-wait"])).exits(0).stdout;
    let (_, state) = url.trim_end().split_once("state=").expect("a state");
    let address = format!("http://localhost:8976/callback?access_token=granted&state={state}");
    std::fs::create_dir(home.token_file()).expect("a folder in its place");
    Run::of(&mut step(&["--login", "--callback-url", &address])).exits(4);
    std::fs::remove_dir(home.token_file()).expect("it goes");
    Run::of(&mut step(&["--login", "--callback-url", &address])).exits(0);
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn a_check_leaves_nothing_behind_and_no_lock() {
    let home = Home::new();
    let sign_in = SignIn::start(&home);
    assert_eq!(names(&home.path("")), ["login.json.lock"]);
    let lock = File::open(lock_file(&home)).expect("the lock");
    lock.try_lock().expect("nobody has it while somebody signs in");
    drop(lock);
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
}

#[test]
fn a_file_that_is_no_login_is_neither_changed_nor_removed() {
    for text in ["127.0.0.1 localhost\n", "{}", r#"{"client_id":"x","refresh_token":"y"}"#] {
        let home = Home::new();
        std::fs::write(home.token_file(), text).expect("a file");
        std::fs::set_permissions(home.token_file(), Permissions::from_mode(0o644)).expect("permissions");
        refused(&home, "holds something else than a login");
        for flags in ["--usage", "--logout", "--auth-status"] {
            let mut command = home.kallyai([flags]);
            Run::of(command.env("KALLYAI_TOKEN_FILE", home.token_file())).exits(4);
        }
        assert_eq!(std::fs::read_to_string(home.token_file()).expect("the file"), text);
        assert_eq!(std::fs::metadata(home.token_file()).expect("the file").mode() & 0o777, 0o644);
        assert!(!names(&home.path("")).contains(&"login.json.kallyai-new".to_owned()));
    }
}

#[test]
fn a_spoilt_login_is_replaced_where_it_can_be_nothing_else() {
    // Anywhere if it shows that it was one, and whatever it is at the program's own path.
    for (text, is_own) in [("", false), (r#"{"access_token":"cut o"#, false), ("garbage", true)] {
        let home = Home::new();
        let path = home.path(if is_own { ".kallyai_token.json" } else { "login.json" });
        std::fs::write(&path, text).expect("a file");
        let port = free_port();
        let mut command = home.kallyai(["--login", "--callback-port", &port.to_string()]);
        if !is_own {
            command.env("KALLYAI_TOKEN_FILE", &path);
        }
        let sign_in = SignIn::of(command.stdin(Stdio::null()), port);
        sign_in.complete("granted");
        sign_in.running.end().exits(0);
        assert!(std::fs::read_to_string(&path).expect("the login").contains("granted"));
    }
}

#[test]
fn root_follows_a_link_to_its_owners_file_only() {
    if !is_root() {
        return;
    }
    const OTHER: u32 = 54_321;
    // Whose the link is, whose the file, and whether root goes there.
    for (link, file, goes) in [(0, 0, true), (0, OTHER, true), (OTHER, OTHER, true), (OTHER, 0, false)] {
        let home = Home::new();
        let real = home.path("real.json");
        let server = renewing();
        let mut command = home.at(&server, ["--usage", "--json"]);
        let login = json!({
            "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": 1, "issuer": server.url(),
        });
        std::fs::remove_file(home.token_file()).expect("the login");
        std::fs::write(&real, login.to_string()).expect("a login");
        chown(&real, Some(file), Some(file)).expect("an owner");
        symlink("real.json", home.token_file()).expect("a link");
        lchown(home.token_file(), Some(link), Some(link)).expect("an owner");
        let run = Run::of(&mut command);
        assert_eq!(run.exit, Some(if goes { 0 } else { 4 }), "{link} {file}: {}", run.stderr);
        let now = std::fs::read_to_string(&real).expect("the login");
        assert_eq!(now.contains("\"fresh\""), goes);
        assert_eq!(std::fs::metadata(&real).expect("the login").uid(), file);
    }
}
