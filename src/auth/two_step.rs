//! A sign-in in two steps: its `state` waits here, 0600, for ten minutes and for one use.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::redirect::OAuthState;
use crate::files;

/// How long a sign-in may be finished, in seconds.
pub const LIFETIME: i64 = 600;

#[derive(Serialize, Deserialize)]
struct Pending {
    state: String,
    at: i64,
}

/// Keeps the state of a sign-in that was begun.
///
/// # Errors
/// When the folder cannot be written.
pub fn keep(folder: &Path, state: &OAuthState) -> io::Result<()> {
    files::private_folder(folder)?;
    let pending = Pending { state: state.expose().to_owned(), at: Timestamp::now().as_second() };
    files::replace(&file(folder), &serde_json::to_vec(&pending)?)
}

/// The state of the sign-in that was begun last, unless it is too old.
pub fn find(folder: &Path) -> Option<OAuthState> {
    let pending: Pending =
        serde_json::from_slice(&files::retry_on_sharing_violation(|| std::fs::read(file(folder))).ok()?)
            .ok()?;
    let age = Timestamp::now().as_second().saturating_sub(pending.at);
    (0..LIFETIME).contains(&age).then(|| OAuthState::parse(&pending.state)).flatten()
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
