//! The login as commands see it: whether there is one, and a token that works.

use jiff::Timestamp;
use tokio::time::Instant;

use super::error::{Error, Result};
use super::refresh::renewed;
use super::store::Store;
use crate::api::{Http, TokenProvider};
use crate::domain::Secret;

/// The login of a run.
pub struct Session<'a> {
    /// A token given for this run alone: used as it is, never saved, never renewed.
    given: Option<Secret>,
    store: Store,
    http: &'a Http,
    /// Where the API is, for a process that renews the login; `None` for the emulator.
    api: Option<String>,
    warn: Box<dyn Fn(&str) + 'a>,
}

/// What there is of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginState {
    /// A token for this run alone.
    Given,
    /// A login that has not expired.
    Valid {
        /// When it will be renewed.
        until: Timestamp,
    },
    /// A login that will be renewed before it is used.
    Renewable,
    /// A login that has expired for good.
    Expired,
    /// None.
    Absent,
}

impl<'a> Session<'a> {
    /// The login kept in `store`, or the token given for this run. `warn` is told what the person should know.
    pub fn new(
        given: Option<Secret>,
        store: Store,
        http: &'a Http,
        api: Option<String>,
        warn: impl Fn(&str) + 'a,
    ) -> Self {
        Self { given, store, http, api, warn: Box::new(warn) }
    }

    /// What there is, without sending anything.
    ///
    /// # Errors
    /// When the login's file cannot be used.
    pub fn state(&self) -> Result<LoginState> {
        if self.given.is_some() {
            return Ok(LoginState::Given);
        }
        self.recover()?;
        Ok(match self.store.load()? {
            None => LoginState::Absent,
            Some(login) if !login.has_expired() => LoginState::Valid {
                until: Timestamp::from_second(login.expires_at).unwrap_or(Timestamp::MAX),
            },
            Some(login) if login.refresh_token.is_some() => LoginState::Renewable,
            Some(_) => LoginState::Expired,
        })
    }

    /// Finds a login that a killed process had no time to put in its place. One that is still at work does so itself.
    fn recover(&self) -> Result<()> {
        match self.store.has_left_over().then(|| self.store.try_lock()) {
            Some(Ok(lock)) => self.store.adopt_left_over(&lock),
            _ => Ok(()),
        }
    }

    /// Whether the token was given for this run alone.
    pub fn is_given(&self) -> bool {
        self.given.is_some()
    }
}

impl TokenProvider for Session<'_> {
    type Error = Error;

    async fn token(&self, deadline: Instant) -> Result<Secret> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        match self.store.load()? {
            Some(login) if !login.has_expired() => Ok(login.access_token),
            _ => renewed(&self.store, self.http, self.api.as_deref(), None, deadline, &self.warn).await,
        }
    }

    async fn renew(&self, rejected: &Secret, deadline: Instant) -> Result<Secret> {
        if self.given.is_some() {
            return Err(Error::AccessToken("the service does not accept KALLYAI_ACCESS_TOKEN".into()));
        }
        renewed(&self.store, self.http, self.api.as_deref(), Some(rejected), deadline, &self.warn).await
    }
}
