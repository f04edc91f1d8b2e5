//! The journal: a folder with one JSON file per call.
//!
//! Every write creates a complete temporary file and renames it into place under one advisory lock,
//! so readers never see a partial file. If a file is damaged, only that call's record is lost.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;
use tokio::time::Instant;

use super::entry::Entry;
use crate::domain::{CallId, Key};
use crate::error::{Error, Kind, Result, io_reason};
use crate::files::{self, Lock};

/// How long to wait for the lock. Another process normally holds it for a few milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call's file is kept after its last change.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a temporary file is kept, in case another process is still using it.
const TEMPORARY_KEPT: Duration = Duration::from_secs(3600);
const TEMPORARY: &str = ".new-";

/// A handle to the journal in one state folder.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
    origin: String,
}

/// A snapshot of the journal.
#[derive(Debug, Default)]
pub struct Contents {
    /// Calls made through this service, newest first.
    pub calls: Vec<Entry>,
    /// Calls made through other services. Their keys cannot be used again either.
    pub others: Vec<Entry>,
    /// Files that cannot be read.
    pub damaged: Vec<PathBuf>,
}

impl Journal {
    /// Creates a handle. The state folder need not exist yet. `origin` identifies the service.
    pub fn new(folder: PathBuf, origin: String) -> Self {
        Self { folder, origin }
    }

    pub fn read(&self) -> Result<Contents> {
        self.usable(self.try_read())
    }

    fn try_read(&self) -> io::Result<Contents> {
        let listed = match fs::read_dir(self.calls_folder()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
            listed => listed?,
        };
        let mut contents = Contents::default();
        for file in listed {
            let path = file?.path();
            if !is_call(&path) {
                continue;
            }
            match read_file(&path) {
                // The file was deleted after the folder was listed.
                Ok(None) => {}
                Err(_) => contents.damaged.push(path),
                Ok(Some(entry)) if entry.origin == self.origin => contents.calls.push(entry),
                Ok(Some(entry)) => contents.others.push(entry),
            }
        }
        contents.calls.sort_by_key(|entry| Reverse(entry.sent_at));
        Ok(contents)
    }

    /// Returns the call with this key, if it was made through this service.
    pub fn find(&self, key: &Key) -> Result<Option<Entry>> {
        let found = self.usable(read_file(&self.file(key)))?;
        Ok(found.filter(|entry| entry.origin == self.origin))
    }

    /// Writes the temporary file for reserving a call. Also called before connecting, so that an
    /// unwritable folder is reported even if the service is unreachable.
    pub fn prepare(&self, call: &Entry) -> Result<NamedTempFile> {
        self.usable(self.create_folder().and_then(|()| self.write(call)))
    }

    /// Creates the folder for calls. Syncs the parent of every folder that it creates.
    fn create_folder(&self) -> io::Result<()> {
        let calls = self.calls_folder();
        let is_missing = |folder: &&Path| !folder.is_dir();
        let missing: Vec<&Path> = calls.ancestors().take_while(is_missing).collect();
        files::private_folder(&calls)?;
        let mut parents = missing.into_iter().map(files::folder_of);
        parents.try_for_each(files::sync_folder)
    }

    /// Writes an entry to a temporary file, without syncing it.
    fn write(&self, entry: &Entry) -> io::Result<NamedTempFile> {
        let mut json = serde_json::to_vec_pretty(entry)?;
        json.push(b'\n');
        let mut file = files::temp_file(&self.folder, TEMPORARY)?;
        file.write_all(&json)?;
        Ok(file)
    }

    /// Applies `change` to the call's file. Does nothing if the file was removed.
    pub async fn change(&self, call: &Entry, change: impl FnOnce(&mut Entry)) -> Result<()> {
        // If the call was never reserved or was removed, do not wait for the lock.
        if matches!(self.owned(call), Ok(None)) {
            return Ok(());
        }
        let _lock = self.lock().await?;
        self.change_locked(call, change)
    }

    pub fn change_locked(&self, call: &Entry, change: impl FnOnce(&mut Entry)) -> Result<()> {
        let Some(mut entry) = self.owned(call)? else {
            return Ok(());
        };
        let before = entry.clone();
        change(&mut entry);
        if entry == before {
            return Ok(());
        }
        let replace = || {
            let file = self.write(&entry)?;
            file.as_file().sync_all()?;
            files::persist(file, &self.file(&call.key))
        };
        self.usable(replace())
    }

