//! The flags, in the groups of the help page. Field names are the ids by which [`check`](super::command::check) knows
//! which were given.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Parser};
use clap_complete::Shell;

use super::help::{ABOUT, USAGE};
use super::texts::SkillPage;
use super::{TaskSource, values};
use crate::domain::{
    ApiPath, CallDraft, CallRef, Category, Day, IdempotencyKey, Language, Method, PastDay, Phone, Secret,
    Time, Zone,
};
use crate::mcp::config::Host;
use crate::output::Color;

/// A command line.
#[derive(Debug, Parser)]
#[command(
    name = "kallyai", version, about = ABOUT, override_usage = USAGE,
    disable_version_flag = true, disable_help_flag = true,
    infer_long_args = true, args_override_self = true,
    next_help_heading = "Place a call",
)]
#[group(skip)]
pub struct Args {
    /// Number to call: +15551234567
    #[arg(short, long, value_name = "NUMBER")]
    pub phone: Option<Phone>,
    /// What to accomplish; - reads stdin, @FILE a file
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub task: Option<TaskSource>,
    #[command(flatten)]
    pub fields: CallFields,
    #[command(flatten, next_help_heading = "Read")]
    pub read: ReadCommands,
    #[command(flatten, next_help_heading = "Read")]
    pub page: HistoryOptions,
    #[command(flatten, next_help_heading = "Account")]
    pub account: AccountCommands,
    #[command(flatten, next_help_heading = "More")]
    pub raw: RawOptions,
    #[command(flatten, next_help_heading = "Everywhere")]
    pub options: Options,
    #[command(flatten, next_help_heading = "More")]
    pub more: MoreCommands,
}

/// What may be said of a call beyond its number and task, and how it is placed.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct CallFields {
    /// restaurant, clinic, hotel [default: general]
    #[arg(short, long, value_name = "KIND", hide_possible_values = true, ignore_case = true)]
    pub category: Option<Category>,
    /// Language of the call alone
    #[arg(
        long,
        value_name = "LANG",
        hide_possible_values = true,
        ignore_case = true,
        hide_short_help = true
    )]
    pub call_language: Option<Language>,
    /// Name to book under
    #[arg(long, value_name = "NAME", value_parser = values::text)]
    pub name: Option<String>,
    /// Name of the business
    #[arg(long, value_name = "NAME", hide_short_help = true, value_parser = values::text)]
    pub business: Option<String>,
    /// Number of people, 1 to 50
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::party_size)]
    pub party_size: Option<u8>,
    /// Day: 2027-01-28, tomorrow, friday
    #[arg(long, value_name = "DATE")]
    pub date: Option<Day>,
    /// Time: 20:00, 8pm
    #[arg(long, value_name = "TIME")]
    pub time: Option<Time>,
    /// When it suits: "morning before 11"
    #[arg(long, value_name = "TEXT", hide_short_help = true, allow_hyphen_values = true,
          value_parser = values::prose)]
    pub time_preference: Option<String>,
    /// Your own number, to be called back
    #[arg(long, value_name = "NUMBER", hide_short_help = true, value_parser = Phone::of_user)]
    pub user_phone: Option<Phone>,
    /// Additional instruction; may be repeated
    #[arg(long, value_name = "TEXT", hide_short_help = true, allow_hyphen_values = true,
          value_parser = values::prose, action = ArgAction::Append)]
    pub instruction: Vec<String>,
    /// Say that it is urgent
    #[arg(long, hide_short_help = true)]
    pub urgent: bool,
    /// Zone of date and time [default: this computer's]
    #[arg(long, value_name = "ZONE", hide_short_help = true)]
    pub timezone: Option<Zone>,
    /// Conversation this call belongs to
    #[arg(long, value_name = "ID", hide_short_help = true, value_parser = values::text)]
    pub session_id: Option<String>,
    /// Check it, print the request, send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Place it at most once under this key
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    pub idempotency_key: Option<IdempotencyKey>,
    /// Place it though one is open or was done
    #[arg(long, hide_short_help = true)]
    pub again: bool,
    /// Return at once; --resume tells how it ended
    #[arg(long, hide_short_help = true)]
    pub detach: bool,
}

impl CallFields {
    /// The call that these say more of.
    pub fn draft(self, phone: Phone, task: String, language: Option<Language>) -> CallDraft {
        CallDraft {
            phone,
            task,
            language,
            category: self.category,
            call_language: self.call_language,
            name: self.name,
            business: self.business,
            party_size: self.party_size,
            date: self.date,
            time: self.time,
            time_preference: self.time_preference,
            user_phone: self.user_phone,
            instructions: self.instruction,
            urgent: self.urgent,
            timezone: self.timezone,
            session_id: self.session_id,
        }
    }
}

/// The commands that read calls.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct ReadCommands {
    /// Learn how a call ended that was detached or lost
    #[arg(long, value_name = "KEY", num_args = 0..=1)]
    pub resume: Option<Option<IdempotencyKey>>,
    /// Calls whose end was not shown yet
    #[arg(long)]
    pub pending: bool,
    /// Recent calls
    #[arg(long, visible_alias = "list")]
    pub history: bool,
    /// One call: ID, beginning of one, last or last-1
    #[arg(long, alias = "call", value_name = "ID")]
    pub call_info: Option<CallRef>,
    /// Its conversation
    #[arg(long, value_name = "ID")]
    pub transcript: Option<CallRef>,
    /// Its appointment as an iCalendar file
    #[arg(long, value_name = "ID")]
    pub calendar: Option<CallRef>,
    /// --calendar: the file to write
    #[arg(short, long, value_name = "FILE", hide_short_help = true)]
    pub output: Option<PathBuf>,
}

