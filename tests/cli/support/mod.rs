//! The base of every test: a home folder of its own, a cleared environment, and runs that cannot hang.

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
pub use server::{Gate, Reply, Request, Server};
pub use service::{LOOK_BEFORE, LOOK_UP, Post, Service, Shown};
#[cfg(unix)]
pub use sign_in::mode;
pub use sign_in::{SignIn, browser, connect, exchange, free_port, names, state_of, written};
pub use tls::{Certificate, Proxy, USUAL};

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A user's home, empty at first.
pub struct Home {
    folder: TempDir,
    /// The server that the last command spoke to, which issued the login.
    issuer: Mutex<Option<String>>,
}

/// The limit for what ends at once, on a busy machine. A wait in vain takes 30 s or more.
pub const AT_ONCE: Duration = Duration::from_secs(10);

/// An access token that must never be seen.
pub const TOKEN: &str = "secret-access-token-1";
/// A refresh token that must never be seen.
pub const REFRESH: &str = "secret-refresh-token-1";

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

    /// The credentials file for a test server.
    pub fn token_file(&self) -> PathBuf {
        self.path("login.json")
    }

    /// The state folder of a run that speaks to a [`Service`].
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The folder with one JSON file per call.
    pub fn calls_folder(&self) -> PathBuf {
        self.state().join("calls")
    }

    /// The files of the journal, oldest call first.
    pub fn journal_files(&self) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(self.calls_folder());
        let mut files: Vec<PathBuf> = listed
            .map(|files| files.flatten().map(|file| file.path()).collect())
            .unwrap_or_default();
        files.sort_by_key(|file| read_entry(file)["sent_at"].as_str().map(str::to_owned));
        files
    }

    /// The calls of the journal, oldest first.
    pub fn journal(&self) -> Vec<Value> {
        let files = self.journal_files();
        files.iter().map(|file| read_entry(file)).collect()
    }

    /// Writes calls into the journal.
    pub fn write_journal(&self, entries: impl IntoIterator<Item = Value>) {
        std::fs::create_dir_all(self.calls_folder()).expect("a folder");
        for entry in entries {
            let key = entry["key"].as_str().expect("a key").to_ascii_lowercase();
            let file = self.calls_folder().join(format!("call-{key}.json"));
            std::fs::write(file, entry.to_string()).expect("a call's file");
        }
    }

    /// A command in a cleared environment with this home.
    pub fn kallyai<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kallyai"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TZ", "America/New_York");
        // Windows needs these for its libraries and temporary files, and coverage tools the last.
        for name in ["SystemRoot", "TEMP", "TMP", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("LOCALAPPDATA", self.folder.path())
            .env("USERPROFILE", self.folder.path());
        // Without a display Linux opens no browser, and other systems would.
        command.env("BROWSER", "none");
        command
    }

    /// A command for `server`, signed in.
    pub fn at<S: AsRef<OsStr>>(
        &self,
        server: &Server,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        self.at_url(server.url(), args)
    }

    /// A command for the server at this origin, signed in.
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

    /// Makes this server the issuer of the credentials, now and when they are written again. All other members of the
    /// file stay.
    pub fn issued_by(&self, url: &str) {
        *self.issuer.lock().unwrap() = Some(url.to_owned());
        let path = self.token_file();
        let Ok(text) = std::fs::read_to_string(&path) else {
            return;
        };
        let Ok(mut login) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text) else {
            return;
        };
        let issuer = json!(url).to_string();
        let has_token = login
            .get("access_token")
            .is_some_and(|raw| raw.get().starts_with('"'));
        if !has_token || login.get("issuer").is_some_and(|raw| raw.get() == issuer) {
            return;
        }
        login.insert(
            "issuer".into(),
            RawValue::from_string(issuer).expect("JSON"),
        );
        let before = std::fs::metadata(&path).expect("the file").permissions();
        let mut writable = before.clone();
        #[allow(clippy::permissions_set_readonly_false)]
        writable.set_readonly(false);
        std::fs::set_permissions(&path, writable).expect("permissions");
        std::fs::write(&path, serde_json::to_vec(&login).expect("JSON")).expect("a login");
        std::fs::set_permissions(&path, before).expect("permissions");
    }

    /// Writes credentials that expire in this many seconds.
    pub fn sign_in(&self, expires_in: i64) {
        let expires_at = now() + expires_in;
        self.write_login(
            &json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": expires_at }),
        );
    }

    /// Replaces the credentials by rename, as every client does: a run may be reading them.
    pub fn write_login(&self, login: &Value) {
        let mut login = login.clone();
        if let (Some(issuer), None) = (&*self.issuer.lock().unwrap(), login.get("issuer")) {
            login["issuer"] = json!(issuer);
        }
        let aside = self.path("login.new");
        std::fs::write(&aside, login.to_string()).expect("a login");
        std::fs::rename(aside, self.token_file()).expect("a login in its place");
    }

    pub fn login(&self) -> Value {
        let text = std::fs::read(self.token_file()).expect("the login file");
        serde_json::from_slice(&text).expect("JSON in the login file")
    }

    /// Runs a command in the sandbox.
    pub fn sandbox(&self, args: &[&str]) -> Run {
        Run::of(self.kallyai(["--sandbox"]).args(args))
    }
}

fn read_entry(file: &Path) -> Value {
    let text = std::fs::read(file).expect("a call's file");
    serde_json::from_slice(&text).expect("JSON in the journal")
}

/// Tries each case in a thread of its own, for cases that mostly wait.
pub fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| test(case));
        }
    });
}

/// Unix seconds.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs() as i64
}

/// The cells of a table's row.
pub fn cells<const N: usize>(row: &str) -> [&str; N] {
    let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
    cells.try_into().unwrap_or_else(|_| panic!("{row}"))
}

/// A call as the API gives it, created just now.
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

/// The time this many seconds from now, as the API writes it.
pub fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(now() + seconds)
        .expect("a moment")
        .to_string()
}

/// The arguments of an ordinary call.
pub const CALL: [&str; 4] = ["-p", "+15551234567", "-t", "Reserve a table"];

/// A full call ID.
pub const ID: &str = "3f2a0c1e-55aa-4bbb-8ccc-0123456789ab";
