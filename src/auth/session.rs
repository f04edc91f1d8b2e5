//! The credentials of one run, and requests made with them.

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

/// Whether there are credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginState {
    /// `KALLYAI_ACCESS_TOKEN`.
    Given,
    /// Refreshed automatically after this moment.
    Valid {
        until: Timestamp,
    },
    /// Expired, and refreshed before use.
    Renewable,
    /// Expired for good.
    Expired,
    Absent,
}

/// Receives a code and a sentence.
type Warn<'a> = Box<dyn Fn(&'static str, &str) + 'a>;

/// The credentials of one run, and requests made with them.
pub struct Session<'a> {
    pub http: &'a Http,
    given: Option<Secret>,
    store: Store,
    api: Option<String>,
    warn: Warn<'a>,
    /// Read once: the file is read again only after a 401.
    loaded: RefCell<Option<Login>>,
    /// The service rejected even a new token: further refreshes would be no use.
    is_rejected: Cell<bool>,
}

impl<'a> Session<'a> {
    /// `given` is `KALLYAI_ACCESS_TOKEN`. `api` is the API's address for a refresh process, `None`
    /// for the sandbox. `warn` gets a code and a sentence.
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

    /// Sends nothing.
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

    /// An access token that has not expired.
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

    /// Another token than `rejected`, which the service rejected with 401.
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

    /// Reads a URL below the base, and refreshes the credentials once after a 401. The response is
    /// a 2xx.
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
