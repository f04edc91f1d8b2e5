//! The local call log on disk: a folder with one JSON file per call.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{CALL, Home, Post, Reply, Run, Service, call, moment};

const ID: &str = "3f2a0c1e-55aa-4bbb-8ccc-000000000000";

fn entry(service: &Service, key: &str) -> Value {
    json!({
        "key": key,
        "origin": service.server.url(),
        "reservation": "1",
        "number": CALL[1],
        "task": CALL[3],
        "reserved_at": moment(-60),
        "sent_at": moment(-60),
        "state": "sent",
    })
}

/// Asserts that a call is refused before anything is sent. Returns the error.
#[track_caller]
fn is_unavailable(home: &Home, service: &Service) -> Value {
    let asked = service.posts();
    let error = Run::of(service.at(home, CALL).arg("--json"))
        .exits(1)
        .error();
    assert_eq!(error["code"], "journal_unavailable", "{error}");
    assert_eq!(service.posts(), asked);
    error
}

#[test]
fn file_in_place_of_the_folder_stops_every_call() {
    let (home, service) = (Home::new(), Service::with([]));
    fs::create_dir_all(home.state()).expect("a folder");
    fs::write(home.calls_folder(), "").expect("a file");
    let error = is_unavailable(&home, &service);
    let hint = error["hint"].as_str().expect("a hint");
    let folder = home.calls_folder().display().to_string();
    assert!(
        hint.contains(&folder) && hint.contains("KALLYAI_STATE_DIR"),
        "{hint}"
    );
    Run::of(&mut service.at(&home, ["pending"])).exits(1);
    assert_eq!(service.server.requests().len(), 0);
    fs::remove_file(home.calls_folder()).expect("a file");
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[test]
fn damaged_file_stops_every_call_and_is_named() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut other = entry(&service, "other");
    other["number"] = json!("+15557654321");
    let whole = entry(&service, "dinner").to_string();
    let mistyped = whole.replace("\"sent\"", "{\"sent\":1}");
    let contents: [&[u8]; 6] = [
        b"",
        &whole.as_bytes()[..99],
        b"nonsense",
        b"[]",
        b"\xff\x00",
        mistyped.as_bytes(),
    ];
    for content in contents {
        home.write_journal([other.clone()]);
        let file = home.calls_folder().join("call-dinner.json");
        fs::write(&file, content).expect("a file");
        let error = is_unavailable(&home, &service);
        let hint = error["hint"].as_str().expect("a hint");
        assert!(hint.contains(&file.display().to_string()), "{hint}");
        assert!(hint.contains("removing it forgets that call"), "{hint}");
        assert_eq!(service.server.requests().len(), 0);

        let dry = Run::of(service.at(&home, CALL).args(["--dry-run", "--json"]));
        let dry = dry.exits(0).json();
        assert_eq!(dry["would_place"], false);
        assert_eq!(dry["refusal"]["code"], "journal_unavailable");
        let pending = Run::of(&mut service.at(&home, ["pending", "--json"])).exits(0);
        assert!(
            pending.stderr.contains("journal_damaged"),
            "{}",
            pending.stderr
        );
        assert_eq!(pending.json()["pending"][0]["idempotency_key"], "other");
        assert!(file.exists());
    }
    fs::remove_file(home.calls_folder().join("call-dinner.json")).expect("a file");
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[test]
fn files_with_other_names_are_ignored() {
    let (home, service) = (Home::new(), Service::with([]));
    home.write_journal([]);
    for name in [
        ".DS_Store",
        "call-dinner.json~",
        "notes.json",
        "call-",
        "desktop.ini",
    ] {
        fs::write(home.calls_folder().join(name), "").expect("a file");
    }
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[test]
fn later_versions_call_is_open_and_keeps_its_members() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut later = entry(&service, "dinner");
    later["state"] = json!("on_hold");
    later["call_id"] = json!(ID);
    later["future"] = json!({ "member": [1.5] });
    home.write_journal([later]);
    let error = Run::of(service.at(&home, CALL).arg("--json"))
        .exits(6)
        .error();
    assert_eq!(
        (&error["code"], &error["idempotency_key"]),
        (&json!("call_open"), &json!("dinner"))
    );
    service.put(call(ID, "busy"), call(ID, "busy"));
    Run::of(&mut service.at(&home, ["resume"])).exits(0);
    let entry = &home.journal()[0];
    assert_eq!(
        (&entry["state"], &entry["future"]["member"]),
        (&json!("ended"), &json!([1.5]))
    );
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[cfg(unix)]
#[test]
fn read_only_folder_stops_every_call() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;

    const NOBODY: u32 = 65_534;
    let (home, service) = (Home::new(), Service::with([]));
    home.write_journal([]);
    let mut command = service.at(&home, CALL);
    // Root may write everywhere.
    if rustix::process::geteuid().is_root() {
        for path in [
            home.path(""),
            home.token_file(),
            home.state(),
            home.calls_folder(),
        ] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("another owner");
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let set = |mode| fs::set_permissions(home.state(), fs::Permissions::from_mode(mode));
    set(0o500).expect("permissions");
    let error = Run::of(command.arg("--json")).exits(1).error();
    assert_eq!(error["code"], "journal_unavailable");
    let hint = error["hint"].as_str().expect("a hint");
    assert!(hint.contains("KALLYAI_STATE_DIR"), "{hint}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("permission denied"), "{message}");
    assert_eq!(service.posts(), 0);
    set(0o700).expect("permissions");
    Run::of(&mut command).exits(0);
}

/// A command whose files may have at most so many blocks: writing more fails as on a full disk.
#[cfg(target_os = "linux")]
fn full_after(command: &std::process::Command, blocks: u32) -> std::process::Command {
    let first = format!("trap '' XFSZ && export LLVM_PROFILE_FILE=/dev/null && ulimit -f {blocks}");
    crate::support::by_shell(command, &first)
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_stops_every_call() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut command = service.at(&home, CALL);
    let error = Run::of(&mut full_after(command.arg("--json"), 0))
        .exits(1)
        .error();
    assert_eq!(error["code"], "journal_unavailable");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("file too large"), "{message}");
    assert_eq!((service.posts(), home.journal().len()), (0, 0));
    let state = fs::read_dir(home.state()).expect("a folder").flatten();
    let left: Vec<_> = state
        .map(|file| file.file_name())
        .filter(|name| name.to_string_lossy().starts_with(".new-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn disk_that_fills_up_swallows_no_result() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut long = call(ID, "success");
    long["highlights"] = json!("Booked. ".repeat(500));
    service.then(Post::lost(Reply::json(201, &long)));
    let mut command = service.at(&home, CALL);
    let run = Run::of(&mut full_after(command.arg("--json"), 4)).exits(0);
    assert_eq!(run.json(), long);
    assert!(run.stderr.contains("file too large"), "{}", run.stderr);
    let error = Run::of(service.at(&home, CALL).arg("--json"))
        .exits(6)
        .error();
    assert_eq!(error["code"], "call_open");
}

#[test]
fn lock_that_is_held_for_ten_seconds_stops_the_call() {
    let (home, service) = (Home::new(), Service::with([]));
    fs::create_dir_all(home.state()).expect("a folder");
    let lock = File::create(home.state().join("calls.lock")).expect("a file");
    lock.lock().expect("the lock");
    let error = is_unavailable(&home, &service);
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("locked by another process"), "{message}");
    assert_eq!(home.journal().len(), 0);
    drop(lock);
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[test]
fn other_services_calls_count_only_by_their_keys() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut other = entry(&service, "dinner");
    other["origin"] = json!("https://other.example");
    home.write_journal([other.clone()]);
    let pending = Run::of(&mut service.at(&home, ["pending", "--json"])).exits(0);
    assert_eq!(pending.json(), json!({ "pending": [] }));
    let with_key = ["--idempotency-key", "dinner", "--json"];
    let error = Run::of(service.at(&home, CALL).args(with_key))
        .exits(2)
        .error();
    assert_eq!(error["code"], "invalid_input");
    Run::of(&mut service.at(&home, CALL)).exits(0);
    assert_eq!(home.journal()[0], other);
}

#[test]
fn signing_out_leaves_the_log_alone() {
    let (home, service) = (Home::new(), Service::with([]));
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let before = home.journal();
    Run::of(&mut service.at(&home, ["logout"])).exits(0);
    assert_eq!(home.journal(), before);
    service.is_gone(true);
    let error = Run::of(service.at(&home, CALL).arg("--json"))
        .exits(6)
        .error();
    assert_eq!(error["code"], "already_done");
}

#[test]
fn old_files_are_deleted_and_others_stay() {
    const DAY: u64 = 24 * 3600;
    let (home, service) = (Home::new(), Service::with([]));
    home.write_journal(["old", "young"].map(|key| {
        let mut ended = entry(&service, key);
        ended["state"] = json!("refused");
        ended
    }));
    let age = |path: &Path, seconds| {
        let file = File::options().write(true).open(path).expect("a file");
        let time = SystemTime::now() - Duration::from_secs(seconds);
        file.set_modified(time).expect("a time");
    };
    age(&home.calls_folder().join("call-old.json"), 91 * DAY);
    age(&home.calls_folder().join("call-young.json"), 89 * DAY);
    for (name, seconds) in [(".new-old", 3700), (".new-young", 3500)] {
        fs::write(home.state().join(name), "").expect("a file");
        age(&home.state().join(name), seconds);
    }
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let keys: Vec<Value> = home
        .journal()
        .iter()
        .map(|call| call["key"].clone())
        .collect();
    assert_eq!((keys.len(), &keys[0]), (2, &json!("young")));
    let exists = [".new-old", ".new-young"].map(|name| home.state().join(name).exists());
    assert_eq!(exists, [false, true]);
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let (home, service) = (Home::new(), Service::with([]));
    Run::of(&mut crate::support::by_shell(
        &service.at(&home, CALL),
        "umask 0",
    ))
    .exits(0);
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&home.calls_folder()), 0o700);
    assert!(home.journal_files().iter().all(|file| mode(file) == 0o600));
}
