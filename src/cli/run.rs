//! Runs a parsed command, shows its result and returns the exit status.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::rc::Rc;

use serde_json::json;

use super::args::{Cli, Command, Export, LoginArgs, Options};
use super::error::{self, Kept};
use super::{complete, texts};
use crate::api::Trace;
use crate::auth::open_browser;
use crate::domain::CallRef;
use crate::error::{Error, Kind, Result};
use crate::helper::on_this_thread;
use crate::output::Output;
use crate::service::{self, HistoryQuery, Notices, PendingCall, Service};
use crate::settings::Settings;
use crate::signals::{Signal, Signals};
use crate::view::{self, Block, View};

/// Exit status for an unsuccessful call if `--exit-status` is given.
const NO_SUCCESS: u8 = 7;

pub struct Run<'a> {
    pub out: &'a Output,
    pub service: &'a Service<'a>,
    pub kept: Kept,
}

/// Runs a command, reports an error if it fails, and returns the exit status.
pub fn run(cli: Cli, out: &Output) -> u8 {
    let Cli { command, options } = cli;
    let settings = Settings::new(options.sandbox);
    let trace = options.debug.then(|| {
        let out = out.clone();
        out.note_copy(
            "This log contains phone numbers, names and tasks, but no credentials. Review it before \
             sharing.",
        );
        Rc::new(move |line: &str| out.note_copy(line)) as Trace
    });
    let exit_status = match &command {
        Command::Call(args) => args.exit_status,
        Command::CallInfo { exit_status, .. } | Command::Resume { exit_status, .. } => *exit_status,
        _ => false,
    };
    let service = Service::new(settings, service_options(options), out, trace);
    let kept = Kept {
        json: out.json,
        sandbox: settings.sandbox,
        exit_status,
        options: service.options.clone(),
    };
    let run = Run {
        out,
        service: &service,
        kept,
    };
    run.command(command).unwrap_or_else(|error| {
        out.stop_spinner();
        error::report(out, &error, &run.kept);
        error.exit()
    })
}

fn service_options(options: Options) -> service::Options {
    let has_terminal = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    service::Options {
        timeout: options.timeout,
        callback_port: options.callback_port,
        may_open_browser: !options.no_input && !options.no_browser,
        is_interactive: !options.no_input && has_terminal,
        language: options.language,
        timezone: options.timezone,
    }
}

impl Notices for Output {
    fn warn(&self, code: &'static str, text: &str) {
        self.warn(code, text);
    }

    fn tell(&self, text: &str) {
        self.note(text);
    }
}

pub fn interrupted(signal: Signal, message: &str) -> Error {
    Error::new(Kind::Interrupted(signal), message)
}

