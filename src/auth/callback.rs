//! The receiver of the sign-in's redirect. Whoever answers at the callback's port owns the account, so both address
//! families are owned before anything is opened, and whatever is not the one right request changes nothing.

#[cfg(fuzzing)]
#[path = "../fuzzing/callback.rs"]
pub mod entrance;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::error::{Error, Result};
use super::page::{self, Page};
use super::redirect::{AuthResponse, OAuthState, read_query};

/// The path of the redirect URL.
const CALLBACK: &str = "/callback";
/// A connection's whole life.
const CONNECTION: Duration = Duration::from_secs(5);
/// The largest head taken, in bytes: other programs' cookies for localhost come along.
const LARGEST_HEAD: usize = 128 * 1024;
/// The most header fields taken.
const MOST_FIELDS: usize = 256;
/// The most connections at a time.
const MOST_CONNECTIONS: usize = 64;

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

/// What every connection shares.
struct Shared {
    port: u16,
    state: OAuthState,
    /// Taken by the first right request: a replay finds it empty.
    arrivals: Mutex<Option<mpsc::Sender<CallbackReceived>>>,
    /// The page that may be fetched, once there is one.
    page: Mutex<Option<Page>>,
    /// Who waits for that.
    fetched: Mutex<Option<oneshot::Sender<()>>>,
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
        let mut listeners = vec![TcpListener::bind(four).await.map_err(|e| refused(&e, port))?];
        match TcpListener::bind(six).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_without_ipv6(&error) => {}
            Err(error) => return Err(refused(&error, port)),
        }
        Ok(Self { listeners, port })
    }

    /// Starts taking requests. The arrival, if any, comes through the returned channel; dropping [`Serving`] ends all.
    pub fn serve(self, state: OAuthState) -> (Serving, mpsc::Receiver<CallbackReceived>) {
        let (arrivals, arrival) = mpsc::channel(1);
        let (fetched, page_fetched) = oneshot::channel();
        let shared = Arc::new(Shared {
            port: self.port,
            state,
            arrivals: Mutex::new(Some(arrivals)),
            page: Mutex::new(None),
            fetched: Mutex::new(Some(fetched)),
        });
        let connections = Arc::new(Mutex::new(VecDeque::new()));
        let tasks = self
            .listeners
            .into_iter()
            .map(|listener| {
                tokio::spawn(accept(listener, Arc::clone(&shared), Arc::clone(&connections))).abort_handle()
            })
            .collect();
        (Serving { tasks, connections, page_fetched }, arrival)
    }
}

/// A receiver at work.
pub struct Serving {
    tasks: Vec<AbortHandle>,
    connections: Connections,
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
        lock(&self.connections).iter().for_each(AbortHandle::abort);
    }
}

/// The connections that have brought no right answer, oldest first.
type Connections = Arc<Mutex<VecDeque<AbortHandle>>>;

async fn accept(listener: TcpListener, shared: Arc<Shared>, connections: Connections) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of file descriptors, most likely: connections end, and the next is taken.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let mut connections = lock(&connections);
        connections.retain(|connection| !connection.is_finished());
        while connections.len() >= MOST_CONNECTIONS {
            if let Some(oldest) = connections.pop_front() {
                oldest.abort();
            }
        }
        connections.push_back(tokio::spawn(handle_connection(stream, Arc::clone(&shared))).abort_handle());
    }
}

