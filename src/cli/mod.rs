//! The whole flag surface, declared once. It ends in one [`Command`]: no code after it looks at flags.

mod command;
mod mistakes;
mod values;

pub use command::{CallOptions, Command, HistoryOptions, LoginMode, Options};
pub use mistakes::{Stop, parse, wants_json};
pub use values::{TaskSource, text};

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory as _, Parser};
use clap_complete::Shell;

use crate::output::Color;
use crate::types::{CallRef, Category, Date, IdempotencyKey, Language, Phone, Secret, Time, Zone};

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

/// The flags. Field names are the ids by which [`command`] knows which were given.
#[derive(Debug, Parser)]
#[command(
    name = "kallyai", version, about = ABOUT, override_usage = USAGE,
    after_help = AFTER_HELP,
    disable_version_flag = true, disable_help_flag = true,
    infer_long_args = true, args_override_self = true,
)]
pub struct Args {
    /// Number to call: +15551234567
    #[arg(short, long, value_name = "NUMBER", help_heading = "Place a call")]
    phone: Option<Phone>,
    /// What to accomplish; - reads stdin, @FILE a file
    #[arg(short, long, value_name = "TEXT", help_heading = "Place a call", allow_hyphen_values = true)]
    task: Option<TaskSource>,
    /// restaurant, clinic, hotel or general [default]
    #[arg(hide_possible_values = true, short, long, value_name = "KIND", help_heading = "Place a call")]
    category: Option<Category>,
    /// en or es, for the call and its report
    #[arg(hide_possible_values = true, short, long, value_name = "LANG", help_heading = "Place a call")]
    language: Option<Language>,
    /// Language of the call alone
    #[arg(
        hide_possible_values = true,
        long,
        value_name = "LANG",
        help_heading = "Place a call",
        hide_short_help = true
    )]
    call_language: Option<Language>,
    /// Name to book under
    #[arg(long, value_name = "NAME", help_heading = "Place a call", value_parser = values::text)]
    name: Option<String>,
    /// Name of the business
    #[arg(long, value_name = "NAME", help_heading = "Place a call", value_parser = values::text)]
    business: Option<String>,
    /// Number of people, 1 to 50
    #[arg(long, value_name = "N", help_heading = "Place a call", value_parser = values::party_size)]
    party_size: Option<u8>,
    /// Day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", help_heading = "Place a call")]
    date: Option<Date>,
    /// Time, HH:MM on the 24-hour clock
    #[arg(long, value_name = "TIME", help_heading = "Place a call")]
    time: Option<Time>,
    /// When it suits: "morning before 11"
    #[arg(long, value_name = "TEXT", help_heading = "Place a call", hide_short_help = true, allow_hyphen_values = true,
          value_parser = values::prose)]
    time_preference: Option<String>,
    /// Your own number, to be called back
    #[arg(long, value_name = "NUMBER", help_heading = "Place a call", hide_short_help = true)]
    user_phone: Option<Phone>,
    /// Something more to mind; may be repeated
    #[arg(long, value_name = "TEXT", help_heading = "Place a call", hide_short_help = true, allow_hyphen_values = true,
          value_parser = values::prose, action = ArgAction::Append)]
    instruction: Vec<String>,
    /// Say that it is urgent
    #[arg(long, help_heading = "Place a call", hide_short_help = true)]
    urgent: bool,
    /// Zone of date and time [default: this computer's]
    #[arg(long, value_name = "ZONE", help_heading = "Place a call", hide_short_help = true)]
    timezone: Option<Zone>,
    /// Conversation this call belongs to
    #[arg(long, value_name = "ID", help_heading = "Place a call", hide_short_help = true, value_parser = values::text)]
    session_id: Option<String>,
    /// Check it, print the request, send nothing
    #[arg(long, help_heading = "Place a call")]
    dry_run: bool,
    /// Place it at most once under this key
    #[arg(long, value_name = "KEY", help_heading = "Place a call", hide_short_help = true)]
    idempotency_key: Option<IdempotencyKey>,
    /// Place it though the same call is still open
    #[arg(long, help_heading = "Place a call", hide_short_help = true)]
    again: bool,

    /// Learn how a call ended whose answer was lost
    #[arg(long, value_name = "KEY", help_heading = "Read", num_args = 0..=1)]
    resume: Option<Option<IdempotencyKey>>,
    /// Recent calls
    #[arg(long, visible_alias = "list", help_heading = "Read")]
    history: bool,
    /// One call: ID, unique beginning of one, or last
    #[arg(long, alias = "call", value_name = "ID", help_heading = "Read")]
    call_info: Option<CallRef>,
    /// Its conversation
    #[arg(long, value_name = "ID", help_heading = "Read")]
    transcript: Option<CallRef>,
    /// Its appointment as an iCalendar file
    #[arg(long, value_name = "ID", help_heading = "Read")]
    calendar: Option<CallRef>,
    /// --history: how many, 1 to 200 [default: 10]
    #[arg(long, value_name = "N", help_heading = "Read", value_parser = values::limit)]
    limit: Option<u16>,
    /// --history: how many of the newest to leave out
    #[arg(long, value_name = "N", help_heading = "Read", hide_short_help = true, value_parser = values::offset)]
    offset: Option<u64>,
    /// --history: every page; --limit sizes a page
    #[arg(long, help_heading = "Read", hide_short_help = true)]
    all: bool,
    /// --history: only those of this status
    #[arg(long, value_name = "STATUS", help_heading = "Read", hide_short_help = true, value_parser = values::text)]
    status: Option<String>,
    /// --calendar: the file to write
    #[arg(short, long, value_name = "FILE", help_heading = "Read", hide_short_help = true)]
    output: Option<PathBuf>,
    /// Exit 7 unless the call ended in success
    #[arg(long, help_heading = "Read", hide_short_help = true)]
    exit_status: bool,

    /// Minutes and calls used and left
    #[arg(long, visible_alias = "stats", alias = "us", help_heading = "Account")]
    usage: bool,
    /// Plan, status and renewal
    #[arg(long, visible_alias = "sub", help_heading = "Account")]
    subscription: bool,
    /// Open the billing portal
    #[arg(long, help_heading = "Account")]
    billing: bool,
    /// Sign in
    #[arg(long, help_heading = "Account")]
    login: bool,
    /// --login: print the address and leave
    #[arg(long, help_heading = "Account", hide_short_help = true)]
    no_wait: bool,
    /// --login: finish with this address; - reads stdin
    #[arg(long, value_name = "URL", help_heading = "Account", hide_short_help = true, value_parser = values::callback_url)]
    callback_url: Option<Secret>,
    /// Forget the login
    #[arg(long, help_heading = "Account")]
    logout: bool,
    /// Say whether there is a login
    #[arg(long, help_heading = "Account")]
    auth_status: bool,

    /// Print JSON
    #[arg(long, help_heading = "Everywhere")]
    json: bool,
    /// Emulate the service: no account, no phone rings
    #[arg(long, help_heading = "Everywhere")]
    sandbox: bool,
    /// Time limit [default: 600 for a call, else 30]
    #[arg(long, value_name = "SECONDS", help_heading = "Everywhere", value_parser = values::timeout)]
    timeout: Option<u64>,
    /// Never ask anything, never open a browser
    #[arg(long, help_heading = "Everywhere", hide_short_help = true)]
    no_input: bool,
    /// Open no browser
    #[arg(long, help_heading = "Everywhere", hide_short_help = true)]
    no_browser: bool,
    /// Port a sign-in comes back to [default: 8976]
    #[arg(long, value_name = "PORT", help_heading = "Everywhere", hide_short_help = true, value_parser = values::port)]
    callback_port: Option<u16>,
    /// auto, always or never [default: auto]
    #[arg(
        hide_possible_values = true,
        long,
        value_name = "WHEN",
        help_heading = "Everywhere",
        hide_short_help = true
    )]
    color: Option<Color>,
    /// Show requests and answers, secrets redacted
    #[arg(long, help_heading = "Everywhere", hide_short_help = true)]
    debug: bool,

    /// Serve the emulator [default: 127.0.0.1:8977]
    #[arg(long, value_name = "ADDR", help_heading = "More", hide_short_help = true, num_args = 0..=1,
          value_parser = values::loopback)]
    serve_sandbox: Option<Option<SocketAddr>>,
    /// For bash, zsh, fish, powershell or elvish
    #[arg(
        hide_possible_values = true,
        long,
        value_name = "SHELL",
        help_heading = "More",
        hide_short_help = true
    )]
    completions: Option<Shell>,
    /// Print the man page
    #[arg(long, help_heading = "More", hide_short_help = true)]
    man: bool,
    /// Print the skill for AI agents
    #[arg(long, help_heading = "More", hide_short_help = true)]
    skill: bool,
    /// Print the version
    #[arg(short, long, help_heading = "More", action = ArgAction::Version)]
    version: Option<bool>,
    /// Print help: -h in short, --help in full
    #[arg(short, long, help_heading = "More", action = ArgAction::Help)]
    help: Option<bool>,
}
