use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection};

use super::*;

const CREATED: &str = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";

/// An address on which nothing listens, because tests listen only on higher ports.
const CLOSED: &str = "127.0.0.1:1";

struct Proof;

impl Reserved for Proof {}

/// Listens on a free loopback port. Returns the listener and its address.
fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

fn client(base: &str) -> Http {
    Http::new(base.parse().expect("a base"), None)
}

/// Returns a client that trusts only these root certificates.
fn client_with_roots(roots: RootCertStore, base: &str, proxy: Option<&str>) -> Http {
    let http = client(base);
    let proxy = proxy.map(|value| Proxy::parse("HTTPS_PROXY", value).expect("a proxy"));
    let transport = Transport::new(tls::trust(roots).expect("a configuration"), proxy);
    assert!(http.transport.set(transport.expect("a transport")).is_ok());
    http
}

fn client_without_roots(base: &str, proxy: Option<&str>) -> Http {
    client_with_roots(RootCertStore::empty(), base, proxy)
}

/// Reads a request and returns its head and body. Without a `content-length`, expects no body.
fn read_request(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let mut fields = head.lines();
    let length = fields.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |n| n.parse().expect("a length"))];
    stream.read_exact(&mut body).expect("a body");
    head + &String::from_utf8(body).expect("text")
}

/// Starts a thread that serves one connection per response and returns the requests.
fn serve(listener: TcpListener, responses: Vec<&'static str>) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let respond = |response: &&str| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let request = read_request(&mut stream);
            stream.write_all(response.as_bytes()).expect("written");
            request
        };
        responses.iter().map(respond).collect()
    })
}

/// Starts a thread that sends `bytes` on one connection and waits for the client to close it.
fn serve_bytes(listener: TcpListener, bytes: &'static [u8]) {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(bytes).expect("written");
        stream.read_to_end(&mut Vec::new())
    });
}

