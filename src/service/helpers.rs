//! The jobs of helper processes.

use std::io;
use std::path::Path;
use std::rc::Rc;

use super::emulator;
use crate::api::{Http, Trace};
use crate::auth::{self, RefreshJob, Session, Store};
use crate::call::{self, Job, Journal, Report, Viewer};
use crate::domain::Secret;
use crate::error::Result;
use crate::files;
use crate::helper;
use crate::sandbox::Sandbox;
use crate::signals::Signals;

/// Runs the job that this process was started for.
pub fn run(kind: &str) -> io::Result<()> {
    #[cfg(unix)]
    helper::detach();
    helper::on_this_thread(async {
        match kind {
            call::JOB => call_job().await,
            auth::REFRESH_JOB => refresh_job().await,
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    })?
}

async fn call_job() -> io::Result<()> {
    let (job, parent) = helper::take_job::<Job>().await?;
    let is_watching = parent.is_watching.clone();
    let viewer = Viewer {
        is_watching,
        report: Rc::new(move |report: Report| parent.report(&report)),
    };
    make_call(job, viewer).await;
    Ok(())
}

/// Makes a call. Runs in a helper process or, if none can be started, in the command's own.
pub async fn make_call(job: Job, viewer: Viewer) {
    let report = Rc::clone(&viewer.report);
    if let Err(error) = try_make_call(job, viewer).await {
        report(Report::Failed(Box::new(error)));
    }
}

async fn try_make_call(job: Job, viewer: Viewer) -> Result<()> {
    let report = Rc::clone(&viewer.report);
    let trace_report = Rc::clone(&report);
    let trace: Option<Trace> = job
        .trace
        .then(|| Rc::new(move |line: &str| trace_report(Report::Trace(line.to_owned()))) as Trace);
    let (http, _emulator) = http(job.api.as_deref(), &job.state_folder, trace)?;
    let origin = job.entry.origin.clone();
    let store = Store::new(job.token_file.clone(), origin.clone());
    let given = job
        .is_given_token
        .then(|| Secret::parse(&job.token))
        .flatten();
    let warn = |_: &'static str, text: &str| report(Report::Warning(text.to_owned()));
    let session = Session::new(given, store, &http, job.api.clone(), warn);
    let journal = Journal::new(job.state_folder.clone(), origin);
    call::serve(job, &session, &journal, viewer).await
}

async fn refresh_job() -> io::Result<()> {
    // A signal to the whole session must not prevent the new tokens from being saved.
    let _ignored = Signals::listen();
    let (job, parent) = helper::take_job::<RefreshJob>().await?;
    let folder = files::folder_of(&job.token_file);
    let (http, _emulator) =
        http(job.api.as_deref(), folder, job.trace(&parent)).map_err(io::Error::other)?;
    let issuer = if job.api.is_some() {
        http.base().origin()
    } else {
        "sandbox".into()
    };
    let store = Store::new(job.token_file.clone(), issuer);
    auth::run_refresh(&job, &store, &http, &parent).await;
    Ok(())
}

/// Connects to the service, or to a sandbox in this process.
fn http(api: Option<&str>, folder: &Path, trace: Option<Trace>) -> Result<(Http, Option<Sandbox>)> {
    if let Some(api) = api {
        return Ok((Http::new(api.parse()?, trace), None));
    }
    let emulator = emulator::start_in(folder.to_owned())?;
    let http = Http::new(emulator.url().parse()?, trace);
    Ok((http, Some(emulator)))
}
