//! Which calls are waited for: a file for each, locked by the processes that wait. The system frees the lock of a
//! process that dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{IdempotencyKey, sha256};
use crate::files;

/// Shows, for as long as it is held, that this process waits for a call.
pub struct WaitLock {
    path: PathBuf,
    file: File,
}

/// How many files are looked at for those that killed processes left, each time one is added.
const LOOKED_AT: usize = 8;
/// How often a file is looked at where nothing else tells that it is free.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(100);
/// How long another process may ask whether a file is locked, which takes it microseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The pauses between attempts to lock grow from the first to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];
/// The folder of the files, in the state folder.
const FOLDER: &str = "waiting";

impl WaitLock {
    /// Shows that this process waits for the call of a key. Others may wait too.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn take(folder: &Path, key: &IdempotencyKey) -> io::Result<Self> {
        let path = file_of(folder, key);
        files::private_folder(path.parent().unwrap_or(folder))?;
        remove_abandoned(path.parent().unwrap_or(folder));
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            let options = &mut OpenOptions::new();
            let options = files::private(options.create(true).truncate(false).read(true).write(true));
            let file = files::without_waiting(options).open(&path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a lock there is not a regular file",
                ));
            }
            match files::share_with_folders_owner(&path) {
                // Another process has removed it as abandoned.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                shared => shared?,
            }
            // Exclusive only while somebody asks whether it is held.
            locked(|| file.try_lock_shared(), deadline).await?;
            // Another process may have removed it before it was locked, as abandoned.
            if files::is_at(&file, &path) {
                return Ok(Self { path, file });
            }
        }
    }
}

impl Drop for WaitLock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
        // Others may wait for the same call, or have taken it up again in a file of their own.
        if self.file.try_lock().is_ok() && files::is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Locks a file, as soon as no other process has it locked.
///
/// # Errors
/// When one still has at `deadline`, or it cannot be locked.
pub async fn locked(attempt: impl Fn() -> Result<(), TryLockError>, deadline: Instant) -> io::Result<()> {
    let [mut pause, longest] = PAUSES;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            Err(TryLockError::WouldBlock) => {
                let held = "another process does not let go of it";
                return Err(io::Error::new(io::ErrorKind::TimedOut, held));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Whether a process waits for the call of a key. Where that cannot be told, one may.
pub fn is_held(folder: &Path, key: &IdempotencyKey) -> bool {
    is_locked(&file_of(folder, key))
}

/// Waits until no process waits for the call of a key.
pub async fn released(folder: &Path, key: &IdempotencyKey) {
    let path = file_of(folder, key);
    let (sender, free) = tokio::sync::oneshot::channel::<()>();
    let in_thread = path.clone();
    // The system wakes this up; a thread that it never wakes does not keep the program from ending.
    let waiting = std::thread::Builder::new().name("wait".into()).spawn(move || {
        if let Ok(file) = files::without_waiting(OpenOptions::new().read(true)).open(&in_thread) {
            let _ = file.lock();
        }
        drop(sender);
    });
    match waiting {
        Ok(_) => drop(free.await),
        // There can be no thread.
        Err(_) => {
            while is_locked(&path) {
                tokio::time::sleep(LOOKED_AT_EVERY).await;
            }
        }
    }
}

/// Removes all the files.
///
/// # Errors
/// When they cannot be removed.
pub fn remove_all(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder.join(FOLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what killed processes left.
fn remove_abandoned(folder: &Path) {
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for path in files.flatten().map(|file| file.path()).take(LOOKED_AT) {
        let Ok(file) = files::without_waiting(OpenOptions::new().read(true)).open(&path) else { continue };
        // Locked while it goes, so that whoever opens it now finds that it has gone.
        if file.try_lock().is_ok() && files::is_at(&file, &path) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn is_locked(path: &Path) -> bool {
    match files::without_waiting(OpenOptions::new().read(true)).open(path) {
        Ok(file) => file.try_lock().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Keys may hold any visible character and be long; file names may not.
fn file_of(folder: &Path, key: &IdempotencyKey) -> PathBuf {
    let key = key.as_str().as_bytes();
    let name: String = if key.len() <= 100 {
        key.iter().map(|b| format!("{b:02x}")).collect()
    } else {
        format!("sha256-{}", sha256(key))
    };
    folder.join(FOLDER).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder, and the file there that stands for the waiting, which somebody else has open.
    fn opened(key: &IdempotencyKey) -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(FOLDER)).expect("a folder");
        let file = File::create(file_of(folder.path(), key)).expect("a file");
        (folder, file)
    }

    #[tokio::test]
    async fn whoever_waits_lets_those_finish_who_ask_whether_anybody_does() {
        let key: IdempotencyKey = "k".parse().expect("a key");
        let (folder, asking) = opened(&key);
        asking.lock().expect("a lock");
        let mut taking = std::pin::pin!(WaitLock::take(folder.path(), &key));
        assert!(tokio::time::timeout(Duration::ZERO, &mut taking).await.is_err(), "it is asked for just now");
        asking.unlock().expect("a lock");
        assert!(taking.await.is_ok());
    }

    #[tokio::test]
    async fn whoever_begins_to_wait_takes_no_sign_away_that_others_still_hold_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let [first, second] = ["a", "b"].map(|key| key.parse::<IdempotencyKey>().expect("a key"));
        let _waiting = WaitLock::take(folder.path(), &first).await.expect("a lock");
        let _too = WaitLock::take(folder.path(), &second).await.expect("a lock");
        assert!(is_held(folder.path(), &first) && is_held(folder.path(), &second));
    }

    #[tokio::test]
    async fn a_lock_that_others_keep_is_given_up_in_the_end() {
        let (folder, held) = opened(&"k".parse().expect("a key"));
        held.lock().expect("a lock");
        let path = file_of(folder.path(), &"k".parse().expect("a key"));
        let file = File::open(path).expect("the file");
        let attempt = locked(|| file.try_lock(), Instant::now());
        let ended = tokio::time::timeout(LOCK_TIMEOUT, attempt).await.expect("an end");
        assert_eq!(ended.expect_err("it is held").kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_cannot_be_removed_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        remove_all(folder.path()).expect("nothing to remove");
        std::fs::write(folder.path().join(FOLDER), "").expect("a file in the place of the folder");
        assert!(remove_all(folder.path()).is_err());
    }
}
