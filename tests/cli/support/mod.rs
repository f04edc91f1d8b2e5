//! Helpers that run the program in a temporary home folder, with a cleared environment and a time
//! limit, against simulated servers.

mod mcp;
#[cfg(unix)]
mod pty;
mod run;
mod server;
mod service;
mod sign_in;
mod tls;

pub use mcp::Client;
#[cfg(unix)]
pub use pty::{Terminal, seen};
#[cfg(unix)]
pub use run::by_shell;
pub use run::{Run, Running};
pub use server::{Gate, Reply, Request, Server, listen};
pub use service::{FIRST, LOOKUP, PRE_CALL_LOOKUP, Post, Service, Shown};
#[cfg(unix)]
pub use sign_in::mode;
pub use sign_in::{SignIn, browser, connect, exchange, free_port, names, state_of, written};
pub use tls::{Certificate, Proxy, USUAL};

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A user's temporary home folder. Builds commands that read and write only files in it.
pub struct Home {
    folder: TempDir,
    /// The URL of the last command's server. Credentials are written as if issued by that server.
    issuer: Mutex<Option<String>>,
}

/// Time limit for commands that should exit promptly. It leaves room for a busy machine, but is
/// less than the 30 s that a command takes if it waits by mistake.
pub const PROMPT: Duration = Duration::from_secs(20);

/// An access token that must never appear in output.
pub const TOKEN: &str = "secret-access-token-1";
/// A refresh token that must never appear in output.
pub const REFRESH: &str = "secret-refresh-token-1";

/// Kills workers that a test left running. They would keep polling for their calls, even after a
/// later test run has reused the port for another server.
#[cfg(target_os = "linux")]
impl Drop for Home {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};

        let home = format!("HOME={}", self.folder.path().display());
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let variables = std::fs::read(process.path().join("environ")).unwrap_or_default();
            let is_ours = variables
                .split(|byte| *byte == 0)
                .any(|it| it == home.as_bytes());
            let id = process.file_name().to_str().and_then(|id| id.parse().ok());
            if let Some(id) = id.and_then(Pid::from_raw).filter(|_| is_ours) {
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            issuer: Mutex::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn token_file(&self) -> PathBuf {
        self.path("login.json")
    }

    /// Returns the state folder that commands for a [`Service`] use.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Returns the folder of the call log, with one JSON file per call.
    pub fn calls_folder(&self) -> PathBuf {
        self.state().join("calls")
    }

    /// Returns the paths of the files in the call log, oldest call first.
    pub fn journal_files(&self) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(self.calls_folder());
        let listed = listed.into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = listed.map(|file| file.path()).collect();
        files.sort_by_key(|file| read_entry(file)["sent_at"].as_str().map(str::to_owned));
        files
    }

    /// Returns the calls in the call log, oldest first.
    pub fn journal(&self) -> Vec<Value> {
        let files = self.journal_files();
        files.iter().map(|file| read_entry(file)).collect()
    }

    /// Backdates the file of every call, so that the call's worker seems to have exited.
    pub fn end_workers(&self) {
        for path in self.journal_files() {
            let file = std::fs::File::options().write(true).open(path);
            let earlier = SystemTime::now() - Duration::from_secs(61);
            let dated = file.and_then(|file| file.set_modified(earlier));
            dated.expect("a file's time");
        }
    }

    pub fn write_journal(&self, entries: impl IntoIterator<Item = Value>) {
        std::fs::create_dir_all(self.calls_folder()).expect("a folder");
        for entry in entries {
            let key = entry["key"].as_str().expect("a key").to_ascii_lowercase();
            let file = self.calls_folder().join(format!("call-{key}.json"));
            std::fs::write(file, entry.to_string()).expect("a call's file");
        }
    }

    /// Builds a command in a cleared environment with this home folder.
    pub fn kallyai<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kallyai"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TZ", "America/New_York");
        // Keep the variables for Windows libraries, temporary files and the coverage file.
        for name in ["SystemRoot", "TEMP", "TMP", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("LOCALAPPDATA", self.folder.path())
            .env("USERPROFILE", self.folder.path());
        // Keep macOS and Windows from opening a browser. On Linux, none opens without a display.
        command.env("BROWSER", "none");
        command
    }

    /// Builds a command with credentials for `server`.
    pub fn at<S: AsRef<OsStr>>(
        &self,
        server: &Server,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        self.at_url(server.url(), args)
    }

    /// Builds a command with credentials for the server at this URL.
    pub fn at_url<S: AsRef<OsStr>>(&self, url: &str, args: impl IntoIterator<Item = S>) -> Command {
        self.issued_by(url);
        if std::fs::symlink_metadata(self.token_file()).is_err() {
            self.sign_in(3600);
        }
        let mut command = self.kallyai(args);
        command
            .env("KALLYAI_API_URL", url)
            .env("KALLYAI_TOKEN_FILE", self.token_file());
        command
    }

    /// Sets this URL as the issuer of the saved credentials and of any saved later.
    pub fn issued_by(&self, url: &str) {
        *self.issuer.lock().unwrap() = Some(url.to_owned());
        let saved = std::fs::read(self.token_file()).unwrap_or_default();
        let saved: Option<Value> = serde_json::from_slice(&saved).ok();
        let is_known = |saved: &Value| saved["issuer"] == url || !saved["access_token"].is_string();
        if let Some(mut saved) = saved.filter(|saved| !is_known(saved)) {
            saved["issuer"] = json!(url);
            // Write in place, because the file may be a symlink.
            std::fs::write(self.token_file(), saved.to_string()).expect("credentials");
        }
    }

    /// Writes credentials that expire in this many seconds.
    pub fn sign_in(&self, expires_in: i64) {
        let expires_at = now() + expires_in;
        self.write_login(
            &json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": expires_at }),
        );
    }

    /// Replaces the credentials with an atomic rename, because a command may be reading them.
    pub fn write_login(&self, login: &Value) {
        let mut login = login.clone();
        if let (Some(issuer), None) = (&*self.issuer.lock().unwrap(), login.get("issuer")) {
            login["issuer"] = json!(issuer);
        }
        let aside = self.path("login.new");
        std::fs::write(&aside, login.to_string()).expect("credentials");
        std::fs::rename(aside, self.token_file()).expect("a rename");
    }

    pub fn login(&self) -> Value {
        let text = std::fs::read(self.token_file()).expect("the login file");
        serde_json::from_slice(&text).expect("JSON in the login file")
    }

    /// Runs a command with credentials for this server.
    pub fn run(&self, server: &Server, args: &[&str]) -> Run {
        Run::of(&mut self.at(server, args))
    }

    pub fn sandbox(&self, args: &[&str]) -> Run {
        Run::of(self.kallyai(["--sandbox"]).args(args))
    }
}

