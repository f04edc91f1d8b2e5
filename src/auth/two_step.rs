//! Two-step sign-in: one command prints the URL to open, and a later command accepts the redirect
//! URL. A private file keeps the OAuth state, which can be used only once and expires after ten
//! minutes.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use super::redirect::{OAuthState, Reply};
use super::sign_in::sign_in_url;
use super::{SaveWarning, Store};
use crate::domain::ApiBase;
use crate::error::{Error, Kind, Result};
use crate::files;

/// How long the user has to finish a two-step sign-in, in seconds.
pub const PENDING_LIFETIME: i64 = 600;

#[derive(Serialize, Deserialize)]
struct Pending {
    state: String,
    /// When the sign-in began, as a Unix time in seconds.
    at: i64,
    /// The origin of the service to sign in to, or `sandbox`.
    issuer: String,
}

/// Begins a two-step sign-in. Returns the URL to open in a browser.
pub fn begin(base: &ApiBase, port: u16, store: &Store, folder: &Path) -> Result<Url> {
    store.check_saving()?;
    let state = OAuthState::generate();
    save_pending(folder, &state, store.issuer())?;
    Ok(sign_in_url(base, port, &state))
}

/// Saves the OAuth state of a sign-in, so that another process can finish the sign-in.
pub fn save_pending(folder: &Path, state: &OAuthState, issuer: &str) -> Result<()> {
    let pending = Pending {
        state: state.expose().to_owned(),
        at: Timestamp::now().as_second(),
        issuer: issuer.to_owned(),
    };
    let save = || {
        files::private_folder(folder)?;
        files::replace(&file(folder), &serde_json::to_vec(&pending)?)
    };
    save().map_err(|error| file_error("write", folder, &error))
}

/// Finishes a two-step sign-in. `pasted` is the redirect URL from the browser's address bar.
pub async fn finish(
    pasted: &str,
    store: &Store,
    folder: &Path,
    by: Instant,
) -> Result<SaveWarning> {
    let Some(state) = load_pending(folder, store.issuer()) else {
        let message = "no sign-in is pending: the last one was finished or has expired";
        return Err(Error::new(Kind::SignInFailed, message)
            .with_hint("run kallyai auth-status, then kallyai login if you are not signed in"));
    };
    let reply = Reply::parse_pasted(pasted, &state).map_err(|_| {
        let message = "that URL doesn't match your last sign-in";
        Error::new(Kind::CallbackUrl, message)
    })?;
    let grant = match reply.into_grant() {
        Ok(grant) => grant,
        Err(declined) => {
            consume_pending(folder, store.issuer(), &state)?;
            return Err(declined);
        }
    };
    // Check again that credentials can be saved: the folder may have changed since the sign-in
    // began.
    store.check_saving()?;
    consume_pending(folder, store.issuer(), &state)?;
    store.save_grant(grant, by).await
}

/// Removes the pending sign-in with this OAuth state. If several processes try, only one succeeds.
pub fn consume_pending(folder: &Path, issuer: &str, state: &OAuthState) -> Result<()> {
    let pending = load_pending(folder, issuer);
    let is_ours = pending.is_some_and(|pending| pending.expose() == state.expose());
    if is_ours && forget_pending(folder)? {
        return Ok(());
    }
    let message = "this sign-in was already finished or was replaced by a newer one";
    Err(Error::new(Kind::SignInFailed, message))
}

/// Removes the pending sign-in, if there is one. Returns whether there was one.
pub fn forget_pending(folder: &Path) -> Result<bool> {
    files::remove(&file(folder)).map_err(|error| file_error("remove", folder, &error))
}

/// Loads the OAuth state of the pending sign-in, unless the sign-in has expired or is for another
/// service.
fn load_pending(folder: &Path, issuer: &str) -> Option<OAuthState> {
    let bytes = files::retry_while_shared(|| std::fs::read(file(folder))).ok()?;
    let pending: Pending = serde_json::from_slice(&bytes).ok()?;
    let age = Timestamp::now().as_second().checked_sub(pending.at)?;
    let is_ours = pending.issuer == issuer && (0..PENDING_LIFETIME).contains(&age);
    OAuthState::parse(&pending.state).filter(|_| is_ours)
}

fn file(folder: &Path) -> PathBuf {
    folder.join("sign-in.json")
}

fn file_error(action: &str, folder: &Path, error: &io::Error) -> Error {
    Error::io(format!("can't {action} {}", file(folder).display()), error).with_hint(
        "check the folder's permissions and free space, or set KALLYAI_STATE_DIR to another folder",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> (tempfile::TempDir, Store, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let base = ApiBase::PRODUCTION.parse::<ApiBase>().expect("an address");
        let store = Store::new(folder.path().join("token.json"), base.origin());
        let url = begin(&base, 8976, &store, folder.path()).expect("begun");
        let state = url.query_pairs().find(|(name, _)| name == "state");
        let state = state.expect("a state").1.into_owned();
        (folder, store, format!("?state={state}"))
    }

    async fn finished(url: &str, store: &Store, folder: &Path) -> Result<(), String> {
        let done = finish(url, store, folder, Instant::now()).await;
        done.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn wrong_redirect_url_keeps_the_sign_in_pending() {
        let (folder, store, url) = begun();
        let folder = folder.path();
        for bad in ["", "http://localhost:8976/callback?state=0", &url] {
            let error = finish(bad, &store, folder, Instant::now()).await;
            assert_eq!(error.expect_err(bad).kind, Kind::CallbackUrl);
        }
        let good = format!("{url}&access_token=granted");
        assert_eq!(finished(&good, &store, folder).await, Ok(()));
        let saved = store.load().expect("readable").expect("saved");
        assert_eq!(saved.access_token.expose(), "granted");
        let again = finished(&good, &store, folder).await.expect_err("used");
        assert!(again.starts_with("no sign-in is pending"), "{again}");
    }

    #[test]
    fn finishing_an_older_sign_in_keeps_the_newer_one_pending() {
        let (folder, store, _) = begun();
        let (folder, issuer) = (folder.path(), store.issuer());
        let newer = load_pending(folder, issuer).expect("a pending sign-in");
        let older = consume_pending(folder, issuer, &OAuthState::generate());
        assert_eq!(older.expect_err("replaced").kind, Kind::SignInFailed);
        consume_pending(folder, issuer, &newer).expect("still pending");
    }

    #[tokio::test]
    async fn sign_in_fails_if_declined_or_meant_for_another_service() {
        let (folder, store, url) = begun();
        let folder = folder.path();
        let other = Store::new(store.path().to_owned(), "https://a.example".into());
        assert!(finished(&url, &other, folder).await.is_err());
        assert!(load_pending(folder, store.issuer()).is_some());
        let declined = format!("{url}&error=access_denied");
        assert!(finished(&declined, &store, folder).await.is_err());
        assert!(load_pending(folder, store.issuer()).is_none());
    }

    #[test]
    fn pending_sign_in_expires() {
        let (folder, store, _) = begun();
        let path = file(folder.path());
        let text = std::fs::read_to_string(&path).expect("a file");
        let mut pending: Pending = serde_json::from_str(&text).expect("JSON");
        for (age, expected) in [
            (PENDING_LIFETIME - 60, true),
            (PENDING_LIFETIME, false),
            (-60, false),
        ] {
            pending.at = Timestamp::now().as_second() - age;
            std::fs::write(&path, serde_json::to_vec(&pending).expect("JSON")).expect("a file");
            let found = load_pending(folder.path(), store.issuer()).is_some();
            assert_eq!(found, expected, "{age}");
        }
    }
}
