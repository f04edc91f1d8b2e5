//! A connection to the receiver of the sign-in's redirect.
//!
//! The first bytes of an input say how the rest is cut into pieces and what else is tried with it; the rest is what the
//! connection brings.

#![no_main]

use kallyai::fuzzing::callback::{LARGEST, Outcome, Phase, Said, connection, pasted};
use libfuzzer_sys::fuzz_target;

const NONCE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeF";
const PORTS: [u16; 3] = [8976, 80, 1];

fuzz_target!(|data: &[u8]| {
    let [choices, cut, brought @ ..] = data else { return };
    let port = PORTS[usize::from(choices & 3) % PORTS.len()];
    let at = |pieces: &[&[u8]], phase| connection(pieces, port, NONCE, phase).expect("a nonce");
    let whole = at(&[brought], Phase::Waiting);

    // How the bytes are cut makes no difference, nor does what stands behind the head.
    let pieces: Vec<&[u8]> = brought.chunks(usize::from(*cut).max(1)).collect();
    assert_eq!(at(&pieces, Phase::Waiting), whole, "cut");
    let head = brought.windows(4).position(|four| four == b"\r\n\r\n").map(|at| &brought[..at + 4]);
    match head {
        None => assert_eq!(whole, Outcome::Nothing, "no head"),
        Some(head) => assert_eq!(at(&[head], Phase::Waiting), whole, "behind the head"),
    }

    // Neither another sign-in nor another port takes it, and this one takes nothing once it is over.
    let elsewhere = connection(&[brought], port, OTHER, Phase::Waiting).expect("a nonce");
    let other_port = connection(&[brought], 4321, NONCE, Phase::Waiting).expect("a nonce");
    let (spent, saved) = (at(&[brought], Phase::Spent), at(&[brought], Phase::Saved));
    for (outcome, phase) in [
        (&whole, Phase::Waiting),
        (&elsewhere, Phase::Waiting),
        (&other_port, Phase::Waiting),
        (&spent, Phase::Spent),
        (&saved, Phase::Saved),
    ] {
        match outcome {
            Outcome::Nothing => assert_eq!(*outcome, whole),
            Outcome::Refused(status) => assert!(matches!(status, 400 | 403 | 404 | 405 | 431), "{status}"),
            Outcome::Shown(path) => assert!(phase == Phase::Saved && *path == "/signed-in", "{path}"),
            Outcome::Taken(_) => assert_eq!(phase, Phase::Waiting, "taken twice"),
        }
    }
    if let Outcome::Taken(said) = &whole {
        assert_eq!(
            (&elsewhere, &spent, &saved),
            (&Outcome::Refused(400), &Outcome::Refused(400), &Outcome::Refused(400))
        );
        assert_eq!(other_port, Outcome::Refused(403));
        let head = head.expect("a head");
        taken(head, port, said);
        // The state stands once, whatever the other one is and wherever it stands.
        let ends = head.windows(6).position(|six| six == b" HTTP/").expect("a target");
        let begins = head.windows(10).position(|ten| ten == b"/callback?").expect("a target") + 10;
        for state in [NONCE, OTHER, ""] {
            let behind = [&head[..ends], b"&state=", state.as_bytes(), &head[ends..]].concat();
            let before = [&head[..begins], b"state=", state.as_bytes(), b"&", &head[begins..]].concat();
            for twice in [behind, before] {
                assert_eq!(at(&[&twice], Phase::Waiting), Outcome::Refused(400), "a second state");
            }
        }
    }
    if let Outcome::Taken(_) = elsewhere {
        // It was an answer to that sign-in.
        assert!(!matches!(whole, Outcome::Taken(_)));
    }

    // Size counts, and nothing else about what does not concern us.
    if choices & 0xe0 == 0
        && let Some(head) = head
    {
        let size = LARGEST - usize::from(*cut) + 16;
        let mut padded = head[..head.len() - 2].to_vec();
        if padded.len() + "X: \r\n\r\n".len() <= size {
            padded.extend(b"X: ");
            padded.resize(size - 4, b'x');
            padded.extend(b"\r\n\r\n");
            let outcome = at(&[&padded], Phase::Waiting);
            let pieces: Vec<&[u8]> = padded.chunks(usize::from(*cut) * 97 + 1000).collect();
            assert_eq!(at(&pieces, Phase::Waiting), outcome, "cut");
            if size > LARGEST {
                assert_eq!(outcome, Outcome::Refused(431), "too large");
            } else if matches!(whole, Outcome::Taken(_)) && head.iter().filter(|b| **b == b'\n').count() < 250
            {
                assert_eq!(outcome, whole, "with a large field");
            }
        }
    }

    // The right redirect is taken whatever else its query says, and grants what it says.
    let token: String = brought.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).collect();
    if choices & 0x10 != 0 && !token.is_empty() {
        let other = escaped(brought);
        let host = if port == 80 { "localhost" } else { &format!("127.0.0.1:{port}") };
        let query = format!("x={other}&state={NONCE}&access_token={}&{other}=y", escaped(token.as_bytes()));
        // Names that count must stand once.
        let counts = ["state", "error", "access_token", "refresh_token", "expires_in"];
        if !counts.iter().any(|name| name.as_bytes() == brought) {
            let right = format!("GET /callback?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let said = Said::Granted { access_token: token, refresh_token: None, expires_in: None };
            assert_eq!(at(&[right.as_bytes()], Phase::Waiting), Outcome::Taken(said.clone()), "{right}");
            let url = format!("http://localhost:{port}/callback?{query}");
            assert_eq!(pasted(&url, NONCE), Some(said), "{url}");
        }
    }
    if let Ok(text) = std::str::from_utf8(brought)
        && pasted(text, NONCE).is_some()
    {
        assert_eq!(pasted(text, OTHER), None, "{text}");
    }
});

