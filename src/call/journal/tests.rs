//! The journal on disk.

use super::super::entry::EntryState;
use super::*;
use crate::domain::{CallStatus, example_request};
use crate::error::{Error, Kind};

const ORIGIN: &str = "https://example.org";
const ALL: Guards = Guards { open: true, done: true, chosen_key: true };

fn journal(folder: &tempfile::TempDir) -> Journal {
    Journal::new(folder.path().join("state"), ORIGIN.into())
}

fn entry(key: &str, task: &str) -> Entry {
    Entry::new(key.parse().expect("a key"), &example_request(task), ORIGIN.into(), Moment::now())
}

fn id(text: &str) -> CallId {
    text.parse().expect("an ID")
}

/// The one entry there is.
fn only(journal: &Journal) -> Entry {
    let mut entries = journal.read().expect("a journal").entries;
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

fn write_log(journal: &Journal, text: &[u8]) {
    std::fs::create_dir_all(&journal.folder).expect("a folder");
    std::fs::write(journal.log_file(), text).expect("a journal");
}

#[tokio::test]
async fn what_is_recorded_is_read_back_state_by_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let entry = entry("k", "Ask");
    let (waiting, _) = journal.open(&entry, ALL, Contents::default()).await.expect("a journal");
    assert_eq!(only(&journal), entry);
    assert!(journal.is_waited_for(&entry.key));
    journal.record(&entry.key, &Change::Sent).await.expect("a line");
    assert_eq!(only(&journal).state, EntryState::Sent);
    assert!(journal.assign_call_id(&entry.key, &id("a")).await.expect("a line"));
    assert_eq!(only(&journal).state, EntryState::Running(id("a")));
    let status = Some(&CallStatus::Busy);
    journal.record(&entry.key, &Change::Ended { call_id: None, status, shown: false }).await.expect("a line");
    let ended = EntryState::Ended { call_id: Some(id("a")), status: status.cloned() };
    assert_eq!((only(&journal).state, only(&journal).shown), (ended, false));
    journal.record(&entry.key, &Change::Shown).await.expect("a line");
    assert!(only(&journal).shown);
    drop(waiting);
    assert!(!journal.is_waited_for(&entry.key));
    journal.record(&entry.key, &Change::Discarded).await.expect("a line");
    assert!(journal.read().expect("a journal").entries.is_empty());
}

#[tokio::test]
async fn a_refusal_is_kept_with_all_that_is_known_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, entry) = (journal(&folder), entry("k", "Ask"));
    drop(journal.open(&entry, ALL, Contents::default()).await.expect("a journal"));
    let mut error = Error::new(Kind::Refused, "the minutes are used up");
    error.facts.http_status = Some(402);
    error.facts.server_code = Some("quota_exceeded".into());
    journal.record(&entry.key, &Change::Refused(&error)).await.expect("a line");
    assert_eq!(only(&journal).state, EntryState::Refused(Box::new(error)));
}

#[tokio::test]
async fn a_call_is_one_entrys_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let again = Guards { open: false, done: false, chosen_key: false };
    for key in ["a", "b"] {
        drop(journal.open(&entry(key, "Ask"), again, Contents::default()).await.expect("a journal"));
    }
    let key = |text: &str| text.parse::<IdempotencyKey>().expect("a key");
    assert!(journal.assign_call_id(&key("a"), &id("x")).await.expect("a line"));
    assert!(!journal.assign_call_id(&key("b"), &id("x")).await.expect("a journal"));
    assert!(journal.assign_call_id(&key("a"), &id("x")).await.expect("the same again"));
}

#[tokio::test]
async fn what_another_process_wrote_since_the_journal_was_read_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    drop(journal.open(&entry("a", "Ask"), ALL, Contents::default()).await.expect("a journal"));
    let key: IdempotencyKey = "a".parse().expect("a key");
    journal.record(&key, &Change::Discarded).await.expect("a line");
    let (read, read_too) = (journal.read().expect("a journal"), journal.read().expect("a journal"));
    assert!(read.identity.is_some(), "it stands for the file until that changes");
    let (_waiting, _) = journal.open(&entry("b", "Ask"), ALL, read).await.expect("nothing is in the way");
    let refused = journal.open(&entry("c", "Ask"), ALL, read_too).await.err().expect("a refusal");
    assert!(matches!(refused, OpenError::Refused(Refusal::Open(_))), "{refused:?}");
}

