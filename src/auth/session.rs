//! The login as commands see it: whether there is one, and a token that works.

use std::io::IsTerminal as _;

use jiff::Timestamp;
use tokio::time::Instant;

use super::refresh::renewed;
use super::store::Store;
use crate::api::{Http, Tokens};
use crate::error::{Error, Result};
use crate::types::Secret;

/// The login of a run.
pub struct Session<'a> {
    /// A token given for this run alone: used as it is, never saved, never renewed.
    given: Option<Secret>,
    store: Store,
    http: &'a Http,
    warn: Box<dyn Fn(&str) + 'a>,
}

/// What there is of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
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
    pub fn new(given: Option<Secret>, store: Store, http: &'a Http, warn: impl Fn(&str) + 'a) -> Self {
        Self { given, store, http, warn: Box::new(warn) }
    }

    /// What there is, without sending anything.
    ///
    /// # Errors
    /// When the login's file cannot be used.
    pub fn state(&self) -> Result<State> {
        if self.given.is_some() {
            return Ok(State::Given);
        }
        Ok(match self.store.load()? {
            None => State::Absent,
            Some(login) if !login.has_expired() => {
                State::Valid { until: Timestamp::from_second(login.expires_at).unwrap_or(Timestamp::MAX) }
            }
            Some(login) if login.refresh_token.is_some() => State::Renewable,
            Some(_) => State::Expired,
        })
    }

    /// Whether somebody is there to sign in.
    pub fn may_ask(no_input: bool) -> bool {
        !no_input && (std::io::stdin().is_terminal() || std::io::stderr().is_terminal())
    }
}

impl Tokens for Session<'_> {
    async fn token(&self, deadline: Instant) -> Result<Secret> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        match self.store.load()? {
            Some(login) if !login.has_expired() => Ok(login.access_token),
            _ => renewed(&self.store, self.http, None, deadline, &self.warn).await,
        }
    }

    async fn renew(&self, rejected: &Secret, deadline: Instant) -> Result<Secret> {
        if self.given.is_some() {
            return Err(Error::GivenToken("the service does not accept KALLYAI_ACCESS_TOKEN".into()));
        }
        renewed(&self.store, self.http, Some(rejected), deadline, &self.warn).await
    }
}
