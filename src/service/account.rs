//! Signs in and out.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout_at;

use super::connection::{Connection, not_signed_in};
use super::{READ_TIMEOUT, Service, emulator};
use crate::auth::{self, BackgroundSignIn, LoginState, SaveWarning};
use crate::error::{Error, Kind, Result};

/// How long the user may take to sign in.
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(300);

/// The first half of a two-step sign-in.
#[derive(Debug, Clone)]
pub struct PendingSignIn {
    /// The URL to open in any browser.
    pub url: String,
    /// In seconds.
    pub expires_in: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStatus {
    /// `KALLYAI_ACCESS_TOKEN` is set.
    Given,
    SignedIn {
        /// When the credentials will be refreshed.
        until: Timestamp,
    },
}

impl Service<'_> {
    /// Signs in through the browser, in one step. If no user is present, the sandbox creates credentials.
    pub async fn sign_in(&self) -> Result<()> {
        self.refuse_given_token()?;
        let connection = Connection::open(self)?;
        match &connection.emulator {
            Some(emulator) if !self.options.is_interactive => {
                emulator::sign_in(emulator, &connection.store).await
            }
            _ => {
                let by = self.deadline(SIGN_IN_TIMEOUT);
                connection.sign_in(self, by).await
            }
        }
    }

    /// Starts a two-step sign-in.
    pub async fn begin_sign_in(&self) -> Result<PendingSignIn> {
        self.refuse_given_token()?;
        if self.settings.sandbox {
            return Err(Error::usage(
                "the sandbox doesn't support two-step sign-in",
                "run kallyai serve-sandbox, and use the exports that it prints",
            ));
        }
        let (base, store) = (self.settings.api()?, self.store()?);
        let folder = self.settings.state_folder()?;
        let url = auth::begin(&base, self.options.callback_port, &store, &folder)?;
        Ok(PendingSignIn {
            url: url.into(),
            expires_in: auth::PENDING_LIFETIME,
        })
    }

    /// Reads the callback URL from stdin, for [`Service::finish_sign_in`].
    pub async fn read_callback_url(&self, prompt: impl FnOnce()) -> Result<String> {
        self.refuse_given_token()?;
        let line = auth::read_secret_line(prompt);
        let line = timeout_at(self.deadline(SIGN_IN_TIMEOUT), line).await;
        let absent = || Error::new(Kind::CallbackUrl, "there was no URL on stdin");
        line.ok().flatten().ok_or_else(absent)
    }

    /// Completes a two-step sign-in with the URL that the browser was redirected to.
    pub async fn finish_sign_in(&self, url: &str) -> Result<()> {
        self.refuse_given_token()?;
        let (store, folder) = (self.store()?, self.settings.state_folder()?);
        let finished = auth::finish(url, &store, &folder, self.deadline(READ_TIMEOUT)).await;
        self.pass_on(finished?);
        Ok(())
    }

    /// Starts a sign-in. The returned future completes it when the browser is redirected, within 10
    /// minutes. `finish_sign_in` can complete it too; drop the future then.
    pub async fn listen_for_sign_in(
        &self,
    ) -> Result<(PendingSignIn, impl Future<Output = Result<()>> + use<>)> {
        self.refuse_given_token()?;
        let folder = self.settings.state_folder()?;
        let connection = Connection::open(self)?;
        let (base, store) = (connection.http.base(), connection.store.clone());
        let sign_in =
            BackgroundSignIn::begin(base, self.options.callback_port, store, &folder).await?;
        let pending = PendingSignIn {
            url: sign_in.url.to_string(),
            expires_in: auth::PENDING_LIFETIME,
        };
        // The sandbox serves the sign-in page.
        let emulator = connection.emulator;
        Ok((pending, async move {
            let _emulator = emulator;
            sign_in.run().await.map(drop)
        }))
    }

    fn refuse_given_token(&self) -> Result<()> {
        if matches!(self.settings.access_token(), Ok(None)) {
            return Ok(());
        }
        let message = "KALLYAI_ACCESS_TOKEN is set and would be used instead of new credentials";
        Err(Error::new(Kind::AccessToken, message).with_hint("unset KALLYAI_ACCESS_TOKEN"))
    }

    pub(super) fn pass_on(&self, warning: SaveWarning) {
        if let Some(text) = warning {
            self.notices.warn(auth::SAVE_WARNING, &text);
        }
    }

    /// Returns whether the user was signed in.
    pub async fn sign_out(&self) -> Result<bool> {
        // The file is removed for any service, so a bad address does not matter.
        let issuer = self.settings.issuer().unwrap_or_default();
        let store = auth::Store::new(self.settings.token_file()?, issuer);
        let was_signed_in = store.remove(self.deadline(READ_TIMEOUT)).await?;
        // Without a state folder there is nothing to remove.
        if let Ok(folder) = self.settings.state_folder() {
            auth::forget_pending(&folder)?;
            if self.settings.sandbox {
                emulator::forget(&folder).map_err(|error| {
                    Error::io(format!("can't delete {}", folder.display()), &error)
                })?;
            }
        }
        if !matches!(self.settings.access_token(), Ok(None)) {
            let text = "KALLYAI_ACCESS_TOKEN stays in use until you unset it";
            self.notices.warn("access_token", text);
        }
        Ok(was_signed_in)
    }

    /// Refreshes expired credentials. Returns an error if not signed in.
    pub async fn auth_status(&self) -> Result<AuthStatus> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        if session.state()? == LoginState::Renewable {
            session.token(self.deadline(READ_TIMEOUT)).await?;
        }
        match session.state()? {
            LoginState::Given => Ok(AuthStatus::Given),
            LoginState::Valid { until } => Ok(AuthStatus::SignedIn { until }),
            state => Err(not_signed_in(state)),
        }
    }
}
