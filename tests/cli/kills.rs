//! SIGKILL of the command, its worker or both, at random moments: no second call, no lost result.
//! `KALLYAI_FAULTS=all` makes 300 runs, and a plain `cargo test` 30.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::support::{CALL, Home, Post, Reply, Run, Running, Service, at_once, call};

const ID: &str = "3f2a0c1e-55aa-4bbb-8ccc-000000000000";
/// Runs wait more than they work.
const AT_ONCE: u64 = 10;

#[test]
fn kills_at_random_moments_keep_the_promise() {
    let is_full = std::env::var_os("KALLYAI_FAULTS").is_some_and(|which| which == "all");
    let runs = if is_full { 300 } else { 30 };
    let made: Vec<usize> = (0..runs / AT_ONCE)
        .map(|round| {
            let results = std::sync::Mutex::new(0);
            at_once(0..AT_ONCE, |seed| {
                *results.lock().expect("a count") += usize::from(kill_once(round * AT_ONCE + seed));
            });
            results.into_inner().expect("a count")
        })
        .collect();
    let made: usize = made.iter().sum();
    println!("{made} of {runs} killed runs had made a call");
    assert!(made > 0, "no kill came late enough to mean anything");
}

/// Kills one run and returns whether it had made a call.
fn kill_once(seed: u64) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let home = Home::new();
    let response = Reply::json(201, &call(ID, "success"));
    let late = Reply::Late(Duration::from_millis(40), Box::new(response));
    let service = Service::with([Post::lost(late)]);
    let command = || {
        let mut command = service.at(&home, CALL);
        command.args(["--json", "--timeout", "5"]);
        command
    };
    let mut running = Running::start(&mut command());
    std::thread::sleep(Duration::from_millis(rng.random_range(0..120)));
    let (viewer, worker) = [(true, false), (false, true), (true, true)][rng.random_range(0..3)];
    let workers = running.children();
    if worker {
        for worker in &workers {
            let _ = kill_process(*worker, Signal::KILL);
        }
    }
    if viewer {
        running.kill();
    }
    let mut printed = HashSet::new();
    note(&running.end(), &mut printed);
    let had_made = service.posts() > 0;
    note(
        &Run::of(service.at(&home, CALL).arg("--json")),
        &mut printed,
    );
    loop {
        if worker {
            forget_workers(&home);
        }
        let run = Run::of(&mut service.at(&home, ["resume", "--json", "--timeout", "5"]));
        note(&run, &mut printed);
        if run.exit == Some(1) {
            assert_eq!(run.error()["code"], "nothing_to_resume", "seed {seed}");
            break;
        }
        // Killed between the reservation and the first byte, no call was made.
        if run.exit == Some(6) && service.posts() == 0 {
            assert_eq!(run.error()["code"], "outcome_unknown", "seed {seed}");
            break;
        }
        assert_eq!(run.exit, Some(0), "seed {seed}: {}", run.stderr);
    }
    assert!(service.rings().len() <= 1, "seed {seed}: a second call");
    let made = service.calls().len();
    assert_eq!(printed.len(), made, "seed {seed}: {printed:?} of {made}");
    had_made
}

/// Remembers the call whose result a run printed.
fn note(run: &Run, printed: &mut HashSet<String>) {
    if let Ok(call) = serde_json::from_str::<Value>(&run.stdout) {
        printed.insert(call["call_id"].as_str().expect("an ID").to_owned());
    }
}

/// A worker that was killed has touched its file just now, and `resume` would wait a minute for it.
fn forget_workers(home: &Home) {
    for file in home.journal_files() {
        let file = std::fs::File::options().write(true).open(file);
        let old = SystemTime::now() - Duration::from_secs(120);
        file.and_then(|file| file.set_modified(old))
            .expect("a file time");
    }
}
