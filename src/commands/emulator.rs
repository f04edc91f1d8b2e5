//! The sandbox as commands use it, and `--serve-sandbox`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{Context, DONE};
use crate::auth::{Granted, Login, Store};
use crate::error::{Error, Result};
use crate::output::Line;
use crate::sandbox::{self, Sandbox};
use crate::settings::Settings;
use crate::types::{Secret, shell_quoted};

/// Where the emulator is served unless the person says otherwise.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8977);

/// How long another process may hold the sandbox's login.
const LOCKED_FOR: Duration = Duration::from_secs(10);

/// Starts an emulator for this run alone, on a port of its own.
pub fn start() -> Result<Sandbox> {
    emulate(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), folder()?)
}

fn emulate(address: SocketAddr, folder: PathBuf) -> Result<Sandbox> {
    let options = sandbox::Options {
        address,
        folder,
        call_duration: sandbox::DEFAULT_CALL_DURATION,
        access_token_lifetime: sandbox::DEFAULT_ACCESS_TOKEN_LIFETIME,
    };
    Sandbox::start(options)
        .map_err(|e| Error::io(format!("the sandbox could not be started on {address}"), e))
}

/// The sandbox's own folder, also where it is served to others.
fn folder() -> Result<PathBuf> {
    Settings { sandbox: true }.state_folder()
}

/// Saves a login of the emulator's.
pub async fn sign_in(emulator: &Sandbox, store: &Store) -> Result<()> {
    let unusable = || Error::SignInFailed("the sandbox handed out an unusable login".into());
    let login = emulator.new_login().map_err(|e| Error::io("the sandbox's login could not be kept", e))?;
    let granted = Granted {
        access_token: Secret::parse(&login.access_token).ok_or_else(unusable)?,
        refresh_token: Secret::parse(&login.refresh_token),
        expires_in: Some(login.expires_in as f64),
    };
    let _lock = store.lock(Instant::now() + LOCKED_FOR).await?;
    store.save(&Login::granted(granted, None)).map(|_| ())
}

/// Serves the emulator until a signal ends it.
pub async fn serve(context: &Context, address: Option<SocketAddr>) -> Result<u8> {
    let emulator = emulate(address.unwrap_or(USUAL), folder()?)?;
    let file = Settings { sandbox: true }.token_file()?;
    sign_in(&emulator, &Store::new(file.clone())).await?;
    let url = emulator.url();
    if context.out.is_json() {
        context
            .out
            .object(&serde_json::json!({ "api_url": url, "token_file": file.display().to_string() }))?;
    } else {
        let file = file.display().to_string();
        context.out.line(&Line::new().text(&export("KALLYAI_API_URL", &url)))?;
        context.out.line(&Line::new().text(&export("KALLYAI_TOKEN_FILE", &file)))?;
    }
    context.out.flush()?;
    context
        .tell("The sandbox answers until Ctrl-C. No phone rings. In another shell, run the two lines above.");
    if let Some(seconds) = context.options.timeout {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        return Ok(DONE);
    }
    std::future::pending().await
}

/// A line that sets a variable in a shell; on Windows that is PowerShell.
fn export(name: &str, value: &str) -> String {
    if cfg!(windows) {
        format!("$env:{name} = '{}'", value.replace('\'', "''"))
    } else {
        format!("export {name}={}", shell_quoted(value))
    }
}
