//! The memory, and other processes that share it.

use super::*;
use crate::sandbox::clock::now;
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn issue(store: &Store) {
    store.update(|memory| memory.logins.issue(now(), HOUR)).expect("a save");
}

fn count(store: &Store) -> usize {
    store.read().expect("a memory").logins.len()
}

#[test]
fn changes_made_at_once_by_many_are_all_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| issue(&Store::open(folder.path().to_owned()).expect("a store")));
        }
    });
    assert_eq!(count(&Store::open(folder.path().to_owned()).expect("a store")), 16);
}

#[test]
fn what_another_process_changes_is_seen_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, other] = [(); 2].map(|()| Store::open(folder.path().to_owned()).expect("a store"));
    for round in 1..=20 {
        issue(&one);
        assert_eq!(count(&other), 2 * round - 1);
        issue(&other);
        assert_eq!(count(&one), 2 * round);
    }
}

#[test]
fn an_unchanged_file_is_not_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().to_owned()).expect("a store");
    issue(&store);
    let memory = store.read().expect("a memory");
    assert!(Arc::ptr_eq(&memory, &store.read().expect("a memory")));
}

#[test]
fn a_file_that_is_deleted_is_forgotten_and_written_anew() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("sandbox");
    let store = Store::open(folder.clone()).expect("a store");
    issue(&store);
    fs::remove_file(folder.join(FILE)).expect("the file");
    assert_eq!(count(&store), 0);
    fs::remove_dir_all(&folder).expect("the folder");
    assert_eq!(count(&store), 0);
    issue(&store);
    assert_eq!(count(&Store::open(folder).expect("a store")), 1);
}

#[test]
fn a_damaged_file_is_put_aside_and_the_sandbox_starts_afresh() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(FILE), "{\"logins\": [\0").expect("a file");
    let store = Store::open(folder.path().to_owned()).expect("a store");
    issue(&store);
    let aside = fs::read(folder.path().join(DAMAGED_FILE)).expect("the damaged file");
    assert_eq!(aside, b"{\"logins\": [\0");
    assert_eq!(count(&store), 1);
}

#[cfg(unix)]
#[test]
fn a_change_that_cannot_be_saved_is_not_remembered() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("sandbox");
    let store = Store::open(folder.clone()).expect("a store");
    issue(&store);
    let failed = store.update(|memory| {
        memory.logins.issue(now(), HOUR);
        fs::remove_dir_all(&folder).expect("the folder");
    });
    assert!(failed.is_err());
    assert_eq!(count(&store), 0);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_memory() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("state").join("sandbox");
    let store = Store::open(folder.clone()).expect("a store");
    issue(&store);
    let mode = |path: PathBuf| fs::metadata(path).expect("metadata").permissions().mode();
    assert_eq!(mode(folder.join(FILE)) & 0o777, 0o600);
    assert_eq!(mode(folder.join(LOCK_FILE)) & 0o777, 0o600);
    assert_eq!(mode(folder) & 0o777, 0o700);
}
