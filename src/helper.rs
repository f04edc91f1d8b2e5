//! Runs a job in a helper process, which can outlive the command. The helper is this same program in
//! its own session.
//!
//! The parent writes the job, including secrets, to the child's stdin and reads reports from its
//! stdout, one JSON document per line. The job never appears in arguments, environment variables or
//! files. The parent keeps the child's stdin open as long as it wants the job done.

use std::any::Any;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::error::Error;

/// The first argument of a helper process. It is not a flag, because users never type it.
const ARGUMENT: &str = "kallyai-helper";

/// Sent with the job. After an upgrade, the child may be newer than its parent. It then refuses the
/// job.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const OTHER_VERSION: &str = "\"other version\"";

/// A report from a helper to its parent. The last one is `Done` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report<P> {
    Progress(P),
    Warning(String),
    Trace(String),
    /// The job's result, as JSON.
    Done(String),
    Failed(Box<Error>),
}

/// The parent's handle to a helper. Dropping it closes the helper's stdin, which a job may ignore.
pub struct Helper {
    /// The helper's stdin, or a channel if the job runs in this process. It stays open as long as
    /// the parent wants the job done.
    link: Option<Box<dyn Any>>,
    reports: mpsc::UnboundedReceiver<String>,
    is_other_version: bool,
}

/// The helper's handle to its parent.
#[derive(Clone)]
pub struct Parent {
    /// Closed once the parent no longer wants the job done.
    link: watch::Receiver<()>,
    /// `None` in a helper process, which reports on stdout.
    reports: Option<mpsc::UnboundedSender<String>>,
}

/// Runs a future, and the tasks that it spawns, on this thread.
pub fn on_this_thread<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build()?;
    let done = tokio::task::LocalSet::new().block_on(&runtime, task);
    // Do not wait for blocking work: a read of stdin or a DNS lookup may never return.
    runtime.shutdown_background();
    Ok(done)
}

/// Returns the kind of job to run, or `None` if this process is not a helper.
pub fn job_kind(argv: &[OsString]) -> Option<&str> {
    match argv {
        [_, argument, kind] if argument == ARGUMENT => kind.to_str(),
        _ => None,
    }
}

/// Starts a helper process and writes the job to its stdin.
pub fn start(kind: &str, job: &impl Serialize) -> io::Result<Helper> {
    let line = serde_json::to_string(&(VERSION, job))?;
    let mut child = spawn(&mut command(kind)?)?;
    let mut stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let (sender, reports) = mpsc::unbounded_channel();
    let reader = std::thread::Builder::new().stack_size(64 * 1024);
    reader.spawn(move || {
        let lines = stdout.into_iter().flat_map(|it| BufReader::new(it).lines());
        // Read every line, even if the receiver is gone, so the child never blocks on a full pipe.
        lines
            .map_while(Result::ok)
            .for_each(|line| drop(sender.send(line)));
        drop(sender);
        child.wait()
    })?;
    // Ignore errors: if the child has already exited, the caller sees that its reports have ended.
    if let Some(stdin) = &mut stdin {
        let _ = writeln!(stdin, "{line}");
    }
    Ok(Helper::new(stdin, reports))
}

/// Returns both handles for a job that runs in this process because no helper can be started.
pub fn in_this_process() -> (Helper, Parent) {
    let (sender, received) = mpsc::unbounded_channel();
    let (open, link) = watch::channel(());
    let reports = Some(sender);
    (Helper::new(open, received), Parent { link, reports })
}

fn command(kind: &str) -> io::Result<Command> {
    let mut command = Command::new(program()?);
    command
        .args([ARGUMENT, kind])
        // The user must be able to remove or unmount the current folder during the call.
        .current_dir("/")
        .env_remove("KALLYAI_ACCESS_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "kallyai");
    // The child has another working directory, so make relative paths absolute.
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
            let paths = std::env::split_paths(&value)
                .map(|path| std::path::absolute(&path).unwrap_or(path));
            command.env(name, std::env::join_paths(paths).unwrap_or(value));
        }
    }
    Ok(command)
}

/// Returns the path of this program. On Linux, it works even after an upgrade replaces the file.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    match cfg!(target_os = "linux") && running.exists() {
        true => Ok(running),
        false => std::env::current_exe(),
    }
}

#[cfg(unix)]
fn spawn(command: &mut Command) -> io::Result<std::process::Child> {
    command.spawn()
}

