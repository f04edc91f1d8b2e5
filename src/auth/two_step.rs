//! A sign-in in two steps: its `state` waits here, 0600, for ten minutes and for one use.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::redirect::OAuthState;
use crate::domain::ApiBase;
use crate::files;

/// How long a sign-in may be finished, in seconds.
pub const LIFETIME: i64 = 600;

/// A sign-in that was begun.
pub struct Pending {
    /// What its redirect must bring.
    pub state: OAuthState,
    /// The service it was begun with.
    pub issuer: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    state: String,
    at: i64,
    #[serde(default = "production")]
    issuer: String,
}

fn production() -> String {
    ApiBase::PRODUCTION.to_owned()
}

/// Keeps the state of a sign-in that was begun with a service.
///
/// # Errors
/// When the folder cannot be written.
pub fn keep(folder: &Path, state: &OAuthState, issuer: &str) -> io::Result<()> {
    files::private_folder(folder)?;
    let at = Timestamp::now().as_second();
    let kept = Kept { state: state.expose().to_owned(), at, issuer: issuer.to_owned() };
    files::replace(&file(folder), &serde_json::to_vec(&kept)?)
}

/// Whether a sign-in was begun that can still be finished.
pub fn is_pending(folder: &Path) -> bool {
    find(folder).is_some()
}

/// The sign-in that was begun last, unless it is too old.
pub fn find(folder: &Path) -> Option<Pending> {
    let read = files::retry_on_sharing_violation(|| std::fs::read(file(folder)));
    let kept: Kept = serde_json::from_slice(&read.ok()?).ok()?;
    let age = Timestamp::now().as_second().saturating_sub(kept.at);
    let state = (0..LIFETIME).contains(&age).then(|| OAuthState::parse(&kept.state)).flatten()?;
    Some(Pending { state, issuer: kept.issuer })
}

/// Forgets the sign-in that was begun. Returns whether there was one: of several processes, one is told so.
///
/// # Errors
/// When there is one and it cannot be removed: it could be used twice.
pub fn forget(folder: &Path) -> io::Result<bool> {
    files::remove(&file(folder))
}

fn file(folder: &Path) -> PathBuf {
    folder.join("sign-in.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_that_an_earlier_version_began_is_the_services_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = serde_json::json!({ "state": "0".repeat(64), "at": Timestamp::now().as_second() });
        std::fs::write(file(folder.path()), kept.to_string()).expect("a file");
        assert_eq!(find(folder.path()).map(|pending| pending.issuer).as_deref(), Some(ApiBase::PRODUCTION));
    }
}
