//! A proxy that answers for any host with a certificate of a private authority.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::server::{Gate, Reply, Request, answer, read};

/// The host that the program speaks to unless told otherwise.
const HOST: &str = "api.kallyai.com";

/// A proxy on loopback.
pub struct Proxy {
    pub url: String,
    /// The authority's certificate, in PEM.
    pub authority: String,
    asked: Arc<Mutex<Vec<Request>>>,
    tunnels: Arc<Tunnels>,
}

#[derive(Default)]
struct Tunnels {
    /// The hosts that they were asked for.
    asked: Mutex<Vec<String>>,
    came: Condvar,
    /// Holds back those behind the first.
    gate: Mutex<Option<Gate>>,
}

impl Proxy {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let (authority, config) = certify();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let proxy = Self { url, authority, asked: Arc::default(), tunnels: Arc::default() };
        let (asked, tunnels) = (Arc::clone(&proxy.asked), Arc::clone(&proxy.tunnels));
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, tunnels) = (Arc::clone(&asked), Arc::clone(&tunnels));
                let (handler, config) = (Arc::clone(&handler), Arc::clone(&config));
                thread::spawn(move || tunnel(stream, config, &*handler, &asked, &tunnels));
            }
        });
        proxy
    }

    /// Writes the authority's certificate to a file.
    pub fn trust(&self, file: &Path) {
        std::fs::write(file, &self.authority).expect("a file");
    }

    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The hosts that tunnels were asked for.
    pub fn tunnels(&self) -> Vec<String> {
        self.tunnels.asked.lock().unwrap().clone()
    }

    /// Lets a gate hold back the tunnels behind the first.
    #[cfg(unix)]
    pub fn hold(&self, gate: &Gate) {
        *self.tunnels.gate.lock().unwrap() = Some(gate.clone());
    }

    /// Waits until so many tunnels were asked for.
    #[cfg(unix)]
    pub fn wait_for_tunnels(&self, count: usize) {
        let asked = self.tunnels.asked.lock().unwrap();
        let patience = std::time::Duration::from_secs(30);
        let (_asked, result) =
            self.tunnels.came.wait_timeout_while(asked, patience, |asked| asked.len() < count).unwrap();
        assert!(!result.timed_out(), "{count} tunnels were never asked for");
    }
}

fn certify() -> (String, Arc<ServerConfig>) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let issuer = Issuer::new(authority, authority_key);
    let leaf = CertificateParams::new([HOST.to_owned()])
        .expect("parameters")
        .signed_by(&key, &issuer)
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a certificate and its key");
    (certificate.pem(), Arc::new(config))
}

fn tunnel(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    handler: &dyn Fn(&Request) -> Reply,
    asked: &Mutex<Vec<Request>>,
    tunnels: &Tunnels,
) {
    let mut head = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    head.read_line(&mut line).expect("a line");
    let before = {
        let mut asked = tunnels.asked.lock().unwrap();
        asked.push(line.trim_end().to_owned());
        asked.len() - 1
    };
    tunnels.came.notify_all();
    while head.read_line(&mut line).is_ok_and(|n| n > 2) {}
    let gate = tunnels.gate.lock().unwrap().clone().filter(|_| before > 0);
    gate.inspect(Gate::pass);
    if stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").is_err() {
        return;
    }
    let tls = StreamOwned::new(ServerConnection::new(config).expect("a session"), stream);
    let mut tls = BufReader::new(tls);
    while let Some(request) = read(&mut tls) {
        let reply = handler(&request);
        asked.lock().unwrap().push(request);
        let Reply::Answer { status, headers, body } = reply else { return };
        let stream = tls.get_mut();
        if stream.write_all(&answer(status, &headers, &body)).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}
