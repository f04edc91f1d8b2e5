//! The jobs that helper processes run.

use std::io;
use std::path::PathBuf;

use super::connection::Connection;
use crate::api::Trace;
use crate::auth::{self, RefreshJob, Session, Store};
use crate::call::{self, Job, Journal, Report};
use crate::domain::{ApiBase, Secret};
use crate::error::Result;
use crate::helper::{self, Parent};
use crate::settings::issuer;
use crate::signals::Signals;

/// Runs the job of this helper process. `kind` says which job it is.
pub fn run(kind: &str) -> io::Result<()> {
    #[cfg(unix)]
    helper::detach();
    helper::on_this_thread(async {
        match kind {
            call::JOB => {
                let (job, parent) = helper::take_job().await?;
                make_call(job, parent).await;
                Ok(())
            }
            auth::REFRESH_JOB => refresh_job().await,
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    })?
}

/// Makes a call. Runs in a helper process or, if none can be started, in the command's process.
pub async fn make_call(job: Job, parent: Parent) {
    if let Err(error) = try_make_call(job, &parent).await {
        parent.report(&Report::Failed(Box::new(error)));
    }
}

async fn try_make_call(job: Job, parent: &Parent) -> Result<()> {
    let trace = job.trace.then(|| parent.trace());
    let connection = connect(job.api.as_deref(), job.token_file.clone(), trace)?;
    let given = Secret::parse(&job.token).filter(|_| job.is_given_token);
    let warn = |_: &'static str, text: &str| parent.report(&Report::Warning(text.to_owned()));
    let (http, store) = (&connection.http, connection.store.clone());
    let session = Session::new(given, store, http, job.api.clone(), warn);
    let journal = Journal::new(job.state_folder.clone(), job.entry.origin.clone());
    call::serve(job, &session, &journal, parent).await
}

async fn refresh_job() -> io::Result<()> {
    // Keep signals from ending this process before the new tokens are saved.
    let _ignored = Signals::listen();
    let (job, parent) = helper::take_job::<RefreshJob>().await?;
    let trace = job.is_traced.then(|| parent.trace());
    let connection = connect(job.api.as_deref(), job.token_file.clone(), trace);
    let Connection { http, store, .. } = connection.map_err(io::Error::other)?;
    auth::run_refresh(&job, &store, &http, &parent).await;
    Ok(())
}

fn connect(api: Option<&str>, token_file: PathBuf, trace: Option<Trace>) -> Result<Connection> {
    let api = api.map(str::parse::<ApiBase>).transpose()?;
    let store = Store::new(token_file, issuer(api.as_ref()));
    Connection::to(api, store, trace)
}
