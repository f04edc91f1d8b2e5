//! Runs the program with a time limit and captures its output.

use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long a test waits for output or for the program to exit.
const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Run {
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A program that was started. Call [`Running::end`] to wait for it to exit.
pub struct Running {
    child: Child,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
}

/// The output read from a pipe so far.
#[derive(Default)]
pub struct Stream {
    state: Mutex<Gathered>,
    changed: Condvar,
}

/// The bytes read so far, and whether the pipe has closed.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    ended: bool,
}

/// Wraps a command in a shell that first runs another command.
#[cfg(unix)]
pub fn by_shell(command: &Command, first: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!(r#"{first} && exec "$0" "$@""#)]);
    shell.arg(command.get_program()).args(command.get_args());
    let variables = command.get_envs();
    shell.env_clear();
    shell.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    shell
}

impl Run {
    /// Runs a command with an empty stdin and waits for it to exit.
    pub fn of(command: &mut Command) -> Self {
        Running::start(command.stdin(Stdio::null())).end()
    }

    pub fn with_input(command: &mut Command, input: &[u8]) -> Self {
        let mut running = Running::start(command.stdin(Stdio::piped()));
        let mut stdin = running.stdin();
        // Ignore the error if the program exits without reading its input.
        let _ = stdin.write_all(input);
        drop(stdin);
        running.end()
    }

    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(
            self.exit,
            Some(status),
            "stdout: {stdout}\nstderr: {stderr}"
        );
        self
    }

    /// Asserts the exit status and the error code, and returns the error object.
    #[track_caller]
    pub fn fails(self, status: i32, code: &str) -> Value {
        let error = self.exits(status).error();
        assert_eq!(error["code"], code, "{error}");
        error
    }

    /// Parses the JSON on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    /// Returns the error object from the JSON on the last line of stderr.
    #[track_caller]
    pub fn error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        let document: Value =
            serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", self.stderr));
        document["error"].clone()
    }

    /// Asserts that stderr contains this text.
    #[track_caller]
    pub fn notes(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "{text}: {}", self.stderr);
        self
    }

    /// Asserts that neither stdout nor stderr contains this text.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Self {
        for stream in [&self.stdout, &self.stderr] {
            assert!(!stream.contains(text), "{text}: {stream}");
        }
        self
    }
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdout = Stream::gather(child.stdout.take().expect("a pipe"));
        let stderr = Stream::gather(child.stderr.take().expect("a pipe"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    #[cfg(target_os = "linux")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .expect("a signal");
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    #[cfg(target_os = "linux")]
    pub fn children(&self) -> Vec<rustix::process::Pid> {
        let ids = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.id()))
            .unwrap_or_default();
        ids.split_whitespace()
            .filter_map(|id| rustix::process::Pid::from_raw(id.parse().ok()?))
            .collect()
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    /// Waits for this text on stderr and returns all of stderr so far.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        self.stderr.holds(text)
    }

    /// Waits for this text on stdout and returns all of stdout so far.
    #[track_caller]
    pub fn prints(&self, text: &str) -> String {
        self.stdout.holds(text)
    }

    /// Waits for the program to exit and returns its exit status and output.
    #[track_caller]
    pub fn end(mut self) -> Run {
        // Stdout closes when the program exits. If that takes too long, kill the program.
        let stdout = self.stdout.whole();
        if stdout.is_none() {
            self.kill();
        }
        let exit = self.child.wait().expect("the program exits").code();
        let text = |bytes: Option<Vec<u8>>| {
            String::from_utf8(bytes.expect("the program exits in time")).expect("UTF-8")
        };
        Run {
            exit,
            stdout: text(stdout),
            stderr: text(self.stderr.whole()),
        }
    }
}

impl Stream {
    /// Starts a thread that reads a pipe to its end.
    pub fn gather(mut pipe: impl Read + Send + 'static) -> Arc<Self> {
        let stream = Arc::new(Self::default());
        let gathering = Arc::clone(&stream);
        thread::spawn(move || {
            let mut some = [0u8; 4096];
            loop {
                let count = pipe.read(&mut some).unwrap_or(0);
                let mut state = gathering.state.lock().unwrap();
                state.bytes.extend_from_slice(&some[..count]);
                state.ended = count == 0;
                gathering.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        stream
    }

    /// Waits for this text and returns all output so far.
    #[track_caller]
    pub fn holds(&self, text: &str) -> String {
        let so_far = |state: &Gathered| String::from_utf8_lossy(&state.bytes).into_owned();
        let state = self.state.lock().unwrap();
        let missing = |state: &mut Gathered| !state.ended && !so_far(state).contains(text);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, TIMEOUT, missing)
            .unwrap();
        let all = so_far(&state);
        assert!(all.contains(text), "missing: {text}\noutput: {all}");
        all
    }

    /// Waits for the end of the output and returns it, or `None` after the time limit.
    pub fn whole(&self) -> Option<Vec<u8>> {
        let state = self.state.lock().unwrap();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, TIMEOUT, |state| !state.ended)
            .unwrap();
        state.ended.then(|| state.bytes.clone())
    }
}
