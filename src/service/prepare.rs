//! The checks before a call is made: against the local call log and the history.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::place::look_up;
use super::{CallDraft, READ_TIMEOUT, Service, Warning};
use crate::api::{Call, history_url};
use crate::auth::Session;
use crate::call::{self, Contents, Earlier, Entry, Guards, Job, Journal, Look, Refusal, State};
use crate::domain::{CallRequest, Key};
use crate::error::{Error, Result};

/// How long the checks before a call may ask the service.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
const LOOKED_AT: u16 = 50;

#[derive(Debug, Clone, Default)]
pub struct PlaceOptions {
    /// Call even if a call is in progress or already succeeded.
    pub again: bool,
    pub key: Option<Key>,
}

impl PlaceOptions {
    fn guards(&self) -> Guards {
        Guards {
            open: !self.again,
            done: !self.again,
        }
    }
}

/// The result of a dry run.
#[derive(Debug)]
pub struct Preview {
    pub request: CallRequest,
    pub would_place: bool,
    /// Why the call would not be made.
    pub refusal: Option<Error>,
    pub warnings: Vec<Warning>,
}

/// A call that has passed every check.
pub struct Plan {
    pub request: CallRequest,
    pub warnings: Vec<Warning>,
    pub(super) next: NextStep,
}

pub(super) enum NextStep {
    Call(Box<Job>),
    /// The key was used before for this request: follow that call.
    Replay(Key),
}

impl Service<'_> {
    /// Checks a call against the local call log. Sends nothing and needs no credentials.
    pub fn preview(&self, draft: CallDraft, options: &PlaceOptions) -> Result<Preview> {
        let now = Timestamp::now();
        let (request, mut warnings) = self.complete(draft, now)?;
        let journal = self.journal()?;
        let entry = self.entry(&request, options, now)?;
        let refusal = match journal.read() {
            Err(error) => Some(journal.unavailable(&error)),
            Ok(contents) => contents.damage().or_else(|| {
                let earlier: Vec<Earlier> = contents.calls.iter().map(Earlier::of_entry).collect();
                let refusal = contents.refusal(&entry, options.guards(), now);
                let refusal = refusal.and_then(|it| self.judge(it, &mut warnings, now));
                if refusal.is_none() {
                    warn_of_success(&mut warnings, &earlier, &entry, now);
                }
                refusal.map(|refusal| refusal.into_error(now))
            }),
        };
        Ok(Preview {
            request,
            would_place: refusal.is_none(),
            refusal,
            warnings,
        })
    }

    /// Signs in if needed and checks a call against the local call log and the history.
    pub async fn plan(&self, draft: CallDraft, options: &PlaceOptions) -> Result<Plan> {
        let (request, mut warnings) = self.complete(draft, Timestamp::now())?;
        let journal = self.journal()?;
        // Found out before a sign-in.
        self.usable(&journal)?;
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session).await?;
        let token = session.token(self.deadline(READ_TIMEOUT)).await?;
        let now = Timestamp::now();
        let entry = self.entry(&request, options, now)?;
        let mut contents = self.usable(&journal)?;
        if let Some(Refusal::SameKey(key)) = contents.refusal(&entry, Guards::NONE, now) {
            let next = NextStep::Replay(key);
            return Ok(Plan {
                request,
                warnings,
                next,
            });
        }
        let deadline = self
            .deadline(LOOK_TIMEOUT)
            .min(Instant::now() + LOOK_TIMEOUT);
        let listed = timeout_at(deadline, list(&session, deadline))
            .await
            .unwrap_or_default();
        let look = listed.as_ref().map(|(look, _)| look.clone());
        let listed = listed.map(|(_, calls)| calls).unwrap_or_default();
        if !options.again {
            let looked_up = look_up(&journal, &session, &contents, &entry, &listed, deadline).await;
            if let Some(running) = looked_up? {
                return Err(running.into_error(now));
            }
            contents = self.usable(&journal)?;
        }
        let unknown = listed.iter().filter(|call| !is_filed(&contents, call));
        let unknown: Vec<Earlier> = unknown
            .filter_map(|call| Earlier::of_listed(call, now))
            .collect();
        let by_history = || call::refusal(&unknown, &entry, options.guards(), now);
        if let Some(refusal) = contents
            .refusal(&entry, options.guards(), now)
            .or_else(by_history)
            && let Some(refusal) = self.judge(refusal, &mut warnings, now)
        {
            return match refusal {
                // Reserved during the look.
                Refusal::SameKey(key) => Ok(Plan {
                    request,
                    warnings,
                    next: NextStep::Replay(key),
                }),
                refusal => Err(refusal.into_error(now)),
            };
        }
        let known: Vec<Earlier> = contents
            .calls
            .iter()
            .map(Earlier::of_entry)
            .chain(unknown)
            .collect();
        warn_of_success(&mut warnings, &known, &entry, now);
        let token_file = std::path::absolute(connection.store.path())
            .map_err(|e| Error::io("the path of the credentials is not usable", &e))?;
        let job = Job {
            api: connection.api(),
            state_folder: self.settings.state_folder()?,
            token_file,
            token: token.expose().to_owned(),
            is_given_token: session.is_given(),
            entry: Entry { look, ..entry },
            json: String::from_utf8_lossy(&request.to_json()).into_owned(),
            guards: self.guards(options),
            trace: self.trace.is_some(),
        };
        let next = NextStep::Call(Box::new(job));
        Ok(Plan {
            request,
            warnings,
            next,
        })
    }

    pub(super) fn journal(&self) -> Result<Journal> {
        Ok(Journal::new(
            self.settings.state_folder()?,
            self.settings.issuer()?,
        ))
    }

    /// The journal's contents, if a call can be made with them.
    fn usable(&self, journal: &Journal) -> Result<Contents> {
        let contents = journal.read().map_err(|e| journal.unavailable(&e))?;
        contents.damage().map_or(Ok(contents), Err)
    }

    fn entry(
        &self,
        request: &CallRequest,
        options: &PlaceOptions,
        now: Timestamp,
    ) -> Result<Entry> {
        let key = options.key.clone().unwrap_or_else(Key::generate);
        Ok(Entry::new(key, self.settings.issuer()?, request, None, now))
    }

    /// The guards under the journal's lock. In the sandbox a repeated success is only a warning.
    fn guards(&self, options: &PlaceOptions) -> Guards {
        Guards {
            done: options.guards().done && !self.settings.sandbox,
            ..options.guards()
        }
    }

    /// In the sandbox a repeated success is a warning, so that demos can be repeated.
    fn judge(
        &self,
        refusal: Refusal,
        warnings: &mut Vec<Warning>,
        now: Timestamp,
    ) -> Option<Refusal> {
        if self.settings.sandbox && matches!(refusal, Refusal::Done(_)) {
            let text = format!(
                "{}, and would be refused outside the sandbox",
                refusal.into_error(now)
            );
            warnings.push(Warning {
                code: "already_done",
                text,
            });
            return None;
        }
        Some(refusal)
    }
}

