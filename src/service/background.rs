//! What helper processes do: a call that outlives its command, a renewal of the login that must be saved, and the
//! sandbox's page of a sign-in in two steps.

use std::io;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::emulator::{self, PageJob};
use crate::api::{Client, Http, Trace};
use crate::auth::{self, RenewalJob, Session, Store};
use crate::call::{self, Job as CallJob, Journal};
use crate::domain::{ApiBase, Secret};
use crate::helper::{self, Parent};
use crate::sandbox::Sandbox;
use crate::signals::{Signals, survive_file_size_limit};

/// Does the job that this process was started for.
pub fn run(kind: &str) -> ExitCode {
    let done = match kind {
        call::JOB => with_job(async |job: CallJob, parent: &Parent| place(job, parent).await),
        emulator::PAGE_JOB => {
            with_job(async |job: PageJob, parent: &Parent| emulator::run_page_job(job, parent).await)
        }
        auth::RENEWAL_JOB => with_job(async |job: RenewalJob, parent: &Parent| renew(&job, parent).await),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn with_job<J: DeserializeOwned>(work: impl AsyncFnOnce(J, &Parent) -> io::Result<()>) -> io::Result<()> {
    let (job, parent) = helper::take_job()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = pin!(async {
        survive_file_size_limit();
        work(job, &parent).await
    });
    // One runner for all jobs, rather than a copy for each.
    let done = runtime.block_on(work as Pin<&mut dyn Future<Output = io::Result<()>>>);
    runtime.shutdown_background();
    done
}

/// The way to the service that a job names, or to an emulator of this process's own.
struct Service {
    http: Http,
    /// What the login's issuer and the journal call it.
    name: String,
    api: Option<String>,
    _emulator: Option<Sandbox>,
}

impl Service {
    fn of(
        api: Option<String>,
        state_folder: impl FnOnce() -> std::path::PathBuf,
        trace: Option<Trace>,
    ) -> io::Result<Self> {
        let emulator = match &api {
            Some(_) => None,
            None => Some(emulator::start_in(state_folder())?),
        };
        let url = emulator.as_ref().map_or_else(|| api.clone().unwrap_or_default(), Sandbox::url);
        let base: ApiBase = url.parse().map_err(io::Error::other)?;
        let name = if emulator.is_some() { "sandbox".into() } else { base.origin() };
        Ok(Self { http: Http::new(base, trace), name, api, _emulator: emulator })
    }
}

async fn place(job: CallJob, parent: &Parent) -> io::Result<()> {
    let service = Service::of(job.api.clone(), || job.state_folder.clone(), None)?;
    let journal = Journal::new(job.state_folder.clone(), service.name.clone());
    let entry = job.entry(&journal)?;
    let store = Store::new(job.token_file.clone(), service.name.clone());
    // What is read is kept out of the journal, though the service repeats it.
    let _ = store.load();
    let given = job.is_given_token.then(|| Secret::parse(&job.token)).flatten();
    let session = Session::new(given, store, &service.http, service.api.clone(), |_| {});
    let deadline = Instant::now() + Duration::from_secs(job.timeout);
    let client = Client::new(&service.http, &session, deadline);
    call::run_job(job, &client, &journal, &entry, parent).await
}

async fn renew(job: &RenewalJob, parent: &Parent) -> io::Result<()> {
    // Until it is saved, nothing but SIGKILL ends it: a stopped service signals all of its processes.
    let _deaf = Signals::listen();
    let folder = || job.token_file.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let service = Service::of(job.api.clone(), folder, job.trace.then(|| auth::trace_to(parent)))?;
    let store = Store::new(job.token_file.clone(), service.name.clone());
    auth::run_renewal(job, &store, &service.http, parent).await;
    Ok(())
}
