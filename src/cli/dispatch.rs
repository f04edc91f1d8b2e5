//! From a command to the operation that carries it out, and from its value to an exit status.

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::pin::{Pin, pin};

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::args::Options;
use super::command::{Command, LoginMode, RawCommand};
use super::console::{Console, Waiting, unwritten};
use super::render::{self, HistoryView, View};
use super::{CallOptions, completions, is_interactive, request, suggesting, texts};
use crate::domain::{
    CallRef, CallStatus, IdempotencyKey, Invalid, Method, PastDay, STATUSES, Signal, Zone, without_accents,
};
use crate::error::{Error, Kind, Result};
use crate::mcp;
use crate::output::{Clock, Line, Output, Tone, appointment, stdout_was_closed};
use crate::service::{self, Call, HistoryQuery, Notices as _, Parsed, Placed, Placement, Service, Trace};
use crate::settings::Settings;
use crate::signals::{Signals, survive_file_size_limit};

/// The exit status of a run that did what it was asked.
const DONE: u8 = 0;
/// With `--exit-status`: the call did not end in success.
const NO_SUCCESS: u8 = 7;

/// What the commands work with.
struct Run<'a> {
    service: &'a Service<'a>,
    console: &'a Console<'a>,
    view: &'a View<'a>,
    options: &'a Options,
}

/// Carries out a command and returns the exit status.
///
/// # Errors
/// When it could not be carried out.
pub fn run(out: &Output, settings: Settings, options: &Options, command: Command) -> Result<u8> {
    if stdout_was_closed() {
        let hint = "leave out >&-; to throw the result away, write >/dev/null";
        return Err(Error::usage("nothing can be written to stdout, so that no result would be seen", hint));
    }
    let console = Console::new(out);
    let may_ask = !options.no_input;
    let service_options = service::Options {
        timeout: options.timeout,
        callback_port: options.callback_port,
        may_open_browser: may_ask && !options.no_browser,
        is_interactive: may_ask && is_interactive(),
    };
    let trace = options.debug.then(|| std::rc::Rc::new(out.tracer()) as Trace);
    let service = Service::new(settings, service_options, &console, trace);
    // A zone nobody knows is UTC; what a wrong one means is said where a call is placed.
    let clock = Clock::new(settings.zone().ok().flatten().unwrap_or(Zone::UTC), out.messages());
    let view = View { out, clock, program: settings.program() };
    let run = Run { service: &service, console: &console, view: &view, options };
    match command {
        Command::Completions(shell) => completions::script(out, shell).map(|()| DONE),
        Command::Man => texts::man(out).map(|()| DONE),
        Command::Skill(page) => texts::skill(out, page).map(|()| DONE),
        Command::Pending => run.pending(),
        Command::McpConfig(host) => render::mcp_config(&view, host, settings.sandbox).map(|()| DONE),
        Command::Mcp => run.serve_tools(),
        Command::Api(raw) => run.api(raw),
        Command::Call(call) if call.fields.dry_run => run.dry_run(*call),
        // The task may come from stdin, which a signal must still be able to interrupt.
        Command::Call(call) => run.place(*call),
        Command::Billing => run.attend(async |signals| run.billing(signals).await),
        Command::Resume(key) => run.attend(async |signals| run.resume(key.as_ref(), signals).await),
        command => run.attend(async |signals| {
            // One runner for all of them, rather than a copy for each.
            let work: Pin<&mut dyn Future<Output = Result<u8>>> = pin!(run.read(command));
            tokio::select! {
                ended = work => ended,
                signal = signals.next() => Err(Error::interrupted(signal)),
            }
        }),
    }
}