#[tokio::test]
async fn what_was_prepared_by_a_process_that_ended_is_in_nobodys_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let (waiting, _) = journal.open(&entry("a", "Ask"), ALL, Contents::default()).await.expect("a journal");
    let refused =
        journal.open(&entry("b", "Other words"), ALL, Contents::default()).await.err().expect("a refusal");
    assert!(matches!(refused, OpenError::Refused(Refusal::Open(_))), "{refused:?}");
    drop(waiting);
    // Where the system does not tell when it was started, what followed may be lost.
    let is_told = Moment::now().boot.is_some();
    assert_eq!(journal.open(&entry("b", "Other words"), ALL, Contents::default()).await.is_ok(), is_told);
    // Its key was never used.
    if is_told {
        assert!(
            journal
                .open(&entry("a", "Ask"), Guards { open: false, ..ALL }, Contents::default())
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn keys_of_forgotten_calls_stay_known_with_their_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let done = entry("done", "Ask");
    drop(journal.open(&done, ALL, Contents::default()).await.expect("a journal"));
    let change = Change::Ended { call_id: Some(&id("x")), status: Some(&CallStatus::Busy), shown: true };
    journal.record(&done.key, &change).await.expect("a line");
    journal.forget_done().await.expect("a journal");
    assert!(journal.read().expect("a journal").entries.is_empty());
    let refused = journal.open(&done, ALL, Contents::default()).await.err().expect("a refusal");
    assert!(matches!(&refused, OpenError::Used(Some(call)) if *call == id("x")), "{refused:?}");
    let refused = journal
        .open(&entry("done", "Something else"), ALL, Contents::default())
        .await
        .err()
        .expect("a refusal");
    assert!(matches!(refused, OpenError::Refused(Refusal::KeyTaken)), "{refused:?}");
    let elsewhere = Journal::new(folder.path().join("state"), "https://other.example".into());
    let mut fresh = done.clone();
    fresh.origin = Some("https://other.example".into());
    assert!(
        elsewhere.open(&fresh, ALL, Contents::default()).await.is_ok(),
        "another service has keys of its own"
    );
}

#[tokio::test]
async fn a_rewritten_journal_says_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let again = Guards { open: false, done: false, chosen_key: false };
    for (key, shown) in [("shown", true), ("kept", false)] {
        drop(journal.open(&entry(key, key), again, Contents::default()).await.expect("a journal"));
        let key = key.parse().expect("a key");
        journal.record(&key, &Change::Sent).await.expect("a line");
        let change = Change::Ended { call_id: Some(&id("x")), status: Some(&CallStatus::Success), shown };
        journal.record(&key, &change).await.expect("a line");
    }
    for key in ["sent", "running"] {
        drop(journal.open(&entry(key, key), again, Contents::default()).await.expect("a journal"));
        journal.record(&key.parse().expect("a key"), &Change::Sent).await.expect("a line");
    }
    journal.assign_call_id(&"running".parse().expect("a key"), &id("y")).await.expect("a line");
    let log = journal.log_file();
    let at = Moment::now().unix - 60;
    let first_version = format!(r#"{{"key":"old","at":{at},"number":"+15551234567","task":"Old"}}"#);
    let text = std::fs::read_to_string(&log).expect("a journal");
    std::fs::write(&log, format!("{first_version}\n{text}{{\"v\":9}}\n")).expect("a journal");
    let mut before = journal.read().expect("a journal");
    journal.forget_done().await.expect("a journal");
    let after = journal.read().expect("a journal");
    before.entries.retain(|entry| !entry.shown);
    assert_eq!(after.entries, before.entries);
    assert_eq!((before.entries.len(), after.unreadable.len()), (4, 1));
    let text = std::fs::read_to_string(&log).expect("a journal");
    assert!(text.ends_with("{\"v\":9}\n"), "{text}");
    let lines: usize = after.entries.iter().map(line_count).sum();
    assert_eq!(lines, after.lines - after.unreadable.len(), "a rewritten journal has nothing more to lose");
}

#[tokio::test]
async fn the_log_is_rewritten_once_enough_of_its_lines_say_nothing_more() {
    for (superseded, lines) in [(MAX_SUPERSEDED - 1, MAX_SUPERSEDED + 5), (MAX_SUPERSEDED, 6)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, entry) = (journal(&folder), entry("k", "Ask"));
        // Two lines are needed, and three cannot be read.
        let sent = line_of(&entry.key, &Change::Sent).repeat(superseded + 1);
        let unreadable = b"{\"v\":9}\n".repeat(3);
        write_log(&journal, &[line_of(&entry.key, &Change::Prepared(&entry)), sent, unreadable].concat());
        let none = Guards { open: false, done: false, chosen_key: false };
        drop(journal.open(&self::entry("new", "Ask"), none, Contents::default()).await.expect("a journal"));
        assert_eq!(journal.read().expect("a journal").lines, lines);
    }
}

