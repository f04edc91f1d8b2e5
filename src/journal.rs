//! Calls that were requested, kept where no crash can lose them: a call is written here before it is sent, and settled
//! only when its result has been printed.
//!
//! One line of JSON a call. Every change replaces the file whole (written aside, synced, renamed) under a lock that
//! all processes share, so it is never half written. It holds no token.

use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::types::{CallId, IdempotencyKey, Phone, collapse_whitespace};

/// The journal of one state folder.
pub struct Journal {
    folder: PathBuf,
}

/// A call that was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key under which it was sent.
    pub key: IdempotencyKey,
    /// When it was written, in Unix seconds.
    pub at: i64,
    /// The number.
    pub number: String,
    /// What was asked for, white space collapsed.
    pub task: String,
    /// Which call it turned out to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Whether its result has been printed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled: bool,
}

/// Why a call may not be placed.
#[derive(Debug)]
pub enum Refusal {
    /// The same number and task are open in this entry.
    Open(Entry),
    /// The key was used before, for this entry of the same call.
    Known(Entry),
    /// The key was used before, for this entry of another call.
    KeyTaken(Entry),
    /// The journal cannot be read or written.
    Unavailable(io::Error),
}

/// Shows, for as long as it is held, that this process waits for the call.
pub struct Watch {
    path: PathBuf,
    /// Locked; the system frees it when the process dies.
    file: File,
}

/// What the journal says, and how many lines of it could not be read.
#[derive(Debug, Default)]
pub struct Contents {
    /// The calls, oldest first.
    pub entries: Vec<Entry>,
    /// Lines that are damaged; they go with the next change.
    pub damaged: usize,
}

/// The folder of the files whose locks show who waits for a call.
const WATCHES: &str = "waiting";
/// An open call older than this no longer stops the same call.
const OPEN_FOR: Duration = Duration::from_secs(6 * 60 * 60);
/// A request reaches the service within this time of its entry, or hardly ever.
const OVERLAP: Duration = Duration::from_secs(10 * 60);
/// Settled calls are forgotten after this time.
const SETTLED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The oldest settled calls are forgotten when there are more.
const SETTLED_MOST: usize = 200;
/// How long another process may hold the journal, which takes it milliseconds.
const LOCKED_FOR: Duration = Duration::from_secs(5);

impl Journal {
    /// The journal in a folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Reads the journal as it is.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self) -> io::Result<Contents> {
        match files::patiently(|| std::fs::read(self.file())) {
            Ok(bytes) => Ok(parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
            Err(error) => Err(error),
        }
    }

    /// Says early whether [`Self::open`] would refuse a call.
    ///
    /// # Errors
    /// When the call may not be placed.
    pub fn check(&self, entry: &Entry, again: bool) -> Result<(), Refusal> {
        let entries = self.read().map_err(Refusal::Unavailable)?.entries;
        self.refusal(&entries, entry, again).map_or(Ok(()), Err)
    }

    /// Writes a call down before it is sent, unless the same call is open or the key was used before. Returns the watch
    /// over it.
    ///
    /// # Errors
    /// When the call may not be placed.
    pub fn open(&self, entry: &Entry, again: bool) -> Result<Watch, Refusal> {
        let mut outcome = Err(Refusal::Unavailable(io::ErrorKind::Other.into()));
        self.change(|entries| {
            outcome = match self.refusal(entries, entry, again) {
                Some(refusal) => Err(refusal),
                None => Ok(self.watch(&entry.key)?),
            };
            if outcome.is_ok() {
                entries.push(entry.clone());
            }
            Ok(outcome.is_ok())
        })
        .map_err(Refusal::Unavailable)?;
        outcome
    }

    fn refusal(&self, entries: &[Entry], entry: &Entry, again: bool) -> Option<Refusal> {
        if let Some(known) = entries.iter().find(|known| known.key == entry.key) {
            let refusal = if known.is_same_call(entry) { Refusal::Known } else { Refusal::KeyTaken };
            return Some(refusal(known.clone()));
        }
        let is_open = |other: &&Entry| {
            !other.settled
                && other.is_same_call(entry)
                && (other.is_young(entry.at) || self.is_watched(&other.key))
        };
        let open = entries.iter().rev().find(is_open).filter(|_| !again)?;
        Some(Refusal::Open(open.clone()))
    }

