//! Signs the user in. A listener on the loopback port receives the redirect, so the URL with the
//! tokens does not have to pass through the model.

use std::cell::RefCell;

use serde_json::json;
use tokio::task::{JoinHandle, spawn_local};

use crate::error::{Kind, Result};
use crate::service::Service;
use crate::view::{Block, View};

const ALREADY: &str =
    "Already signed in. To sign in as another user, run kallyai logout in a terminal first.";

/// Instructions for the model while a listener waits for the redirect.
const WAITING: &str = "Give the URL to the user, who has 10 minutes to sign in. Then call \
    auth_status. If the user's browser ends up on a page that does not load, ask for the whole URL \
    of that page, and pass it to sign_in as callback_url.";
/// Instructions for the model if there is no listener.
const PORT_IN_USE: &str = "Give the URL to the user. Another program uses the local port, so the \
    browser will end up on a page that does not load. Ask for the whole URL of that page, and pass \
    it to sign_in as callback_url to complete the sign-in.";

/// The sign-in that is in progress, if any: its URL and the task that waits for the redirect.
#[derive(Default)]
pub struct SignInProgress(RefCell<Option<(String, JoinHandle<Result<()>>)>>);

impl SignInProgress {
    /// Starts a sign-in. If one is in progress, returns its URL again, because the user may have
    /// the page open.
    pub async fn begin(&self, service: &Service<'_>) -> Result<View> {
        if service.settings.sandbox {
            service.sign_in().await?;
            return Ok(signed_in("Signed in."));
        }
        if is_signed_in(service).await {
            return Ok(signed_in(ALREADY));
        }
        if let Some(url) = self.url() {
            return Ok(url_view(&url, WAITING));
        }
        match service.listen_for_sign_in().await {
            Ok((url, listener)) => {
                let view = url_view(url.as_str(), WAITING);
                self.0.replace(Some((url.into(), spawn_local(listener))));
                Ok(view)
            }
            // Without a listener, the user can still paste the URL that the browser ended up on.
            Err(error) if error.kind == Kind::PortInUse => {
                let url = service.begin_sign_in().await?;
                Ok(url_view(url.as_str(), PORT_IN_USE))
            }
            Err(error) => Err(error),
        }
    }

    /// Finishes a sign-in with the URL that the browser ended up on.
    pub async fn finish(&self, service: &Service<'_>, url: &str) -> Result<View> {
        match service.finish_sign_in(url).await {
            // The listener has already used the same URL to sign the user in.
            Err(error) if error.kind == Kind::SignInFailed && is_signed_in(service).await => {
                return Ok(signed_in(ALREADY));
            }
            finished => finished?,
        }
        if let Some((_, task)) = self.0.take() {
            task.abort();
        }
        Ok(signed_in("Signed in."))
    }

    /// Returns the URL of the sign-in that is in progress, if any.
    pub fn url(&self) -> Option<String> {
        let progress = self.0.borrow();
        let waiting = progress.as_ref().filter(|(_, task)| !task.is_finished());
        waiting.map(|(url, _)| url.clone())
    }
}

/// Returns whether credentials are stored. Ignores `KALLYAI_ACCESS_TOKEN`.
async fn is_signed_in(service: &Service<'_>) -> bool {
    let status = service.auth_status().await;
    matches!(status, Ok(Some(_)))
}

fn url_view(url: &str, instructions: &str) -> View {
    let json = json!({ "signed_in": false, "sign_in_url": url, "instructions": instructions });
    let blocks = vec![Block::Copy(url.into()), Block::Line(instructions.into())];
    View::own(json, blocks)
}

fn signed_in(text: &str) -> View {
    View::own(json!({ "signed_in": true }), vec![Block::Line(text.into())])
}
