//! The `kallyai` program, a thin wrapper around the library.

use std::process::ExitCode;

use anyhow::Context as _;

fn main() -> anyhow::Result<ExitCode> {
    kallyai::run(std::env::args_os()).context("couldn't start the background process")
}
