//! The `kallyai` program: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kallyai::run(std::env::args_os())
}
