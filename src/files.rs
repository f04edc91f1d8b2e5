//! Atomically replaced private files, and advisory locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::time::Instant;

/// The name prefix of temporary files, which are renamed to their final names once written.
pub const TEMPORARY: &str = ".kallyai-new-";

/// Makes new files private (mode 0600). On Windows, a file inherits the permissions of its folder,
/// which is in the user's profile and therefore private.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

pub fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Creates a temporary file with mode 0600. It is removed when dropped.
pub fn temp_file(folder: &Path, prefix: &str) -> io::Result<NamedTempFile> {
    let open = |path: &Path| private(OpenOptions::new().write(true).create_new(true)).open(path);
    tempfile::Builder::new()
        .prefix(prefix)
        .make_in(folder, open)
}

/// Replaces a file atomically. A reader sees either the old content or the new, even after a crash.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = temp_file(folder, TEMPORARY)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    persist(file, path)?;
    // Ignore errors: the content is on disk, so a power failure can only bring the old file back.
    let _ = sync_folder(folder);
    Ok(())
}

/// Renames a temporary file to `path`, replacing any file there.
pub fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    // Close the file first: Windows cannot rename an open file.
    let mut temporary = file.into_temp_path();
    retry_while_shared(|| std::fs::rename(&temporary, path))?;
    temporary.disable_cleanup(true);
    Ok(())
}

/// Removes a file. Returns whether it existed.
pub fn remove(path: &Path) -> io::Result<bool> {
    match retry_while_shared(|| std::fs::remove_file(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// On Windows, retries `work` for half a second if another process has the file open.
pub fn retry_while_shared<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..100 {
        match work() {
            // Windows error 5 is `ERROR_ACCESS_DENIED`, and 32 is `ERROR_SHARING_VIOLATION`.
            Err(error) if cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32)) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
    work()
}

/// Flushes a folder to disk so that a rename survives a power failure. Does nothing on Windows.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

pub fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// An advisory lock, released when dropped.
pub struct Lock(File);

impl Lock {
    /// Waits for the lock on the file at `path`. Creates the file if needed and never removes it.
    /// Returns `None` if the lock is still held at `deadline`.
    pub async fn acquire(path: &Path, deadline: Instant) -> io::Result<Option<Self>> {
        let mut pause = Duration::from_millis(1);
        let mut options = OpenOptions::new();
        let options = private(options.create(true).truncate(false).write(true));
        let file = retry_while_shared(|| options.open(path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Unlock explicitly: closing the file does not release a lock that a child inherited.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_of_a_replaced_file_see_only_old_or_new_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let contents = [vec![b'a'; 5000], vec![b'b'; 9000]];
        replace(&path, &contents[0]).expect("a file");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for content in contents.iter().cycle().take(50) {
                    replace(&path, content).expect("replaced");
                }
            });
            while !writer.is_finished() {
                let found = retry_while_shared(|| std::fs::read(&path)).expect("readable");
                assert!(contents.contains(&found), "{} bytes", found.len());
            }
        });
        let left = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 1, "no temporary file is left");
    }
}
