//! An HTTP proxy that is itself the TLS server at the end of its tunnels.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Gate, Reply, Request, bytes, read};

/// A certificate of a private authority.
pub struct Certificate {
    pub hosts: &'static [&'static str],
    /// The years in which it is valid.
    pub years: [i32; 2],
}

/// For the production address.
pub const USUAL: Certificate = Certificate {
    hosts: &["api.kallyai.com"],
    years: [2000, 4000],
};

/// A proxy on loopback.
pub struct Proxy {
    pub url: String,
    /// The authority's certificate, in PEM.
    authority: String,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    /// The heads of the CONNECT requests, or the credentials of SOCKS5.
    connects: Mutex<Vec<String>>,
    arrived: Condvar,
    /// The requests inside the tunnels.
    requests: Mutex<Vec<Request>>,
    /// Holds back the tunnels after the first.
    gate: Mutex<Option<Gate>>,
}

impl Proxy {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(USUAL, handler)
    }

    pub fn with(
        certificate: Certificate,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (authority, config) = certify(certificate);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let log = Arc::<Log>::default();
        let (shared, handler) = (Arc::clone(&log), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, handler) = (Arc::clone(&shared), Arc::clone(&handler));
                let config = Arc::clone(&config);
                thread::spawn(move || tunnel(stream, config, &*handler, &log));
            }
        });
        Self {
            url,
            authority,
            log,
        }
    }

    /// The address with these credentials.
    pub fn url_with(&self, credentials: &str) -> String {
        self.url.replace("://", &format!("://{credentials}@"))
    }

    /// Writes the authority's certificate to a file.
    pub fn trust(&self, file: &Path) {
        std::fs::write(file, &self.authority).expect("a file");
    }

    /// The requests inside the tunnels.
    pub fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap().clone()
    }

    /// The request lines of the CONNECT requests.
    pub fn tunnels(&self) -> Vec<String> {
        let first = |head: &String| head.lines().next().unwrap_or_default().to_owned();
        self.connects().iter().map(first).collect()
    }

    /// The heads of the CONNECT requests.
    pub fn connects(&self) -> Vec<String> {
        self.log.connects.lock().unwrap().clone()
    }

    /// Lets a gate hold back the tunnels after the first.
    #[cfg(unix)]
    pub fn hold(&self, gate: &Gate) {
        *self.log.gate.lock().unwrap() = Some(gate.clone());
    }

    #[cfg(unix)]
    pub fn wait_for_tunnels(&self, count: usize) {
        let connects = self.log.connects.lock().unwrap();
        let waiting = |connects: &mut Vec<String>| connects.len() < count;
        let limit = Duration::from_secs(30);
        let waited = self
            .log
            .arrived
            .wait_timeout_while(connects, limit, waiting);
        assert!(!waited.unwrap().1.timed_out(), "there are fewer tunnels");
    }
}

fn certify(certificate: Certificate) -> (String, Arc<ServerConfig>) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let issuer = Issuer::new(authority, authority_key);
    let hosts = certificate.hosts.iter().map(|host| (*host).to_owned());
    let mut params = CertificateParams::new(hosts.collect::<Vec<_>>()).expect("parameters");
    let [from, to] = certificate.years;
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let leaf = params.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a certificate and its key");
    (root.pem(), Arc::new(config))
}

fn tunnel(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    handler: &dyn Fn(&Request) -> Reply,
    log: &Log,
) {
    let (is_socks, head) = handshake(&mut stream).expect("a request for a tunnel");
    let is_first = {
        let mut connects = log.connects.lock().unwrap();
        connects.push(head);
        connects.len() == 1
    };
    log.arrived.notify_all();
    let gate = log.gate.lock().unwrap().clone();
    gate.filter(|_| !is_first).inspect(Gate::pass);
    let connected: &[u8] = match is_socks {
        true => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        false => b"HTTP/1.1 200 Connected\r\n\r\n",
    };
    if stream.write_all(connected).is_err() {
        return;
    }
    let session = ServerConnection::new(config).expect("a session");
    let mut tls = BufReader::new(StreamOwned::new(session, stream));
    while let Some(request) = read(&mut tls) {
        let reply = handler(&request);
        log.requests.lock().unwrap().push(request);
        let Some(response) = bytes(&reply) else {
            return;
        };
        let stream = tls.get_mut();
        if stream
            .write_all(&response)
            .and_then(|()| stream.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Reads the request for a tunnel: the head of a CONNECT, or the credentials of SOCKS5.
fn handshake(stream: &mut TcpStream) -> io::Result<(bool, String)> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    if reader.fill_buf()?.first() != Some(&5) {
        while reader.read_line(&mut head)? > 2 {}
        return Ok((false, head));
    }
    let mut field = |length: Option<usize>| {
        let mut size = [0];
        if length.is_none() {
            reader.read_exact(&mut size)?;
        }
        let mut bytes = vec![0; length.unwrap_or(size[0].into())];
        reader.read_exact(&mut bytes)?;
        io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    // The version and the methods. The second one is a user name and a password.
    field(Some(1))?;
    field(None)?;
    stream.write_all(&[5, 2])?;
    field(Some(1))?;
    let credentials = format!("{}:{}", field(None)?, field(None)?);
    stream.write_all(&[1, 0])?;
    // The version, the command, and an IPv4 address with its port.
    field(Some(4 + 4 + 2))?;
    Ok((true, credentials))
}