/// Adds the warning `recent_success`, unless there is one about the same call already.
fn warn_of_success(warnings: &mut Vec<Warning>, known: &[Earlier], entry: &Entry, now: Timestamp) {
    let mut recent = known
        .iter()
        .filter(|call| call::is_recent_success(call, &entry.number, now));
    let is_warned = warnings.iter().any(|given| given.code == "already_done");
    if let Some(recent) = recent.next().filter(|_| !is_warned) {
        let text = format!(
            "a call to {} succeeded less than 6 hours ago (\"{}\")",
            entry.number, recent.task
        );
        let code = "recent_success";
        warnings.push(Warning { code, text });
    }
}

/// The newest calls, and what a search for a lost call must know of them.
async fn list(session: &Session<'_>, deadline: Instant) -> Option<(Look, Vec<Call>)> {
    let url = history_url(session.http.base(), LOOKED_AT, 0);
    let page = session.get(&url, deadline).await.ok()?.page().ok()?.value;
    let now = Timestamp::now();
    let calls: Vec<Call> = page.calls.into_iter().map(|(_, call)| call).collect();
    let look = Look {
        clock_difference: page
            .date
            .map_or(0, |date| date.duration_since(now).as_secs()),
        listed: calls
            .iter()
            .filter_map(|call| call.call_id.parse().ok())
            .collect(),
    };
    Some((look, calls))
}

/// Whether the journal knows a call of the history.
fn is_filed(contents: &Contents, call: &Call) -> bool {
    let is_it = |entry: &Entry| {
        entry
            .call_id
            .as_ref()
            .is_some_and(|id| id.as_str() == call.call_id)
    };
    contents
        .calls
        .iter()
        .any(|entry| is_it(entry) && !matches!(entry.state, State::Unknown(_)))
}
