//! A call that was certainly not made: the same key again where that may help, and the same command is free afterwards.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::{CALL, Home, Post, Reply, Run, Running, Server, Service, TOKEN};

fn refusal(code: &str) -> Value {
    json!({ "error": { "code": code, "message": "Not now." } })
}

/// The keys of all POSTs.
fn keys(service: &Service) -> Vec<String> {
    let requests = service.server.requests();
    let posts = requests.iter().filter(|request| request.is("POST", "/v1/calls"));
    posts.map(|post| post.header("idempotency-key").expect("a key").to_owned()).collect()
}

#[test]
fn a_call_that_was_not_taken_is_sent_again_under_its_key() {
    for reply in [
        Reply::new(429, "").with("Retry-After", "0"),
        Reply::json(429, &refusal("rate_limited")).with("Retry-After", "0"),
        Reply::new(429, "").with("Retry-After", "Thu, 28 Jan 2016 20:00:30 GMT"),
    ] {
        let home = Home::new();
        let service = Service::with(vec![Post::refused(reply); 3]);
        Run::of(&mut service.at(&home, CALL)).exits(0);
        let keys = keys(&service);
        assert_eq!((keys.len(), service.rings()), (4, vec![keys[0].clone()]));
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(service.asked().len(), 4, "nothing is looked up");
    }
}

