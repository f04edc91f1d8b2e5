//! The journal: a folder with one JSON file per call.
//!
//! A file is created complete and then replaced by rename, all under one advisory lock, so that it
//! is never torn and never read half. Damage stays with one call.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tempfile::NamedTempFile;
use tokio::time::Instant;

use super::entry::Entry;
use super::guard::{self, Earlier, Guards, Refusal};
use crate::api::Reserved;
use crate::domain::{CallId, Key};
use crate::error::{Error, Kind, Result, io_reason};
use crate::files::{self, Lock};

/// How long another process may hold the lock. It needs milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// A call is sent again only this soon after it was first reserved.
const RESEND_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// Untouched files are deleted after this time.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
const TEMPORARY_KEPT: Duration = Duration::from_secs(3600);
const TEMPORARY: &str = ".new-";

/// The calls of one state folder.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
    origin: String,
}

/// Proof that a call is in the journal.
pub struct Reservation(());

impl Reserved for Reservation {}

/// The journal as it was read.
#[derive(Debug, Default)]
pub struct Contents {
    /// Calls of this service, the newest first.
    pub calls: Vec<Entry>,
    /// Calls of other services: their keys are taken too.
    others: Vec<Entry>,
    /// Files that cannot be read.
    pub damaged: Vec<PathBuf>,
}

impl Contents {
    pub fn of_key(&self, key: &Key) -> Option<&Entry> {
        self.calls.iter().find(|entry| entry.key == *key)
    }

    /// The first damaged file as an error: it may be a call to the same number.
    pub fn damage(&self) -> Option<Error> {
        let path = self.damaged.first()?.display();
        let message = format!("{path} in the local call log cannot be read");
        let hint = format!("repair or remove {path}: removing it forgets that call");
        Some(Error::new(Kind::JournalUnavailable, message).with_hint(hint))
    }

    /// Why a new call must not be made: its key, or an earlier call.
    pub fn refusal(&self, new: &Entry, guards: Guards, now: Timestamp) -> Option<Refusal> {
        if let Some(known) = self.of_key(&new.key) {
            return Some(Refusal::of_key(known, new));
        }
        if self.others.iter().any(|other| other.key == new.key) {
            return Some(Refusal::KeyTaken);
        }
        self.refusal_by_others(new, guards, now)
    }

    fn refusal_by_others(&self, new: &Entry, guards: Guards, now: Timestamp) -> Option<Refusal> {
        let others = self.calls.iter().filter(|entry| entry.key != new.key);
        let earlier: Vec<Earlier> = others.map(Earlier::of_entry).collect();
        guard::refusal(&earlier, new, guards, now)
    }
}

impl Journal {
    /// `folder` is the state folder; it need not exist. `origin` is the service whose calls count.
    pub fn new(folder: PathBuf, origin: String) -> Self {
        Self { folder, origin }
    }

