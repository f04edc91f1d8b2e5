//! Runs a job in a helper process, which can outlive the command. The helper runs this same program
//! in a session of its own.
//!
//! The parent writes the job, including secrets, to the child's stdin and reads reports from its
//! stdout, one JSON document per line. The job never appears in arguments, environment variables or
//! files. Closing the child's stdin, for example by exiting, tells the child that the parent no
//! longer wants the job done. The job decides whether to stop then.

use std::any::Any;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::error::Error;

/// The first argument of a helper process. Only this program passes it, so it need not be a flag.
const ARGUMENT: &str = "kallyai-helper";

/// This program's version, sent with each job. A child with another version, as after an upgrade,
/// refuses the job.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const OTHER_VERSION: &str = "\"other version\"";

/// A report from a helper to its parent. The last report is `Done` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report<P> {
    Progress(P),
    Warning(String),
    Trace(String),
    /// The job's result, as JSON.
    Done(String),
    Failed(Box<Error>),
}

/// The parent's handle to a helper. Dropping it closes the helper's stdin, but the helper may keep
/// running.
pub struct Helper {
    /// The helper's stdin, or a channel to a job in this process. Open while the job is wanted.
    link: Option<Box<dyn Any>>,
    reports: mpsc::UnboundedReceiver<String>,
    /// Runs the job in this process if the helper refuses it.
    in_place: Option<InPlace>,
}

/// A function that starts a job in this process. The job sends its reports to the [`Parent`].
pub type InPlace = Box<dyn FnOnce(Parent)>;

/// The helper's handle to its parent.
#[derive(Clone)]
pub struct Parent {
    /// Closes when the parent no longer wants the job done.
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

/// Starts a job in a helper process. If that fails, starts the job in this process with `in_place`,
/// or returns the error if `in_place` is `None`.
pub fn start(kind: &str, job: &impl Serialize, in_place: Option<InPlace>) -> io::Result<Helper> {
    match (start_process(kind, job), in_place) {
        (Err(_), Some(run)) => Ok(start_in_place(run)),
        (started, in_place) => started.map(|helper| Helper { in_place, ..helper }),
    }
}

fn start_in_place(run: InPlace) -> Helper {
    let (helper, parent) = in_this_process();
    run(parent);
    helper
}

fn start_process(kind: &str, job: &impl Serialize) -> io::Result<Helper> {
    let line = serde_json::to_string(&(VERSION, job))?;
    let mut child = spawn(&mut command(kind)?)?;
    let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (sender, reports) = mpsc::unbounded_channel();
    let reader = std::thread::Builder::new().stack_size(64 * 1024);
    reader.spawn(move || {
        let lines = stdout.into_iter().flat_map(|it| BufReader::new(it).lines());
        // Read every line, even without a receiver, so that the child never blocks on a full pipe.
        lines
            .map_while(Result::ok)
            .for_each(|line| drop(sender.send(line)));
        drop(sender);
        child.wait()
    })?;
    if let Some(stdin) = &mut stdin {
        // Ignore errors: if the child has already exited, the caller notices when the reports end.
        let _ = writeln!(stdin, "{line}");
    }
    Ok(Helper::new(stdin, reports))
}

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
        // Leave the current folder, so that the user can remove or unmount it during the call.
        .current_dir("/")
        .env_remove("KALLYAI_ACCESS_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, "kallyai");
    // Make relative paths absolute, because the child runs in another folder.
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        if let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) {
            let paths = std::env::split_paths(&value)
                .map(|path| std::path::absolute(&path).unwrap_or(path));
            command.env(name, std::env::join_paths(paths).unwrap_or(value));
        }
    }
    Ok(command)
}

/// Returns this program's path. On Linux, it works even after an upgrade replaces the file.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    match cfg!(target_os = "linux") && running.exists() {
        true => Ok(running),
        false => std::env::current_exe(),
    }
}

/// Starts the child. On Windows, the child gets its own process group and no console. If allowed,
/// it also leaves the parent's job object, which could end it together with the parent.
fn spawn(command: &mut Command) -> io::Result<Child> {
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt as _;

        const DETACHED_PROCESS: u32 = 0x8;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        const CREATE_BREAKAWAY_FROM_JOB: u32 = 0x0100_0000;
        let alone = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
        command.creation_flags(alone | CREATE_BREAKAWAY_FROM_JOB);
        if let Ok(child) = command.spawn() {
            return Ok(child);
        }
        command.creation_flags(alone);
    }
    command.spawn()
}

impl Helper {
    fn new(link: impl Any, reports: mpsc::UnboundedReceiver<String>) -> Self {
        Self {
            link: Some(Box::new(link)),
            reports,
            in_place: None,
        }
    }

    /// Returns the next report, skipping lines that do not parse, or `None` when the helper has
    /// exited.
    pub async fn report<P: DeserializeOwned>(&mut self) -> Option<Report<P>> {
        loop {
            let line = self.reports.recv().await?;
            if let Ok(report) = serde_json::from_str(&line) {
                return Some(report);
            }
            if line == OTHER_VERSION
                && let Some(run) = self.in_place.take()
            {
                *self = start_in_place(run);
            }
        }
    }

    /// Tells the helper that its parent no longer wants the job done.
    pub fn close(&mut self) {
        self.link = None;
    }
}

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
    let reports = None;
    Ok((serde_json::from_value(job)?, Parent { link, reports }))
}

/// Stops child processes from inheriting the standard handles. Otherwise a program that reads this
/// program's output through a pipe would also wait for the helper to exit. Handles that are passed
/// to a child explicitly still work.
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
    // `setsid` fails only for a process group leader, and a new child process is never one.
    let _ = rustix::process::setsid();
    // Without this, `ps` would show `exe`, because the program was started as /proc/self/exe.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"kallyai");
    close_inherited();
}

/// Closes inherited file descriptors. Otherwise, the reader of an inherited pipe would get no EOF
/// until this process exits.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "the standard library cannot close a descriptor by its number"
)]
fn close_inherited() {
    use std::os::fd::{FromRawFd as _, OwnedFd};

    let listed = std::fs::read_dir("/dev/fd").into_iter().flatten().flatten();
    let names = listed.map(|fd| fd.file_name());
    let numbers: Vec<i32> = names.filter_map(|it| it.to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // Skip the descriptor that was used to list /dev/fd: it is already closed.
        if std::fs::symlink_metadata(format!("/dev/fd/{number}")).is_ok() {
            // SAFETY: the descriptor is open, and nothing in this new process owns one above 2 yet.
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

    /// Returns a callback that sends lines of the `--debug` trace to the parent.
    pub fn trace(&self) -> Rc<dyn Fn(&str)> {
        let parent = self.clone();
        Rc::new(move |line| parent.report(&Report::<()>::Trace(line.to_owned())))
    }
}
