//! Measures the latency of whole commands. Prints the table in docs/performance.md.
//!
//! Most measurements compare two commands, which run alternately against the same TLS service on
//! loopback. The benchmark runs only on Unix, because it needs `true` and `curl`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Number of calls in the service's history.
const HISTORY: usize = 10_000;
/// Number of calls on one page of the history.
const PAGE: usize = 200;

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bench = Bench::new(folder.path());
    let nothing = || Command::new("true");
    let version = || bench.kallyai(&["--version"]);
    let help = || bench.kallyai(&["--help"]);
    let usage = || bench.kallyai(&["usage"]);
    let statistics = || bench.curl("/v1/users/me/statistics".into());
    let history = || bench.kallyai(&["history", "--all"]);
    let last = HISTORY - PAGE;
    let pages = || bench.curl(format!("/v1/calls?limit={PAGE}&offset=[0-{last}:{PAGE}]"));

    println!("| measurement | median | lowest to highest |\n|---|---|---|");
    row("`--version` ÷ `true`", "", ratios(201, version, nothing));
    row("`--help` ÷ `true`", "", ratios(201, help, nothing));
    row("`usage` ÷ `curl`", "", ratios(101, usage, statistics));
    let own_cost = pairs(41, || bench.call(), usage).map(|(call, read)| (call - read) * 1e3);
    row("a call − `usage`", " ms", own_cost.collect());
    let at_once = (0..5).map(|_| seconds((0..50).map(|_| bench.call()).collect()));
    row("50 calls at once", " s", at_once.collect());
    let all = ratios(11, history, pages);
    row("`history --all` of 10,000 ÷ `curl`", "", all);
}

fn row(name: &str, unit: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (lowest, highest) = (values[0], values[values.len() - 1]);
    let median = values[values.len() / 2];
    println!("| {name} | {median:.2}{unit} | {lowest:.2} to {highest:.2} |");
}

/// Runs two commands alternately and returns the time that each took, in seconds. Drops the first
/// two rounds, which warm up the caches.
fn pairs(
    rounds: usize,
    this: impl Fn() -> Command,
    that: impl Fn() -> Command,
) -> impl Iterator<Item = (f64, f64)> {
    let pair = move |_| (seconds(vec![this()]), seconds(vec![that()]));
    (0..rounds + 2).map(pair).skip(2)
}

fn ratios(rounds: usize, this: impl Fn() -> Command, that: impl Fn() -> Command) -> Vec<f64> {
    let ratio = |(this, that)| this / that;
    pairs(rounds, this, that).map(ratio).collect()
}

/// Runs all commands at once and returns the time until the last one succeeds, in seconds.
fn seconds(commands: Vec<Command>) -> f64 {
    let started = Instant::now();
    let spawn = |mut command: Command| {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        (command, child)
    };
    let running: Vec<_> = commands.into_iter().map(spawn).collect();
    for (command, mut child) in running {
        let status = child.wait().unwrap();
        assert!(status.success(), "{command:?}: {status}");
    }
    started.elapsed().as_secs_f64()
}

struct Bench {
    folder: PathBuf,
    bundle: PathBuf,
    url: String,
    calls: AtomicUsize,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let bundle = folder.join("bundle.pem");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Arc::new(Service {
            tls: certify(&bundle),
            pages: (0..HISTORY).step_by(PAGE).map(page).collect(),
            created: AtomicUsize::new(0),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let service = Arc::clone(&service);
                // A client that disconnects early must not fail the benchmark.
                thread::spawn(move || service.serve(stream).unwrap_or_default());
            }
        });
        Self {
            folder: folder.to_owned(),
            bundle,
            url: format!("https://localhost:{port}"),
            calls: AtomicUsize::new(0),
        }
    }

    fn kallyai(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kallyai"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &self.folder)
            .env("KALLYAI_STATE_DIR", self.folder.join("state"))
            .env("KALLYAI_API_URL", &self.url)
            .env("KALLYAI_ACCESS_TOKEN", "a-token")
            .env("KALLYAI_TIMEZONE", "Europe/Madrid")
            .env("SSL_CERT_FILE", &self.bundle);
        command
    }

    /// Returns a command that makes a call to a number that was not used before.
    fn call(&self) -> Command {
        let number = 2_000_000 + self.calls.fetch_add(1, Ordering::Relaxed);
        let number = format!("+1555{number}");
        self.kallyai(&["-p", &number, "-t", "Ask for the opening hours"])
    }

    fn curl(&self, path: String) -> Command {
        let mut command = Command::new("curl");
        command
            .args(["-sSf", "-H", "Authorization: Bearer a-token", "--cacert"])
            .arg(&self.bundle)
            .arg(format!("{}{path}", self.url));
        command
    }
}

