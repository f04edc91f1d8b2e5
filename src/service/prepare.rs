//! Before a call is made, checks it against the local call log and the history.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::read::read_page;
use super::{CallDraft, READ_TIMEOUT, Service, Warning};
use crate::api::Call;
use crate::auth::Session;
use crate::call::{self, Contents, Earlier, Entry, Job, Journal, Live, Lookup, State, Step};
use crate::domain::{CallRequest, Key};
use crate::error::{Error, Kind, Result};

/// The time limit for the history lookup before a call.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How many past calls to read from the history before making a call.
const LOOKUP_SIZE: u16 = 50;

#[derive(Debug, Clone, Default)]
pub struct PlaceOptions {
    /// Whether to call even if an earlier call is in progress or has succeeded.
    pub again: bool,
    pub key: Option<Key>,
}

/// The result of a dry run.
#[derive(Debug)]
pub struct Preview {
    pub request: CallRequest,
    /// Why the call would be refused, or `None` if it would be made.
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
    /// The key was already used for this request, so follow the earlier call.
    Replay(Key),
}

impl Service<'_> {
    /// Checks a call against the local call log. Does not contact the service.
    pub fn preview(&self, draft: CallDraft, options: &PlaceOptions) -> Result<Preview> {
        let now = Timestamp::now();
        let (request, mut warnings) = self.complete(draft, now)?;
        let journal = self.journal()?;
        let entry = self.entry(&request, options, now)?;
        let contents = journal.read().and_then(Contents::undamaged);
        let checked = contents.and_then(|it| self.check(&it, vec![], &entry, options, now));
        let refusal = checked.map(|warning| warnings.extend(warning)).err();
        Ok(Preview {
            request,
            refusal,
            warnings,
        })
    }

    /// Signs in if needed and checks a call against the local call log and the history.
    pub async fn plan(&self, draft: CallDraft, options: &PlaceOptions) -> Result<Plan> {
        let (request, mut warnings) = self.complete(draft, Timestamp::now())?;
        let journal = self.journal()?;
        // Report a damaged call log before asking the user to sign in.
        journal.read()?.undamaged()?;
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session).await?;
        let token = session.token(self.deadline(READ_TIMEOUT)).await?;
        let entry = self.entry(&request, options, Timestamp::now())?;
        let contents = journal.read()?.undamaged()?;
        let checking = self.check_history(&session, &journal, contents, &entry, options);
        let next = match checking.await {
            Err(error) if matches!(error.kind, Kind::KeyUsed { .. }) => NextStep::Replay(entry.key),
            checked => {
                let (lookup, warning) = checked?;
                warnings.extend(warning);
                let what = "the path to the credentials file is not valid";
                let token_file = std::path::absolute(connection.store.path());
                NextStep::Call(Box::new(Job {
                    api: connection.api(),
                    state_folder: self.settings.state_folder()?,
                    token_file: token_file.map_err(|e| Error::io(what, &e))?,
                    token: token.expose().to_owned(),
                    is_given_token: session.is_given(),
                    entry: Entry { lookup, ..entry },
                    again: options.again,
                    trace: self.trace.is_some(),
                }))
            }
        };
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

    fn entry(
        &self,
        request: &CallRequest,
        options: &PlaceOptions,
        now: Timestamp,
    ) -> Result<Entry> {
        let key = options.key.clone().unwrap_or_else(Key::generate);
        Ok(Entry::new(key, self.settings.issuer()?, request, now))
    }

    async fn check_history(
        &self,
        session: &Session<'_>,
        journal: &Journal,
        contents: Contents,
        entry: &Entry,
        options: &PlaceOptions,
    ) -> Result<(Option<Lookup>, Option<Warning>)> {
        if let Some(used) = contents.key_in_use(entry) {
            return Err(used);
        }
        let by = self.deadline(LOOKUP_TIMEOUT);
        let by = by.min(Instant::now() + LOOKUP_TIMEOUT);
        // A failed lookup does not prevent the call.
        let page = read_page(session, LOOKUP_SIZE, 0, by).await.ok();
        let page = page.map(|page| page.value);
        let lookup = page.as_ref().map(Lookup::of_page);
        let listed = page.map(|page| page.calls).unwrap_or_default();
        let listed: Vec<Call> = listed.into_iter().map(|(_, call)| call).collect();
        if !options.again {
            update_open_calls(journal, session, contents, entry, &listed, by).await?;
        }
        let contents = journal.read()?.undamaged()?;
        let is_in_journal = |call: &Call| {
            let mut calls = contents.calls.iter();
            let is_known = |entry: &Entry| !matches!(entry.state, State::Unknown(_));
            calls.any(|entry| is_known(entry) && entry.has_id(&call.call_id))
        };
        let now = Timestamp::now();
        let listed_only = listed.iter().filter(|call| !is_in_journal(call));
        let listed_only = listed_only.filter_map(|call| Earlier::of_listed(call, now));
        let warning = self.check(&contents, listed_only.collect(), entry, options, now)?;
        Ok((lookup, warning))
    }

    /// Checks a call against the local call log and against `listed_only`, the calls that only the
    /// history has.
    fn check(
        &self,
        contents: &Contents,
        listed_only: Vec<Earlier>,
        entry: &Entry,
        options: &PlaceOptions,
        now: Timestamp,
    ) -> Result<Option<Warning>> {
        if let Some(used) = contents.key_in_use(entry) {
            return Err(used);
        }
        let mut earlier = contents.earlier();
        earlier.extend(listed_only);
        let warning = call::check(&earlier, entry, options.again, now)?;
        Ok(warning.map(|(code, text)| Warning { code, text }))
    }
}

/// Looks up open calls to the same number as `new` if they are 6 to 24 hours old or the history
/// lists them as ended. Returns an error if a call of that age is still in progress.
async fn update_open_calls(
    journal: &Journal,
    session: &Session<'_>,
    contents: Contents,
    new: &Entry,
    listed: &[Call],
    by: Instant,
) -> Result<()> {
    let now = Timestamp::now();
    let calls = contents.calls.into_iter().filter(Entry::is_open);
    for entry in calls.filter(|entry| entry.request.dialed() == new.request.dialed()) {
        let age = now.duration_since(entry.sent_at).as_hours();
        let is_old = (6..24).contains(&age);
        let mut ended = listed.iter().filter(|call| !call.is_running());
        if !is_old && !ended.any(|call| entry.has_id(&call.call_id)) {
            continue;
        }
        let step = Step::after_sending(&entry);
        let mut live = Live::new(session, journal, Some(entry.clone()), &|_| {});
        let looked = call::run(&mut live, step, Duration::ZERO);
        if let Ok(Err(error)) = timeout_at(by, looked).await
            && error.kind == Kind::InProgress
            && is_old
        {
            return Err(Earlier::of_entry(&entry).open_error(entry.sent_at, now));
        }
    }
    Ok(())
}
