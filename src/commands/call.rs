//! Placing a call and resuming one: carries out, action by action, what [`crate::placement`] decides.

use std::time::Duration;

use tokio::time::Instant;

use super::request::Request;
use super::{CALL_TIMEOUT, Connection, Context, DONE, READ_TIMEOUT, show};
use crate::api::{Answer, ApiError, Call, Client, Document, Failure, Tokens as _};
use crate::auth::Session;
use crate::error::{Error, Result};
use crate::journal::{Entry, Journal, Refusal, Watch};
use crate::output::{Line, Progress, Tone};
use crate::placement::{Action, Ending, Event, Look, Lost, Placement, Sent, Sight};
use crate::signals::Signals;
use crate::types::{CallId, IdempotencyKey, Secret};

/// Places a call and waits for its end.
pub async fn place(context: &Context, request: &Request, signals: &mut Signals) -> Result<u8> {
    let connection = Connection::open(context)?;
    let warn = |text: &str| context.out.warn(text);
    let session = connection.session(context, &warn)?;
    unless_interrupted(signals, connection.sign_in_if_absent(context, &session)).await?;
    let started = Instant::now();
    let client = Client::new(&connection.http, &session, context.deadline(CALL_TIMEOUT));
    let journal = journal(context)?;
    let key = request.key.clone().unwrap_or_else(IdempotencyKey::generate);
    let (entry, watch) = match journal.open(key, &request.phone, &request.task, request.again) {
        Ok(opened) => opened,
        Err(Refusal::Open(entry)) => return Err(already_open(context, &entry)),
        Err(Refusal::Known(entry)) => return known(context, &client, journal, entry, signals).await,
        Err(Refusal::Unavailable(error)) => return Err(Error::JournalUnavailable(error.to_string())),
    };
    let token = match unless_interrupted(signals, session.token(client.deadline())).await {
        Ok(token) => token,
        Err(error) => {
            // Nothing was sent, so the same command is free to try again.
            let _ = journal.discard(&entry.key);
            return Err(error);
        }
    };
    let shown = entry.number.clone();
    let mut errand = Errand::new(context, &client, journal, entry, started);
    errand.request = Some(Outgoing { json: &request.json, token });
    errand.watch = Some(watch);
    let doing = Line::new().text("Calling ").tone(Tone::Strong, &shown);
    errand.progress = Some(context.out.progress(&doing, &advice()));
    errand.run(Placement::new, signals).await
}

/// Learns how an earlier call ended. It only ever reads.
pub async fn resume(context: &Context, key: Option<&IdempotencyKey>, signals: &mut Signals) -> Result<u8> {
    let journal = journal(context)?;
    let contents = journal.read().map_err(|e| Error::io("the journal could not be read", e))?;
    let wanted = |entry: &&Entry| key.map_or(!entry.settled, |key| entry.key == *key);
    let Some(entry) = contents.entries.into_iter().rev().find(|entry| wanted(&entry)) else {
        return Err(Error::NothingToResume(match key {
            Some(key) => format!("the journal has no call of the key {key}"),
            None => "no call is open: every one that was placed has been answered".into(),
        }));
    };
    let connection = Connection::open(context)?;
    let warn = |text: &str| context.out.warn(text);
    let session = connection.session(context, &warn)?;
    unless_interrupted(signals, connection.sign_in_if_absent(context, &session)).await?;
    let client = Client::new(&connection.http, &session, context.deadline(CALL_TIMEOUT));
    known(context, &client, journal, entry, signals).await
}

/// A call that the journal knows: an open one is looked up, a settled one is read again.
async fn known(
    context: &Context,
    client: &Client<'_, Session<'_>>,
    journal: Journal,
    entry: Entry,
    signals: &mut Signals,
) -> Result<u8> {
    if entry.settled {
        let Some(id) = &entry.call_id else {
            return Err(Error::NothingToResume(format!(
                "the call of the key {} was settled without an ID",
                entry.key
            )));
        };
        let id: CallId = id.parse()?;
        let call = unless_interrupted(signals, client.call(&id)).await?;
        print(context, &call)?;
        return Ok(context.verdict(call.value.is_success()));
    }
    let id = entry.call_id.clone();
    let shown = entry.number.clone();
    let mut errand = Errand::new(context, client, journal, entry, Instant::now());
    let doing = Line::new().text("Looking up the call to ").tone(Tone::Strong, &shown);
    errand.progress = Some(context.out.progress(&doing, &advice()));
    errand.run(|deadline| Placement::resume(id, deadline), signals).await
}

