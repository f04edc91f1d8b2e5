//! An HTTP server that records requests. Tests configure how it responds or fails to respond.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// An HTTP request as the server received it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// The path and query, exactly as sent.
    pub target: String,
    /// The header names, in lower case, and their values.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// Returns the method and target, for example `GET /v1/calls?limit=10`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn is(&self, method: &str, path: &str) -> bool {
        // A `path` without a query matches a target with any query.
        let target = self.target.split('?').next();
        self.method == method && (self.target == path || target == Some(path))
    }
}

/// How the server responds to a request, or fails to respond.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Sends a complete response with this status, these headers and this body.
    Whole(u16, String, Vec<u8>),
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection before the status line.
    CutBeforeStatus,
    /// Closes the connection in the middle of the headers.
    CutInHead,
    /// Closes the connection in the middle of the body.
    CutInBody,
    Reset,
    /// Sends nothing for a minute or until the server stops.
    Stall,
    /// Sends the response after this delay.
    Late(Duration, Box<Reply>),
    /// Sends the response when the test opens the gate.
    Held(Gate, Box<Reply>),
}

/// A switch that delays responses until a test opens it, but at most for a minute.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Returns a reply that is sent when the test opens this gate.
    pub fn hold(&self, reply: Reply) -> Reply {
        Reply::Held(self.clone(), Box::new(reply))
    }

    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(super) fn pass(&self) {
        let (open, opened) = &*self.0;
        let limit = Duration::from_secs(60);
        let waited = opened.wait_timeout_while(open.lock().unwrap(), limit, |open| !*open);
        drop(waited.unwrap());
    }
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(status, String::new(), body.into())
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).with("Content-Type", "application/json")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Whole(_, headers, _) = &mut self {
            *headers += &format!("{name}: {value}\r\n");
        }
        self
    }
}

/// Returns a port that no other test in this run has used, because a worker from another test may
/// still be connecting to that test's port. The system assigns ports from a different range.
pub(super) fn next_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let turn = std::process::id().wrapping_mul(101);
    let turn = turn.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    10_000 + (turn % 20_000) as u16
}

/// Returns a listener on a loopback port that no other test has used.
pub fn listen() -> TcpListener {
    let mut tries =
        std::iter::repeat_with(|| TcpListener::bind((Ipv4Addr::LOCALHOST, next_port())));
    tries.find_map(Result::ok).expect("a free port")
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    over: Mutex<bool>,
    ended: Condvar,
}

impl Shared {
    /// Waits for this long, or until the server stops.
    fn wait(&self, time: Duration) {
        let over = self.over.lock().unwrap();
        let waited = self.ended.wait_timeout_while(over, time, |over| !*over);
        drop(waited.unwrap());
    }
}

/// A server on loopback. It stops when dropped.
pub struct Server {
    url: String,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = listen();
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            requests: Mutex::default(),
            arrived: Condvar::new(),
            over: Mutex::new(false),
            ended: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *accepting.over.lock().unwrap() {
                    return;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || converse(stream, &shared));
            }
        });
        Self { url, shared }
    }

    /// Starts a server that sends the same response to every request.
    pub fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone())
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|it| it.is(method, path)).count()
    }

    /// Waits until the server has received this number of requests with this method and path.
    pub fn wait_for(&self, method: &str, path: &str, count: usize) {
        let requests = self.shared.requests.lock().unwrap();
        let limit = Duration::from_secs(30);
        let arrived = &self.shared.arrived;
        let waited = arrived.wait_timeout_while(requests, limit, |requests| {
            requests.iter().filter(|r| r.is(method, path)).count() < count
        });
        let is_late = waited.unwrap().1.timed_out();
        assert!(!is_late, "fewer than {count} requests: {method} {path}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.shared.over.lock().unwrap() = true;
        self.shared.ended.notify_all();
        // Connect once, to wake the thread that accepts connections. It then exits.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn converse(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some(request) = read(&mut reader) {
        let mut reply = (shared.handler)(&request);
        shared.requests.lock().unwrap().push(request);
        shared.arrived.notify_all();
        match reply {
            Reply::Late(time, then) => {
                shared.wait(time);
                reply = *then;
            }
            Reply::Held(gate, then) => {
                gate.pass();
                reply = *then;
            }
            _ => {}
        }
        if write(&stream, &reply, shared).is_err() || !matches!(reply, Reply::Whole(..)) {
            // Shut the connection down normally, except for a reset, which needs a plain close.
            if !matches!(reply, Reply::Reset) {
                let _ = stream.shutdown(Shutdown::Both);
            }
            return;
        }
    }
}

/// Reads the next request. Returns `None` if the client closed the connection.
pub(super) fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, n)| n.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        target,
        headers,
        body: String::from_utf8(body).expect("a UTF-8 body"),
    })
}

/// Serializes a complete response. Returns `None` for any other reply.
pub(super) fn bytes(reply: &Reply) -> Option<Vec<u8>> {
    let Reply::Whole(status, headers, body) = reply else {
        return None;
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\n\r\n");
    Some([head.as_bytes(), body].concat())
}

fn write(mut stream: &TcpStream, reply: &Reply, shared: &Shared) -> io::Result<()> {
    match reply {
        Reply::Whole(..) => stream.write_all(&bytes(reply).unwrap_or_default()),
        Reply::Raw(bytes) => stream.write_all(bytes),
        Reply::CutBeforeStatus | Reply::Late(..) | Reply::Held(..) => Ok(()),
        Reply::CutInHead => stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Le"),
        Reply::CutInBody => stream
            .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"call_id\":\"3f"),
        Reply::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        Reply::Stall => {
            shared.wait(Duration::from_secs(60));
            Ok(())
        }
    }
}
