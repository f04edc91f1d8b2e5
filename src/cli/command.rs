//! From flags to one command: which flags go together is one table, checked once.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Id};
use clap_complete::Shell;

use super::TaskSource;
use super::args::{Args, CallFields, HistoryOptions, Options};
use super::texts::SkillPage;
use crate::domain::{ApiPath, CallRef, IdempotencyKey, Language, Method, PastDay, Phone, Secret};
use crate::error::{Error, Result};
use crate::mcp::config::Host;
use crate::service::HistoryQuery;

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
    Pending,
    /// The zone in which the day is meant is known later.
    History {
        query: HistoryQuery,
        since: Option<PastDay>,
        brief: bool,
    },
    CallInfo(CallRef),
    Transcript(CallRef),
    Calendar {
        call: CallRef,
        output: Option<PathBuf>,
    },
    Usage,
    Subscription,
    Billing,
    Login(LoginMode),
    Logout,
    AuthStatus,
    Api(RawCommand),
    Mcp,
    McpConfig(Host),
    ServeSandbox(Option<SocketAddr>),
    Completions(Shell),
    Man,
    Skill(Option<SkillPage>),
}

/// A call to place.
#[derive(Debug, Clone)]
pub struct CallOptions {
    pub phone: Phone,
    pub task: TaskSource,
    pub language: Option<Language>,
    pub fields: CallFields,
}

/// A request of the user's own making, its data not read yet.
#[derive(Debug)]
pub struct RawCommand {
    pub path: ApiPath,
    pub method: Method,
    pub data: Option<TaskSource>,
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
    "pending",
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
    "api",
    "mcp",
    "serve_sandbox",
    "completions",
    "man",
    "skill",
];

/// The flags that go with every command.
const EVERYWHERE: &[&str] = &[
    "json",
    "sandbox",
    "timeout",
    "no_input",
    "no_browser",
    "callback_port",
    "color",
    "language",
    "no_config",
    "debug",
    "version",
    "help",
];

/// The flags that only some commands take. Those on no list are a call's.
const OPTIONS: &[(&[&str], &[&str])] = &[
    (&["bell"], &["phone", "resume"]),
    (&["limit", "offset", "all", "status", "since", "search", "brief"], &["history"]),
    (&["output"], &["calendar"]),
    (&["no_wait", "callback_url"], &["login"]),
    (&["method", "data"], &["api"]),
    (&["print_config"], &["mcp"]),
    (&["exit_status"], &["phone", "call_info", "resume"]),
];

/// The flag's id, if it is a command.
pub fn is_command(id: &str) -> Option<&'static str> {
    COMMANDS.iter().copied().find(|command| *command == id)
}

/// The commands that a flag goes with, by id; nothing for a command, or what goes with every one.
fn takers(id: &str) -> Option<&'static [&'static str]> {
    if COMMANDS.contains(&id) || EVERYWHERE.contains(&id) {
        return None;
    }
    Some(OPTIONS.iter().find(|(options, _)| options.contains(&id)).map_or(&["phone"], |(_, takers)| takers))
}

/// Whether a flag that is no command goes with this command.
pub fn goes_with(option: &str, command: &str) -> bool {
    takers(option).is_none_or(|takers| takers.contains(&command))
}

/// What goes together, said once. Returns the flag that is the command, by its id.
///
/// # Errors
/// When they do not go together.
pub fn check(matches: &ArgMatches) -> Result<&'static str> {
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut options =
        matches.ids().map(Id::as_str).filter(|id| given(id)).filter_map(|id| Some((id, takers(id)?)));
    let commands: Vec<&'static str> =
        COMMANDS.iter().copied().filter(|id| given(id) && *id != "task").collect();
    let task = given("task");
    match (commands.as_slice(), task) {
        (["phone"], true) => {}
        (["phone"], false) => {
            return Err(Error::usage("--phone names whom to call, but not what for", "add --task \"…\""));
        }
        ([], true) => {
            return Err(Error::usage("--task says what to ask, but not whom", "add --phone +15551234567"));
        }
        ([], false) => {
            return Err(match options.next() {
                Some((option, takers)) => Error::usage(
                    format!("{} does nothing by itself", flag(option)),
                    format!("it goes with {}", flags(takers)),
                ),
                None => Error::usage(
                    "there is nothing to do",
                    "name a command, such as --history; kallyai -h lists them",
                ),
            });
        }
        ([_], false) => {}
        (several, _) => {
            let mut names: Vec<String> = several.iter().map(|id| flag(id)).collect();
            if task && !several.contains(&"phone") {
                names.push(flag("task"));
            }
            return Err(Error::usage(
                format!("{} are commands of their own", names.join(", ")),
                "run them one after the other",
            ));
        }
    }
    let command = commands.first().copied().unwrap_or_default();
    if let Some((id, takers)) = options.find(|(_, takers)| !takers.contains(&command)) {
        if id == "output" && matches.get_one::<PathBuf>(id).is_some_and(|value| names_json(value)) {
            return Err(Error::usage("--output names a file, for --calendar", "for JSON, write --json"));
        }
        return Err(Error::usage(
            format!("{} does not go with {}", flag(id), flag(command)),
            format!("leave it out; it goes with {}", flags(takers)),
        ));
    }
    if given("detach") && given("dry_run") {
        return Err(Error::usage("--dry-run places no call that could be detached", "leave one of them out"));
    }
    if given("no_wait") && given("callback_url") {
        return Err(Error::usage(
            "--no-wait begins a sign-in and --callback-url finishes one",
            "use one, then the other",
        ));
    }
    Ok(command)
}

