//! The real binary, in an environment of its own, against the sandbox or against a server that misbehaves on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

mod support;

mod account;
mod api;
mod completions;
#[cfg(unix)]
mod credentials;
mod crowd;
mod dates;
mod detaching;
#[cfg(target_os = "linux")]
mod early_stops;
mod errors;
mod fixtures;
#[cfg(unix)]
mod guards;
mod hints;
mod history;
mod input;
mod journal;
#[cfg(target_os = "linux")]
mod kills;
mod kinds;
mod lost_responses;
mod mcp;
mod mcp_sign_in;
mod network;
mod not_accepted;
mod placing;
mod production;
#[cfg(unix)]
mod readme;
mod refresh;
mod repeats;
mod responses;
mod resuming;
mod sandbox;
mod sandbox_server;
#[cfg(target_os = "linux")]
mod scarcity;
#[cfg(unix)]
mod sign_in;
mod sign_in_steps;
#[cfg(unix)]
mod sign_in_terminal;
#[cfg(unix)]
mod signals;
mod skill;
#[cfg(unix)]
mod snapshots;
mod texts;
mod tokens;
mod wire;