impl Run<'_> {
    /// Runs what waits, until it is done; signals no longer end the program by themselves.
    fn attend(&self, work: impl AsyncFnOnce(&mut Signals) -> Result<u8>) -> Result<u8> {
        let (runtime, mut signals) = self.begin()?;
        // One runner for all of them, rather than a copy for each.
        let work: Pin<&mut dyn Future<Output = Result<u8>>> = pin!(work(&mut signals));
        self.end(runtime, work)
    }

    /// Listens for signals, and says once that it is the sandbox that answers.
    fn begin(&self) -> Result<(Runtime, Signals)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::io("the program could not be set up", e))?;
        let within = runtime.enter();
        let signals = Signals::listen().map_err(|e| Error::io("signals could not be listened for", e))?;
        survive_file_size_limit();
        let watched = std::io::stderr().is_terminal();
        if self.service.settings.sandbox && (watched || self.service.sandbox_is_news()) {
            let out = self.view.out;
            let [label, text] =
                ["sandbox:", " no phone rings, nothing leaves this computer"].map(|text| out.translate(text));
            out.note(&Line::new().tone(Tone::Strong, &label).text(&text));
        }
        drop(within);
        Ok((runtime, signals))
    }

    fn end(&self, runtime: Runtime, work: Pin<&mut dyn Future<Output = Result<u8>>>) -> Result<u8> {
        let status = runtime.block_on(work);
        // A look-up of a name, or a read of stdin, may never come back.
        runtime.shutdown_background();
        status.map_err(|mut error| {
            error.facts.cut_sign_in =
                matches!(error.kind, Kind::Interrupted(_)) && self.service.is_signing_in();
            error.facts.is_only_pending =
                error.facts.key.as_ref().is_some_and(|key| self.service.is_only_pending(key));
            error
        })
    }

    /// Serves the tools until the client leaves, or a signal comes. Calls under way are not this process's.
    fn serve_tools(&self) -> Result<u8> {
        let trace = self.options.debug.then(|| std::rc::Rc::new(self.view.out.tracer()) as Trace);
        let server = mcp::Server::new(self.service.settings, self.options.callback_port, trace);
        self.attend(async |signals| {
            // How hosts end a server: nothing has failed.
            server.run(signals.next()).await.map(|stopped| stopped.map_or(DONE, |signal| signal.exit()))
        })
    }

    fn api(&self, command: RawCommand) -> Result<u8> {
        let request = request::raw(command)?;
        let reads = request.method == Method::Get;
        self.attend(async |signals| {
            tokio::select! {
                answered = self.service.raw(request) => render::raw(self.view, &answered?).map(|()| DONE),
                signal = signals.next() => {
                    if reads {
                        return Err(Error::interrupted(signal));
                    }
                    let message = "interrupted; the request may have been carried out all the same";
                    let hint = "do not run it again before you know whether it was";
                    Err(Error::new(Kind::Interrupted(signal), message).with_hint(hint))
                }
            }
        })
    }

    fn dry_run(&self, call: CallOptions) -> Result<u8> {
        let (placement, mut warnings) = request::placement(self.service.settings, call)?;
        let mut preview = self.service.preview(&placement)?;
        warnings.extend(preview.warning.take());
        if let Some((preposition, when)) = self.when(&placement).filter(|_| !self.view.out.is_json()) {
            let line = Line::new().tone(Tone::Faint, &preposition).text(" ").tone(Tone::Strong, &when);
            self.view.out.note(&line);
        }
        let suggesting = suggesting(self.view.out, self.view.program);
        render::dry_run(self.view, &placement, &preview, &warnings, suggesting).map(|()| DONE)
    }

    fn place(&self, call: CallOptions) -> Result<u8> {
        let detach = call.fields.detach;
        let (placement, warnings) = request::placement(self.service.settings, call)?;
        warnings.iter().for_each(|warning| self.console.warn(warning.code, &warning.text));
        if self.view.out.is_watched() {
            self.show_request(&placement);
        }
        self.attend(async |signals| {
            let submission = &placement.request.submission;
            let called = submission.business_name.as_deref().unwrap_or(submission.respondent_phone.as_str());
            let doing = self.view.out.messages().fill("Calling {}", &[&called]);
            let doing = Some(doing).filter(|_| !self.options.debug && !detach);
            let mut waiting = Waiting::placing(self.console, self.view, doing);
            let placed = self.service.place(&placement, detach, &mut waiting, signals).await;
            let failed = waiting.end(placed.as_ref().err());
            if !detach {
                self.ring_unless_interrupted(placed.as_ref().err());
            }
            match placed? {
                Placed::Ended { call, key } => self.ended(&call, failed, key.as_ref()),
                Placed::Detached(detachment) => {
                    let suggesting = suggesting(self.view.out, self.view.program);
                    let shown = render::detached(self.view, &detachment, suggesting);
                    let shown = shown.and_then(|()| self.view.out.flush());
                    shown.map(|()| DONE).map_err(|error| unwritten(error, Some(&detachment.key)))
                }
            }
        })
    }

    /// Says to a person what was understood: who is called, in which language, and for when.
    fn show_request(&self, placement: &Placement) {
        let out = self.view.out;
        let asked = &placement.request.submission;
        let number = asked.respondent_phone.as_str();
        let called = match asked.business_name.as_deref() {
            Some(business) => format!("{number}, {business}"),
            None => number.to_owned(),
        };
        let messages = out.messages();
        let language = messages.translate(render::language(asked.call_language.code()));
        let spoken = messages.fill(", in {}", &[&language]);
        let line = Line::new().text(&called).tone(Tone::Faint, &spoken);
        match self.when(placement) {
            Some((preposition, when)) => {
                out.note(&line.text(", ").tone(Tone::Faint, &preposition).text(" ").tone(Tone::Strong, &when))
            }
            None => out.note(&line),
        }
    }

    /// The day and the time that were understood, and the word before them.
    fn when(&self, placement: &Placement) -> Option<(Cow<'static, str>, String)> {
        let messages = self.view.out.messages();
        let asked = &placement.request.submission;
        let date = asked.appointment_date.map(|date| date.to_string());
        let time = asked.appointment_time.map(|time| time.to_string());
        let zone = Some(placement.request.timezone.name());
        let when = appointment(messages, date.as_deref(), time.as_deref(), zone)?;
        Some((messages.translate(if date.is_some() { "for" } else { "at" }), when))
    }

    async fn resume(&self, key: Option<&IdempotencyKey>, signals: &mut Signals) -> Result<u8> {
        let doing = match self.service.number_of(key) {
            Some(number) => format!("Waiting for {number}"),
            None => "Waiting for the call".into(),
        };
        let doing = Some(doing).filter(|_| !self.options.debug);
        let mut waiting = Waiting::resuming(self.console, self.view, doing);
        let resumed = self.service.resume(key, &mut waiting, signals).await;
        let failed = waiting.end(resumed.as_ref().err());
        self.ring_unless_interrupted(resumed.as_ref().err());
        let (call, key) = resumed?;
        self.ended(&call, failed, Some(&key))
    }

    /// Calls a person back who asked for it, however the waiting ended; who ended it needs no calling.
    fn ring_unless_interrupted(&self, error: Option<&Error>) {
        let is_interrupted = error.is_some_and(|error| matches!(error.kind, Kind::Interrupted(_)));
        if self.options.bell && !is_interrupted {
            self.view.out.ring();
        }
    }

    fn ended(&self, call: &Parsed<Call>, failed: Option<Error>, key: Option<&IdempotencyKey>) -> Result<u8> {
        match failed {
            Some(error) => Err(unwritten(error, key)),
            None => Ok(self.exit_code(call.value.is_success())),
        }
    }

    fn pending(&self) -> Result<u8> {
        let pending = self.service.pending()?;
        let suggesting = suggesting(self.view.out, self.view.program);
        render::pending(self.view, &pending, suggesting).map(|()| DONE)
    }

    /// The status of the API that is meant by what was written, which may be what it reads as in the reader's language.
    fn status<'s>(&self, said: &'s str) -> &'s str {
        let reads_as_said = |status: &&str| {
            let words = status.replace('_', " ");
            without_accents(&self.view.out.translate(&words)) == without_accents(said)
        };
        STATUSES.into_iter().find(reads_as_said).unwrap_or(said)
    }

    /// The commands that a signal may end at any time.
    async fn read(&self, command: Command) -> Result<u8> {
        let (service, view) = (self.service, self.view);
        match command {
            Command::History { query, since, brief } => {
                let since = since.map(|day| self.beginning(day)).transpose()?;
                let status = query.status.as_deref().map(|said| self.status(said).to_owned());
                self.history(&HistoryQuery { since, status, ..query }, brief).await?;
            }
            Command::CallInfo(call) => return self.call_info(&call).await,
            Command::Transcript(call) => render::transcript(view, &service.transcript(&call).await?)?,
            Command::Calendar { call, output } => {
                render::calendar(view, &service.calendar(&call).await?, output.as_deref())?;
            }
            Command::Usage => render::usage(view, &service.usage().await?)?,
            Command::Subscription => {
                render::subscription(view, &service.subscription().await?)?;
                if service.settings.sandbox && !view.out.is_json() {
                    self.console.tell("That page is the sandbox's: --billing keeps it up on a terminal.");
                }
            }
            Command::Login(LoginMode::Wait) => {
                service.sign_in().await?;
                render::signed_in(view)?;
            }
            Command::Login(LoginMode::Start) => {
                render::sign_in_begun(view, &service.begin_sign_in().await?)?;
            }
            Command::Login(LoginMode::Finish(url)) => {
                service.finish_sign_in(&url).await?;
                render::signed_in(view)?;
            }
            Command::Logout => {
                render::signed_out(view, service.sign_out().await?)?;
                if service.settings.sandbox && !view.out.is_json() {
                    self.console.tell("The sandbox's calls are forgotten too.");
                }
            }
            Command::AuthStatus => render::auth_status(view, service.auth_status().await?)?,
            Command::ServeSandbox(address) => {
                let served = service.serve_sandbox(address).await?;
                render::sandbox_served(view, &served)?;
                match self.options.timeout {
                    Some(seconds) => tokio::time::sleep(std::time::Duration::from_secs(seconds)).await,
                    None => std::future::pending().await,
                }
            }
            // `run` has carried these out itself.
            Command::Call(_)
            | Command::Billing
            | Command::Resume(_)
            | Command::Pending
            | Command::Mcp
            | Command::Api(_)
            | Command::McpConfig(_)
            | Command::Completions(_)
            | Command::Man
            | Command::Skill(_) => {}
        }
        Ok(DONE)
    }

    /// When a day began, in the zone in which times are shown.
    fn beginning(&self, day: PastDay) -> Result<Timestamp> {
        let zone = self.service.settings.zone()?.unwrap_or(Zone::UTC);
        let invalid = || Invalid::new("there is no such day", "write the date as YYYY-MM-DD");
        let today = zone.date_at(Timestamp::now());
        let date = day.on(today).ok_or_else(invalid)?;
        if date.is_after(today) {
            return Err(PastDay::not_begun(&date.to_string()).into());
        }
        Ok(zone.start_of(date).ok_or_else(invalid)?)
    }

    async fn history(&self, query: &HistoryQuery, brief: bool) -> Result<()> {
        let mut shown = HistoryView::new(self.view, query, brief);
        let end = self.service.history(query, |part| shown.part(&part)).await?;
        shown.finish(end)
    }

    async fn call_info(&self, call: &CallRef) -> Result<u8> {
        let call = self.service.call(call).await?;
        render::call(self.view, &call)?;
        let value = &call.value;
        Ok(self.exit_code(value.is_running() || value.status == Some(CallStatus::Success)))
    }

    async fn billing(&self, signals: &mut Signals) -> Result<u8> {
        let open = tokio::select! {
            open = self.service.billing_portal() => open?,
            signal = signals.next() => return Err(Error::interrupted(signal)),
        };
        render::billing(self.view, &open.portal)?;
        let stays = !open.is_emulated() || (self.view.out.is_terminal() && !self.view.out.is_json());
        if !stays {
            self.console.tell("That page was the sandbox's, and is gone.");
        } else if self.service.open_page(&open.portal.value.url) && !self.view.out.is_json() {
            self.console.tell("A browser is being opened.");
        }
        if stays && open.is_emulated() {
            self.view.out.flush()?;
            self.console.tell("The sandbox's page is there until Ctrl-C.");
            return Ok(match signals.next().await {
                Signal::Interrupt => DONE,
                other => other.exit(),
            });
        }
        Ok(DONE)
    }

    /// The exit status of a finished call under `--exit-status`.
    fn exit_code(&self, success: bool) -> u8 {
        if self.options.exit_status && !success { NO_SUCCESS } else { DONE }
    }
}
