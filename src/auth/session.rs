//! The credentials for one run, and requests that use them.

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

/// The state of the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginState {
    /// Set in `KALLYAI_ACCESS_TOKEN`.
    Given,
    /// Not expired. Refreshed automatically after `until`.
    Valid {
        until: Timestamp,
    },
    /// Expired, but can be refreshed before use.
    Renewable,
    /// Expired, without a refresh token.
    Expired,
    Absent,
}

/// Receives the code and the text of a warning.
type Warn<'a> = Box<dyn Fn(&'static str, &str) + 'a>;

/// The credentials for one run, and requests that use them.
pub struct Session<'a> {
    pub http: &'a Http,
    given: Option<Secret>,
    store: Store,
    api: Option<String>,
    warn: Warn<'a>,
    /// Cached contents of the file, which is read again only for a refresh.
    loaded: RefCell<Option<Login>>,
    /// Whether the service rejected even a new token, so another refresh would not help.
    is_rejected: Cell<bool>,
}

impl<'a> Session<'a> {
    /// Creates a session. `given` is `KALLYAI_ACCESS_TOKEN`. `api` is the base URL for the helper
    /// process, or `None` for the sandbox. `warn` receives the code and the text of a warning.
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

    /// Returns the state of the credentials, without sending a request.
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

    /// Returns an access token that has not expired. Refreshes the credentials if necessary.
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

    /// Returns a token to replace `rejected`, which the service rejected with a 401.
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

    /// Sends a GET request to a URL under the base URL. After a 401, refreshes the credentials and
    /// tries again once. Returns an error unless the response is 2xx.
    pub async fn get(&self, url: &Url, by: Instant) -> Result<Response> {
        let token = self.token(by).await?;
        let mut response = self.http.get(url, &token, by).await?;
        if response.status == 401 && !self.is_rejected.get() {
            let token = self.renew(&token, by).await?;
            response = self.http.get(url, &token, by).await?;
        }
        self.is_rejected.set(response.status == 401);
        response.into_success()
    }
}
