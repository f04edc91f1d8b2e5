//! One call's way through the rules: carries out, action by action, what [`crate::placement`] decides.

use std::time::Duration;

use tokio::time::Instant;

use super::call::print;
use super::{Context, DONE, READ_TIMEOUT};
use crate::api::{Answer, ApiError, Call, Client, Document, Failure, Tokens as _};
use crate::auth::Session;
use crate::error::{Error, Result};
use crate::journal::{Entry, Journal, Watch};
use crate::output::{Line, Progress, Tone};
use crate::placement::{Action, Ending, Event, Look, Lost, Placement, Sent, Sight};
use crate::signals::Signals;
use crate::types::{CallId, Secret};

/// What an action needs, and what the last ones brought.
pub struct Errand<'a> {
    context: &'a Context,
    client: &'a Client<'a, Session<'a>>,
    journal: Journal,
    entry: Entry,
    started: Instant,
    deadline: Instant,
    request: Option<Outgoing<'a>>,
    progress: Option<Progress>,
    /// The last answer to the POST that was none.
    answer: Option<Answer>,
    /// The call as it was last seen.
    result: Option<Document<Call>>,
    /// Why the last action failed.
    error: Option<Error>,
}

struct Outgoing<'a> {
    json: &'a [u8],
    token: Secret,
    _watch: Watch,
}

/// Whose a call of the history is, as far as number, task and time tell.
enum Fit {
    /// Perhaps ours, created then.
    Ours(jiff::Timestamp),
    Anothers,
}

/// How far back the history is read for a lost call.
const SEARCHED: u16 = 100;
/// A call created earlier than this before ours is another.
const CLOCK_SKEW: Duration = Duration::from_secs(120);
/// How many calls are fetched singly when the list does not tell what they were for.
const FETCHED: usize = 20;

impl<'a> Errand<'a> {
    /// An errand for a call of the journal: it is only read, unless there is something to send.
    pub fn new(
        context: &'a Context,
        client: &'a Client<'a, Session<'a>>,
        journal: Journal,
        entry: Entry,
        started: Instant,
    ) -> Self {
        Self {
            context,
            client,
            journal,
            entry,
            started,
            deadline: client.deadline(),
            request: None,
            progress: None,
            answer: None,
            result: None,
            error: None,
        }
    }

    /// The same with a request to be sent; `watch` shows other processes that this one waits.
    pub fn sending(self, json: &'a [u8], token: Secret, watch: Watch) -> Self {
        Self { request: Some(Outgoing { json, token, _watch: watch }), ..self }
    }

    /// Does what the rules say until they say that it is over.
    ///
    /// # Errors
    /// When it ended without a result.
    pub async fn run(mut self, signals: &mut Signals) -> Result<u8> {
        let time = self.deadline.saturating_duration_since(self.started);
        let (mut placement, doing) = match &self.request {
            Some(_) => (Placement::new(time), "Calling "),
            None => (Placement::resume(self.entry.call_id.clone(), time), "Looking up the call to "),
        };
        let answer_by = self.started + placement.answer_by();
        let doing = Line::new().text(doing).tone(Tone::Strong, &self.entry.number);
        let advice = Line::new().tone(Tone::Faint, "Ctrl-C stops the waiting, not the call");
        // What --debug prints would tear it.
        self.progress = (!self.context.options.debug).then(|| self.context.out.progress(&doing, &advice));
        let mut event = Event::Begin;
        loop {
            // Before another attempt, a signal that waited for the login to be saved.
            if matches!(event, Event::Begin | Event::Renewed(_) | Event::Woke)
                && let Some(signal) = signals.came()
            {
                event = Event::Signal(signal);
            }
            let action = placement.step(self.started.elapsed(), event);
            event = match action {
                Action::End(ending) => return self.conclude(ending),
                // What has come is taken before a signal: an answer is printed, and what the journal or stdout is to
                // be told is never left out.
                action => tokio::select! {
                    biased;
                    event = self.carry_out(action, answer_by) => event,
                    signal = signals.next() => Event::Signal(signal),
                },
            };
        }
    }