fn advice() -> Line<'static> {
    Line::new().tone(Tone::Faint, "Ctrl-C stops the waiting, not the call")
}

/// What an action needs, and what the last ones brought.
struct Errand<'a> {
    context: &'a Context,
    client: &'a Client<'a, Session<'a>>,
    journal: Journal,
    entry: Entry,
    started: Instant,
    deadline: Instant,
    request: Option<Outgoing<'a>>,
    watch: Option<Watch>,
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
}

/// How far back the history is read for a lost call.
const SEARCHED: u16 = 100;
/// A call created earlier than this before ours is another.
const CLOCK_SKEW: Duration = Duration::from_secs(120);
/// How many calls are fetched singly when the list does not tell what they were for.
const FETCHED: usize = 20;

impl<'a> Errand<'a> {
    fn new(
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
            watch: None,
            progress: None,
            answer: None,
            result: None,
            error: None,
        }
    }

    async fn run(
        mut self,
        placement: impl FnOnce(Duration) -> Placement,
        signals: &mut Signals,
    ) -> Result<u8> {
        let mut placement = placement(self.deadline.saturating_duration_since(self.started));
        let answer_by = self.started + placement.answer_by();
        let mut event = Event::Begin;
        loop {
            let action = placement.step(self.started.elapsed(), event);
            event = match action {
                Action::End(ending) => return self.conclude(ending),
                action => tokio::select! {
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
        let others = self.journal.read().map(|contents| contents.entries).unwrap_or_default();
        let is_taken =
            |id: &str| others.iter().any(|e| e.key != self.entry.key && e.call_id.as_deref() == Some(id));
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
            // A page that grew while it was made lists a call twice.
            if fits == Some(true) && !found.iter().any(|other| other == id.as_str()) {
                found.push(id.to_string());
            }
        }
        let rivals = others.iter().any(|other| other.is_rival_of(&self.entry));
        Ok(Look::Candidates { ids: found, rivals })
    }

    /// Whether a call may be ours; `None` where it does not tell.
    fn fits(&self, call: &Call) -> Option<bool> {
        let earliest = self.entry.moment().checked_sub(CLOCK_SKEW).unwrap_or(jiff::Timestamp::MIN);
        match (call.created_at(), call.is_for(&self.entry.number, &self.entry.task)) {
            (Some(created), _) if created < earliest => Some(false),
            (_, Some(false)) => Some(false),
            (Some(_), Some(true)) => Some(true),
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
        let printed = match &self.result {
            Some(call) => print(self.context, call),
            None => Ok(()),
        };
        let Err(error) = printed else { return true };
        self.error = Some(error);
        // Known by its ID, it need not be found again.
        if let Some(id) = self.result.as_ref().map(|call| call.value.call_id.clone()) {
            self.claim(&id);
        }
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
        let why = self.error.take().unwrap_or(Error::ClosedPipe);
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

fn print(context: &Context, call: &Document<Call>) -> Result<()> {
    if context.out.is_json() {
        context.out.document(&call.raw)?;
    } else {
        show::result(context, &call.value)?;
    }
    context.out.flush()
}

/// The journal. What of it is damaged is said, as the next change drops it.
pub fn journal(context: &Context) -> Result<Journal> {
    let journal = Journal::new(context.settings.state_folder()?);
    let damaged = journal.read().map_or(0, |contents| contents.damaged);
    if damaged > 0 {
        context.out.warn(&format!(
            "{damaged} damaged line(s) of the journal were left out; those calls cannot be resumed"
        ));
    }
    Ok(journal)
}

fn already_open(context: &Context, entry: &Entry) -> Error {
    let when = context.clock().moment(entry.moment());
    Error::CallOpen {
        message: format!(
            "the same call to {} was requested {when} and is not known to have ended",
            entry.number
        ),
        key: entry.key.clone(),
    }
}

async fn unless_interrupted<R>(signals: &mut Signals, work: impl Future<Output = Result<R>>) -> Result<R> {
    tokio::select! {
        done = work => done,
        signal = signals.next() => Err(Error::Interrupted { signal, key: None }),
    }
}
