//! Defines the command line for clap. The help of each command, the suggestions for mistyped words,
//! the completions and the man page are generated from this definition.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;

use super::complete;
use super::values::{self, TaskSource};
use crate::domain::{CallFields, CallRef, Key, Language, Phone, Zone};
use crate::output::Color;
use crate::service::HistoryQuery;
use crate::settings::Settings;

#[derive(Debug, Parser)]
#[command(
    name = "kallyai",
    bin_name = "kallyai",
    version,
    propagate_version = true,
    about = "Make phone calls with KallyAI's voice assistant and get the results",
    override_help = super::texts::HELP,
    disable_help_subcommand = true,
    disable_version_flag = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten, next_help_heading = "Global options")]
    pub options: Options,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a call, wait for it to end and print the result
    Call(Box<CallArgs>),
    /// List recent calls
    #[command(alias = "list")]
    History(HistoryQuery),
    /// Show the details of a call
    #[command(long_flag_alias = "call")]
    CallInfo {
        /// Call ID or its first characters, "last" or "last-1"
        #[arg(value_name = "ID", value_parser = values::call, add = ArgValueCandidates::new(complete::call_ids))]
        id: CallRef,
        /// Exit with status 7 unless the call succeeded
        #[arg(long)]
        exit_status: bool,
    },
    /// Show a call's transcript
    Transcript(Export),
    /// Export a call's appointment as an iCalendar file (.ics)
    Calendar(Export),
    /// Wait for a detached or interrupted call and print its result
    Resume {
        /// Key or call ID [default: the newest pending call]
        #[arg(value_name = "KEY", add = ArgValueCandidates::new(complete::pending_keys))]
        which: Option<String>,
        /// Exit with status 7 unless the call succeeded
        #[arg(long)]
        exit_status: bool,
    },
    /// List calls whose results you have not seen
    Pending,
    /// Show used and remaining minutes and calls
    #[command(alias = "stats", long_flag_alias = "us")]
    Usage,
    /// Show the plan and its renewal date
    #[command(alias = "sub")]
    Subscription,
    /// Print the URL of the billing portal and open it in a browser
    Billing,
    /// Sign in to your KallyAI account
    Login(LoginArgs),
    /// Sign out and delete the stored credentials
    Logout,
    /// Check whether you are signed in and until when
    AuthStatus,
    /// Send a GET request to a /v1/ path and print the response
    Api { path: String },
    /// Run an MCP server for AI agents on stdin and stdout
    Mcp,
    /// Run a local server that simulates the service
    ServeSandbox {
        /// Loopback address to listen on [default: 127.0.0.1:8977]
        #[arg(value_name = "HOST:PORT", value_parser = values::loopback)]
        address: Option<SocketAddr>,
    },
    /// Print a shell completion script
    Completions { shell: clap_complete::Shell },
    /// Print the man page
    Man,
    /// Print the skill (SKILL.md), which teaches AI agents to use kallyai
    Skill {
        /// Pass "full" to print the details as well
        #[arg(value_parser = ["full"])]
        part: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// Call this number, for example +15551234567
    #[arg(short, long, value_name = "NUMBER")]
    pub phone: Option<Phone>,
    /// Set the task of the call (- for stdin, @FILE for a file)
    #[arg(short, long, value_name = "TEXT")]
    pub task: Option<TaskSource>,
    /// Phone number to call
    #[arg(value_name = "NUMBER", conflicts_with = "phone")]
    pub number: Option<Phone>,
    /// What the call should accomplish
    #[arg(value_name = "TASK", conflicts_with = "task")]
    pub words: Option<TaskSource>,
    #[command(flatten)]
    pub fields: CallFields,
    /// Validate and show the call without making it
    #[arg(long)]
    pub dry_run: bool,
    /// Call even if an earlier call is in progress or has succeeded
    #[arg(long)]
    pub again: bool,
    /// Do not wait for the result (get it later with resume)
    #[arg(long, conflicts_with = "exit_status")]
    pub detach: bool,
    /// Set a key that makes this command safe to retry
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<Key>,
    /// Exit with status 7 unless the call succeeded
    #[arg(long)]
    pub exit_status: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    /// Call ID or its first characters, "last" or "last-1"
    #[arg(value_name = "ID", value_parser = values::call, add = ArgValueCandidates::new(complete::call_ids))]
    pub id: CallRef,
    /// Write the output to a file instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Print the sign-in URL and exit
    #[arg(long, conflicts_with = "callback_url")]
    pub no_wait: bool,
    /// Finish signing in with the redirect URL (- for stdin)
    #[arg(long, value_name = "URL")]
    pub callback_url: Option<String>,
}

