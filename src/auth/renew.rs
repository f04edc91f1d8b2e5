//! Refreshing the credentials: once across all processes, and saved before they are used.
//!
//! A refresh token can be spent once. The exchange is therefore the job of a helper process: the
//! command may end at any moment, and the new tokens are saved all the same.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};

use super::login::Login;
use super::{Grant, SaveWarning, Store};
use crate::api::{Http, Refusal, Response, Trace};
use crate::domain::Secret;
use crate::error::{Error, Kind, Result};
use crate::helper::{self, Helper, Parent};
use crate::signals::Signals;

/// The kind of helper job that refreshes the credentials.
pub const REFRESH_JOB: &str = "refresh";

/// The time limit of a refresh.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of that may be spent waiting for the lock. The rest is for the exchange.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);
/// Other clients know no lock. After this time they have saved what they got for the same token.
const OTHER_CLIENTS_SAVE: Duration = Duration::from_secs(1);

/// A job for a helper process: the refresh must be saved, however the command ends.
#[derive(Serialize, Deserialize)]
pub struct RefreshJob {
    /// `None` for the sandbox.
    pub api: Option<String>,
    pub token_file: PathBuf,
    /// The access token that the service rejected.
    rejected: Option<String>,
    is_traced: bool,
}

#[derive(Serialize, Deserialize)]
enum Report {
    Warning(String),
    Trace(String),
    /// The new content of the file.
    Refreshed(String),
    Failed(Error),
}

/// The credentials to refresh, and what a refresh needs.
pub struct Refresh<'a> {
    pub store: &'a Store,
    pub http: &'a Http,
    pub warn: &'a dyn Fn(&str),
    /// The access token that the service rejected.
    pub rejected: Option<&'a Secret>,
}

impl Refresh<'_> {
    /// Credentials that have not expired and are not the rejected ones: another process's, or new.
    pub async fn in_helper(&self, api: Option<&str>, by: Instant) -> Result<Login> {
        let job = RefreshJob {
            api: api.map(str::to_owned),
            token_file: std::path::absolute(self.store.path())
                .unwrap_or_else(|_| self.store.path().to_owned()),
            rejected: self.rejected.map(|token| token.expose().to_owned()),
            is_traced: self.http.trace().is_some(),
        };
        // If no process can be started, the same code runs in this one.
        let Ok(mut helper) = helper::start(REFRESH_JOB, &job) else {
            return self.run().await;
        };
        match timeout_at(by, self.follow(&mut helper)).await {
            Ok(Some(refreshed)) => refreshed,
            Ok(None) if helper.is_other_version() => self.run().await,
            Ok(None) => Err(failed("the process that refreshes them ended")),
            Err(_) => Err(failed("it takes too long, and continues in the background")),
        }
    }

    async fn follow(&self, helper: &mut Helper) -> Option<Result<Login>> {
        loop {
            match helper.report().await? {
                Report::Warning(text) => (self.warn)(&text),
                Report::Trace(line) => {
                    if let Some(trace) = self.http.trace() {
                        trace(&line);
                    }
                }
                Report::Refreshed(json) => return Login::parse(json.as_bytes()).map(Ok),
                Report::Failed(error) => return Some(Err(error)),
            }
        }
    }

    /// Refreshes under the lock, unless another process has done so.
    async fn run(&self) -> Result<Login> {
        let begun = Instant::now();
        let lock = self.store.lock(begun + LOCK_TIMEOUT).await?;
        loop {
            let mut login = self.store.load()?.ok_or_else(expired)?;
            if !login.has_expired() && self.rejected != Some(&login.access_token) {
                return Ok(login);
            }
            let refresh_token = login.refresh_token.as_ref().ok_or_else(expired)?;
            self.store.check_writable()?;
            let deadline = begun + REFRESH_TIMEOUT;
            let response = self.http.post_refresh(refresh_token, deadline).await?;
            if let Some(grant) = understand(response)? {
                login.refresh(grant);
                self.report_saving(self.store.save(&login, &lock));
                return Ok(login);
            }
            sleep(OTHER_CLIENTS_SAVE).await;
            let now = self.store.load()?;
            if now.is_none_or(|now| now.refresh_token == login.refresh_token) {
                self.store.remove_locked(&lock)?;
                return Err(expired());
            }
        }
    }

    /// The old refresh token is spent, so that unsaved tokens still serve this run.
    fn report_saving(&self, saved: Result<SaveWarning>) {
        let lost = "the refreshed credentials were not saved, and you have to sign in again";
        let warning = saved.unwrap_or_else(|error| Some(format!("{lost}: {error}")));
        if let Some(text) = warning {
            (self.warn)(&text);
        }
    }
}

/// The grant in a response, or `None` if the service refuses the refresh token for good.
fn understand(response: Response) -> Result<Option<Grant>> {
    let is_refusal = || {
        let refusal = Refusal::parse(response.status, &response.body);
        refusal.is_some_and(|refusal| refusal.is_definite)
    };
    match response.status {
        400 | 401 | 403 if is_refusal() => Ok(None),
        429 | 500..=599 => Err(response.into_error()),
        // A gateway or a captive portal in between: the credentials stay.
        status => match Grant::parse(&response.body) {
            Some(grant) if matches!(status, 200..=299) => Ok(Some(grant)),
            _ => Err(failed(&response.unexpected().to_string())),
        },
    }
}

fn expired() -> Error {
    Error::new(Kind::NotSignedIn, "your sign-in has expired")
}

fn failed(reason: &str) -> Error {
    let message = format!("the credentials could not be refreshed: {reason}");
    Error::new(Kind::Unreachable, message)
}

impl RefreshJob {
    /// Sends the trace to the command that waits.
    pub fn trace(&self, parent: &Parent) -> Option<Trace> {
        let parent = parent.clone();
        let trace = move |line: &str| parent.report(&Report::Trace(line.to_owned()));
        self.is_traced.then(|| Rc::new(trace) as Trace)
    }
}

/// The helper process's side. It does not stop when its parent is gone.
pub async fn run_refresh(job: &RefreshJob, store: &Store, http: &Http, parent: &Parent) {
    // Ignores Ctrl-C and SIGTERM from here on.
    let _signals = Signals::listen();
    let rejected = job.rejected.as_deref().and_then(Secret::parse);
    let refresh = Refresh {
        store,
        http,
        warn: &|text| parent.report(&Report::Warning(text.to_owned())),
        rejected: rejected.as_ref(),
    };
    parent.report(&match refresh.run().await {
        Ok(login) => Report::Refreshed(login.to_json()),
        Err(error) => Report::Failed(error),
    });
}
