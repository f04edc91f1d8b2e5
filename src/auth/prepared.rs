//! Room for a login that is yet to come. All that can fail beforehand is done beforehand, so that one write makes a login
//! that came last: whatever ends the process behind it, the next one finds the login and puts it in its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::access::no_follow;
use super::login_file::{LARGEST, Login};
use crate::files;

/// Room made sure of, in bytes: two of the longest tokens seen, and more.
const PREALLOCATED: usize = 32 * 1024;

/// The same number on every Unix.
const EPERM: i32 = 1;

/// Room for a login.
pub struct PreparedWrite {
    /// The login that is replaced, if it is the same service's.
    pub before: Option<Login>,
    target: PathBuf,
    /// `None` where no file can be made beside the target.
    aside: Option<Aside>,
    /// The target itself, where there is one that can be written.
    in_place: Option<InPlace>,
    /// The folder, open: a rename lasts once it is synced.
    folder: Option<File>,
}

/// A file beside the target that takes its place; gone when dropped, unless it holds the only copy of a login.
struct Aside {
    file: File,
    path: PathBuf,
    is_kept: bool,
}

/// A file that is written over.
struct InPlace {
    file: File,
    old: Vec<u8>,
    /// Whether room was made behind what it holds.
    is_extended: bool,
}

impl PreparedWrite {
    /// Makes room for a login in `target`. `owner` is whose the file is to be, where root writes another user's.
    ///
    /// # Errors
    /// When no login could be saved there.
    pub fn new(target: PathBuf, owner: Option<(u32, u32)>, before: Option<Login>) -> io::Result<Self> {
        let mut in_place = match InPlace::open(&target) {
            // "Not permitted", and not "denied": it is immutable, and cannot be renamed over either.
            Err(error) if cfg!(unix) && error.raw_os_error() == Some(EPERM) => return Err(error),
            opened => opened.ok(),
        };
        let aside = match Aside::new(&target, owner) {
            Ok(mut aside) => {
                aside.make_room()?;
                Some(aside)
            }
            // The folder may be another's while the file is ours, as with a file mounted into a container.
            Err(error) => match &mut in_place {
                Some(file) => {
                    file.make_room()?;
                    None
                }
                None => return Err(error),
            },
        };
        let folder = if cfg!(unix) { File::open(files::folder_of(&target)).ok() } else { None };
        Ok(Self { before, target, aside, in_place, folder })
    }

    /// Puts the login in its place. Returns a warning where that could not be done as safely as usual.
    ///
    /// # Errors
    /// When it could not be saved; where even that was possible, it stays beside the file for the next run.
    pub fn commit(mut self, login: &Login) -> io::Result<Option<String>> {
        let content = login.to_json()?;
        let Some(mut aside) = self.aside.take() else { return self.write_in_place(&content).map(Some) };
        if let Err(error) = aside.file.write_all(&content) {
            return self.write_in_place(&content).map(Some).map_err(|_| error);
        }
        // What was there before was white space, which may as well stay.
        let _ = aside.file.set_len(content.len() as u64);
        let synced = aside.file.sync_all();
        match aside.rename(&self.target) {
            Ok(()) => {
                if let Some(folder) = &self.folder {
                    let _ = folder.sync_all();
                }
                Ok(synced.err().map(|error| {
                    format!("the login was saved, but a power cut could still undo that ({error})")
                }))
            }
            // A mounted file cannot be renamed over.
            Err(error) => self.write_in_place(&content).map(Some).map_err(|_| {
                aside.is_kept = true;
                // Newer than what was put back into the file, so that it is found to be.
                let _ = aside.file.set_modified(std::time::SystemTime::now());
                error
            }),
        }
    }

    fn write_in_place(&mut self, content: &[u8]) -> io::Result<String> {
        // What was opened may have been removed or replaced since.
        let opened = self.in_place.take().filter(|opened| files::is_at(&opened.file, &self.target));
        let mut file = match opened {
            Some(file) => file,
            None => match InPlace::open(&self.target) {
                // Nothing was there, and the file beside it failed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => InPlace::create(&self.target)?,
                opened => opened?,
            },
        };
        let written = file.write(content);
        if written.is_err() && file.old.is_empty() {
            let _ = std::fs::remove_file(&self.target);
        }
        written?;
        let target = self.target.display();
        Ok(format!("the login file {target} cannot be replaced in one step; it was written in place"))
    }
}

impl Aside {
    /// A new file, 0600 on Unix from its first instant. The name is always the same, so that what a killed process left
    /// there is found: whoever writes has the lock.
    fn new(target: &Path, owner: Option<(u32, u32)>) -> io::Result<Self> {
        let path = aside_file(target);
        let _ = std::fs::remove_file(&path);
        let file = files::private(OpenOptions::new().write(true).create_new(true)).open(&path)?;
        let aside = Self { file, path, is_kept: false };
        #[cfg(unix)]
        if let Some((user, group)) = owner {
            std::os::unix::fs::fchown(&aside.file, Some(user), Some(group))?;
        }
        #[cfg(not(unix))]
        let _ = owner;
        Ok(aside)
    }

