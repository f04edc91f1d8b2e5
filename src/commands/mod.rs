//! One function a command, of typed arguments and the run's context; how a result reads as text stands beside it.

mod account;
mod auth;
mod call;
mod calls;
mod emulator;
#[cfg(fuzzing)]
#[path = "../fuzzing/answers.rs"]
pub mod entrance;
mod errand;
mod history;
#[cfg(test)]
mod nonsense;
mod request;
mod show;
mod texts;

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{Client, Http};
use crate::auth::{Opener, PATIENCE, Session, SignIn, State, Store};
use crate::cli::{Command, LoginMode, Options};
use crate::error::{Error, Result};
use crate::output::{Clock, Line, Output, Tone};
use crate::sandbox::Sandbox;
use crate::settings::Settings;
use crate::signals::{Signals, survive_file_size_limit};
use crate::types::Zone;

/// What every command works with.
pub struct Context {
    /// Where results go.
    pub out: Output,
    /// What the environment says.
    pub settings: Settings,
    /// What the flags say that go with every command.
    pub options: Options,
}

/// How long a call may take, and its resumption.
const CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// How long every other command may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The exit status of a run that did what it was asked.
const DONE: u8 = 0;
/// With `--exit-status`: the call did not end in success.
const NO_SUCCESS: u8 = 7;

/// Carries out a command and returns the exit status.
///
/// # Errors
/// When it could not be carried out.
pub fn run(context: &Context, command: Command) -> Result<u8> {
    match command {
        Command::Completions(shell) => texts::completions(context, shell),
        Command::Man => texts::man(context),
        Command::Skill => texts::skill(context),
        Command::Call(call) if call.fields.dry_run => request::dry_run(context, *call),
        // These two have more to do about a signal than to end.
        Command::Call(call) => {
            // The task may come from stdin, which a signal must still be able to interrupt.
            let request = request::Request::new(context, *call)?;
            attend(context, async |signals| call::place(context, &request, signals).await)
        }
        Command::Resume(key) => {
            attend(context, async |signals| call::resume(context, key.as_ref(), signals).await)
        }
        Command::History(options) => interruptible(context, history::list(context, &options)),
        Command::CallInfo(call) => interruptible(context, calls::info(context, &call)),
        Command::Transcript(call) => interruptible(context, calls::transcript(context, &call)),
        Command::Calendar { call, output } => {
            interruptible(context, calls::calendar(context, &call, output.as_deref()))
        }
        Command::Usage => interruptible(context, account::usage(context)),
        Command::Subscription => interruptible(context, account::subscription(context)),
        Command::Billing => interruptible(context, account::billing(context)),
        Command::Login(LoginMode::Wait) => interruptible(context, auth::login(context)),
        Command::Login(LoginMode::Start) => interruptible(context, async { auth::start(context) }),
        Command::Login(LoginMode::Finish(url)) => interruptible(context, auth::finish(context, &url)),
        Command::Logout => interruptible(context, auth::logout(context)),
        Command::AuthStatus => interruptible(context, auth::status(context)),
        Command::ServeSandbox(address) => interruptible(context, emulator::serve(context, address)),
    }
}

/// Runs what a signal may end at any time.
fn interruptible(context: &Context, work: impl Future<Output = Result<u8>>) -> Result<u8> {
    // One runner for all of them, rather than a copy for each.
    let work: Pin<&mut dyn Future<Output = Result<u8>>> = pin!(work);
    attend(context, async |signals| {
        tokio::select! {
            ended = work => ended,
            signal = signals.next() => Err(Error::Interrupted { signal, key: None }),
        }
    })
}

