//! Emulates the KallyAI service over HTTP on loopback, for trying the program and testing other
//! clients without an account or a phone.
//!
//! It shares no code with the client and defines its JSON separately, so that a misspelled field on
//! one side makes a test fail. The phone number determines the result of a call (see `scenario`).

mod account;
mod calendar;
mod calls;
mod http;
mod routes;
mod scenario;
mod sign_in;
mod state;
mod story;
mod submission;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiny_http::Server;

pub use state::forget;

/// How long a successful call takes by default.
pub const DEFAULT_CALL_DURATION: Duration = Duration::from_secs(4);

/// The settings of a [`Sandbox`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on. Port 0 selects a free port.
    pub address: SocketAddr,
    /// The folder in which to store calls and tokens. Sandboxes in several processes can share it.
    pub folder: PathBuf,
    /// How long a successful call takes. Calls to some test numbers take a percentage of this time.
    pub call_duration: Duration,
}

/// Tokens from a sign-in or a refresh, in the service's JSON format.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// The token to send as a bearer token with each request.
    pub access_token: String,
    /// A single-use token that can be exchanged for new tokens.
    pub refresh_token: String,
    /// Lifetime of the access token, in seconds.
    pub expires_in: u64,
}

/// A running sandbox. It stops when this value is dropped.
pub struct Sandbox {
    service: Arc<Service>,
    server: Arc<Server>,
}

/// The data that all requests share.
struct Service {
    url: String,
    store: state::Store,
    call_duration: Duration,
}

impl Sandbox {
    /// Starts a sandbox, which serves requests in the background until it is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if the sandbox cannot listen on the address or cannot use the folder.
    pub fn start(options: Options) -> io::Result<Self> {
        let folder = options.folder;
        let store = state::Store { folder };
        store.read()?;
        let listener = TcpListener::bind(options.address)?;
        let service = Arc::new(Service {
            url: format!("http://{}", listener.local_addr()?),
            store,
            call_duration: options.call_duration,
        });
        let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
        let server = Arc::new(server);
        let (requests, shared) = (Arc::clone(&server), Arc::clone(&service));
        thread::Builder::new().spawn(move || {
            // Use one thread per request, because a request to make a call lasts as long as the
            // call.
            while let Ok(request) = requests.recv() {
                let service = Arc::clone(&shared);
                let respond = move || routes::respond(&service, request);
                // Ignore errors: if the thread can't be started, tiny_http responds with a 500.
                let _ = thread::Builder::new().spawn(respond);
            }
        })?;
        Ok(Self { service, server })
    }

    /// Returns the base URL, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.service.url.clone()
    }

    /// Issues tokens, as if a user had signed in through the browser.
    ///
    /// # Errors
    ///
    /// Returns an error if the tokens cannot be saved in the folder.
    pub fn new_login(&self) -> io::Result<Login> {
        account::new_login(&self.service)
    }
}

impl Drop for Sandbox {
    /// Stops the server. Calls continue, and another sandbox with the same folder can return their
    /// results.
    fn drop(&mut self) {
        self.server.unblock();
    }
}

#[cfg(test)]
mod tests;
