//! The operations of the product. Each returns a value or an error and prints nothing, so that every front end can offer
//! it: the command line, and programs.
//!
//! | module | operations |
//! |---|---|
//! | `draft`, `place`, `resume` | what is asked for, placing a call, learning how one ended |
//! | `read`, `raw` | the history, calls, the account; a request of the user's own making |
//! | `sign_in` | the login |
//! | `emulator` | the sandbox in place of the service |
//! | `background` | what helper processes do |

mod background;
mod connection;
mod draft;
mod emulator;
mod place;
mod raw;
mod read;
mod resume;
mod sign_in;

pub use background::run as run_helper;
pub use draft::complete;
pub use emulator::ServedSandbox;
pub use place::{Detachment, Placed, Placement, Preview, Warning};
pub use read::{HistoryEnd, HistoryPart, HistoryQuery};
pub use resume::PendingCall;
pub use sign_in::{AuthStatus, PendingSignIn, SignOut};

// What operations return, and whom they tell.
pub use crate::api::{
    BillingPortal, Call, Parsed, Response, Speaker, SubmissionEcho, Subscription, Trace, Transcript, Turn,
    Usage, meaning,
};
pub use crate::call::Observer;

use std::time::Duration;

use tokio::time::Instant;

use crate::auth::Opener;
use crate::domain::redact;
use crate::settings::Settings;

/// What a front end is told while an operation runs.
pub trait Notices {
    /// The user should know this. `code` is stable, for programs.
    fn warn(&self, code: &'static str, text: &str);
    /// The user is to do this.
    fn tell(&self, text: &str);
}

/// How operations are carried out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How long an operation may take, in seconds, instead of its usual time.
    pub timeout: Option<u64>,
    /// The port that a sign-in comes back to.
    pub callback_port: u16,
    /// Whether a browser may be opened.
    pub may_open_browser: bool,
    /// Whether somebody is there to sign in when that turns out to be needed.
    pub is_interactive: bool,
}

/// The product, for one front end.
pub struct Service<'a> {
    /// What the environment says.
    pub settings: Settings,
    options: Options,
    notices: &'a dyn Notices,
    /// Receives what is sent and received.
    trace: Option<Trace>,
    /// Whether a sign-in waits for its end.
    is_signing_in: std::cell::Cell<bool>,
}

/// How long a call may take, and its resumption.
const CALL_TIMEOUT: Duration = Duration::from_secs(600);
/// How long every other operation may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

impl<'a> Service<'a> {
    /// The product as the environment and a front end have it.
    pub fn new(settings: Settings, options: Options, notices: &'a dyn Notices, trace: Option<Trace>) -> Self {
        Self { settings, options, notices, trace, is_signing_in: std::cell::Cell::new(false) }
    }

    /// Whether a sign-in was begun and waits for its end, or was cut off.
    pub fn is_signing_in(&self) -> bool {
        self.is_signing_in.get()
    }

    /// Opens a web page where a browser may be opened. Returns whether one was started. Nothing but an https address is
    /// handed to the system, with its quotes and spaces encoded, which some openers take for a command's, and without the
    /// login, which all users of the computer would see.
    pub fn open_page(&self, url: &str) -> bool {
        let is_fit = |url: &url::Url| url.scheme() == "https" && redact(url.as_str()) == url.as_str();
        let page = url::Url::parse(url).ok().filter(is_fit);
        page.is_some_and(|page| Opener::new(!self.options.may_open_browser).open(page.as_str()))
    }

    /// When an operation that begins now gives up.
    fn deadline(&self, usual: Duration) -> Instant {
        Instant::now() + self.options.timeout.map_or(usual, Duration::from_secs)
    }
}
