//! Stores the sandbox's data in one file that several processes can share.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::Login;

const FILE: &str = "state.json";
const LOCK_FILE: &str = "state.lock";

/// Maximum number of stored calls and of stored logins. Each request reads the whole file, so the
/// file must be small.
const MAX_ITEMS: usize = 500;

/// The contents of the data file. Both lists start with the oldest item.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// The issued tokens, and when each access token expires.
    pub(super) logins: Vec<(Login, Timestamp)>,
    pub(super) calls: Vec<Call>,
}

/// A simulated call. Its status depends only on these fields and the current time, so the call
/// continues after the sandbox stops.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) id: String,
    /// The `Idempotency-Key` header, or an empty string if the request had none.
    pub(super) idempotency_key: String,
    pub(super) created_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) timezone: String,
    pub(super) submission: Value,
}

impl Call {
    pub(super) fn has_ended(&self) -> bool {
        self.ends_at <= Timestamp::now()
    }

    pub(super) fn seconds(&self) -> f64 {
        self.ends_at.duration_since(self.created_at).as_secs_f64()
    }
}

pub(super) struct Store {
    pub(super) folder: PathBuf,
}

impl Store {
    pub(super) fn read(&self) -> io::Result<State> {
        // Lock the file even for reading, because Windows can't replace a file that is being read.
        let lock = self.lock_file()?;
        lock.lock_shared()?;
        self.load()
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let lock = self.lock_file()?;
        lock.lock()?;
        let mut state = self.load()?;
        let result = change(&mut state);
        drop_oldest(&mut state.calls);
        drop_oldest(&mut state.logins);
        // `NamedTempFile` creates the file with mode 0600, which protects the tokens in it.
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(&state)?)?;
        file.persist(self.folder.join(FILE))?;
        Ok(result)
    }

    fn load(&self) -> io::Result<State> {
        match fs::read(self.folder.join(FILE)) {
            // Treat the file as empty if an incompatible version wrote it.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(error),
        }
    }

    /// Opens the lock file without locking it. Dropping the returned file releases any lock on it.
    fn lock_file(&self) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        options.open(self.folder.join(LOCK_FILE))
    }
}

fn drop_oldest<T>(list: &mut Vec<T>) {
    list.drain(..list.len().saturating_sub(MAX_ITEMS));
}

/// Removes the sandbox's files from `folder`, then `folder` itself if it is empty.
///
/// # Errors
///
/// Returns an error if a file cannot be removed.
pub fn forget(folder: &Path) -> io::Result<()> {
    for file in [FILE, LOCK_FILE] {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // Ignore errors: the folder may not exist or may contain other files.
    let _ = fs::remove_dir(folder);
    Ok(())
}
