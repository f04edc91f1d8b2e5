//! `kallyai` makes phone calls through the KallyAI service and reads their results.
//!
//! A front end parses its input into values that cannot be wrong and calls an operation of
//! `service`, which uses `call`, `auth` and `api` and returns a value. `view` makes a document of the
//! value, and the front end shows it. Imports go down this table only.
//!
//! | module | what it is |
//! |---|---|
//! | `cli` | front end 1: commands and flags, exit statuses |
//! | `mcp` | front end 2: a Model Context Protocol server |
//! | `output` | the one place that prints |
//! | `view` | each value as a document and as JSON |
//! | `service` | the operations of the product |
//! | `call` | the life of one call, and the local call log: why a call is never sent twice |
//! | `auth` | the credentials: storing, refreshing, signing in |
//! | `api` | the HTTP API: the one place that sends |
//! | `settings` | the environment |
//! | `error` | everything that can go wrong, one table row per kind |
//! | `helper`, `files`, `signals` | processes that outlive the command, private files, Ctrl-C |
//! | `domain` | values that cannot be wrong: numbers, dates, zones, IDs, keys |
//! | [`sandbox`] | an emulator of the service, which imports nothing of the rest |

mod api;
mod auth;
mod call;
mod cli;
mod domain;
mod error;
mod files;
mod helper;
mod mcp;
mod output;
pub mod sandbox;
mod service;
mod settings;
mod signals;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with a command line, the program's name first, and returns its exit status.
///
/// # Errors
///
/// If this process was started to do a job in the background and could not begin.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> std::io::Result<ExitCode> {
    #[cfg(windows)]
    helper::keep_standard_handles();
    let argv: Vec<OsString> = argv.into_iter().collect();
    match helper::job_kind(&argv) {
        Some(kind) => service::run_helper(kind).map(|()| ExitCode::SUCCESS),
        None => Ok(cli::run(argv)),
    }
}
