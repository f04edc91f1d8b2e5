//! The file of the login, shared with kallyai-cli and kallyai-mcp-server: `{"access_token", "refresh_token",
//! "expires_at"}`, 0600. Members this program does not know are kept.

#[cfg(fuzzing)]
#[path = "../fuzzing/token_file.rs"]
pub mod entrance;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::value::RawValue;
use tempfile::{NamedTempFile, TempPath};
use tokio::time::Instant;

use super::error::{Error, Result};
use super::lock::{self, Lock, LockError};
use super::redirect::TokenResponse;
use crate::domain::Secret;
use crate::files;

/// Where the login is kept.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    /// The service whose logins it may hold.
    issuer: String,
}

/// A login.
#[derive(Debug, Clone)]
pub struct Login {
    /// What requests carry.
    pub access_token: Secret,
    /// What renews it, once.
    pub refresh_token: Option<Secret>,
    /// When it is to be renewed, in Unix seconds: a minute before the service would refuse it.
    pub expires_at: i64,
    /// Members of other clients.
    extra_fields: BTreeMap<String, Box<RawValue>>,
}

/// Room for a login that is yet to come.
pub struct PreparedWrite {
    target: PathBuf,
    /// `None` where no file can be made beside the target.
    aside: Option<NamedTempFile>,
    /// Whose the file is, where root writes another user's.
    #[cfg(unix)]
    owner: Option<(u32, u32)>,
}

/// A login file is well under this; more is another file.
const LARGEST: u64 = 1024 * 1024;
/// Room made sure of before a refresh token is spent: two of the longest tokens seen, and more.
const PREALLOCATED: usize = 32 * 1024;
/// Renewed this long before the service would refuse it, as all the clients do.
const REFRESH_MARGIN: i64 = 60;
/// What an answer without a lifetime means, in seconds.
const USUAL_LIFETIME: f64 = 3600.0;
/// The longest lifetime believed, in seconds: ten years.
const LONGEST_LIFETIME: f64 = 10.0 * 365.25 * 86_400.0;

impl Login {
    /// The login that was granted just now; what `before` had and it lacks is kept.
    pub fn granted(granted: TokenResponse, before: Option<&Self>) -> Self {
        let lifetime =
            granted.expires_in.filter(|s| *s > 0.0).unwrap_or(USUAL_LIFETIME).min(LONGEST_LIFETIME);
        Self {
            access_token: granted.access_token,
            refresh_token: granted.refresh_token.or_else(|| before?.refresh_token.clone()),
            expires_at: Timestamp::now().as_second() + lifetime as i64 - REFRESH_MARGIN,
            extra_fields: before.map(|login| login.extra_fields.clone()).unwrap_or_default(),
        }
    }

    /// Keeps what other clients wrote beside an earlier login.
    pub fn keep_extra_fields(&mut self, before: Self) {
        self.extra_fields = before.extra_fields;
    }

    /// Whether it must be renewed before it is used.
    pub fn has_expired(&self) -> bool {
        self.expires_at <= Timestamp::now().as_second()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).ok()?;
        let text = |raw: Box<RawValue>| serde_json::from_str::<Option<String>>(raw.get()).ok();
        let access_token = Secret::parse(&text(members.remove("access_token")?)??)?;
        let refresh_token = match members.remove("refresh_token").map_or(Some(None), text)? {
            Some(token) if !token.is_empty() => Some(Secret::parse(&token)?),
            _ => None,
        };
        let expires_at = match members.remove("expires_at") {
            Some(raw) => serde_json::from_str::<Option<f64>>(raw.get()).ok()?.unwrap_or(0.0) as i64,
            None => 0,
        };
        Some(Self { access_token, refresh_token, expires_at, extra_fields: members })
    }

    fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut members: BTreeMap<&str, Box<RawValue>> =
            self.extra_fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        members.insert("access_token", serde_json::value::to_raw_value(self.access_token.expose())?);
        members.insert("expires_at", serde_json::value::to_raw_value(&self.expires_at)?);
        if let Some(token) = &self.refresh_token {
            members.insert("refresh_token", serde_json::value::to_raw_value(token.expose())?);
        }
        Ok(serde_json::to_vec(&members)?)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.access_token == other.access_token && self.refresh_token == other.refresh_token
    }
}

