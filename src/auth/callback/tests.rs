//! The receiver's ends and edges, without a browser.

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn state() -> OAuthState {
    OAuthState::generate()
}

/// A receiver on a port of the system's choice, and where it is.
async fn receiver() -> (Receiver, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (Receiver { listeners: vec![listener], port: address.port() }, address)
}

#[tokio::test]
async fn a_receiver_that_is_dropped_lets_go_of_its_port_and_of_whoever_is_connected() {
    let (receiver, address) = receiver().await;
    let (serving, _events) = receiver.serve(state());
    let connections = Arc::clone(&serving.connections);
    let mut connected = TcpStream::connect(address).await.expect("it listens");
    let accepted = async {
        while connections.count() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, accepted).await.expect("it is taken");
    drop(serving);
    let ended = tokio::time::timeout(PATIENCE, connected.read(&mut [0; 1])).await.expect("an end");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let free = async { while TcpListener::bind(address).await.is_err() {} };
    tokio::time::timeout(PATIENCE, free).await.expect("the port is free");
}

#[tokio::test]
async fn a_head_ends_at_the_first_empty_line_however_it_comes() {
    let whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for cut in 0..whole.len() {
        let (first, rest) = whole.split_at(cut);
        let rest = format!("{rest}body\r\n\r\n");
        let mut stream = first.as_bytes().chain(rest.as_bytes());
        let head = read_head(&mut stream).await.expect("a head");
        assert_eq!(String::from_utf8(head).as_deref(), Ok(whole), "{cut}");
    }
    assert_eq!(read_head(&mut &b"GET / HTTP/1.1\r\n\r"[..]).await, None);
}

#[tokio::test]
async fn what_the_other_side_still_sends_is_read_as_far_as_256_kib() {
    let sent = vec![b'x'; 256 * 1024 + 10];
    let (mut here, mut there) = tokio::io::duplex(sent.len());
    there.write_all(&sent).await.expect("it is taken");
    let answer = page::refusal(404);
    say(&mut here, &answer).await.expect("it is listened to");
    there.shutdown().await.expect("an end");
    let (mut left, mut read) = (Vec::new(), Vec::new());
    here.read_to_end(&mut left).await.expect("an end");
    drop(here);
    there.read_to_end(&mut read).await.expect("an end");
    assert_eq!((left.len(), read), (10, answer.bytes));
}

#[tokio::test]
async fn a_browser_that_brings_the_answer_and_sends_on_is_listened_to() {
    let (receiver, address) = receiver().await;
    let state = state();
    let head = format!(
        "GET /callback?access_token=a&state={} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        state.expose(),
        address.port()
    );
    let (_serving, mut events) = receiver.serve(state);
    let mut browser = TcpStream::connect(address).await.expect("it listens");
    browser.write_all(head.as_bytes()).await.expect("it is taken");
    let Some(Event::Callback(arrival)) = events.recv().await else { panic!("it is another user's") };
    assert!(arrival.show.send(Page::SignedIn).is_ok());
    let mut answer = Vec::new();
    let reading = browser.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, reading).await.expect("an end").expect("no reset");
    assert_eq!(answer, Page::SignedIn.redirect().bytes);
    for _ in 0..50 {
        browser.write_all(&[b'x'; 1024]).await.expect("it is not cut off");
    }
}

#[test]
fn only_the_page_that_tells_what_came_of_the_sign_in_may_be_fetched() {
    let (shared, _) = Shared::new(8976, state(), None, Some(Page::NotSaved));
    for (path, is_there) in [("/not-saved", true), ("/signed-in", false), ("/declined", false)] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:8976\r\n\r\n");
        let routed = route(head.as_bytes(), || true, &shared);
        assert_eq!(matches!(routed, Routed::Page(Page::NotSaved)), is_there, "{path}");
        assert!(is_there || matches!(routed, Routed::Status(404)), "{path}");
    }
}

#[test]
fn a_computer_without_ipv6_needs_no_port_of_it_and_one_that_is_taken_is_said() {
    assert!(matches!(where_there_is_ipv6(Ok(())), Ok(Some(()))));
    let without = [io::ErrorKind::AddrNotAvailable.into(), io::ErrorKind::Unsupported.into()];
    #[cfg(target_os = "linux")]
    let without = without.into_iter().chain([io::Error::from_raw_os_error(97)]);
    for error in without {
        assert!(matches!(where_there_is_ipv6::<()>(Err(error)), Ok(None)));
    }
    for kind in [io::ErrorKind::AddrInUse, io::ErrorKind::PermissionDenied] {
        assert_eq!(where_there_is_ipv6::<()>(Err(kind.into())).err().map(|error| error.kind()), Some(kind));
    }
    let is_in_use = |kind: io::ErrorKind| matches!(refused(&kind.into(), 80), Error::PortInUse(80));
    assert!(is_in_use(io::ErrorKind::AddrInUse) && !is_in_use(io::ErrorKind::AddrNotAvailable));
    assert_eq!(is_in_use(io::ErrorKind::PermissionDenied), cfg!(windows));
}

#[tokio::test]
async fn a_port_answers_where_somebody_listens() {
    let (receiver, address) = receiver().await;
    assert!(answers(address).await);
    drop(receiver);
    assert!(!answers(address).await);
}
