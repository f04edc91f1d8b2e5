//! The login file in bad company: full disks, foreign files, folders that cannot be written.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::login_races::{lock_file, names, refreshes, renewing};
use crate::support::{
    AT_ONCE, Home, REFRESH, Reply, Run, Server, SignIn, TOKEN, by_shell, free_port, limited,
};

/// A user no file of the machine belongs to.
const ORDINARY: u32 = 54_321;

/// Has a command run by a user to whom permissions mean something.
fn as_ordinary_user(command: &mut Command) -> &mut Command {
    if rustix::process::geteuid().is_root() { command.uid(ORDINARY).gid(ORDINARY) } else { command }
}

/// Hands what is in a home over to that user.
fn hand_over(home: &Home) {
    if rustix::process::geteuid().is_root() {
        let folder = home.path("");
        for path in names(&folder).iter().map(|name| folder.join(name)).chain([folder.clone()]) {
            chown(path, Some(ORDINARY), Some(ORDINARY)).expect("a new owner");
        }
    }
}

#[test]
fn a_limit_on_file_sizes_spends_no_refresh_token() {
    for blocks in [0, 1, 16] {
        let home = Home::new();
        home.sign_in(-10);
        let server = renewing();
        let command = home.at(&server, ["--usage", "--json"]);
        let before = std::fs::read(home.token_file()).expect("the file");
        let run = Run::of(&mut limited(&command, blocks)).exits(4);
        assert_eq!(run.error()["code"], "token_file");
        assert!(server.requests().is_empty());
        assert_eq!(std::fs::read(home.token_file()).expect("the file"), before);
        assert_eq!(names(&home.path("")), ["login.json", "login.json.lock"]);
    }
}

#[test]
fn a_sign_in_under_a_limit_on_file_sizes_is_refused_before_it_begins() {
    let home = Home::new();
    home.sign_in(3600);
    let before = home.login();
    let run = Run::of(&mut limited(&home.login_command(free_port()), 0)).exits(4);
    run.never_says("state=");
    assert_eq!(home.login(), before);
}

#[test]
fn whatever_the_umask_the_login_is_its_owners_alone() {
    let home = Home::new();
    let port = free_port();
    let sign_in = SignIn::of(by_shell(&home.login_command(port), "umask 0").stdin(Stdio::null()), port);
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
    for path in [home.token_file(), lock_file(&home)] {
        assert_eq!(std::fs::metadata(&path).expect("a file").mode() & 0o777, 0o600, "{path:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_spends_no_refresh_token() {
    for has_lock in [false, true] {
        let home = Home::new();
        home.sign_in(-10);
        if has_lock {
            File::create(lock_file(&home)).expect("a lock");
        }
        std::fs::set_permissions(home.token_file(), Permissions::from_mode(0o400)).expect("permissions");
        hand_over(&home);
        std::fs::set_permissions(home.path(""), Permissions::from_mode(0o500)).expect("permissions");
        let server = renewing();
        let run = Run::of(as_ordinary_user(&mut home.at(&server, ["--usage", "--json"]))).exits(4);
        assert_eq!(run.error()["code"], "token_file", "{}", run.stderr);
        assert!(server.requests().is_empty());
        std::fs::set_permissions(home.path(""), Permissions::from_mode(0o700)).expect("permissions");
        assert_eq!(home.login()["access_token"], TOKEN);
    }
}

#[test]
fn a_login_that_is_good_is_used_where_nothing_can_be_written() {
    let home = Home::new();
    home.sign_in(3600);
    hand_over(&home);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o500)).expect("permissions");
    let server = renewing();
    Run::of(as_ordinary_user(&mut home.at(&server, ["--usage"]))).exits(0);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o700)).expect("permissions");
    assert_eq!(refreshes(&server), 0);
}

#[test]
fn a_file_that_can_only_be_written_in_place_is_with_a_warning() {
    let home = Home::new();
    home.write_login(&json!({ "access_token": TOKEN, "refresh_token": REFRESH, "x": "x".repeat(500) }));
    File::create(lock_file(&home)).expect("a lock");
    hand_over(&home);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o500)).expect("permissions");
    let server = renewing();
    let run = Run::of(as_ordinary_user(&mut home.at(&server, ["--usage"]))).exits(0);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o700)).expect("permissions");
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("in place"), "{}", run.stderr);
    assert_eq!(
        (&home.login()["access_token"], &home.login()["refresh_token"]),
        (&json!("fresh"), &json!("next"))
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_mounted_file_is_written_in_place_with_a_warning() {
    let mounts = |command: &Command, home: &Home| {
        let mut outer = Command::new("unshare");
        let script = format!("mount --bind '{0}' '{0}' && exec \"$0\" \"$@\"", home.token_file().display());
        outer.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).arg(command.get_program());
        outer.args(command.get_args()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        outer
    };
    let home = Home::new();
    home.sign_in(-10);
    let possible = mounts(&Command::new("true"), &home).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        // Many containers may not mount anything.
        return;
    }
    let server = renewing();
    let run = Run::of(&mut mounts(&home.at(&server, ["--usage"]), &home)).exits(0);
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("in place"), "{}", run.stderr);
    assert_eq!(home.login()["access_token"], "fresh");
    assert_eq!(names(&home.path("")), ["login.json", "login.json.lock"]);
}

