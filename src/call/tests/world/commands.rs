//! The commands `call` and `resume` in the simulated world.

use std::path::Path;

use tokio::sync::watch;

use super::{ALL, Client, LIMITS, ORIGIN, World};
use crate::call::entry::{Entry, Lookup};
use crate::call::journal::Journal;
use crate::call::record::{Recorder, Reserver, Shared};
use crate::call::run::{Start, run};
use crate::domain::{CallFields, CallRequest, Key, Zone};

/// The call that a process is asked to make.
#[derive(Clone)]
pub struct Wanted {
    pub number: &'static str,
    pub key: Option<Key>,
}

/// The command `kallyai call`: checks, makes the call, marks the result as shown.
pub async fn command(world: &World, process: usize, folder: &Path, wanted: Wanted) {
    let journal = Journal::new(folder.to_path_buf(), ORIGIN.into());
    let now = world.now();
    let task = "Reserve a table for 4 at 8pm".to_owned();
    let phone = wanted.number.parse().expect("a number");
    let fields = CallFields::default();
    let request = CallRequest::new(phone, task, fields, Zone::UTC, now);
    let lookup = Lookup {
        clock_difference: 0,
        listed: world
            .list()
            .iter()
            .filter_map(|call| call.call_id.parse().ok())
            .collect(),
    };
    let key = wanted.key.unwrap_or_else(Key::generate);
    let entry = Entry {
        lookup: Some(lookup),
        ..Entry::new(key, ORIGIN.into(), &request, now)
    };
    let contents = journal.read().expect("a journal");
    if contents.key_in_use(&entry).is_some() {
        return resume(world, process, folder).await;
    }
    if contents.refusal(&entry, ALL, now).is_some() {
        return;
    }
    // The viewer stays: its end is tested from outside.
    let watching = watch::Sender::new(true);
    let shared = Shared::new(entry);
    let reserver = Reserver {
        journal: journal.clone(),
        entry: shared.clone(),
        guards: ALL,
        is_watched: watching.subscribe(),
        is_reserved: watch::Sender::new(false),
    };
    follow(world, process, shared, Some(reserver), &journal).await;
}

/// The command `kallyai resume`, for every pending call.
pub async fn resume(world: &World, process: usize, folder: &Path) {
    let journal = Journal::new(folder.to_path_buf(), ORIGIN.into());
    let contents = journal.read().expect("a journal");
    let pending: Vec<Entry> = contents
        .calls
        .iter()
        .filter(|entry| !entry.shown)
        .cloned()
        .collect();
    for entry in pending {
        if entry.not_made().is_some() {
            journal.remove(&entry).await.expect("a journal");
            continue;
        }
        follow(world, process, Shared::new(entry), None, &journal).await;
    }
}

async fn follow(
    world: &World,
    process: usize,
    entry: Shared,
    reserver: Option<Reserver>,
    journal: &Journal,
) {
    let is_sender = reserver.is_some();
    let start = match is_sender {
        true => Start::Send,
        false => Start::again(&entry.get()),
    };
    let recorder = Recorder::new(journal, Some(entry.clone()), is_sender);
    let mut client = Client {
        world,
        process,
        recorder,
        reserver,
    };
    let outcome = run(&mut client, start, LIMITS).await;
    client.point().await;
    if let Ok(call) = outcome {
        world.calls.borrow()[world.index_of(&call.value.call_id)]
            .is_shown
            .set(true);
        client.point().await;
        world.turn(process).await;
        journal
            .change(&entry.get(), |entry| entry.shown = true)
            .await
            .expect("a journal");
    }
}