    fn make_room(&mut self) -> io::Result<()> {
        self.file.write_all(&[b' '; PREALLOCATED])?;
        sync(&self.file)?;
        self.file.seek(SeekFrom::Start(0)).map(drop)
    }

    fn rename(&mut self, target: &Path) -> io::Result<()> {
        files::retry_on_sharing_violation(|| std::fs::rename(&self.path, target))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl InPlace {
    fn open(target: &Path) -> io::Result<Self> {
        let mut file = no_follow(OpenOptions::new().read(true).write(true)).open(target)?;
        let mut old = Vec::new();
        (&mut file).take(LARGEST).read_to_end(&mut old)?;
        Ok(Self { file, old, is_extended: false })
    }

    fn create(target: &Path) -> io::Result<Self> {
        let file = files::private(OpenOptions::new().write(true).create_new(true)).open(target)?;
        Ok(Self { file, old: Vec::new(), is_extended: false })
    }

    /// White space behind the old login leaves it a login.
    fn make_room(&mut self) -> io::Result<()> {
        self.is_extended = true;
        self.file.seek(SeekFrom::Start(self.old.len() as u64))?;
        self.file.write_all(&[b' '; PREALLOCATED])?;
        sync(&self.file)
    }

    /// Writes over the file; if that fails the old content is put back.
    fn write(&mut self, content: &[u8]) -> io::Result<()> {
        // In one write, so that no moment has a mixture of both.
        let mut padded = content.to_vec();
        padded.resize(content.len().max(self.old.len()), b' ');
        if let Err(error) = overwrite(&mut self.file, &padded) {
            let _ = overwrite(&mut self.file, &self.old);
            let _ = self.file.set_len(self.old.len() as u64);
            return Err(error);
        }
        self.is_extended = false;
        let _ = self.file.set_len(content.len() as u64);
        let _ = self.file.sync_all();
        Ok(())
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        if self.is_extended {
            let _ = self.file.set_len(self.old.len() as u64);
        }
    }
}

/// Where a login is written before it takes its place.
pub fn aside_file(target: &Path) -> PathBuf {
    files::with_ending(target, ".kallyai-new")
}

/// Puts a whole login that a killed process left beside the target in its place.
///
/// # Errors
/// When that cannot be done.
pub fn adopt(file: &File, content: &[u8], target: &Path) -> io::Result<()> {
    let _ = file.sync_all();
    let path = aside_file(target);
    match files::retry_on_sharing_violation(|| std::fs::rename(&path, target)) {
        Ok(()) => files::sync_folder(files::folder_of(target)),
        Err(error) => {
            InPlace::open(target).and_then(|mut file| file.write(content)).map_err(|_| error)?;
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(())
}

/// Writes over a file without replacing it.
#[cfg(fuzzing)]
pub(crate) fn write_in_place(target: &Path, content: &[u8]) -> io::Result<()> {
    InPlace::open(target)?.write(content)
}

fn overwrite(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(content)
}

/// Makes sure that there is room on the disk; a file system that knows no such thing has to be believed.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn login(token: &str) -> Login {
        Login::parse(format!(r#"{{"access_token":"{token}"}}"#).as_bytes()).expect("a login")
    }

    /// A folder where a login is about to be saved, and its place there.
    #[cfg(unix)]
    fn prepared() -> (tempfile::TempDir, PathBuf, PreparedWrite) {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("login.json");
        let prepared = PreparedWrite::new(target.clone(), None, None).expect("room");
        (folder, target, prepared)
    }

    // Elsewhere what is open is not removed.
    #[cfg(unix)]
    #[test]
    fn a_login_whose_file_was_removed_under_it_is_saved_all_the_same() {
        let (_folder, target, prepared) = prepared();
        std::fs::remove_file(aside_file(&target)).expect("the file beside it");
        let warning = prepared.commit(&login("granted")).expect("a login").expect("a warning");
        assert!(warning.contains("in place"), "{warning}");
        let saved = std::fs::read(&target).expect("the login");
        assert_eq!(Login::parse(&saved).expect("a login").access_token.expose(), "granted");
    }

    #[cfg(unix)]
    #[test]
    fn a_login_that_finds_a_folder_in_its_place_stays_beside_it() {
        let (_folder, target, prepared) = prepared();
        std::fs::create_dir(&target).expect("a folder in its place");
        assert!(prepared.commit(&login("granted")).is_err());
        let left = std::fs::read(aside_file(&target)).expect("the login");
        assert_eq!(Login::parse(&left).expect("a login").access_token.expose(), "granted");
        let nowhere = PreparedWrite { before: None, target, aside: None, in_place: None, folder: None };
        let error = nowhere.commit(&login("granted")).expect_err("there is a folder");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory, "and not that it is there already");
    }

    #[test]
    fn what_is_not_written_after_all_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("login.json");
        std::fs::write(&target, "the old login").expect("a file");
        let mut in_place = InPlace::open(&target).expect("the file");
        in_place.make_room().expect("room");
        assert!(std::fs::read(&target).expect("the file").len() > 32 * 1024);
        drop(in_place);
        assert_eq!(std::fs::read(&target).expect("the file"), b"the old login");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_knows_of_no_disk_is_believed() {
        sync(&File::open("/dev/null").expect("a device")).expect("nothing to wait for");
    }
}
