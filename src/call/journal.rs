//! Calls that were requested, kept where no crash can lose them: a call is written here, and synced, before it is sent.
//!
//! The journal is a log, one JSON document a line (see `record`). A lock that all processes share is held while the log
//! is read and a line is appended, and never while the disk is waited for. What this version cannot read stays as it
//! is. It holds no token.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Entry, EntryState, GUARDED_FOR, KEPT_FOR, Moment};
use super::guard::{self, Guards, Refusal};
use super::record::{Change, Contents, line_count, line_of, lines_of};
use super::used_keys::{UsedKey, UsedKeys};
use super::wait_lock::{self, WaitLock};
use crate::domain::{CallId, IdempotencyKey};
use crate::files::{self, FileLock};

/// The journal of one state folder, as one service's calls see it.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
    origin: String,
}

/// Why a call may not be placed.
#[derive(Debug)]
pub enum OpenError {
    /// The journal speaks against it.
    Refused(Refusal),
    /// The key was used before, for the same request, so long ago that only the call's ID was kept.
    Used(Option<CallId>),
    /// The journal cannot be read or written.
    Unavailable(io::Error),
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(error)
    }
}

/// Of the entries whose result was shown, the oldest are forgotten when there are more.
const MAX_DONE: usize = 200;
/// So many entries are forgotten at once, as that rewrites the journal.
const PRUNED_TOGETHER: usize = 64;
/// The log is rewritten when it has so many lines that say nothing more.
const MAX_SUPERSEDED: usize = 4096;
/// How long another process may hold the journal, which takes it milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

impl Journal {
    /// The journal in a folder, which need not exist yet, for a service of this origin.
    pub fn new(folder: PathBuf, origin: String) -> Self {
        Self { folder, origin }
    }

    /// The service whose calls this journal tells of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reads the journal as it is.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self) -> io::Result<Contents> {
        match open_regular(OpenOptions::new().read(true), &self.log_file()) {
            Ok(mut file) => self.contents_of(&mut file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
            Err(error) => Err(error),
        }
    }

    /// Says whether [`Self::open`] would refuse a call, by what was read.
    ///
    /// # Errors
    /// When the call may not be placed.
    pub fn check(&self, contents: &Contents, entry: &Entry, guards: Guards) -> Result<(), OpenError> {
        let is_waited_for = |key: &IdempotencyKey| self.is_waited_for(key);
        if let Some(refusal) = guard::refusal(&contents.entries, entry, guards, is_waited_for) {
            return Err(refusal.into());
        }
        if guards.chosen_key && contents.unreadable.name(&entry.key) {
            return Err(OpenError::Used(None));
        }
        let used = if guards.chosen_key { self.used_keys()?.find(&entry.key, &self.origin) } else { None };
        match used {
            Some(used) if used.digest.is_none() || used.digest == entry.digest => {
                Err(OpenError::Used(used.call_id))
            }
            Some(_) => Err(Refusal::KeyTaken.into()),
            None => Ok(()),
        }
    }

    /// Whether a call may be placed only after the service has shown that there is no other: an entry
    /// does not decide it, or a line that cannot be read may tell of one.
    pub fn needs_look(&self, contents: &Contents, entry: &Entry, guards: Guards) -> bool {
        contents.unreadable.may_hide_recent(&entry.written)
            || guard::is_undecided(&contents.entries, entry)
            || (guards.chosen_key && self.used_keys().is_ok_and(|keys| keys.is_damaged))
    }

    /// Writes a call down before it is sent, unless it may not be placed. `read` is the journal as it was read a moment
    /// ago, so that an unchanged one need not be read again. Returns the lock that shows that it is waited
    /// for, and how many open entries were forgotten for their age.
    ///
    /// # Errors
    /// When the call may not be placed.
    pub async fn open(
        &self,
        entry: &Entry,
        guards: Guards,
        read: Contents,
    ) -> Result<(WaitLock, usize), OpenError> {
        let (lock, mut file) = self.lock().await?;
        let is_unchanged = read.identity == Some(files::identity(&file)?);
        let contents = if is_unchanged { read } else { self.contents_of(&mut file)? };
        self.check(&contents, entry, guards)?;
        let forgotten = self.prune(&contents, &entry.written, &mut file, false)?;
        let waiting = WaitLock::take(&self.folder, &entry.key).await?;
        let end = file.seek(SeekFrom::End(0))?;
        append(&mut file, end, &line_of(&entry.key, &Change::Prepared(entry)))?;
        drop(lock);
        // The disk is waited for without keeping others from the journal.
        if let Err(error) = file.sync_data() {
            let _ = self.record(&entry.key, &Change::Discarded).await;
            return Err(error.into());
        }
        if end == 0 {
            files::sync_folder(&self.folder);
        }
        Ok((waiting, forgotten.unwrap_or_default()))
    }

