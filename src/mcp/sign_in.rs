//! Signs the user in. A listener on the loopback port receives the redirect, so the URL with the
//! tokens does not have to pass through the model.

use std::cell::RefCell;

use serde_json::json;
use tokio::task::{JoinHandle, spawn_local};

use crate::error::{Kind, Result};
use crate::service::{AuthStatus, Service};
use crate::view::{Block, View};

const ALREADY: &str =
    "Already signed in. To sign in as another user, run kallyai logout in a terminal first.";

/// The URL and the listener of the sign-in in progress, if there is one.
#[derive(Default)]
pub struct SignInProgress(RefCell<Option<(String, JoinHandle<Result<()>>)>>);

impl SignInProgress {
    /// Starts a sign-in. If one is in progress, returns its URL again, because the user may have
    /// it open.
    pub async fn begin(&self, service: &Service<'_>) -> Result<View> {
        if service.settings.sandbox {
            service.sign_in().await?;
            return Ok(signed_in("Signed in."));
        }
        if let Some(url) = self.url() {
            return Ok(open(&url));
        }
        if is_signed_in(service).await {
            return Ok(signed_in(ALREADY));
        }
        match service.listen_for_sign_in().await {
            Ok((pending, listener)) => {
                let view = open(&pending.url);
                self.0.replace(Some((pending.url, spawn_local(listener))));
                Ok(view)
            }
            // Without a listener, the user can still paste the URL.
            Err(error) if error.kind == Kind::PortInUse => {
                Ok(open(&service.begin_sign_in().await?.url))
            }
            Err(error) => Err(error),
        }
    }

    /// Finishes a sign-in with the URL that the browser ended up on.
    pub async fn finish(&self, service: &Service<'_>, url: &str) -> Result<View> {
        match service.finish_sign_in(url).await {
            // The listener has already signed in with the same URL.
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

    /// Returns the URL of the sign-in in progress.
    pub fn url(&self) -> Option<String> {
        let progress = self.0.borrow();
        let waiting = progress.as_ref().filter(|(_, task)| !task.is_finished());
        waiting.map(|(url, _)| url.clone())
    }
}

/// Returns whether a sign-in has stored credentials.
async fn is_signed_in(service: &Service<'_>) -> bool {
    let status = service.auth_status().await;
    matches!(status, Ok(AuthStatus::SignedIn { .. }))
}

/// Shows the URL of a sign-in that the user has to finish.
fn open(url: &str) -> View {
    const INSTRUCTIONS: &str = "Give the URL to the user, who has 10 minutes to sign in. Then call \
        auth_status. If the user's browser ends at a page that does not load, ask for the whole \
        URL of that page and call sign_in with it as callback_url.";

    let json = json!({ "signed_in": false, "sign_in_url": url, "instructions": INSTRUCTIONS });
    let blocks = vec![Block::Copy(url.into()), Block::Line(INSTRUCTIONS.into())];
    View::own(json, blocks)
}

fn signed_in(text: &str) -> View {
    View::own(json!({ "signed_in": true }), vec![Block::Line(text.into())])
}
