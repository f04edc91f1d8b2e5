//! `kallyai` makes phone calls through the KallyAI service and gets their results.
//!
//! A front end parses its input into validated types and calls an operation in `service`, which
//! uses `call`, `auth` and `api` and returns a value. `view` turns the value into text and JSON,
//! and the front end prints it. A module imports only from modules further down in this table.
//!
//! | module | purpose |
//! |---|---|
//! | `cli` | front end: the command line, with its flags and exit statuses |
//! | `mcp` | front end: a Model Context Protocol server |
//! | `output` | terminal output: the only module that prints results and messages |
//! | `view` | results as text and as JSON |
//! | `service` | the operations that the front ends call |
//! | `call` | making a call at most once, following it, and the local call log |
//! | `auth` | credentials: sign-in, storage, refresh |
//! | `api` | the HTTP API: the only module that sends requests |
//! | `settings` | environment variables |
//! | `error` | the error type, and the code, exit status and hint for each kind of error |
//! | `helper`, `files`, `signals` | processes that outlive the command, private files, signals |
//! | `domain` | validated types: phone numbers, dates, time zones, IDs, keys |
//! | [`sandbox`] | an emulator of the service, which imports no other module |

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

/// Runs the program and returns its exit status. `argv` starts with the program's name.
///
/// # Errors
///
/// Returns an error if this process is a helper that could not start its job.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> std::io::Result<ExitCode> {
    #[cfg(windows)]
    helper::stop_handle_inheritance();
    let argv: Vec<OsString> = argv.into_iter().collect();
    match helper::job_kind(&argv) {
        Some(kind) => service::run_helper(kind).map(|()| ExitCode::SUCCESS),
        None => Ok(cli::run(argv)),
    }
}
