//! The journal, that is, the local call log: a folder with one JSON file per call.
//!
//! Every write creates a complete temporary file and renames it into place under one advisory lock,
//! so readers never see a partial file. If a file is damaged, only that call's record is lost.

use std::cmp::Reverse;
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
/// How long a temporary file is kept. Younger files may still be in use by another process.
const TEMPORARY_KEPT: Duration = Duration::from_secs(3600);
const TEMPORARY: &str = ".new-";

/// A handle to the local call log in one state folder.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
    origin: String,
}

#[derive(Debug, Default)]
pub struct Contents {
    /// Calls made through the current service, newest first.
    pub calls: Vec<Entry>,
    /// Calls made through other services. Included, because their keys must not be reused.
    pub others: Vec<Entry>,
    pub damaged: Vec<PathBuf>,
}

impl Journal {
    /// Creates a handle. `folder` need not exist yet. `origin` identifies the service.
    pub fn new(folder: PathBuf, origin: String) -> Self {
        Self { folder, origin }
    }

    pub fn read(&self) -> Result<Contents> {
        let listed = match fs::read_dir(self.calls_folder()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
            listed => self.usable(listed)?,
        };
        let mut contents = Contents::default();
        for file in listed {
            let file = self.usable(file)?;
            let (name, path) = (file.file_name(), file.path());
            let name = name.to_string_lossy();
            if !name.starts_with("call-") || !name.ends_with(".json") {
                continue;
            }
            match read_file(&path) {
                // The file was deleted after the folder was listed.
                Ok(None) => {}
                // An entry without a number could not block another call to that number.
                Ok(Some(entry)) if entry.request.number().is_none() => contents.damaged.push(path),
                Ok(Some(entry)) if entry.origin == self.origin => contents.calls.push(entry),
                Ok(Some(entry)) => contents.others.push(entry),
                Err(_) => contents.damaged.push(path),
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

    /// Writes a call to a temporary file, which the caller renames into place to reserve the call.
    /// Also called before connecting, so that an unwritable folder is reported early.
    pub fn prepare(&self, call: &Entry) -> Result<NamedTempFile> {
        self.usable(self.create_folder().and_then(|()| self.write(call)))
    }

    /// Creates the folder for calls. Syncs the parents of new folders, so that the new folders
    /// survive a crash.
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
        // If the call has no file, return without waiting for the lock.
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

    /// Records the call ID that a search of the history found. Records nothing and returns `false`
    /// if the ID is already recorded under another key.
    pub async fn claim(&self, call: &Entry, id: &CallId) -> Result<bool> {
        let _lock = self.lock().await?;
        if self.read()?.ids_of_others(&call.key).any(|it| it == id) {
            return Ok(false);
        }
        self.change_locked(call, |entry| {
            if entry.call_id.is_none() {
                entry.set_running(id);
            }
        })?;
        Ok(true)
    }

    /// Deletes the call's file, unless the file now holds another call with the same key.
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

    /// Reads the call's file. Returns `None` if it is missing or holds another call with this key.
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
                .with_hint(format!("end the process that locked {}", path.display()))
        })
    }

    /// Converts an I/O error into an error saying that the local call log cannot be used.
    pub fn usable<T>(&self, result: io::Result<T>) -> Result<T> {
        result.map_err(|error| {
            let (folder, reason) = (self.calls_folder(), io_reason(&error));
            let folder = folder.display();
            let message = format!("the local call log in {folder} cannot be used: {reason}");
            let hint = format!("check {folder}, or set KALLYAI_STATE_DIR to another folder");
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

fn read_file(path: &Path) -> io::Result<Option<Entry>> {
    let read = files::retry_while_shared(|| {
        let touched = fs::metadata(path)?.modified()?;
        let mut entry: Entry = serde_json::from_slice(&fs::read(path)?)?;
        entry.touched = Some(touched);
        Ok(entry)
    });
    let is_missing = || fs::symlink_metadata(path).is_err();
    match read {
        // A dangling symlink is an error: the call's file may have been moved rather than removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_missing() => Ok(None),
        read => read.map(Some),
    }
}
