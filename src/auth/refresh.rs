//! Renewing the login: once across all processes, saved before it is used, and ended only by a definite refusal.

use reqwest::Method;
use serde::Deserialize;
use tokio::time::Instant;

use super::redirect::Granted;
use super::store::{Login, Store};
use crate::api::{Answer, ApiError, Failure, Http, Request, backoff};
use crate::error::{Error, Result};
use crate::signals::{GRACE, shielded};
use crate::types::Secret;

#[derive(Deserialize)]
struct Renewed {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
}

/// How often a connection is tried; none of these tries spends the refresh token.
const CONNECTS: u32 = 3;

/// A token that has not expired and is not `rejected`: the one another process obtained meanwhile, or a new one. `warn`
/// is told what the person should know.
///
/// # Errors
/// When there is no login, it has ended, or it could not be renewed now.
pub async fn renewed(
    store: &Store,
    http: &Http,
    rejected: Option<&Secret>,
    deadline: Instant,
    warn: &dyn Fn(&str),
) -> Result<Secret> {
    let _lock = store.lock(deadline).await?;
    let Some(login) = store.load()? else {
        return Err(Error::NotSignedIn("the login has been removed".into()));
    };
    if !login.has_expired() && rejected != Some(&login.access_token) {
        return Ok(login.access_token);
    }
    let Some(refresh_token) = &login.refresh_token else {
        return Err(Error::NotSignedIn(
            "the login has expired, and came without the means to renew it".into(),
        ));
    };
    shielded(spend(store, http, &login, refresh_token, deadline, warn)).await
}

/// Trades the refresh token for a new login, and saves that.
async fn spend(
    store: &Store,
    http: &Http,
    login: &Login,
    refresh_token: &Secret,
    deadline: Instant,
    warn: &dyn Fn(&str),
) -> Result<Secret> {
    let slot = store.prepare()?;
    let answer = ask(http, refresh_token, deadline + GRACE).await?;
    let granted = match answer.status {
        200..=299 => read(&answer),
        400 | 401 | 403 if ApiError::parse(answer.status, &answer.body).is_some() => {
            store.remove_if(login)?;
            return Err(Error::NotSignedIn("the service has ended the login".into()));
        }
        429 | 500..=599 => return Err(answer.into_error()),
        _ => None,
    };
    let granted = granted.ok_or_else(|| {
        Error::Unreachable(format!(
            "the login could not be renewed: the answer ({}) was not the service's",
            answer.status
        ))
    })?;
    let login = Login::granted(granted, Some(login));
    match slot.fill(&login) {
        Ok(warning) => warning.as_deref().into_iter().for_each(warn),
        // The old refresh token is spent: what came for it serves this run at least.
        Err(error) => {
            warn(&format!("the renewed login could not be saved ({error}); sign in again: kallyai --login"))
        }
    }
    Ok(login.access_token)
}

async fn ask(http: &Http, refresh_token: &Secret, deadline: Instant) -> Result<Answer> {
    let json = serde_json::json!({ "refresh_token": refresh_token.expose() }).to_string().into_bytes();
    let mut attempt = 0;
    loop {
        let request = Request {
            method: Method::POST,
            url: http.base().route(&["v1", "auth", "refresh"]),
            bearer: None,
            key: None,
            body: Some(crate::api::Body { json: json.clone(), secret: true }),
        };
        let outcome = http.send(request, deadline).await;
        let wait = backoff(attempt);
        attempt += 1;
        match outcome {
            Err(Failure::NeverSent { again: true, .. })
                if attempt < CONNECTS && Instant::now() + wait < deadline =>
            {
                tokio::time::sleep(wait).await;
            }
            Err(Failure::Unprepared(invalid)) => return Err(invalid.into()),
            Err(failure) => {
                return Err(Error::Unreachable(format!("the login could not be renewed: {failure}")));
            }
            Ok(answer) => return Ok(answer),
        }
    }
}

fn read(answer: &Answer) -> Option<Granted> {
    let renewed: Renewed = crate::api::object(&answer.body)?;
    let refresh_token = match renewed.refresh_token.filter(|token| !token.is_empty()) {
        Some(token) => Some(Secret::parse(&token)?),
        None => None,
    };
    Some(Granted {
        access_token: Secret::parse(&renewed.access_token)?,
        refresh_token,
        expires_in: renewed.expires_in,
    })
}
