//! Placing a call and waiting for its end. The call is in a process of its own from the first byte of its request, so
//! that whatever ends the waiting (the time, the client, this process) ends nothing else.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ProgressNotificationParam};
use rmcp::service::RequestContext;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::answers::{self, Answer, CallAnswer, CallObject, DryRun, Outcome, WarningObject};
use super::arguments::{GetCallResult, PlaceCall};
use super::failure::{ErrorObject, result_of};
use super::reports::Report;
use super::{Collected, Server};
use crate::domain::{CallId, IdempotencyKey};
use crate::error::{Error, Kind, Result};
use crate::service::{Call, Observer, Parsed, Placed, Placement, Service};
use crate::signals::Signals;

/// How long a call may take to begin, its result not counted.
const START: Duration = Duration::from_secs(42);
/// How much longer than asked an answer may take, where a look at the service has just begun.
const GRACE: Duration = Duration::from_secs(2);
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);

impl Server {
    /// `place_call`.
    ///
    /// # Errors
    /// When no call was made, or its outcome is unknown.
    pub async fn place_call(
        &self,
        arguments: PlaceCall,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult> {
        let started = Instant::now();
        let wait_until = started + arguments.wait()?;
        let dry_run = arguments.dry_run;
        let (mut placement, warnings) = arguments.placement(self.settings)?;
        let notices = Collected::default();
        notices.0.borrow_mut().extend(warnings);
        let service = self.service(&notices, None);
        if dry_run {
            return preview(&service, &placement, notices.objects());
        }
        let key = placement.key.get_or_insert_with(IdempotencyKey::generate).clone();
        let _progress = Progress::start(context);
        let placed =
            timeout_at(started + START, service.place(&placement, true, &mut Quiet, &mut Signals::none()))
                .await;
        match placed {
            Ok(Ok(Placed::Ended { call, .. })) => Ok(self.ended(&call, &key, notices.objects(), context)),
            Ok(Ok(Placed::Detached(detachment))) => {
                self.wait(&detachment.key, wait_until, &notices, context).await
            }
            Ok(Err(error)) => {
                self.report(context, &key, Report::Failure);
                Err(error)
            }
            // Dropped unfinished, it has not begun to send; or its helper has, and goes on.
            Err(_) => goes_on(&service, &key, notices.objects()).ok_or_else(|| {
                Error::new(Kind::Unreachable, "the call could not be begun in time; nothing was sent")
            }),
        }
    }

    /// `get_call_result`.
    ///
    /// # Errors
    /// When there is no such call, it was not made, or its outcome is unknown.
    pub async fn call_result(
        &self,
        arguments: GetCallResult,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult> {
        let key = arguments.key()?;
        let _progress = Progress::start(context);
        self.wait(&key, Instant::now() + arguments.wait()?, &Collected::default(), context).await
    }

    async fn wait(
        &self,
        key: &IdempotencyKey,
        until: Instant,
        notices: &Collected,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult> {
        let left = until.saturating_duration_since(Instant::now());
        let service = self.service(notices, Some(left.as_millis().div_ceil(1000).max(1) as u64));
        let mut signals = Signals::none();
        let resumed = timeout_at(until + GRACE, service.resume(Some(key), &mut Quiet, &mut signals)).await;
        match resumed {
            Ok(Ok((call, key))) => Ok(self.ended(&call, &key, notices.objects(), context)),
            Ok(Err(error)) if error.kind == Kind::OutcomeUnknown => {
                goes_on(&service, key, notices.objects()).ok_or(error)
            }
            Ok(Err(error)) => {
                self.report(context, key, Report::Failure);
                Err(error)
            }
            Err(_) => goes_on(&service, key, notices.objects()).ok_or_else(|| {
                Error::new(Kind::OutcomeUnknown, "the service did not say in time what came of the call")
                    .about(key, None)
            }),
        }
    }

    fn ended(
        &self,
        call: &Parsed<Call>,
        key: &IdempotencyKey,
        warnings: Vec<WarningObject>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.report(context, key, Report::Result);
        answers::result(&CallAnswer {
            call: Some(CallObject::from(&call.value)),
            ..CallAnswer::new(Outcome::Ended, Some(key), warnings)
        })
    }

    /// Remembers what the answer to a request tells, until it is written.
    fn report(&self, context: &RequestContext<RoleServer>, key: &IdempotencyKey, report: Report) {
        self.reports.add(context.id.clone(), key.clone(), report);
    }
}

/// What would happen to a call.
fn preview(
    service: &Service<'_>,
    placement: &Placement,
    mut warnings: Vec<WarningObject>,
) -> Result<CallToolResult> {
    let preview = service.preview(placement)?;
    warnings.extend(preview.warning.as_ref().map(WarningObject::from));
    let dry_run = DryRun {
        would_place: preview.refusal.is_none(),
        refusal: preview.refusal.as_ref().map(ErrorObject::from),
        when: placement.request.when(),
        url: preview.url,
        body: serde_json::from_slice(&placement.request.to_json()).unwrap_or_default(),
    };
    let answer = CallAnswer {
        dry_run: Some(dry_run),
        ..CallAnswer::new(Outcome::DryRun, placement.key.as_ref(), warnings)
    };
    Ok(answers::result(&answer))
}

/// The answer while a call goes on, if it does as far as the journal knows.
fn goes_on(
    service: &Service<'_>,
    key: &IdempotencyKey,
    warnings: Vec<WarningObject>,
) -> Option<CallToolResult> {
    let pending = service.pending().ok()?.into_iter().find(|call| call.key == *key)?;
    // Sent, and no process waits: whether there is a call at all is what nobody knows.
    if pending.state == "sent" && !pending.is_waited_for {
        return None;
    }
    Some(answers::result(&CallAnswer {
        call_id: pending.call_id.as_ref().map(CallId::to_string),
        next_tool: Some(result_of(key)),
        ..CallAnswer::new(Outcome::InProgress, Some(key), warnings)
    }))
}

impl CallAnswer {
    fn new(outcome: Outcome, key: Option<&IdempotencyKey>, warnings: Vec<WarningObject>) -> Self {
        let idempotency_key = key.map(ToString::to_string);
        Self { outcome, idempotency_key, call: None, call_id: None, next_tool: None, dry_run: None, warnings }
    }
}

impl From<&Call> for CallObject {
    fn from(call: &Call) -> Self {
        Self {
            call_id: call.call_id.clone(),
            status: call.status_name().to_owned(),
            is_running: call.is_running(),
            highlights: call.summary().map(str::to_owned),
            next_steps: call.next_steps.clone(),
            duration_seconds: call.duration_seconds,
            created_at: call.created_at().map(|at| at.to_string()),
            ended_at: call.ended_at().map(|at| at.to_string()),
            number: call.number().map(str::to_owned),
            business: call.business().map(str::to_owned),
            task: call.task().map(str::to_owned),
        }
    }
}

impl Answer for CallAnswer {
    fn text(&self) -> String {
        let mut text = match (self.outcome, &self.call, &self.dry_run) {
            (Outcome::Ended, Some(call), _) => call.text(),
            (Outcome::DryRun, _, Some(dry_run)) => dry_run.text(),
            (Outcome::Ended | Outcome::InProgress | Outcome::DryRun, ..) => {
                let key = self.idempotency_key.as_deref().unwrap_or_default();
                format!(
                    "The call was requested and is not known to have ended. Do not place it again: call get_call_result with the key {key} until it has ended."
                )
            }
        };
        for warning in &self.warnings {
            text.push_str(&format!("\nwarning: {} [{}]", warning.message, warning.code));
        }
        text
    }
}

impl CallObject {
    /// The call in words; the last line has its status and ID.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (label, value) in [
            ("Number", &self.number),
            ("Business", &self.business),
            ("Task", &self.task),
            ("Result", &self.highlights),
            ("Next steps", &self.next_steps),
        ] {
            if let Some(value) = value {
                // Its own line breaks are indented, so that none passes for another line of this text.
                text.push_str(&format!("{label}: {}\n", value.trim_end().replace('\n', "\n    ")));
            }
        }
        text.push_str(&format!("Status: {}, call_id {}", self.status, self.call_id));
        text
    }
}

impl DryRun {
    fn text(&self) -> String {
        let body = serde_json::to_string(&self.body).unwrap_or_default();
        let end = match &self.refusal {
            None => "It would be placed.".to_owned(),
            Some(refusal) => {
                let hint = refusal.hint.iter().map(|hint| format!("\nhint: {hint}")).collect::<String>();
                format!("It would be refused: {} [{}]{hint}", refusal.message, refusal.code)
            }
        };
        let when = self.when.iter().map(|when| format!("\nWhen: {when}")).collect::<String>();
        format!("Nothing was sent. The request would be: {body}{when}\n{end}")
    }
}

/// Neither shows a result, which counts as shown once the answer is written, nor says anything meanwhile.
struct Quiet;

impl Observer for Quiet {
    fn warn(&mut self, _: &str) {}

    fn deliver(&mut self, _: &Parsed<Call>) -> bool {
        false
    }

    fn not_made(&mut self, _: &Error) -> bool {
        false
    }
}

/// Tells the client that the wait goes on, where it asked to be told, until this is dropped.
struct Progress(Option<JoinHandle<()>>);

impl Progress {
    fn start(context: &RequestContext<RoleServer>) -> Self {
        let peer = context.peer.clone();
        Self(context.meta.get_progress_token().map(|token| {
            tokio::task::spawn_local(async move {
                let started = Instant::now();
                let mut ticks = tokio::time::interval_at(started + PROGRESS, PROGRESS);
                loop {
                    ticks.tick().await;
                    let progress =
                        ProgressNotificationParam::new(token.clone(), started.elapsed().as_secs_f64())
                            .with_message("waiting for the end of the call");
                    if peer.notify_progress(progress).await.is_err() {
                        return;
                    }
                }
            })
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(telling) = &self.0 {
            telling.abort();
        }
    }
}