fn token() -> Secret {
    Secret::parse("http_tests_token").expect("a token")
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn post(http: &Http, reserve: impl Future<Output = Result<Proof>> + Send + 'static) -> Sent {
    let post = CallPost {
        body: &serde_json::from_str(r#"{"submission":{}}"#).expect("JSON"),
        key: &"k-1".parse().expect("a key"),
        token: &token(),
        connect_by: Instant::now() + Duration::from_secs(10),
        deadline: Instant::now() + Duration::from_secs(600),
    };
    http.post_call(&post, reserve).await
}

/// Posts a call that must fail before it is recorded. Returns the error and whether it is
/// retryable.
async fn never_sent_error(http: &Http) -> (Error, bool) {
    let reserve = async { panic!("recorded without a connection") };
    match post(http, reserve).await {
        Err(SendError::NeverSent { error, retryable }) => (error, retryable),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn call_is_recorded_before_the_first_byte_is_sent() {
    let (listener, address) = listen();
    let lines = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&lines);
    let trace: Trace = Rc::new(move |line: &str| sink.borrow_mut().push(line.to_owned()));
    let base = format!("http://{address}").parse().expect("a base");
    let http = Http::new(base, Some(trace));
    let (requests, request) = channel();
    let reserve = async move {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nonblocking(true).expect("set");
        let nothing = stream.peek(&mut [0]).expect_err("no byte");
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        stream.set_nonblocking(false).expect("set");
        std::thread::spawn(move || {
            requests.send(read_request(&mut stream)).expect("sent");
            stream.write_all(CREATED.as_bytes()).expect("written");
        });
        Ok(Proof)
    };
    let response = post(&http, reserve).await.expect("a response");
    assert_eq!((response.status, &*response.body), (201, &b"{}"[..]));
    let request = request.recv().expect("a request");
    for part in [
        "POST /v1/calls HTTP/1.1\r\n",
        "authorization: Bearer http_tests_token\r\n",
        "idempotency-key: k-1\r\n",
        concat!("user-agent: kallyai/", env!("CARGO_PKG_VERSION"), "\r\n"),
        "\r\n\r\n{\"submission\":{}}",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
    let lines = lines.take();
    assert!(lines[0].starts_with("> POST http://127.0.0.1:"));
    assert!(lines.iter().any(|line| line == "< 201"));
    assert!(!lines.join("\n").contains("http_tests_token"));
}

#[tokio::test]
async fn nothing_is_sent_if_the_call_cannot_be_recorded() {
    let (listener, address) = listen();
    let refusal = Error::new(Kind::CallOpen, "a call is in progress");
    let expected = refusal.clone();
    match post(&client(&format!("http://{address}")), async {
        Err(refusal)
    })
    .await
    {
        Err(SendError::NeverSent { error, retryable }) => {
            assert_eq!((error, retryable), (expected, false));
        }
        other => panic!("{other:?}"),
    }
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).expect("the end");
    assert!(sent.is_empty());
}

#[tokio::test]
async fn recording_a_call_may_outlast_the_connect_timeout() {
    let (listener, address) = listen();
    let server = serve(listener, vec![CREATED]);
    let reserve = async {
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(60)).await;
        tokio::time::resume();
        Ok(Proof)
    };
    let sent = post(&client(&format!("http://{address}")), reserve).await;
    assert_eq!(sent.expect("a response").status, 201);
    assert_eq!(server.join().expect("requests").len(), 1);
}

#[tokio::test]
async fn failed_connection_means_the_call_was_never_sent() {
    let (_silent, silent) = listen();
    for (address, reason) in [(CLOSED, "connection refused"), (&silent, "timed out")] {
        if address == silent {
            tokio::time::pause();
        }
        let http = client_without_roots(&format!("https://{address}"), None);
        let (error, retryable) = never_sent_error(&http).await;
        let expected = format!("couldn't connect to {address} ({reason})");
        assert_eq!((error.to_string(), error.exit()), (expected, 3));
        assert!(retryable);
    }
}

#[tokio::test]
async fn failure_after_recording_a_call_means_a_lost_response() {
    for response in [
        "",
        "HTTP/1.1 201 Created\r\ncontent-le",
        "HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\n{}",
        "SSH-2.0-x\r\n",
    ] {
        let (listener, address) = listen();
        let server = serve(listener, vec![response]);
        let sent = post(&client(&format!("http://{address}")), async { Ok(Proof) }).await;
        assert!(
            matches!(&sent, Err(SendError::Lost(e)) if e.exit() == 3),
            "{sent:?}"
        );
        assert_eq!(server.join().expect("requests").len(), 1);
    }
}

#[tokio::test]
async fn request_without_a_response_counts_as_lost() {
    let (_listener, address) = listen();
    let reserve = async {
        tokio::time::pause();
        Ok(Proof)
    };
    let sent = post(&client(&format!("http://{address}")), reserve).await;
    assert!(matches!(&sent, Err(SendError::Lost(e)) if e.to_string().contains("in time")));
}

#[tokio::test]
async fn get_request_is_retried_but_follows_no_redirects() {
    let (listener, address) = listen();
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 0\r\nconnection: close\r\n\r\n";
    let found =
        "HTTP/1.1 302 Found\r\nlocation: http://portal.example/x\r\ncontent-length: 0\r\n\r\n";
    let server = serve(listener, vec![busy, "", found]);
    let http = client(&format!("http://{address}"));
    let url = http.base().route(&["v1", "calls"]);
    let response = http
        .get(&url, &token(), in_a_minute())
        .await
        .expect("a response");
    assert_eq!(
        (response.status, server.join().expect("requests").len()),
        (302, 3)
    );
    assert_eq!(response.redirect.as_deref(), Some("portal.example"));
}

#[tokio::test]
async fn token_refresh_is_not_retried_after_a_lost_response() {
    let (listener, address) = listen();
    let server = serve(listener, vec![""]);
    let http = client(&format!("http://{address}"));
    let lost = http.post_refresh(&token(), in_a_minute()).await;
    assert!(matches!(lost, Err(SendError::Lost(_))), "{lost:?}");
    let requests = server.join().expect("requests");
    assert!(requests[0].starts_with("POST /v1/auth/refresh "));
    assert!(requests[0].ends_with("{\"refresh_token\":\"http_tests_token\"}"));
}

#[tokio::test]
async fn proxy_error_shows_the_address_and_the_variable() {
    let refused_by_socks = &[5, 2, 1, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0][..];
    let not_connected = "failed (failed to create underlying connection)";
    let refused_by_http = &b"HTTP/1.1 403 No\r\n\r\n"[..];
    for (scheme, bytes, problem) in [
        ("http", &b""[..], "failed (connection refused)"),
        ("socks5h", b"", not_connected),
        ("http", refused_by_http, "refused to connect to api.example"),
        ("socks5h", refused_by_socks, "failed (host unreachable)"),
    ] {
        let (listener, mut address) = listen();
        match bytes {
            b"" => address = CLOSED.into(),
            bytes => serve_bytes(listener, bytes),
        }
        let proxy = format!("{scheme}://user:secret@{address}");
        let http = client_without_roots("https://api.example", Some(&proxy));
        let (error, _) = never_sent_error(&http).await;
        let shown = format!("{scheme}://{address}");
        let message = format!("the proxy {shown} {problem}");
        assert_eq!((error.to_string(), error.exit()), (message, 1));
        assert!(error.hint().contains(&format!("HTTPS_PROXY ({shown})")));
    }
}

#[tokio::test]
async fn failure_beyond_the_proxy_does_not_blame_the_proxy() {
    let (listener, address) = listen();
    let http = client_without_roots("https://api.example", Some(&address));
    let _server = serve(listener, vec!["HTTP/1.1 200 OK\r\n\r\n"]);
    let (error, _) = never_sent_error(&http).await;
    let problem = "couldn't connect to api.example (";
    assert!(error.to_string().starts_with(problem), "{error}");
    assert!(error.hint().contains("HTTPS_PROXY (http://127.0.0.1:"));
}

#[tokio::test]
async fn self_signed_ca_certificate_is_reported_in_plain_words() {
    let (listener, address) = listen();
    let http = client_without_roots(&format!("https://{address}"), None);
    let _server = serve_tls(listener, IsCa::Ca(BasicConstraints::Unconstrained));
    let (error, _) = never_sent_error(&http).await;
    let end = "is not trusted (self-signed or invalid)";
    assert!(error.to_string().ends_with(end), "{error}");
    assert_eq!((error.code(), error.exit()), ("certificate", 1));
    assert!(error.hint().contains("SSL_CERT_FILE"));
}

#[tokio::test]
async fn server_without_tls_causes_an_unexpected_response_error() {
    let (listener, address) = listen();
    let http = client_without_roots(&format!("https://{address}"), None);
    serve_bytes(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let (error, _) = never_sent_error(&http).await;
    let problem = "did not respond with valid TLS";
    assert!(error.to_string().contains(problem), "{error}");
    assert_eq!((error.code(), error.exit()), ("unexpected_response", 1));
}

/// Serves one HTTPS request. Returns the certificate and a channel that receives a message once the
/// handshake is complete.
fn serve_tls(listener: TcpListener, is_ca: IsCa) -> (CertificateDer<'static>, Receiver<()>) {
    let mut params = CertificateParams::new(["127.0.0.1".into()]).expect("parameters");
    params.is_ca = is_ca;
    let key = KeyPair::generate().expect("a key");
    let signed = params.self_signed(&key).expect("a certificate");
    let certificate = signed.der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .expect("a configuration");
    let (sender, handshake) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut tls = ServerConnection::new(Arc::new(config)).expect("a connection");
        tls.complete_io(&mut stream)?;
        let _ = sender.send(());
        let mut stream = rustls::Stream::new(&mut tls, &mut stream);
        read_request(&mut stream);
        stream.write_all(CREATED.as_bytes())
    });
    (certificate, handshake)
}

#[tokio::test]
async fn call_is_recorded_after_the_tls_handshake() {
    let (listener, address) = listen();
    let (certificate, handshake) = serve_tls(listener, IsCa::NoCa);
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let http = client_with_roots(roots, &format!("https://{address}"), None);
    let reserve = async move {
        handshake.recv().expect("a handshake");
        Ok(Proof)
    };
    assert_eq!(post(&http, reserve).await.expect("a response").status, 201);
}