/// Which calls of the history.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct HistoryOptions {
    /// --history: how many, 1 to 200 [default: 10]
    #[arg(long, value_name = "N", hide_short_help = true, allow_negative_numbers = true, value_parser = values::limit)]
    pub limit: Option<u16>,
    /// --history: how many of the newest to leave out
    #[arg(long, value_name = "N", hide_short_help = true, allow_negative_numbers = true, value_parser = values::offset)]
    pub offset: Option<u64>,
    /// --history: every page; --limit sizes a page
    #[arg(long, hide_short_help = true)]
    pub all: bool,
    /// --history: JSON, one short line a call
    #[arg(long, hide_short_help = true)]
    pub brief: bool,
    /// --history: only those of this status
    #[arg(long, value_name = "STATUS", hide_short_help = true, value_parser = values::status)]
    pub status: Option<String>,
    /// --history: only since: friday, 2027-01-28
    #[arg(long, value_name = "DATE", hide_short_help = true)]
    pub since: Option<PastDay>,
    /// --history: only with this text
    #[arg(long, value_name = "TEXT", hide_short_help = true, value_parser = values::text)]
    pub search: Option<String>,
}

/// The commands about the account and its login.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[group(skip)]
pub struct AccountCommands {
    /// Minutes and calls used and left
    #[arg(long, visible_alias = "stats", alias = "us")]
    pub usage: bool,
    /// Plan, status and renewal
    #[arg(long, visible_alias = "sub")]
    pub subscription: bool,
    /// Open the billing portal
    #[arg(long)]
    pub billing: bool,
    /// Sign in
    #[arg(long)]
    pub login: bool,
    /// --login: print the address and leave
    #[arg(long, hide_short_help = true)]
    pub no_wait: bool,
    /// --login: finish with this address; - reads stdin
    #[arg(long, value_name = "URL", hide_short_help = true, value_parser = values::callback_url)]
    pub callback_url: Option<Secret>,
    /// Forget the login
    #[arg(long)]
    pub logout: bool,
    /// Say whether there is a login
    #[arg(long)]
    pub auth_status: bool,
}

/// A request of the user's own making.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct RawOptions {
    /// Send a request with the login, print the answer
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub api: Option<ApiPath>,
    /// --api: POST, PUT, PATCH or DELETE [default: GET]
    #[arg(long, value_name = "METHOD", hide_short_help = true)]
    pub method: Option<Method>,
    /// --api: the body, JSON; - reads stdin, @FILE a file
    #[arg(long, value_name = "JSON", hide_short_help = true, allow_hyphen_values = true)]
    pub data: Option<TaskSource>,
}

/// How a command runs, whichever it is.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[group(skip)]
pub struct Options {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Emulate the service: no account, no phone rings
    #[arg(long)]
    pub sandbox: bool,
    /// Time limit [default: 600 for a call, else 30]
    #[arg(long, value_name = "SECONDS", hide_short_help = true, allow_negative_numbers = true, value_parser = values::timeout)]
    pub timeout: Option<u64>,
    /// Ring the terminal when the call is over
    #[arg(long, help_heading = "Place a call", hide_short_help = true)]
    pub bell: bool,
    /// Exit 7 unless the call ended in success
    #[arg(long, help_heading = "Read", hide_short_help = true)]
    pub exit_status: bool,
    /// Never ask anything, never open a browser
    #[arg(long, hide_short_help = true)]
    pub no_input: bool,
    /// Open no browser
    #[arg(long, hide_short_help = true)]
    pub no_browser: bool,
    /// Port a sign-in comes back to
    #[arg(long, value_name = "PORT", hide_short_help = true, allow_negative_numbers = true, value_parser = values::port,
          default_value = "8976")]
    pub callback_port: u16,
    /// auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        hide_short_help = true,
        hide_possible_values = true,
        ignore_case = true,
        default_value = "auto"
    )]
    pub color: Color,
    /// en or es: for messages, the call and its report
    #[arg(short, long, value_name = "LANG", hide_possible_values = true, ignore_case = true)]
    pub language: Option<Language>,
    /// Leave the defaults file out
    #[arg(long, hide_short_help = true)]
    pub no_config: bool,
    /// Show requests and answers, secrets redacted
    #[arg(long, hide_short_help = true)]
    pub debug: bool,
}

/// The commands that need no service, and help.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct MoreCommands {
    /// Serve tools to AI agents: MCP on stdin and stdout
    #[arg(long, hide_short_help = true)]
    pub mcp: bool,
    /// --mcp: print the lines that tell HOST of it
    #[arg(
        long,
        value_name = "HOST",
        hide_short_help = true,
        hide_possible_values = true,
        ignore_case = true
    )]
    pub print_config: Option<Host>,
    /// Serve the emulator [default: 127.0.0.1:8977]
    #[arg(long, value_name = "ADDR", hide_short_help = true, num_args = 0..=1, value_parser = values::loopback)]
    pub serve_sandbox: Option<Option<SocketAddr>>,
    /// For bash, zsh, fish, powershell or elvish
    #[arg(
        long,
        value_name = "SHELL",
        hide_short_help = true,
        hide_possible_values = true,
        ignore_case = true
    )]
    pub completions: Option<Shell>,
    /// Print the man page
    #[arg(long, hide_short_help = true)]
    pub man: bool,
    /// Print the skill for AI agents; full for all of it
    #[arg(long, value_name = "full", hide_short_help = true, hide_possible_values = true, num_args = 0..=1)]
    pub skill: Option<Option<SkillPage>>,
    /// Print the version
    #[arg(short, long, action = ArgAction::Version, help_heading = "Everywhere")]
    version: Option<bool>,
    /// Print help: -h in short, --help in full
    #[arg(short, long, action = ArgAction::Help, help_heading = "Everywhere")]
    help: Option<bool>,
}
