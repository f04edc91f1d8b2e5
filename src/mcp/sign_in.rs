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

/// The sign-in in progress, if any: its URL and the task that waits for the redirect.
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
            return Ok(url_view(&url));
        }
        match service.listen_for_sign_in().await {
            Ok((url, listener)) => {
                let view = url_view(url.as_str());
                self.0.replace(Some((url.into(), spawn_local(listener))));
                Ok(view)
            }
            // Without a listener, the user can still paste the URL.
            Err(error) if error.kind == Kind::PortInUse => {
                Ok(url_view(service.begin_sign_in().await?.as_str()))
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

    /// Returns the URL of the sign-in in progress, if there is one.
    pub fn url(&self) -> Option<String> {
        let progress = self.0.borrow();
        let waiting = progress.as_ref().filter(|(_, task)| !task.is_finished());
        waiting.map(|(url, _)| url.clone())
    }
}

/// Returns whether stored credentials exist. `KALLYAI_ACCESS_TOKEN` does not count.
async fn is_signed_in(service: &Service<'_>) -> bool {
    let status = service.auth_status().await;
    matches!(status, Ok(Some(_)))
}

/// Shows the sign-in URL, with instructions for the model.
fn url_view(url: &str) -> View {
    const INSTRUCTIONS: &str = "Give the URL to the user, who has 10 minutes to sign in. Then call \
        auth_status. If the user's browser ends up on a page that does not load, ask for the whole \
        URL of that page and call sign_in with it as callback_url.";

    let json = json!({ "signed_in": false, "sign_in_url": url, "instructions": INSTRUCTIONS });
    let blocks = vec![Block::Copy(url.into()), Block::Line(INSTRUCTIONS.into())];
    View::own(json, blocks)
}

fn signed_in(text: &str) -> View {
    View::own(json!({ "signed_in": true }), vec![Block::Line(text.into())])
}
