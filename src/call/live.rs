//! The backend that `run` uses for the real service and the real journal.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::entry::{Entry, Lookup, State};
use super::find::{Finding, find};
use super::journal::Journal;
use super::reserve::Reserver;
use super::run::{Backend, Change};
use super::worker::{Progress, Report};
use crate::api::{Call, CallPost, Parsed, Response, SendError, call_url, history_url};
use crate::auth::Session;
use crate::domain::{CallId, Secret};
use crate::error::Result;

/// How long to wait for a response. The API may respond only after the phone call has ended.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The time limit for reading one call or one page of the history.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const RENEW_TIMEOUT: Duration = Duration::from_secs(30);
/// How many of the newest calls are searched for a lost call.
const SEARCH_SIZE: u16 = 200;

pub struct Live<'a> {
    session: &'a Session<'a>,
    pub recorder: Recorder<'a>,
    /// The deadline for all reads of the call and the history, if there is one.
    pub until: Option<Instant>,
    report: &'a dyn Fn(Report),
}

impl<'a> Live<'a> {
    /// Creates a backend for one call. `entry` is `None` if the call is not in the journal.
    pub fn new(
        session: &'a Session<'a>,
        journal: &'a Journal,
        entry: Option<Entry>,
        report: &'a dyn Fn(Report),
    ) -> Self {
        Self {
            session,
            recorder: Recorder {
                journal,
                entry,
                unrecorded: None,
            },
            until: None,
            report,
        }
    }

    async fn get(&self, url: &Url) -> Result<Response> {
        let deadline = Instant::now() + READ_TIMEOUT;
        let deadline = self.until.map_or(deadline, |until| until.min(deadline));
        self.session.get(url, deadline).await
    }
}

impl Backend for Live<'_> {
    async fn post(
        &mut self,
        reserver: &Reserver,
        token: &Secret,
        connect_by: Instant,
    ) -> Result<Response, SendError> {
        let post = CallPost {
            body: &reserver.entry.request,
            key: &reserver.entry.key,
            token,
            connect_by,
            deadline: Instant::now() + RESPONSE_TIMEOUT,
        };
        let hook = reserver.clone();
        let reserve = async move { hook.reserve(Timestamp::now()).await };
        self.session.http.post_call(&post, reserve).await
    }

    async fn renew(&mut self, rejected: &Secret) -> Result<Secret> {
        let by = Instant::now() + RENEW_TIMEOUT;
        self.session.renew(rejected, by).await
    }

    async fn find(&mut self) -> Result<Finding> {
        let Some(entry) = &self.recorder.entry else {
            return Ok(Finding::NotListed);
        };
        let url = history_url(self.session.http.base(), SEARCH_SIZE, 0);
        let page = self.get(&url).await?.page()?.value;
        let clock_difference = Lookup::of_page(&page).clock_difference;
        // Ignore a read error: `claim` checks later that no other key has the ID.
        let contents = self.recorder.journal.read().unwrap_or_default();
        let listed = page.calls.iter().map(|(_, call)| call);
        Ok(find(entry, listed, &contents, clock_difference))
    }

    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>> {
        let url = call_url(self.session.http.base(), id, None);
        self.get(&url).await?.this_call(id)
    }

    async fn record(&mut self, change: Change) -> bool {
        let progress = match &change {
            Change::Lost(why) => Some(Progress::Lost(why.to_string())),
            Change::Unreachable(why) => Some(Progress::Retrying(why.to_string())),
            Change::Running(_) => Some(Progress::Running),
            _ => None,
        };
        let recorded = self.recorder.record(change, Timestamp::now()).await;
        if let Some(progress) = progress {
            (self.report)(Report::Progress(progress));
        }
        recorded.unwrap_or_else(|error| {
            (self.report)(Report::Warning(error.to_string()));
            true
        })
    }
}

/// Records changes to one call in the journal.
pub struct Recorder<'a> {
    pub journal: &'a Journal,
    /// The call's entry, or `None` if the call is not in the journal.
    pub entry: Option<Entry>,
    /// The last change, if it could not be recorded.
    pub unrecorded: Option<Change>,
}

impl<'a> Recorder<'a> {
    /// Records a change. If the previous change could not be recorded, retries that one first.
    /// Returns `false` if a search found an ID that is already recorded under another key.
    pub async fn record(&mut self, change: Change, now: Timestamp) -> Result<bool> {
        self.retry_unrecorded(now).await;
        let recorded = self.try_record(&change, now).await;
        if recorded.is_err() {
            self.unrecorded = Some(change);
        }
        recorded
    }

    pub async fn retry_unrecorded(&mut self, now: Timestamp) {
        if let Some(change) = self.unrecorded.take() {
            let recorded = self.try_record(&change, now).await;
            self.unrecorded = recorded.is_err().then_some(change);
        }
    }

    async fn try_record(&self, change: &Change, now: Timestamp) -> Result<bool> {
        let Some(entry) = &self.entry else {
            return Ok(true);
        };
        if let Change::Found(id) = change {
            return self.journal.claim(entry, id).await;
        }
        let changing = self.journal.change(entry, |it| apply(it, change, now));
        changing.await.map(|()| true)
    }
}

/// Applies a change to `entry`. Only the response to the request may replace a recorded ID.
fn apply(entry: &mut Entry, change: &Change, now: Timestamp) {
    let is_other = |entry: &Entry, id| entry.call_id.is_some() && !entry.has_id(id);
    match change {
        Change::Lost(error) => entry.set_failed(State::Lost, error),
        Change::NotMade(error) => entry.set_failed(State::NotMade, error),
        Change::Accepted(call) => entry.set_call(call, now),
        Change::Ended(call) if !is_other(entry, &call.value.call_id) => entry.set_call(call, now),
        Change::Running(id) if !is_other(entry, id.as_str()) => entry.set_running(id),
        Change::Running(_) | Change::Found(_) | Change::Ended(_) | Change::Unreachable(_) => {}
    }
}