fn read_entry(file: &Path) -> Value {
    let text = std::fs::read(file).expect("a call's file");
    serde_json::from_slice(&text).expect("JSON in a call's file")
}

/// Runs each case in its own thread. Suitable for cases that mostly wait.
pub fn parallel<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| test(case));
        }
    });
}

/// Returns the current Unix time in seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs() as i64
}

/// Splits a table row at each ` | ` and trims the cells.
pub fn cells<const N: usize>(row: &str) -> [&str; N] {
    let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
    cells.try_into().unwrap_or_else(|_| panic!("{row}"))
}

/// Asserts that an object has these fields with these values.
#[track_caller]
pub fn has(object: &Value, fields: Value) {
    for (name, value) in fields.as_object().expect("fields") {
        assert_eq!(&object[name], value, "{name} of {object}");
    }
}

/// Asserts that a field of an object is a string that contains `part`.
#[track_caller]
pub fn says(object: &Value, name: &str, part: &str) {
    let text = object[name].as_str().unwrap_or_default();
    assert!(text.contains(part), "{part}: {object}");
}

/// Returns a call in the API's format, created just now.
pub fn call(id: &str, status: &str) -> Value {
    json!({
        "call_id": id,
        "status": status,
        "highlights": "A table for four is booked.",
        "next_steps": "Arrive on time.",
        "duration_seconds": 74.5,
        "metadata": { "created_at": moment(0), "ended_at": moment(1) },
        "submission": {
            "task_category": "restaurant",
            "task_description": "Reserve a table",
            "respondent_phone": "+15551234567",
        },
    })
}

/// Returns the time this many seconds from now, in the API's format.
pub fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(now() + seconds)
        .expect("a time")
        .to_string()
}

/// Arguments that make a typical call.
pub const CALL: [&str; 4] = ["-p", "+15551234567", "-t", "Reserve a table"];

/// A complete call ID.
pub const ID: &str = "3f2a0c1e-55aa-4bbb-8ccc-0123456789ab";
