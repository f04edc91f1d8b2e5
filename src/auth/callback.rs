//! The receiver of the sign-in's redirect. Whoever answers at the callback's port owns the account, so both address
//! families are owned before anything is opened, and whatever is not the one right request changes nothing.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::connections::Connections;
use super::error::{Error, Result};
use super::page::{self, Page};
use super::peer::PeerCheck;
use super::redirect::{AuthResponse, OAuthState, read_query};
use super::request::{CALLBACK, LARGEST_HEAD, read_request};

/// A connection's whole life.
const CONNECTION: Duration = Duration::from_secs(5);
/// The most that is read of what the other side still sends, in bytes.
const MOST_DRAINED: u64 = 256 * 1024;

/// Both ends of the callback's port.
pub struct Receiver {
    listeners: Vec<TcpListener>,
    port: u16,
}

/// An answer to the sign-in; the browser waits to be told what became of it.
pub struct CallbackReceived {
    /// What the service says.
    pub reply: AuthResponse,
    /// Takes the page that the browser is to see.
    pub show: oneshot::Sender<Page>,
}

/// What the receiver tells the sign-in.
pub enum Event {
    /// The one right answer.
    Callback(CallbackReceived),
    /// The right answer, by a program of another user: it was refused.
    OtherUser,
}

/// What every connection shares.
pub(crate) struct Shared {
    port: u16,
    state: OAuthState,
    /// Taken by the first right request: a replay finds it empty.
    arrivals: Mutex<Option<mpsc::Sender<Event>>>,
    /// The page that may be fetched, once there is one.
    page: Mutex<Option<Page>>,
    /// Who waits for that.
    fetched: Mutex<Option<oneshot::Sender<()>>>,
}

impl Shared {
    /// A receiver that waits for the answer of this state, which goes to `arrivals`.
    pub(crate) fn new(
        port: u16,
        state: OAuthState,
        arrivals: Option<mpsc::Sender<Event>>,
        page: Option<Page>,
    ) -> (Self, oneshot::Receiver<()>) {
        let (fetched, page_fetched) = oneshot::channel();
        let shared = Self {
            port,
            state,
            arrivals: Mutex::new(arrivals),
            page: Mutex::new(page),
            fetched: Mutex::new(Some(fetched)),
        };
        (shared, page_fetched)
    }
}

impl Receiver {
    /// Owns a port on 127.0.0.1, and on ::1 where this computer has it.
    ///
    /// # Errors
    /// When either belongs to another program.
    pub async fn bind(port: u16) -> Result<Self> {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        // Linux refuses a port that a wildcard holds. Elsewhere only knocking tells.
        if cfg!(not(target_os = "linux")) {
            // At once: Windows tries a closed port for seconds before it says so.
            let (four, six) = tokio::join!(answers(four), answers(six));
            if four || six {
                return Err(Error::PortInUse(port));
            }
        }
        let four = TcpListener::bind(four).await.map_err(|e| refused(&e, port))?;
        let six = where_there_is_ipv6(TcpListener::bind(six).await).map_err(|e| refused(&e, port))?;
        Ok(Self { listeners: std::iter::once(four).chain(six).collect(), port })
    }

    /// Starts taking requests. What comes of them comes through the returned channel; dropping [`Serving`] ends all.
    pub fn serve(self, state: OAuthState) -> (Serving, mpsc::Receiver<Event>) {
        // One callback, and once that another user's came.
        let (arrivals, events) = mpsc::channel(2);
        let (shared, page_fetched) = Shared::new(self.port, state, Some(arrivals), None);
        let shared = Arc::new(shared);
        let connections = Arc::new(Connections::default());
        let peers = Arc::new(PeerCheck::new());
        let tasks = self
            .listeners
            .into_iter()
            .map(|listener| {
                let accepting =
                    accept(listener, Arc::clone(&shared), Arc::clone(&connections), Arc::clone(&peers));
                tokio::spawn(accepting).abort_handle()
            })
            .collect();
        (Serving { tasks, connections, page_fetched }, events)
    }
}

/// A receiver at work.
pub struct Serving {
    tasks: Vec<AbortHandle>,
    connections: Arc<Connections>,
    page_fetched: oneshot::Receiver<()>,
}

impl Serving {
    /// Waits until the browser has fetched its page, but not long: it may never.
    pub async fn wait_for_page_fetch(mut self) {
        let _ = tokio::time::timeout(Duration::from_millis(1500), &mut self.page_fetched).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.connections.end_all();
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    peers: Arc<PeerCheck>,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Out of file descriptors, most likely: one of them is had back.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                connections.end_one();
                continue;
            }
        };
        connections.make_room().await;
        let has_head = Arc::new(AtomicBool::new(false));
        let peers = Arc::clone(&peers);
        let is_ours = move |here: io::Result<SocketAddr>| here.is_ok_and(|here| peers.is_ours(peer, here));
        let handling = handle_connection(stream, is_ours, Arc::clone(&has_head), Arc::clone(&shared));
        connections.add(tokio::spawn(handling).abort_handle(), has_head);
    }
}

