//! The login's file, its secrets open.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::auth::fuzz_api::{LARGEST, write_in_place};
use crate::auth::{Login, Store, TokenResponse};
use crate::domain::{ApiBase, Secret};

/// The largest file read, in bytes.
pub const LARGEST_FILE: u64 = LARGEST;

/// A login as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What requests carry.
    pub access_token: String,
    /// What renews it.
    pub refresh_token: Option<String>,
    /// When it is to be renewed.
    pub expires_at: i64,
    /// The service that issued it.
    pub issuer: String,
    /// Members of other clients, each value as it is spelt.
    pub others: BTreeMap<String, String>,
}

/// The login in these bytes.
pub fn read(bytes: &[u8]) -> Option<Seen> {
    Login::parse(bytes).map(seen)
}

/// The login in these bytes, as this program writes it.
pub fn rewritten(bytes: &[u8]) -> Option<Vec<u8>> {
    Login::parse(bytes)?.to_json().ok()
}

/// The file after a renewal of the login in these bytes.
pub fn renewed(
    bytes: &[u8],
    access_token: &str,
    refresh_token: Option<&str>,
    expires_in: Option<f64>,
) -> Option<Vec<u8>> {
    after(bytes, access_token, refresh_token, expires_in)?.to_json().ok()
}

/// As [`renewed`], by way of this file.
///
/// # Errors
/// When the file cannot be read or written.
pub fn renewed_in(
    path: &Path,
    access_token: &str,
    refresh_token: Option<&str>,
    expires_in: Option<f64>,
) -> Result<Option<Seen>, String> {
    let store = Store::new(path.to_owned(), ApiBase::PRODUCTION.to_owned());
    let Some(before) = store.load().map_err(|e| e.to_string())? else { return Ok(None) };
    let granted = granted(access_token, refresh_token, expires_in).ok_or("no token")?;
    match store.save(&before.renewed(granted)).map_err(|e| e.to_string())? {
        None => Ok(Some(seen(before))),
        Some(warning) => Err(warning),
    }
}

/// Writes over this file without replacing it.
///
/// # Errors
/// When it cannot be written.
pub fn written_over(path: &Path, content: &[u8]) -> io::Result<()> {
    write_in_place(path, content)
}

fn after(bytes: &[u8], access: &str, refresh: Option<&str>, expires_in: Option<f64>) -> Option<Login> {
    let before = Login::parse(bytes)?;
    Some(before.renewed(granted(access, refresh, expires_in)?))
}

fn granted(access: &str, refresh: Option<&str>, expires_in: Option<f64>) -> Option<TokenResponse> {
    let refresh_token = match refresh {
        Some(text) => Some(Secret::parse(text)?),
        None => None,
    };
    Some(TokenResponse { access_token: Secret::parse(access)?, refresh_token, expires_in })
}

fn seen(login: Login) -> Seen {
    Seen {
        issuer: login.issuer(),
        access_token: login.access_token.expose().to_owned(),
        refresh_token: login.refresh_token.map(|token| token.expose().to_owned()),
        expires_at: login.expires_at,
        others: login.extra_fields.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect(),
    }
}