impl Run<'_> {
    fn command(&self, command: Command) -> Result<u8> {
        if self.service.settings.sandbox {
            self.out.note("Sandbox: all calls are simulated");
        }
        match command {
            Command::Call(args) => self.call(*args),
            Command::Resume { which, .. } => self.resume(which.as_deref()),
            Command::Pending => self.pending(),
            Command::History(query) => self.wait(self.history(query)),
            Command::CallInfo { id, .. } => self.wait(self.call_info(id)),
            Command::Transcript(export) => self.wait(self.transcript(export)),
            Command::Calendar(export) => self.wait(self.calendar(export)),
            Command::Usage => self.wait(async {
                let usage = self.service.usage().await?;
                self.show(&view::usage(&usage, &self.service.zone()))
            }),
            Command::Subscription => self.wait(async {
                let subscription = self.service.subscription().await?;
                self.show(&view::subscription(&subscription, &self.service.zone()))
            }),
            Command::Billing => self.wait(self.billing()),
            Command::Login(args) => self.wait_or(pin!(self.sign_in(args)), "sign-in was canceled"),
            Command::Logout => {
                self.wait(async { self.show(&view::sign_out(self.service.sign_out().await?)) })
            }
            Command::AuthStatus => self.wait(self.auth_status()),
            Command::Api { path } => {
                self.wait(async { self.show(&View::raw(self.service.raw(&path).await?.body)) })
            }
            Command::Mcp => self.serve_mcp(),
            Command::ServeSandbox { address } => self.serve_sandbox(address),
            Command::Completions { shell } => self.print(complete::registration(shell)),
            Command::Man => self.print(texts::man()),
            Command::Skill { part } => self.print(Ok(texts::skill(part.is_some()).into())),
        }
    }

    fn pending(&self) -> Result<u8> {
        let calls = self.service.pending()?;
        let next = |call: &PendingCall| Some(self.kept.resume(call.key.as_str()));
        self.show(&view::pending(&calls, &self.service.zone(), next))
    }

    fn print(&self, text: std::io::Result<Vec<u8>>) -> Result<u8> {
        let text = text.map_err(|e| Error::io("can't generate the output", &e))?;
        self.out.raw(&text).map(|()| 0)
    }

    /// Returns the exit status for a call that has ended.
    pub fn status(&self, is_success: bool) -> u8 {
        let is_failure = self.kept.exit_status && !is_success;
        u8::from(is_failure) * NO_SUCCESS
    }

    pub fn show(&self, view: &View) -> Result<u8> {
        self.out.show(view).map(|()| 0)
    }

    /// Runs an operation that handles signals itself. Until the operation returns, a signal does
    /// not end the program.
    pub fn block_on(&self, work: impl AsyncFnOnce(&mut Signals) -> Result<u8>) -> Result<u8> {
        let failed = |error| Error::io("kallyai cannot start", &error);
        let done = on_this_thread(async {
            let mut signals = Signals::listen().map_err(failed)?;
            work(&mut signals).await
        });
        done.map_err(failed)?
    }

    /// Runs an operation that a signal may interrupt at any time.
    fn wait(&self, work: impl Future<Output = Result<u8>>) -> Result<u8> {
        self.wait_or(pin!(work), "the command was interrupted")
    }

    fn wait_or(
        &self,
        work: Pin<&mut dyn Future<Output = Result<u8>>>,
        message: &str,
    ) -> Result<u8> {
        self.block_on(async |signals| {
            tokio::select! {
                biased;
                done = work => done,
                signal = signals.next() => Err(interrupted(signal, message)),
            }
        })
    }

    async fn history(&self, query: HistoryQuery) -> Result<u8> {
        let zone = self.service.zone();
        let history = self.service.history(&query).await?;
        let is_for_program = self.out.json || !self.out.is_terminal();
        if let Some(why) = view::no_calls(&history, &query).filter(|_| is_for_program) {
            self.out.note(&why);
        }
        self.show(&view::history(&history, &query, &zone))
    }

    async fn call_info(&self, call: CallRef) -> Result<u8> {
        let zone = self.service.zone();
        let call = self.service.call(&call).await?;
        self.show(&view::call(&call, &zone))?;
        if call.value.is_running() {
            let id = call.value.call_id.parse().ok();
            let error = Error::new(Kind::InProgress, "the call is still in progress");
            return match self.kept.exit_status {
                true => Err(error.about(None, id.as_ref())),
                false => Ok(0),
            };
        }
        self.service.mark_shown(None, &call).await;
        Ok(self.status(call.value.is_success()))
    }

    async fn transcript(&self, export: Export) -> Result<u8> {
        let transcript = self.service.transcript(&export.id).await?;
        self.export(&view::transcript(&transcript), export.output)
    }

    async fn calendar(&self, export: Export) -> Result<u8> {
        let bytes = self.service.calendar(&export.id).await?;
        self.export(&view::calendar(bytes), export.output)
    }

    /// Prints a view, or writes it to a file if `output` is a path. Writes raw bytes, such as a
    /// calendar, unchanged.
    fn export(&self, view: &View, output: Option<PathBuf>) -> Result<u8> {
        let Some(file) = output.filter(|file| *file != Path::new("-")) else {
            return self.show(view);
        };
        let bytes = match view.blocks.as_slice() {
            [Block::Raw(bytes)] => bytes.clone(),
            _ if self.out.json => view.json.clone(),
            _ => view.to_text().into_bytes(),
        };
        let name = file.display().to_string();
        std::fs::write(file, bytes).map_err(|e| Error::io(format!("can't write {name}"), &e))?;
        if self.out.json {
            return self.show(&View::own(json!({ "output": name }), Vec::new()));
        }
        self.out.note(&format!("Saved to {name}"));
        Ok(0)
    }

    async fn billing(&self) -> Result<u8> {
        let portal = self.service.billing_portal().await?;
        self.show(&view::billing(&portal))?;
        let url = &portal.value.url;
        let is_page = url.starts_with("https://") || url.starts_with("http://127.0.0.1:");
        let may_open = self.service.options.may_open_browser && self.out.is_terminal();
        if may_open && is_page && !self.out.json && open_browser(url) {
            self.out.note("Opening your browser…");
        }
        Ok(0)
    }

    async fn sign_in(&self, args: LoginArgs) -> Result<u8> {
        // A real sign-in needs a user at the browser. The sandbox signs in without a user.
        let can_sign_in_now = self.service.options.is_interactive || self.service.settings.sandbox;
        if let Some(url) = args.callback_url {
            let prompt = || {
                if std::io::stdin().is_terminal() {
                    self.out.prompt("Paste the URL your browser ended up on: ");
                }
            };
            let url = match url.as_str() {
                "-" => self.service.read_callback_url(prompt).await?,
                _ => url,
            };
            self.service.finish_sign_in(&url).await?;
        } else if args.no_wait || (self.out.json && !can_sign_in_now) {
            let pending = self.service.begin_sign_in().await?;
            let finish = self.kept.command("login --callback-url -");
            return self.show(&view::pending_sign_in(&pending, &finish));
        } else {
            self.service.sign_in().await?;
        }
        self.auth_status().await
    }

    async fn auth_status(&self) -> Result<u8> {
        let until = self.service.auth_status().await?;
        self.show(&view::auth_status(until, &self.service.zone()))
    }

    /// Serves MCP requests until the client disconnects or a signal arrives.
    fn serve_mcp(&self) -> Result<u8> {
        let options = self.service.options.clone();
        self.block_on(async |signals| {
            if std::io::stdin().is_terminal() {
                self.out
                    .note("Serving MCP on stdin and stdout (Ctrl-C to stop)");
            }
            tokio::select! {
                biased;
                () = crate::mcp::serve(self.service.settings, options) => Ok(0),
                signal = signals.next() => Ok(signal.exit()),
            }
        })
    }

    fn serve_sandbox(&self, address: Option<std::net::SocketAddr>) -> Result<u8> {
        self.block_on(async |signals| {
            let served = self.service.serve_sandbox(address).await?;
            self.show(&view::served_sandbox(&served))?;
            self.out.note("Sandbox running (Ctrl-C to stop).");
            let signal = signals.next().await;
            self.out.note("Sandbox stopped.");
            Ok(match signal {
                Signal::Interrupt => 0,
                Signal::Terminate => signal.exit(),
            })
        })
    }
}