#[test]
fn a_service_that_does_not_say_when_is_given_time() {
    let home = Home::new();
    let service = Service::with([Post::refused(Reply::json(429, &refusal("rate_limited")))]);
    let started = Instant::now();
    Run::of(&mut service.at(&home, CALL)).exits(0);
    assert_eq!(service.posts(), 2);
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_service_that_never_takes_the_call_ends_with_3_and_the_command_is_free() {
    for reply in [
        Reply::json(429, &refusal("rate_limited")).with("Retry-After", "0"),
        Reply::new(429, "").with("Retry-After", "0"),
    ] {
        let home = Home::new();
        let service = Service::with(vec![Post::refused(reply); 4]);
        let run = Run::of(service.at(&home, CALL).arg("--json")).exits(3);
        let error = run.error();
        assert_eq!((&error["code"], &error["retry_safe"]), (&json!("service_failing"), &json!(true)));
        assert_eq!(error.get("next_command"), None);
        assert_eq!(service.posts(), 4);
        assert_eq!(home.journal(), Vec::<Value>::new());
        Run::of(&mut service.at(&home, CALL)).exits(0);
        assert_eq!(service.rings().len(), 1);
    }
}

#[test]
fn a_retry_after_beyond_the_time_left_ends_with_3_at_once() {
    let started = Instant::now();
    let home = Home::new();
    for wait in ["600", "4294967295", "Fri, 01 Jan 2100 00:00:00 GMT"] {
        let service = Service::with([Post::refused(Reply::new(429, "").with("Retry-After", wait))]);
        Run::of(&mut service.at(&home, CALL)).exits(3);
        assert_eq!(service.posts(), 1);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // The answer to what is sent after the wait could not come before the end.
    let limited = Reply::new(429, "").with("Retry-After", "2");
    let service = Service::with([Post::refused(Reply::Late(Duration::from_millis(600), Box::new(limited)))]);
    Run::of(service.at(&home, CALL).args(["--timeout", "2"])).exits(3);
    assert_eq!(service.posts(), 1);
    assert_eq!(home.journal(), Vec::<Value>::new());
}

#[test]
fn a_login_that_is_not_accepted_is_renewed_once_and_the_key_kept() {
    let unauthorized = || Post::refused(Reply::json(401, &refusal("missing_token")));
    let home = Home::new();
    let service = Service::with([unauthorized()]);
    Run::of(&mut service.at(&home, CALL)).exits(0);
    let requests = service.asked();
    let lines: Vec<String> = requests.iter().map(|request| request.line()).collect();
    assert_eq!(lines, ["POST /v1/calls", "POST /v1/auth/refresh", "POST /v1/calls"]);
    let keys = keys(&service);
    assert_eq!(keys[0], keys[1]);
    let tokens = [&requests[0], &requests[2]].map(|post| post.header("authorization").expect("a token"));
    assert_eq!(tokens, [format!("Bearer {TOKEN}").as_str(), "Bearer fresh"]);

    let service = Service::with([unauthorized(), unauthorized()]);
    Run::of(&mut service.at(&home, CALL)).exits(4);
    assert_eq!(service.posts(), 2);
    let mut given = service.at(&home, CALL);
    service.then(unauthorized());
    Run::of(given.env("KALLYAI_ACCESS_TOKEN", "given")).exits(4);
    assert_eq!(service.posts(), 3);
    Run::of(service.at(&home, CALL).arg("--again")).exits(0);
    assert_eq!(service.rings().len(), 1);
}

#[test]
fn a_refused_call_is_not_sent_again_and_the_command_is_free() {
    let home = Home::new();
    for (status, exit) in
        [(400, 1), (402, 5), (403, 1), (404, 1), (405, 1), (407, 1), (413, 1), (422, 1), (451, 1)]
    {
        for reply in [Reply::json(status, &refusal("some_reason")), Reply::new(status, "<html>no</html>")] {
            let service = Service::with([Post::refused(reply)]);
            let run = Run::of(service.at(&home, CALL).arg("--json")).exits(exit);
            assert_eq!(run.error()["retry_safe"], true);
            assert_eq!(service.asked().len(), 1);
            assert_eq!(home.journal(), Vec::<Value>::new());
        }
    }
    let service = Service::with([]);
    Run::of(&mut service.at(&home, CALL)).exits(0);
}

#[test]
fn a_service_that_cannot_be_reached_ends_with_3_and_the_command_works_afterwards() {
    let home = Home::new();
    let service = Service::with([]);
    // Held but not listened to: refused, and no other test's server can come to stand there.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let closed = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let started = Instant::now();
    for _ in 0..2 {
        let mut command = service.at(&home, CALL);
        let url = format!("http://{closed}");
        home.issued_by(&url);
        command.arg("--json").env("KALLYAI_API_URL", url);
        let error = Run::of(&mut command).exits(3).error();
        assert_eq!((&error["code"], &error["retry_safe"]), (&json!("unreachable"), &json!(true)));
        assert_eq!(home.journal(), Vec::<Value>::new());
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    Run::of(&mut service.at(&home, CALL)).exits(0);
    assert_eq!((service.posts(), service.rings().len()), (1, 1));
}

/// What a server does with a connection that should be TLS.
#[derive(Clone, Copy)]
enum Greeting {
    Close,
    Silence,
    /// A handshake with a certificate that nobody vouches for.
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
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key));
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

/// Places a call there and returns what came of it and how many connections were made.
fn connecting(url: &str, count: &AtomicUsize, flags: &[&str]) -> (Run, usize) {
    let home = Home::new();
    let service = Service::with([]);
    let mut command = service.at(&home, CALL);
    home.issued_by(url);
    let run = Running::start(command.args(flags).env("KALLYAI_API_URL", url)).end().exits(3);
    assert_eq!(home.journal(), Vec::<Value>::new());
    Run::of(&mut service.at(&home, CALL)).exits(0);
    (run, count.load(Ordering::SeqCst))
}

#[test]
fn a_connection_that_fails_is_tried_three_times() {
    let (url, count) = greeting(Greeting::Close);
    let started = Instant::now();
    assert_eq!(connecting(&url, &count, &[]).1, 3);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_connection_that_is_never_made_is_no_lost_answer() {
    let (url, count) = greeting(Greeting::Silence);
    let (run, connections) = connecting(&url, &count, &["--json", "--timeout", "2"]);
    assert_eq!(run.error()["retry_safe"], true);
    assert!((1..=3).contains(&connections), "{connections}");
}

#[test]
fn a_certificate_that_is_not_trusted_is_not_tried_again() {
    let (url, count) = greeting(Greeting::Untrusted);
    let (run, connections) = connecting(&url, &count, &[]);
    assert_eq!(connections, 1, "{}", run.stderr);
    assert!(run.stderr.contains("certificate") && run.stderr.contains("not trusted"), "{}", run.stderr);
}

#[test]
fn a_proxy_that_refuses_is_asked_once() {
    for status in [407, 403] {
        let proxy = Server::always(Reply::new(status, "").with("Proxy-Authenticate", "Basic"));
        let home = Home::new();
        let mut command = Service::with([]).at(&home, CALL);
        home.issued_by("https://no-such-host.invalid");
        command.env("KALLYAI_API_URL", "https://no-such-host.invalid").env("HTTPS_PROXY", proxy.url());
        let error = Run::of(command.arg("--json")).exits(3).error();
        assert_eq!((&error["code"], &error["retry_safe"]), (&json!("unreachable"), &json!(true)));
        let asked: Vec<String> = proxy.requests().iter().map(|request| request.line()).collect();
        assert_eq!(asked, ["CONNECT no-such-host.invalid:443"]);
        assert_eq!(home.journal(), Vec::<Value>::new());
    }
}

#[test]
fn a_renewal_that_takes_all_the_time_leaves_nothing_lost() {
    let home = Home::new();
    home.sign_in(-10);
    let renewed = Reply::json(200, &json!({ "access_token": "fresh" }));
    let late = Reply::Late(Duration::from_millis(1600), Box::new(renewed));
    let server = Server::always(late);
    let run = Run::of(home.at(&server, CALL).args(["--json", "--timeout", "1"])).exits(3);
    assert_eq!(run.error()["retry_safe"], true);
    assert_eq!(server.count("POST", "/v1/calls"), 0);
}

#[test]
fn an_unknown_name_is_not_tried_again() {
    let started = Instant::now();
    let (run, _) = connecting("https://no-such-host.invalid", &AtomicUsize::new(0), &["--debug"]);
    assert!(run.stderr.contains("could not be resolved"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("> GET ").count(), 1, "{}", run.stderr);
    assert_eq!(run.stderr.matches("> POST ").count(), 0, "the look before it has shown that");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
