//! Signing in. A listener on the loopback port receives the redirect, so that the URL with the
//! tokens need not pass through the model.

use std::cell::RefCell;

use serde_json::json;
use tokio::task::{JoinHandle, spawn_local};

use crate::domain::Invalid;
use crate::error::{Kind, Result};
use crate::service::Service;
use crate::view::{Block, View};

/// The sign-in that is under way: its URL and listener.
#[derive(Default)]
pub struct SignInProgress(RefCell<Option<(String, JoinHandle<Result<()>>)>>);

impl SignInProgress {
    /// Begins a sign-in. One that is under way goes on: the user may have its URL open.
    pub async fn begin(&self, service: &Service<'_>) -> Result<View> {
        if service.settings.sandbox {
            service.sign_in().await?;
            return Ok(signed_in());
        }
        match &*self.0.borrow() {
            Some((url, task)) if !task.is_finished() => return Ok(open(url)),
            _ => {}
        }
        match service.listen_for_sign_in().await {
            Ok((pending, listener)) => {
                let view = open(&pending.url);
                self.0.replace(Some((pending.url, spawn_local(listener))));
                Ok(view)
            }
            // A pasted URL still works.
            Err(error) if error.kind == Kind::PortInUse => {
                Ok(open(&service.begin_sign_in().await?.url))
            }
            Err(error) => Err(error),
        }
    }

    /// Finishes a sign-in with the URL that the browser ended at.
    pub async fn finish(&self, service: &Service<'_>, url: &str) -> Result<View> {
        // The service would read stdin.
        if url.trim() == "-" {
            let hint = "ask the user for the whole URL that the browser ended at";
            return Err(Invalid::new("callback_url is not a URL", hint).into());
        }
        service.finish_sign_in(url).await?;
        if let Some((_, task)) = self.0.take() {
            task.abort();
        }
        Ok(signed_in())
    }
}

/// The view of a sign-in that the user has to finish.
fn open(url: &str) -> View {
    const INSTRUCTIONS: &str = "Give the URL to the user, who has 10 minutes to sign in. Then call \
        auth_status. If the user's browser ends at a page that does not load, ask for the whole \
        URL of that page and call sign_in with it as callback_url.";

    let json = json!({ "signed_in": false, "sign_in_url": url, "instructions": INSTRUCTIONS });
    let blocks = vec![Block::Copy(url.into()), Block::Line(INSTRUCTIONS.into())];
    View::own(json, blocks)
}

fn signed_in() -> View {
    let blocks = vec![Block::Line("Signed in.".into())];
    View::own(json!({ "signed_in": true }), blocks)
}
