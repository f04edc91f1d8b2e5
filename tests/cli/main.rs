//! The real binary, in an environment of its own, against the sandbox or against a server that misbehaves on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

mod account;
mod api;
mod completions;
mod dates;
mod defaults;
mod detaching;
mod echoed_secrets;
mod errors;
mod fixtures;
#[cfg(unix)]
mod forged_lines;
mod guards;
mod hints;
mod history;
mod input;
mod issuers;
mod journal;
mod languages;
#[cfg(unix)]
mod login_file;
mod login_races;
mod look_ups;
mod lost_answers;
mod machine_readable;
mod mcp;
mod mcp_sign_in;
mod not_taken;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(unix)]
mod picture;
mod placing;
mod production;
#[cfg(unix)]
mod readme;
#[cfg(unix)]
mod renewals;
mod resuming;
mod sandbox;
mod sandbox_server;
#[cfg(target_os = "linux")]
mod scarcity;
mod sequences;
#[cfg(unix)]
mod side_by_side;
mod sign_in;
#[cfg(unix)]
mod sign_in_checks;
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
