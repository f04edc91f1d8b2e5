//! The operations that the command line and the MCP server share. They print nothing.

mod account;
mod connection;
mod draft;
mod emulator;
mod helpers;
mod history;
mod place;
mod prepare;
mod read;
mod resume;

pub use crate::auth::PENDING_LIFETIME;
pub use crate::call::{Entry as PendingCall, Progress, State, Until};
pub use draft::{CallDraft, Warning};
pub use emulator::ServedSandbox;
pub use helpers::run as run_helper;
pub use history::{History, HistoryQuery};
pub use place::{Ended, Follow, Outcome};
pub use prepare::{PlaceOptions, Plan, Preview};

use std::time::Duration;

use tokio::time::Instant;

use crate::api::Trace;
use crate::domain::{Language, Zone};
use crate::settings::Settings;

/// Receives messages for the user while an operation runs.
pub trait Notices {
    /// Shows a warning. `code` identifies the warning to programs, so it never changes.
    fn warn(&self, code: &'static str, text: &str);
    /// Shows a line that the user should act on, such as the sign-in URL.
    fn tell(&self, text: &str);
}

/// The global flags that operations use.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The time limit, in seconds.
    pub timeout: Option<u64>,
    pub callback_port: u16,
    pub may_open_browser: bool,
    /// Whether a user is present and can be asked to sign in.
    pub is_interactive: bool,
    pub language: Option<Language>,
    pub timezone: Option<Zone>,
}

/// Runs the program's operations for one command or one MCP request.
pub struct Service<'a> {
    pub settings: Settings,
    pub options: Options,
    pub notices: &'a dyn Notices,
    trace: Option<Trace>,
}

/// The default time limit of every operation except calls and sign-ins.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

impl<'a> Service<'a> {
    pub fn new(
        settings: Settings,
        options: Options,
        notices: &'a dyn Notices,
        trace: Option<Trace>,
    ) -> Self {
        Self {
            settings,
            options,
            notices,
            trace,
        }
    }

    /// Returns the time zone for displayed times, or UTC if `KALLYAI_TIMEZONE` is invalid.
    pub fn zone(&self) -> Zone {
        let zone = Settings::zone(self.options.timezone.clone());
        zone.map_or(Zone::UTC, |local| local.zone)
    }

    /// Returns the deadline for an operation that starts now. `--timeout` overrides `usual`.
    pub fn deadline(&self, usual: Duration) -> Instant {
        Instant::now() + self.options.timeout.map_or(usual, Duration::from_secs)
    }
}
