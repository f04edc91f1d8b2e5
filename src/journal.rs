//! Calls that were requested, kept where no crash can lose them: a call is written here before it is sent, and settled
//! only when its result has been printed.
//!
//! One line of JSON a call. Every change replaces the file whole (written aside, synced, renamed) under a lock that
//! all processes share, so it is never half written. It holds no token.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

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
    /// The key was used before, for this entry.
    Known(Entry),
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

/// An open call older than this no longer stops the same call.
const OPEN_FOR: Duration = Duration::from_secs(6 * 60 * 60);
/// A request reaches the service within this time of its entry, or hardly ever.
const OVERLAP: Duration = Duration::from_secs(10 * 60);
/// Settled calls are forgotten after this,
const SETTLED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// and when there are more.
const SETTLED_MOST: usize = 200;

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
        match std::fs::read(self.file()) {
            Ok(bytes) => Ok(parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contents::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes a call down before it is sent, unless the same call is open or the key was used before. Returns the entry
    /// and the watch over it.
    ///
    /// # Errors
    /// When the call may not be placed.
    pub fn open(
        &self,
        key: IdempotencyKey,
        phone: &Phone,
        task: &str,
        again: bool,
    ) -> Result<(Entry, Watch), Refusal> {
        let now = Timestamp::now().as_second();
        let entry = Entry {
            key,
            at: now,
            number: phone.to_string(),
            task: collapse_whitespace(task),
            call_id: None,
            settled: false,
        };
        let mut refusal = None;
        let mut watch = None;
        self.change(|entries| {
            if let Some(known) = entries.iter().find(|known| known.key == entry.key) {
                refusal = Some(Refusal::Known(known.clone()));
                return Ok(false);
            }
            let same =
                |other: &&Entry| !other.settled && other.number == entry.number && other.task == entry.task;
            let open = entries
                .iter()
                .rev()
                .filter(same)
                .find(|other| other.is_young(now) || self.is_watched(&other.key));
            if let Some(open) = open.filter(|_| !again) {
                refusal = Some(Refusal::Open(open.clone()));
                return Ok(false);
            }
            watch = Some(self.watch(&entry.key)?);
            entries.push(entry.clone());
            Ok(true)
        })
        .map_err(Refusal::Unavailable)?;
        match (refusal, watch) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(watch)) => Ok((entry, watch)),
            (None, None) => Err(Refusal::Unavailable(io::ErrorKind::Other.into())),
        }
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
        matches!(lock, Ok(Err(std::fs::TryLockError::WouldBlock)))
    }

    /// Keys may hold any visible character; file names may not.
    fn watch_file(&self, key: &IdempotencyKey) -> PathBuf {
        let name: String = key.as_str().bytes().take(100).map(|b| format!("{b:02x}")).collect();
        self.folder.join("waiting").join(name)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("calls.jsonl")
    }

    /// Changes the journal under its lock. The closure says whether there is anything to write.
    fn change(&self, change: impl FnOnce(&mut Vec<Entry>) -> io::Result<bool>) -> io::Result<()> {
        files::private_folder(&self.folder)?;
        let lock = files::private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(self.folder.join("calls.lock"))?;
        lock.lock()?;
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
    fn is_young(&self, now: i64) -> bool {
        now.saturating_sub(self.at) < OPEN_FOR.as_secs() as i64
    }

    /// Whether this entry may own a call that `entry` looks for: itself, or an unclaimed one of the same number and task
    /// that is not so much older that its call would be too.
    pub fn may_claim_with(&self, entry: &Self) -> bool {
        let same_call = self.number == entry.number && self.task == entry.task;
        let unclaimed =
            !self.settled && self.call_id.is_none() && self.is_young(Timestamp::now().as_second());
        let recent = self.at.saturating_add(OVERLAP.as_secs() as i64) >= entry.at;
        self.key == entry.key || (same_call && unclaimed && recent)
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