impl Store {
    /// The login kept in this file, which need not exist, for the service of this name.
    pub fn new(path: PathBuf, issuer: String) -> Self {
        Self { path, issuer }
    }

    /// The error that a login could not be saved, and why.
    pub fn unsaved(&self, why: &str) -> Error {
        Error::token_file(&self.path, format!("cannot be written ({why})"))
    }

    /// The path of the file, for a process that is elsewhere.
    pub fn absolute_path(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// Reads the login. A file of ours that others may read is made ours alone.
    ///
    /// # Errors
    /// When there is a file that cannot be used.
    pub fn load(&self) -> Result<Option<Login>> {
        let target = self.target()?;
        let Some(mut file) = self.open(&target)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = (&mut file).take(LARGEST).read_to_end(&mut bytes);
        read.map_err(|e| Error::token_file(&self.path, format!("cannot be read ({e})")))?;
        Login::parse(&bytes).map(Some).ok_or_else(|| Error::TokenFile {
            path: self.path.clone(),
            problem: "cannot be read as a login".into(),
            replaceable: true,
        })
    }

    /// Saves a login. Returns a warning where it could not be done as safely as usual.
    ///
    /// # Errors
    /// When it could not be saved; the old login is still there.
    pub fn save(&self, login: &Login) -> Result<Option<String>> {
        self.prepare()?.commit(login).map_err(|e| self.unsaved(&e.to_string()))
    }

    /// Makes the folder of the file, where there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_folder(&self) -> Result<()> {
        let target = self.target()?;
        files::private_folder(files::folder_of(&target)).map_err(|e| self.unsaved(&e.to_string()))
    }

    /// Makes sure that a login can be saved, before anything is spent on obtaining it.
    ///
    /// # Errors
    /// When it could not be.
    pub fn prepare(&self) -> Result<PreparedWrite> {
        let refused = |e: io::Error| self.unsaved(&e.to_string());
        let target = self.target()?;
        #[cfg(unix)]
        let owner = self.open(&target)?.map(|file| owner_of(&file)).transpose().map_err(refused)?.flatten();
        #[cfg(not(unix))]
        self.open(&target)?;
        let aside = match aside(&target) {
            Ok(mut aside) => {
                aside
                    .write_all(&[b' '; PREALLOCATED])
                    .and_then(|()| aside.as_file().sync_all())
                    .map_err(refused)?;
                Some(aside)
            }
            // The folder may be another's while the file is ours, as with a file mounted into a container.
            Err(_) if OpenOptions::new().write(true).open(&target).is_ok() => None,
            Err(error) => return Err(refused(error)),
        };
        Ok(PreparedWrite {
            target,
            aside,
            #[cfg(unix)]
            owner,
        })
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
    /// When it cannot be removed.
    pub fn remove(&self) -> Result<bool> {
        let target = self.target()?;
        let _ = std::fs::remove_file(aside_file(&target));
        files::remove(&target)
            .map_err(|error| Error::token_file(&self.path, format!("cannot be removed ({error})")))
    }

    /// Gives the lock back and removes its file. Whoever waits for it still holds what it opened, and on Windows keeps
    /// it from being removed.
    pub fn remove_lock(&self, lock: Lock) {
        let held = (!cfg!(windows)).then_some(lock);
        if let Ok(target) = self.target() {
            let _ = std::fs::remove_file(lock::lock_file(&target));
        }
        drop(held);
    }

    /// Waits for the right to change the login.
    ///
    /// # Errors
    /// When the lock cannot be made, or is held beyond `deadline`.
    pub async fn lock(&self, deadline: Instant) -> Result<Lock> {
        lock::acquire(&self.target()?, deadline).await.map_err(|why| match why {
            LockError::Busy => Error::Busy,
            LockError::Impossible(error) => {
                Error::token_file(&self.path, format!("cannot be locked ({error})"))
            }
        })
    }

    /// The file itself: a symbolic link of the user's own is followed, and stays.
    fn target(&self) -> Result<PathBuf> {
        let Ok(metadata) = std::fs::symlink_metadata(&self.path) else { return Ok(self.path.clone()) };
        if !metadata.is_symlink() {
            return Ok(self.path.clone());
        }
        #[cfg(unix)]
        if !is_ours(&metadata) {
            return Err(Error::token_file(&self.path, "is a link that another user made"));
        }
        std::fs::canonicalize(&self.path).or_else(|_| {
            // A link to a file that is yet to be written.
            let pointed = std::fs::read_link(&self.path)
                .map_err(|e| Error::token_file(&self.path, format!("cannot be followed ({e})")))?;
            Ok(files::folder_of(&self.path).join(pointed))
        })
    }

    fn open(&self, target: &Path) -> Result<Option<File>> {
        let file =
            match files::retry_on_sharing_violation(|| no_follow(OpenOptions::new().read(true)).open(target))
            {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(Error::token_file(&self.path, format!("cannot be opened ({error})")));
                }
            };
        let metadata =
            file.metadata().map_err(|e| Error::token_file(&self.path, format!("cannot be read ({e})")))?;
        if !metadata.is_file() {
            return Err(Error::token_file(&self.path, "is not a file"));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            if !is_ours(&metadata) {
                return Err(Error::token_file(&self.path, "belongs to another user"));
            }
            if metadata.permissions().mode() & 0o077 != 0 {
                // Read all the same: it is the user's login either way.
                let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
            }
        }
        Ok(Some(file))
    }
}

