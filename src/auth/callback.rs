//! The local server that receives the sign-in redirect. It binds the port on both 127.0.0.1 and ::1
//! before the browser opens, so that no other program can bind either address and receive the
//! tokens.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::page::{self, Page};
use super::redirect::{OAuthState, Reply};
use super::request::{parse_head, read_head};
use crate::error::{Error, Kind, Result, io_reason};

const MAX_CONNECTIONS: usize = 64;
/// Time limit for one connection. Browsers open connections that they may never use.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for the browser to load the final page.
const PAGE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Maximum number of bytes to read and discard after a request's headers.
const MAX_DRAINED: u64 = 256 * 1024;

/// Listens on the port for the sign-in redirect until this value is dropped.
pub struct Receiver {
    shared: Arc<Shared>,
    redirects: mpsc::UnboundedReceiver<Redirect>,
    /// The tasks that accept connections. They are aborted when this set is dropped.
    _listening: JoinSet<()>,
}

/// The reply from the service, and the browser's connection, which still needs a response.
type Redirect = (Reply, TcpStream);

struct Shared {
    port: u16,
    redirects: mpsc::UnboundedSender<Redirect>,
    page_loaded: Notify,
    phase: Mutex<Phase>,
}

enum Phase {
    Waiting(OAuthState),
    /// The redirect has arrived. The OAuth state is valid only once, so later redirects are
    /// rejected.
    Received,
    Shown(Page),
}

enum Response {
    Now(Vec<u8>),
    LastPage(Vec<u8>),
    Later(Reply),
}

impl Receiver {
    /// Binds the port and starts listening for a redirect with this OAuth state.
    pub async fn bind(port: u16, state: OAuthState) -> Result<Self> {
        let listeners = bind(port).await.map_err(|error| {
            if is_in_use(&error) {
                return port_in_use(port);
            }
            let message = format!("can't listen on port {port}: {}", io_reason(&error));
            Error::new(Kind::SignInFailed, message).with_hint(other_port(port))
        })?;
        let (sender, redirects) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            port,
            redirects: sender,
            page_loaded: Notify::new(),
            phase: Mutex::new(Phase::Waiting(state)),
        });
        let limit = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut listening = JoinSet::new();
        for listener in listeners {
            listening.spawn(accept(listener, Arc::clone(&limit), Arc::clone(&shared)));
        }
        Ok(Self {
            shared,
            redirects,
            _listening: listening,
        })
    }

    /// Waits for the redirect. Pass its connection to [`Receiver::show`].
    pub async fn redirect(&mut self) -> Redirect {
        match self.redirects.recv().await {
            Some(redirect) => redirect,
            None => std::future::pending().await,
        }
    }

    /// Shows the result in the browser. Ignores errors, because the user may have closed the
    /// browser.
    pub async fn show(self, mut browser: TcpStream, page: Page) {
        self.shared.set(Phase::Shown(page));
        let shown = async {
            respond(&mut browser, &page.redirect()).await?;
            self.shared.page_loaded.notified().await;
            io::Result::Ok(())
        };
        let _ = timeout(PAGE_TIMEOUT, shown).await;
    }
}

fn port_in_use(port: u16) -> Error {
    let message = format!("port {port} is in use, possibly by another kallyai sign-in");
    Error::new(Kind::PortInUse, message).with_hint(other_port(port))
}

fn other_port(port: u16) -> String {
    // Do not suggest 8976, the default callback port, or 8977, the sandbox's port.
    let other = if port == 8978 { 8979 } else { 8978 };
    format!("close the program that is using the port, or add --callback-port {other}")
}

/// Binds the port on 127.0.0.1, and on ::1 if this computer has IPv6.
async fn bind(port: u16) -> io::Result<Vec<TcpListener>> {
    let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    // Only Linux refuses to bind a port that another program uses on the wildcard address. On other
    // systems, detect such a program by trying to connect to it.
    if cfg!(not(target_os = "linux")) {
        let (four, six) = tokio::join!(is_listening(four), is_listening(six));
        if four || six {
            return Err(io::ErrorKind::AddrInUse.into());
        }
    }
    let mut listeners = vec![TcpListener::bind(four).await?];
    match TcpListener::bind(six).await {
        Ok(listener) => listeners.push(listener),
        Err(error) if is_in_use(&error) => return Err(error),
        // Ignore any other error, because this computer probably does not support IPv6.
        Err(_) => {}
    }
    Ok(listeners)
}

/// Returns whether the error means that the port is in use. Windows reports a permission error if
/// the port is reserved or bound by another user.
fn is_in_use(error: &io::Error) -> bool {
    let is_reserved = cfg!(windows) && error.kind() == io::ErrorKind::PermissionDenied;
    is_reserved || error.kind() == io::ErrorKind::AddrInUse
}

async fn is_listening(address: SocketAddr) -> bool {
    let connected = timeout(Duration::from_millis(300), TcpStream::connect(address)).await;
    matches!(connected, Ok(Ok(_)))
}

