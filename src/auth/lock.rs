//! The right to change the login, for one process at a time: a lock on a file beside it, so that whoever shares the
//! login shares the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::access::no_follow;
use crate::files::{self, FileLock};

/// The right, until it is dropped.
pub struct Lock(
    #[expect(dead_code, reason = "held, and freed by the system however the process ends")] FileLock,
);

/// Why there is no lock.
pub enum LockError {
    /// Somebody else had it all the time.
    Busy,
    /// There can be none.
    Impossible(io::Error),
}

/// The wait between two attempts doubles from this.
pub const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest wait between two attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The lock's file for a login's.
pub fn lock_file(target: &Path) -> PathBuf {
    files::with_ending(target, ".lock")
}

/// Waits for the right to change the login in `target`.
///
/// # Errors
/// When there can be no lock, or it is held beyond `deadline`.
pub async fn acquire(target: &Path, deadline: Instant) -> Result<Lock, LockError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match try_acquire(target) {
            Err(LockError::Busy) => {}
            done => return done,
        }
        if Instant::now() + pause >= deadline {
            return Err(LockError::Busy);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The right to change the login in `target`, unless somebody else has it.
///
/// # Errors
/// When there can be no lock, or it is held.
pub fn try_acquire(target: &Path) -> Result<Lock, LockError> {
    let path = lock_file(target);
    hold(open(&path, target).map_err(LockError::Impossible)?, &path)
}

fn hold(file: File, path: &Path) -> Result<Lock, LockError> {
    match file.try_lock() {
        // A sign-out may have removed the file between opening and locking; its lock would be nobody else's.
        Ok(()) if files::is_at(&file, path) => Ok(Lock(FileLock::of(file))),
        Ok(()) | Err(TryLockError::WouldBlock) => Err(LockError::Busy),
        Err(TryLockError::Error(error)) => Err(LockError::Impossible(error)),
    }
}

fn open(path: &Path, target: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = no_follow(files::private(options.write(true)));
    // An open lock cannot be removed, not even by a sign-out: whoever has it has the one at this path.
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        /// To read and to write, but not to remove.
        const SHARED: u32 = 1 | 2;
        options.share_mode(SHARED);
    }
    loop {
        match files::retry_on_sharing_violation(|| options.create_new(true).open(path)) {
            Ok(file) => {
                chown_to_owner(&file, target);
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match files::retry_on_sharing_violation(|| options.create_new(false).open(path)) {
            // A sign-out has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
    }
}

/// Gives a new lock of root's to the login's owner, who would be locked out by it for good.
fn chown_to_owner(lock: &File, target: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if let (true, Ok(login)) = (rustix::process::geteuid().is_root(), std::fs::metadata(target)) {
            let _ = std::os::unix::fs::fchown(lock, Some(login.uid()), Some(login.gid()));
        }
    }
    #[cfg(not(unix))]
    let _ = (lock, target);
}

#[cfg(test)]
mod tests {
    use super::*;

    // On Windows nobody can remove it.
    #[cfg(unix)]
    #[test]
    fn a_lock_whose_file_was_removed_is_nobodys() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("login.json");
        let path = lock_file(&target);
        let opened = open(&path, &target).expect("a file");
        std::fs::remove_file(&path).expect("the file");
        assert!(matches!(hold(opened, &path), Err(LockError::Busy)));
        assert!(matches!(try_acquire(&target), Ok(Lock(_))), "the next one is another file's");
    }

    #[test]
    fn where_no_file_can_be_made_there_is_no_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let nowhere = folder.path().join("nowhere").join("login.json");
        assert!(matches!(try_acquire(&nowhere), Err(LockError::Impossible(_))));
    }

    #[cfg(windows)]
    #[tokio::test]
    async fn a_lock_that_is_held_cannot_be_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("login.json");
        let lock = acquire(&target, Instant::now()).await.unwrap_or_else(|_| panic!("no lock"));
        assert!(std::fs::remove_file(lock_file(&target)).is_err());
        assert!(matches!(acquire(&target, Instant::now()).await, Err(LockError::Busy)));
        drop(lock);
        std::fs::remove_file(lock_file(&target)).expect("nobody has it");
    }
}
