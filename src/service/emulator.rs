//! Runs the sandbox, for this process or for other clients.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::{READ_TIMEOUT, Service};
use crate::auth::{Grant, Store};
use crate::domain::Secret;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::sandbox::{self, Sandbox};
use crate::settings::Settings;

/// The default address of `serve-sandbox`.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8977);

/// A running sandbox. It stops when dropped.
pub struct ServedSandbox {
    pub url: String,
    /// The path of the file with credentials for the sandbox.
    pub token_file: PathBuf,
    _emulator: Sandbox,
}

/// Starts a sandbox for this process on a free port.
pub fn start_in(folder: PathBuf) -> Result<Sandbox> {
    start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), folder)
}

fn start_at(address: SocketAddr, folder: PathBuf) -> Result<Sandbox> {
    files::private_folder(&folder).map_err(|error| {
        let message = format!("can't use the sandbox's folder {}", folder.display());
        Error::io(message, &error).with_hint("set KALLYAI_STATE_DIR to another folder")
    })?;
    let started = Sandbox::start(sandbox::Options {
        address,
        folder,
        call_duration: sandbox::DEFAULT_CALL_DURATION,
    });
    started.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => address_in_use(address),
        _ => Error::io(format!("can't start the sandbox on {address}"), &error),
    })
}

/// Creates credentials for the sandbox and saves them.
pub async fn sign_in(emulator: &Sandbox, store: &Store) -> Result<()> {
    let granted = emulator
        .new_login()
        .map_err(|error| Error::io("can't save the sandbox's state", &error))?;
    let unusable = || Error::new(Kind::SignInFailed, "the sandbox issued an invalid token");
    let grant = Grant {
        access_token: Secret::parse(&granted.access_token).ok_or_else(unusable)?,
        refresh_token: Secret::parse(&granted.refresh_token),
        expires_in: Some(granted.expires_in as f64),
    };
    store
        .save_grant(grant, Instant::now() + READ_TIMEOUT)
        .await?;
    Ok(())
}

/// Deletes the sandbox's calls and state. Keeps files that the user put in the folder.
pub fn forget(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder.join("calls")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for name in ["calls.lock", "login.json.lock"] {
        files::remove(&folder.join(name))?;
    }
    sandbox::forget(folder)
}

impl Service<'_> {
    /// Serves the sandbox to any client on this computer.
    pub async fn serve_sandbox(&self, address: Option<SocketAddr>) -> Result<ServedSandbox> {
        // Use the sandbox's settings even if `--sandbox` was not given.
        let settings = Settings { sandbox: true };
        let address = address.unwrap_or(DEFAULT_ADDRESS);
        let emulator = start_at(address, settings.state_folder()?)?;
        let token_file = settings.token_file()?;
        let store = Store::new(token_file.clone(), settings.issuer()?);
        sign_in(&emulator, &store).await?;
        Ok(ServedSandbox {
            url: emulator.url(),
            token_file,
            _emulator: emulator,
        })
    }
}

fn address_in_use(address: SocketAddr) -> Error {
    let port = address.port().checked_add(1);
    let other = SocketAddr::new(address.ip(), port.unwrap_or(DEFAULT_ADDRESS.port()));
    let message = format!("address {address} is in use");
    Error::new(Kind::AddressInUse, message).with_hint(format!("try kallyai serve-sandbox {other}"))
}
