//! What the sandbox remembers, in one file that any number of processes share. It is read again
//! only when the file system says that it is another one.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::logins::Logins;
use super::records::Records;

const FILE: &str = "state.json";
const DAMAGED_FILE: &str = "state.json.damaged";
const LOCK_FILE: &str = "state.lock";

/// All that is remembered.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    #[serde(flatten)]
    pub(super) logins: Logins,
    pub(super) calls: Records,
}

pub(super) struct Store {
    folder: PathBuf,
    cache: Mutex<Cache>,
}

/// The newest memory that this process has seen.
#[derive(Default)]
struct Cache {
    memory: Arc<Memory>,
    /// The file it is from; `None` when it has to be read.
    source: Option<Source>,
}

/// A file that was read or written.
struct Source {
    version: Version,
    /// Kept open, so that no later file can be given the same inode.
    #[cfg(unix)]
    _file: File,
}

/// What tells one file in the same place from another.
#[derive(PartialEq)]
struct Version {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64),
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino()),
        }
    }
}

impl Source {
    fn of(file: File) -> io::Result<Self> {
        Ok(Self {
            version: Version::of(&file.metadata()?),
            #[cfg(unix)]
            _file: file,
        })
    }
}

impl Store {
    /// Opens the store in `folder`, which is created if need be.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        let store = Self { folder, cache: Mutex::default() };
        store.read()?;
        Ok(store)
    }

    pub(super) fn read(&self) -> io::Result<Arc<Memory>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_current(&cache)? {
            let _lock = self.lock()?;
            self.load(&mut cache)?;
        }
        Ok(Arc::clone(&cache.memory))
    }

    /// Changes the memory while no other process can. `change` must not wait for anything.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> io::Result<T> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = self.lock()?;
        if !self.is_current(&cache)? {
            self.load(&mut cache)?;
        }
        // Until it is saved, what is in the cache is not what is in the file.
        cache.source = None;
        let memory = Arc::make_mut(&mut cache.memory);
        let result = change(memory);
        let source = self.save(memory)?;
        cache.source = Some(source);
        Ok(result)
    }

    fn is_current(&self, cache: &Cache) -> io::Result<bool> {
        let Some(source) = &cache.source else {
            return Ok(false);
        };
        match fs::metadata(self.folder.join(FILE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            metadata => Ok(source.version == Version::of(&metadata?)),
        }
    }

    /// Held until the file is dropped. Readers take it too: Windows cannot replace an open file.
    fn lock(&self) -> io::Result<File> {
        let mut folder = DirBuilder::new();
        let mut file = OpenOptions::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
            folder.mode(0o700);
            file.mode(0o600);
        }
        folder.recursive(true).create(&self.folder)?;
        file.create(true).truncate(false).write(true);
        let file = file.open(self.folder.join(LOCK_FILE))?;
        file.lock()?;
        Ok(file)
    }

    fn load(&self, cache: &mut Cache) -> io::Result<()> {
        *cache = Cache::default();
        let path = self.folder.join(FILE);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        match serde_json::from_slice(&bytes) {
            Ok(memory) => {
                *cache = Cache { memory: Arc::new(memory), source: Some(Source::of(file)?) };
            }
            Err(_) => {
                drop(file);
                fs::rename(path, self.folder.join(DAMAGED_FILE))?;
            }
        }
        Ok(())
    }

    fn save(&self, memory: &Memory) -> io::Result<Source> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(memory)?)?;
        Source::of(file.persist(self.folder.join(FILE))?)
    }
}

pub(super) fn remove(folder: &Path) -> io::Result<()> {
    for file in [FILE, DAMAGED_FILE, LOCK_FILE] {
        match fs::remove_file(folder.join(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // Whatever else is in it is not ours.
    let _ = fs::remove_dir(folder);
    Ok(())
}

#[cfg(test)]
#[path = "tests/store.rs"]
mod tests;
