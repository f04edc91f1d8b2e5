//! What the sandbox remembers, in one file that any number of processes share.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::logins::Logins;
use super::records::Records;

const FILE: &str = "state.json";
const DAMAGED_FILE: &str = "state.json.damaged";
const LOCK_FILE: &str = "state.lock";

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) logins: Logins,
    pub(super) calls: Records,
}

pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens the store in `folder`, which is created if need be.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        let store = Self { folder };
        store.read()?;
        Ok(store)
    }

    pub(super) fn read(&self) -> io::Result<State> {
        let _lock = self.lock()?;
        self.load()
    }

    /// Changes the state while no other process can. `change` must not wait for anything.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let _lock = self.lock()?;
        let mut state = self.load()?;
        let result = change(&mut state);
        self.save(&state)?;
        Ok(result)
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

    fn load(&self) -> io::Result<State> {
        let path = self.folder.join(FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::default()),
            bytes => bytes?,
        };
        match serde_json::from_slice(&bytes) {
            Ok(state) => Ok(state),
            Err(_) => {
                fs::rename(path, self.folder.join(DAMAGED_FILE))?;
                Ok(State::default())
            }
        }
    }

    fn save(&self, state: &State) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.folder)?;
        io::Write::write_all(&mut file, &serde_json::to_vec(state)?)?;
        file.persist(self.folder.join(FILE))?;
        Ok(())
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

/// The wall clock to the millisecond, which is as fine as the API shows it.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// An instant as RFC 3339 text: jiff's own serde support is a feature the crate does without.
pub(super) mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(
        instant: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(instant)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn changes_made_at_once_by_many_are_all_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let store = Store::open(folder.path().to_owned()).expect("a store");
                    store.update(|state| state.logins.issue(now(), HOUR))
                });
            }
        });
        let store = Store::open(folder.path().to_owned()).expect("a store");
        assert_eq!(store.read().expect("a state").logins.len(), 16);
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_the_sandbox_starts_afresh() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "{\"logins\": [\0").expect("a file");
        let store = Store::open(folder.path().to_owned()).expect("a store");
        store.update(|state| state.logins.issue(now(), HOUR)).expect("a save");
        let aside = fs::read(folder.path().join(DAMAGED_FILE)).expect("the damaged file");
        assert_eq!(aside, b"{\"logins\": [\0");
        assert_eq!(store.read().expect("a state").logins.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_state() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("state").join("sandbox");
        let store = Store::open(folder.clone()).expect("a store");
        store.update(|_| ()).expect("a save");
        let mode = |path: PathBuf| fs::metadata(path).expect("metadata").permissions().mode();
        assert_eq!(mode(folder.join(FILE)) & 0o777, 0o600);
        assert_eq!(mode(folder.join(LOCK_FILE)) & 0o777, 0o600);
        assert_eq!(mode(folder) & 0o777, 0o700);
    }
}