    /// Records what happened to a call.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn record(&self, key: &IdempotencyKey, change: &Change<'_>) -> io::Result<()> {
        let (_lock, mut file) = self.lock().await?;
        // Where the journal was removed meanwhile, nothing is left to be said of its calls. What is sent is always noted.
        if !matches!(change, Change::Sent) && !names(&mut file, key)? {
            return Ok(());
        }
        let end = file.seek(SeekFrom::End(0))?;
        append(&mut file, end, &line_of(key, change))
    }

    /// Records which call an entry is, unless another entry is that call. Returns whether it is this entry's now.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub async fn assign_call_id(&self, key: &IdempotencyKey, id: &CallId) -> io::Result<bool> {
        let (_lock, mut file) = self.lock().await?;
        let contents = self.contents_of(&mut file)?;
        if contents.entries.iter().any(|other| other.key != *key && other.call_id() == Some(id)) {
            return Ok(false);
        }
        let end = file.seek(SeekFrom::End(0))?;
        append(&mut file, end, &line_of(key, &Change::Running(id)))?;
        Ok(true)
    }

    /// Takes out a call that was prepared and certainly never sent. Returns what the journal says of it now where it was
    /// sent after all, or still may be.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub async fn discard_unsent(&self, entry: &Entry) -> io::Result<Option<Entry>> {
        let (_lock, mut file) = self.lock().await?;
        let contents = self.contents_of(&mut file)?;
        let Some(latest) = contents.into_entry(&entry.key) else {
            return Ok(None);
        };
        // Its process cannot note meanwhile that it sends.
        let is_unsent = latest.state == EntryState::Prepared
            && !latest.is_open(&Moment::now(), self.is_waited_for(&entry.key));
        if !is_unsent {
            return Ok(Some(latest));
        }
        let end = file.seek(SeekFrom::End(0))?;
        append(&mut file, end, &line_of(&entry.key, &Change::Discarded))?;
        Ok(None)
    }

    /// Forgets the calls whose result was shown; the others stay resumable, and all keys stay known.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn forget_done(&self) -> io::Result<()> {
        if !self.log_file().exists() {
            return Ok(());
        }
        let (_lock, mut file) = self.lock().await?;
        let contents = self.contents_of(&mut file)?;
        self.prune(&contents, &Moment::now(), &mut file, true).map(|_| ())
    }

    /// Removes the journal with its open calls.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        for file in [self.log_file(), self.used_keys_file(), self.lock_file()] {
            files::remove(&file)?;
        }
        wait_lock::remove_all(&self.folder)
    }

    /// Whether a process waits for the call of this key.
    pub fn is_waited_for(&self, key: &IdempotencyKey) -> bool {
        wait_lock::is_held(&self.folder, key)
    }

    /// Shows that this process waits for the call of this key too.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn wait_too(&self, key: &IdempotencyKey) -> io::Result<WaitLock> {
        WaitLock::take(&self.folder, key).await
    }

    /// Waits until no process waits for the call of this key any more.
    pub async fn wait_for_others(&self, key: &IdempotencyKey) {
        wait_lock::released(&self.folder, key).await;
    }

    /// Forgets what is old, if there is enough of it. Returns how many open entries were among that, or `None` if
    /// nothing changed; `file` is the log afterwards.
    fn prune(
        &self,
        contents: &Contents,
        now: &Moment,
        file: &mut File,
        all_done: bool,
    ) -> io::Result<Option<usize>> {
        let is_done =
            |entry: &Entry| entry.shown || (!entry.is_open(now, true) && entry.written.age(now) >= KEPT_FOR);
        let mut surplus = contents.all().filter(|entry| is_done(entry)).count().saturating_sub(MAX_DONE);
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        let mut old = 0;
        for entry in contents.all() {
            let age = entry.written.age(now);
            let is_old = age >= KEPT_FOR;
            let drop = if is_done(entry) {
                // What still keeps the same from being done again is no surplus.
                let is_surplus = surplus > 0 && age >= GUARDED_FOR;
                surplus = surplus.saturating_sub(1);
                is_surplus || is_old || all_done
            } else {
                old += usize::from(is_old);
                is_old
            };
            if drop { dropped.push(entry) } else { kept.push(entry) }
        }
        let needed: usize = kept.iter().map(|entry| line_count(entry)).sum();
        let superseded = contents.lines.saturating_sub(needed + contents.unreadable.len());
        let enough =
            dropped.len() >= PRUNED_TOGETHER || (all_done && !(dropped.is_empty() && superseded == 0));
        if old == 0 && !enough && superseded < MAX_SUPERSEDED {
            return Ok(None);
        }
        self.remember_keys(&dropped)?;
        let mut text: Vec<u8> = kept.iter().flat_map(|entry| lines_of(entry)).collect();
        // Last: a line counts as no younger than those behind it.
        text.extend(contents.unreadable.to_bytes());
        files::replace(&self.log_file(), &text)?;
        files::share_with_folders_owner(&self.log_file())?;
        *file = open_regular(OpenOptions::new().read(true).write(true), &self.log_file())?;
        Ok(Some(old))
    }

    /// Keeps the keys of forgotten entries, as digests, for as long as the folder exists.
    fn remember_keys(&self, entries: &[&Entry]) -> io::Result<()> {
        let text: Vec<u8> = entries.iter().flat_map(|entry| UsedKey::of(entry).to_line()).collect();
        let path = self.used_keys_file();
        let options = &mut OpenOptions::new();
        let mut file =
            open_regular(files::private(options.create(true).truncate(false).read(true).write(true)), &path)?;
        files::share_with_folders_owner(&path)?;
        let end = file.seek(SeekFrom::End(0))?;
        append(&mut file, end, &text)?;
        file.sync_data()
    }

    fn used_keys(&self) -> io::Result<UsedKeys> {
        let mut text = Vec::new();
        match open_regular(OpenOptions::new().read(true), &self.used_keys_file()) {
            Ok(mut file) => file.read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(UsedKeys::parse(&text))
    }

    fn contents_of(&self, file: &mut File) -> io::Result<Contents> {
        let mut bytes = Vec::new();
        let identity = files::identity(file)?;
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        // What was appended meanwhile is not in what the identity stands for.
        let is_whole = identity.length == bytes.len() as u64;
        let mut contents = Contents::parse(&bytes, &self.origin);
        contents.identity = is_whole.then_some(identity);
        Ok(contents)
    }

    /// Locks the journal for this process, and opens the log.
    async fn lock(&self) -> io::Result<(FileLock, File)> {
        files::private_folder(&self.folder)?;
        let path = self.lock_file();
        let lock =
            open_regular(files::private(OpenOptions::new().create(true).truncate(false).write(true)), &path)?;
        files::share_with_folders_owner(&path)?;
        wait_lock::locked(|| lock.try_lock(), Instant::now() + LOCK_TIMEOUT).await?;
        let lock = FileLock::of(lock);
        let path = self.log_file();
        let options = &mut OpenOptions::new();
        let log =
            open_regular(files::private(options.create(true).truncate(false).read(true).write(true)), &path)?;
        files::share_with_folders_owner(&path)?;
        Ok((lock, log))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("calls.jsonl")
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("calls.lock")
    }

    fn used_keys_file(&self) -> PathBuf {
        self.folder.join("used-keys.jsonl")
    }
}

/// Whether a key stands in a journal.
fn names(file: &mut File, key: &IdempotencyKey) -> io::Result<bool> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(memchr::memmem::find(&bytes, &serde_json::to_vec(key)?).is_some())
}

/// Opens a file that must be a regular one: another kind could keep the program waiting for ever.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = files::retry_on_sharing_violation(|| files::without_waiting(options).open(path))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a regular file", path.display()),
        ));
    }
    Ok(file)
}

/// Appends lines whole or not at all. A line that a crash cut off before it stays, and is not continued.
fn append(file: &mut File, end: u64, line: &[u8]) -> io::Result<()> {
    let mut text = Vec::with_capacity(line.len() + 1);
    if end > 0 {
        let mut last = [0];
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push(b'\n');
        }
    }
    text.extend_from_slice(line);
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&text).inspect_err(|_| drop(file.set_len(end)))
}

#[cfg(test)]
mod tests;
