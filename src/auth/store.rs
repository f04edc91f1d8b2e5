//! Reads, writes and locks the credentials file.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::Grant;
use super::login::Login;
use crate::domain::ApiBase;
use crate::error::{Error, Kind, Result, io_reason};
use crate::files::{self, Lock};
use crate::settings::SANDBOX;

/// Size in bytes of the file that is written to test for free disk space. Credentials are smaller.
const TEST_FILE_SIZE: usize = 16 * 1024;

/// The credentials file. Its credentials are used only if they are for `issuer`.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    issuer: String,
}

/// A warning to show to the user about saving the credentials, or `None`.
pub type SaveWarning = Option<String>;

impl Store {
    /// Creates a store for credentials from `issuer`, which is the origin of a service or
    /// `sandbox`.
    pub fn new(path: PathBuf, issuer: String) -> Self {
        Self { path, issuer }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Reads the credentials, if there are any. Fails if they are for another service.
    pub fn load(&self) -> Result<Option<Login>> {
        let Some(login) = self.read()? else {
            return Ok(None);
        };
        let found = login.issuer();
        let base = self.issuer.parse();
        let is_local = base.is_ok_and(|base: ApiBase| base.is_loopback());
        // The sandbox can run as a local server, so accept its credentials for a loopback address.
        if found == self.issuer || (found == SANDBOX && is_local) {
            return Ok(Some(login));
        }
        let (path, wanted) = (self.path.display(), issuer_name(&self.issuer));
        let message = format!(
            "the credentials in {path} are for {}, but this command uses {wanted}",
            issuer_name(&found)
        );
        Err(Error::new(Kind::WrongIssuer, message))
    }

    /// Reads the credentials without checking which service they are for.
    fn read(&self) -> Result<Option<Login>> {
        let bytes = match files::retry_while_shared(|| std::fs::read(&self.path)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("{}: {}", self.path.display(), io_reason(&error));
                return Err(Error::new(Kind::TokenFile, message));
            }
        };
        let login = Login::parse(&bytes).ok_or_else(|| {
            let path = self.path.display();
            let hint =
                format!("repair or remove {path}, or set KALLYAI_TOKEN_FILE to another file");
            let message = format!("{path} does not contain valid credentials");
            Error::new(Kind::TokenFile, message).with_hint(hint)
        })?;
        self.make_private();
        Ok(Some(login))
    }

    /// Restricts the file to its owner, because another client may have created it with wider
    /// permissions. Ignores errors, because the credentials are usable either way.
    fn make_private(&self) {
        #[cfg(unix)]
        if let Ok(metadata) = std::fs::metadata(&self.path) {
            use std::os::unix::fs::PermissionsExt as _;
            if metadata.permissions().mode() & 0o077 != 0 {
                let private = std::fs::Permissions::from_mode(0o600);
                let _ = std::fs::set_permissions(&self.path, private);
            }
        }
    }

    /// Creates an error about the credentials file, with a hint to check its folder.
    fn error(&self, action: &str, error: &io::Error) -> Error {
        let (path, target) = (self.path.display(), self.target());
        let folder = files::folder_of(&target).display();
        let hint = format!(
            "check the permissions and free space of {folder}, \
             or set KALLYAI_TOKEN_FILE to another file"
        );
        Error::io(format!("can't {action} {path}"), error).with_hint(hint)
    }

    /// Acquires the lock that every change of the credentials requires.
    pub async fn lock(&self, by: Instant) -> Result<Lock> {
        let mut path = self.target().into_os_string();
        path.push(".lock");
        match Lock::acquire(path.as_ref(), by).await {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => {
                let message = "another process is still changing the credentials";
                Err(Error::new(Kind::ServiceFailing, message).with_hint("try again in a moment"))
            }
            Err(error) => Err(self.error("lock", &error)),
        }
    }

    /// Returns the path after following symlinks, so that saving replaces the file and not a
    /// symlink to it. The file need not exist.
    fn target(&self) -> PathBuf {
        /// The maximum number of symlinks to follow, which is the same as on Linux.
        const MAX_LINKS: usize = 40;
        let mut path = self.path.clone();
        for _ in 0..MAX_LINKS {
            match std::fs::read_link(&path) {
                Ok(next) => path = files::folder_of(&path).join(next),
                Err(_) => break,
            }
        }
        path
    }

    /// Checks, before the user signs in, that new credentials can be saved. Returns a warning if
    /// they would replace credentials for another service.
    pub fn check_saving(&self) -> Result<SaveWarning> {
        let before = self.read()?.map(|before| before.issuer());
        self.check_writable()?;
        let other = before.filter(|found| *found != self.issuer);
        Ok(other.map(|found| {
            let (path, found) = (self.path.display(), issuer_name(&found));
            format!("signing in replaces the credentials for {found} in {path}")
        }))
    }

    /// Checks that credentials can be saved. A refresh token can be used only once, so a full disk
    /// must be detected before the token is used.
    pub fn check_writable(&self) -> Result<()> {
        let target = self.target();
        let folder = files::folder_of(&target);
        let try_to_write = || {
            files::private_folder(folder)?;
            let mut file = files::temp_file(folder, files::TEMPORARY)?;
            file.write_all(&[b' '; TEST_FILE_SIZE])?;
            file.as_file().sync_all()
        };
        try_to_write().map_err(|error| self.error("write", &error))
    }