/// Global flags. A flag without a value, such as `--json`, may be given twice, because a shell
/// alias may already include it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Output JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Simulate the service (no account, no real calls)
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Set a time limit [default: 30, none for calls]
    #[arg(long, global = true, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    /// Never prompt or open a browser
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Do not open a browser
    #[arg(long, global = true)]
    pub no_browser: bool,
    /// Choose the local port for the sign-in redirect
    #[arg(long, global = true, value_name = "PORT", default_value_t = 8976,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub callback_port: u16,
    /// Choose when to use colors
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
    /// Log requests and responses (secrets redacted)
    #[arg(long, global = true)]
    pub debug: bool,
    /// Choose the language of the call and its report
    #[arg(short, long, global = true, value_name = "LANG", value_enum)]
    pub language: Option<Language>,
    /// Set the time zone for dates and times
    #[arg(long, global = true, value_name = "ZONE",
          add = ArgValueCandidates::new(complete::zones))]
    pub timezone: Option<Zone>,
    /// Print version
    #[arg(short = 'v', visible_short_alias = 'V', long, global = true,
          action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// The examples in the help of each command. The help of a command that is not listed here shows
/// `kallyai COMMAND` as its example.
const EXAMPLES: &str = "\
call: kallyai call +15551234567 \"A table for 4\" --name \"John Smith\" --date friday --time 8pm
history: kallyai history --since yesterday --until yesterday --status unsuccessful
call-info: kallyai call-info last
transcript: kallyai transcript last
calendar: kallyai calendar last -o dinner.ics
resume: kallyai resume KEY --timeout 50 --json
login: kallyai login --no-wait
api: kallyai api /v1/users/me/statistics
mcp: claude mcp add kallyai -- kallyai mcp
completions: source <(kallyai completions bash)
man: kallyai man | man -l -
skill: kallyai skill full";

/// Returns the complete definition of the command line, with an example for every command.
pub fn command() -> clap::Command {
    without_examples().mut_subcommands(with_example)
}

/// Returns the definition of the command line without the additions of [`with_example`].
pub fn without_examples() -> clap::Command {
    Cli::command().mut_args(with_dash)
}

/// Adds an example to one command's help and lets its flags take values that start with a dash.
/// Doing this for all commands would make a short run 10% slower.
pub fn with_example(command: clap::Command) -> clap::Command {
    let name = command.get_name().to_owned();
    let of_name = |line: &'static str| line.strip_prefix(&*name)?.strip_prefix(": ");
    let example = EXAMPLES.lines().find_map(of_name);
    let example = example.map_or(format!("kallyai {name}"), str::to_owned);
    let command = command.after_help(format!("Example:\n  {example}"));
    command.mut_args(with_dash)
}

/// Lets the hint for a national phone number depend on the value of `--timezone`.
pub fn with_zone(command: clap::Command, zone: Option<Zone>) -> clap::Command {
    let phone = move |text: &str| Settings::phone(text, zone.clone());
    command.mut_args(|arg| match arg.get_id().as_str() {
        "phone" | "number" | "user_phone" => arg.value_parser(phone.clone()),
        _ => arg,
    })
}

/// Lets a flag's value start with a dash. `compat` has already rejected values that are flags.
fn with_dash(arg: clap::Arg) -> clap::Arg {
    let is_valued = arg.get_action().takes_values();
    let id = arg.get_id().clone();
    match arg.get_long() {
        Some(_) if is_valued => arg.allow_hyphen_values(true),
        // A shell alias may already contain the switch, so it may be repeated.
        Some(_) => arg.overrides_with(id),
        None => arg,
    }
}