    /// Reads all files.
    pub fn read(&self) -> io::Result<Contents> {
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
                // Deleted in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => contents.damaged.push(path),
                Ok(entry) if entry.origin == self.origin => contents.calls.push(entry),
                Ok(entry) => contents.others.push(entry),
            }
        }
        contents.calls.sort_by_key(|entry| Reverse(entry.sent_at));
        Ok(contents)
    }

    /// The file of a key.
    pub fn find(&self, key: &Key) -> io::Result<Option<Entry>> {
        match read_file(&self.file(key)) {
            Ok(entry) => Ok(Some(entry).filter(|entry| entry.origin == self.origin)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reserves a call: its file exists afterwards, and only then may its first byte be written. A
    /// call that was reserved before, and not accepted, gets a new sending time.
    ///
    /// `is_watched` says whether the user still waits: the last check before the file gets its name.
    pub async fn reserve(
        &self,
        entry: &Entry,
        guards: Guards,
        is_watched: impl Fn() -> bool,
        now: Timestamp,
    ) -> Result<Reservation> {
        let prepared = self.create_folder().and_then(|()| self.write(entry));
        let prepared = prepared.map_err(|e| self.unavailable(&e))?;
        let lock = self.lock().await?;
        let reserved = self.reserve_locked(prepared, entry, guards, is_watched, now);
        // From the lock to here nothing waits, so nothing can be cancelled in between.
        drop(lock);
        reserved?;
        if let Err(error) = files::sync_folder(&self.calls_folder()) {
            self.remove(entry).await.map_err(|_| {
                let file = self.file(&entry.key);
                self.unavailable(&error)
                    .with_hint(format!("no call was made: remove {}", file.display()))
            })?;
            return Err(self.unavailable(&error));
        }
        Ok(Reservation(()))
    }

    /// Checks that a call can be reserved. Otherwise a service that cannot be reached would hide a
    /// folder that cannot be written.
    pub fn check(&self, call: &Entry) -> Result<()> {
        let written = self.create_folder().and_then(|()| self.write(call));
        written.map(drop).map_err(|e| self.unavailable(&e))
    }

    /// Creates the folder, and syncs those that it adds an entry to.
    fn create_folder(&self) -> io::Result<()> {
        let calls = self.calls_folder();
        let is_missing = |folder: &&Path| !folder.is_dir();
        let missing: Vec<&Path> = calls.ancestors().take_while(is_missing).collect();
        files::private_folder(&calls)?;
        missing
            .iter()
            .try_for_each(|folder| files::sync_folder(files::folder_of(folder)))
    }

    /// Writes and syncs a temporary file with the entry.
    fn write(&self, entry: &Entry) -> io::Result<NamedTempFile> {
        let mut json = serde_json::to_vec_pretty(entry)?;
        json.push(b'\n');
        let mut file = files::temp_file(&self.folder, TEMPORARY)?;
        file.write_all(&json)?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    fn reserve_locked(
        &self,
        prepared: NamedTempFile,
        entry: &Entry,
        guards: Guards,
        is_watched: impl Fn() -> bool,
        now: Timestamp,
    ) -> Result<()> {
        let contents = self.read().map_err(|e| self.unavailable(&e))?;
        if let Some(damage) = contents.damage() {
            return Err(damage);
        }
        let own = contents
            .of_key(&entry.key)
            .filter(|own| own.reservation == entry.reservation);
        if let Some(own) = own {
            return self.renew_locked(own, &contents, guards, now);
        }
        if entry.sent_at != entry.reserved_at {
            return Err(not_sent_again("it was removed from the local call log"));
        }
        if let Some(refusal) = contents.refusal(entry, guards, now) {
            return Err(refusal.into_error(now));
        }
        self.prune(&contents);
        if !is_watched() {
            return Err(Error::new(Kind::Cancelled, "no call was made"));
        }
        files::persist(prepared, &self.file(&entry.key)).map_err(|e| self.unavailable(&e))
    }

    /// Gives a reserved call, which was not accepted, a new sending time.
    fn renew_locked(
        &self,
        own: &Entry,
        contents: &Contents,
        guards: Guards,
        now: Timestamp,
    ) -> Result<()> {
        if now.duration_since(own.reserved_at) >= RESEND_WITHIN {
            return Err(not_sent_again("it has been waiting for too long"));
        }
        if let Some(refusal) = contents.refusal_by_others(own, guards, now) {
            return Err(not_sent_again(&refusal.into_error(now).to_string()));
        }
        self.change_locked(own, |entry| entry.sent_at = now)
            .map(|_| ())
            .map_err(|e| self.unavailable(&e))
    }

    /// Changes the file of a reservation. Returns whether it still exists: it is never recreated.
    pub async fn change(&self, call: &Entry, change: impl FnOnce(&mut Entry)) -> Result<bool> {
        // The call was never reserved, or its file was removed. Neither needs a lock.
        if matches!(self.owned(call), Ok(None)) {
            return Ok(false);
        }
        let _lock = self.lock().await?;
        self.change_locked(call, change)
            .map_err(|e| self.unavailable(&e))
    }

    fn change_locked(&self, call: &Entry, change: impl FnOnce(&mut Entry)) -> io::Result<bool> {
        let Some(mut entry) = self.owned(call)? else {
            return Ok(false);
        };
        change(&mut entry);
        files::persist(self.write(&entry)?, &self.file(&call.key))?;
        Ok(true)
    }

    /// The IDs that other files of this service hold.
    pub fn ids_of_others(&self, key: &Key) -> io::Result<Vec<CallId>> {
        let contents = self.read()?;
        let others = contents.calls.iter().filter(|entry| entry.key != *key);
        Ok(others.filter_map(|entry| entry.call_id.clone()).collect())
    }

    /// Records that a search found this ID, unless another file holds it. Returns whether it is ours.
    pub async fn claim(&self, call: &Entry, id: &CallId) -> Result<bool> {
        let _lock = self.lock().await?;
        let claimed = self.ids_of_others(&call.key).and_then(|taken| {
            let is_ours = !taken.contains(id);
            if is_ours {
                self.change_locked(call, |entry| {
                    if entry.call_id.is_none() {
                        entry.set_running(id);
                    }
                })?;
            }
            Ok(is_ours)
        });
        claimed.map_err(|e| self.unavailable(&e))
    }

    /// Removes the file of a reservation.
    pub async fn remove(&self, call: &Entry) -> Result<()> {
        let _lock = self.lock().await?;
        let removed = self.owned(call).and_then(|entry| match entry {
            Some(_) => files::remove(&self.file(&call.key)).map(|_| ()),
            None => Ok(()),
        });
        removed.map_err(|e| self.unavailable(&e))
    }

    /// Shows other processes that a worker is at work. The file is never created.
    pub fn touch(&self, call: &Entry) -> io::Result<()> {
        if self.owned(call)?.is_some() {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(self.file(&call.key))?;
            file.set_modified(SystemTime::now())?;
        }
        Ok(())
    }

    /// The content of a call's file, if it still is that reservation's.
    fn owned(&self, call: &Entry) -> io::Result<Option<Entry>> {
        let found = self.find(&call.key)?;
        Ok(found.filter(|entry| entry.reservation == call.reservation))
    }

    /// Deletes what is old. Not deleting it harms nothing.
    fn prune(&self, contents: &Contents) {
        let is_older = |at: Option<SystemTime>, age| {
            let elapsed = at.and_then(|at| at.elapsed().ok());
            elapsed.is_some_and(|elapsed| elapsed >= age)
        };
        let calls = contents.calls.iter();
        for call in calls.filter(|call| is_older(call.touched, KEPT)) {
            let _ = files::remove(&self.file(&call.key));
        }
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for file in files.filter(|file| file.file_name().to_string_lossy().starts_with(TEMPORARY)) {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            if is_older(modified.ok(), TEMPORARY_KEPT) {
                let _ = files::remove(&file.path());
            }
        }
    }

    async fn lock(&self) -> Result<Lock> {
        let path = self.folder.join("calls.lock");
        let locked = Lock::acquire(&path, Instant::now() + LOCK_TIMEOUT).await;
        locked.map_err(|e| self.unavailable(&e))?.ok_or_else(|| {
            let message = "the local call log has been locked by another process for 10 s";
            Error::new(Kind::JournalUnavailable, message)
                .with_hint(format!("find the process that locks {}", path.display()))
        })
    }

    /// The journal cannot be used, so that no call can be made.
    pub fn unavailable(&self, error: &io::Error) -> Error {
        let folder = self.calls_folder();
        let reason = io_reason(error);
        let folder = folder.display();
        let hint = format!("check {folder}, or name another folder with KALLYAI_STATE_DIR");
        let message = format!("the local call log {folder} cannot be used: {reason}");
        Error::new(Kind::JournalUnavailable, message).with_hint(hint)
    }

    fn calls_folder(&self) -> PathBuf {
        self.folder.join("calls")
    }

    fn file(&self, key: &Key) -> PathBuf {
        self.calls_folder()
            .join(format!("call-{}.json", key.folded()))
    }
}

fn not_sent_again(why: &str) -> Error {
    let message = format!("the service did not accept the call, and it was not sent again: {why}");
    Error::new(Kind::ServiceFailing, message)
}

/// Whether a file is a call's: `call-*.json`. Other names are ignored.
fn is_call(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with("call-") && name.ends_with(".json")
}

fn read_file(path: &Path) -> io::Result<Entry> {
    files::retry_while_shared(|| {
        let touched = fs::metadata(path)?.modified()?;
        let mut entry: Entry = serde_json::from_slice(&fs::read(path)?)?;
        entry.touched = Some(touched);
        Ok(entry)
    })
}
