//! Tests the credentials file: formats that other clients write, permissions and failed writes.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::refresh::{REFRESH_PATH, refreshes, renewing};
use crate::support::{
    Home, REFRESH, Reply, Run, Server, SignIn, TOKEN, by_shell, free_port, mode, names, now,
};

fn service() -> Server {
    Server::always(Reply::json(200, &json!({})))
}

#[test]
fn credentials_from_other_clients_are_read_and_made_private() {
    let server = service();
    let (url, later) = (server.url(), now() + 1800);
    for (start, rest) in [
        ("", r#""refresh_token":null,"expires_at":LATER.25"#),
        ("", r#""refresh_token":"r","expires_at":LATER"#),
        ("\u{feff}", r#""expires_at":LATER,"theirs":[1]"#),
    ] {
        let home = Home::new();
        let rest = rest.replace("LATER", &later.to_string());
        let text = format!(r#"{start}{{"access_token":"{TOKEN}","issuer":"{url}",{rest}}}"#);
        std::fs::write(home.token_file(), text).expect("a file");
        set_mode(&home.token_file(), 0o644);
        Run::of(&mut home.command(url, &["usage"])).exits(0);
        let request = server.requests().pop().expect("a request");
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(request.header("authorization"), Some(bearer.as_str()));
        assert_eq!(mode(&home.token_file()), 0o600);
    }
}

#[test]
fn refresh_keeps_fields_that_other_clients_saved() {
    let home = Home::new();
    home.write_login(&json!({
        "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": 1.5,
        "theirs": { "keep": [1.10, "x"] },
    }));
    let file = home.token_file();
    let server = Server::start(move |request| {
        let saved = std::fs::read_to_string(&file).expect("the file");
        let is_refresh = request.is("POST", REFRESH_PATH);
        assert_eq!(saved.contains("\"fresh\""), !is_refresh, "{saved}");
        Reply::json(200, &json!({ "access_token": "fresh", "expires_in": 7200 }))
    });
    home.run(&server, &["usage"]).exits(0);
    let saved = home.login();
    assert_eq!(home.tokens(), ["fresh", REFRESH]);
    assert_eq!(saved["theirs"], json!({ "keep": [1.10, "x"] }));
    let expires_at = saved["expires_at"].as_i64().expect("an integer");
    assert!((expires_at - (now() + 7140)).abs() <= 60, "{expires_at}");
    assert_eq!(names(&home.path("")), ["login.json", "login.json.lock"]);
}

#[test]
fn command_exits_with_4_and_keeps_a_corrupt_credentials_file() {
    let server = service();
    for text in [
        "",
        "{",
        "[]",
        "127.0.0.1 localhost\n",
        r#"{"access_token":5}"#,
        r#"{"access_token":"a b"}"#,
        r#"{"client_id":"x","refresh_token":"y"}"#,
        r#"{"access_token":"a","expires_at":"soon"}"#,
    ] {
        let home = Home::new();
        std::fs::write(home.token_file(), text).expect("a file");
        set_mode(&home.token_file(), 0o644);
        let port = free_port().to_string();
        for args in [
            &["usage"][..],
            &["auth-status"],
            &["logout"],
            &["login", "--no-wait"],
            &["login", "--callback-port", &port],
        ] {
            let mut command = home.command(server.url(), args);
            let run = Run::of(&mut command).exits(4);
            run.never_says("state=")
                .notes("[token_file]")
                .notes("KALLYAI_TOKEN_FILE");
        }
        let found = std::fs::read(home.token_file()).expect("the file");
        assert_eq!(found, text.as_bytes());
        assert_eq!(mode(&home.token_file()), 0o644);
    }
    assert!(server.requests().is_empty());
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).expect("permissions");
}

#[test]
fn new_credentials_are_private_under_any_umask() {
    let home = Home::new();
    let file = home.path("new/and/deep/login.json");
    let port = free_port();
    let mut command = home.login_command(port);
    command.env("KALLYAI_TOKEN_FILE", &file);
    let sign_in = SignIn::of(&mut by_shell(&command, "umask 0"), port);
    sign_in.succeed("granted");
    let folder = file.parent().expect("a folder");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&folder.join("login.json.lock")), 0o600);
    assert_eq!(mode(folder), 0o700);
}

#[test]
fn symlinked_credentials_file_stays_a_symlink() {
    let home = Home::new();
    // Signing in must create the missing target of this symlink.
    std::os::unix::fs::symlink("real.json", home.token_file()).expect("a link");
    SignIn::start(&home).succeed("granted");
    let server = renewing();
    home.issued_by(server.url());
    let mut expired = home.login();
    expired["expires_at"] = json!(1);
    std::fs::write(home.path("real.json"), expired.to_string()).expect("a file");
    home.run(&server, &["usage"]).exits(0);
    assert_eq!(home.login()["access_token"], "fresh");
    // The lock file is next to the symlink's target, so that all symlinks to it share one lock.
    let files = ["login.json", "real.json", "real.json.lock"];
    assert_eq!(names(&home.path("")), files);
    home.run(&server, &["logout"]).exits(0);
    assert!(home.token_file().is_symlink() && !home.path("real.json").exists());
}

/// Returns a command that runs `command` through another program, for example `unshare`.
#[cfg(target_os = "linux")]
fn within(outer: &[&str], command: &Command) -> Command {
    let mut whole = Command::new(outer[0]);
    whole
        .args(&outer[1..])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let variables = command.get_envs();
    whole.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    whole
}

#[cfg(target_os = "linux")]
#[test]
fn bind_mounted_credentials_file_is_overwritten_in_place() {
    let home = Home::new();
    home.sign_in(-10);
    let file = home.token_file().display().to_string();
    let script = format!("mount --bind '{file}' '{file}' && exec \"$0\" \"$@\"");
    let mut namespace = "unshare --user --map-root-user --mount sh -c"
        .split(' ')
        .collect::<Vec<_>>();
    namespace.push(&script);
    if Run::of(&mut within(&namespace, &Command::new("true"))).exit != Some(0) {
        eprintln!("skipped: this system does not allow mounts in a user namespace");
        return;
    }
    let server = renewing();
    let run = Run::of(&mut within(&namespace, &home.at(&server, ["usage"]))).exits(0);
    run.notes("warning: ").notes("overwritten in place");
    assert_eq!(home.tokens(), ["fresh", "next"]);
    assert_eq!(names(&home.path("")), ["login.json", "login.json.lock"]);
}

#[cfg(target_os = "linux")]
#[test]
fn read_only_folder_blocks_refresh_sign_in_and_sign_out() {
    // Root ignores file permissions unless it runs in a user namespace.
    let outer = match rustix::process::geteuid().is_root() {
        true => &["unshare", "--user"][..],
        false => &["env"],
    };
    if Run::of(&mut within(outer, &Command::new("true"))).exit != Some(0) {
        eprintln!("skipped: root ignores file permissions, and this system has no user namespaces");
        return;
    }
    for (args, expires_in, exit) in [
        (&["usage"][..], 3600, 0),
        // Expired tokens are not refreshed if the new ones cannot be saved.
        (&["usage"], -10, 1),
        (&["logout"], 3600, 1),
        (&["login", "--no-wait"], 3600, 1),
    ] {
        let home = Home::new();
        let server = renewing();
        home.sign_in(expires_in);
        let mut command = within(outer, &home.at(&server, args));
        set_mode(&home.path(""), 0o500);
        let run = Run::of(&mut command);
        set_mode(&home.path(""), 0o700);
        run.exits(exit)
            .notes(if exit == 1 { "KALLYAI_TOKEN_FILE" } else { "" });
        assert_eq!(home.tokens(), [TOKEN, REFRESH]);
        assert_eq!(server.requests().len(), usize::from(exit == 0), "{args:?}");
    }
}

#[test]
fn command_succeeds_even_if_refreshed_tokens_cannot_be_saved() {
    let home = Home::new();
    let folder = home.path("folder");
    std::fs::create_dir(&folder).expect("a folder");
    let doomed = folder.clone();
    let server = Server::start(move |request| {
        if request.is("POST", REFRESH_PATH) {
            std::fs::remove_dir_all(&doomed).expect("the folder");
        }
        Reply::json(200, &json!({ "access_token": "fresh" }))
    });
    let mut command = home.at(&server, ["usage"]);
    home.sign_in(-10);
    let file = folder.join("login.json");
    std::fs::rename(home.token_file(), &file).expect("a file");
    let run = Run::of(command.env("KALLYAI_TOKEN_FILE", &file)).exits(0);
    run.notes("warning: the refreshed credentials were not saved");
    let last = server.requests().pop().expect("a request");
    assert_eq!(last.header("authorization"), Some("Bearer fresh"));
}

#[test]
fn auth_status_contacts_the_service_only_to_refresh() {
    let home = Home::new();
    let server = renewing();
    home.sign_in(3600);
    let status = home.run(&server, &["auth-status", "--json"]).exits(0);
    assert_eq!(status.json()["source"], "file");
    assert!(server.requests().is_empty());
    home.sign_in(-1);
    home.run(&server, &["auth-status"]).exits(0);
    assert_eq!(refreshes(&server), 1);
    home.write_login(&json!({ "access_token": TOKEN, "expires_at": 0 }));
    for name in ["auth-status", "usage"] {
        let run = home.run(&server, &[name]).exits(4);
        run.notes("your sign-in has expired [not_signed_in]");
    }
}

#[test]
fn sign_out_removes_credentials_and_pending_sign_in() {
    let home = Home::new();
    let server = service();
    home.sign_in(3600);
    Run::of(&mut home.command(server.url(), &["login", "--no-wait"])).exits(0);
    for was_signed_in in [true, false] {
        // Use another service: signing out removes the credentials, whichever service issued them.
        let mut command = home.command("http://127.0.0.1:1", &["logout", "--json"]);
        let expected = json!({ "signed_in": false, "was_signed_in": was_signed_in });
        assert_eq!(Run::of(&mut command).exits(0).json(), expected);
        assert!(!home.token_file().exists());
        assert_eq!(names(&home.state()), [""; 0]);
    }
    assert!(server.requests().is_empty());
}
