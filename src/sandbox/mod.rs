//! An emulator of the API, served over real HTTP on loopback: the whole product can be tried, and
//! any client tested, without an account, a network or a phone.
//!
//! It shares no code with the client and spells its JSON itself, so that a misspelt member cannot
//! pass on both sides. The number that is called decides how the call ends (`outcome`).
//!
//! | module | what it knows |
//! |---|---|
//! | `listener`, `gate` | serving: sockets and threads, waiting and closing |
//! | `wire`, `routes` | HTTP: requests, answers, error objects, which route is whose |
//! | `calls`, `account`, `sign_in` | the routes |
//! | `submission`, `outcome`, `script`, `calendar`, `page` | what is asked for, and the story told |
//! | `store`, `records`, `logins` | what is remembered, on disk, between runs and processes |
//! | `random` | identifiers |

mod account;
mod calendar;
mod calls;
mod gate;
mod listener;
mod logins;
mod outcome;
mod page;
mod random;
mod records;
mod routes;
mod script;
mod sign_in;
mod store;
mod submission;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

use gate::{Gate, Pass};
use listener::Listener;
use store::Store;
use wire::{Reply, Request};

/// How long a call that succeeds takes, from dialling to hanging up.
pub const DEFAULT_CALL_DURATION: Duration = Duration::from_secs(4);

/// How long an access token is good.
pub const DEFAULT_ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The most requests that are answered at once; more wait.
const CAPACITY: usize = 64;

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

/// A login as the API hands it out.
#[derive(Clone, Serialize)]
pub struct Login {
    /// The bearer token of every request.
    pub access_token: String,
    /// Buys one new login when this one has expired. A second use revokes the login.
    pub refresh_token: String,
    /// For how many seconds the access token is good.
    pub expires_in: u64,
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
    listening: Option<JoinHandle<()>>,
}

/// What the requests share.
struct Service {
    listener: Listener,
    gate: Arc<Gate>,
    store: Store,
    call_duration: Duration,
    access_token_lifetime: Duration,
}

impl Sandbox {
    /// Starts serving.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened to, or the folder cannot be read and written.
    pub fn start(options: Options) -> io::Result<Self> {
        let service = Arc::new(Service {
            store: Store::open(options.folder)?,
            listener: Listener::bind(options.address)?,
            gate: Gate::new(CAPACITY),
            call_duration: options.call_duration,
            access_token_lifetime: options.access_token_lifetime,
        });
        let listening = thread::Builder::new().name("sandbox".to_owned()).spawn({
            let service = Arc::clone(&service);
            move || service.serve()
        })?;
        Ok(Self { service, listening: Some(listening) })
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
        self.service.gate.close();
        self.service.listener.close();
        if let Some(listening) = self.listening.take() {
            // Its panic, if any, has been reported when it happened.
            let _ = listening.join();
        }
    }
}

impl Service {
    fn serve(self: &Arc<Self>) {
        while let Some(pass) = self.gate.enter() {
            if let Some(request) = self.listener.next() {
                self.spawn(request, pass);
            }
        }
    }

    fn spawn(self: &Arc<Self>, request: tiny_http::Request, pass: Pass) {
        let service = Arc::clone(self);
        let answering = move || {
            let _pass = pass;
            // A panic has been reported by the hook; tiny_http answers 500 as the request is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| service.answer(request)));
        };
        // Without a thread the request is dropped, which answers 500 as well.
        let _ = thread::Builder::new().spawn(answering);
    }

    fn answer(&self, mut request: tiny_http::Request) {
        /// A dropped request reads what is left of its body into one buffer of the announced size,
        /// and a size no machine has memory for would abort the process.
        const LARGEST_ANNOUNCED_BODY: usize = 1 << 30;
        if request.body_length() > Some(LARGEST_ANNOUNCED_BODY) {
            return mem::forget(request);
        }
        let reply = Request::new(&mut request)
            .and_then(|mut request| routes::answer(self, &mut request))
            .unwrap_or_else(Reply::from);
        // The client may be gone; there is nobody else to tell.
        let _ = reply.send(request);
    }

    fn new_login(&self) -> io::Result<Login> {
        let lifetime = self.access_token_lifetime;
        self.store.update(|state| state.logins.issue(store::now(), lifetime))
    }

    fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    fn billing_url(&self) -> String {
        self.url() + "/billing"
    }
}
