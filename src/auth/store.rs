//! The file of the login: whose it is, what may be done with it, and which service's logins it holds.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::access::no_follow;
#[cfg(unix)]
use super::access::{is_ours, may_lead, owner_to_keep};
use super::error::{Error, Result};
use super::lock::{self, Lock, LockError};
use super::login_file::{Content, LARGEST, Login, SANDBOX};
use super::prepared::{PreparedWrite, adopt, aside_file};
use crate::domain::ApiBase;
use crate::files;

/// Where the login is kept.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    /// The service whose logins it may hold.
    issuer: String,
    /// Whether the path is this program's own, where whatever cannot be read is a login that was spoilt.
    is_own_path: bool,
}

/// The file, without the links that lead to it.
struct Target {
    path: PathBuf,
    /// The links that led there, if the path is one.
    #[cfg(unix)]
    links: Vec<Metadata>,
}

/// A file that was opened and may be used.
struct Opened {
    file: File,
    metadata: Metadata,
    bytes: Vec<u8>,
}

/// A login that came where there was none is adopted this long: a sign-out by another client leaves it behind.
const ADOPTED_FOR: Duration = Duration::from_secs(600);

impl Store {
    /// The login kept in this file, which need not exist, for the service of this name.
    pub fn new(path: PathBuf, issuer: String) -> Self {
        Self { path, issuer, is_own_path: false }
    }

    /// The same, at a path that no other program uses for anything else.
    pub fn at_own_path(self, is_own_path: bool) -> Self {
        Self { is_own_path, ..self }
    }

    /// The service whose logins it holds: its origin, or `sandbox`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The error that a login could not be saved, and why.
    pub fn unsaved(&self, why: &str) -> Error {
        Error::token_file(&self.path, format!("cannot be written ({why})"))
    }

