//! The command line as a clap declaration. Help, suggestions, completions and the man page are
//! generated from it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueHint};
use clap_complete::ArgValueCandidates;

use super::complete;
use super::values::{self, TaskSource};
use crate::domain::{CallFields, CallRef, Key, Language, PastDay, Phone, StatusFilter, Zone};
use crate::output::Color;

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
    History(HistoryArgs),
    /// Show a call
    #[command(long_flag_alias = "call")]
    CallInfo {
        #[command(flatten)]
        call: CallName,
        /// Exit with 7 unless the call succeeded
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
        /// Exit with 7 unless the call succeeded
        #[arg(long)]
        exit_status: bool,
    },
    /// List calls whose result you have not seen
    Pending,
    /// Show minutes and calls used and remaining
    #[command(alias = "stats", long_flag_alias = "us")]
    Usage,
    /// Show the plan and its renewal
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
    /// GET a path under /v1/ and print the body
    Api { path: String },
    /// Run an MCP server for AI agents (stdio)
    Mcp,
    /// Run the sandbox as a local server
    ServeSandbox {
        /// Address on this computer [default: 127.0.0.1:8977]
        #[arg(value_name = "HOST:PORT", value_parser = values::loopback)]
        address: Option<SocketAddr>,
    },
    /// Print a shell's completion script
    Completions { shell: clap_complete::Shell },
    /// Print the man page
    Man,
    /// Print the skill for AI agents (SKILL.md)
    Skill {
        /// Add the details
        #[arg(value_parser = ["full"])]
        part: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// Call this number: +15551234567
    #[arg(short, long, value_name = "NUMBER", value_parser = values::phone)]
    pub phone: Option<Phone>,
    /// Give the task (- for stdin, @FILE for a file)
    #[arg(short, long, value_name = "TEXT")]
    pub task: Option<TaskSource>,
    /// Number to call
    #[arg(value_name = "NUMBER", conflicts_with = "phone", value_parser = values::phone)]
    pub number: Option<Phone>,
    /// Task of the call
    #[arg(value_name = "TASK", conflicts_with = "task")]
    pub words: Option<TaskSource>,
    #[command(flatten)]
    pub fields: CallFields,
    /// Validate and show the call without making it
    #[arg(long)]
    pub dry_run: bool,
    /// Call even if one is in progress or already succeeded
    #[arg(long)]
    pub again: bool,
    /// Return without waiting; get the result with resume
    #[arg(long, conflicts_with = "exit_status")]
    pub detach: bool,
    /// Make a retry of this command safe
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<Key>,
    /// Exit with 7 unless the call succeeded
    #[arg(long)]
    pub exit_status: bool,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Show N calls, 1 to 200 [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: Option<u16>,
    /// Skip the newest N calls
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub offset: u64,
    /// Show all calls
    #[arg(long)]
    pub all: bool,
    /// Show only calls with one of these statuses
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',',
          add = ArgValueCandidates::new(complete::statuses))]
    pub status: Vec<StatusFilter>,
    /// Show only calls since a day: 2027-01-28, friday, 7d
    #[arg(long, value_name = "DAY")]
    pub since: Option<PastDay>,
    /// Show only calls up to a day
    #[arg(long, value_name = "DAY")]
    pub until: Option<PastDay>,
    /// Show only calls containing a text
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
}

#[derive(Debug, Args)]
pub struct CallName {
    /// Call ID, the beginning of one, last or last-1
    #[arg(value_name = "ID", value_parser = values::call,
          add = ArgValueCandidates::new(complete::call_ids))]
    pub id: CallRef,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub call: CallName,
    /// Write to a file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Print the sign-in URL and exit
    #[arg(long, conflicts_with = "callback_url")]
    pub no_wait: bool,
    /// Finish with the URL your browser ended up on (- for stdin)
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
    /// Stop waiting after this time [default for a call: none, else 30]
    #[arg(long, global = true, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    /// Disable prompts and the browser
    #[arg(long, global = true, overrides_with = "no_input")]
    pub no_input: bool,
    /// Do not open a browser
    #[arg(long, global = true, overrides_with = "no_browser")]
    pub no_browser: bool,
    /// Choose the local port of the sign-in redirect
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
    /// Set the time zone of the call, --since and --until
    #[arg(long, global = true, value_name = "ZONE",
          add = ArgValueCandidates::new(complete::zones))]
    pub timezone: Option<Zone>,
    /// Print version
    #[arg(short = 'v', visible_short_alias = 'V', long, global = true,
          action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// Examples by command. Any other command is its own example.
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

/// Returns the complete declaration.
pub fn command() -> clap::Command {
    declared().mut_subcommands(completed)
}

/// Returns the declaration without the additions of [`completed`].
pub fn declared() -> clap::Command {
    Cli::command().mut_args(with_dash)
}

/// Adds the example of a command. Adding them to all commands would slow a short run down by 10%.
pub fn completed(command: clap::Command) -> clap::Command {
    let name = command.get_name().to_owned();
    let of_name = |line: &'static str| line.strip_prefix(&*name)?.strip_prefix(": ");
    let example = EXAMPLES.lines().find_map(of_name);
    let example = example.map_or(format!("kallyai {name}"), str::to_owned);
    let command = command.after_help(format!("Example:\n  {example}"));
    command.mut_args(with_dash)
}

/// Lets the value of a flag start with a dash. `compat` has already rejected values that are flags.
fn with_dash(arg: clap::Arg) -> clap::Arg {
    let is_valued = arg.get_long().is_some() && arg.get_action().takes_values();
    arg.allow_hyphen_values(is_valued)
}
