//! Simulates the browser during a sign-in.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::server::next_port;
use super::{Home, Run, Running};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A running `kallyai login` that has printed its URL and is waiting for the browser.
pub struct SignIn {
    pub running: Running,
    pub port: u16,
    pub state: String,
}

/// An HTTP response from the callback port or from another local server.
pub struct Response {
    pub status: u16,
    /// The whole response, from the status line to the end of the body.
    pub text: String,
}

impl SignIn {
    /// Starts `kallyai login` without opening a browser.
    pub fn start(home: &Home) -> Self {
        let port = free_port();
        Self::of(&mut home.login_command(port), port)
    }

    /// Starts a sign-in command that listens for the redirect on `port`.
    pub fn of(command: &mut Command, port: u16) -> Self {
        let running = Running::start(command.stdin(Stdio::null()));
        let state = state_of(&running.says("Waiting for you to sign in"));
        Self {
            running,
            port,
            state,
        }
    }

    /// Returns the query string of a redirect that grants this access token.
    pub fn grant(&self, token: &str) -> String {
        format!(
            "access_token={token}&refresh_token=granted-refresh&expires_in=3600&state={}",
            self.state
        )
    }

    /// Returns a request without a body and with the correct `Host` header.
    pub fn head(&self, line: &str) -> String {
        format!("{line} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", self.port)
    }

    pub fn get(&self, target: &str) -> Response {
        exchange(self.ipv4(), self.head(&format!("GET {target}")).as_bytes())
    }

    /// Signs in and loads the page that the redirect points to.
    pub fn complete(&self, token: &str) -> Response {
        let redirect = self.get(&format!("/callback?{}", self.grant(token)));
        assert_eq!(redirect.status, 303, "{}", redirect.text);
        self.get(redirect.header("location").expect("a location"))
    }

    /// Signs in and waits for the program to exit successfully.
    pub fn succeed(self, token: &str) -> Run {
        assert_eq!(self.complete(token).status, 200);
        self.running.end().exits(0)
    }

    pub fn ipv4(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn ipv6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port).into()
    }
}

/// Returns the `state` parameter of a printed sign-in URL.
pub fn state_of(printed: &str) -> String {
    let (_, rest) = printed.split_once("state=").expect("the sign-in URL");
    let state: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    assert_eq!(state.len(), 64, "{printed}");
    state
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.text.split_once("\r\n\r\n")?;
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
    }

    pub fn body(&self) -> &str {
        let parts = self.text.split_once("\r\n\r\n");
        parts.map_or("", |(_, body)| body)
    }
}

impl Home {
    /// Builds a command for the service at this URL. Does not write credentials.
    pub fn command(&self, url: &str, args: &[&str]) -> Command {
        let mut command = self.kallyai(args);
        command
            .env("KALLYAI_API_URL", url)
            .env("KALLYAI_TOKEN_FILE", self.token_file())
            .env("KALLYAI_STATE_DIR", self.state());
        command
    }

    /// Returns the saved access and refresh tokens.
    pub fn tokens(&self) -> [String; 2] {
        let saved = self.login();
        ["access_token", "refresh_token"].map(|name| saved[name].as_str().unwrap_or("").to_owned())
    }

    /// Builds a `login` command with this callback port, no browser and an unreachable service.
    pub fn login_command(&self, port: u16) -> Command {
        let args = ["login", "--callback-port", &port.to_string()];
        self.command("http://127.0.0.1:9", &args)
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    stream
}

/// Sends these bytes and returns the whole response.
#[track_caller]
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Response {
    let mut stream = connect(address);
    stream.write_all(bytes).expect("the request is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a whole response");
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {text:?}"));
    Response { status, text }
}

/// Returns a free port outside the range from which the system assigns ports.
pub fn free_port() -> u16 {
    let is_free = |address: IpAddr, port| TcpListener::bind((address, port)).is_ok();
    let has_ipv6 = is_free(Ipv6Addr::LOCALHOST.into(), 0);
    loop {
        let port = next_port();
        if is_free(Ipv4Addr::UNSPECIFIED.into(), port)
            && (!has_ipv6 || is_free(Ipv6Addr::UNSPECIFIED.into(), port))
        {
            return port;
        }
    }
}

/// Returns a value for `BROWSER` that runs this shell script.
pub fn browser(home: &Home, script: &str) -> String {
    let path = home.path("browser.sh");
    std::fs::write(&path, script).expect("a script");
    format!("sh {}", path.display())
}

/// Waits until the last line of the file is `done`, then returns the content.
pub fn written(path: &Path) -> String {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with("done\n") => return text,
            _ => assert!(Instant::now() < deadline, "{path:?} was not written"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the names of the files in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let names = entries.map(|entry| entry.file_name().into_string().expect("UTF-8"));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[cfg(unix)]
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).expect("a file");
    metadata.permissions().mode() & 0o777
}
