//! Models of `kallyai call` and `kallyai resume` for the simulated service.

use std::path::Path;

use tokio::sync::watch;

use super::{Client, LIMIT, ORIGIN, World};
use crate::call::entry::{Entry, Lookup};
use crate::call::guard::check;
use crate::call::journal::Journal;
use crate::call::live::Recorder;
use crate::call::reserve::Reserver;
use crate::call::run::{Step, run};
use crate::domain::{CallFields, CallRequest, Key, Secret, Zone};
use crate::helper;

/// The call that a process is asked to make.
#[derive(Clone)]
pub struct Wanted {
    pub number: &'static str,
    pub key: Option<Key>,
}

/// Models `kallyai call`: checks the request, makes the call and marks the result as shown.
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
    if check(&contents.earlier(), &entry, false, now).is_err() {
        return;
    }
    // In this model, the viewer never exits early. Integration tests cover that case.
    let (_viewer, parent) = helper::in_this_process();
    let reserver = Reserver {
        journal: journal.clone(),
        entry: entry.clone(),
        again: false,
        viewer: parent,
        is_reserved: watch::Sender::new(false),
    };
    let step = Step::Send(reserver, Secret::parse("token").expect("a token"));
    follow(world, process, entry, step, &journal).await;
}

/// Models `kallyai resume` for every pending call.
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
        let step = Step::after_sending(&entry);
        follow(world, process, entry, step, &journal).await;
    }
}

async fn follow(world: &World, process: usize, entry: Entry, step: Step, journal: &Journal) {
    let recorder = Recorder {
        journal,
        entry: Some(entry.clone()),
        unrecorded: None,
    };
    let mut client = Client {
        world,
        process,
        recorder,
    };
    let outcome = run(&mut client, step, LIMIT).await;
    client.point().await;
    if let Ok(call) = outcome {
        world.calls.borrow()[world.index_of(&call.value.call_id)]
            .is_shown
            .set(true);
        client.point().await;
        world.turn(process).await;
        journal
            .change(&entry, |entry| entry.shown = true)
            .await
            .expect("a journal");
    }
}
