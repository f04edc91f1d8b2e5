//! The connection to the service or the sandbox.

use std::time::Duration;

use tokio::time::Instant;

use super::account::SIGN_IN_TIMEOUT;
use super::{Service, emulator};
use crate::api::{Http, Trace};
use crate::auth::{LoginState, Session, SignIn, Store};
use crate::domain::ApiBase;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::sandbox::Sandbox;

pub struct Connection {
    pub http: Http,
    pub store: Store,
    /// The sandbox, if this process runs one. Dropping the connection stops the sandbox.
    pub(super) emulator: Option<Sandbox>,
}

impl Connection {
    pub fn open(service: &Service<'_>) -> Result<Self> {
        let api = service.settings.api()?;
        Self::to(api, service.store()?, service.trace.clone())
    }

    /// Prepares a connection to the API, or to a new sandbox if `api` is `None`. Sends no request.
    pub fn to(api: Option<ApiBase>, store: Store, trace: Option<Trace>) -> Result<Self> {
        let (base, emulator) = match api {
            Some(base) => (base, None),
            None => {
                let emulator = emulator::start_in(files::folder_of(store.path()).to_owned())?;
                (emulator.url().parse()?, Some(emulator))
            }
        };
        Ok(Self {
            http: Http::new(base, trace),
            store,
            emulator,
        })
    }

    /// Returns the API's base URL for a helper, or `None` if the helper must start its own sandbox.
    pub fn api(&self) -> Option<String> {
        let base = self.http.base();
        self.emulator.is_none().then(|| base.as_str().to_owned())
    }

    pub fn session<'a>(&'a self, service: &'a Service<'_>) -> Result<Session<'a>> {
        let given = service.settings.access_token()?;
        let warn = |code, text: &str| service.notices.warn(code, text);
        let store = self.store.clone();
        Ok(Session::new(given, store, &self.http, self.api(), warn))
    }

    /// Signs the user in if there are no usable credentials. In the sandbox, the user need not do
    /// anything.
    pub async fn sign_in_if_absent(
        &self,
        service: &Service<'_>,
        session: &Session<'_>,
    ) -> Result<()> {
        let state = session.state()?;
        if !matches!(state, LoginState::Absent | LoginState::Expired) {
            return Ok(());
        }
        if let Some(emulator) = &self.emulator {
            return emulator::sign_in(emulator, &self.store).await;
        }
        if !service.options.is_interactive {
            return Err(not_signed_in(state));
        }
        self.sign_in(service, Instant::now() + SIGN_IN_TIMEOUT)
            .await
    }

    /// Signs the user in through the browser.
    pub async fn sign_in(&self, service: &Service<'_>, by: Instant) -> Result<()> {
        let sign_in = SignIn {
            base: self.http.base(),
            store: &self.store,
            port: service.options.callback_port,
            may_open_browser: service.options.may_open_browser,
            may_paste: service.options.is_interactive,
            tell: &|text| service.notices.tell(text),
        };
        service.pass_on(sign_in.run(by).await?);
        Ok(())
    }
}

pub fn not_signed_in(state: LoginState) -> Error {
    let message = match state {
        LoginState::Absent => "you're not signed in",
        _ => "your sign-in has expired",
    };
    Error::new(Kind::NotSignedIn, message)
}

impl Service<'_> {
    pub(super) fn store(&self) -> Result<Store> {
        Ok(Store::new(
            self.settings.token_file()?,
            self.settings.issuer()?,
        ))
    }

    /// Signs the user in if necessary, then runs `work`. Its time limit starts after the sign-in.
    pub(super) async fn signed_in<R>(
        &self,
        timeout: Duration,
        work: impl AsyncFnOnce(&Session<'_>, Instant) -> Result<R>,
    ) -> Result<R> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session).await?;
        work(&session, self.deadline(timeout)).await
    }
}
