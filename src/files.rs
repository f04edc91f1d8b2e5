//! Files that only their owner may read, replaced whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

/// Opening options under which a created file is its owner's alone from its first instant, whatever the umask.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600)
    }
    // On Windows a file is whose its folder is, and a user's profile is the user's alone.
    #[cfg(not(unix))]
    options
}

/// Makes a folder that only its owner may enter, and those above it.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    let made: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    builder.create(folder)?;
    made.into_iter().rev().try_for_each(share_with_folders_owner)
}

/// Gives what root made in another user's folder to that user, who would be locked out by it (`sudo`).
///
/// # Errors
/// When root may not.
pub fn share_with_folders_owner(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        use std::os::unix::fs::MetadataExt as _;
        let (made, folder) = (std::fs::symlink_metadata(path)?, std::fs::metadata(folder_of(path))?);
        if made.uid() == 0 && folder.uid() != 0 {
            std::os::unix::fs::lchown(path, Some(folder.uid()), Some(folder.gid()))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Opening options that do not wait for the other end of a FIFO or a device.
pub fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
    }
    #[cfg(not(unix))]
    options
}

/// Which file this is and as of when: a file that is only appended to has changed if this has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Device and inode; zero on Windows, which tells neither.
    file: [u64; 2],
    modified: Option<SystemTime>,
    /// In bytes.
    pub length: u64,
}

/// Which file this is, and as of when.
///
/// # Errors
/// When the system does not tell.
pub fn identity(file: &File) -> io::Result<Identity> {
    let metadata = file.metadata()?;
    #[cfg(unix)]
    let of_file = {
        use std::os::unix::fs::MetadataExt as _;
        [metadata.dev(), metadata.ino()]
    };
    #[cfg(windows)]
    let of_file = [0; 2];
    Ok(Identity { file: of_file, modified: metadata.modified().ok(), length: metadata.len() })
}

/// A lock on a file, until it is dropped: freed though the file itself cannot be closed, or a copy of it stays open.
pub struct FileLock(File);

impl FileLock {
    /// The lock on a file that was just locked.
    pub fn of(file: File) -> Self {
        Self(file)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Whether an open file is still the one at this path.
pub fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        match (file.metadata(), std::fs::metadata(path)) {
            (Ok(held), Ok(there)) => held.dev() == there.dev() && held.ino() == there.ino(),
            _ => false,
        }
    }
    // Windows does not remove it while it is open.
    #[cfg(windows)]
    {
        let _ = (file, path);
        true
    }
}

/// Replaces a file so that whoever looks, even after a crash, finds the old content or the new. It is 0600 on Unix.
///
/// # Errors
/// When it cannot be written; the old content stays.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = temp_file_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    persist(file, path)?;
    sync_folder(folder);
    Ok(())
}

/// Removes a file. Returns whether it was there.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<bool> {
    match retry_on_sharing_violation(|| std::fs::remove_file(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a file its name, which another may have had.
///
/// # Errors
/// When it cannot have it; what had the name still has.
pub fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return file.persist(path).map(|_| ()).map_err(|refused| refused.error);
    // The standard library, and not tempfile, can replace a file that somebody reads.
    #[cfg(windows)]
    {
        let temporary = file.into_temp_path();
        retry_on_sharing_violation(|| std::fs::rename(&temporary, path))
    }
}

/// Does something with a file, again for half a second where Windows refuses it: another process has the file open just
/// now, to look for viruses in it, or to remove it.
///
/// # Errors
/// Those of what is done.
pub fn retry_on_sharing_violation<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    /// "Access is denied", and "another process uses the file".
    const PASSING: [Option<i32>; 2] = [Some(5), Some(32)];
    const PAUSE: Duration = Duration::from_millis(5);

    for _ in 0..100 {
        match work() {
            Err(error) if cfg!(windows) && PASSING.contains(&error.raw_os_error()) => {
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
    work()
}

/// A file beside those of a folder, its owner's alone, gone when dropped.
///
/// # Errors
/// When the folder cannot be written.
pub fn temp_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    // What tempfile opens by itself Windows would know as a temporary file even when it is put in its place.
    let open = |path: &Path| private(OpenOptions::new().write(true).create_new(true)).open(path);
    tempfile::Builder::new().prefix(".kallyai-").make_in(folder, open)
}

/// The path with this behind its name.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The folder a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename last through a power cut, where the system can.
pub fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Elsewhere nothing keeps an open file from being replaced.
    #[cfg(windows)]
    #[test]
    fn a_dropped_lock_is_free_though_a_copy_of_its_file_stays_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, other] = [(); 2].map(|()| File::create(folder.path().join("lock")).expect("a file"));
        file.try_lock().expect("a lock");
        let copy = file.try_clone().expect("a copy");
        let lock = FileLock::of(file);
        assert!(other.try_lock().is_err());
        drop(lock);
        other.try_lock().expect("it is free");
        drop(copy);
    }

    #[test]
    fn a_file_is_replaced_though_somebody_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        replace(&path, b"old").expect("a file");
        let reading = File::open(&path).expect("the file");
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(reading);
        });
        replace(&path, b"new").expect("another file");
        assert_eq!(std::fs::read(&path).expect("the file"), b"new");
        reader.join().expect("an end");
    }

    #[test]
    fn whoever_reads_finds_the_old_content_or_the_new() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let contents = [vec![b'a'; 5000], vec![b'b'; 9000]];
        replace(&path, &contents[0]).expect("a file");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for content in contents.iter().cycle().take(50) {
                    replace(&path, content).expect("another file");
                }
            });
            while !writer.is_finished() {
                let found = retry_on_sharing_violation(|| std::fs::read(&path)).expect("the file");
                assert!(contents.contains(&found), "{} bytes", found.len());
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing is left aside");
    }
}
