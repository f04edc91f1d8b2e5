//! `--login`, `--logout`, `--auth-status`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout_at;

use super::{Connection, Context, DONE, READ_TIMEOUT};
use crate::api::Tokens as _;
use crate::auth::{self, PATIENCE, State, Store};
use crate::error::{Error, Result};
use crate::output::{Line, Tone};
use crate::sandbox;
use crate::types::Secret;

/// Signs in through the browser.
pub async fn login(context: &Context) -> Result<u8> {
    refuse_given_token(context)?;
    let connection = Connection::open(context)?;
    connection.sign_in(context, context.deadline(PATIENCE)).await?;
    signed_in(context)
}

/// The first of two steps: prints the address to open.
pub fn start(context: &Context) -> Result<u8> {
    refuse_given_token(context)?;
    if context.settings.sandbox {
        return Err(Error::SignInFailed(
            "the sandbox ends with this command, so its sign-in page would be gone".into(),
        ));
    }
    let url = auth::start(
        &context.settings.api()?,
        context.options.callback_port,
        &context.settings.state_folder()?,
    )?;
    let next = format!("{} --login --callback-url -", context.settings.program());
    if context.out.is_json() {
        context.out.object(&serde_json::json!({
            "sign_in_url": url.as_str(), "expires_in": auth::PENDING_FOR, "next_command": next,
        }))?;
        return Ok(DONE);
    }
    context.out.line(&Line::new().text(url.as_str()))?;
    context.tell("Open that address in any browser and sign in. It ends at an address that begins");
    context.tell("http://localhost, and that page need not load. Copy the address, then within 10 minutes:");
    context.tell("");
    context.tell(&format!("  {next}"));
    Ok(DONE)
}

/// The second: takes the address the browser ended at.
pub async fn finish(context: &Context, url: &Secret) -> Result<u8> {
    refuse_given_token(context)?;
    let pasted = if url.expose() == "-" { read_line(context).await? } else { url.expose().to_owned() };
    let store = Store::new(context.settings.token_file()?);
    // A login of another service needs a file of its own, here as everywhere.
    context.settings.api()?;
    let folder = context.settings.state_folder()?;
    auth::finish(&pasted, &store, &folder, context.deadline(READ_TIMEOUT), &|text| context.tell(text))
        .await?;
    signed_in(context)
}

async fn read_line(context: &Context) -> Result<String> {
    let mut paste = auth::Paste::start();
    let line = timeout_at(context.deadline(PATIENCE), paste.line_or_end()).await;
    line.ok().flatten().ok_or_else(|| Error::SignInFailed("no address came on stdin".into()))
}

fn refuse_given_token(context: &Context) -> Result<()> {
    match context.settings.access_token() {
        Ok(None) => Ok(()),
        _ => Err(Error::GivenToken(
            "KALLYAI_ACCESS_TOKEN is set, and would be used instead of a new login".into(),
        )),
    }
}

fn signed_in(context: &Context) -> Result<u8> {
    if context.out.is_json() {
        context.out.object(&serde_json::json!({ "signed_in": true }))?;
    } else {
        context.out.line(&Line::new().tone(Tone::Good, "Signed in."))?;
    }
    Ok(DONE)
}

/// How long another process may hold the login.
const LOCKED_FOR: Duration = Duration::from_secs(10);

/// Forgets the login and what was left by finished calls; open calls stay resumable. The sandbox forgets everything.
pub async fn logout(context: &Context) -> Result<u8> {
    let store = Store::new(context.settings.token_file()?);
    let lock = match store.lock(context.deadline(LOCKED_FOR)).await {
        // Whoever is renewing it would bring it back.
        Err(error @ Error::Unreachable(_)) => return Err(error),
        lock => lock,
    };
    let was_signed_in = store.remove()?;
    if let Ok(lock) = lock {
        store.remove_lock(lock);
    }
    // Without a state folder there is nothing in it to forget.
    if let Ok(folder) = context.settings.state_folder() {
        let journal = super::call::journal(context)?;
        let forgotten = auth::forget_pending(&folder).and_then(|_| {
            if context.settings.sandbox {
                journal.remove().and_then(|()| sandbox::forget(&folder))
            } else {
                journal.forget_settled()
            }
        });
        forgotten.map_err(|e| Error::io(format!("{} could not be cleared", folder.display()), e))?;
    }
    if context.out.is_json() {
        context.out.object(&serde_json::json!({ "signed_in": false, "was_signed_in": was_signed_in }))?;
    } else {
        let text = if was_signed_in { "Signed out." } else { "You were not signed in." };
        context.out.line(&Line::new().text(text))?;
    }
    Ok(DONE)
}

/// Says whether there is a login; sends something only to renew one that has expired.
pub async fn status(context: &Context) -> Result<u8> {
    let connection = Connection::open(context)?;
    let session = connection.session(context)?;
    let mut state = session.state()?;
    if state == State::Renewable {
        session.token(context.deadline(READ_TIMEOUT)).await?;
        state = session.state()?;
    }
    let (source, until): (_, Option<Timestamp>) = match state {
        State::Given => ("KALLYAI_ACCESS_TOKEN", None),
        State::Valid { until } => ("file", Some(until)),
        State::Expired | State::Renewable => return Err(Error::NotSignedIn("the login has expired".into())),
        State::Absent => return Err(Error::NotSignedIn("you are not signed in".into())),
    };
    if context.out.is_json() {
        let mut object = serde_json::json!({ "signed_in": true, "source": source });
        if let (Some(until), Some(members)) = (until, object.as_object_mut()) {
            members.insert("expires_at".into(), until.to_string().into());
        }
        context.out.object(&object)?;
        return Ok(DONE);
    }
    let detail = match until {
        Some(until) => {
            format!("; the login is renewed automatically after {}", context.clock().moment(until))
        }
        None => format!(" with {source}"),
    };
    context.out.line(&Line::new().tone(Tone::Good, "Signed in").text(&detail).text("."))?;
    Ok(DONE)
}