    /// Acquires the lock and saves the tokens from a sign-in.
    pub async fn save_grant(&self, grant: Grant, by: Instant) -> Result<SaveWarning> {
        self.check_writable()?;
        let lock = self.lock(by).await?;
        let mut login = Login::granted(grant, &self.issuer);
        let before = self.read()?;
        if let Some(before) = before.filter(|before| before.issuer() == login.issuer()) {
            login.keep_unknown_fields(before);
        }
        self.save(&login, &lock)
    }

    pub fn save(&self, login: &Login, _lock: &Lock) -> Result<SaveWarning> {
        let target = self.target();
        let content = login.to_json();
        let saved = match files::replace(&target, content.as_bytes()) {
            // A file that is bind-mounted into a container can't be replaced by a rename.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                write_in_place(&target, content.as_bytes()).map(|()| true)
            }
            replaced => replaced.map(|()| false),
        };
        let is_in_place = saved.map_err(|error| self.error("write", &error))?;
        Ok(is_in_place.then(|| {
            let path = self.path.display();
            format!("{path} can't be replaced atomically, so it was overwritten in place")
        }))
    }

    /// Acquires the lock and removes the credentials, whichever service they are for. Returns
    /// whether there were any credentials.
    pub async fn remove(&self, by: Instant) -> Result<bool> {
        if !self.target().exists() {
            return Ok(false);
        }
        let lock = self.lock(by).await?;
        match self.read()? {
            Some(_) => self.remove_locked(&lock),
            None => Ok(false),
        }
    }

    pub fn remove_locked(&self, _lock: &Lock) -> Result<bool> {
        // Remove temporary files left by processes that were killed while saving credentials.
        let folder = std::fs::read_dir(files::folder_of(&self.target()));
        for file in folder.into_iter().flatten().flatten() {
            if file
                .file_name()
                .to_string_lossy()
                .starts_with(files::TEMPORARY)
            {
                let _ = files::remove(&file.path());
            }
        }
        files::remove(&self.target()).map_err(|error| self.error("remove", &error))
    }
}

fn issuer_name(issuer: &str) -> &str {
    match issuer {
        SANDBOX => "the sandbox",
        issuer => issuer,
    }
}

/// Overwrites a file in place. Uses a single write, so that readers are unlikely to see only part
/// of the new content.
fn write_in_place(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;

    fn grant() -> Grant {
        Grant {
            access_token: Secret::parse("granted").expect("a token"),
            refresh_token: None,
            expires_in: None,
        }
    }

    fn store(content: &str) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token.json");
        std::fs::write(&path, content).expect("a file");
        (folder, Store::new(path, ApiBase::PRODUCTION.into()))
    }

    #[tokio::test]
    async fn corrupt_credentials_file_is_reported_and_kept() {
        let contents = r#"|  |{|{}|[]|["a",null,1]|{"access_token":5}|{"access_token":"a b"}|
            {"access_token":"a","expires_at":"soon"}|{"access_token":"a","issuer":7}"#;
        for text in contents.split('|') {
            let (_folder, store) = store(text);
            let error = store.load().expect_err(text);
            assert_eq!(error.kind, Kind::TokenFile, "{text}");
            let by = Instant::now();
            assert!(store.save_grant(grant(), by).await.is_err(), "{text}");
            assert!(store.remove(by).await.is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(store.path()).expect("a file"), text);
        }
    }

    #[tokio::test]
    async fn saving_credentials_keeps_unknown_fields_and_sets_mode_0600() {
        let (_folder, store) = store(r#"{"access_token":"old","refresh_token":"r","theirs":1}"#);
        let warning = store.save_grant(grant(), Instant::now()).await;
        assert_eq!(warning.expect("saved"), None);
        let saved = std::fs::read_to_string(store.path()).expect("a file");
        assert!(saved.starts_with(r#"{"theirs":1,"access_token":"granted","expires_at":"#));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let metadata = std::fs::metadata(store.path()).expect("a file");
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn credentials_of_another_service_are_rejected() {
        let kind = |issuer: &str, wanted: &str| {
            let text = format!(r#"{{"access_token":"a","issuer":"{issuer}"}}"#);
            let (_folder, store) = store(&text);
            let store = Store::new(store.path().to_owned(), wanted.into());
            store.load().map(drop).map_err(|error| error.kind)
        };
        let production = ApiBase::PRODUCTION;
        assert_eq!(kind("https://API.kallyai.com:443/", production), Ok(()));
        assert_eq!(kind("https://a.example", "https://a.example"), Ok(()));
        assert_eq!(kind("sandbox", "sandbox"), Ok(()));
        assert_eq!(kind("sandbox", "http://127.0.0.1:8977"), Ok(()));
        for (issuer, wanted) in [
            ("sandbox", production),
            ("https://a.example", production),
            (production, "https://a.example"),
            (production, "sandbox"),
        ] {
            assert_eq!(kind(issuer, wanted), Err(Kind::WrongIssuer), "{issuer}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn symlink_to_the_credentials_file_is_followed_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("real/token.json", &link).expect("a link");
        let store = Store::new(link.clone(), "sandbox".into());
        for _ in 0..2 {
            let saved = store.save_grant(grant(), Instant::now()).await;
            saved.expect("saved");
            assert!(link.is_symlink() && folder.path().join("real/token.json").is_file());
        }
    }

    #[test]
    fn overwriting_a_file_with_shorter_content_truncates_it() {
        let (_folder, store) = store("a longer old content");
        write_in_place(store.path(), b"new").expect("written");
        assert_eq!(std::fs::read(store.path()).expect("a file"), b"new");
    }
}
