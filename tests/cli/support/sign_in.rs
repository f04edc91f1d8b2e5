//! A sign-in that waits, and raw requests to its receiver.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Home, Running};

/// No exchange takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A `--login` that has printed its address and waits.
pub struct SignIn {
    pub running: Running,
    pub port: u16,
    pub state: String,
}

/// What a request got.
pub struct Answer {
    pub status: u16,
    /// The whole of it.
    pub text: String,
}

impl SignIn {
    /// Starts a sign-in that no browser is opened for, with stdin at its end.
    pub fn start(home: &Home) -> Self {
        let port = free_port();
        Self::of(home.login_command(port).stdin(Stdio::null()), port)
    }

    /// Starts a sign-in as this command has it.
    pub fn of(command: &mut Command, port: u16) -> Self {
        let running = Running::start(command);
        let said = running.says("Waiting for the sign-in");
        let (_, rest) = said.split_once("state=").expect("the printed address");
        let state = rest.split_whitespace().next().expect("its state").to_owned();
        assert_eq!(state.len(), 64);
        Self { running, port, state }
    }

    /// The query of a redirect that grants this token.
    pub fn grant(&self, token: &str) -> String {
        format!("access_token={token}&refresh_token=granted-refresh&expires_in=3600&state={}", self.state)
    }

    /// The head of a request for this target with the right Host.
    pub fn head(&self, line: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: localhost:{}\r\nUser-Agent: test\r\n\r\n", self.port)
    }

    /// Sends a request by 127.0.0.1.
    pub fn get(&self, target: &str) -> Answer {
        exchange(self.four(), self.head(&format!("GET {target}")).as_bytes())
    }

    /// Signs in, and fetches the page that the browser is sent to.
    pub fn complete(&self, token: &str) -> Answer {
        let redirect = self.get(&format!("/callback?{}", self.grant(token)));
        assert_eq!(redirect.status, 303, "{}", redirect.text);
        self.get(redirect.header("location").expect("a place to go"))
    }

    pub fn four(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn six(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port).into()
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.text.split_once("\r\n\r\n")?;
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

impl Home {
    /// `--login` with a port of its own, for a service that is never reached, without a browser.
    pub fn login_command(&self, port: u16) -> Command {
        let mut command = self.kallyai(["--login", "--callback-port", &port.to_string()]);
        command
            .env("KALLYAI_API_URL", "http://127.0.0.1:9")
            .env("KALLYAI_TOKEN_FILE", self.token_file())
            .env("BROWSER", "none");
        command
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends these bytes and reads to the end of the answer.
#[track_caller]
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes).expect("the request is taken");
    answer(&mut stream)
}

/// Reads what is still to come.
#[track_caller]
pub fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer with an end");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or_else(|| panic!("no status: {text:?}")), text }
}

/// A port that nobody holds, and that the system gives to nobody who asks for any.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let turn = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (turn % 20_000) as u16;
        let is_free = |address: IpAddr| TcpListener::bind((address, port)).is_ok();
        let has_six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        if is_free(Ipv4Addr::UNSPECIFIED.into()) && (!has_six || is_free(Ipv6Addr::UNSPECIFIED.into())) {
            return port;
        }
    }
}