async fn handle_connection(
    mut stream: TcpStream,
    is_ours: impl FnOnce(io::Result<SocketAddr>) -> bool,
    has_head: Arc<AtomicBool>,
    shared: Arc<Shared>,
) {
    let deadline = Instant::now() + CONNECTION;
    let Ok(Some(head)) = timeout_at(deadline, read_head(&mut stream)).await else { return };
    has_head.store(true, Ordering::Relaxed);
    let response = match route(&head, || is_ours(stream.local_addr()), &shared) {
        Routed::Status(status) => page::refusal(status),
        Routed::Page(page) => page.response(),
        Routed::AuthResponse(reply) => {
            let Some(arrivals) = lock(&shared.arrivals).take() else { return };
            // No longer one of the connections: saving takes its time, and newcomers must not push this one out.
            tokio::spawn(deliver(stream, reply, arrivals, shared));
            return;
        }
    };
    let _ = timeout_at(deadline, say(&mut stream, &response)).await;
    if response.ends_sign_in {
        let _ = lock(&shared.fetched).take().map(|fetched| fetched.send(()));
    }
}

/// Hands the one right answer over, and tells its browser what became of it.
async fn deliver(
    mut stream: TcpStream,
    reply: AuthResponse,
    arrivals: mpsc::Sender<Event>,
    shared: Arc<Shared>,
) {
    let (show, shown) = oneshot::channel();
    if arrivals.send(Event::Callback(CallbackReceived { reply, show })).await.is_err() {
        return;
    }
    let page = shown.await.unwrap_or(Page::NotSaved);
    *lock(&shared.page) = Some(page);
    let _ = timeout_at(Instant::now() + CONNECTION, say(&mut stream, &page.redirect())).await;
}

/// Reads up to the empty line behind the head; `None` when the connection ends before. Anything longer than a head may
/// be is returned as far as it was read.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(4096);
    loop {
        let seen = head.len().saturating_sub(3);
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
        let fresh = head.get(seen..).unwrap_or_default();
        if let Some(end) = fresh.windows(4).position(|four| four == b"\r\n\r\n") {
            head.truncate(seen + end + 4);
            return Some(head);
        }
        if head.len() > LARGEST_HEAD {
            return Some(head);
        }
    }
}

/// Writes the response and takes leave so that the other side can read it: what it still sends is drained first,
/// because closing over unread bytes would reset the connection.
async fn say(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    response: &page::Response,
) -> io::Result<()> {
    stream.write_all(&response.bytes).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MOST_DRAINED), &mut tokio::io::sink()).await.map(drop)
}

/// What a request gets.
pub(crate) enum Routed {
    /// A refusal.
    Status(u16),
    /// The page that may be fetched.
    Page(Page),
    /// What is handed over as the answer to the sign-in.
    AuthResponse(AuthResponse),
}

/// Decides on a request. Whose program sent it counts for the right answer alone: all else changes nothing, and finding
/// out takes its time where there are many connections.
pub(crate) fn route(head: &[u8], is_ours: impl FnOnce() -> bool, shared: &Shared) -> Routed {
    match read_request(head, shared.port) {
        Err(status) => Routed::Status(status),
        Ok((CALLBACK, query)) => {
            match (read_query(query.as_bytes(), &shared.state), &*lock(&shared.arrivals)) {
                // The state is spent with the first right answer.
                (Ok(reply), Some(_)) if is_ours() => Routed::AuthResponse(reply),
                (Ok(_), Some(arrivals)) => {
                    // Where the channel is full it has been said.
                    let _ = arrivals.try_send(Event::OtherUser);
                    Routed::Status(403)
                }
                _ => Routed::Status(400),
            }
        }
        Ok((path, _)) => match *lock(&shared.page) {
            Some(page) if page.path() == path => Routed::Page(page),
            _ => Routed::Status(404),
        },
    }
}

async fn answers(address: SocketAddr) -> bool {
    matches!(tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// What was bound, or nothing where this computer has no such address.
fn where_there_is_ipv6<T>(bound: io::Result<T>) -> io::Result<Option<T>> {
    match bound {
        Err(error) if is_without_ipv6(&error) => Ok(None),
        bound => bound.map(Some),
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    /// EAFNOSUPPORT: the system has no IPv6 at all.
    const NO_FAMILY: i32 = if cfg!(windows) {
        10047
    } else if cfg!(target_os = "linux") {
        97
    } else {
        47
    };

    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(NO_FAMILY)
}

fn refused(error: &io::Error, port: u16) -> Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::PortInUse(port),
        // Windows says so of a port that is another user's, or that it keeps for itself.
        io::ErrorKind::PermissionDenied if cfg!(windows) => Error::PortInUse(port),
        _ => Error::SignInFailed(format!("port {port} on this computer cannot be opened: {error}")),
    }
}

/// A panic while the lock was held would have ended the program's only thread.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
