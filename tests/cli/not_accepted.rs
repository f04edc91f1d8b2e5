//! Calls that the service certainly did not accept: sent again under their key, or given up.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::{CALL, Gate, Home, Post, Reply, Run, Running, Server, Service, TOKEN, call};

fn refusal(code: &str) -> Value {
    json!({ "error": { "code": code, "message": "Not now." } })
}

fn busy(wait: &str) -> Post {
    Post::refused(Reply::new(429, "").with("Retry-After", wait))
}

/// The keys of all POSTs.
fn keys(service: &Service) -> Vec<String> {
    let requests = service.server.requests();
    let posts = requests
        .iter()
        .filter(|request| request.is("POST", "/v1/calls"));
    let key = |post: &crate::support::Request| post.header("idempotency-key").map(str::to_owned);
    posts.map(|post| key(post).expect("a key")).collect()
}

#[test]
fn busy_service_gets_the_call_again_under_its_key() {
    for reply in [
        Reply::new(429, "").with("Retry-After", "0"),
        Reply::json(429, &refusal("rate_limited")).with("Retry-After", "0"),
        Reply::new(429, "").with("Retry-After", "Thu, 28 Jan 2016 20:00:30 GMT"),
        // By its own clock, one second from now.
        Reply::new(429, "")
            .with("Date", "Thu, 28 Jan 2100 20:00:29 GMT")
            .with("Retry-After", "Thu, 28 Jan 2100 20:00:30 GMT"),
    ] {
        let (home, service) = (Home::new(), Service::with(vec![Post::refused(reply); 3]));
        Run::of(&mut service.at(&home, CALL)).exits(0);
        let keys = keys(&service);
        assert_eq!((keys.len(), service.rings()), (4, vec![keys[0].clone()]));
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(service.asked().len(), 4, "nothing is looked up");
    }
}

#[test]
fn service_that_stays_busy_ends_with_3_and_frees_the_number() {
    let (home, service) = (Home::new(), Service::with(vec![busy("0"); 4]));
    let error = Run::of(service.at(&home, CALL).arg("--json"))
        .exits(3)
        .error();
    assert_eq!(
        (&error["code"], &error["retry_safe"]),
        (&json!("service_failing"), &json!(true))
    );
    assert_eq!((error.get("next_command"), service.posts()), (None, 4));
    assert_eq!(home.journal(), Vec::<Value>::new());
    Run::of(&mut service.at(&home, CALL)).exits(0);
    assert_eq!(service.rings().len(), 1);
}

