//! The journal itself: who may read it, what it survives, and that nothing is sent without it.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::{CALL, Gate, Home, Post, Reply, Run, Running, Service, Shown, call, now};

const ID: &str = "00000000-1111-4222-8333-444444444444";

/// A line of the journal, so many seconds old.
fn line(key: &str, age: i64, settled: bool) -> String {
    let id = settled.then_some(ID);
    let task = format!("Task of {key}");
    json!({ "key": key, "at": now() - age, "number": CALL[1], "task": task, "call_id": id, "settled": settled })
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

#[test]
fn a_damaged_line_costs_that_line_only_and_is_said() {
    let whole = line("damaged", 60, false);
    let half = &whole.as_bytes()[..whole.len() / 2];
    for damaged in
        [half, b"\xff\xfe\0", b"null", b"[]", b"{}", br#"{"key":"","at":1,"number":"1","task":""}"#]
    {
        let home = Home::new();
        damage(&home, damaged);
        let service = Service::with([]);
        let run = Run::of(&mut service.at(&home, CALL)).exits(0);
        assert!(run.stderr.starts_with("warning: 1 damaged line"), "{}", run.stderr);
        assert_eq!(keys(&home)[..2], ["open", "settled"]);
        assert_eq!(home.journal().len(), 3);
        // It is gone by now.
        assert_eq!(Run::of(&mut service.at(&home, CALL)).exits(0).stderr, "");
    }
}

#[test]
fn a_damaged_line_is_said_by_whatever_drops_it() {
    let open = ["-p", CALL[1], "-t", "Task of open"];
    let known = [&open[..], &["--idempotency-key", "open", "--timeout", "1"]].concat();
    for (args, exit) in [
        (vec!["--resume", "settled"], 0),
        (vec!["--resume", "--timeout", "1"], 6),
        (vec!["--resume", "damaged"], 1),
        (known, 6),
        (open.to_vec(), 6),
        (vec!["--logout"], 0),
    ] {
        let home = Home::new();
        damage(&home, b"{");
        let service = Service::with([]);
        service.put(call(ID, "success"), json!({ "call_id": ID }));
        let run = Run::of(&mut service.at(&home, &args)).exits(exit);
        assert!(run.stderr.contains("warning: 1 damaged line"), "{args:?}: {}", run.stderr);
        assert_eq!(service.posts(), 0);
    }
}

#[test]
fn settled_calls_are_forgotten_by_age_and_number_and_open_ones_never() {
    let home = Home::new();
    let day = 24 * 3600;
    let open = (0..5).map(|n| line(&format!("open-{n}"), 400 * day, false));
    let old = (0..20).map(|n| line(&format!("old-{n}"), 31 * day, true));
    let settled = (0..250).map(|n| line(&format!("settled-{n}"), 29 * day - n, true));
    home.write_journal(open.chain(old).chain(settled));
    let service = Service::with([]);
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let keys = keys(&home);
    let settled = home.journal().iter().filter(|entry| entry["settled"] == true).count();
    assert_eq!((keys.len(), settled), (205, 200));
    assert_eq!(keys[..6], ["open-0", "open-1", "open-2", "open-3", "open-4", "settled-51"]);
    assert_eq!(keys[204], service.rings()[0]);
    Run::of(&mut service.at(&home, ["--logout"])).exits(0);
    assert_eq!(home.journal().len(), 5, "signing out forgets what is settled");
}

/// Asserts that a call is not placed, for want of a journal.
#[track_caller]
fn is_unavailable(command: &mut Command, service: &Service) {
    let error = Run::of(command).exits(1).error();
    assert_eq!((&error["code"], &error["retry_safe"]), (&json!("journal_unavailable"), &json!(true)));
    assert!(error["message"].as_str().expect("words").starts_with("the call was not placed"), "{error}");
    assert_eq!(service.server.requests().len(), 0);
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
    let start = |task: &String| Running::start(&mut service.at(&home, ["-p", CALL[1], "-t", task]));
    let running: Vec<_> = tasks.iter().map(start).collect();
    running.into_iter().for_each(|running| drop(running.end().exits(0)));
    let mut written: Vec<_> = home.journal().iter().map(|entry| entry["task"].to_string()).collect();
    let mut expected: Vec<_> = tasks.iter().map(|task| json!(task).to_string()).collect();
    written.sort();
    expected.sort();
    assert_eq!(written, expected);
    assert!(home.journal().iter().all(|entry| entry["settled"] == true));
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
        assert!(message.contains(CALL[1]) && run.stdout.is_empty(), "{message}");
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
        Running::start(service.at(&home, ["-p", CALL[1], "-t", end]).args(["--idempotency-key", &key]))
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
    is_unavailable(service.at(&home, CALL).arg("--json"), &service);
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
        service.server.wait_for("GET", "/v1/calls", 1);
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

        let wide = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(home.journal_file(), wide).expect("a file of ours");
        Run::of(&mut service.at(&home, CALL)).exits(0);
        assert_eq!(mode(&home.journal_file()), 0o600);
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