    /// The path of the file, for a process that is elsewhere.
    pub fn absolute_path(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// Reads the login. A login of ours that others may read is made ours alone.
    ///
    /// # Errors
    /// When there is a file that cannot be used, or it is another service's.
    pub fn load(&self) -> Result<Option<Login>> {
        let Some(opened) = self.open(&self.target()?)? else { return Ok(None) };
        match Content::parse(&opened.bytes) {
            Content::Login(login) => {
                opened.tighten();
                self.accept(login).map(Some)
            }
            content => Err(Error::TokenFile {
                path: self.path.clone(),
                problem: "cannot be read as a login".into(),
                replaceable: self.is_own_path || matches!(content, Content::Damaged),
            }),
        }
    }

    /// A login, if it is for the service in use. The emulator's, whose address changes, is for any on this computer.
    fn accept(&self, login: Login) -> Result<Login> {
        let found = login.issuer();
        let is_here = || self.issuer.parse().is_ok_and(|base: ApiBase| base.is_loopback());
        if found == self.issuer || (found == SANDBOX && is_here()) {
            return Ok(login);
        }
        let known = |name: &str| match name {
            SANDBOX => "the sandbox".to_owned(),
            name => name.chars().take(200).collect(),
        };
        Err(Error::WrongIssuer { path: self.path.clone(), found: known(&found), wanted: known(&self.issuer) })
    }

    /// Makes sure that a sign-in may replace what is in the file, and makes its folder where there is none.
    ///
    /// # Errors
    /// When the file holds something else than a login, or cannot be used.
    pub fn may_be_replaced(&self) -> Result<()> {
        let target = self.target()?;
        files::private_folder(files::folder_of(&target.path)).map_err(|e| self.unsaved(&e.to_string()))?;
        match self.open(&target)? {
            Some(opened) => self.must_be_login(&opened),
            None => Ok(()),
        }
    }

    fn must_be_login(&self, opened: &Opened) -> Result<()> {
        match Content::parse(&opened.bytes) {
            Content::Foreign if !self.is_own_path => {
                Err(Error::token_file(&self.path, "holds something else than a login, and is left alone"))
            }
            _ => Ok(()),
        }
    }

    /// Saves a login. Returns a warning where it could not be done as safely as usual.
    ///
    /// # Errors
    /// When it could not be saved; the old login is still there.
    pub fn save(&self, login: &Login) -> Result<Option<String>> {
        self.prepare()?.commit(login).map_err(|e| self.unsaved(&e.to_string()))
    }

    /// Makes sure that a login can be saved, before anything is spent on obtaining it. Whoever asks has the lock.
    ///
    /// # Errors
    /// When it could not be, or the file holds something else.
    pub fn prepare(&self) -> Result<PreparedWrite> {
        let target = self.target()?;
        let opened = self.open(&target)?;
        if let Some(opened) = &opened {
            self.must_be_login(opened)?;
        }
        let before = opened.as_ref().and_then(|opened| Login::parse(&opened.bytes));
        let before = before.and_then(|login| self.accept(login).ok());
        #[cfg(unix)]
        let owner = opened.and_then(|opened| owner_to_keep(&opened.metadata));
        #[cfg(not(unix))]
        let owner = None;
        PreparedWrite::new(target.path, owner, before).map_err(|e| self.unsaved(&e.to_string()))
    }

    /// Whether a killed process may have left a login beside the file.
    pub fn has_left_over(&self) -> bool {
        self.target().is_ok_and(|target| std::fs::symlink_metadata(aside_file(&target.path)).is_ok())
    }

    /// Puts a whole login that a killed process left beside the file in its place, if it is newer than the one there.
    /// Whoever asks has the lock.
    ///
    /// # Errors
    /// When that cannot be done: renewing the old login would lose the new one.
    pub fn adopt_left_over(&self, _lock: &Lock) -> Result<()> {
        let target = self.target()?;
        let beside = Target { path: aside_file(&target.path), ..target };
        let Ok(Some(left)) = self.open(&beside) else { return Ok(()) };
        let Some(login) = Login::parse(&left.bytes) else { return Ok(()) };
        let target = self.target()?;
        let is_newer = match self.open(&target)? {
            None => {
                left.is_private_like(None)
                    && self.accept(login).is_ok()
                    && left.modified().is_some_and(|at| at.elapsed().is_ok_and(|age| age < ADOPTED_FOR))
            }
            Some(now) => {
                left.is_private_like(Some(&now))
                    && left.modified() >= now.modified()
                    && match Content::parse(&now.bytes) {
                        Content::Login(now) => now.issuer() == login.issuer(),
                        Content::Damaged => self.accept(login).is_ok(),
                        Content::Foreign => false,
                    }
            }
        };
        if !is_newer {
            return Ok(());
        }
        adopt(&left.file, &left.bytes, &target.path).map_err(|e| self.unsaved(&e.to_string()))
    }

    /// Removes the file if it still holds `login`. Returns whether it did.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_if(&self, login: &Login) -> Result<bool> {
        match self.load()? {
            Some(now) if now.is_same(login) => self.remove(),
            _ => Ok(false),
        }
    }

    /// Removes the file, and what a killed process wrote of it. Returns whether there was one.
    ///
    /// # Errors
    /// When it cannot be removed, or holds something else than a login.
    pub fn remove(&self) -> Result<bool> {
        let target = self.target()?;
        match self.open(&target) {
            Ok(Some(opened)) => self.must_be_login(&opened)?,
            Ok(None) => {}
            // What cannot be opened can still be removed, where it can be nothing else.
            Err(_) if self.is_own_path && (target.path.is_file() || !target.path.exists()) => {}
            Err(error) => return Err(error),
        }
        let _ = std::fs::remove_file(aside_file(&target.path));
        files::remove(&target.path)
            .map_err(|error| Error::token_file(&self.path, format!("cannot be removed ({error})")))
    }

    /// Gives the lock back and removes its file. Whoever waits for it still holds what it opened, and on Windows keeps
    /// it from being removed.
    pub fn remove_lock(&self, lock: Lock) {
        let held = (!cfg!(windows)).then_some(lock);
        if let Ok(target) = self.target() {
            let _ = std::fs::remove_file(lock::lock_file(&target.path));
        }
        drop(held);
    }

