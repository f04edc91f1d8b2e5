//! `kallyai` has real phone calls made by the KallyAI service and reads their results.
//!
//! The way through is one direction: a front end turns what it is asked into values that are already checked and calls
//! an operation of `service`; that uses `call`, `auth` and `api`, and returns a value or an error; the front end renders
//! it. Imports go down this table only.
//!
//! | module | what it is |
//! |---|---|
//! | `cli` | front end 1: the flags, declared once; how each value reads; exit statuses and hints |
//! | `mcp` | front end 2: a server of the Model Context Protocol; its tools and what they answer |
//! | `output` | the only place that prints for `cli`; all text is cleaned there, `mcp`'s too |
//! | `service` | the operations of the product, each returning a value |
//! | `call` | the life of one call: every rule about a stranger's phone, and the journal |
//! | `settings` | what the environment says of accounts, places and preferences |
//! | `error` | everything that can go wrong: kind, sentence, code, exit status, what comes next |
//! | `auth` | the login: the file shared with other clients, its renewal, the sign-in |
//! | `api` | the HTTP API: one place that sends, what its answers mean |
//! | `helper` | work that must not end with the command, in a process of its own |
//! | `files`, `signals`, `core_files` | private files replaced whole; the signals that end a wait; no core files |
//! | `domain` | values that cannot be wrong: numbers, IDs, dates, zones, secrets, requests |
//! | `fuzzing` | the entrances of the fuzz targets, in their builds only |
//! | [`sandbox`] | an emulator of the service, which knows nothing of the rest |

mod api;
mod auth;
mod call;
mod cli;
mod core_files;
mod domain;
mod error;
mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod helper;
mod mcp;
mod output;
pub mod sandbox;
mod service;
mod settings;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with a command line whose first element is the program's name, and returns its exit status.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    core_files::forbid();
    let argv: Vec<OsString> = argv.into_iter().collect();
    match helper::job_of(&argv) {
        Some(kind) => service::run_helper(kind),
        None => cli::run(argv),
    }
}