/// What must be true of a head that was taken, read again by other means.
fn taken(head: &[u8], port: u16, said: &Said) {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.trim_start_matches(['\r', '\n']).split('\n');
    let line = lines.next().expect("a request line");
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let ["GET", target, "HTTP/1.0" | "HTTP/1.1"] = words[..] else { panic!("{line:?}") };
    let query = target.strip_prefix("/callback?").expect("the path");
    let ours = ["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}"));
    let [host] = &hosts(head.as_bytes())[..] else { panic!("hosts") };
    assert!(ours.contains(host) || (port == 80 && ours.contains(&format!("{host}:80"))), "{host:?}");

    let pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (unescaped(name), unescaped(value)))
        .collect();
    let values = |name: &str| -> Vec<String> {
        let of_it = pairs.iter().filter(|(other, _)| other == name.as_bytes());
        of_it.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    };
    assert_eq!(values("state"), [NONCE]);
    match said {
        Said::Declined(why) => assert_eq!(values("error").first(), Some(why)),
        Said::Granted { access_token, refresh_token, expires_in } => {
            assert!(values("error").is_empty());
            assert_eq!(values("access_token"), [access_token.as_str()]);
            for token in [Some(access_token), refresh_token.as_ref()].into_iter().flatten() {
                assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()), "{token:?}");
            }
            // What cannot be used is as if it had been left out.
            let refresh = values("refresh_token");
            match refresh_token {
                Some(token) => assert_eq!(&refresh, std::slice::from_ref(token)),
                None => assert!(refresh.len() != 1 || !is_token(&refresh[0]), "{refresh:?}"),
            }
            assert!(expires_in.is_none_or(f64::is_finite));
        }
    }
    if !target.contains('#') {
        assert_eq!(pasted(&format!("http://[::1]:{port}{target}"), NONCE).as_ref(), Some(said), "pasted");
    }
}

/// Whether a text can be a token.
fn is_token(text: &str) -> bool {
    (1..=64 * 1024).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The values of all fields named `Host`.
fn hosts(head: &[u8]) -> Vec<String> {
    let head = String::from_utf8_lossy(head).into_owned();
    let lines = head.trim_start_matches(['\r', '\n']).split('\n').skip(1);
    let fields = lines.filter_map(|line| line.split_once(':'));
    let hosts = fields.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    hosts.map(|(_, value)| value.trim_matches([' ', '\t', '\r']).to_ascii_lowercase()).collect()
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("%{b:02X}")).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |b: &u8| char::from(*b).to_digit(16).map(|digit| digit as u8);
        match (first, after) {
            (b'%', [high, low, behind @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                bytes.push(hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0));
                rest = behind;
            }
            _ => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    bytes
}