    async fn carry_out(&mut self, action: Action, answer_by: Instant) -> Event {
        match action {
            Action::Send { connect_by } => Event::Sent(self.send(self.started + connect_by, answer_by).await),
            Action::Renew => Event::Renewed(self.renew().await),
            Action::Wait(wait) => {
                tokio::time::sleep(wait).await;
                Event::Woke
            }
            Action::LookUp => Event::Looked(self.look_up().await),
            Action::Claim(id) => Event::Claimed(self.claim(&id)),
            Action::Fetch(id) => Event::Seen(self.fetch(&id).await),
            Action::Print => Event::Printed(self.print()),
            Action::Settle => {
                let id = self.result.as_ref().map(|call| call.value.call_id.as_str());
                let settled = self.journal.settle(&self.entry.key, id);
                self.noted(settled)
            }
            Action::Discard => {
                let discarded = self.journal.discard(&self.entry.key);
                self.noted(discarded)
            }
            Action::End(_) => Event::Noted,
        }
    }

    async fn send(&mut self, connect_by: Instant, answer_by: Instant) -> Sent {
        let Some(request) = &self.request else { return Sent::Cut };
        let key = &self.entry.key;
        let sent = self.client.request_call(request.json, key, &request.token, connect_by, answer_by).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(failure) => {
                let sent = match &failure {
                    Failure::Unprepared(_) => Sent::NoConnection { again: false },
                    Failure::NeverSent { again, .. } => Sent::NoConnection { again: *again },
                    Failure::Lost { why } => {
                        self.say_lost(why);
                        Sent::Cut
                    }
                };
                self.error = Some(failure.into());
                return sent;
            }
        };
        let call = answer.call();
        let sent = Sent::Answered {
            status: answer.status,
            retry_after: answer.retry_after,
            refusal: ApiError::parse(answer.status, &answer.body).is_some(),
            call: call.is_some(),
        };
        match call {
            Some(value) => self.result = Some(Document { raw: answer.body, value }),
            None => self.answer = Some(answer),
        }
        sent
    }

    fn say_lost(&self, why: &str) {
        if !self.context.out.is_json() {
            let text = format!("The answer was lost ({why}). Looking up what came of the call.");
            self.suspended(|| self.context.tell(&text));
        }
    }

    async fn renew(&mut self) -> bool {
        let Some(request) = &mut self.request else { return false };
        match self.client.tokens().renew(&request.token, self.deadline).await {
            Ok(token) => request.token = token,
            Err(error) => {
                self.error = Some(error);
                return false;
            }
        }
        true
    }

    /// Gives one look at the service a time of its own, so that a stalled one is not the last.
    fn limit_look(&self) {
        self.client.extend(self.deadline.min(Instant::now() + READ_TIMEOUT / 2));
    }

    async fn look_up(&mut self) -> Look {
        self.limit_look();
        match self.candidates().await {
            Ok(look) => look,
            Err(error) => {
                self.error = Some(error);
                Look::Failed
            }
        }
    }

    /// The calls in the history that ours may be.
    async fn candidates(&self) -> Result<Look> {
        let page = self.client.history(SEARCHED, None).await?.value;
        // What cannot be read claims nothing; claiming is checked again under the journal's lock.
        let entries = self.journal.read().map(|contents| contents.entries).unwrap_or_default();
        let is_taken =
            |id: &str| entries.iter().any(|e| e.key != self.entry.key && e.call_id.as_deref() == Some(id));
        let mut found = Vec::new();
        let mut fetched = 0;
        for (_, listed) in page.calls.iter().filter(|(_, call)| !is_taken(&call.call_id)) {
            let Ok(id) = listed.call_id.parse::<CallId>() else { continue };
            let fits = match self.fits(listed) {
                None if fetched < FETCHED => {
                    fetched += 1;
                    match self.client.call(&id).await {
                        // What is not there (yet) must not hide the others.
                        Err(error) if error.http_status() == Some(404) => None,
                        call => self.fits(&call?.value),
                    }
                }
                fits => fits,
            };
            if let Some(Fit::Ours(created)) = fits {
                found.push((created, id.to_string()));
            }
        }
        found.sort();
        // A page that grew while it was made lists a call twice.
        found.dedup();
        let claimants: Vec<&Entry> =
            entries.iter().filter(|other| other.may_claim_with(&self.entry)).collect();
        Ok(Look::Candidates {
            ids: found.into_iter().map(|(_, id)| id).collect(),
            claimants: claimants.len().max(1),
            rank: claimants.iter().position(|other| other.key == self.entry.key).unwrap_or_default(),
        })
    }

    /// Whether a call may be ours; `None` where it does not tell.
    fn fits(&self, call: &Call) -> Option<Fit> {
        let earliest = self.entry.moment().checked_sub(CLOCK_SKEW).unwrap_or(jiff::Timestamp::MIN);
        match (call.created_at(), call.is_for(&self.entry.number, &self.entry.task)) {
            (Some(created), _) if created < earliest => Some(Fit::Anothers),
            (_, Some(false)) => Some(Fit::Anothers),
            (Some(created), Some(true)) => Some(Fit::Ours(created)),
            _ => None,
        }
    }

    fn claim(&mut self, id: &str) -> bool {
        let Ok(id) = id.parse::<CallId>() else { return false };
        match self.journal.claim(&self.entry.key, &id) {
            Ok(ours) => ours,
            Err(error) => {
                self.suspended(|| {
                    self.context.out.warn(&format!("the journal could not be written ({error})"))
                });
                true
            }
        }
    }

    async fn fetch(&mut self, id: &str) -> Sight {
        self.limit_look();
        let fetched = match id.parse::<CallId>() {
            Ok(id) => self.client.call(&id).await,
            Err(invalid) => Err(invalid.into()),
        };
        match fetched {
            Ok(call) => {
                let sight = if call.value.is_over() { Sight::Over } else { Sight::Running };
                self.result = Some(call);
                sight
            }
            Err(error) => {
                self.error = Some(error);
                Sight::Failed
            }
        }
    }

    fn print(&mut self) -> bool {
        self.progress = None;
        let Some(call) = &self.result else { return false };
        let Err(error) = print(self.context, call) else { return true };
        self.error = Some(match error {
            Error::ClosedPipe => Error::ClosedPipe,
            Error::Io(error) => {
                Error::ResultUnwritten { why: error.root_cause().to_string(), key: self.entry.key.clone() }
            }
            error => error,
        });
        // Known by its ID, it need not be found again.
        let id = call.value.call_id.clone();
        self.claim(&id);
        false
    }

    fn noted(&self, noted: std::io::Result<()>) -> Event {
        if let Err(error) = noted {
            let text =
                format!("the journal could not be written ({error}); it still counts this call as open");
            self.suspended(|| self.context.out.warn(&text));
        }
        Event::Noted
    }

    /// Prints on stderr without tearing what is shown there.
    fn suspended(&self, print: impl FnOnce()) {
        match &self.progress {
            Some(progress) => progress.suspend(print),
            None => print(),
        }
    }

    fn conclude(mut self, ending: Ending) -> Result<u8> {
        self.progress = None;
        let key = self.entry.key.clone();
        let lost = |message: String| Err(Error::OutcomeUnknown { message, key: key.clone() });
        let why = self.error.take().unwrap_or_else(|| Error::OutcomeUnknown {
            message: "it is not known how the call ended".into(),
            key: key.clone(),
        });
        match ending {
            Ending::Done => {
                Ok(self.result.map_or(DONE, |call| self.context.verdict(call.value.is_success())))
            }
            Ending::NotPrinted | Ending::Unreachable | Ending::NotRenewed => Err(why),
            Ending::Refused | Ending::NotTaken => Err(self.answer.take().map_or(why, Answer::into_error)),
            Ending::Interrupted { signal, open } => {
                Err(Error::Interrupted { signal, key: open.then_some(key) })
            }
            Ending::Unknown(Lost::NotFound) => lost(
                "the answer was lost, and the history does not show the call (yet): it may have been made"
                    .into(),
            ),
            Ending::Unknown(Lost::Gone) => lost(format!(
                "the answer was lost, and the service could not be asked what came of the call: {why}"
            )),
            Ending::Unknown(Lost::StillRunning) => lost("the call has not ended yet".into()),
            Ending::Unknown(Lost::Unclear(ids)) => lost(format!(
                "the answer was lost, and which call of the history it is cannot be told; it may be {}",
                ids.join(" or ")
            )),
        }
    }
}