/// Runs what waits, until it is done; signals no longer end the program by themselves.
fn attend(context: &Context, work: impl AsyncFnOnce(&mut Signals) -> Result<u8>) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::io("the program could not be set up", e))?;
    let work = pin!(async {
        let mut signals = Signals::listen().map_err(|e| Error::io("signals could not be listened for", e))?;
        survive_file_size_limit();
        if context.settings.sandbox {
            let line = Line::new()
                .tone(Tone::Strong, "sandbox:")
                .text(" no phone rings, nothing leaves this computer");
            context.out.note(&line);
        }
        work(&mut signals).await
    });
    let status = runtime.block_on(work as Pin<&mut dyn Future<Output = Result<u8>>>);
    // A look-up of a name, or a read of stdin, may never come back.
    runtime.shutdown_background();
    status
}

impl Context {
    /// When a command that begins now gives up.
    fn deadline(&self, usual: Duration) -> Instant {
        Instant::now() + self.options.timeout.map_or(usual, Duration::from_secs)
    }

    /// The clock by which times are shown; a zone nobody knows is UTC.
    fn clock(&self) -> Clock {
        Clock::new(self.settings.zone().ok().flatten().unwrap_or(Zone::UTC))
    }

    /// What opens pages.
    fn opener(&self) -> Opener {
        Opener::new(self.options.no_browser || self.options.no_input)
    }

    /// Tells the person something on stderr.
    fn tell(&self, text: &str) {
        self.out.note(&Line::new().text(text));
    }

    /// What becomes of a finished call under `--exit-status`.
    fn verdict(&self, success: bool) -> u8 {
        if self.options.exit_status && !success { NO_SUCCESS } else { DONE }
    }
}

/// The service, or the emulator in its place, and the login for it.
struct Connection {
    emulator: Option<Sandbox>,
    http: Http,
    store: Store,
}

impl Connection {
    fn open(context: &Context) -> Result<Self> {
        let trace: Option<crate::api::Trace> =
            context.options.debug.then(|| std::rc::Rc::new(context.out.tracer()) as crate::api::Trace);
        let store = Store::new(context.settings.token_file()?);
        let emulator = context.settings.sandbox.then(emulator::start).transpose()?;
        let base = match &emulator {
            Some(emulator) => emulator.url().parse()?,
            None => context.settings.api()?,
        };
        Ok(Self { emulator, http: Http::new(base, trace), store })
    }

    fn session<'a>(&'a self, context: &'a Context) -> Result<Session<'a>> {
        let given = context.settings.access_token()?;
        Ok(Session::new(given, self.store.clone(), &self.http, |text| context.out.warn(text)))
    }

    /// Sees to it that there is a login: the emulator hands one out, a person is asked to sign in, anybody else is told.
    async fn sign_in_if_absent(&self, context: &Context, session: &Session<'_>) -> Result<()> {
        let why = match session.state()? {
            State::Given | State::Valid { .. } | State::Renewable => return Ok(()),
            State::Expired => "the login has expired",
            State::Absent => "you are not signed in",
        };
        if let Some(emulator) = &self.emulator {
            return emulator::sign_in(emulator, &self.store).await;
        }
        if !Session::may_ask(context.options.no_input) {
            return Err(Error::NotSignedIn(why.into()));
        }
        self.sign_in(context, Instant::now() + PATIENCE).await
    }

    async fn sign_in(&self, context: &Context, deadline: Instant) -> Result<()> {
        let opener = context.opener();
        let sign_in = SignIn {
            base: self.http.base(),
            store: &self.store,
            port: context.options.callback_port,
            opener: &opener,
            deadline,
            tell: &|text| context.tell(text),
        };
        sign_in.run().await.map(|_| ())
    }
}

/// Does something as a signed-in user. The clock starts once somebody is signed in.
async fn signed_in<R>(
    context: &Context,
    timeout: Duration,
    work: impl AsyncFnOnce(&Client<'_, Session<'_>>) -> Result<R>,
) -> Result<R> {
    let connection = Connection::open(context)?;
    let session = connection.session(context)?;
    connection.sign_in_if_absent(context, &session).await?;
    work(&Client::new(&connection.http, &session, context.deadline(timeout))).await
}