    /// Returns the call IDs recorded under other keys.
    pub fn ids_of_others(&self, key: &Key) -> Result<Vec<CallId>> {
        let calls = self.read()?.calls.into_iter();
        let others = calls.filter(|entry| entry.key != *key);
        Ok(others.filter_map(|entry| entry.call_id).collect())
    }

    /// Records a call ID that a lookup found. Returns `false`, and records nothing, if the ID is
    /// already recorded under another key.
    pub async fn claim(&self, call: &Entry, id: &CallId) -> Result<bool> {
        let _lock = self.lock().await?;
        if self.ids_of_others(&call.key)?.contains(id) {
            return Ok(false);
        }
        self.change_locked(call, |entry| {
            if entry.call_id.is_none() {
                entry.set_running(id);
            }
        })?;
        Ok(true)
    }

    /// Deletes the call's file, unless it holds another reservation.
    pub async fn remove(&self, call: &Entry) -> Result<()> {
        let _lock = self.lock().await?;
        if self.owned(call)?.is_some() {
            self.usable(files::remove(&self.file(&call.key)))?;
        }
        Ok(())
    }

    /// Updates the modification time of the call's file, to show that its worker is still running.
    pub fn touch(&self, call: &Entry) -> Result<()> {
        if self.owned(call)?.is_none() {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(self.file(&call.key));
        self.usable(file.and_then(|file| file.set_modified(SystemTime::now())))
    }

    /// Reads a call's file. Returns `None` if it is gone or holds another reservation.
    fn owned(&self, call: &Entry) -> Result<Option<Entry>> {
        let found = self.find(&call.key)?;
        Ok(found.filter(|entry| entry.reservation == call.reservation))
    }

    /// Deletes old files. Ignores errors, because leftover files are harmless.
    pub fn prune(&self, contents: &Contents) {
        let is_older = |at: SystemTime, age| at.elapsed().is_ok_and(|elapsed| elapsed >= age);
        for call in &contents.calls {
            if call.touched.is_some_and(|at| is_older(at, KEPT)) {
                let _ = files::remove(&self.file(&call.key));
            }
        }
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_temporary = file.file_name().to_string_lossy().starts_with(TEMPORARY);
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            if is_temporary && modified.is_ok_and(|at| is_older(at, TEMPORARY_KEPT)) {
                let _ = files::remove(&file.path());
            }
        }
    }

    pub async fn lock(&self) -> Result<Lock> {
        let path = self.folder.join("calls.lock");
        let locked = Lock::acquire(&path, Instant::now() + LOCK_TIMEOUT).await;
        self.usable(locked)?.ok_or_else(|| {
            let message = "the local call log has been locked by another process for 10 s";
            Error::new(Kind::JournalUnavailable, message)
                .with_hint(format!("end the process that locks {}", path.display()))
        })
    }

    /// Converts an I/O error into an error that says that the journal cannot be used.
    pub fn usable<T>(&self, result: io::Result<T>) -> Result<T> {
        result.map_err(|error| {
            let (folder, reason) = (self.calls_folder(), io_reason(&error));
            let folder = folder.display();
            let hint = format!("check {folder}, or set KALLYAI_STATE_DIR to another folder");
            let message = format!("the local call log {folder} cannot be used: {reason}");
            Error::new(Kind::JournalUnavailable, message).with_hint(hint)
        })
    }

    pub fn calls_folder(&self) -> PathBuf {
        self.folder.join("calls")
    }

    pub fn file(&self, key: &Key) -> PathBuf {
        self.calls_folder()
            .join(format!("call-{}.json", key.folded()))
    }
}

/// Returns whether a file holds a call, judging by its name, `call-*.json`.
fn is_call(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with("call-") && name.ends_with(".json")
}

/// Reads a call's file. Returns `None` if it does not exist.
fn read_file(path: &Path) -> io::Result<Option<Entry>> {
    let read = files::retry_while_shared(|| {
        let touched = fs::metadata(path)?.modified()?;
        let mut entry: Entry = serde_json::from_slice(&fs::read(path)?)?;
        entry.touched = Some(touched);
        Ok(entry)
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
