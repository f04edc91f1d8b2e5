//! The whole flag surface, declared once. It ends in one [`Command`]: no code after it looks at flags.

mod command;
mod flags;
mod mistakes;
mod values;

pub use command::{CallOptions, Command, LoginMode};
pub use flags::{HistoryOptions, Options};
pub use mistakes::{Stop, parse, wants_json};
pub use values::{TaskSource, text};

use clap::{ArgAction, CommandFactory as _};

use flags::Args;

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
