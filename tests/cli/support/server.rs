//! A server that records its requests and responds, or fails to, as a test says.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    /// `GET /v1/calls?limit=10`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn is(&self, method: &str, path: &str) -> bool {
        // A path without a query means any query.
        let target = if path.contains('?') {
            Some(self.target.as_str())
        } else {
            self.target.split('?').next()
        };
        self.method == method && target == Some(path)
    }
}

/// The response to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole response.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// The connection is closed before the status line.
    CutBeforeStatus,
    /// The connection is closed in the head.
    CutInHead,
    /// The connection is closed in the body.
    CutInBody,
    /// The connection is reset.
    Reset,
    /// Nothing comes until the server ends.
    Stall,
    /// The response comes after this time.
    Late(Duration, Box<Reply>),
    /// The response comes when a test opens the gate.
    Held(Gate, Box<Reply>),
}

/// Holds a response back, for a minute at most.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
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
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).with("Content-Type", "application/json")
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
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
    /// Waits for this time, or until the server ends.
    fn wait(&self, time: Duration) {
        let over = self.over.lock().unwrap();
        let waited = self.ended.wait_timeout_while(over, time, |over| !*over);
        drop(waited.unwrap());
    }
}

/// A server on loopback. It ends when dropped.
pub struct Server {
    url: String,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
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

    /// A server with one response to everything.
    pub fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone())
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The number of such requests.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.is(method, path))
            .count()
    }

    /// Waits until this number of such requests have come.
    pub fn wait_for(&self, method: &str, path: &str, count: usize) {
        let requests = self.shared.requests.lock().unwrap();
        let waiting = |requests: &mut Vec<Request>| {
            requests.iter().filter(|r| r.is(method, path)).count() < count
        };
        let limit = Duration::from_secs(30);
        let arrived = &self.shared.arrived;
        let waited = arrived.wait_timeout_while(requests, limit, waiting);
        let is_late = waited.unwrap().1.timed_out();
        assert!(!is_late, "{method} {path} never came {count} times");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.shared.over.lock().unwrap() = true;
        self.shared.ended.notify_all();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn converse(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some(request) = read(&mut reader) {
        let mut reply = (shared.handler)(&request);
        shared.requests.lock().unwrap().push(request);
        shared.arrived.notify_all();
        reply = loop {
            reply = match reply {
                Reply::Late(time, then) => {
                    shared.wait(time);
                    *then
                }
                Reply::Held(gate, then) => {
                    gate.pass();
                    *then
                }
                reply => break reply,
            };
        };
        if write(&stream, &reply, shared).is_err() || !matches!(reply, Reply::Answer { .. }) {
            // Closing without a shutdown sends the reset.
            if !matches!(reply, Reply::Reset) {
                let _ = stream.shutdown(Shutdown::Both);
            }
            return;
        }
    }
}

/// Reads the next request. `None` if the client has left.
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
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, n)| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        target,
        headers,
        body: String::from_utf8(body).expect("a UTF-8 body"),
    })
}

/// A whole response as it goes over the wire.
pub(super) fn bytes(reply: &Reply) -> Option<Vec<u8>> {
    let Reply::Answer {
        status,
        headers,
        body,
    } = reply
    else {
        return None;
    };
    let mut head = format!("HTTP/1.1 {status} Status\r\n");
    let length = ("Content-Length".to_owned(), body.len().to_string());
    for (name, value) in headers.iter().chain([&length]) {
        head += &format!("{name}: {value}\r\n");
    }
    Some([head.as_bytes(), b"\r\n", body].concat())
}

fn write(mut stream: &TcpStream, reply: &Reply, shared: &Shared) -> io::Result<()> {
    match reply {
        Reply::Answer { .. } => stream.write_all(&bytes(reply).unwrap_or_default()),
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
