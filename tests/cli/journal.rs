//! Tests the local call log, which is a folder with one JSON file per call.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{CALL, FIRST as ID, Home, Post, Reply, Run, Service, call, says};

/// Asserts that a call is refused because the call log is unavailable. Returns the error.
#[track_caller]
fn assert_unavailable(home: &Home, service: &Service) -> Value {
    let asked = service.posts();
    let error = Run::of(service.at(home, CALL).arg("--json")).fails(1, "journal_unavailable");
    assert_eq!(service.posts(), asked);
    error
}

#[test]
fn file_instead_of_the_log_folder_blocks_every_call() {
    let (home, service) = (Home::new(), Service::with([]));
    fs::create_dir_all(home.state()).expect("a folder");
    fs::write(home.calls_folder(), "").expect("a file");
    let error = assert_unavailable(&home, &service);
    let folder = home.calls_folder().display().to_string();
    says(&error, "hint", &folder);
    says(&error, "hint", "KALLYAI_STATE_DIR");
    service.run(&home, &["pending"]).exits(1);
    assert_eq!(service.server.requests().len(), 0);
    fs::remove_file(home.calls_folder()).expect("a file");
    service.call(&home, &[]).exits(0);
}

#[test]
fn damaged_log_file_blocks_every_call_and_is_reported() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut other = service.entry("other", 60);
    other["request"]["submission"]["respondent_phone"] = json!("+15557654321");
    let whole = service.entry("dinner", 60).to_string();
    let mistyped = whole.replace("\"lost\"", "{\"lost\":1}");
    let without_number = whole.replace("respondent_phone", "phone");
    let contents: [&[u8]; 8] = [
        b"",
        &whole.as_bytes()[..99],
        b"nonsense",
        b"[]",
        b"\xff\x00",
        mistyped.as_bytes(),
        without_number.as_bytes(),
        b"symlink",
    ];
    for content in contents {
        home.write_journal([other.clone()]);
        let file = home.calls_folder().join("call-dinner.json");
        fs::write(&file, content).expect("a file");
        #[cfg(unix)]
        if content == b"symlink" {
            fs::remove_file(&file).expect("a file");
            std::os::unix::fs::symlink("gone", &file).expect("a symlink");
        }
        let error = assert_unavailable(&home, &service);
        says(&error, "hint", &file.display().to_string());
        let forget = "or remove it to forget the call that it records";
        says(&error, "hint", forget);
        assert!(file.symlink_metadata().is_ok(), "the file is kept");
        assert_eq!(service.server.requests().len(), 0);

        let dry = service.call(&home, &["--dry-run", "--json"]);
        let dry = dry.exits(0).json();
        assert_eq!(dry["would_place"], false);
        assert_eq!(dry["refusal"]["code"], "journal_unavailable");
        let pending = service.run(&home, &["pending", "--json"]).exits(0);
        pending.notes("journal_damaged");
        assert_eq!(pending.json()["pending"][0]["idempotency_key"], "other");
        fs::symlink_metadata(&file).expect("the file");
    }
    fs::remove_file(home.calls_folder().join("call-dinner.json")).expect("a file");
    service.call(&home, &[]).exits(0);
}

#[test]
fn unrelated_files_in_the_log_folder_are_ignored() {
    let (home, service) = (Home::new(), Service::with([]));
    home.write_journal([]);
    for name in ".DS_Store call-dinner.json~ notes.json call- desktop.ini".split(' ') {
        fs::write(home.calls_folder().join(name), "").expect("a file");
    }
    service.call(&home, &[]).exits(0);
}

/// Limits the size of the files that `command` writes, to simulate a full disk.
#[cfg(target_os = "linux")]
fn limit_file_size(command: &std::process::Command, blocks: u32) -> std::process::Command {
    let first = format!("trap '' XFSZ && export LLVM_PROFILE_FILE=/dev/null && ulimit -f {blocks}");
    crate::support::by_shell(command, &first)
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_blocks_every_call() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut command = service.at(&home, CALL);
    let error =
        Run::of(&mut limit_file_size(command.arg("--json"), 0)).fails(1, "journal_unavailable");
    says(&error, "message", "file too large");
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
fn result_is_printed_even_if_the_disk_fills_up() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut long = call(ID, "success");
    long["highlights"] = json!("Booked. ".repeat(500));
    service.then(Post::lost(Reply::json(201, &long)));
    let mut command = service.at(&home, CALL);
    let run = Run::of(&mut limit_file_size(command.arg("--json"), 4)).exits(0);
    assert_eq!(run.json(), long);
    run.notes("file too large");
    service.json_call(&home).fails(6, "call_open");
}

#[test]
fn call_is_refused_if_the_log_is_locked_for_ten_seconds() {
    let (home, service) = (Home::new(), Service::with([]));
    fs::create_dir_all(home.state()).expect("a folder");
    let lock = File::create(home.state().join("calls.lock")).expect("a file");
    lock.lock().expect("the lock");
    let error = assert_unavailable(&home, &service);
    says(&error, "message", "locked by another process");
    assert_eq!(home.journal().len(), 0);
    drop(lock);
    service.call(&home, &[]).exits(0);
}

#[test]
fn call_to_another_service_reserves_only_its_idempotency_key() {
    let (home, service) = (Home::new(), Service::with([]));
    let mut other = service.entry("dinner", 60);
    other["origin"] = json!("https://other.example");
    home.write_journal([other.clone()]);
    let pending = service.run(&home, &["pending", "--json"]).exits(0);
    assert_eq!(pending.json(), json!({ "pending": [] }));
    let with_key = ["--idempotency-key", "dinner", "--json"];
    Run::of(service.at(&home, CALL).args(with_key)).fails(2, "invalid_input");
    service.call(&home, &[]).exits(0);
    assert_eq!(home.journal()[0], other);
}

#[test]
fn signing_out_keeps_the_call_log() {
    let (home, service) = (Home::new(), Service::with([]));
    service.call(&home, &[]).exits(0);
    let before = home.journal();
    service.run(&home, &["logout"]).exits(0);
    assert_eq!(home.journal(), before);
    service.set_down(true);
    service.json_call(&home).fails(6, "already_done");
}

#[test]
fn log_files_and_temporary_files_are_deleted_only_if_old() {
    const DAY: u64 = 24 * 3600;
    let (home, service) = (Home::new(), Service::with([]));
    home.write_journal(["old", "young"].map(|key| {
        let mut ended = service.entry(key, 60);
        ended["state"] = json!("not_made");
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
    service.call(&home, &[]).exits(0);
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
fn call_log_files_are_private() {
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
