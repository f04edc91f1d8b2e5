//! An emulator of the API, served over real HTTP on loopback: the whole product can be tried, and
//! any client tested, without an account, a network or a phone.
//!
//! It shares no code with the client and spells its JSON itself, so that a misspelt member cannot
//! pass on both sides. The number that is called decides how the call ends (`scenario`).
//!
//! | module | what it knows | may use |
//! |---|---|---|
//! | `routes` | which request is answered where | all below |
//! | `calls`, `account`, `sign_in`, `page` | the routes | all below |
//! | `service` | what the requests share | all below |
//! | `store` | what is remembered, on disk, between runs and processes | `records`, `logins` |
//! | `calendar` | a call's appointment as a file | `records` and what it uses |
//! | `records`, `logins` | calls, sign-ins | all below |
//! | `script`, `appointment`, `intent` | the story told of a call | `submission`, `scenario` |
//! | `submission`, `scenario`, `plan` | what is asked for, and what becomes of it | `wire` |
//! | `server`, `receive` | serving: sockets, threads, requests as bytes | `wire` |
//! | `wire`, `shutdown`, `clock`, `random` | requests and answers, waiting, instants, identifiers | |

mod account;
mod appointment;
mod calendar;
mod calls;
mod clock;
mod intent;
mod logins;
mod page;
mod plan;
mod random;
mod receive;
mod records;
mod routes;
mod scenario;
mod script;
mod server;
mod service;
mod shutdown;
mod sign_in;
mod store;
mod submission;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use logins::Login;
use server::Server;
use service::Service;
use shutdown::Shutdown;
use store::Store;

/// How long a call that succeeds takes, from dialling to hanging up.
pub const DEFAULT_CALL_DURATION: Duration = Duration::from_secs(4);

/// How long an access token is good.
pub const DEFAULT_ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// How many connections may wait to be taken.
#[cfg(unix)]
const BACKLOG: i32 = 1024;

/// What a [`Sandbox`] is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// Where calls and logins are kept between runs. It is created for its owner alone, and
    /// sandboxes of other processes may share it at the same time.
    pub folder: PathBuf,
    /// How long a call that succeeds takes; one that does not takes a fixed part of it.
    pub call_duration: Duration,
    /// How long an access token is good.
    pub access_token_lifetime: Duration,
}

/// Removes what sandboxes kept in `folder`, and the folder if nothing else is in it.
///
/// # Errors
///
/// When it cannot be removed.
pub fn forget(folder: &Path) -> io::Result<()> {
    store::remove(folder)
}

/// A running emulator, which stops when dropped.
pub struct Sandbox {
    service: Arc<Service>,
    /// Stops when this is dropped, which must be after the shutdown has begun.
    _server: Server,
}

impl Sandbox {
    /// Starts serving.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened to, or the folder cannot be read and written.
    pub fn start(options: Options) -> io::Result<Self> {
        let store = Store::open(options.folder)?;
        let listener = TcpListener::bind(options.address)?;
        // The standard library has room for 128 who connect at the same moment; a client beyond them waits a second.
        #[cfg(unix)]
        rustix::net::listen(&listener, BACKLOG)?;
        let service = Arc::new(Service {
            address: listener.local_addr()?,
            store,
            shutdown: Shutdown::default(),
            call_duration: options.call_duration,
            access_token_lifetime: options.access_token_lifetime,
        });
        let answering = Arc::clone(&service);
        let server = Server::start(listener, move |request| routes::answer(&answering, request))?;
        Ok(Self { service, _server: server })
    }

    /// Where it is served: scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// A fresh login, as the sign-in page would hand it out.
    ///
    /// # Errors
    ///
    /// When it cannot be kept in the folder.
    pub fn new_login(&self) -> io::Result<Login> {
        self.service.new_login()
    }
}

impl Drop for Sandbox {
    /// Whoever waits for a call is answered a gateway's 504, since the call itself goes on.
    fn drop(&mut self) {
        self.service.shutdown.begin();
    }
}
