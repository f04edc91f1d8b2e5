//! Refreshes the tokens in one process at a time, and saves the new tokens before using them.
//!
//! A refresh token can be used only once. A helper process exchanges it for new tokens, so that
//! they are saved even if the command is killed.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};

use super::login::Login;
use super::{Grant, SaveWarning, Store};
use crate::api::{Http, Refusal, Response};
use crate::domain::Secret;
use crate::error::{Error, Kind, Result};
use crate::helper::{self, Helper, Parent};

pub const REFRESH_JOB: &str = "refresh";

/// Time limit for a refresh, including the wait for the lock on the credentials.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for the lock on the credentials. The rest of [`REFRESH_TIMEOUT`] is left for
/// the request to the service.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);
/// How long to wait for another client to save new tokens after the service rejects our refresh
/// token. Other clients don't use the lock, so one of them may have used the same refresh token.
const OTHER_CLIENT_DELAY: Duration = Duration::from_secs(1);

/// The input of the helper process that refreshes the credentials.
#[derive(Serialize, Deserialize)]
pub struct RefreshJob {
    /// The API's base URL, or `None` for the sandbox.
    pub api: Option<String>,
    pub token_file: PathBuf,
    /// The access token that the service rejected, if any.
    rejected: Option<String>,
    pub is_traced: bool,
}

/// A message from the helper process. `Done` contains the credentials as JSON. The type `()` means
/// that a refresh does not report its progress.
type Report = helper::Report<()>;

pub struct Refresh<'a> {
    pub store: &'a Store,
    pub http: &'a Http,
    pub warn: &'a dyn Fn(&str),
    /// The access token that the service rejected, if any.
    pub rejected: Option<&'a Secret>,
}

impl Refresh<'_> {
    /// Refreshes the credentials in a helper process, unless another process has already done so.
    /// Returns credentials that have neither expired nor been rejected.
    pub async fn in_helper(&self, api: Option<&str>, by: Instant) -> Result<Login> {
        let job = RefreshJob {
            api: api.map(str::to_owned),
            token_file: std::path::absolute(self.store.path())
                .unwrap_or_else(|_| self.store.path().to_owned()),
            rejected: self.rejected.map(|token| token.expose().to_owned()),
            is_traced: self.http.trace().is_some(),
        };
        // If the helper process can't be started, refresh in this process.
        let Ok(mut helper) = helper::start(REFRESH_JOB, &job, None) else {
            return self.run().await;
        };
        match timeout_at(by, self.follow(&mut helper)).await {
            Ok(Some(refreshed)) => refreshed,
            // If the helper exited, perhaps because its version differs, refresh in this process.
            Ok(None) => self.run().await,
            Err(_) => Err(failed(
                "the token refresh did not finish in time and continues in the background",
            )),
        }
    }

    async fn follow(&self, helper: &mut Helper) -> Option<Result<Login>> {
        loop {
            match helper.report().await? {
                Report::Warning(text) => (self.warn)(&text),
                Report::Trace(line) => self.http.trace().iter().for_each(|trace| trace(&line)),
                Report::Done(json) => return Login::parse(json.as_bytes()).map(Ok),
                Report::Failed(error) => return Some(Err(*error)),
                Report::Progress(()) => {}
            }
        }
    }

    /// Refreshes the credentials while holding their lock, unless another process has already done
    /// so.
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
            if let Some(grant) = parse_response(response)? {
                login.refresh(grant);
                self.report_saving(self.store.save(&login, &lock));
                return Ok(login);
            }
            sleep(OTHER_CLIENT_DELAY).await;
            let now = self.store.load()?;
            if now.is_none_or(|now| now.refresh_token == login.refresh_token) {
                self.store.remove_locked(&lock)?;
                return Err(expired());
            }
        }
    }

    /// Warns about a problem with saving the new tokens. Even if saving failed, this run uses the
    /// new tokens, because the old refresh token has been used up.
    fn report_saving(&self, saved: Result<SaveWarning>) {
        let lost = "the refreshed credentials were not saved, so you will have to sign in again";
        let warning = saved.unwrap_or_else(|error| Some(format!("{lost}: {error}")));
        if let Some(text) = warning {
            (self.warn)(&text);
        }
    }
}

/// Parses the response to a refresh request. Returns `None` if the service permanently rejected the
/// refresh token.
fn parse_response(response: Response) -> Result<Option<Grant>> {
    let is_refusal = || {
        let refusal = Refusal::parse(response.status, &response.body);
        refusal.is_some_and(|refusal| refusal.is_definite)
    };
    match response.status {
        400 | 401 | 403 if is_refusal() => Ok(None),
        429 | 500..=599 => Err(response.into_error()),
        // A response without tokens probably comes from a gateway or a captive portal, so fail
        // without removing the credentials.
        status => match Grant::parse(&response.body) {
            Some(grant) if matches!(status, 200..=299) => Ok(Some(grant)),
            _ => {
                let mut error = failed(&response.unexpected().to_string());
                error.facts.http_status = Some(status);
                Err(error.with_hint("try again, and run kallyai login if the error persists"))
            }
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

/// Runs in the helper process. Refreshes the credentials, even if the parent process exits.
pub async fn run_refresh(job: &RefreshJob, store: &Store, http: &Http, parent: &Parent) {
    let rejected = job.rejected.as_deref().and_then(Secret::parse);
    let refresh = Refresh {
        store,
        http,
        warn: &|text| parent.report(&Report::Warning(text.to_owned())),
        rejected: rejected.as_ref(),
    };
    parent.report(&match refresh.run().await {
        Ok(login) => Report::Done(login.to_json()),
        Err(error) => Report::Failed(Box::new(error)),
    });
}