/// A service that responds to every request at once. Each new call ends immediately.
struct Service {
    tls: Arc<ServerConfig>,
    pages: Vec<String>,
    created: AtomicUsize,
}

impl Service {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let connection = ServerConnection::new(Arc::clone(&self.tls)).map_err(io::Error::other)?;
        let mut tls = BufReader::new(StreamOwned::new(connection, stream));
        loop {
            let (mut request, mut line) = (String::new(), String::new());
            if tls.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let mut length = 0;
            while tls.read_line(&mut line)? > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                line.clear();
            }
            io::copy(&mut (&mut tls).take(length), &mut io::sink())?;
            let body = self.respond(&request);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
            let response = format!("{head} {}\r\n\r\n{body}", body.len());
            tls.get_mut().write_all(response.as_bytes())?;
            tls.get_mut().flush()?;
        }
    }

    /// Returns the response body for a request line.
    fn respond(&self, request: &str) -> String {
        if request.starts_with("POST") {
            return call(HISTORY + self.created.fetch_add(1, Ordering::Relaxed));
        }
        if request.contains("/statistics") {
            return USAGE.into();
        }
        // A list request without `limit=200` is the lookup before a call. It should find no calls.
        if !request.contains("limit=200") {
            return r#"{"calls":[],"total":0}"#.into();
        }
        let offset = request.split("offset=").nth(1).unwrap_or_default();
        let digits = offset.split(|c: char| !c.is_ascii_digit()).next();
        let offset: usize = digits.unwrap_or_default().parse().unwrap_or(0);
        self.pages[offset / PAGE].clone()
    }
}

/// Creates a server certificate and writes a bundle with its CA. The bundle also has the system's
/// CAs, so that clients load a realistic number of certificates.
fn certify(bundle: &Path) -> Arc<ServerConfig> {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    // Without a distinct name, curl mistakes the server certificate for a self-signed one.
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "benchmark authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let system = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt");
    std::fs::write(bundle, system.unwrap_or_default() + &root.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".into()]).unwrap();
    let leaf = leaf
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key);
    Arc::new(config.unwrap())
}

fn page(offset: usize) -> String {
    let calls: Vec<_> = (offset..offset + PAGE).map(call).collect();
    format!(r#"{{"calls":[{}],"total":{HISTORY}}}"#, calls.join(","))
}

fn call(n: usize) -> String {
    let (id, day, minute, number) = (format!("{n:08x}"), n % 28 + 1, n % 60, n % 10_000);
    format!(
        r#"{{"call_id":"{id}-55aa-4bbb-8ccc-0123456789ab","status":"success","highlights":"A table for 4 is booked. The wish for the terrace is noted.","duration_seconds":60.5,"metadata":{{"created_at":"2026-01-{day:02}T20:{minute:02}:00Z","ended_at":"2026-01-{day:02}T20:{minute:02}:55Z"}},"submission":{{"respondent_phone":"+1555321{number:04}","business_name":"Casa Lucio {n}","task_category":"restaurant","task_description":"Reserve a table for 4 on the terrace"}}}}"#
    )
}

const USAGE: &str = r#"{"plan_type":"pro","subscription_status":"active","minutes_allocated":100,"minutes_used":12.5,"minutes_remaining":87.5,"calls_allocated":50,"calls_used":3,"calls_remaining":47,"period_start":"2027-01-01T00:00:00Z","period_end":"2027-02-01T00:00:00Z","usage_percentage":12.5}"#;
