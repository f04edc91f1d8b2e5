//! The service, or the emulator in its place, and the login for it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Service, emulator};
use crate::api::{Client, Http};
use crate::auth::{self, LoginState, Opener, SIGN_IN_TIMEOUT, Session, SignIn, Store};
use crate::error::{Error, Kind, Result};
use crate::sandbox::Sandbox;

/// A way to the service.
pub struct Connection {
    /// Runs for as long as this lives.
    emulator: Option<Sandbox>,
    /// The way to the API.
    pub http: Http,
    /// Where the login is kept.
    pub store: Store,
}

impl Connection {
    /// A way to the service of this run. Nothing is sent yet.
    ///
    /// # Errors
    /// When the environment names none, or the emulator cannot be started.
    pub fn open(service: &Service<'_>) -> Result<Self> {
        let store = service.store(service.settings.issuer()?)?;
        let emulator = service.settings.sandbox.then(|| emulator::start(service)).transpose()?;
        let base = match &emulator {
            Some(emulator) => emulator.url().parse()?,
            None => service.settings.api()?,
        };
        Ok(Self { emulator, http: Http::new(base, service.trace.clone()), store })
    }

    /// Whether the emulator answers.
    pub fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }

    /// Where the API is, for a helper process; `None` for the emulator, of which it starts its own.
    pub fn api(&self) -> Option<String> {
        (!self.is_emulated()).then(|| self.http.base().as_str().to_owned())
    }

    /// The login of this run.
    ///
    /// # Errors
    /// When the token given for it cannot be one.
    pub fn session<'a>(&'a self, service: &'a Service<'_>) -> Result<Session<'a>> {
        let given = service.settings.access_token()?;
        let warn = |text: &str| service.notices.warn("login", text);
        Ok(Session::new(given, self.store.clone(), &self.http, self.api(), warn))
    }

    /// Makes sure that there is a login: the emulator hands one out, a person is asked to sign in, a program is told.
    ///
    /// # Errors
    /// When there is none.
    pub async fn sign_in_if_absent(
        &self,
        service: &Service<'_>,
        session: &Session<'_>,
        may_ask: bool,
    ) -> Result<()> {
        let why = match session.state() {
            Ok(LoginState::Given | LoginState::Valid { .. } | LoginState::Renewable) => return Ok(()),
            Ok(LoginState::Expired) => "the login has expired",
            Ok(LoginState::Absent) => "you are not signed in",
            // What the sandbox's own folder holds is of an earlier version, or of the sandbox as it was served.
            Err(auth::Error::WrongIssuer { .. }) if self.emulator.is_some() => "",
            Err(error) => return Err(error.into()),
        };
        if let Some(emulator) = &self.emulator {
            return emulator::sign_in(emulator, &self.store).await;
        }
        if !(may_ask && service.options.is_interactive) {
            return Err(Error::new(Kind::NotSignedIn, why));
        }
        self.sign_in(service, Instant::now() + SIGN_IN_TIMEOUT).await
    }

    /// Signs in through the browser.
    ///
    /// # Errors
    /// When that does not end in a login.
    pub async fn sign_in(&self, service: &Service<'_>, deadline: Instant) -> Result<()> {
        let opener = Opener::new(!service.options.may_open_browser);
        let sign_in = SignIn {
            base: self.http.base(),
            store: &self.store,
            port: service.options.callback_port,
            opener: &opener,
            deadline,
            tell: &|text| service.notices.tell(text),
        };
        service.is_signing_in.set(true);
        let signed_in = sign_in.run().await;
        service.is_signing_in.set(false);
        Ok(signed_in.map(|_| ())?)
    }
}

impl Service<'_> {
    /// Where the login of this run is kept, for the service of this name.
    ///
    /// # Errors
    /// When there is no home folder to hold it.
    pub(super) fn store(&self, issuer: String) -> Result<Store> {
        let store = Store::new(self.settings.token_file()?, issuer);
        Ok(store.at_own_path(self.settings.is_own_token_file()))
    }

    /// Learns what must not be printed, though the journal repeats it: the login is not used.
    pub(super) fn know_secrets(&self) {
        let _ = self.settings.access_token();
        if let Ok(issuer) = self.settings.issuer()
            && let Ok(store) = self.store(issuer)
        {
            let _ = store.load();
        }
    }

    /// Does something as a signed-in user. The clock starts once somebody is signed in.
    pub(super) async fn signed_in<R>(
        &self,
        timeout: Duration,
        work: impl AsyncFnOnce(&Client<'_, Session<'_>>) -> Result<R>,
    ) -> Result<R> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session, true).await?;
        work(&Client::new(&connection.http, &session, self.deadline(timeout))).await
    }
}