async fn handle_connection(mut stream: TcpStream, shared: Arc<Shared>) {
    let deadline = Instant::now() + CONNECTION;
    let Ok(Some(head)) = timeout_at(deadline, read_head(&mut stream)).await else { return };
    let response = match route(&head, &shared) {
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
    arrivals: mpsc::Sender<CallbackReceived>,
    shared: Arc<Shared>,
) {
    let (show, shown) = oneshot::channel();
    if arrivals.send(CallbackReceived { reply, show }).await.is_err() {
        return;
    }
    let page = shown.await.unwrap_or(Page::NotSaved);
    *lock(&shared.page) = Some(page);
    let _ = timeout_at(Instant::now() + CONNECTION, say(&mut stream, &page.redirect())).await;
}

/// Reads up to the empty line behind the head; `None` when the connection ends before. Anything longer than a head may
/// be is returned as far as it was read.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
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
async fn say(stream: &mut TcpStream, response: &page::Response) -> io::Result<()> {
    stream.write_all(&response.bytes).await?;
    stream.shutdown().await?;
    let mut scrap = [0u8; 4096];
    let mut patience = 64;
    while patience > 0 && stream.read(&mut scrap).await? > 0 {
        patience -= 1;
    }
    Ok(())
}

/// What a request gets.
enum Routed {
    Status(u16),
    Page(Page),
    AuthResponse(AuthResponse),
}

fn route(head: &[u8], shared: &Shared) -> Routed {
    match read_request(head, shared.port) {
        Err(status) => Routed::Status(status),
        Ok((CALLBACK, query)) => match read_query(query.as_bytes(), &shared.state) {
            // The state is spent with the first right answer.
            Ok(reply) if lock(&shared.arrivals).is_some() => Routed::AuthResponse(reply),
            _ => Routed::Status(400),
        },
        Ok((path, _)) => match *lock(&shared.page) {
            Some(page) if page.path() == path => Routed::Page(page),
            _ => Routed::Status(404),
        },
    }
}

/// The path and query of a request to this receiver, or the status that refuses it. Only `/callback` and the pages
/// behind it are here.
fn read_request(head: &[u8], port: u16) -> std::result::Result<(&str, &str), u16> {
    if head.len() > LARGEST_HEAD {
        return Err(431);
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        _ => return Err(400),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else { return Err(400) };
    if !target.starts_with('/') {
        return Err(400);
    }
    let mut hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_our_host(host.value, port) => {}
        (Some(_), None) => return Err(403),
        _ => return Err(400),
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != CALLBACK && !Page::PATHS.contains(&path) {
        return Err(404);
    }
    if method != "GET" {
        return Err(405);
    }
    Ok((path, query))
}

fn is_our_host(host: &[u8], port: u16) -> bool {
    let ours = |name: &str| host.eq_ignore_ascii_case(format!("{name}:{port}").as_bytes());
    // A browser leaves out the port that HTTP has anyway.
    let bare = |name: &str| port == 80 && host.eq_ignore_ascii_case(name.as_bytes());
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(|name| ours(name) || bare(name))
}

async fn answers(address: SocketAddr) -> bool {
    matches!(tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await, Ok(Ok(_)))
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(line: &str, host: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n")
    }

    #[test]
    fn only_a_get_of_the_callback_at_our_host_is_read() {
        for host in ["localhost:8976", "127.0.0.1:8976", "[::1]:8976", "LOCALHOST:8976"] {
            let head = request("GET /callback?a=b", host);
            assert_eq!(read_request(head.as_bytes(), 8976), Ok(("/callback", "a=b")), "{host}");
        }
        for (line, host, status) in [
            ("GET /", "localhost:8976", 404),
            ("GET /favicon.ico", "localhost:8976", 404),
            ("GET /Callback", "localhost:8976", 404),
            ("GET /callback/x", "localhost:8976", 404),
            ("GET //callback", "localhost:8976", 404),
            ("HEAD /callback", "localhost:8976", 405),
            ("POST /callback", "localhost:8976", 405),
            ("OPTIONS /callback", "localhost:8976", 405),
            ("OPTIONS *", "localhost:8976", 400),
            ("GET http://localhost:8976/callback", "localhost:8976", 400),
            ("GET /callback", "evil.example:8976", 403),
            ("GET /callback", "localhost", 403),
            ("GET /callback", "localhost:8977", 403),
            ("GET /callback", "localhost:8976.evil.example", 403),
            ("GET /callback", "", 403),
        ] {
            assert_eq!(read_request(request(line, host).as_bytes(), 8976), Err(status), "{line} {host}");
        }
        for head in [
            "GET /callback HTTP/1.1\r\n\r\n",
            "GET /callback HTTP/1.0\r\n\r\n",
            "\x16\x03\x01\x02\r\n\r\n",
            "GET /callback HTTP/1.1\r\nHost: localhost:8976\r\nHost: localhost:8976\r\n\r\n",
            "GET\r\n\r\n",
        ] {
            assert_eq!(read_request(head.as_bytes(), 8976), Err(400), "{head:?}");
        }
    }

    #[test]
    fn a_head_of_64_kib_passes_and_one_beyond_the_cap_does_not() {
        let with = |cookies: usize| {
            format!("GET /callback HTTP/1.1\r\nHost: localhost:1\r\nCookie: {}\r\n\r\n", "c".repeat(cookies))
        };
        assert!(read_request(with(64 * 1024).as_bytes(), 1).is_ok());
        assert_eq!(read_request(with(LARGEST_HEAD).as_bytes(), 1), Err(431));
        let many = "X: y\r\n".repeat(MOST_FIELDS);
        assert_eq!(
            read_request(format!("GET /callback HTTP/1.1\r\n{many}Host: localhost:1\r\n\r\n").as_bytes(), 1),
            Err(431)
        );
    }

    #[test]
    fn a_host_has_its_port_unless_http_has_it_anyway() {
        assert!(
            is_our_host(b"LocalHost", 80) && is_our_host(b"[::1]", 80) && is_our_host(b"localhost:80", 80)
        );
        assert!(!is_our_host(b"localhost", 8976) && !is_our_host(b"example.org", 80));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_bytes_make_the_head_parser_panic_or_forget_the_host(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                "(GET|POST|/callback|/| |HTTP/1.1|\r\n|Host: |localhost:1|:|\\?state=|\u{0}){0,30}".prop_map(String::into_bytes),
            ]
        ) {
            if let Ok((path, _)) = read_request(&bytes, 1) {
                prop_assert_eq!(path, CALLBACK);
                let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
                prop_assert!(head.contains("localhost:1") && head.contains("get"));
            }
        }
    }
}
