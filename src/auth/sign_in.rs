//! Signs the user in through a browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use url::Url;

use super::callback::Receiver;
use super::open_browser;
use super::page::Page;
use super::paste::Lines;
use super::redirect::{OAuthState, Reply};
use super::two_step;
use super::{SaveWarning, Store};
use crate::domain::ApiBase;
use crate::error::{Error, Kind, Result};

/// How long to wait for the lock on the credentials after the user has signed in. Another process
/// may hold the lock for this long while it refreshes the credentials.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// A sign-in that waits in the terminal until the user has signed in through the browser.
pub struct SignIn<'a> {
    pub base: &'a ApiBase,
    pub store: &'a Store,
    pub port: u16,
    pub may_open_browser: bool,
    /// Whether the user may paste the redirect URL into the terminal.
    pub may_paste: bool,
    /// Prints a line of text for the user.
    pub tell: &'a dyn Fn(&str),
}

impl SignIn<'_> {
    pub async fn run(&self, by: Instant) -> Result<SaveWarning> {
        let state = OAuthState::generate();
        let mut receiver = Receiver::bind(self.port, state.clone()).await?;
        if let Some(warning) = self.store.check_saving()? {
            (self.tell)(&format!("warning: {warning}"));
        }
        // Turn off terminal echo before printing the URL, so that a pasted URL is never visible.
        let mut pasted = self.may_paste.then(Lines::read);
        self.print_instructions(&sign_in_url(self.base, self.port, &state));
        let replied = timeout_at(by, async {
            tokio::select! {
                (reply, browser) = receiver.redirect() => (reply, Some(browser)),
                reply = self.pasted_reply(pasted.as_mut(), &state) => (reply, None),
            }
        });
        let (reply, browser) = replied.await.map_err(|_| timed_out())?;
        let saved = save(reply, self.store).await;
        if let Some(browser) = browser {
            receiver.show(browser, page_of(&saved)).await;
        }
        saved
    }

    fn print_instructions(&self, url: &Url) {
        let (tell, port) = (self.tell, self.port);
        tell("To sign in with your Google or Apple account, open this URL in a browser:");
        tell("");
        tell(&format!("  {url}"));
        tell("");
        if self.may_open_browser && open_browser(url.as_str()) {
            return tell("Opening your browser… Waiting for you to sign in (Ctrl-C to cancel).");
        }
        tell("Waiting for you to sign in (Ctrl-C to cancel).");
        tell("Is your browser on another computer? Run this there first to forward the port:");
        tell("");
        tell(&format!("  ssh -L {port}:localhost:{port} USER@HOST"));
        if self.may_paste {
            tell("");
            tell("Or paste the URL from the browser's address bar here (it will not be shown):");
        }
    }

    /// Waits until the user pastes the redirect URL. Never returns if stdin ends before that.
    async fn pasted_reply(&self, lines: Option<&mut Lines>, state: &OAuthState) -> Reply {
        let Some(lines) = lines else {
            return std::future::pending().await;
        };
        while let Some(line) = lines.next().await {
            match Reply::parse_pasted(&line, state) {
                Ok(reply) => return reply,
                Err(_) => (self.tell)(&format!(
                    "That's not the right URL: it should start with http://localhost:{}/callback. \
                     Try again.",
                    self.port
                )),
            }
        }
        std::future::pending().await
    }
}

/// A sign-in that waits for the browser's redirect in the background. The user can also finish it
/// by pasting the redirect URL, as in a two-step sign-in.
pub struct BackgroundSignIn {
    pub url: Url,
    receiver: Receiver,
    state: OAuthState,
    store: Store,
    folder: PathBuf,
}

impl BackgroundSignIn {
    pub async fn begin(base: &ApiBase, port: u16, store: Store, folder: &Path) -> Result<Self> {
        let state = OAuthState::generate();
        let receiver = Receiver::bind(port, state.clone()).await?;
        store.check_saving()?;
        two_step::save_pending(folder, &state, store.issuer())?;
        Ok(Self {
            url: sign_in_url(base, port, &state),
            receiver,
            state,
            store,
            folder: folder.to_owned(),
        })
    }

    pub async fn run(mut self) -> Result<SaveWarning> {
        let by = Instant::now() + Duration::from_secs(two_step::PENDING_LIFETIME.unsigned_abs());
        let replied = timeout_at(by, self.receiver.redirect()).await;
        let (reply, browser) = replied.map_err(|_| timed_out())?;
        let used = two_step::consume_pending(&self.folder, self.store.issuer(), &self.state);
        if let Err(error) = used {
            self.receiver.show(browser, Page::OldLink).await;
            return Err(error);
        }
        let saved = save(reply, &self.store).await;
        self.receiver.show(browser, page_of(&saved)).await;
        saved
    }
}

async fn save(reply: Reply, store: &Store) -> Result<SaveWarning> {
    let grant = reply.into_grant()?;
    store.save_grant(grant, Instant::now() + LOCK_TIMEOUT).await
}

fn page_of(saved: &Result<SaveWarning>) -> Page {
    match saved {
        Ok(_) => Page::SignedIn,
        Err(error) if error.kind == Kind::SignInFailed => Page::Declined,
        Err(_) => Page::NotSaved,
    }
}

fn timed_out() -> Error {
    Error::new(Kind::SignInFailed, "the sign-in timed out")
}

pub fn sign_in_url(base: &ApiBase, port: u16, state: &OAuthState) -> Url {
    let mut url = base.route(&["v1", "auth", "cli"]);
    url.query_pairs_mut()
        .append_pair("redirect_uri", &format!("http://localhost:{port}/callback"))
        .append_pair("state", state.expose());
    url
}
