//! Renewing the login: once across all processes, saved before it is used, and ended only by a definite refusal.
//!
//! A refresh token can be spent once. The exchange and the save are therefore the work of a helper process, which
//! nothing that ends the command cuts off; the command only waits for it.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::error::{Error, Result};
use super::redirect::TokenResponse;
use super::store::{Login, Store};
use crate::api::{self, Http, JsonBody, Refusal, Request, Response, SendError, backoff};
use crate::domain::Secret;
use crate::helper::{self, Parent};

/// The kind of a helper's job that is a renewal.
pub const JOB: &str = "renewal";

/// What the helper must know.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// Where the API is; `None` for the emulator.
    pub api: Option<String>,
    /// The file of the login.
    pub token_file: std::path::PathBuf,
    /// The access token that the service no longer takes, if any.
    pub rejected: Option<String>,
}

/// What the helper says.
#[derive(Serialize, Deserialize)]
enum Report {
    /// The user should know this.
    Warning(String),
    /// A token that works.
    Token(String),
    /// There is none.
    Failed(Error),
}

#[derive(Deserialize)]
struct RefreshResponse {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
}

/// How often a connection is tried; none of these tries spends the refresh token.
const CONNECTS: u32 = 3;
/// How long the helper may take, with waiting for the lock.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(30);

/// A token that has not expired and is not `rejected`: the one another process obtained meanwhile, or a new one. `warn`
/// is told what the person should know.
///
/// # Errors
/// When there is no login, it has ended, or it could not be renewed now.
pub async fn renewed(
    store: &Store,
    http: &Http,
    api: Option<&str>,
    rejected: Option<&Secret>,
    deadline: Instant,
    warn: &dyn Fn(&str),
) -> Result<Secret> {
    // Under the lock: another process may be about to save one.
    let lock = store.lock(deadline).await?;
    if let Some(token) = still_good(store, rejected)? {
        return Ok(token);
    }
    drop(lock);
    let job = Job {
        api: api.map(str::to_owned),
        token_file: store.absolute_path(),
        rejected: rejected.map(|token| token.expose().to_owned()),
    };
    let Ok(mut helper) = helper::start(JOB, &job) else {
        // Where no process can be started, this one does it.
        return renew(store, http, rejected, deadline, warn).await;
    };
    loop {
        match tokio::time::timeout_at(deadline, helper.report::<Report>()).await {
            Ok(Some(Report::Warning(text))) => warn(&text),
            Ok(Some(Report::Token(token))) => {
                return Secret::parse(&token)
                    .ok_or_else(|| unreachable_now("the helper gave an unusable token"));
            }
            Ok(Some(Report::Failed(error))) => return Err(error),
            Ok(None) => return Err(unreachable_now("the process that renews it has ended")),
            Err(_) => {
                return Err(unreachable_now("it takes longer than there is time; it goes on by itself"));
            }
        }
    }
}

/// The helper's part.
pub async fn run_job(job: &Job, store: &Store, http: &Http, parent: &Parent) {
    let rejected = job.rejected.as_deref().and_then(Secret::parse);
    let deadline = Instant::now() + RENEWAL_TIMEOUT;
    let warn = |text: &str| parent.report(&Report::Warning(text.to_owned()));
    parent.report(&match renew(store, http, rejected.as_ref(), deadline, &warn).await {
        Ok(token) => Report::Token(token.expose().to_owned()),
        Err(error) => Report::Failed(error),
    });
}

fn unreachable_now(why: &str) -> Error {
    api::Error::Unreachable(format!("the login could not be renewed: {why}")).into()
}

/// The saved token, if it need not be renewed.
fn still_good(store: &Store, rejected: Option<&Secret>) -> Result<Option<Secret>> {
    let Some(login) = store.load()? else {
        return Err(Error::NotSignedIn("the login has been removed".into()));
    };
    let is_good = !login.has_expired() && rejected != Some(&login.access_token);
    if !is_good && login.refresh_token.is_none() {
        return Err(Error::NotSignedIn(
            "the login has expired, and came without the means to renew it".into(),
        ));
    }
    Ok(is_good.then_some(login.access_token))
}

/// Renews the login under its lock, unless that is no longer needed.
async fn renew(
    store: &Store,
    http: &Http,
    rejected: Option<&Secret>,
    deadline: Instant,
    warn: &dyn Fn(&str),
) -> Result<Secret> {
    let _lock = store.lock(deadline).await?;
    if let Some(token) = still_good(store, rejected)? {
        return Ok(token);
    }
    match store.load()? {
        Some(login) => exchange_refresh_token(store, http, &login, deadline, warn).await,
        None => Err(Error::NotSignedIn("the login has been removed".into())),
    }
}

/// Trades the refresh token for a new login, and saves that.
async fn exchange_refresh_token(
    store: &Store,
    http: &Http,
    login: &Login,
    deadline: Instant,
    warn: &dyn Fn(&str),
) -> Result<Secret> {
    let Some(refresh_token) = &login.refresh_token else {
        return Err(Error::NotSignedIn(
            "the login has expired, and came without the means to renew it".into(),
        ));
    };
    let prepared = store.prepare()?;
    let response = ask(http, refresh_token, deadline).await?;
    let granted = match response.status {
        200..=299 => read(&response),
        400 | 401 | 403 if is_definite_refusal(&response) => {
            store.remove_if(login)?;
            return Err(Error::NotSignedIn("the service has ended the login".into()));
        }
        429 | 500..=599 => return Err(response.into_error().into()),
        _ => None,
    };
    let granted = granted
        .ok_or_else(|| unreachable_now(&format!("the answer ({}) was not the service's", response.status)))?;
    let login = Login::granted(granted, Some(login));
    match prepared.commit(&login) {
        Ok(warning) => warning.as_deref().into_iter().for_each(warn),
        // The old refresh token is spent: what came for it serves this run at least.
        Err(error) => {
            warn(&format!("the renewed login could not be saved ({error}); sign in again: kallyai --login"));
        }
    }
    Ok(login.access_token)
}

fn is_definite_refusal(response: &Response) -> bool {
    Refusal::parse(response.status, &response.body).is_some_and(|refusal| refusal.is_definite())
}

async fn ask(http: &Http, refresh_token: &Secret, deadline: Instant) -> Result<Response> {
    let json = serde_json::json!({ "refresh_token": refresh_token.expose() }).to_string().into_bytes();
    let mut attempt = 0;
    loop {
        let request = Request {
            method: Method::POST,
            url: http.base().route(&["v1", "auth", "refresh"]),
            bearer: None,
            key: None,
            body: Some(JsonBody { json: json.clone(), secret: true }),
        };
        let outcome = http.send(request, deadline).await;
        let wait = backoff(attempt);
        attempt += 1;
        match outcome {
            Err(SendError::NeverSent { retryable: true, .. })
                if attempt < CONNECTS && Instant::now() + wait < deadline =>
            {
                tokio::time::sleep(wait).await;
            }
            Err(SendError::Setup(invalid)) => return Err(invalid.into()),
            Err(error) => return Err(unreachable_now(&error.to_string())),
            Ok(response) => return Ok(response),
        }
    }
}

fn read(response: &Response) -> Option<TokenResponse> {
    let renewed: RefreshResponse = api::object(&response.body)?;
    let refresh_token = match renewed.refresh_token.filter(|token| !token.is_empty()) {
        Some(token) => Some(Secret::parse(&token)?),
        None => None,
    };
    Some(TokenResponse {
        access_token: Secret::parse(&renewed.access_token)?,
        refresh_token,
        expires_in: renewed.expires_in,
    })
}
