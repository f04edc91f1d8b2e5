//! Runs of the program, each with an end.

use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// No test waits longer for a program.
const PATIENCE: Duration = Duration::from_secs(60);

/// A finished run.
pub struct Run {
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A run that goes on.
pub struct Running {
    child: Child,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
}

impl Run {
    /// Runs a command to its end, with stdin closed.
    pub fn of(command: &mut Command) -> Self {
        Running::start(command.stdin(Stdio::null())).end()
    }

    /// Runs a command with this on stdin.
    pub fn with_input(command: &mut Command, input: &[u8]) -> Self {
        let mut running = Running::start(command.stdin(Stdio::piped()));
        let mut stdin = running.child.stdin.take().expect("a pipe");
        // A program that ended without reading has closed its side.
        let _ = stdin.write_all(input);
        drop(stdin);
        running.end()
    }

    /// Asserts the exit status.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.exit, Some(status), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The JSON on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    /// The error object on the last line of stderr.
    #[track_caller]
    pub fn error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        let document: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", self.stderr));
        document["error"].clone()
    }

    /// Asserts that a text is in neither stream.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "{text}: {} {}",
            self.stdout,
            self.stderr
        );
        self
    }
}

impl Running {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stdout = gather(child.stdout.take().expect("a pipe"));
        let stderr = gather(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .expect("a signal");
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Run {
        // The pipes close when the program ends, however it does.
        let stdout = self.stdout.recv_timeout(PATIENCE);
        if stdout.is_err() {
            self.kill();
        }
        let exit = self.child.wait().expect("the program ends").code();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Run {
            exit,
            stdout: text(stdout.expect("the program ends in time")),
            stderr: text(self.stderr.recv().expect("stderr is read")),
        }
    }
}

fn gather(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}
