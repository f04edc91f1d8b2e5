//! A job in a process of its own, which survives the command: this program, in its own session.
//!
//! The parent writes the job, secrets included, to the child's stdin and reads reports from its
//! stdout, one JSON document per line. Nothing of a job is in arguments, environment or files. The
//! parent keeps the child's stdin open for as long as it wants the job done.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

/// The first argument of a helper process. It is not a flag: only this program starts one.
const ARGUMENT: &str = "kallyai-helper";

/// After an upgrade the child may be a newer program than its parent. It then refuses the job.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const OTHER_VERSION: &str = "\"other version\"";

#[derive(Serialize, Deserialize)]
struct Envelope<J> {
    version: String,
    job: J,
}

/// A helper process, as its parent sees it.
pub struct Helper {
    stdin: Option<ChildStdin>,
    reports: mpsc::UnboundedReceiver<String>,
    is_other_version: bool,
}

/// The parent, as the helper process sees it.
#[derive(Clone)]
pub struct Parent {
    is_watching: watch::Receiver<bool>,
}

/// The kind of job that this process was started for, if it is a helper.
pub fn job_kind(argv: &[OsString]) -> Option<&str> {
    match argv {
        [_, argument, kind] if argument == ARGUMENT => kind.to_str(),
        _ => None,
    }
}

/// Starts a process for a job.
pub fn start(kind: &str, job: &impl Serialize) -> io::Result<Helper> {
    let envelope = Envelope {
        version: VERSION.to_owned(),
        job,
    };
    let mut line = serde_json::to_vec(&envelope)?;
    line.push(b'\n');
    let mut child = spawn(&mut command(kind)?)?;
    let mut stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let (sender, reports) = mpsc::unbounded_channel();
    let reader = std::thread::Builder::new()
        .name("helper".into())
        .stack_size(64 * 1024);
    reader.spawn(move || {
        if let Some(stdout) = stdout {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // All lines are read, so that the child never blocks on a full pipe.
            lines.for_each(|line| drop(sender.send(line)));
        }
        drop(sender);
        child.wait()
    })?;
    // A child that ended at once is known by the end of its reports.
    if let Some(stdin) = &mut stdin {
        let _ = stdin.write_all(&line);
    }
    Ok(Helper {
        stdin,
        reports,
        is_other_version: false,
    })
}

fn command(kind: &str) -> io::Result<Command> {
    let mut command = Command::new(program()?);
    command
        .args([ARGUMENT, kind])
        .current_dir(if cfg!(windows) {
            std::env::temp_dir()
        } else {
            PathBuf::from("/")
        })
        .env_remove("KALLYAI_ACCESS_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "kallyai");
    // The child runs in another folder, so that paths must not be relative.
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
            let paths = std::env::split_paths(&value)
                .map(|path| std::path::absolute(&path).unwrap_or(path));
            command.env(name, std::env::join_paths(paths).unwrap_or(value));
        }
    }
    Ok(command)
}

/// This program's file. Linux finds it even after an upgrade has replaced it.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && running.exists() {
        Ok(running)
    } else {
        std::env::current_exe()
    }
}

#[cfg(unix)]
fn spawn(command: &mut Command) -> io::Result<std::process::Child> {
    command.spawn()
}

/// Without a console, in its own group and, if allowed, outside the job that ends with the parent.
#[cfg(windows)]
fn spawn(command: &mut Command) -> io::Result<std::process::Child> {
    use std::os::windows::process::CommandExt as _;

    const DETACHED_PROCESS: u32 = 0x8;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    const CREATE_BREAKAWAY_FROM_JOB: u32 = 0x0100_0000;
    let alone = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
    command
        .creation_flags(alone | CREATE_BREAKAWAY_FROM_JOB)
        .spawn()
        .or_else(|_| command.creation_flags(alone).spawn())
}

impl Helper {
    /// The next report, or `None` once the process has ended. A line that does not parse is skipped.
    pub async fn report<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            let line = self.reports.recv().await?;
            self.is_other_version |= line == OTHER_VERSION;
            if let Ok(report) = serde_json::from_str(&line) {
                return Some(report);
            }
        }
    }

    /// Whether the helper refused its job because it is another version of the program.
    pub fn is_other_version(&self) -> bool {
        self.is_other_version
    }

    /// Closes the helper's stdin: the parent no longer wants the job done.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }
}

/// Reads the job of a helper process.
pub async fn take_job<J: DeserializeOwned>() -> io::Result<(J, Parent)> {
    let (sender, is_watching) = watch::channel(true);
    let (job_sender, job) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("stdin".into())
        .stack_size(64 * 1024)
        .spawn(move || {
            let mut stdin = io::stdin().lock();
            let mut line = String::new();
            drop(stdin.read_line(&mut line));
            drop(job_sender.send(std::mem::take(&mut line)));
            // The parent writes nothing more: the read returns when it closes the pipe or ends.
            drop(stdin.read_line(&mut line));
            sender.send_replace(false);
        })?;
    let line = job.await.map_err(io::Error::other)?;
    let envelope: Envelope<serde_json::Value> = serde_json::from_str(&line)?;
    if envelope.version != VERSION {
        writeln!(io::stdout(), "{OTHER_VERSION}")?;
        return Err(io::ErrorKind::Unsupported.into());
    }
    let job = serde_json::from_value(envelope.job)?;
    Ok((job, Parent { is_watching }))
}

/// Keeps the standard handles out of every child process: a program that reads this one's output
/// through a pipe would wait for the child's end too. A child that is given them still gets them.
#[cfg(windows)]
#[expect(
    unsafe_code,
    reason = "the standard library cannot change a handle's flags"
)]
pub fn keep_standard_handles() {
    use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
    use windows_sys::Win32::System::Console::{
        GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
    };

    for which in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: both functions accept any value, and fail for a handle that does not exist.
        unsafe { SetHandleInformation(GetStdHandle(which), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// Leaves the parent's session and what it left open. The first thing a helper process does, before
/// it owns a descriptor.
#[cfg(unix)]
pub fn detach() {
    // Fails only for the leader of a process group, and a new child is not one.
    let _ = rustix::process::setsid();
    // The program was started as /proc/self/exe, and `ps` would show `exe`.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"kallyai");
    close_inherited();
}

/// The child was started detached.
#[cfg(windows)]
pub fn detach() {}

/// Closes descriptors that the parent's parent left open, so that readers of its pipes see their end.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "the standard library cannot close a descriptor by its number"
)]
fn close_inherited() {
    use std::os::fd::{FromRawFd as _, OwnedFd};

    let Ok(listed) = std::fs::read_dir("/dev/fd") else {
        return;
    };
    let numbers: Vec<i32> = listed
        .flatten()
        .filter_map(|fd| fd.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The listing's own descriptor is among them, and closed by now.
        if std::fs::symlink_metadata(format!("/dev/fd/{number}")).is_ok() {
            // SAFETY: the descriptor is open, and this new process owns none above 2.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

impl Parent {
    /// Whether the parent still holds this process's stdin open.
    pub fn watching(&self) -> watch::Receiver<bool> {
        self.is_watching.clone()
    }

    /// Reports to the parent. One that is gone is ignored.
    pub fn report(&self, report: &impl Serialize) {
        let Ok(mut line) = serde_json::to_vec(report) else {
            return;
        };
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
}
