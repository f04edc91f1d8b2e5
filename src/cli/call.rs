//! `call` and `resume`: the task, the question before a doubtful call, and the result.

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::time::Instant;

use super::args::CallArgs;
use super::error;
use super::run::{Run, interrupted, status};
use crate::domain::{CallId, CallRequest, Language, Zone};
use crate::error::{Error, Kind, Result};
use crate::output::Output;
use crate::service::{CallDraft, Ended, Follow, Outcome, PlaceOptions, Plan, Until};
use crate::signals::Signals;
use crate::view;

/// The warnings of a call that is probably not meant.
const DOUBTS: [&str; 4] = ["past_date", "ambiguous_time", "no_name", "recent_success"];

/// How a call is followed, and what its end means.
struct Following {
    detach: bool,
    exit_status: bool,
    zone: Zone,
}

impl Run<'_> {
    pub fn call(&self, args: CallArgs) -> Result<u8> {
        let options = PlaceOptions {
            again: args.again,
            key: args.idempotency_key.clone(),
        };
        let following = Following {
            detach: args.detach,
            exit_status: args.exit_status,
            zone: self.zone()?,
        };
        let is_dry_run = args.dry_run;
        // Read before signals are listened for: Ctrl-C at the prompt ends the program.
        let draft = draft(args, self.out)?;
        if is_dry_run {
            return self.show(&view::preview(&self.service.preview(draft, &options)?));
        }
        self.block_on(async |signals| {
            let until = self.until(following.detach);
            let plan = tokio::select! {
                biased;
                plan = self.service.plan(draft, &options) => plan?,
                signal = signals.next() => return Err(interrupted(signal, "no call was made")),
            };
            self.confirm(&plan, options.again, signals).await?;
            self.place(plan, until, &following, signals).await
        })
    }

    async fn place(
        &self,
        plan: Plan,
        until: Until,
        following: &Following,
        signals: &mut Signals,
    ) -> Result<u8> {
        let mut progress = |progress| {
            if !following.detach {
                self.console.progress(progress);
            }
        };
        let follow = Follow {
            until,
            signals,
            progress: &mut progress,
        };
        let outcome = self.service.place(plan, follow).await;
        self.finish(outcome, following).await
    }

    pub fn resume(&self, which: Option<&str>, exit_status: bool) -> Result<u8> {
        let following = Following {
            detach: false,
            exit_status,
            zone: self.zone()?,
        };
        self.block_on(async |signals| {
            self.console.wait();
            let follow = Follow {
                until: self.until(false),
                signals,
                progress: &mut |progress| self.console.progress(progress),
            };
            let outcome = self.service.resume(which, follow).await;
            self.finish(outcome, &following).await
        })
    }

    fn until(&self, detach: bool) -> Until {
        let timeout = self.options.timeout.map(Duration::from_secs);
        match timeout.map(|timeout| Instant::now() + timeout) {
            at if detach => Until::Sent(at),
            Some(at) => Until::At(at),
            None => Until::End,
        }
    }

    /// Shows the call and its warnings, and asks about a doubtful one if someone is there.
    async fn confirm(&self, plan: &Plan, again: bool, signals: &mut Signals) -> Result<()> {
        if self.out.is_watched() {
            self.console.note(&summary(&plan.request));
        }
        for warning in &plan.warnings {
            self.out.warn(warning.code, &warning.text);
        }
        let is_doubtful = plan
            .warnings
            .iter()
            .any(|warning| DOUBTS.contains(&warning.code));
        let may_ask = !self.options.json
            && !self.options.no_input
            && !again
            && !self.service.settings.sandbox
            && std::io::stdin().is_terminal()
            && std::io::stderr().is_terminal();
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
                // Ends the line of the prompt.
                self.out.note("");
                return Err(interrupted(signal, "no call was made"));
            }
        };
        if matches!(reply.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            Ok(())
        } else {
            Err(Error::new(Kind::Cancelled, "no call was made"))
        }
    }

    /// Shows the outcome. Only once that is written does the call log forget the call.
    async fn finish(&self, outcome: Result<Outcome>, following: &Following) -> Result<u8> {
        self.console.stop();
        match outcome {
            Ok(Outcome::Ended(ended)) => self.ended(&ended, following).await,
            Ok(Outcome::InProgress { key, call_id }) if following.detach => {
                let name = key.as_ref().map(|key| key.as_str());
                let name = name.or(call_id.as_ref().map(|id| id.as_str()));
                let next = self.kept.resume(name.unwrap_or("last"));
                let shown = self.show(&view::in_progress(key.as_ref(), call_id.as_ref(), &next));
                shown.map_err(|error| not_shown(error).about(key.as_ref(), call_id.as_ref()))
            }
            Ok(Outcome::InProgress { key, call_id }) => {
                let message = match call_id {
                    Some(_) => "the call is still in progress",
                    None => "there is no result yet, and the call continues or may be made",
                };
                let error = Error::new(Kind::InProgress, message);
                Err(error.about(key.as_ref(), call_id.as_ref()))
            }
            Err(error) => {
                error::report(self.out, &error, &self.kept);
                self.service.mark_error_shown(&error).await;
                Ok(error.exit())
            }
        }
    }

    async fn ended(&self, ended: &Ended, following: &Following) -> Result<u8> {
        let call = &ended.call.value;
        let id: Option<CallId> = call.call_id.parse().ok();
        self.show(&view::result(ended, &following.zone))
            .map_err(|error| not_shown(error).about(ended.key.as_ref(), id.as_ref()))?;
        self.service
            .mark_shown(ended.key.as_ref(), &ended.call)
            .await;
        Ok(status(!following.exit_status || call.is_success()))
    }
}

fn draft(args: CallArgs, out: &Output) -> Result<CallDraft> {
    let missing = |what| Error::usage(what, "write kallyai call NUMBER TASK");
    let phone = args.phone.or(args.number);
    let phone = phone.ok_or_else(|| missing("missing --phone: which number should be called?"))?;
    let task = args.task.or(args.words);
    let task = task.ok_or_else(|| missing("missing --task: what should the call accomplish?"))?;
    Ok(CallDraft {
        phone,
        task: task.read(out)?,
        fields: args.fields,
    })
}

/// `Calling +15551234567 in English, for Fri 2026-12-04 20:00 America/New_York`.
fn summary(request: &CallRequest) -> String {
    let language = request
        .fields
        .call_language
        .map_or("English", Language::in_words);
    let when = request
        .when()
        .map_or(String::new(), |when| format!(", for {when}"));
    format!("Calling {} in {language}{when}", request.phone)
}

/// The error of a call that was made and whose result could not be written.
fn not_shown(error: Error) -> Error {
    if error.kind == Kind::ClosedPipe {
        return error;
    }
    let message = format!("the call was made, but its result could not be shown ({error})");
    Error::new(Kind::Io, message)
}