    /// Waits for the right to change the login.
    ///
    /// # Errors
    /// When the lock cannot be made, or is held beyond `deadline`.
    pub async fn lock(&self, deadline: Instant) -> Result<Lock> {
        lock::acquire(&self.target()?.path, deadline).await.map_err(|why| self.unlocked(why))
    }

    /// The right to change the login, unless another process has it now.
    ///
    /// # Errors
    /// When the lock cannot be made, or is held.
    pub fn try_lock(&self) -> Result<Lock> {
        lock::try_acquire(&self.target()?.path).map_err(|why| self.unlocked(why))
    }

    fn unlocked(&self, why: LockError) -> Error {
        match why {
            LockError::Busy => Error::Busy,
            LockError::Impossible(error) => {
                Error::token_file(&self.path, format!("cannot be locked ({error})"))
            }
        }
    }

    /// The file itself: a symbolic link of the user's own is followed, and stays.
    fn target(&self) -> Result<Target> {
        /// As many as Linux follows.
        const MOST_LINKS: usize = 40;

        let cannot_follow =
            |why: io::Error| Error::token_file(&self.path, format!("cannot be followed ({why})"));
        let mut path = self.path.clone();
        let mut links = Vec::new();
        while let Some(link) = std::fs::symlink_metadata(&path).ok().filter(Metadata::is_symlink) {
            if links.len() == MOST_LINKS {
                return Err(cannot_follow(io::Error::other("it leads in a circle")));
            }
            path = files::folder_of(&path).join(std::fs::read_link(&path).map_err(cannot_follow)?);
            links.push(link);
        }
        // By whatever name, it is one file with one lock. It may be yet to be written.
        if !links.is_empty() {
            path = std::fs::canonicalize(&path).unwrap_or(path);
        }
        #[cfg(unix)]
        {
            let file = std::fs::symlink_metadata(&path).ok();
            if !links.iter().all(|link| may_lead(link, file.as_ref())) {
                return Err(Error::token_file(&self.path, "is a link that another user made"));
            }
        }
        Ok(Target {
            path,
            #[cfg(unix)]
            links,
        })
    }

    fn open(&self, target: &Target) -> Result<Option<Opened>> {
        let refused = |problem: String| Error::token_file(&self.path, problem);
        let open = || no_follow(OpenOptions::new().read(true)).open(&target.path);
        let mut file = match files::retry_on_sharing_violation(open) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(format!("cannot be opened ({error})"))),
        };
        let unreadable = |error: io::Error| refused(format!("cannot be read ({error})"));
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(refused("is not a file".into()));
        }
        #[cfg(unix)]
        {
            if !is_ours(&metadata) {
                return Err(refused("belongs to another user".into()));
            }
            // What the link led to may have been exchanged meanwhile.
            if !target.links.iter().all(|link| may_lead(link, Some(&metadata))) {
                return Err(refused("is a link that another user made".into()));
            }
        }
        let mut bytes = Vec::new();
        (&mut file).take(LARGEST).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(Some(Opened { file, metadata, bytes }))
    }
}

impl Opened {
    /// Makes a file that others may read its owner's alone.
    fn tighten(&self) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            if self.metadata.permissions().mode() & 0o077 != 0 {
                // Read all the same: it is the user's login either way.
                let _ = self.file.set_permissions(std::fs::Permissions::from_mode(0o600));
            }
        }
    }

    fn modified(&self) -> Option<std::time::SystemTime> {
        self.metadata.modified().ok()
    }

    /// Whether this program wrote it for the owner of another file, or without one for the user.
    fn is_private_like(&self, other: Option<&Self>) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let owner = other.map_or(rustix::process::geteuid().as_raw(), |other| other.metadata.uid());
            self.metadata.mode() & 0o077 == 0 && self.metadata.uid() == owner
        }
        #[cfg(not(unix))]
        {
            let _ = other;
            true
        }
    }
}

#[cfg(test)]
mod tests;
