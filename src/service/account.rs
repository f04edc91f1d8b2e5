//! Signs the user in and out.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout_at;
use url::Url;

use super::connection::{Connection, not_signed_in};
use super::{READ_TIMEOUT, Service, emulator};
use crate::auth::{self, BackgroundSignIn, LoginState, SaveWarning};
use crate::error::{Error, Kind, Result};

/// How long the user may take to sign in.
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(300);

impl Service<'_> {
    /// Signs the user in through the browser, in one step. In the sandbox, no user is needed.
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

    /// Starts a two-step sign-in. Returns the URL to open in any browser.
    pub async fn begin_sign_in(&self) -> Result<Url> {
        self.refuse_given_token()?;
        let Some(base) = self.settings.api()? else {
            return Err(Error::usage(
                "the sandbox doesn't support two-step sign-in",
                "run kallyai serve-sandbox, and set the variables that it prints",
            ));
        };
        let (store, folder) = (self.store()?, self.settings.state_folder()?);
        auth::begin(&base, self.options.callback_port, &store, &folder)
    }

    /// Reads the URL for [`Service::finish_sign_in`] from stdin.
    pub async fn read_callback_url(&self, prompt: impl FnOnce()) -> Result<String> {
        self.refuse_given_token()?;
        let line = auth::read_secret_line(prompt);
        let line = timeout_at(self.deadline(SIGN_IN_TIMEOUT), line).await;
        let absent = || Error::new(Kind::CallbackUrl, "no URL was given on stdin");
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

    /// Starts a sign-in. Returns the URL to open and a future that waits up to 10 minutes for the
    /// redirect, then completes the sign-in. Drop the future if `finish_sign_in` succeeds first.
    pub async fn listen_for_sign_in(
        &self,
    ) -> Result<(Url, impl Future<Output = Result<()>> + use<>)> {
        self.refuse_given_token()?;
        let folder = self.settings.state_folder()?;
        let connection = Connection::open(self)?;
        let (base, store) = (connection.http.base(), connection.store.clone());
        let sign_in =
            BackgroundSignIn::begin(base, self.options.callback_port, store, &folder).await?;
        let url = sign_in.url.clone();
        // Keep the sandbox running, because it serves the sign-in page.
        let emulator = connection.emulator;
        Ok((url, async move {
            let _emulator = emulator;
            sign_in.run().await.map(drop)
        }))
    }

    fn refuse_given_token(&self) -> Result<()> {
        if matches!(self.settings.access_token(), Ok(None)) {
            return Ok(());
        }
        let message = "KALLYAI_ACCESS_TOKEN is set and would be used instead of new credentials";
        Err(Error::new(Kind::InvalidInput, message).with_hint("unset KALLYAI_ACCESS_TOKEN"))
    }

    pub(super) fn pass_on(&self, warning: SaveWarning) {
        if let Some(text) = warning {
            self.notices.warn(auth::SAVE_WARNING, &text);
        }
    }

    /// Signs the user out. Returns whether the user was signed in.
    pub async fn sign_out(&self) -> Result<bool> {
        // Ignore an invalid service URL: the credentials are removed whatever service they are for.
        let issuer = self.settings.issuer().unwrap_or_default();
        let store = auth::Store::new(self.settings.token_file()?, issuer);
        let was_signed_in = store.remove(self.deadline(READ_TIMEOUT)).await?;
        // If there is no state folder, there is nothing else to remove.
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

    /// Returns the time at which the credentials expire, or `None` for `KALLYAI_ACCESS_TOKEN`.
    /// Refreshes expired credentials. Returns an error if the user is not signed in.
    pub async fn auth_status(&self) -> Result<Option<Timestamp>> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        if session.state()? == LoginState::Renewable {
            session.token(self.deadline(READ_TIMEOUT)).await?;
        }
        match session.state()? {
            LoginState::Given => Ok(None),
            LoginState::Valid { until } => Ok(Some(until)),
            state => Err(not_signed_in(state)),
        }
    }
}
