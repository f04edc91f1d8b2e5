//! The sandbox in place of the service, and served to others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Service;
use crate::auth::{self, Login, Store, TokenResponse};
use crate::domain::{ApiBase, Secret};
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::helper::{self, Parent};
use crate::sandbox::{self, Sandbox};
use crate::settings::Settings;

/// Where the emulator is served unless the user says otherwise.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8977);

/// How long another process may hold the sandbox's login.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The emulator as others reach it, until this is dropped.
pub struct ServedSandbox {
    /// Where it is.
    pub url: String,
    /// A login for it.
    pub token_file: PathBuf,
    _emulator: Sandbox,
}

/// Starts an emulator for this run alone, on a port of its own.
pub fn start(service: &Service<'_>) -> Result<Sandbox> {
    start_in(service.settings.state_folder()?).map_err(|e| Error::io("the sandbox could not be started", e))
}

/// Starts one in a folder.
pub fn start_in(folder: PathBuf) -> io::Result<Sandbox> {
    start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), folder)
}

fn start_at(address: SocketAddr, folder: PathBuf) -> io::Result<Sandbox> {
    Sandbox::start(sandbox::Options {
        address,
        folder,
        call_duration: sandbox::DEFAULT_CALL_DURATION,
        access_token_lifetime: sandbox::DEFAULT_ACCESS_TOKEN_LIFETIME,
    })
}

/// Saves a login of the emulator's.
pub async fn sign_in(emulator: &Sandbox, store: &Store) -> Result<()> {
    let unusable = || Error::new(Kind::SignInFailed, "the sandbox handed out an unusable login");
    let login = emulator.new_login().map_err(|e| Error::io("the sandbox's login could not be kept", e))?;
    let granted = TokenResponse {
        access_token: Secret::parse(&login.access_token).ok_or_else(unusable)?,
        refresh_token: Secret::parse(&login.refresh_token),
        expires_in: Some(login.expires_in as f64),
    };
    let _lock = store.lock(Instant::now() + LOCK_TIMEOUT).await?;
    store.save(&Login::granted(granted, store.issuer()))?;
    Ok(())
}

/// The kind of a helper's job that is the sign-in page.
pub const PAGE_JOB: &str = "sandbox_page";

/// What the helper must know.
#[derive(Serialize, Deserialize)]
pub struct PageJob {
    /// The sandbox's folder.
    folder: PathBuf,
}

/// How long the helper may take to say where its page is.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks whether the sign-in was finished.
const PAGE_CHECK: Duration = Duration::from_secs(2);

/// Serves the sign-in page from a process of its own until a sign-in that is begun now was finished, or no longer can
/// be. Returns where the emulator is.
pub async fn serve_sign_in_page(folder: PathBuf) -> Result<ApiBase> {
    let failed = |error| Error::io("the sandbox's sign-in page could not be served", error);
    let mut helper = helper::start(PAGE_JOB, &PageJob { folder }).map_err(failed)?;
    let url = tokio::time::timeout(PAGE_TIMEOUT, helper.report::<String>()).await.ok().flatten();
    let url = url.ok_or_else(|| failed(io::ErrorKind::TimedOut.into()))?;
    Ok(url.parse()?)
}

/// The helper's part.
pub async fn run_page_job(job: PageJob, parent: &Parent) -> io::Result<()> {
    let emulator = start_in(job.folder.clone())?;
    parent.report(&emulator.url());
    let ends = Instant::now() + Duration::from_secs(auth::PENDING_LIFETIME.unsigned_abs());
    let mut was_begun = false;
    while Instant::now() < ends {
        let is_pending = auth::is_pending(&job.folder);
        if was_begun && !is_pending {
            break;
        }
        was_begun |= is_pending;
        tokio::time::sleep(PAGE_CHECK).await;
    }
    Ok(())
}

/// Holds the day on which a program was last told that this is the sandbox.
const TOLD_FILE: &str = "told";

/// Forgets that anybody was told.
pub fn forget_told(folder: &std::path::Path) -> io::Result<()> {
    files::remove(&folder.join(TOLD_FILE)).map(|_| ())
}

impl Service<'_> {
    /// Whether nobody was told today, in this folder, that it is the sandbox that answers. It counts as told from now on.
    pub fn sandbox_is_news(&self) -> bool {
        let Ok(folder) = self.settings.state_folder() else { return true };
        let file = folder.join(TOLD_FILE);
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        if std::fs::read_to_string(&file).is_ok_and(|told| told == today) {
            return false;
        }
        // Where it cannot be noted it is told again.
        let _ = files::private_folder(&folder).and_then(|()| files::replace(&file, today.as_bytes()));
        true
    }

    /// Serves the emulator to any client on this computer until the result is dropped.
    ///
    /// # Errors
    /// When the address is not to be had.
    pub async fn serve_sandbox(&self, address: Option<SocketAddr>) -> Result<ServedSandbox> {
        // The sandbox's own folder, also where `--sandbox` is not said.
        let settings = Settings { sandbox: true };
        let address = address.unwrap_or(DEFAULT_ADDRESS);
        let emulator = start_at(address, settings.state_folder()?)
            .map_err(|e| Error::io(format!("the sandbox could not be started on {address}"), e))?;
        let token_file = settings.token_file()?;
        sign_in(&emulator, &Store::new(token_file.clone(), settings.issuer()?).at_own_path(true)).await?;
        Ok(ServedSandbox { url: emulator.url(), token_file, _emulator: emulator })
    }
}