    /// Notes which call an entry is, unless another entry has it. Returns whether it is this entry's now.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn claim(&self, key: &IdempotencyKey, id: &CallId) -> io::Result<bool> {
        let mut ours = false;
        self.change(|entries| {
            let taken = entries
                .iter()
                .any(|other| other.key != *key && other.call_id.as_deref() == Some(id.as_str()));
            ours = !taken;
            let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key).filter(|_| !taken) else {
                return Ok(false);
            };
            let changed = entry.call_id.as_deref() != Some(id.as_str());
            entry.call_id = Some(id.to_string());
            Ok(changed)
        })?;
        Ok(ours)
    }

    /// Settles a call whose result has been printed.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn settle(&self, key: &IdempotencyKey, id: Option<&str>) -> io::Result<()> {
        self.change(|entries| {
            let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) else { return Ok(false) };
            entry.settled = true;
            entry.call_id = id.map(str::to_owned).or(entry.call_id.take());
            Ok(true)
        })
    }

    /// Takes out a call that was certainly never made: its key may be used again.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn discard(&self, key: &IdempotencyKey) -> io::Result<()> {
        self.change(|entries| {
            let before = entries.len();
            entries.retain(|entry| entry.key != *key);
            Ok(entries.len() != before)
        })
    }

    /// Forgets the calls that are settled; open ones stay resumable.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn forget_settled(&self) -> io::Result<()> {
        if !self.file().exists() {
            return Ok(());
        }
        self.change(|entries| {
            entries.retain(|entry| !entry.settled);
            Ok(true)
        })
    }

    /// Removes the journal with its open calls.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        for file in [self.file(), self.lock_file()] {
            files::remove(&file)?;
        }
        match std::fs::remove_dir_all(self.folder.join(WATCHES)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Shows that this process waits for a call.
    ///
    /// # Errors
    /// When the folder cannot be written, or another process waits for the same call already.
    pub fn watch(&self, key: &IdempotencyKey) -> io::Result<Watch> {
        let path = self.watch_file(key);
        files::private_folder(path.parent().unwrap_or(&self.folder))?;
        let file = files::private(OpenOptions::new().create(true).truncate(false).write(true)).open(&path)?;
        file.try_lock()?;
        Ok(Watch { path, file })
    }

    fn is_watched(&self, key: &IdempotencyKey) -> bool {
        let lock = File::open(self.watch_file(key)).map(|file| file.try_lock());
        matches!(lock, Ok(Err(TryLockError::WouldBlock)))
    }

    /// Keys may hold any visible character and be long; file names may not.
    fn watch_file(&self, key: &IdempotencyKey) -> PathBuf {
        let mut name: String = key.as_str().bytes().take(100).map(|b| format!("{b:02x}")).collect();
        if key.as_str().len() > 100 {
            let mut whole = DefaultHasher::new();
            key.as_str().hash(&mut whole);
            name.push_str(&format!("-{:016x}", whole.finish()));
        }
        self.folder.join(WATCHES).join(name)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("calls.jsonl")
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("calls.lock")
    }

    /// Changes the journal under its lock. The closure says whether there is anything to write.
    fn change(&self, change: impl FnOnce(&mut Vec<Entry>) -> io::Result<bool>) -> io::Result<()> {
        files::private_folder(&self.folder)?;
        let lock = files::private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(self.lock_file())?;
        lock_within(&lock, LOCKED_FOR)?;
        let mut entries = self.read()?.entries;
        if change(&mut entries)? {
            bound(&mut entries, Timestamp::now().as_second());
            self.replace(&entries)?;
        }
        Ok(())
    }

    fn replace(&self, entries: &[Entry]) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        files::replace(&self.file(), &text)
    }
}

impl Entry {
    /// A call that is requested now.
    pub fn new(key: IdempotencyKey, phone: &Phone, task: &str) -> Self {
        Self {
            key,
            at: Timestamp::now().as_second(),
            number: phone.to_string(),
            task: collapse_whitespace(task),
            call_id: None,
            settled: false,
        }
    }

    fn is_same_call(&self, other: &Self) -> bool {
        self.number == other.number && self.task == other.task
    }

    fn is_young(&self, now: i64) -> bool {
        now.saturating_sub(self.at) < OPEN_FOR.as_secs() as i64
    }

    /// Whether this entry may own a call that `entry` looks for: itself, or an unclaimed one of the same number and task
    /// that is not so much older that its call would be too.
    pub fn may_claim_with(&self, entry: &Self) -> bool {
        let unclaimed =
            !self.settled && self.call_id.is_none() && self.is_young(Timestamp::now().as_second());
        let recent = self.at.saturating_add(OVERLAP.as_secs() as i64) >= entry.at;
        self.key == entry.key || (self.is_same_call(entry) && unclaimed && recent)
    }

    /// When it was written.
    pub fn moment(&self) -> Timestamp {
        Timestamp::from_second(self.at).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A file that stays is unlocked, and says nothing.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

/// Waits for a lock, but not for ever: whoever holds it may have been stopped.
fn lock_within(file: &File, limit: Duration) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < limit => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "another process does not let go of it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn parse(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        match serde_json::from_slice(line) {
            Ok(entry) => contents.entries.push(entry),
            Err(_) => contents.damaged += 1,
        }
    }
    contents
}

/// Keeps every open call, and of the settled ones the newest.
fn bound(entries: &mut Vec<Entry>, now: i64) {
    let oldest = now.saturating_sub(SETTLED_FOR.as_secs() as i64);
    let mut surplus = entries.iter().filter(|entry| entry.settled).count().saturating_sub(SETTLED_MOST);
    entries.retain(|entry| {
        if !entry.settled {
            return true;
        }
        let extra = surplus > 0;
        surplus = surplus.saturating_sub(1);
        !extra && entry.at >= oldest
    });
}