/// Starts the child without a console, in its own process group and, if allowed, outside the job
/// object that would kill it together with the parent.
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
    fn new(link: impl Any, reports: mpsc::UnboundedReceiver<String>) -> Self {
        Self {
            link: Some(Box::new(link)),
            reports,
            is_other_version: false,
        }
    }

    /// Returns the next report, skipping lines that do not parse, or `None` when the helper has
    /// exited.
    pub async fn report<P: DeserializeOwned>(&mut self) -> Option<Report<P>> {
        loop {
            let line = self.reports.recv().await?;
            self.is_other_version |= line == OTHER_VERSION;
            if let Ok(report) = serde_json::from_str(&line) {
                return Some(report);
            }
        }
    }

    /// Returns whether the helper refused its job because its version differs from the parent's.
    pub fn is_other_version(&self) -> bool {
        self.is_other_version
    }

    /// Tells the helper that its parent no longer wants the job done.
    pub fn close(&mut self) {
        self.link = None;
    }
}

/// Reads this helper process's job from stdin.
pub async fn take_job<J: DeserializeOwned>() -> io::Result<(J, Parent)> {
    let (open, link) = watch::channel(());
    let (job_sender, job) = tokio::sync::oneshot::channel();
    let reader = std::thread::Builder::new().stack_size(64 * 1024);
    reader.spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut line = String::new();
        drop(stdin.read_line(&mut line));
        drop(job_sender.send(std::mem::take(&mut line)));
        // The parent writes nothing else, so this read returns only when the pipe is closed.
        drop(stdin.read_line(&mut line));
        drop(open);
    })?;
    let line = job.await.map_err(io::Error::other)?;
    let (version, job): (String, serde_json::Value) = serde_json::from_str(&line)?;
    if version != VERSION {
        writeln!(io::stdout(), "{OTHER_VERSION}")?;
        return Err(io::ErrorKind::Unsupported.into());
    }
    let job = serde_json::from_value(job)?;
    let reports = None;
    Ok((job, Parent { link, reports }))
}

/// Stops child processes from inheriting the standard handles. Otherwise a program that reads this
/// one's output through a pipe would also wait for the helper to exit. Handles that are passed to a
/// child explicitly still work.
#[cfg(windows)]
#[expect(
    unsafe_code,
    reason = "the standard library cannot change a handle's flags"
)]
pub fn stop_handle_inheritance() {
    use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
    use windows_sys::Win32::System::Console::{
        GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
    };

    for which in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: both functions accept any value, and fail for a handle that does not exist.
        unsafe { SetHandleInformation(GetStdHandle(which), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// Leaves the parent's session and closes inherited file descriptors. A helper process must call
/// this first, before it opens a file descriptor of its own.
#[cfg(unix)]
pub fn detach() {
    // Fails only for a process group leader, which a new child never is.
    let _ = rustix::process::setsid();
    // The program was started as /proc/self/exe, so `ps` would show `exe`.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"kallyai");
    close_inherited();
}

/// Closes inherited file descriptors. An open pipe would keep its reader waiting for EOF.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "the standard library cannot close a descriptor by its number"
)]
fn close_inherited() {
    use std::os::fd::{FromRawFd as _, OwnedFd};

    let listed = std::fs::read_dir("/dev/fd").into_iter().flatten().flatten();
    let names = listed.map(|fd| fd.file_name());
    let numbers = names.filter_map(|name| name.to_str()?.parse::<i32>().ok());
    let numbers: Vec<i32> = numbers.collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The list includes the descriptor that listed the folder, which is closed by now.
        if std::fs::symlink_metadata(format!("/dev/fd/{number}")).is_ok() {
            // SAFETY: the descriptor is open, and this new process owns none above 2.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

impl Parent {
    /// Returns whether the parent still wants the job done.
    pub fn is_watching(&self) -> bool {
        self.link.has_changed().is_ok()
    }

    /// Waits until the parent no longer wants the job done.
    pub async fn left(&self) {
        let mut link = self.link.clone();
        while link.changed().await.is_ok() {}
    }

    /// Sends a report. Does nothing if the parent has exited.
    pub fn report<P: Serialize>(&self, report: &Report<P>) {
        if let Ok(line) = serde_json::to_string(report) {
            match &self.reports {
                Some(reports) => drop(reports.send(line)),
                None => drop(writeln!(io::stdout(), "{line}")),
            }
        }
    }

    /// Returns a function that reports a line of a trace to the parent.
    pub fn trace(&self) -> Rc<dyn Fn(&str)> {
        let parent = self.clone();
        Rc::new(move |line| parent.report(&Report::<()>::Trace(line.to_owned())))
    }
}
