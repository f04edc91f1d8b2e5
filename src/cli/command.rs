//! From flags to one command: which flags go together is one table, checked once.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use clap_complete::Shell;

use super::TaskSource;
use super::flags::{Args, CallFields, HistoryOptions, Options};
use crate::error::{Error, Result};
use crate::types::{CallRef, IdempotencyKey, Phone, Secret};

/// What a run is to do, and how.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// How.
    pub options: Options,
}

/// One of the things the program can do.
#[derive(Debug)]
pub enum Command {
    Call(Box<CallOptions>),
    Resume(Option<IdempotencyKey>),
    History(HistoryOptions),
    CallInfo(CallRef),
    Transcript(CallRef),
    Calendar { call: CallRef, output: Option<PathBuf> },
    Usage,
    Subscription,
    Billing,
    Login(LoginMode),
    Logout,
    AuthStatus,
    ServeSandbox(Option<SocketAddr>),
    Completions(Shell),
    Man,
    Skill,
}

/// A call to place.
#[derive(Debug, Clone)]
pub struct CallOptions {
    pub phone: Phone,
    pub task: TaskSource,
    pub fields: CallFields,
}

/// The ways to sign in.
#[derive(Debug)]
pub enum LoginMode {
    /// Open the browser and wait.
    Wait,
    /// Print the address and leave.
    Start,
    /// Finish with the address the browser was sent to; `-` is stdin.
    Finish(Secret),
}

/// The flags that each are a command, by id. `phone` and `task` together are one.
const COMMANDS: &[&str] = &[
    "phone",
    "task",
    "resume",
    "history",
    "call_info",
    "transcript",
    "calendar",
    "usage",
    "subscription",
    "billing",
    "login",
    "logout",
    "auth_status",
    "serve_sandbox",
    "completions",
    "man",
    "skill",
];

/// The flags that only some commands take; those not named here go with every command.
const MODIFIERS: &[(&[&str], &[&str])] = &[
    (
        &[
            "category",
            "language",
            "call_language",
            "name",
            "business",
            "party_size",
            "date",
            "time",
            "time_preference",
            "user_phone",
            "instruction",
            "urgent",
            "timezone",
            "session_id",
            "dry_run",
            "idempotency_key",
            "again",
        ],
        &["phone"],
    ),
    (&["limit", "offset", "all", "status"], &["history"]),
    (&["output"], &["calendar"]),
    (&["no_wait", "callback_url"], &["login"]),
    (&["exit_status"], &["phone", "call_info", "resume"]),
];

/// What goes together, said once.
pub fn check(matches: &ArgMatches) -> Result<()> {
    let given = |id: &&&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let commands: Vec<&str> = COMMANDS.iter().filter(given).copied().filter(|id| *id != "task").collect();
    let task = matches.value_source("task") == Some(ValueSource::CommandLine);
    match (commands.as_slice(), task) {
        (["phone"], true) => {}
        (["phone"], false) => {
            return Err(usage("--phone names whom to call, but not what for", "add --task \"…\""));
        }
        ([], true) => return Err(usage("--task says what to ask, but not whom", "add --phone +15551234567")),
        ([], false) => return Err(usage("there is nothing to do", "name a command; kallyai -h lists them")),
        ([_], false) => {}
        (several, _) => {
            let mut names: Vec<String> = several.iter().map(|id| flag(id)).collect();
            if task && !several.contains(&"phone") {
                names.push(flag("task"));
            }
            return Err(usage(
                format!("{} are commands of their own", names.join(" and ")),
                "run them one after the other",
            ));
        }
    }
    let command = commands.first().copied().unwrap_or_default();
    for (modifiers, allowed) in MODIFIERS {
        if let Some(id) = modifiers.iter().find(given).filter(|_| !allowed.contains(&command)) {
            let places: Vec<String> = allowed.iter().map(|id| flag(id)).collect();
            let place = places.join(" or ");
            return Err(usage(
                format!("{} does not go with {}", flag(id), flag(command)),
                format!("leave it out; it goes with {place}"),
            ));
        }
    }
    if given(&&"no_wait") && given(&&"callback_url") {
        return Err(usage(
            "--no-wait begins a sign-in and --callback-url finishes one",
            "use one, then the other",
        ));
    }
    Ok(())
}

fn flag(id: &str) -> String {
    format!("--{}", id.replace('_', "-"))
}

fn usage(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::Usage { message: message.into(), hint: hint.into() }
}

impl From<Args> for Invocation {
    /// The command of flags that [`check`] let pass.
    fn from(args: Args) -> Self {
        Self { options: args.options.clone(), command: Command::from(args) }
    }
}

impl From<Args> for Command {
    fn from(Args { phone, task, fields, read, page, account, more, .. }: Args) -> Self {
        if let (Some(phone), Some(task)) = (phone, task) {
            return Self::Call(Box::new(CallOptions { phone, task, fields }));
        }
        if let Some(key) = read.resume {
            return Self::Resume(key);
        }
        if let Some(call) = read.call_info {
            return Self::CallInfo(call);
        }
        if let Some(call) = read.transcript {
            return Self::Transcript(call);
        }
        if let Some(call) = read.calendar {
            return Self::Calendar { call, output: read.output };
        }
        if let Some(address) = more.serve_sandbox {
            return Self::ServeSandbox(address);
        }
        if let Some(shell) = more.completions {
            return Self::Completions(shell);
        }
        match () {
            () if read.history => Self::History(page),
            () if account.usage => Self::Usage,
            () if account.subscription => Self::Subscription,
            () if account.billing => Self::Billing,
            () if account.login => Self::Login(match account.callback_url {
                Some(url) => LoginMode::Finish(url),
                None if account.no_wait => LoginMode::Start,
                None => LoginMode::Wait,
            }),
            () if account.logout => Self::Logout,
            () if account.auth_status => Self::AuthStatus,
            () if more.man => Self::Man,
            () => Self::Skill,
        }
    }
}