#[tokio::test]
async fn what_is_done_is_forgotten_many_at_once() {
    for (age, surplus, kept) in [
        (GUARDED_FOR, PRUNED_TOGETHER - 1, MAX_DONE + PRUNED_TOGETHER - 1),
        (GUARDED_FOR, PRUNED_TOGETHER, MAX_DONE),
        // They still keep the same from being done again.
        (GUARDED_FOR - 60, PRUNED_TOGETHER, MAX_DONE + PRUNED_TOGETHER),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = journal(&folder);
        let written = Moment { unix: Moment::now().unix - age, boot: None };
        let done = |number: usize| {
            let state = EntryState::Ended { call_id: None, status: Some(CallStatus::Busy) };
            let entry = entry(&format!("done-{number}"), "Ask");
            lines_of(&Entry { state, shown: true, written: written.clone(), ..entry })
        };
        write_log(&journal, &(0..MAX_DONE + surplus).flat_map(done).collect::<Vec<u8>>());
        drop(journal.open(&entry("new", "Ask"), ALL, Contents::default()).await.expect("a journal"));
        assert_eq!(journal.read().expect("a journal").entries.len(), kept + 1);
    }
}

#[tokio::test]
async fn a_chosen_key_is_not_used_while_nobody_can_read_which_were() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    std::fs::create_dir_all(journal.used_keys_file()).expect("a folder in the place of the file");
    let refused = journal.open(&entry("k", "Ask"), ALL, Contents::default()).await.err().expect("a refusal");
    assert!(matches!(refused, OpenError::Unavailable(_)), "{refused:?}");
}

#[tokio::test]
async fn a_removed_journal_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    drop(journal.open(&entry("k", "Ask"), ALL, Contents::default()).await.expect("a journal"));
    journal.remove().expect("a folder");
    assert_eq!(std::fs::read_dir(&journal.folder).expect("a folder").count(), 0);
    journal.remove().expect("nothing to remove");
}

#[tokio::test]
async fn a_lock_left_by_a_killed_process_is_cleaned_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let waiting = journal.folder.join("waiting");
    std::fs::create_dir_all(&waiting).expect("a folder");
    std::fs::write(waiting.join("abandoned"), "").expect("a file");
    let (held, _) = journal.open(&entry("k", "Ask"), ALL, Contents::default()).await.expect("a journal");
    let left = std::fs::read_dir(&waiting).expect("a folder").count();
    assert_eq!(left, 1);
    drop(held);
    assert_eq!(std::fs::read_dir(&waiting).expect("a folder").count(), 0);
}

#[tokio::test]
async fn two_processes_may_wait_for_one_call_and_the_last_takes_the_sign_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let key: IdempotencyKey = "k".parse().expect("a key");
    let first = journal.wait_too(&key).await.expect("a lock");
    let second = journal.wait_too(&key).await.expect("a lock");
    drop(first);
    assert!(journal.is_waited_for(&key));
    let mut others = std::pin::pin!(journal.wait_for_others(&key));
    assert!(tokio::time::timeout(Duration::ZERO, &mut others).await.is_err(), "one of them waits still");
    drop(second);
    others.await;
    assert!(!journal.is_waited_for(&key));
}

#[tokio::test]
async fn whoever_has_the_journal_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, entry) = (journal(&folder), entry("k", "Ask"));
    let (other, _) = journal.lock().await.expect("a lock");
    let mut recording = std::pin::pin!(journal.record(&entry.key, &Change::Sent));
    assert!(tokio::time::timeout(Duration::ZERO, &mut recording).await.is_err(), "it does not give up yet");
    drop(other);
    recording.await.expect("a line");
}