#[test]
fn a_login_is_saved_where_nothing_was_before() {
    let home = Home::new();
    let file = home.path("new/and/deep/login.json");
    let port = free_port();
    let mut command = home.login_command(port);
    let sign_in = SignIn::of(command.env("KALLYAI_TOKEN_FILE", &file).stdin(Stdio::null()), port);
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
    assert!(std::fs::read_to_string(&file).expect("the login").contains("granted"));
    assert_eq!(std::fs::metadata(file.parent().unwrap()).expect("its folder").mode() & 0o777, 0o700);
}

#[test]
fn a_link_to_a_file_that_is_yet_to_be_is_followed_and_stays() {
    let home = Home::new();
    symlink("real.json", home.token_file()).expect("a link");
    let sign_in = SignIn::start(&home);
    sign_in.complete("granted");
    sign_in.running.end().exits(0);
    assert_eq!(std::fs::read_link(home.token_file()).expect("a link"), Path::new("real.json"));
    assert_eq!(home.login()["access_token"], "granted");
    // Who shares the login shares the lock, by whatever name each has it.
    assert_eq!(names(&home.path("")), ["login.json", "real.json", "real.json.lock"]);
    Run::of(home.kallyai(["--logout"]).env("KALLYAI_TOKEN_FILE", home.token_file())).exits(0);
    assert_eq!(names(&home.path("")), ["login.json"]);
}

#[test]
fn what_is_no_file_of_the_users_is_refused_at_once() {
    let refused = |place: &dyn Fn(&Path), why: &str| {
        let home = Home::new();
        place(&home.token_file());
        if !home.token_file().is_symlink() {
            hand_over(&home);
        }
        chown_folder(&home);
        let mut command = home.kallyai(["--usage", "--json"]);
        command.env("KALLYAI_API_URL", "http://127.0.0.1:9").env("KALLYAI_TOKEN_FILE", home.token_file());
        let begun = Instant::now();
        let run = Run::of(as_ordinary_user(&mut command)).exits(4);
        assert!(begun.elapsed() < AT_ONCE, "{why}");
        let error = run.error();
        assert_eq!(error["code"], "token_file", "{error}");
        assert!(error["message"].as_str().unwrap().contains(why), "{error}");
    };
    refused(&|path| std::fs::create_dir(path).expect("a folder"), "is not a file");
    refused(
        &|path| assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success()),
        "is not a file",
    );
    refused(
        &|path| {
            std::fs::write(path, "{}").expect("a file");
            std::fs::set_permissions(path, Permissions::from_mode(0o000)).expect("permissions");
        },
        "cannot be opened",
    );
    let linked = |path: &Path, target: &str| {
        symlink(target, path).expect("a link");
        if rustix::process::geteuid().is_root() {
            lchown(path, Some(ORDINARY), Some(ORDINARY)).expect("a new owner");
        }
    };
    refused(&|path| linked(path, "/etc/passwd"), "belongs to another user");
    refused(&|path| linked(path, "login.json"), "cannot be");
    if rustix::process::geteuid().is_root() {
        refused(&|path| symlink("real.json", path).expect("a link"), "is a link that another user made");
        // Of the links on the way each counts.
        let between = |path: &Path| {
            linked(path, "between.json");
            symlink("real.json", path.with_file_name("between.json")).expect("a link");
        };
        refused(&between, "is a link that another user made");
    }
}

fn chown_folder(home: &Home) {
    if rustix::process::geteuid().is_root() {
        chown(home.path(""), Some(ORDINARY), Some(ORDINARY)).expect("a new owner");
    }
}

/// A login in a folder that may be read and not changed, for a user to whom that means something.
fn closed(expires_in: i64) -> Home {
    let home = Home::new();
    home.sign_in(expires_in);
    File::create(lock_file(&home)).expect("a lock");
    std::fs::create_dir(home.state()).expect("a folder");
    hand_over(&home);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o500)).expect("permissions");
    home
}

