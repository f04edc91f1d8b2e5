//! What every test stands on: a home folder of its own, a cleared environment, runs that cannot hang.

mod mcp;
#[cfg(unix)]
mod pty;
mod run;
mod server;
mod service;
mod sign_in;
mod tls;

pub use mcp::{Client, misfit};
#[cfg(unix)]
pub use pty::{Terminal, seen};
pub use run::{Run, Running};
#[cfg(unix)]
pub use run::{by_shell, limited};
pub use server::{Gate, Reply, Request, Server};
pub use service::{LOOK_BEFORE, LOOK_UP, Post, Service, Shown};
pub use sign_in::{SignIn, answer, connect, exchange, free_port};
pub use tls::Proxy;

use std::collections::BTreeMap;
use std::ffi::OsStr;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Under `nohup` the programs that tests start would ignore a hang-up as the tests do. One that is handled here is theirs
/// to handle anew: a program begins with the usual disposition of every signal that was not ignored.
#[cfg(unix)]
static HANG_UP_IS_HANDLED: LazyLock<()> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).expect("a handler"));
});

/// The program under test. Where root builds it below a folder that is closed to others, a copy that the users whom tests
/// become can reach; the copy stays in the folder for temporary files.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_kallyai"));
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() && !is_open_to_all(&built) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a folder")
            .keep();
        let copy = folder.join("kallyai");
        copy_program(&built, &copy);
        return copy;
    }
    built
});

/// Copies a program that is to be started. A process of its own does it: what this one has open to be written, a child that
/// another test starts meanwhile would have open too, and the system starts no program that is being written.
#[cfg(unix)]
pub fn copy_program(program: &Path, to: &Path) {
    let copied = Command::new("cp").arg(program).arg(to).status().expect("cp runs");
    assert!(copied.success(), "{copied}");
}

#[cfg(unix)]
fn is_open_to_all(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    file.ancestors().skip(1).all(|folder| folder.metadata().is_ok_and(|found| found.mode() & 0o001 != 0))
}

/// A user's home, empty at first.
pub struct Home {
    folder: TempDir,
    /// The server that the last command spoke to, which issued the login.
    issuer: Mutex<Option<String>>,
}

/// What waits in vain does so for longer, 30 s and more; what ends at once may take as long on a busy machine.
pub const AT_ONCE: Duration = Duration::from_secs(10);

