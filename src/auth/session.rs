//! Provides access tokens for one run of the program, and sends requests with them.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::login::Login;
use super::renew::Refresh;
use super::{SAVE_WARNING, Store};
use crate::api::{Http, Response};
use crate::domain::Secret;
use crate::error::{Error, Kind, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginState {
    /// The access token comes from `KALLYAI_ACCESS_TOKEN`.
    Given,
    /// The access token can be used until the time in `until`.
    Valid {
        until: Timestamp,
    },
    /// The access token has expired, but there is a refresh token.
    Renewable,
    /// The access token has expired, and there is no refresh token.
    Expired,
    Absent,
}

/// Reports a warning. The arguments are the warning's code and its text.
type Warn<'a> = Box<dyn Fn(&'static str, &str) + 'a>;

pub struct Session<'a> {
    pub http: &'a Http,
    given: Option<Secret>,
    store: Store,
    api: Option<String>,
    warn: Warn<'a>,
    /// A cache of the credentials file, which is read again before a refresh.
    loaded: RefCell<Option<Login>>,
    /// Whether the service rejected even a refreshed token. If it did, another refresh would not
    /// help.
    is_rejected: Cell<bool>,
}

impl<'a> Session<'a> {
    /// Creates a session. `given` is the token from `KALLYAI_ACCESS_TOKEN`, if it is set. `api` is
    /// the base URL from which a helper process gets new tokens, or `None` for the sandbox.
    pub fn new(
        given: Option<Secret>,
        store: Store,
        http: &'a Http,
        api: Option<String>,
        warn: impl Fn(&'static str, &str) + 'a,
    ) -> Self {
        Self {
            http,
            given,
            store,
            api,
            warn: Box::new(warn),
            loaded: RefCell::default(),
            is_rejected: Cell::default(),
        }
    }

    pub fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// Returns the state of the credentials without contacting the service.
    pub fn state(&self) -> Result<LoginState> {
        if self.is_given() {
            return Ok(LoginState::Given);
        }
        Ok(match self.login()? {
            None => LoginState::Absent,
            Some(login) if !login.has_expired() => LoginState::Valid {
                until: Timestamp::from_second(login.expires_at).unwrap_or(Timestamp::MAX),
            },
            Some(login) if login.refresh_token.is_some() => LoginState::Renewable,
            Some(_) => LoginState::Expired,
        })
    }

    fn login(&self) -> Result<Option<Login>> {
        if self.loaded.borrow().is_none() {
            let login = self.store.load()?;
            self.loaded.replace(login);
        }
        Ok(self.loaded.borrow().clone())
    }

    /// Returns an access token. Refreshes the credentials first if they have expired.
    pub async fn token(&self, by: Instant) -> Result<Secret> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        match self.login()? {
            None => Err(Error::new(Kind::NotSignedIn, "you're not signed in")),
            Some(login) if login.has_expired() => self.refresh(None, by).await,
            Some(login) => Ok(login.access_token),
        }
    }

    /// Returns a new access token after the service rejected the old one with a 401 response.
    pub async fn renew(&self, rejected: &Secret, by: Instant) -> Result<Secret> {
        if self.is_given() {
            let message = "KALLYAI_ACCESS_TOKEN was rejected";
            return Err(Error::new(Kind::AccessToken, message));
        }
        self.refresh(Some(rejected), by).await
    }

    async fn refresh(&self, rejected: Option<&Secret>, by: Instant) -> Result<Secret> {
        self.loaded.take();
        let refresh = Refresh {
            store: &self.store,
            http: self.http,
            warn: &|text| (self.warn)(SAVE_WARNING, text),
            rejected,
        };
        let login = refresh.in_helper(self.api.as_deref(), by).await?;
        let token = login.access_token.clone();
        self.loaded.replace(Some(login));
        Ok(token)
    }

    /// Sends a GET request with an access token. After a 401 response, refreshes the token and
    /// retries once. Fails unless the final response is 2xx.
    pub async fn get(&self, url: &Url, by: Instant) -> Result<Response> {
        let token = self.token(by).await?;
        let mut response = self.http.get(url, &token, by).await?;
        if response.status == 401 && !self.is_rejected.get() {
            let renewed = self.renew(&token, by).await;
            let token = renewed.map_err(|error| response.explain(error))?;
            response = self.http.get(url, &token, by).await?;
        }
        self.is_rejected.set(response.status == 401);
        response.into_success()
    }
}