#[test]
fn a_login_that_cannot_be_removed_is_not_signed_out() {
    let home = closed(3600);
    let mut command = home.kallyai(["--logout", "--json"]);
    command.env("KALLYAI_TOKEN_FILE", home.token_file()).env("KALLYAI_STATE_DIR", home.state());
    let error = Run::of(as_ordinary_user(&mut command)).exits(4).error();
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o700)).expect("permissions");
    assert!(error["message"].as_str().unwrap().contains("cannot be removed"), "{error}");
    assert_eq!(home.login()["access_token"], TOKEN);
}

/// The second step of a sign-in in such a home, with this token.
fn second_step(home: &Home, token: &str) -> Command {
    let in_home = |mut command: Command| {
        command.env("KALLYAI_API_URL", "http://127.0.0.1:9").env("KALLYAI_TOKEN_FILE", home.token_file());
        command.env("KALLYAI_STATE_DIR", home.state());
        command
    };
    let mut first = in_home(home.kallyai(["--login", "--no-wait"]));
    let url = Run::of(as_ordinary_user(&mut first)).exits(0).stdout;
    let (_, state) = url.trim_end().split_once("state=").expect("a state");
    let address = format!("http://localhost:8976/callback?access_token={token}&state={state}");
    in_home(home.kallyai(["--login", "--callback-url", &address]))
}

#[test]
fn a_sign_in_that_can_only_be_saved_in_place_is_with_a_warning() {
    let home = closed(3600);
    let run = Run::of(as_ordinary_user(&mut second_step(&home, "granted"))).exits(0);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o700)).expect("permissions");
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("in place"), "{}", run.stderr);
    assert_eq!(home.login()["access_token"], "granted");
}

#[test]
fn a_login_of_which_only_half_fits_in_place_leaves_the_old_one() {
    let home = closed(3600);
    let before = home.login();
    let mut command = limited(&second_step(&home, &"t".repeat(2000)), 1);
    let run = Run::of(as_ordinary_user(&mut command)).exits(4);
    std::fs::set_permissions(home.path(""), Permissions::from_mode(0o700)).expect("permissions");
    assert!(run.stderr.contains("cannot be written"), "{}", run.stderr);
    assert_eq!(home.login(), before);
}

#[test]
fn a_begun_sign_in_that_could_be_finished_twice_is_not_finished() {
    let home = Home::new();
    home.sign_in(3600);
    let mut command = home.kallyai(["--login", "--no-wait"]);
    command.env("KALLYAI_STATE_DIR", home.state());
    let url = Run::of(&mut command).exits(0).stdout;
    let (_, state) = url.trim_end().split_once("state=").expect("a state");
    hand_over(&home);
    if rustix::process::geteuid().is_root() {
        chown(home.state().join("sign-in.json"), Some(ORDINARY), Some(ORDINARY)).expect("a new owner");
    }
    std::fs::set_permissions(home.state(), Permissions::from_mode(0o500)).expect("permissions");
    let address = format!("http://localhost:8976/callback?access_token=intruder&state={state}");
    let mut command = home.kallyai(["--login", "--json", "--callback-url", &address]);
    command.env("KALLYAI_TOKEN_FILE", home.token_file()).env("KALLYAI_STATE_DIR", home.state());
    let error = Run::of(as_ordinary_user(&mut command)).exits(4).error();
    std::fs::set_permissions(home.state(), Permissions::from_mode(0o700)).expect("permissions");
    assert!(error["message"].as_str().unwrap().contains("used only once"), "{error}");
    assert_eq!(home.login()["access_token"], TOKEN);
}

#[test]
fn a_renewal_that_can_no_longer_be_saved_serves_the_run_all_the_same() {
    let home = Home::new();
    let folder = home.path("folder");
    std::fs::create_dir(&folder).expect("a folder");
    let doomed = folder.clone();
    let server = Server::start(move |request| {
        if request.is("POST", "/v1/auth/refresh") {
            std::fs::remove_dir_all(&doomed).expect("the folder");
            return Reply::json(200, &json!({ "access_token": "fresh" }));
        }
        assert_eq!(request.header("authorization"), Some("Bearer fresh"));
        Reply::json(200, &json!({}))
    });
    let mut command = home.at(&server, ["--usage"]);
    home.sign_in(-10);
    std::fs::rename(home.token_file(), folder.join("login.json")).expect("a login");
    let run = Run::of(command.env("KALLYAI_TOKEN_FILE", folder.join("login.json"))).exits(0);
    assert!(run.stderr.contains("warning: the renewed login could not be saved"), "{}", run.stderr);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn root_leaves_a_users_login_usable_for_that_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    home.sign_in(-10);
    hand_over(&home);
    let server = renewing();
    Run::of(&mut home.at(&server, ["--usage"])).exits(0);
    for path in [home.token_file(), lock_file(&home)] {
        assert_eq!(std::fs::metadata(&path).expect("a file").uid(), ORDINARY, "{path:?}");
    }
}
