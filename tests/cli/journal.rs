//! The journal itself: who may read it, what it survives, and that nothing is sent without it.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::{
    CALL, Gate, Home, LOOK_UP, Post, Reply, Run, Running, Service, Shown, at_once, call, now,
};

const ID: &str = "00000000-1111-4222-8333-444444444444";

/// A line of the journal, so many seconds old.
fn line(key: &str, age: i64, settled: bool) -> String {
    let id = settled.then_some(ID);
    let task = format!("Task of {key}");
    json!({ "key": key, "at": now() - age, "number": "+15550001111", "task": task, "call_id": id, "settled": settled })
        .to_string()
}

fn keys(home: &Home) -> Vec<String> {
    home.journal().iter().map(|entry| entry["key"].as_str().expect("a key").to_owned()).collect()
}

/// Leaves a journal with damage between an open call and a settled one.
fn damage(home: &Home, damaged: &[u8]) {
    std::fs::create_dir_all(home.state()).expect("a folder");
    let mut bytes = line("open", 60, false).into_bytes();
    bytes.push(b'\n');
    bytes.extend_from_slice(damaged);
    bytes.push(b'\n');
    bytes.extend_from_slice(line("settled", 60, true).as_bytes());
    std::fs::write(home.journal_file(), bytes).expect("a journal");
}