/// The commands that a flag goes with, as flags; a command goes with itself.
pub fn commands_of(id: &str) -> Vec<String> {
    if EVERYWHERE.contains(&id) {
        return vec!["every command".into()];
    }
    match takers(id) {
        Some(takers) => takers.iter().map(|command| flag(command)).collect(),
        None => vec![flag(if id == "task" { "phone" } else { id })],
    }
}

/// A flag by its id.
pub fn flag(id: &str) -> String {
    format!("--{}", id.replace('_', "-"))
}

/// Several of them.
fn flags(ids: &[&str]) -> String {
    ids.iter().map(|id| flag(id)).collect::<Vec<_>>().join(", ")
}

/// Whether a file's name is that of a format, as other tools' --output takes.
fn names_json(value: &std::path::Path) -> bool {
    value.to_str().is_some_and(|name| name.eq_ignore_ascii_case("json"))
}

impl From<Args> for Invocation {
    /// The command of flags that [`check`] let pass.
    fn from(args: Args) -> Self {
        Self { options: args.options.clone(), command: Command::from(args) }
    }
}

impl From<Args> for Command {
    fn from(Args { phone, task, fields, read, page, account, raw, more, options }: Args) -> Self {
        if let (Some(phone), Some(task)) = (phone, task) {
            let language = options.language;
            return Self::Call(Box::new(CallOptions { phone, task, language, fields }));
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
        if let Some(path) = raw.api {
            let method = raw.method.unwrap_or(Method::Get);
            return Self::Api(RawCommand { path, method, data: raw.data });
        }
        if let Some(host) = more.print_config {
            return Self::McpConfig(host);
        }
        if let Some(address) = more.serve_sandbox {
            return Self::ServeSandbox(address);
        }
        if let Some(shell) = more.completions {
            return Self::Completions(shell);
        }
        match () {
            () if read.history => {
                let HistoryOptions { limit, offset, all, status, since, search, brief } = page;
                let query = HistoryQuery { limit, offset, all, status, search, since: None };
                Self::History { query, since, brief }
            }
            () if read.pending => Self::Pending,
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
            () if more.mcp => Self::Mcp,
            () if more.man => Self::Man,
            () => Self::Skill(more.skill.flatten()),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The flags that are a call's, by id.
    fn call_fields() -> Vec<String> {
        let declared = <CallFields as clap::Args>::augment_args(clap::Command::new("call"));
        declared.get_arguments().map(|argument| argument.get_id().to_string()).collect()
    }

    /// Every flag by id, once for each time that it is said where it belongs.
    pub fn owners() -> Vec<String> {
        let owned = OPTIONS.iter().flat_map(|(options, _)| options.iter());
        let listed = COMMANDS.iter().chain(EVERYWHERE).chain(owned);
        listed.map(|id| (*id).to_owned()).chain(call_fields()).collect()
    }

    #[test]
    fn every_argument_belongs_to_a_command_or_to_all_of_them() {
        let owners = owners();
        let declared = super::super::declaration();
        for argument in declared.get_arguments() {
            let id = argument.get_id().as_str();
            assert_eq!(owners.iter().filter(|owner| *owner == id).count(), 1, "{id}");
        }
        assert_eq!(declared.get_arguments().count(), owners.len());
    }
}
