//! The service that both sides ask: bodies of believable size over TLS on loopback, in a process of its own, so that
//! what it holds is not counted as memory of a program that is measured.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The certificates that a system's bundle has.
const BUNDLED: usize = 145;

const END: &str = "-----END CERTIFICATE-----\n";

/// The call whose transcript is asked for.
pub const CALL: &str = "3f2a0c1e-55aa-4bbb-8ccc-0123456789ab";

/// The argument by which this program becomes the service.
pub const SERVE: &str = "--serve-until-stdin-ends";

/// The service, which ends with this value.
pub struct Service {
    child: Child,
    pub url: String,
}

impl Service {
    /// Starts it; the bundle that trusts it is written to `bundle`.
    pub fn start(bundle: &Path) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(bundle)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut port)?;
        Ok(Self { child, url: format!("https://localhost:{}", port.trim()) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Is the service until stdin ends.
pub fn serve(bundle: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let tls = certify(bundle);
    let bodies =
        Arc::new(Bodies { usage: USAGE.into(), history: history(200), transcript: transcript(10_000_000) });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (tls, bodies) = (Arc::clone(&tls), Arc::clone(&bodies));
            thread::spawn(move || {
                let connection = ServerConnection::new(tls).expect("a session");
                // A client that leaves ends the connection, not the service.
                let _ = answer(StreamOwned::new(connection, stream), &bodies);
            });
        }
    });
    println!("{port}");
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

fn certify(bundle: &Path) -> Arc<ServerConfig> {
    // Those of this system have the sizes and the keys of real ones; where there are too few, others fill up.
    let system = openssl_probe::probe().cert_file.and_then(|file| std::fs::read_to_string(file).ok());
    let system = system.unwrap_or_default();
    let mut certificates: Vec<String> = system
        .split_inclusive(END)
        .filter(|pem| pem.ends_with(END))
        .take(BUNDLED - 1)
        .map(Into::into)
        .collect();
    let mut ours = None;
    for number in certificates.len()..BUNDLED {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, format!("Authority {number} of a benchmark"));
        let pem = authority.self_signed(&key).expect("a certificate").pem();
        certificates.insert(certificates.len().min(BUNDLED / 2), pem);
        ours = Some(Issuer::new(authority, key));
    }
    std::fs::write(bundle, certificates.concat()).expect("the bundle is written");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(["localhost".to_owned()])
        .expect("parameters")
        .signed_by(&key, &ours.expect("at least one is generated"))
        .expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("a certificate and its key");
    Arc::new(config)
}

struct Bodies {
    usage: String,
    history: String,
    transcript: String,
}

/// Answers one request after the other on a kept connection.
fn answer(tls: StreamOwned<ServerConnection, TcpStream>, bodies: &Bodies) -> io::Result<()> {
    tls.sock.set_nodelay(true)?;
    let mut tls = BufReader::new(tls);
    loop {
        let (mut request, mut line) = (String::new(), String::new());
        if tls.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut sent = 0;
        while tls.read_line(&mut line)? > 2 {
            if let Some((_, length)) = line.to_ascii_lowercase().split_once("content-length:") {
                sent = length.trim().parse().unwrap_or_default();
            }
            line.clear();
        }
        io::copy(&mut (&mut tls).take(sent), &mut io::sink())?;
        let path = request.split([' ', '?']).nth(1).unwrap_or_default();
        let (status, body) = match path {
            "/v1/calls" if request.starts_with("POST") => ("201 Created", ENDED),
            "/v1/users/me/statistics" => ("200 OK", bodies.usage.as_str()),
            // The look before a call is placed.
            "/v1/calls" if request.contains("limit=50") => ("200 OK", r#"{"calls":[],"total":0}"#),
            "/v1/calls" => ("200 OK", bodies.history.as_str()),
            _ if path.ends_with("/transcript") => ("200 OK", bodies.transcript.as_str()),
            _ => ("404 Not Found", "{}"),
        };
        let mut head = String::new();
        let _ = write!(
            head,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // Head and a small body in one record, as a server would send them.
        let (first, rest) = body.split_at(body.len().min(8192));
        head.push_str(first);
        let stream = tls.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(rest.as_bytes())?;
        stream.flush()?;
    }
}

const ENDED: &str =
    r#"{"call_id":"3f2a0c1e-55aa-4bbb-8ccc-0123456789ab","status":"success","duration_seconds":60.5}"#;

const USAGE: &str = r#"{"plan_type":"pro","subscription_status":"active","minutes_allocated":100,"minutes_used":12.5,"minutes_remaining":87.5,"calls_allocated":50,"calls_used":3,"calls_remaining":47,"period_start":"2027-01-01T00:00:00Z","period_end":"2027-02-01T00:00:00Z","usage_percentage":12.5}"#;

fn history(calls: usize) -> String {
    let mut page = String::from(r#"{"calls":["#);
    for n in 0..calls {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            page,
            r#"{comma}{{"call_id":"{n:08x}-55aa-4bbb-8ccc-0123456789ab","status":"{}","highlights":"A table for {} is booked under the name of Smith, with the café's terrace noted as a wish.","next_steps":"Call back before noon to change it.","duration_seconds":{}.5,"metadata":{{"created_at":"2027-01-{:02}T20:{:02}:00Z","ended_at":"2027-01-{:02}T20:{:02}:55Z"}},"submission":{{"respondent_phone":"+1555123{:04}","business_name":"Casa Lucio {n}","task_category":"restaurant","task_description":"Reserve a table for {} on the terrace if there is one","party_size":{}}}}}"#,
            ["success", "no_answer", "busy", "voicemail"][n % 4],
            n % 9 + 1,
            n % 300 + 20,
            n % 28 + 1,
            n % 60,
            n % 28 + 1,
            n % 60,
            n,
            n % 9 + 1,
            n % 9 + 1,
        );
    }
    let _ = write!(page, r#"],"total":{calls}}}"#);
    page
}

fn transcript(bytes: usize) -> String {
    const SAID: [&str; 4] = [
        "Hello, this is an AI assistant calling on behalf of John Smith. I would like to book a table for 4 people, please.",
        "One moment, let me look. Yes, we have one at eight, on the terrace.",
        "Perfect, and is there anything with a \\\"quiet\\\" corner? He asked for it.",
        "Sí, señor: junto a la ventana, más tranquilo. ¿A qué nombre?",
    ];
    let mut page = String::with_capacity(bytes + 256);
    page.push_str(r#"{"entries":["#);
    for (n, said) in SAID.iter().cycle().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let speaker = ["AI", "HUMAN"][n % 2];
        let _ = write!(
            page,
            r#"{comma}{{"speaker":"{speaker}","content":"{said}","timestamp":"{:02}:{:02}:{:02}"}}"#,
            n / 3600 % 100,
            n / 60 % 60,
            n % 60
        );
        if page.len() >= bytes {
            break;
        }
    }
    page.push_str("]}");
    page
}