async fn accept(listener: TcpListener, limit: Arc<Semaphore>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok(permit) = Arc::clone(&limit).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let _ = timeout(CONNECTION_TIMEOUT, handle(stream, &shared)).await;
                    drop(permit);
                });
            }
            // The process has probably run out of file descriptors. Wait for connections to close.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn handle(mut stream: TcpStream, shared: &Shared) {
    let Some(head) = read_head(&mut stream).await else {
        return;
    };
    match shared.route(&head) {
        Response::Now(bytes) => {
            let _ = respond(&mut stream, &bytes).await;
        }
        Response::LastPage(bytes) => {
            let _ = respond(&mut stream, &bytes).await;
            shared.page_loaded.notify_one();
        }
        Response::Later(reply) => {
            let _ = shared.redirects.send((reply, stream));
        }
    }
}

/// Writes a response, then reads the rest of the request. Closing a socket that has unread data
/// resets the connection, and the browser may lose the response.
async fn respond(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MAX_DRAINED), &mut tokio::io::sink()).await?;
    Ok(())
}

impl Shared {
    fn route(&self, head: &[u8]) -> Response {
        let (path, query) = match parse_head(head, self.port) {
            Ok(parsed) => parsed,
            Err(status) => return Response::Now(page::refusal(status)),
        };
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            Phase::Shown(page) if path == page.path() => Response::LastPage(page.response()),
            _ if path != "/callback" => Response::Now(page::refusal(404)),
            Phase::Waiting(state) => match Reply::parse(query, state) {
                Ok(reply) => {
                    *phase = Phase::Received;
                    Response::Later(reply)
                }
                Err(_) => Response::Now(Page::OldLink.response()),
            },
            Phase::Received | Phase::Shown(_) => Response::Now(Page::OldLink.response()),
        }
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Binds a free port. Tries another one if a different program takes the port first.
    async fn receiver() -> (Receiver, u16) {
        let state = OAuthState::parse(STATE).expect("a state");
        loop {
            let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = free.local_addr().expect("an address").port();
            drop(free);
            if let Ok(receiver) = Receiver::bind(port, state.clone()).await {
                return (receiver, port);
            }
        }
    }

    async fn connect(port: u16) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        stream.expect("a connection")
    }

    async fn get(port: u16, target: &str) -> String {
        let mut stream = connect(port).await;
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut response = String::new();
        let read = stream.read_to_string(&mut response).await;
        read.expect("a response");
        response
    }

    fn callback() -> String {
        format!("/callback?access_token=granted&state={STATE}")
    }

    #[tokio::test]
    async fn browser_is_redirected_to_a_url_without_tokens() {
        let (mut receiver, port) = receiver().await;
        let browser = tokio::spawn(async move {
            let redirect = get(port, &callback()).await;
            let replay = get(port, &callback()).await;
            (redirect, replay, get(port, "/signed-in").await)
        });
        let (reply, waiting) = receiver.redirect().await;
        assert!(matches!(reply, Reply::Granted(grant) if grant.access_token.expose() == "granted"));
        receiver.show(waiting, Page::SignedIn).await;
        let (redirect, replay, page) = browser.await.expect("responses");
        assert!(redirect.starts_with("HTTP/1.1 303 "));
        assert!(redirect.contains("Location: /signed-in\r\n"));
        assert!(replay.starts_with("HTTP/1.1 400 "), "{replay}");
        assert!(page.contains("You are signed in") && page.contains("default-src 'none'"));
    }

    #[tokio::test]
    async fn unrelated_requests_do_not_end_the_sign_in() {
        let (mut receiver, port) = receiver().await;
        let old = get(port, "/callback?access_token=a&state=0").await;
        assert!(old.starts_with("HTTP/1.1 400 "), "{old}");
        assert!(old.contains("from an earlier sign-in"), "{old}");
        for target in ["/", "/favicon.ico", "/signed-in", "/Callback", "//callback"] {
            let response = get(port, target).await;
            assert!(response.starts_with("HTTP/1.1 404 "), "{target}");
        }
        let browser = tokio::spawn(async move { get(port, &callback()).await });
        let (_, waiting) = receiver.redirect().await;
        receiver.show(waiting, Page::Declined).await;
        let redirect = browser.await.expect("a response");
        assert!(redirect.contains("Location: /declined"));
    }

    #[tokio::test]
    async fn idle_connections_do_not_block_the_sign_in_redirect() {
        let (mut receiver, port) = receiver().await;
        let mut idle = Vec::new();
        for _ in 0..MAX_CONNECTIONS + 10 {
            idle.push(connect(port).await);
        }
        let browser = tokio::spawn(async move { get(port, &callback()).await });
        // Idle connections are closed after `CONNECTION_TIMEOUT`. Allow 3 s more on a busy machine.
        let limit = CONNECTION_TIMEOUT + Duration::from_secs(3);
        let (_, waiting) = timeout(limit, receiver.redirect()).await.expect("in time");
        receiver.show(waiting, Page::SignedIn).await;
        let redirect = browser.await.expect("a response");
        assert!(redirect.starts_with("HTTP/1.1 303 "));
    }

    #[tokio::test]
    async fn sign_in_port_must_be_free_on_ipv4_and_ipv6() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(taken) = TcpListener::bind(address).await else {
                continue;
            };
            let port = taken.local_addr().expect("an address").port();
            let state = OAuthState::parse(STATE).expect("a state");
            let error = Receiver::bind(port, state).await.err().expect("in use");
            assert_eq!(error.kind, Kind::PortInUse);
        }
        assert!(other_port(8976).ends_with(" 8978") && other_port(8978).ends_with(" 8979"));
    }
}