#[test]
fn long_wait_is_not_waited_for() {
    let started = Instant::now();
    for wait in ["61", "4294967295", "Fri, 01 Jan 2100 00:00:00 GMT"] {
        let (home, service) = (Home::new(), Service::with([busy(wait)]));
        let error = Run::of(service.at(&home, CALL).arg("--json"))
            .exits(3)
            .error();
        let hint = error["hint"].as_str().expect("a hint");
        assert!(hint.contains("no call was made: try again in "), "{hint}");
        assert_eq!((service.posts(), home.journal().len()), (1, 0));
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn resend_yields_to_a_call_that_came_between() {
    let (home, gate) = (Home::new(), Gate::default());
    let reply = Reply::json(201, &call("00000000-1111-4222-8333-444444444444", "busy"));
    let held = Post::lost(Reply::Held(gate.clone(), Box::new(reply)));
    let service = Service::with([busy("3"), held]);
    let first = Running::start(service.at(&home, CALL).arg("--json"));
    service.server.wait_for("POST", "/v1/calls", 1);
    let error = Run::of(service.at(&home, CALL).arg("--json"))
        .exits(6)
        .error();
    assert_eq!(error["code"], "call_open", "a waiting call counts as open");
    let second = Running::start(service.at(&home, CALL).arg("--again"));
    service.server.wait_for("POST", "/v1/calls", 2);
    let error = first.end().exits(3).error();
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("was not sent again"), "{message}");
    assert_eq!(error["retry_safe"], true);
    gate.open();
    second.end().exits(0);
    assert_eq!(service.posts(), 2);
}

#[test]
fn rejected_credentials_are_renewed_once() {
    let unauthorized = || Post::refused(Reply::json(401, &refusal("missing_token")));
    let (home, service) = (Home::new(), Service::with([unauthorized()]));
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let requests = service.asked();
    let lines: Vec<String> = requests.iter().map(|request| request.line()).collect();
    assert_eq!(
        lines,
        ["POST /v1/calls", "POST /v1/auth/refresh", "POST /v1/calls"]
    );
    let keys = keys(&service);
    assert_eq!(keys[0], keys[1]);
    let tokens = [&requests[0], &requests[2]].map(|post| post.header("authorization"));
    assert_eq!(
        tokens,
        [
            Some(format!("Bearer {TOKEN}").as_str()),
            Some("Bearer fresh")
        ]
    );

    let (home, service) = (Home::new(), Service::with([unauthorized(), unauthorized()]));
    Run::of(&mut service.at(&home, CALL)).exits(4);
    assert_eq!(service.posts(), 2);
    service.then(unauthorized());
    let mut given = service.at(&home, CALL);
    Run::of(given.env("KALLYAI_ACCESS_TOKEN", "given")).exits(4);
    assert_eq!((service.posts(), home.journal().len()), (3, 0));
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[test]
fn refusing_port_ends_with_3_and_frees_the_number() {
    let (home, service) = (Home::new(), Service::with([]));
    // Bound and not listening: it refuses, and no other test can get it.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expect("a port");
    let address = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    let url = format!("http://{}", address.expect("an address"));
    let started = Instant::now();
    let mut command = service.at(&home, CALL);
    home.issued_by(&url);
    let error = Run::of(command.arg("--json").env("KALLYAI_API_URL", url))
        .exits(3)
        .error();
    assert_eq!(
        (&error["code"], &error["retry_safe"]),
        (&json!("unreachable"), &json!(true))
    );
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(home.journal(), Vec::<Value>::new());
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

/// What a server does with a connection that should be TLS.
#[derive(Clone, Copy)]
enum Greeting {
    Close,
    Silence,
    /// A handshake with a certificate of an unknown authority.
    Untrusted,
}

/// A server that greets like this; counts the connections.
fn greeting(greeting: Greeting) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let pem = include_bytes!("support/untrusted.pem");
    let certificate = CertificateDer::from_pem_slice(pem).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pem).expect("a key");
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate], key)
            });
    let config = Arc::new(config.expect("a TLS configuration"));
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            match greeting {
                Greeting::Close => {}
                Greeting::Silence => silent.push(stream),
                Greeting::Untrusted => {
                    let mut tls = ServerConnection::new(Arc::clone(&config)).expect("a connection");
                    while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
                }
            }
        }
    });
    (url, count)
}

/// Calls through a server that greets so. Returns the run and the number of connections.
fn connect(greeting: Greeting, exit: i32, flags: &[&str]) -> (Run, usize) {
    let (url, count) = self::greeting(greeting);
    let (home, service) = (Home::new(), Service::with([]));
    let mut command = service.at(&home, CALL);
    home.issued_by(&url);
    let run = Run::of(command.args(flags).env("KALLYAI_API_URL", url)).exits(exit);
    assert_eq!(home.journal(), Vec::<Value>::new());
    (run, count.load(Ordering::SeqCst))
}

#[test]
fn failed_handshake_is_tried_three_times_and_untrusted_once() {
    let started = Instant::now();
    // The look at the history comes first.
    let (_, connections) = connect(Greeting::Close, 3, &["--again"]);
    assert_eq!(connections, 3 + 3);
    let (run, connections) = connect(Greeting::Untrusted, 1, &["--json"]);
    assert_eq!(connections, 1 + 1);
    assert_eq!(run.error()["code"], "certificate");
    let (run, _) = connect(Greeting::Silence, 3, &["--json", "--timeout", "2"]);
    assert_eq!(run.error()["retry_safe"], true);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn slow_renewal_within_the_time_limit_makes_no_call() {
    let home = Home::new();
    home.sign_in(-10);
    let renewed = Reply::json(200, &json!({ "access_token": "fresh" }));
    let server = Server::always(Reply::Late(Duration::from_secs(3), Box::new(renewed)));
    let run = Run::of(home.at(&server, CALL).args(["--json", "--timeout", "1"])).exits(3);
    assert_eq!(run.error()["retry_safe"], true);
    assert_eq!(server.count("POST", "/v1/calls"), 0);
}
