//! Kills the command, its worker or both at random times. No call may be repeated and no result may
//! be lost. The test makes 30 runs by default, and 300 with `KALLYAI_FAULTS=all`.

use std::collections::HashSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::support::{CALL, FIRST as ID, Home, Post, Reply, Run, Running, Service, call, parallel};

/// Number of concurrent runs. It can exceed the number of cores, because runs mostly wait.
const CONCURRENT: u64 = 10;

#[test]
fn random_kills_never_repeat_or_lose_a_call() {
    let is_full = std::env::var_os("KALLYAI_FAULTS").is_some_and(|which| which == "all");
    let runs = if is_full { 300 } else { 30 };
    let made: Vec<usize> = (0..runs / CONCURRENT)
        .map(|round| {
            let results = std::sync::Mutex::new(0);
            parallel(0..CONCURRENT, |seed| {
                *results.lock().expect("a count") +=
                    usize::from(kill_once(round * CONCURRENT + seed));
            });
            results.into_inner().expect("a count")
        })
        .collect();
    let made: usize = made.iter().sum();
    println!("{made} of {runs} runs sent their call before they ended");
    assert!(made > 0, "every run ended before it sent its call");
}

/// Kills one run, then resumes its call. Returns whether the call was sent before the run ended.
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
    let (kills_command, kills_worker) =
        [(true, false), (false, true), (true, true)][rng.random_range(0..3)];
    let workers = running.children();
    if kills_worker {
        for worker in &workers {
            let _ = kill_process(*worker, Signal::KILL);
        }
    }
    if kills_command {
        running.kill();
    }
    let mut printed = HashSet::new();
    note(&running.end(), &mut printed);
    let was_sent = service.posts() > 0;
    note(&service.json_call(&home), &mut printed);
    loop {
        if kills_worker {
            home.end_workers();
        }
        let run = service.run(&home, &["resume", "--json", "--timeout", "10"]);
        note(&run, &mut printed);
        if run.exit == Some(1) {
            assert_eq!(run.error()["code"], "nothing_to_resume", "seed {seed}");
            break;
        }
        // If the worker is killed between recording the call and sending the request, no call is
        // made.
        if run.exit == Some(6) && service.posts() == 0 {
            assert_eq!(run.error()["code"], "outcome_unknown", "seed {seed}");
            break;
        }
        assert_eq!(run.exit, Some(0), "seed {seed}: {}", run.stderr);
    }
    assert!(service.made().len() <= 1, "seed {seed}: two calls");
    let made = service.calls().len();
    assert_eq!(printed.len(), made, "seed {seed}: {printed:?} of {made}");
    was_sent
}

/// If a run printed a result, adds the call's ID to `printed`.
fn note(run: &Run, printed: &mut HashSet<String>) {
    if let Ok(call) = serde_json::from_str::<Value>(&run.stdout) {
        printed.insert(call["call_id"].as_str().expect("an ID").to_owned());
    }
}
