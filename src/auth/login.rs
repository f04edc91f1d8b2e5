//! Signing in: through the browser in one step, or in two where the browser is on another computer.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::browser::Opener;
use super::callback::{CallbackReceived, Event, Receiver};
use super::error::{Error, Result};
use super::lock::{FIRST_PAUSE, LONGEST_PAUSE, Lock};
use super::login_file::Login;
use super::page::Page;
use super::prepared::PreparedWrite;
use super::redirect::{AuthResponse, InvalidCallback, OAuthState, TokenResponse, read_url};
use super::spare::Spare;
use super::stdin_lines::StdinLines;
use super::store::Store;
use super::two_step;
use crate::domain::ApiBase;

/// How long a person may take to sign in.
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(300);

/// So many wrong lines are complained about; whoever sends more is no person.
const MOST_PASTED: u32 = 100;

/// A renewal by another process may hold the login this long.
const LOCKED_FOR: Duration = Duration::from_secs(30);
/// A process that holds it longer than this is taken for one that has stopped, before anybody is asked to sign in.
const LOCKED_FOR_CHECK: Duration = Duration::from_secs(3);

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
        check(self.store, self.deadline).await?;
        if let Err(Error::WrongIssuer { found, .. }) = self.store.load() {
            (self.tell)(&format!("warning: this replaces the saved login, which is for {found}"));
        }
        let mut spare = Spare::keep();
        let state = OAuthState::generate();
        let (serving, mut events) = receiver.serve(state.clone());
        let url = sign_in_url(self.base, self.port, &state);
        // Before anybody has an address to sign in at: a paste must not find the echo still on.
        let mut paste = StdinLines::start();
        let mut wrong = 0;
        let mut is_other_user_told = false;
        self.print_instructions(&url);
        loop {
            tokio::select! {
                Some(event) = events.recv() => match event {
                    Event::Callback(arrival) => {
                        let outcome = self.receive(arrival, &mut spare).await;
                        serving.wait_for_page_fetch().await;
                        return outcome;
                    }
                    Event::OtherUser if is_other_user_told => {}
                    Event::OtherUser => {
                        is_other_user_told = true;
                        (self.tell)(
                            "A program of another user of this computer brought the sign-in back, and was refused. \
                             If that was your browser, paste here the address it ended at.",
                        );
                    }
                },
                line = paste.line(), if wrong < MOST_PASTED => match read_url(&line, &state) {
                    Ok(reply) => return self.conclude(reply, &mut spare).await,
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
        tell("To sign in with your Google or Apple account, open this address in a browser:");
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

    async fn conclude(&self, reply: AuthResponse, spare: &mut Spare) -> Result<Login> {
        let granted = granted(reply)?;
        let (_lock, mut prepared) = prepare(self.store, self.lock_by(), spare).await?;
        let login = complete(granted, self.store, &mut prepared);
        save(login, self.store, prepared, self.tell)
    }

    async fn receive(&self, arrival: CallbackReceived, spare: &mut Spare) -> Result<Login> {
        let outcome = self.conclude(arrival.reply, spare).await;
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
/// When its state cannot be kept, or the login could not be saved.
pub async fn start(
    base: &ApiBase,
    port: u16,
    store: &Store,
    folder: &Path,
    deadline: Instant,
) -> Result<Url> {
    check(store, deadline).await?;
    let state = OAuthState::generate();
    two_step::keep(folder, &state, store.issuer()).map_err(|e| {
        Error::SignInFailed(format!("the sign-in cannot be kept in {}: {e}", folder.display()))
    })?;
    Ok(sign_in_url(base, port, &state))
}

/// The second: the address the browser ended at. Another process may hold the login until `deadline`.
///
/// # Errors
/// When no sign-in was begun with this service, this is not where it leads, or the login cannot be saved.
pub async fn finish(
    pasted: &str,
    store: &Store,
    folder: &Path,
    deadline: Instant,
    tell: &dyn Fn(&str),
) -> Result<Login> {
    let Some(pending) = two_step::find(folder) else {
        return Err(Error::SignInFailed(
            "no sign-in is waiting to be finished: none was begun in the last ten minutes, or it was finished".into(),
        ));
    };
    if pending.issuer != store.issuer() {
        return Err(Error::SignInFailed(format!(
            "the last sign-in was begun with {}, and this command speaks to {}",
            pending.issuer,
            store.issuer()
        )));
    }
    let reply = read_url(pasted, &pending.state).map_err(|InvalidCallback| {
        Error::SignInFailed(
            "that is not the address the last sign-in leads to; if a part of it was left out, give all of it"
                .into(),
        )
    })?;
    match granted(reply) {
        Ok(granted) => {
            let (_lock, mut prepared) = prepare(store, deadline, &mut Spare::keep()).await?;
            let login = complete(granted, store, &mut prepared);
            use_up(folder)?;
            // Nothing comes between the two: whatever ends the process here loses the login.
            save(login, store, prepared, tell)
        }
        Err(declined) => {
            use_up(folder)?;
            Err(declined)
        }
    }
}

/// Makes sure that a begun sign-in is finished once.
fn use_up(folder: &Path) -> Result<()> {
    match two_step::forget(folder) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::SignInFailed("another process has just finished this sign-in".into())),
        Err(error) => Err(Error::SignInFailed(format!("the sign-in cannot be used only once: {error}"))),
    }
}

fn granted(reply: AuthResponse) -> Result<TokenResponse> {
    match reply {
        AuthResponse::Declined(why) => {
            let why: String = why
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '))
                .take(60)
                .collect();
            Err(Error::SignInFailed(format!("the sign-in was declined ({why})")))
        }
        AuthResponse::Granted(granted) => Ok(granted),
    }
}

/// Makes sure, before anybody signs in, that the login could be saved.
async fn check(store: &Store, deadline: Instant) -> Result<()> {
    let locked_by = deadline.min(Instant::now() + LOCKED_FOR_CHECK);
    prepare(store, locked_by, &mut Spare::keep()).await.map(drop)
}

/// The right to save the login, and room for it.
async fn prepare(store: &Store, lock_by: Instant, spare: &mut Spare) -> Result<(Lock, PreparedWrite)> {
    let mut pause = FIRST_PAUSE;
    loop {
        spare.release();
        store.may_be_replaced()?;
        match store.try_lock() {
            // Nothing else runs until it is saved, and can take the descriptors.
            Ok(lock) => {
                // What a killed renewal left is the only copy of a login, and what is prepared takes its place.
                store.adopt_left_over(&lock)?;
                return Ok((lock, store.prepare()?));
            }
            // Trying the same again would be no help: what was granted is lost.
            Err(busy @ Error::Busy) if Instant::now() + pause >= lock_by => {
                return Err(store.unsaved(&busy.to_string()));
            }
            Err(Error::Busy) => {}
            Err(error) => return Err(error),
        }
        spare.refill();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The login that was granted. Another client's members are worth keeping; a file nobody can read is what a sign-in
/// replaces.
fn complete(granted: TokenResponse, store: &Store, prepared: &mut PreparedWrite) -> Login {
    let mut login = Login::granted(granted, store.issuer());
    if let Some(before) = prepared.before.take() {
        login.keep_extra_fields(before);
    }
    login
}

fn save(login: Login, store: &Store, prepared: PreparedWrite, tell: &dyn Fn(&str)) -> Result<Login> {
    if let Some(warning) = prepared.commit(&login).map_err(|e| store.unsaved(&e.to_string()))? {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_sign_in_was_declined_is_said_in_plain_letters() {
        let declined = |why: &str| granted(AuthResponse::Declined(why.into())).err().map(|e| e.to_string());
        let why = declined("access_denied-2: \u{1b}[31m<b>no");
        assert_eq!(why.as_deref(), Some("the sign-in was declined (access_denied-2 31mbno)"));
        let long = declined(&"x".repeat(99));
        assert_eq!(long, Some(format!("the sign-in was declined ({})", "x".repeat(60))));
    }

    #[tokio::test]
    async fn a_sign_in_waits_a_moment_for_whoever_renews_the_login() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path().join("login.json"), ApiBase::PRODUCTION.into());
        let Ok(renewing) = store.try_lock() else { panic!("nobody has it") };
        let mut checking = std::pin::pin!(check(&store, Instant::now() + SIGN_IN_TIMEOUT));
        assert!(
            tokio::time::timeout(Duration::ZERO, &mut checking).await.is_err(),
            "it does not give up yet"
        );
        drop(renewing);
        assert!(checking.await.is_ok());
    }
}