#[tokio::test]
async fn only_what_was_certainly_never_sent_is_taken_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let entry = entry("k", "Ask");
    let (waiting, _) = journal.open(&entry, ALL, Contents::default()).await.expect("a journal");
    let latest = journal.discard_unsent(&entry).await.expect("a journal");
    assert_eq!(latest.as_ref(), Some(&entry), "its process is about to send it");
    journal.record(&entry.key, &Change::Sent).await.expect("a line");
    drop(waiting);
    // The entry as it was read before that.
    let latest = journal.discard_unsent(&entry).await.expect("a journal").expect("an entry");
    assert_eq!((latest.state, only(&journal).state), (EntryState::Sent, EntryState::Sent));
    let unsent = Entry { key: "unsent".parse().expect("a key"), ..entry };
    drop(journal.open(&unsent, Guards { open: false, ..ALL }, Contents::default()).await.expect("a journal"));
    // Where the system does not tell when it was started, what followed may be lost.
    let is_told = Moment::now().boot.is_some();
    assert_eq!(journal.discard_unsent(&unsent).await.expect("a journal").is_none(), is_told);
    assert_eq!(journal.read().expect("a journal").entries.len(), if is_told { 1 } else { 2 });
}

#[tokio::test]
async fn a_lock_that_cannot_be_looked_at_counts_as_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    let key: IdempotencyKey = "k".parse().expect("a key");
    assert!(!journal.is_waited_for(&key));
    std::fs::create_dir_all(&journal.folder).expect("a folder");
    std::fs::write(journal.folder.join("waiting"), "").expect("a file in the place of the folder");
    assert_eq!(journal.is_waited_for(&key), cfg!(unix));
}

#[tokio::test]
async fn a_used_key_stays_known_behind_a_line_that_a_crash_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    std::fs::create_dir_all(&journal.folder).expect("a folder");
    std::fs::write(journal.used_keys_file(), r#"{"key_sha256":"00"#).expect("a file");
    let done = entry("done", "Ask");
    drop(journal.open(&done, ALL, Contents::default()).await.expect("a journal"));
    let change = Change::Ended { call_id: Some(&id("x")), status: None, shown: true };
    journal.record(&done.key, &change).await.expect("a line");
    journal.forget_done().await.expect("a journal");
    let refused = journal.open(&done, ALL, Contents::default()).await.err().expect("a refusal");
    assert!(matches!(&refused, OpenError::Used(Some(call)) if *call == id("x")), "{refused:?}");
    // Whatever is damaged of what tells of it is known to be.
    let lines = std::fs::read(journal.used_keys_file()).expect("lines");
    let line = lines.iter().position(|b| *b == b'\n').expect("two lines") + 1;
    for at in line..lines.len() - 1 {
        let mut damaged = lines.clone();
        damaged[at] ^= 4;
        std::fs::write(journal.used_keys_file(), &damaged[line..]).expect("a file");
        let contents = journal.read().expect("a journal");
        assert!(journal.needs_look(&contents, &done, ALL), "{at}");
        assert!(!journal.needs_look(&contents, &done, Guards { chosen_key: false, ..ALL }));
    }
}

#[tokio::test]
async fn a_chosen_key_that_a_damaged_line_names_was_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(&folder);
    write_log(&journal, b"{\"v\":2,\"key\":\"mine\",\"event\":\"pre\n");
    let opened = async |key: &str| {
        let contents = journal.read().expect("a journal");
        journal.open(&entry(key, "Ask"), ALL, contents).await.map(drop)
    };
    let refused = opened("mine").await.expect_err("a refusal");
    assert!(matches!(refused, OpenError::Used(None)), "{refused:?}");
    assert!(opened("another").await.is_ok());
}

#[tokio::test]
async fn signing_out_leaves_nothing_of_calls_that_were_never_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, entry) = (journal(&folder), entry("k", "Ask"));
    let made = line_of(&entry.key, &Change::Prepared(&entry));
    write_log(&journal, &[made, line_of(&entry.key, &Change::Discarded)].concat());
    journal.forget_done().await.expect("a journal");
    assert_eq!(std::fs::read(journal.log_file()).expect("a journal"), b"");
}
