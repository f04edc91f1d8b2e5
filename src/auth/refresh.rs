//! Renewing the login: once across all processes, saved before it is used, and ended only by a definite refusal.
//!
//! A refresh token can be spent once. The exchange and the save are therefore the work of a helper process, which
//! nothing that ends the command cuts off; the command only waits for it.

use std::rc::Rc;
use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::error::{Error, Result};
use super::login_file::Login;
use super::redirect::TokenResponse;
use super::store::Store;
use crate::api::{self, Http, JsonBody, Refusal, Request, Response, SendError, Trace, backoff};
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
    /// Whether the command shows what is sent and received.
    pub trace: bool,
}

/// What the helper says.
#[derive(Serialize, Deserialize)]
enum Report {
    /// The user should know this.
    Warning(String),
    /// Sent or received, without its secrets.
    Trace(String),
    /// A token that works.
    Token(String),
    /// There is none.
    Failed(Error),
}

/// How often a connection is tried; none of these tries spends the refresh token.
const CONNECTS: u32 = 3;
/// How long a renewal may take, with waiting for the lock.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long of that the lock is waited for: what is left is the exchange's, which must not be cut off.
const LOCK_TIMEOUT: Duration = Duration::from_secs(15);
/// How long another client, which knows no lock, may take to save what it got for the same refresh token.
const OTHER_CLIENTS_SAVE: Duration = Duration::from_secs(1);
/// How often a login that another client has just saved is renewed in turn.
const TURNS: u32 = 3;

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
    store.adopt_left_over(&lock)?;
    if let Some(token) = still_good(&load(store)?, rejected)? {
        return Ok(token);
    }
    drop(lock);
    let job = Job {
        api: api.map(str::to_owned),
        token_file: store.absolute_path(),
        rejected: rejected.map(|token| token.expose().to_owned()),
        trace: http.trace().is_some(),
    };
    let Ok(mut helper) = helper::start(JOB, &job) else {
        // Where no process can be started, this one does it, and is not cut off by the command's time either.
        return renew(store, http, rejected, warn).await;
    };
    loop {
        match tokio::time::timeout_at(deadline, helper.report::<Report>()).await {
            Ok(Some(Report::Warning(text))) => warn(&text),
            Ok(Some(Report::Trace(line))) => {
                http.trace().into_iter().for_each(|trace| trace(&line));
            }
            Ok(Some(Report::Token(token))) => {
                // What came with it is read, and so kept out of the output too.
                let _ = store.load();
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
    let warn = |text: &str| parent.report(&Report::Warning(text.to_owned()));
    parent.report(&match renew(store, http, rejected.as_ref(), &warn).await {
        Ok(token) => Report::Token(token.expose().to_owned()),
        Err(error) => Report::Failed(error),
    });
}

/// What shows a helper's requests and answers to the command.
pub fn trace_to(parent: &Parent) -> Trace {
    let parent = parent.clone();
    Rc::new(move |line| parent.report(&Report::Trace(line.to_owned())))
}

fn unreachable_now(why: &str) -> Error {
    api::Error::Unreachable(format!("the login could not be renewed: {why}")).into()
}

fn load(store: &Store) -> Result<Login> {
    store.load()?.ok_or_else(|| Error::NotSignedIn("the login has been removed".into()))
}

/// The saved token, if it need not be renewed.
fn still_good(login: &Login, rejected: Option<&Secret>) -> Result<Option<Secret>> {
    let is_good = !login.has_expired() && rejected != Some(&login.access_token);
    if !is_good && login.refresh_token.is_none() {
        return Err(Error::NotSignedIn(
            "the login has expired, and came without the means to renew it".into(),
        ));
    }
    Ok(is_good.then(|| login.access_token.clone()))
}

/// Renews the login under its lock, unless that is no longer needed.
async fn renew(store: &Store, http: &Http, rejected: Option<&Secret>, warn: &dyn Fn(&str)) -> Result<Secret> {
    let begun = Instant::now();
    let lock = store.lock(begun + LOCK_TIMEOUT).await?;
    store.adopt_left_over(&lock)?;
    for _ in 0..TURNS {
        let login = load(store)?;
        if let Some(token) = still_good(&login, rejected)? {
            return Ok(token);
        }
        let spent = exchange_refresh_token(store, http, &login, begun + RENEWAL_TIMEOUT, warn).await?;
        if let Some(token) = spent {
            return Ok(token);
        }
        // Refused: by then another client may have spent it, and saved what it got.
        if !replaced_meanwhile(store, &login).await? {
            store.remove_if(&login)?;
            break;
        }
    }
    Err(Error::NotSignedIn("the service has ended the login".into()))
}

/// Whether the file comes to hold another login, now or in a moment.
async fn replaced_meanwhile(store: &Store, login: &Login) -> Result<bool> {
    let late = Instant::now() + OTHER_CLIENTS_SAVE;
    loop {
        let is_other = matches!(store.load(), Ok(Some(now)) if !now.is_same(login));
        if is_other || Instant::now() >= late {
            return Ok(is_other);
        }
        tokio::time::sleep(OTHER_CLIENTS_SAVE / 20).await;
    }
}

/// Trades the refresh token for a new login, and saves that. `None`: the service refuses the refresh token for good.
async fn exchange_refresh_token(
    store: &Store,
    http: &Http,
    login: &Login,
    deadline: Instant,
    warn: &dyn Fn(&str),
) -> Result<Option<Secret>> {
    let Some(refresh_token) = &login.refresh_token else { return Ok(None) };
    let prepared = store.prepare()?;
    let response = ask(http, refresh_token, deadline).await?;
    let granted = match response.status {
        200..=299 => TokenResponse::parse(&response.body),
        400 | 401 | 403 if is_definite_refusal(&response) => return Ok(None),
        429 | 500..=599 => return Err(response.into_error().into()),
        _ => None,
    };
    let granted = granted
        .ok_or_else(|| unreachable_now(&format!("the answer ({}) was not the service's", response.status)))?;
    // Nothing comes between the answer and this: whatever ends the process here loses the login.
    let login = login.renewed(granted);
    match prepared.commit(&login) {
        Ok(warning) => warning.as_deref().into_iter().for_each(warn),
        // The old refresh token is spent: what came for it serves this run at least.
        Err(error) => {
            warn(&format!("the renewed login could not be saved ({error}); sign in again: kallyai --login"));
        }
    }
    Ok(Some(login.access_token))
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
        let failed = match http.send(request, deadline).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        let wait = backoff(attempt);
        attempt += 1;
        match failed {
            SendError::NeverSent { retryable: true, .. }
                if attempt < CONNECTS && Instant::now() + wait < deadline =>
            {
                tokio::time::sleep(wait).await;
            }
            SendError::Setup(invalid) => return Err(invalid.into()),
            error => return Err(unreachable_now(&error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(token: &str) -> Login {
        Login::parse(format!(r#"{{"access_token":"{token}"}}"#).as_bytes()).expect("a login")
    }

    #[tokio::test]
    async fn another_client_has_a_moment_to_save_what_it_got() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path().join("login.json"), crate::domain::ApiBase::PRODUCTION.into());
        store.save(&login("old")).expect("a login");
        let old = login("old");
        let mut waiting = std::pin::pin!(replaced_meanwhile(&store, &old));
        assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "it may come yet");
        store.save(&login("new")).expect("a login");
        let replaced = tokio::time::timeout(2 * OTHER_CLIENTS_SAVE, waiting).await.expect("it is seen soon");
        assert!(replaced.expect("a login"));
    }
}
