//! Signing in: through the browser in one step, or in two where the browser is on another computer.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::browser::Opener;
use super::callback::{CallbackReceived, Receiver};
use super::error::{Error, Result};
use super::page::Page;
use super::redirect::{AuthResponse, InvalidCallback, OAuthState, TokenResponse, read_url};
use super::stdin_lines::StdinLines;
use super::store::{Login, Store};
use super::two_step;
use crate::domain::ApiBase;

/// How long a person may take to sign in.
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(300);

/// So many wrong lines are complained about; whoever sends more is no person.
const MOST_PASTED: u32 = 100;

/// A renewal by another process may hold the login this long.
const LOCKED_FOR: Duration = Duration::from_secs(30);

/// A sign-in in one step.
pub struct SignIn<'a> {
    /// The service to sign in to.
    pub base: &'a ApiBase,
    /// Where the login is kept.
    pub store: &'a Store,
    /// The port of the callback.
    pub port: u16,
    /// What opens the page.
    pub opener: &'a Opener,
    /// By when.
    pub deadline: Instant,
    /// Tells the person something, on stderr.
    pub tell: &'a dyn Fn(&str),
}

impl SignIn<'_> {
    /// Opens the sign-in page, waits for the redirect or its pasted URL, and saves the login.
    ///
    /// # Errors
    /// When the port is not to be had, the sign-in is declined, the time is up, or the login cannot be saved.
    pub async fn run(&self) -> Result<Login> {
        let receiver = Receiver::bind(self.port).await?;
        let state = OAuthState::generate();
        let (serving, mut arrivals) = receiver.serve(state.clone());
        let url = sign_in_url(self.base, self.port, &state);
        // Before anybody has an address to sign in at: a paste must not find the echo still on.
        let mut paste = StdinLines::start();
        let mut wrong = 0;
        self.print_instructions(&url);
        loop {
            tokio::select! {
                Some(arrival) = arrivals.recv() => {
                    let outcome = self.receive(arrival).await;
                    serving.wait_for_page_fetch().await;
                    return outcome;
                }
                line = paste.line(), if wrong < MOST_PASTED => match read_url(&line, &state) {
                    Ok(reply) => return conclude(reply, self.store, self.lock_by(), self.tell).await,
                    Err(InvalidCallback) => {
                        wrong += 1;
                        (self.tell)("That is not the address this sign-in leads to. Still waiting.");
                    }
                },
                () = tokio::time::sleep_until(self.deadline) => {
                    return Err(Error::SignInFailed("nobody signed in in time".into()));
                }
            }
        }
    }

    fn lock_by(&self) -> Instant {
        self.deadline.min(Instant::now() + LOCKED_FOR)
    }

    fn print_instructions(&self, url: &Url) {
        let tell = self.tell;
        tell("To sign in, open this address in a browser:");
        tell("");
        tell(&format!("  {url}"));
        tell("");
        if self.opener.open(url.as_str()) {
            tell("A browser is being opened. Waiting for the sign-in; Ctrl-C ends it.");
        } else {
            let port = self.port;
            tell(
                "No browser is opened here. If yours is on another computer, first forward the port from there:",
            );
            tell("");
            tell(&format!("  ssh -L {port}:localhost:{port} THIS-COMPUTER"));
            tell("");
            tell("or paste here the address it ends at. Waiting for the sign-in; Ctrl-C ends it.");
        }
    }

    async fn receive(&self, arrival: CallbackReceived) -> Result<Login> {
        let outcome = conclude(arrival.reply, self.store, self.lock_by(), self.tell).await;
        let page = match &outcome {
            Ok(_) => Page::SignedIn,
            Err(Error::SignInFailed(_)) => Page::Declined,
            Err(_) => Page::NotSaved,
        };
        // A browser that has gone needs no page.
        let _ = arrival.show.send(page);
        outcome
    }
}

/// The first of two steps: the address to open, on whatever computer has a browser.
///
/// # Errors
/// When its state cannot be kept.
pub fn start(base: &ApiBase, port: u16, folder: &Path) -> Result<Url> {
    let state = OAuthState::generate();
    two_step::keep(folder, &state).map_err(|e| {
        Error::SignInFailed(format!("the sign-in cannot be kept in {}: {e}", folder.display()))
    })?;
    Ok(sign_in_url(base, port, &state))
}

/// The second: the address the browser ended at. Another process may hold the login until `deadline`.
///
/// # Errors
/// When no sign-in was begun, this is not where it leads, or the login cannot be saved.
pub async fn finish(
    pasted: &str,
    store: &Store,
    folder: &Path,
    deadline: Instant,
    tell: &dyn Fn(&str),
) -> Result<Login> {
    let Some(state) = two_step::find(folder) else {
        return Err(Error::SignInFailed(
            "no sign-in is waiting to be finished: none was begun in the last ten minutes, or it was finished".into(),
        ));
    };
    let reply = read_url(pasted, &state).map_err(|InvalidCallback| {
        Error::SignInFailed("that is not the address the last sign-in leads to".into())
    })?;
    let mine = two_step::forget(folder)
        .map_err(|e| Error::SignInFailed(format!("the sign-in cannot be used only once: {e}")))?;
    if !mine {
        return Err(Error::SignInFailed("another process has just finished this sign-in".into()));
    }
    conclude(reply, store, deadline, tell).await
}

async fn conclude(
    reply: AuthResponse,
    store: &Store,
    lock_by: Instant,
    tell: &dyn Fn(&str),
) -> Result<Login> {
    match reply {
        AuthResponse::Declined(why) => {
            let why: String = why
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '))
                .take(60)
                .collect();
            Err(Error::SignInFailed(format!("the sign-in was declined ({why})")))
        }
        AuthResponse::Granted(granted) => save(granted, store, lock_by, tell).await,
    }
}

async fn save(granted: TokenResponse, store: &Store, lock_by: Instant, tell: &dyn Fn(&str)) -> Result<Login> {
    store.make_folder()?;
    let _lock = store.lock(lock_by).await.map_err(|error| match error {
        // Trying the same again is no help here: what was granted is lost.
        busy @ Error::Busy => store.unsaved(&busy.to_string()),
        other => other,
    })?;
    // Another client's members are worth keeping; a file nobody can read is what a sign-in replaces.
    let mut login = Login::granted(granted, None);
    if let Ok(Some(before)) = store.load() {
        login.keep_extra_fields(before);
    }
    if let Some(warning) = store.save(&login)? {
        tell(&format!("warning: {warning}"));
    }
    Ok(login)
}

fn sign_in_url(base: &ApiBase, port: u16, state: &OAuthState) -> Url {
    let mut url = base.route(&["v1", "auth", "cli"]);
    url.query_pairs_mut()
        .append_pair("redirect_uri", &format!("http://localhost:{port}/callback"))
        .append_pair("state", state.expose());
    url
}
