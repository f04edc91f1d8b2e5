//! The login: signing in, in one step or two, signing out, and what there is.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout_at;

use super::connection::Connection;
use super::{READ_TIMEOUT, Service, emulator};
use crate::api::TokenProvider as _;
use crate::auth::{self, LoginState, SIGN_IN_TIMEOUT};
use crate::domain::Secret;
use crate::error::{Error, Kind, Result};
use crate::sandbox;

/// A sign-in that was begun and is to be finished by the address the browser ends at.
#[derive(Debug, Clone)]
pub struct PendingSignIn {
    /// What to open.
    pub url: String,
    /// How long it may be finished, in seconds.
    pub expires_in: i64,
}

/// What there is of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStatus {
    /// A token given for this run alone.
    Given,
    /// A saved login, renewed automatically after this moment.
    SignedIn {
        /// When it will be renewed.
        until: Timestamp,
    },
}

/// What signing out did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignOut {
    /// Whether there was a login.
    pub was_signed_in: bool,
}

/// How long another process may hold the login when it is to be removed.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

impl Service<'_> {
    /// Signs in through the browser.
    ///
    /// # Errors
    /// When that does not end in a login.
    pub async fn sign_in(&self) -> Result<()> {
        self.refuse_given_token()?;
        let connection = Connection::open(self)?;
        connection.sign_in(self, self.deadline(SIGN_IN_TIMEOUT)).await
    }

    /// The first of two steps: the address to open on any computer.
    ///
    /// # Errors
    /// When the sign-in cannot be kept until it is finished, or its login could not be saved.
    pub async fn begin_sign_in(&self) -> Result<PendingSignIn> {
        self.refuse_given_token()?;
        let folder = self.settings.state_folder()?;
        let store = self.store(self.settings.issuer()?)?;
        let base = if self.settings.sandbox {
            emulator::serve_sign_in_page(folder.clone()).await?
        } else {
            self.settings.api()?
        };
        let port = self.options.callback_port;
        let url = auth::start(&base, port, &store, &folder, self.deadline(READ_TIMEOUT)).await?;
        Ok(PendingSignIn { url: url.into(), expires_in: auth::PENDING_LIFETIME })
    }

    /// The second: takes the address that the browser ended at, from stdin if it is `-`.
    ///
    /// # Errors
    /// When no sign-in was begun, this is not where it leads, or the login cannot be saved.
    pub async fn finish_sign_in(&self, url: &Secret) -> Result<()> {
        self.refuse_given_token()?;
        let pasted = if url.expose() == "-" { self.read_line().await? } else { url.expose().to_owned() };
        // A login of another service needs a file of its own, here as everywhere.
        let store = self.store(self.settings.issuer()?)?;
        let folder = self.settings.state_folder()?;
        let tell = |text: &str| self.notices.tell(text);
        auth::finish(&pasted, &store, &folder, self.deadline(READ_TIMEOUT), &tell).await?;
        Ok(())
    }

    async fn read_line(&self) -> Result<String> {
        let mut lines = auth::StdinLines::start();
        let line = timeout_at(self.deadline(SIGN_IN_TIMEOUT), lines.line_or_end()).await;
        let nothing = || Error::new(Kind::SignInFailed, "no address came on stdin");
        line.ok().flatten().ok_or_else(nothing)
    }

    fn refuse_given_token(&self) -> Result<()> {
        match self.settings.access_token() {
            Ok(None) => Ok(()),
            _ => Err(Error::new(
                Kind::AccessToken,
                "KALLYAI_ACCESS_TOKEN is set, and would be used instead of a new login",
            )),
        }
    }

    /// Forgets the login and what was left by finished calls; open calls stay resumable. The sandbox forgets everything.
    ///
    /// # Errors
    /// When it cannot be removed, or is being renewed.
    pub async fn sign_out(&self) -> Result<SignOut> {
        let store = self.store(self.settings.issuer().unwrap_or_default())?;
        let lock = match store.lock(self.deadline(LOCK_TIMEOUT)).await {
            // The process that renews it would bring it back.
            Err(busy @ auth::Error::Busy) => return Err(busy.into()),
            lock => lock,
        };
        let was_signed_in = store.remove()?;
        if let Ok(lock) = lock {
            store.remove_lock(lock);
        }
        // Without a state folder there is nothing in it to forget.
        if let Ok(folder) = self.settings.state_folder() {
            let journal = self.journal(self.settings.issuer().unwrap_or_default())?;
            self.warn_of_unreadable(journal.read().map_or(0, |contents| contents.unreadable.len()));
            let forgotten = match auth::forget_pending(&folder) {
                Ok(_) if self.settings.sandbox => {
                    let removed = journal.remove().and_then(|()| emulator::forget_told(&folder));
                    removed.and_then(|()| sandbox::forget(&folder))
                }
                Ok(_) => journal.forget_done().await,
                Err(error) => Err(error),
            };
            forgotten.map_err(|e| Error::io(format!("{} could not be cleared", folder.display()), e))?;
        }
        if !matches!(self.settings.access_token(), Ok(None)) {
            self.notices.warn("access_token", "KALLYAI_ACCESS_TOKEN stays in use until it is unset");
        }
        Ok(SignOut { was_signed_in })
    }

    /// What there is of a login; something is sent only to renew one that has expired.
    ///
    /// # Errors
    /// When there is none.
    pub async fn auth_status(&self) -> Result<AuthStatus> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        let mut state = session.state()?;
        if state == LoginState::Renewable {
            session.token(self.deadline(READ_TIMEOUT)).await?;
            state = session.state()?;
        }
        match state {
            LoginState::Given => Ok(AuthStatus::Given),
            LoginState::Valid { until } => Ok(AuthStatus::SignedIn { until }),
            LoginState::Expired | LoginState::Renewable => {
                Err(Error::new(Kind::NotSignedIn, "the login has expired"))
            }
            LoginState::Absent => Err(Error::new(Kind::NotSignedIn, "you are not signed in")),
        }
    }
}
