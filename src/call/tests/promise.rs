//! Tests that faults, kills and interleavings never repeat a call or lose a result.
//! Set `KALLYAI_FAULTS=all` to run every case. By default, about a tenth of them run.

use std::cell::RefCell;
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::world::{Choose, Wanted, World, command, resume};

const NUMBERS: [&str; 2] = ["+15551234567", "+15557654321"];

fn runs_all() -> bool {
    std::env::var_os("KALLYAI_FAULTS").is_some_and(|which| which == "all")
}

/// Runs a scenario in a new `World` with a paused clock. Keeps the journal in memory if possible.
fn in_world(
    choose: Choose,
    faults: usize,
    interleave_all: bool,
    scenario: impl AsyncFnOnce(&World, &std::path::Path),
) {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let folder = folder.expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(choose, faults, interleave_all);
        scenario(&world, folder.path()).await;
        world.no_more_faults();
        world
            .run(vec![(0, Box::pin(resume(&world, 0, folder.path())))])
            .await;
        for (number, calls) in world.calls_per_number() {
            assert!(calls <= 1, "{number} was called {calls} times");
        }
        assert_eq!(world.unseen_results(), 0, "a result was lost");
    });
}

/// Runs a scenario once for every sequence of choices, depth first. Returns the number of runs.
fn walk(faults: usize, scenario: impl AsyncFn(&World, &std::path::Path)) -> usize {
    let mut prefix: Vec<usize> = Vec::new();
    let mut runs = 0;
    loop {
        let taken: Rc<RefCell<Vec<(usize, usize)>>> = Rc::default();
        let log = Rc::clone(&taken);
        let planned = prefix.clone();
        let choose = move |options: usize| {
            let mut taken = log.borrow_mut();
            let chosen = planned.get(taken.len()).copied().unwrap_or(0);
            taken.push((chosen, options));
            chosen
        };
        in_world(Box::new(choose), faults, false, &scenario);
        runs += 1;
        let mut taken = taken.take();
        loop {
            match taken.pop() {
                None => return runs,
                Some((chosen, options)) if chosen + 1 < options => {
                    prefix = taken
                        .iter()
                        .map(|(chosen, _)| *chosen)
                        .chain([chosen + 1])
                        .collect();
                    break;
                }
                Some(_) => {}
            }
        }
    }
}

fn wanted(number: usize) -> Wanted {
    Wanted {
        number: NUMBERS[number],
        key: None,
    }
}

#[test]
fn no_sequence_of_faults_repeats_or_loses_a_call() {
    let faults = if runs_all() { 4 } else { 2 };
    let runs = walk(faults, async |world, folder| {
        for process in [1, 2] {
            let command = command(world, process, folder, wanted(0));
            world.run(vec![(process, Box::pin(command))]).await;
        }
    });
    println!("{runs} sequences of at most {faults} faults");
    assert!(runs > 50, "{runs} sequences are too few to mean anything");
}

#[test]
fn no_interleaving_of_two_processes_repeats_or_loses_a_call() {
    let faults = if runs_all() { 2 } else { 1 };
    let runs = walk(faults, async |world, folder| {
        let processes = [1, 2].map(|process| {
            let command = command(world, process, folder, wanted(0));
            (process, Box::pin(command) as _)
        });
        world.run(processes.into()).await;
    });
    println!("{runs} interleavings with at most {faults} faults");
    assert!(
        runs > 50,
        "{runs} interleavings are too few to mean anything"
    );
}

#[test]
fn no_random_sequence_of_processes_repeats_or_loses_a_call() {
    let seeds = if runs_all() { 10_000 } else { 1_000 };
    for seed in 0..seeds {
        let rng = Rc::new(RefCell::new(StdRng::seed_from_u64(seed)));
        let chooser = Rc::clone(&rng);
        let choose = move |options: usize| {
            let mut rng = chooser.borrow_mut();
            // Let most steps succeed, or hardly any calls would be made. Only the service's
            // response has 8 options, which are all equally likely.
            if options != 8 && rng.random_bool(0.7) {
                0
            } else {
                rng.random_range(0..options)
            }
        };
        in_world(Box::new(choose), 12, true, async |world, folder| {
            let rounds = rng.borrow_mut().random_range(1..=3);
            for _ in 0..rounds {
                let count = rng.borrow_mut().random_range(2..=4);
                let key = "shared-key"
                    .parse()
                    .ok()
                    .filter(|_| rng.borrow_mut().random_bool(0.3));
                let processes = (1..=count).map(|process| {
                    let number = rng.borrow_mut().random_range(0..2);
                    let is_resumed = rng.borrow_mut().random_bool(0.2);
                    let key = key.clone().filter(|_| number == 0);
                    let work: std::pin::Pin<Box<dyn Future<Output = ()>>> = match is_resumed {
                        true => Box::pin(resume(world, process, folder)),
                        false => Box::pin(command(
                            world,
                            process,
                            folder,
                            Wanted {
                                key,
                                ..wanted(number)
                            },
                        )),
                    };
                    (process, work)
                });
                let processes: Vec<_> = processes.collect();
                world.run(processes).await;
            }
        });
    }
}