/// Forms of a line that this version cannot read: damaged, or of a later one.
fn unreadable() -> Vec<Vec<u8>> {
    let whole = line("damaged", 60, false);
    let half = whole.as_bytes()[..whole.len() / 2].to_vec();
    let texts = [
        "\u{0}\u{0}\u{0}",
        "null",
        "[]",
        "{}",
        r#"{"key":"","at":1,"number":"1","task":""}"#,
        r#"{"v":3,"key":"k","event":"prepared","at":9999999999,"number":"+15550001111"}"#,
        r#"{"v":2,"key":"k","event":"waved","at":9999999999}"#,
        r#"{"v":2,"key":"k","event":"sent","at":9999999999}"#,
        r#"{"v":2,"key":"k","event":"prepared","at":9999999999,"number":"+15550001111","task":"x","more":1}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).into_iter().chain([half, b"\xff\xfe\0".to_vec()]).collect()
}

#[test]
fn a_line_that_cannot_be_read_stays_byte_for_byte_and_is_said_and_the_rest_counts() {
    for damaged in unreadable() {
        let home = Home::new();
        damage(&home, &damaged);
        let before = std::fs::read(home.journal_file()).expect("a journal");
        let service = Service::with([]);
        let run = Run::of(&mut service.at(&home, CALL)).exits(0);
        assert!(run.stderr.starts_with("warning: 1 line(s) of the journal cannot be read"), "{}", run.stderr);
        let after = std::fs::read(home.journal_file()).expect("a journal");
        assert!(after.starts_with(&before), "nothing that was there is changed");
        let open = ["-p", "+15550001111", "-t", "Other words"];
        let run = Run::of(service.at(&home, open).arg("--json")).exits(6);
        assert_eq!(run.error()["idempotency_key"], "open");
        Run::of(service.at(&home, CALL).args(["--again"])).exits(0);
    }
}

#[test]
fn while_a_line_cannot_be_read_no_call_is_placed_unless_the_service_was_seen() {
    at_once(unreadable(), |damaged| {
        let home = Home::new();
        damage(&home, &damaged);
        // What stands behind it does not date it.
        let lines = std::fs::read(home.journal_file()).expect("a journal");
        let service = Service::with([]);
        service.is_gone(true);
        let error = Run::of(service.at(&home, CALL).args(["--json", "--timeout", "8"])).exits(6).error();
        assert_eq!((&error["code"], error.get("next_command")), (&json!("call_open"), None));
        assert_eq!(service.posts(), 0);
        assert_eq!(std::fs::read(home.journal_file()).expect("a journal"), lines);
        Run::of(service.at(&home, CALL).arg("--again")).exits(0);
        // A later line shows that it is old.
        let other = Home::new();
        let old = [damaged, line("later", 7 * 3600, true).into_bytes()].join(&b'\n');
        std::fs::create_dir_all(other.state()).expect("a folder");
        std::fs::write(other.journal_file(), old).expect("a journal");
        Run::of(&mut service.at(&other, CALL)).exits(0);
    });
}

#[test]
fn a_line_that_a_crash_cut_off_is_not_continued() {
    let home = Home::new();
    let cut = &line("cut", 60, false)[..40];
    std::fs::create_dir_all(home.state()).expect("a folder");
    std::fs::write(home.journal_file(), [line("open", 60, false).as_str(), cut].join("\n"))
        .expect("a journal");
    let service = Service::with([]);
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let text = std::fs::read_to_string(home.journal_file()).expect("a journal");
    assert_eq!(text.lines().nth(1), Some(cut));
    assert!(
        text.lines().skip(2).all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{text}"
    );
}

#[test]
fn a_journal_that_is_no_file_is_refused_and_not_waited_for() {
    for name in ["calls.jsonl", "calls.lock"] {
        let home = Home::new();
        std::fs::create_dir_all(home.state()).expect("a folder");
        let made = Command::new("mkfifo").arg(home.state().join(name)).status().expect("mkfifo");
        assert!(made.success());
        let service = Service::with([]);
        is_unavailable(service.at(&home, CALL).arg("--json"), &service);
    }
}

#[test]
fn finished_calls_are_forgotten_by_age_and_number_and_open_ones_after_thirty_days_are_said() {
    let home = Home::new();
    let day = 24 * 3600;
    let open = (0..5).map(|n| line(&format!("open-{n}"), 29 * day, false));
    let ancient = (0..3).map(|n| line(&format!("ancient-{n}"), 31 * day, false));
    let old = (0..20).map(|n| line(&format!("old-{n}"), 31 * day, true));
    let settled = (0..250).map(|n| line(&format!("settled-{n}"), 29 * day - n, true));
    home.write_journal(ancient.chain(old).chain(open).chain(settled));
    let service = Service::with([]);
    let run = Run::of(&mut service.at(&home, CALL)).exits(0);
    assert!(run.stderr.contains("warning: 3 call(s) that were open for more than 30 days"), "{}", run.stderr);
    let keys = keys(&home);
    let shown = home.journal().iter().filter(|entry| entry["shown"] == true).count();
    assert_eq!((keys.len(), shown), (206, 201));
    assert_eq!(keys[..6], ["open-0", "open-1", "open-2", "open-3", "open-4", "settled-50"]);
    assert_eq!(keys[205], service.rings()[0]);
    Run::of(&mut service.at(&home, ["--logout"])).exits(0);
    assert_eq!(home.journal().len(), 5, "signing out forgets what is finished");
    // Their keys stay known all the same.
    service.put(call(ID, "success"), json!({ "call_id": ID }));
    for (key, exit) in [("old-3", 0), ("settled-7", 0), ("ancient-1", 6), ("fresh", 0)] {
        let run = Run::of(service.at(&home, CALL).args(["--idempotency-key", key, "--again"]));
        assert_eq!(run.exit, Some(exit), "{key}: {}", run.stderr);
    }
    assert_eq!(service.posts(), 2);
}

#[test]
fn another_services_calls_are_not_this_ones() {
    let home = Home::new();
    let (first, second) = (Service::with([Post::lost(Reply::Reset).shown(Shown::Never)]), Service::with([]));
    let with_key = ["--idempotency-key", "tried", "--timeout", "1"];
    Run::of(first.at(&home, CALL).args(with_key)).exits(6);
    Run::of(&mut second.at(&home, ["--resume"])).exits(1);
    Run::of(second.at(&home, CALL).args(with_key)).exits(0);
    assert_eq!((first.posts(), second.posts()), (1, 1));
}

/// Asserts that a call is not placed, for want of a journal.
#[track_caller]
fn is_unavailable(command: &mut Command, service: &Service) {
    let error = Run::of(command).exits(1).error();
    assert_eq!((&error["code"], &error["retry_safe"]), (&json!("journal_unavailable"), &json!(true)));
    assert!(error["message"].as_str().expect("words").starts_with("the call was not placed"), "{error}");
    assert_eq!(service.posts(), 0);
}

#[test]
fn a_call_that_cannot_be_written_down_is_not_placed() {
    let home = Home::new();
    let service = Service::with([]);
    std::fs::write(home.path("file"), "").expect("a file");
    std::fs::create_dir_all(home.path("odd/calls.jsonl")).expect("a folder");
    for folder in ["file", "file/below", "odd"] {
        let mut command = service.at(&home, CALL);
        is_unavailable(command.arg("--json").env("KALLYAI_STATE_DIR", home.path(folder)), &service);
    }
}

#[test]
fn a_journal_that_cannot_be_read_is_said_and_keeps_nobody_signed_in() {
    let home = Home::new();
    let service = Service::with([]);
    std::fs::create_dir_all(home.journal_file()).expect("a folder in its place");
    let error = Run::of(&mut service.at(&home, ["--resume", "--json"])).exits(1).error();
    assert!(
        error["message"].as_str().expect("words").starts_with("the journal could not be read"),
        "{error}"
    );
    let error = Run::of(&mut service.at(&home, ["--logout", "--json"])).exits(1).error();
    assert!(error["message"].as_str().expect("words").contains("could not be cleared"), "{error}");
    assert!(!home.token_file().exists());
}

#[test]
fn a_settled_call_whose_id_was_not_kept_cannot_be_read_again() {
    let home = Home::new();
    let settled = line("settled", 60, true).replace(&format!("\"{ID}\""), "null");
    home.write_journal([settled]);
    let service = Service::with([]);
    let error = Run::of(&mut service.at(&home, ["--resume", "settled", "--json"])).exits(1).error();
    assert_eq!(error["code"], "nothing_to_resume");
    assert_eq!(service.server.requests().len(), 0);
}

#[test]
fn a_result_is_printed_though_the_journal_has_gone() {
    let gate = Gate::default();
    let answer = Reply::json(201, &call(ID, "success"));
    let post = Post::lost(Reply::Held(gate.clone(), Box::new(answer)));
    let lost = Post::lost(Reply::Held(gate.clone(), Box::new(Reply::CutInBody)));
    for (post, flags) in [(post, vec!["--json"]), (lost, vec!["--json"])] {
        let home = Home::new();
        let service = Service::with([post]);
        let running = Running::start(service.at(&home, CALL).args(flags));
        service.server.wait_for("POST", "/v1/calls", 1);
        std::fs::rename(home.state(), home.path("moved")).expect("a folder");
        std::fs::write(home.state(), "").expect("a file");
        gate.open();
        let run = running.end().exits(0);
        assert_eq!(run.json()["status"], "success");
        assert!(run.stderr.contains("warning: the journal could not be written"), "{}", run.stderr);
        std::fs::remove_file(home.state()).expect("the file");
        std::fs::rename(home.path("moved"), home.state()).expect("the folder");
        Run::of(&mut service.at(&home, CALL)).exits(6);
        Run::of(&mut service.at(&home, ["--resume"])).exits(0);
        assert_eq!(service.posts(), 1);
    }
}

#[test]
fn many_calls_at_once_are_all_written_down() {
    let home = Home::new();
    home.sign_in(3600);
    let service = Service::with(vec![Post::answered(), Post::lost(Reply::Reset), Post::answered()]);
    let tasks: Vec<String> = (0..12).map(|n| format!("Task {n}")).collect();
    let start = |(n, task): (usize, &String)| {
        let number = format!("+155512340{n:02}");
        Running::start(&mut service.at(&home, ["-p", &number, "-t", task]))
    };
    let running: Vec<_> = tasks.iter().enumerate().map(start).collect();
    running.into_iter().for_each(|running| drop(running.end().exits(0)));
    let mut written: Vec<_> = home.journal().iter().map(|entry| entry["task"].to_string()).collect();
    let mut expected: Vec<_> = tasks.iter().map(|task| json!(task).to_string()).collect();
    written.sort();
    expected.sort();
    assert_eq!(written, expected);
    assert!(home.journal().iter().all(|entry| entry["shown"] == true));
    let rings: std::collections::HashSet<_> = service.rings().into_iter().collect();
    assert_eq!((rings.len(), service.posts()), (12, 12));
}

#[test]
fn a_run_killed_at_any_moment_has_written_down_what_it_sent() {
    const MOMENTS: u64 = 60;
    let service = Service::with((0..MOMENTS).map(|_| Post::lost(Reply::Stall).shown(Shown::Never)));
    let mut written = Vec::new();
    for moment in 0..MOMENTS {
        let home = Home::new();
        home.write_journal([line("open", 60, false)]);
        let posts = service.posts();
        let mut running = Running::start(&mut service.at(&home, CALL));
        if moment == 0 {
            service.server.wait_for("POST", "/v1/calls", posts + 1);
        } else {
            std::thread::sleep(Duration::from_micros(700 * moment));
        }
        running.kill();
        running.end();
        let keys = keys(&home);
        assert_eq!(keys[0], "open", "no line is lost or damaged");
        written.extend(keys);
    }
    let rings = service.rings();
    assert!(!rings.is_empty() && rings.iter().all(|key| written.contains(key)), "{rings:?} {written:?}");
}

#[test]
fn a_key_that_was_used_for_another_call_is_refused_and_nothing_is_sent() {
    let home = Home::new();
    let service = Service::with([]);
    Run::of(service.at(&home, CALL).args(["--idempotency-key", "k"])).exits(0);
    for other in [["-p", "+15550002222", "-t", CALL[3]], ["-p", CALL[1], "-t", "Something else"]] {
        let run = Run::of(service.at(&home, other).args(["--idempotency-key", "k", "--json"])).exits(2);
        let message = run.error()["message"].as_str().expect("a message").to_owned();
        assert!(message.contains("another call") && run.stdout.is_empty(), "{message}");
    }
    assert_eq!(service.posts(), 1);
}

#[test]
fn keys_that_begin_alike_are_waited_for_side_by_side() {
    let home = Home::new();
    let gate = Gate::default();
    let held = || Post::lost(Reply::Held(gate.clone(), Box::new(Reply::json(201, &call(ID, "success")))));
    let service = Service::with([held(), held()]);
    let runs = ["a", "b"].map(|end| {
        let key = format!("{}{end}", "k".repeat(200));
        let call = ["-p", CALL[1], "-t", end, "--again"];
        Running::start(service.at(&home, call).args(["--idempotency-key", &key]))
    });
    service.server.wait_for("POST", "/v1/calls", 2);
    gate.open();
    for run in runs {
        run.end().exits(0);
    }
}

#[test]
fn a_journal_that_another_process_holds_for_ever_is_given_up() {
    let home = Home::new();
    let service = Service::with([]);
    std::fs::create_dir_all(home.state()).expect("a folder");
    let lock = std::fs::File::create(home.state().join("calls.lock")).expect("a file");
    lock.lock().expect("a lock");
    is_unavailable(service.at(&home, CALL).args(["--json", "--timeout", "1"]), &service);
}

/// Owners, and limits on what they may write.
#[cfg(unix)]
mod unix {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use crate::support::{REFRESH, TOKEN, by_shell, limited};

    use super::*;

    /// The files in a folder, and in those below it.
    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let entries =
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn it_is_its_owners_alone_under_any_umask_and_holds_no_token() {
        let home = Home::new();
        let service = Service::with([Post::lost(Reply::Reset)]);
        let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        let gate = Gate::default();
        service.then_look(Reply::Held(gate.clone(), Box::new(Reply::new(500, ""))));
        let running = Running::start(&mut by_shell(&service.at(&home, CALL), "umask 0"));
        service.server.wait_for("GET", LOOK_UP, 1);
        // The entry, the lock over it, and the sign that it is waited for.
        let kept = files(&home.state());
        assert_eq!(kept.len(), 3, "{kept:?}");
        for file in &kept {
            assert_eq!(mode(file), 0o600, "{}", file.display());
            let text = String::from_utf8(std::fs::read(file).expect("a file")).expect("UTF-8");
            assert!(!text.contains(TOKEN) && !text.contains(REFRESH), "{text}");
        }
        assert_eq!(mode(&home.state()), 0o700);
        gate.open();
        running.end().exits(0);
        assert_eq!(files(&home.state()).len(), 2, "nobody waits any more");
    }

    #[test]
    fn a_full_disk_places_no_call_and_keeps_the_journal() {
        let home = Home::new();
        let service = Service::with([]);
        let mut full = service.at(&home, CALL);
        is_unavailable(&mut limited(full.arg("--json"), 0), &service);
        assert_eq!(home.journal(), Vec::<serde_json::Value>::new());
        home.write_journal([line("open", 60, false)]);
        let before = std::fs::read(home.journal_file()).expect("a journal");
        is_unavailable(&mut limited(&full, 0), &service);
        assert_eq!(std::fs::read(home.journal_file()).expect("a journal"), before);
        Run::of(&mut service.at(&home, CALL)).exits(0);
    }
}
