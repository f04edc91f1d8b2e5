//! Runs the program in an isolated environment, against the sandbox or a simulated server that can
//! fail in many ways.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]
// Many tests run only on Linux. Elsewhere, their helpers are unused.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

mod support;

mod account;
mod api;
mod completions;
mod concurrency;
#[cfg(unix)]
mod credentials;
mod dates;
mod detaching;
#[cfg(target_os = "linux")]
mod early_stops;
mod errors;
mod fixtures;
#[cfg(unix)]
mod guards;
mod history;
mod input;
mod journal;
#[cfg(target_os = "linux")]
mod kills;
mod lost_responses;
mod mcp;
mod mcp_sign_in;
mod network;
#[cfg(target_os = "linux")]
mod no_helper;
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
