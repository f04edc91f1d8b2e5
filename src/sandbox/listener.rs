//! tiny_http, kept serving. Its pool can leave a connection of a burst without a thread until
//! another connection closes, and a single failed `accept` (too many open files, say) ends its
//! listening for good. A connection of our own, closed at once, cures the first, for it makes the
//! pool start one more thread, and discovers the second.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tiny_http::{Request, Server};

/// The longest that a connection left without a thread stays so.
const CARE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Listener {
    address: SocketAddr,
    /// `None` once closed.
    server: Mutex<Option<Arc<Server>>>,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let server = listen(address)?;
        Ok(Self {
            address: server.server_addr().to_ip().unwrap_or(address),
            server: Mutex::new(Some(Arc::new(server))),
        })
    }

    /// Where a client connects to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request, or `None` after a while without one and once closed.
    pub(super) fn next(&self) -> Option<Request> {
        let server = self.slot().clone()?;
        let request = server.recv_timeout(CARE_INTERVAL).ok().flatten();
        self.care();
        request
    }

    /// Stops listening, and makes [`Listener::next`] return.
    pub(super) fn close(&self) {
        if let Some(server) = self.slot().take() {
            server.unblock();
        }
    }

    fn care(&self) {
        let reached = TcpStream::connect_timeout(&self.address, CARE_INTERVAL).is_ok();
        if !reached
            && let Some(server) = &mut *self.slot()
            && let Ok(fresh) = listen(self.address)
        {
            *server = Arc::new(fresh);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Server>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(address: SocketAddr) -> io::Result<Server> {
    Server::from_listener(TcpListener::bind(address)?, None).map_err(io::Error::other)
}