/// A token that must never be seen.
pub const TOKEN: &str = "secret-access-token-1";
/// What renews it; must never be seen either.
pub const REFRESH: &str = "secret-refresh-token-1";

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), issuer: Mutex::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the login is kept when a server stands in for the service.
    pub fn token_file(&self) -> PathBuf {
        self.path("login.json")
    }

    /// The state folder of a run that speaks to a [`Service`].
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The journal there.
    pub fn journal_file(&self) -> PathBuf {
        self.state().join("calls.jsonl")
    }

    /// The lines of the journal, oldest first.
    pub fn journal_lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.journal_file()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON in the journal")).collect()
    }

    /// What the journal holds, oldest first: the lines of each call added up.
    pub fn journal(&self) -> Vec<Value> {
        let mut entries: Vec<Value> = Vec::new();
        for line in self.journal_lines() {
            let known = entries.iter().position(|entry| entry["key"] == line["key"]);
            match (line["event"].as_str(), known) {
                (None | Some("prepared"), _) => {
                    let mut entry = line.clone();
                    entry["shown"] = json!(line["settled"] == true);
                    entries.retain(|entry| entry["key"] != line["key"]);
                    entries.push(entry);
                }
                (Some("discarded"), Some(index)) => drop(entries.remove(index)),
                (Some(event), Some(index)) => {
                    let entry = &mut entries[index];
                    for name in ["call_id", "status", "error"] {
                        if line.get(name).is_some() {
                            entry[name] = line[name].clone();
                        }
                    }
                    if event == "shown" || line["shown"] == true {
                        entry["shown"] = json!(true);
                    }
                    if event != "shown" {
                        entry["event"] = json!(event);
                    }
                }
                (Some(event), None) => panic!("{event} of an unknown call"),
            }
        }
        entries
    }

    /// Writes a journal of these lines.
    pub fn write_journal(&self, lines: impl IntoIterator<Item = String>) {
        std::fs::create_dir_all(self.state()).expect("a folder");
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        std::fs::write(self.journal_file(), text).expect("a journal");
    }

    /// A command in an environment that holds this home and nothing of the machine's.
    pub fn kallyai<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        #[cfg(unix)]
        LazyLock::force(&HANG_UP_IS_HANDLED);
        let mut command = Command::new(&*PROGRAM);
        command.args(args).env_clear().env("HOME", self.folder.path()).env("TZ", "America/New_York");
        // Windows finds its own libraries, and where to put what is temporary, by these; the last is where a measurement of
        // the tests' coverage gathers what the program adds to it.
        for name in ["SystemRoot", "TEMP", "TMP", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LOCALAPPDATA", self.folder.path()).env("USERPROFILE", self.folder.path());
        // Only Linux tells by its environment that there is nobody to see one.
        command.env("BROWSER", "none");
        command
    }

    /// A command that speaks to `server`, signed in.
    pub fn at<S: AsRef<OsStr>>(&self, server: &Server, args: impl IntoIterator<Item = S>) -> Command {
        self.at_url(server.url(), args)
    }

    /// The same for a server at this address, which is written as an origin is.
    pub fn at_url<S: AsRef<OsStr>>(&self, url: &str, args: impl IntoIterator<Item = S>) -> Command {
        self.issued_by(url);
        if std::fs::symlink_metadata(self.token_file()).is_err() {
            self.sign_in(3600);
        }
        let mut command = self.kallyai(args);
        command.env("KALLYAI_API_URL", url).env("KALLYAI_TOKEN_FILE", self.token_file());
        command
    }

    /// Makes the login one of the server at this address, and those that are yet to be written. All else of the file
    /// stays as it is.
    pub fn issued_by(&self, url: &str) {
        *self.issuer.lock().unwrap() = Some(url.to_owned());
        let path = self.token_file();
        let Ok(text) = std::fs::read_to_string(&path) else { return };
        let Ok(mut login) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text) else { return };
        let issuer = json!(url).to_string();
        let has_token = login.get("access_token").is_some_and(|raw| raw.get().starts_with('"'));
        if !has_token || login.get("issuer").is_some_and(|raw| raw.get() == issuer) {
            return;
        }
        login.insert("issuer".into(), RawValue::from_string(issuer).expect("JSON"));
        let before = std::fs::metadata(&path).expect("the file").permissions();
        let mut writable = before.clone();
        #[allow(clippy::permissions_set_readonly_false)]
        writable.set_readonly(false);
        std::fs::set_permissions(&path, writable).expect("permissions");
        std::fs::write(&path, serde_json::to_vec(&login).expect("JSON")).expect("a login");
        std::fs::set_permissions(&path, before).expect("permissions");
    }

    /// Writes a login that expires in so many seconds.
    pub fn sign_in(&self, expires_in: i64) {
        let expires_at = now() + expires_in;
        self.write_login(
            &json!({ "access_token": TOKEN, "refresh_token": REFRESH, "expires_at": expires_at }),
        );
    }

    /// Replaces the login whole, as every client does: a run may be reading it.
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

/// Tries each case in a thread of its own: such as wait more than they work.
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

/// The moment so many seconds from now, as the API writes it.
pub fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(now() + seconds).expect("a moment").to_string()
}

/// The arguments of an ordinary call.
pub const CALL: [&str; 4] = ["-p", "+15551234567", "-t", "Reserve a table"];

/// A full call ID.
pub const ID: &str = "3f2a0c1e-55aa-4bbb-8ccc-0123456789ab";
