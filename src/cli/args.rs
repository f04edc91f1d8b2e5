//! Declares the command line for clap. The help of each command, the suggestions, the completions
//! and the man page are generated from this declaration.

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
    /// Show a call
    #[command(long_flag_alias = "call")]
    CallInfo {
        /// Call ID or its first characters, last or last-1
        #[arg(value_name = "ID", value_parser = values::call, add = ArgValueCandidates::new(complete::call_ids))]
        id: CallRef,
        /// Exit with status 7 unless the call succeeded
        #[arg(long)]
        exit_status: bool,
    },
    /// Show a call's transcript
    Transcript(Export),
    /// Export a call's appointment (.ics)
    Calendar(Export),
    /// Wait for a detached or interrupted call and print its result
    Resume {
        /// Key or call ID [default: the newest pending call]
        #[arg(value_name = "KEY", add = ArgValueCandidates::new(complete::keys))]
        which: Option<String>,
        /// Exit with status 7 unless the call succeeded
        #[arg(long)]
        exit_status: bool,
    },
    /// List calls whose result you have not seen
    Pending,
    /// Show minutes and calls used and remaining
    #[command(alias = "stats", long_flag_alias = "us")]
    Usage,
    /// Show the plan and its renewal date
    #[command(alias = "sub")]
    Subscription,
    /// Open the billing portal
    Billing,
    /// Sign in
    Login(LoginArgs),
    /// Sign out
    Logout,
    /// Check whether you are signed in
    AuthStatus,
    /// Send a GET request to a /v1/ path and print the body
    Api { path: String },
    /// Run an MCP server for AI agents (stdio)
    Mcp,
    /// Run the sandbox as a local server
    ServeSandbox {
        /// Loopback address to listen on [default: 127.0.0.1:8977]
        #[arg(value_name = "HOST:PORT", value_parser = values::loopback)]
        address: Option<SocketAddr>,
    },
    /// Print a shell completion script
    Completions { shell: clap_complete::Shell },
    /// Print the man page
    Man,
    /// Print the skill for AI agents (SKILL.md)
    Skill {
        /// Also print the details
        #[arg(value_parser = ["full"])]
        part: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// Call this number, for example +15551234567
    #[arg(short, long, value_name = "NUMBER", value_parser = Settings::phone)]
    pub phone: Option<Phone>,
    /// Set the task (- for stdin, @FILE for a file)
    #[arg(short, long, value_name = "TEXT")]
    pub task: Option<TaskSource>,
    /// Number to call
    #[arg(value_name = "NUMBER", conflicts_with = "phone", value_parser = Settings::phone)]
    pub number: Option<Phone>,
    /// Task for the call
    #[arg(value_name = "TASK", conflicts_with = "task")]
    pub words: Option<TaskSource>,
    #[command(flatten)]
    pub fields: CallFields,
    /// Validate and show the call without making it
    #[arg(long)]
    pub dry_run: bool,
    /// Call even if an earlier call is running or has succeeded
    #[arg(long)]
    pub again: bool,
    /// Return without waiting (get the result with resume)
    #[arg(long, conflicts_with = "exit_status")]
    pub detach: bool,
    /// Key that makes this command safe to retry
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<Key>,
    /// Exit with status 7 unless the call succeeded
    #[arg(long)]
    pub exit_status: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    /// Call ID or its first characters, last or last-1
    #[arg(value_name = "ID", value_parser = values::call, add = ArgValueCandidates::new(complete::call_ids))]
    pub id: CallRef,
    /// Write to a file instead of stdout
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

/// Global flags. A switch may be repeated, because a shell alias may already contain it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Output JSON
    #[arg(long, global = true, overrides_with = "json")]
    pub json: bool,
    /// Simulate the service (no account, no real calls)
    #[arg(long, global = true, overrides_with = "sandbox")]
    pub sandbox: bool,
    /// Wait at most this long [default: 30, no limit for calls]
    #[arg(long, global = true, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    /// Never prompt or open a browser
    #[arg(long, global = true, overrides_with = "no_input")]
    pub no_input: bool,
    /// Do not open a browser
    #[arg(long, global = true, overrides_with = "no_browser")]
    pub no_browser: bool,
    /// Choose the local port for the sign-in redirect
    #[arg(long, global = true, value_name = "PORT", default_value_t = 8976,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub callback_port: u16,
    /// Choose when to use colors
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
    /// Log requests and responses (secrets redacted)
    #[arg(long, global = true, overrides_with = "debug")]
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

/// One help example per command. The example for any other command is `kallyai COMMAND`.
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

/// Returns the declaration of the whole command line, with the help of every command.
pub fn command() -> clap::Command {
    declared().mut_subcommands(completed)
}

/// Returns the declaration without the examples and settings that [`completed`] adds.
pub fn declared() -> clap::Command {
    Cli::command().mut_args(with_dash)
}

/// Adds one command's example and settings. Doing so for all commands makes a short run 10% slower.
pub fn completed(command: clap::Command) -> clap::Command {
    let name = command.get_name().to_owned();
    let of_name = |line: &'static str| line.strip_prefix(&*name)?.strip_prefix(": ");
    let example = EXAMPLES.lines().find_map(of_name);
    let example = example.map_or(format!("kallyai {name}"), str::to_owned);
    let command = command.after_help(format!("Example:\n  {example}"));
    command.mut_args(with_dash)
}

/// Allows a flag's value to start with a dash. `compat` has already rejected a flag as a value.
fn with_dash(arg: clap::Arg) -> clap::Arg {
    let is_valued = arg.get_long().is_some() && arg.get_action().takes_values();
    arg.allow_hyphen_values(is_valued)
}
