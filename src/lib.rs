//! `kallyai` has real phone calls made by the KallyAI service and reads what came of them.
//!
//! The way through is one direction: the command line becomes a `cli::Command` of values that are already checked;
//! `commands` carries it out with the `api` client, which asks `auth` for a token; what comes of it goes through
//! `output`, the only place that prints; the run ends in a documented exit status.
//!
//! | module | what it is |
//! |---|---|
//! | `cli` | the flags, declared once; a mistaken command line explained |
//! | `types` | values that cannot be wrong: numbers, IDs, dates, zones, secrets |
//! | `settings` | what the environment says of accounts, places and preferences |
//! | `commands` | one function a command, and how its result reads |
//! | `placement` | every rule about a stranger's phone, as a state machine without input or output |
//! | `journal` | calls requested and not yet answered |
//! | `api` | the HTTP API: one place that sends, what its answers mean |
//! | `auth` | the login: the file shared with other clients, its renewal, the sign-in |
//! | `output` | the only place that prints; all text is cleaned there |
//! | `error` | everything that can go wrong: sentence, code, hint, exit status |
//! | `files`, `signals` | files replaced whole; the signals that end a wait |
//! | `fuzzing` | the entrances of the fuzz targets, in their builds only |
//! | [`sandbox`] | an emulator of the service, which knows nothing of the rest |

mod api;
mod auth;
mod cli;
mod commands;
mod error;
mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod output;
mod placement;
pub mod sandbox;
mod settings;
mod signals;
mod types;

use std::ffi::OsString;
use std::process::ExitCode;

use cli::{Stop, wants_json};
use output::{Color, Output};
use settings::Settings;

/// Runs the program with a command line whose first element is the program's name, and returns its exit status.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    let json = wants_json(&argv);
    let (out, program, ended) = match cli::parse(argv) {
        Err(Stop::Show { plain, colored }) => {
            let out = Output::new(Color::Auto, false);
            let shown = out.page(if out.is_colored() { &colored } else { &plain }).map(|()| 0);
            (out, "kallyai", shown)
        }
        Err(Stop::Mistake(error)) => (Output::new(Color::Auto, json), "kallyai", Err(error)),
        Ok(invocation) => {
            let settings = Settings::new(invocation.options.sandbox);
            let out = Output::new(invocation.options.color, invocation.options.json);
            let context = commands::Context { out, settings, options: invocation.options };
            let ended = commands::run(&context, invocation.command);
            (context.out, settings.program(), ended)
        }
    };
    match ended.and_then(|status| out.finish().map(|()| status)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            out.fatal(&error, program);
            ExitCode::from(error.exit())
        }
    }
}
