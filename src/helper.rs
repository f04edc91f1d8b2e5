//! Work that must not end with the command: done by this program in a process of its own, which survives its parent's
//! end, a closed terminal and the signals meant for them.
//!
//! The parent hands the job over on the child's stdin, secrets included, and reads reports from its stdout until it has
//! heard enough, each of them one JSON document on a line. Nothing of a job stands in arguments, the environment or a file.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// The first argument of such a process. It is no flag: only this program starts one.
const ARGUMENT: &str = "kallyai-helper";

/// A process at work for this one.
pub struct Helper {
    /// Closed with this, which tells a helper that waits for the word to begin that it will not come.
    stdin: Option<ChildStdin>,
    reports: mpsc::UnboundedReceiver<String>,
}

/// Reports to the process that started this one, for as long as that listens.
#[derive(Clone)]
pub struct Parent {
    _private: (),
}

/// The kind of job that this process was started for, if it was started as a helper.
pub fn job_of(argv: &[OsString]) -> Option<&str> {
    match argv {
        [_, argument, kind] if argument == ARGUMENT => kind.to_str(),
        _ => None,
    }
}

/// Starts a process for a job.
///
/// # Errors
/// When the system starts none, or it does not take the job.
pub fn start(kind: &str, job: &impl Serialize) -> io::Result<Helper> {
    let mut job = serde_json::to_vec(job)?;
    job.push(b'\n');
    let mut command = Command::new(program()?);
    command
        .args([ARGUMENT, kind])
        .current_dir(if cfg!(windows) { std::env::temp_dir() } else { PathBuf::from("/") })
        .env_remove("KALLYAI_ACCESS_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // The child is elsewhere, where a relative path would name another file.
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
            let folders =
                std::env::split_paths(&value).map(|path| std::path::absolute(&path).unwrap_or(path));
            command.env(name, std::env::join_paths(folders).unwrap_or(value));
        }
    }
    let mut child = spawn(&mut command)?;
    let mut stdin = child.stdin.take();
    let handed_over = stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(&job));
    let stdout = child.stdout.take();
    let (sender, reports) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("helper".into()).stack_size(64 * 1024).spawn(move || {
        if let Some(stdout) = stdout {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // Whoever no longer listens has heard enough, but the child's end is still to be noted.
            lines.for_each(|line| drop(sender.send(line)));
        }
        child.wait()
    })?;
    handed_over?;
    Ok(Helper { stdin, reports })
}

/// This program's file. Linux names it even when an upgrade has replaced it meanwhile.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && running.exists() { Ok(running) } else { std::env::current_exe() }
}

#[cfg(unix)]
fn spawn(command: &mut Command) -> io::Result<std::process::Child> {
    command.spawn()
}

/// Without a console, in a group of its own and, where that is allowed, outside the job that ends with the parent.
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
    /// Tells a helper that has said it is ready to begin.
    ///
    /// # Errors
    /// When it has ended.
    pub fn begin(&mut self) -> io::Result<()> {
        self.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(b"begin\n"))
    }

    /// The next report; `None` once there will be no more, or it is none.
    pub async fn report<T: DeserializeOwned>(&mut self) -> Option<T> {
        serde_json::from_str(&self.reports.recv().await?).ok()
    }
}

/// Leaves the parent's session and takes its job, as the first thing a helper does.
///
/// # Errors
/// When there is no job that can be read.
pub fn take_job<T: DeserializeOwned>() -> io::Result<(T, Parent)> {
    detach();
    let mut job = String::new();
    io::stdin().lock().read_line(&mut job)?;
    Ok((serde_json::from_str(&job)?, Parent { _private: () }))
}

#[cfg(unix)]
fn detach() {
    // Fails only for the leader of a group, which a child that was just started is not.
    let _ = rustix::process::setsid();
    close_inherited();
}

#[cfg(windows)]
fn detach() {}

/// Closes what the parent's parent left open, so that whoever waits for the end of one of its pipes sees it.
#[cfg(unix)]
#[expect(unsafe_code, reason = "nothing in the standard library closes a descriptor by its number")]
fn close_inherited() {
    use std::os::fd::{FromRawFd as _, OwnedFd};

    let Ok(listed) = std::fs::read_dir("/dev/fd") else { return };
    let numbers: Vec<i32> = listed.flatten().filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The listing's own descriptor is among them, and closed by now.
        if std::fs::symlink_metadata(format!("/dev/fd/{number}")).is_ok() {
            // SAFETY: the descriptor is open, and this process, which has just begun and has one thread, owns none.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

impl Parent {
    /// Waits for the word to begin. Returns whether it came: a parent that has gone gives none.
    pub fn says_begin(&self) -> bool {
        let mut word = String::new();
        io::stdin().lock().read_line(&mut word).is_ok_and(|length| length > 0)
    }

    /// Reports to the parent; one that has gone is not told.
    pub fn report(&self, report: &impl Serialize) {
        let Ok(mut line) = serde_json::to_vec(report) else { return };
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
}
