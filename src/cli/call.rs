//! The `call` and `resume` commands. `call` may ask for confirmation, and both show the result.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::json;

use super::args::CallArgs;
use super::error;
use super::run::{Run, interrupted};
use crate::domain::{CallId, CallRequest, Zone};
use crate::error::{Error, Kind, Result};
use crate::output::Output;
use crate::service::{CallDraft, Ended, Follow, Outcome, PlaceOptions, Plan, Progress, Until};
use crate::signals::Signals;
use crate::view;

/// Codes of warnings that suggest a mistake. After such a warning, `call` asks the user to confirm
/// the call if there is a terminal.
const DOUBTS: [&str; 4] = ["past_date", "ambiguous_time", "no_name", "recent_success"];

const LONGER_THAN_ANY_CALL: Duration = Duration::from_secs(30 * 24 * 3600);

const WAITING: &str = "Waiting (Ctrl-C won't hang up)";

impl Run<'_> {
    pub fn call(&self, args: CallArgs) -> Result<u8> {
        let options = PlaceOptions {
            again: args.again,
            key: args.idempotency_key.clone(),
        };
        let (detach, is_dry_run) = (args.detach, args.dry_run);
        // Read the task before listening for signals, so that Ctrl-C at its prompt ends the
        // program.
        let draft = draft(args, self.out)?;
        if is_dry_run {
            let preview = self.service.preview(draft, &options)?;
            let refusal = |error: &Error| error::json(error, self.kept.next_command(error));
            return self.show(&view::preview(&preview, refusal));
        }
        let zone = self.service.zone();
        self.block_on(async |signals| {
            let until = self.until(detach);
            let plan = tokio::select! {
                biased;
                plan = self.service.plan(draft, &options) => plan?,
                signal = signals.next() => return Err(interrupted(signal, "no call was made")),
            };
            self.confirm(&plan, options.again, signals).await?;
            let progress = &mut |progress| {
                if !detach {
                    self.progress(progress);
                }
            };
            let follow = Follow {
                until,
                signals,
                progress,
            };
            let outcome = self.service.place(plan, follow).await;
            self.finish(outcome, detach, &zone).await
        })
    }

    pub fn resume(&self, which: Option<&str>) -> Result<u8> {
        let zone = self.service.zone();
        self.block_on(async |signals| {
            self.out.spin(WAITING);
            let follow = Follow {
                until: self.until(false),
                signals,
                progress: &mut |progress| self.progress(progress),
            };
            let outcome = self.service.resume(which, follow).await;
            self.finish(outcome, false, &zone).await
        })
    }

    fn until(&self, is_detached: bool) -> Until {
        let at = self.service.deadline(LONGER_THAN_ANY_CALL);
        Until { at, is_detached }
    }

    /// Shows the request and its warnings. Asks the user to confirm the call if a warning is in
    /// `DOUBTS` and there is a terminal.
    async fn confirm(&self, plan: &Plan, again: bool, signals: &mut Signals) -> Result<()> {
        if self.out.is_watched() {
            self.out.note(&summary(&plan.request));
        }
        for warning in &plan.warnings {
            self.out.warn(warning.code, &warning.text);
        }
        let mut warnings = plan.warnings.iter();
        let is_doubtful = warnings.any(|warning| DOUBTS.contains(&warning.code));
        let may_ask = self.out.is_watched()
            && std::io::stdin().is_terminal()
            && self.service.options.is_interactive
            && !again
            && !self.service.settings.sandbox;
        if !is_doubtful || !may_ask {
            return Ok(());
        }
        self.out.prompt("Call anyway? [y/N] ");
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let reply = tokio::select! {
            reply = read => reply.ok().and_then(Result::ok).unwrap_or_default(),
            signal = signals.next() => {
                // The prompt has no line break, so add one.
                self.out.note("");
                return Err(interrupted(signal, "no call was made"));
            }
        };
        match reply.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Error::new(Kind::Cancelled, "no call was made")),
        }
    }

    fn progress(&self, progress: Progress) {
        if self.out.json {
            return;
        }
        match progress {
            Progress::Sent | Progress::Running => self.out.spin(WAITING),
            Progress::Retrying(reason) => {
                let text = format!("Lost the connection: {reason}. Retrying…");
                self.out.spin(&text);
            }
            Progress::Lost(reason) => {
                let text = format!("The response was lost: {reason}. Checking on the call…");
                self.out.note(&text);
            }
            Progress::Replayed => {
                let text = "This key was already used for this request. Showing the call's result.";
                self.out.note(text);
            }
        }
    }

    /// Shows the outcome of a call. The call stays pending in the local call log until its result
    /// has been shown.
    async fn finish(&self, outcome: Result<Outcome>, detach: bool, zone: &Zone) -> Result<u8> {
        self.out.stop_spinner();
        match outcome {
            Ok(Outcome::Ended(ended)) => self.ended(&ended, zone).await,
            Ok(Outcome::InProgress { key, call_id }) => {
                let message = match call_id {
                    Some(_) => "the call is still in progress",
                    None => "there is no result yet: the call may be in progress",
                };
                let (key, call_id) = (key.as_ref(), call_id.as_ref());
                let error = Error::new(Kind::InProgress, message).about(key, call_id);
                let Some(next) = self.kept.next_command(&error).filter(|_| detach) else {
                    return Err(error);
                };
                let json = json!({ "next_command": next });
                let shown = self.show(&view::in_progress(key, call_id, &next, json));
                shown.map_err(|error| not_shown(error).about(key, call_id))
            }
            Err(error) => {
                error::report(self.out, &error, &self.kept);
                self.service.mark_error_shown(&error).await;
                Ok(error.exit())
            }
        }
    }

    async fn ended(&self, ended: &Ended, zone: &Zone) -> Result<u8> {
        let (call, key) = (&ended.call, ended.key.as_ref());
        let id: Option<CallId> = call.value.call_id.parse().ok();
        self.show(&view::result(ended, zone))
            .map_err(|error| not_shown(error).about(key, id.as_ref()))?;
        self.service.mark_shown(key, call).await;
        Ok(self.status(call.value.is_success()))
    }
}

fn draft(args: CallArgs, out: &Output) -> Result<CallDraft> {
    let missing = |what| Error::usage(what, "run kallyai call NUMBER TASK");
    let phone = args.phone.or(args.number);
    let phone = phone.ok_or_else(|| missing("missing --phone (the number to call)"))?;
    let task = args.task.or(args.words);
    let task = task.ok_or_else(|| missing("missing --task (what the call should accomplish)"))?;
    Ok(CallDraft {
        phone,
        task: task.read(out)?,
        fields: args.fields,
    })
}

/// Formats a request as `Calling +15551234567 in English, for Fri 2026-12-04 20:00 Europe/Paris`.
fn summary(request: &CallRequest) -> String {
    let language = request.fields.call_language.unwrap_or_default().in_words();
    let when = request.when().map(|when| format!(", for {when}"));
    let when = when.unwrap_or_default();
    format!("Calling {} in {language}{when}", request.phone)
}

/// Returns the error for a call that was requested but whose result could not be written.
fn not_shown(error: Error) -> Error {
    if error.kind == Kind::ClosedPipe {
        return error;
    }
    let message = format!("the call was requested, but the output could not be written ({error})");
    Error::new(Kind::Io, message)
}
