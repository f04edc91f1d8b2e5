//! From flags to one command: which flags go together is one table, checked once.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;
use clap_complete::Shell;

use super::{Args, TaskSource};
use crate::error::{Error, Result};
use crate::output::Color;
use crate::types::{CallRef, Category, Date, IdempotencyKey, Language, Phone, Secret, Time, Zone};

/// What a run is to do, and how.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// How.
    pub options: Options,
}

/// What every command accepts.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    /// Print JSON.
    pub json: bool,
    /// When to use colour.
    pub color: Color,
    /// Emulate the service.
    pub sandbox: bool,
    /// How long the command may take, in seconds, where the person said so.
    pub timeout: Option<u64>,
    /// Never ask anything, never open a browser.
    pub no_input: bool,
    /// Open no browser.
    pub no_browser: bool,
    /// The port of the sign-in callback.
    pub callback_port: u16,
    /// Show requests and answers.
    pub debug: bool,
    /// Exit 7 unless the call ended in success.
    pub exit_status: bool,
}

/// The port kallyai-cli's users know.
const CALLBACK_PORT: u16 = 8976;

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
    pub category: Category,
    pub language: Option<Language>,
    pub call_language: Option<Language>,
    pub name: Option<String>,
    pub business: Option<String>,
    pub party_size: Option<u8>,
    pub date: Option<Date>,
    pub time: Option<Time>,
    pub time_preference: Option<String>,
    pub user_phone: Option<Phone>,
    pub instructions: Vec<String>,
    pub urgent: bool,
    pub timezone: Option<Zone>,
    pub session_id: Option<String>,
    pub idempotency_key: Option<IdempotencyKey>,
    pub again: bool,
    pub dry_run: bool,
}

/// Which calls of the history.
#[derive(Debug, Clone)]
pub struct HistoryOptions {
    /// How many; the size of a page where all are wanted.
    pub limit: Option<u16>,
    /// How many of the newest to leave out.
    pub offset: Option<u64>,
    /// Every call there is.
    pub all: bool,
    /// Only those of this status.
    pub status: Option<String>,
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
        let options = Options {
            json: args.json,
            color: args.color.unwrap_or_default(),
            sandbox: args.sandbox,
            timeout: args.timeout,
            no_input: args.no_input,
            no_browser: args.no_browser,
            callback_port: args.callback_port.unwrap_or(CALLBACK_PORT),
            debug: args.debug,
            exit_status: args.exit_status,
        };
        Self { command: Command::from(args), options }
    }
}

impl From<Args> for Command {
    fn from(args: Args) -> Self {
        if let (Some(phone), Some(task)) = (args.phone, args.task) {
            return Self::Call(Box::new(CallOptions {
                phone,
                task,
                category: args.category.unwrap_or(Category::General),
                language: args.language,
                call_language: args.call_language,
                name: args.name,
                business: args.business,
                party_size: args.party_size,
                date: args.date,
                time: args.time,
                time_preference: args.time_preference,
                user_phone: args.user_phone,
                instructions: args.instruction,
                urgent: args.urgent,
                timezone: args.timezone,
                session_id: args.session_id,
                idempotency_key: args.idempotency_key,
                again: args.again,
                dry_run: args.dry_run,
            }));
        }
        if let Some(key) = args.resume {
            return Self::Resume(key);
        }
        if let Some(call) = args.call_info {
            return Self::CallInfo(call);
        }
        if let Some(call) = args.transcript {
            return Self::Transcript(call);
        }
        if let Some(call) = args.calendar {
            return Self::Calendar { call, output: args.output };
        }
        if let Some(address) = args.serve_sandbox {
            return Self::ServeSandbox(address);
        }
        if let Some(shell) = args.completions {
            return Self::Completions(shell);
        }
        match () {
            () if args.history => Self::History(HistoryOptions {
                limit: args.limit,
                offset: args.offset,
                all: args.all,
                status: args.status,
            }),
            () if args.usage => Self::Usage,
            () if args.subscription => Self::Subscription,
            () if args.billing => Self::Billing,
            () if args.login => Self::Login(match args.callback_url {
                Some(url) => LoginMode::Finish(url),
                None if args.no_wait => LoginMode::Start,
                None => LoginMode::Wait,
            }),
            () if args.logout => Self::Logout,
            () if args.auth_status => Self::AuthStatus,
            () if args.man => Self::Man,
            () => Self::Skill,
        }
    }
}
