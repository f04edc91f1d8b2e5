//! Emulates the KallyAI service over HTTP on loopback, for trying the program and testing other
//! clients without an account or a phone.
//!
//! It shares no code with the client and defines its JSON separately, so that a field misspelled on
//! one side makes a test fail. The number called determines the result (see `scenario`).

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

/// Default duration of a successful call.
pub const DEFAULT_CALL_DURATION: Duration = Duration::from_secs(4);

/// The address, state folder and call duration of a [`Sandbox`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on. Port 0 selects any free port.
    pub address: SocketAddr,
    /// The folder for calls and tokens. Sandboxes in several processes can share it.
    pub folder: PathBuf,
    /// Duration of a successful call. Other calls take a fixed percentage of this time.
    pub call_duration: Duration,
}

/// The tokens issued when a user signs in, as the service sends them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// The access token, to be sent as a bearer token.
    pub access_token: String,
    /// The refresh token, which can be exchanged for new tokens once.
    pub refresh_token: String,
    /// Lifetime of the access token in seconds.
    pub expires_in: u64,
}

/// A running emulator. It stops when dropped.
pub struct Sandbox {
    service: Arc<Service>,
    server: Arc<Server>,
}

/// The data shared by all requests.
struct Service {
    url: String,
    store: state::Store,
    call_duration: Duration,
}

impl Sandbox {
    /// Starts the emulator.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot listen on the address, or cannot read or write the folder.
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
            // Use one thread per request, because starting a call takes as long as the call.
            while let Ok(request) = requests.recv() {
                let service = Arc::clone(&shared);
                let respond = move || routes::respond(&service, request);
                // If the thread can't be started, tiny_http responds with 500.
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

    /// Issues tokens, as if the user had approved the sign-in.
    ///
    /// # Errors
    ///
    /// Returns an error if the tokens cannot be saved in the folder.
    pub fn new_login(&self) -> io::Result<Login> {
        account::new_login(&self.service)
    }
}

impl Drop for Sandbox {
    /// Stops the server. Calls continue: another sandbox with this folder returns their results.
    fn drop(&mut self) {
        self.server.unblock();
    }
}

#[cfg(test)]
mod tests;
