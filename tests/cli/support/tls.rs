//! An HTTP proxy that also acts as the HTTPS service at the end of its tunnels.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Gate, Reply, Request, bytes, listen, read};

/// The properties of a certificate that a private CA will issue.
pub struct Certificate {
    pub hosts: &'static [&'static str],
    /// The years in which the certificate becomes valid and expires, on January 1.
    pub years: [i32; 2],
}

/// The default certificate, for the production host.
pub const USUAL: Certificate = Certificate {
    hosts: &["api.kallyai.com"],
    years: [2000, 4000],
};

/// A proxy on loopback that responds to the requests in its tunnels.
pub struct Proxy {
    pub url: String,
    /// The CA certificate in PEM format.
    authority: String,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    /// The request line and headers of each CONNECT request.
    connects: Mutex<Vec<String>>,
    arrived: Condvar,
    /// The requests received through the tunnels.
    requests: Mutex<Vec<Request>>,
    /// Delays all tunnels after the first until the test opens the gate.
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
        let listener = listen();
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

    /// Returns the proxy's URL with `credentials` (`user:password`) before the host.
    pub fn url_with(&self, credentials: &str) -> String {
        self.url.replace("://", &format!("://{credentials}@"))
    }

    /// Writes the CA certificate to a file.
    pub fn trust(&self, file: &Path) {
        std::fs::write(file, &self.authority).expect("a file");
    }

    /// Returns the requests received through the tunnels.
    pub fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap().clone()
    }

    /// Returns the request line of each CONNECT request.
    pub fn tunnels(&self) -> Vec<String> {
        let first = |head: &String| head.lines().next().unwrap_or_default().to_owned();
        self.connects().iter().map(first).collect()
    }

    /// Returns the request line and headers of each CONNECT request.
    pub fn connects(&self) -> Vec<String> {
        self.log.connects.lock().unwrap().clone()
    }

    /// Delays all tunnels after the first until the test opens `gate`.
    #[cfg(unix)]
    pub fn hold(&self, gate: &Gate) {
        *self.log.gate.lock().unwrap() = Some(gate.clone());
    }

    #[cfg(unix)]
    pub fn wait_for_tunnels(&self, count: usize) {
        let connects = self.log.connects.lock().unwrap();
        let limit = Duration::from_secs(30);
        let arrived = &self.log.arrived;
        let waited = arrived.wait_timeout_while(connects, limit, |all| all.len() < count);
        assert!(!waited.unwrap().1.timed_out(), "fewer than {count} tunnels");
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
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while reader.read_line(&mut head).is_ok_and(|length| length > 2) {}
    let is_first = {
        let mut connects = log.connects.lock().unwrap();
        connects.push(head);
        connects.len() == 1
    };
    log.arrived.notify_all();
    let gate = log.gate.lock().unwrap().clone();
    gate.filter(|_| !is_first).inspect(Gate::pass);
    if stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").is_err() {
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
        let written = stream.write_all(&response);
        if written.and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}