impl PreparedWrite {
    /// Puts the login in its place. Returns a warning where that could not be done in one step.
    ///
    /// # Errors
    /// When it could not be saved.
    pub fn commit(self, login: &Login) -> io::Result<Option<String>> {
        let content = login.to_json()?;
        let Some(mut aside) = self.aside else { return in_place(&self.target, &content).map(Some) };
        aside.seek(SeekFrom::Start(0))?;
        aside.write_all(&content)?;
        aside.as_file().set_len(content.len() as u64)?;
        #[cfg(unix)]
        if let Some((user, group)) = self.owner {
            std::os::unix::fs::fchown(aside.as_file(), Some(user), Some(group))?;
        }
        aside.as_file().sync_all()?;
        match files::persist(aside, &self.target) {
            Ok(()) => {
                files::sync_folder(files::folder_of(&self.target));
                Ok(None)
            }
            // A mounted file cannot be renamed over.
            Err(error) if self.target.exists() => match in_place(&self.target, &content) {
                Ok(warning) => Ok(Some(warning)),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

/// Where a login is written before it takes its place. The name is always the same, so that what a killed process left
/// there is found: whoever writes has the lock.
fn aside_file(target: &Path) -> PathBuf {
    files::with_ending(target, ".kallyai-new")
}

/// A file beside the target, 0600 on Unix, gone when dropped.
fn aside(target: &Path) -> io::Result<NamedTempFile> {
    let path = aside_file(target);
    let _ = std::fs::remove_file(&path);
    let file = files::private(OpenOptions::new().write(true).create_new(true)).open(&path)?;
    Ok(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?))
}

/// Writes over the file; if that fails the old content is put back.
fn in_place(target: &Path, content: &[u8]) -> io::Result<String> {
    let mut file = no_follow(OpenOptions::new().read(true).write(true)).open(target)?;
    let mut old = Vec::new();
    (&mut file).take(LARGEST).read_to_end(&mut old)?;
    if let Err(error) = overwrite(&mut file, content) {
        overwrite(&mut file, &old)?;
        return Err(error);
    }
    Ok(format!("the login file {} cannot be replaced in one step; it was written in place", target.display()))
}

fn overwrite(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

/// Opens no link put there meanwhile, and does not wait for a FIFO's other end.
pub fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits() as i32)
    }
    #[cfg(not(unix))]
    options
}

#[cfg(unix)]
fn is_ours(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid();
    user.is_root() || metadata.uid() == user.as_raw()
}

/// The owner to be kept: only root writes another user's file.
#[cfg(unix)]
fn owner_of(file: &File) -> io::Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    Ok((!ours).then(|| (metadata.uid(), metadata.gid())))
}
