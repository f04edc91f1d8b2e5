//! Front end 1: the command line. Flags become one [`Command`] of values that are already checked; operations carry it
//! out; their values are rendered, and the run ends in a documented exit status.

mod args;
mod command;
mod console;
mod defaults;
mod dispatch;
mod hints;
pub mod render;
mod request;
mod texts;
mod usage_errors;
mod values;

use command::CallOptions;
pub use values::{TaskSource, text};

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory as _};

use crate::output::{Color, Output};
use crate::settings::Settings;
use args::Args;
use hints::Suggesting;
use usage_errors::{ParseOutcome, parse, wants_json};

/// Runs a command line whose first element is the program's name, and returns the exit status.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    let json = wants_json(&argv);
    let (out, program, ended) = match parse(argv) {
        Err(ParseOutcome::Show { plain, colored }) => {
            let out = Output::new(Color::Auto, false);
            let shown = out.raw_text(if out.is_colored() { &colored } else { &plain }).map(|()| 0);
            (out, "kallyai", shown)
        }
        Err(ParseOutcome::Mistake(error)) => (Output::new(Color::Auto, json), "kallyai", Err(error)),
        Ok(invocation) => {
            let settings = Settings::new(invocation.options.sandbox);
            let out = Output::new(invocation.options.color, invocation.options.json);
            let ended = dispatch::run(&out, settings, &invocation.options, invocation.command);
            (out, settings.program(), ended)
        }
    };
    match ended.and_then(|status| out.finish().map(|()| status)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            render::error(&out, &error, suggesting(&out, program));
            ExitCode::from(error.exit())
        }
    }
}

/// How commands are suggested to whoever reads these streams.
fn suggesting(out: &Output, program: &'static str) -> Suggesting {
    Suggesting { program, json: out.is_json(), is_interactive: is_interactive() }
}

/// Whether somebody is there to sign in.
fn is_interactive() -> bool {
    use std::io::IsTerminal as _;

    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}

/// The declared command line, for completions and the man page.
pub fn declaration() -> clap::Command {
    Args::command()
}

/// The same with its rare flags, one line each, as `--help` and the man page show it: clap's own long form would take a
/// screen for every ten.
pub fn in_full() -> clap::Command {
    declaration()
        .mut_args(|arg| arg.hide_short_help(false))
        .mut_arg("help", |arg| arg.action(ArgAction::HelpShort))
        .after_help(None)
}

/// What `--help` ends with.
pub fn afterword() -> String {
    format!("Exit codes:\n{EXIT_CODES}\n\nExamples:\n{EXAMPLES}")
}

const ABOUT: &str = "Have real phone calls made by KallyAI, and read what came of them";

const USAGE: &str = "kallyai -p NUMBER -t TEXT [FIELD]...\n       kallyai --COMMAND [MODIFIER]...";

const AFTER_HELP: &str = "All flags, exit codes and examples: kallyai --help";

/// What each exit status means, line by line.
pub const EXIT_CODES: &str = "  0  done; a call that ended, however it ended
  1  the API refused, or something unexpected
  2  bad usage or bad input; nothing was sent
  3  the service could not be reached or is failing; retrying is safe
  4  not signed in, or the sign-in failed
  5  out of minutes
  6  a call's outcome is unknown, or it is still open: never place it again,
     learn how it ended with --resume
  7  with --exit-status only: the call ended, but not in success
  129, 130, 143  hung up, interrupted, terminated";

/// Commands to begin with.
pub const EXAMPLES: &str = "  kallyai -p +15551234567 -t \"Reserve a table for 4 at 8pm\" -c restaurant \\
          --name \"John Smith\" --party-size 4 --date 2027-01-28 --time 20:00
  kallyai --history --status success --limit 20
  kallyai --transcript last
  kallyai --calendar last -o dinner.ics
  kallyai --sandbox -p +15555550102 -t \"Ask for the hours\"   (no phone rings)";
