//! The backend of `run` for the real service and the real journal.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::entry::Lookup;
use super::find::{Finding, find};
use super::journal::Journal;
use super::record::{Recorder, Reserver, Shared};
use super::run::{Backend, Change};
use super::worker::{Progress, Report};
use crate::api::{Call, CallPost, Parsed, Response, SendError, call_url, history_url};
use crate::auth::Session;
use crate::domain::{CallId, Key, Secret};
use crate::error::{Error, Kind, Result};

/// The API responds only when the phone call has ended.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The time limit of one lookup.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
const RENEW_TIMEOUT: Duration = Duration::from_secs(30);
/// How many calls a lookup reads. A lost call is among the newest.
const SEARCHED: u16 = 200;

/// One call through the real service.
pub struct Live<'a> {
    session: &'a Session<'a>,
    pub recorder: Recorder<'a>,
    request: Option<Request>,
    /// When lookups must end.
    pub until: Option<Instant>,
    report: &'a dyn Fn(Report),
}

/// The request to send.
pub struct Request {
    pub json: Vec<u8>,
    pub key: Key,
    pub token: Secret,
    pub reserver: Reserver,
}

impl<'a> Live<'a> {
    /// `entry` is `None` for a call that is not in the journal.
    pub fn new(
        session: &'a Session<'a>,
        journal: &'a Journal,
        entry: Option<Shared>,
        request: Option<Request>,
        report: &'a dyn Fn(Report),
    ) -> Self {
        Self {
            session,
            recorder: Recorder::new(journal, entry, request.is_some()),
            request,
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
    async fn post(&mut self, connect_by: Instant) -> Result<Response, SendError> {
        let Some(request) = &self.request else {
            let error = Error::new(Kind::OutcomeUnknown, "there is nothing to send");
            return Err(SendError::Lost(error));
        };
        let reserver = request.reserver.clone();
        let post = CallPost {
            json: &request.json,
            key: &request.key,
            token: &request.token,
            connect_by,
            deadline: Instant::now() + RESPONSE_TIMEOUT,
        };
        let reserve = async move { reserver.reserve(Timestamp::now()).await };
        self.session.http.post_call(&post, reserve).await
    }

    async fn renew(&mut self) -> Result<()> {
        if let Some(request) = &mut self.request {
            let by = Instant::now() + RENEW_TIMEOUT;
            request.token = self.session.renew(&request.token, by).await?;
        }
        Ok(())
    }

    async fn find(&mut self) -> Result<Finding> {
        let Some(entry) = self.recorder.entry.as_ref().map(Shared::get) else {
            return Ok(Finding::NotListed);
        };
        let url = history_url(self.session.http.base(), SEARCHED, 0);
        let page = self.get(&url).await?.page()?.value;
        let clock_difference = Lookup::of_page(&page).clock_difference;
        // If the journal cannot be read, `claim` still rejects an ID that another key has.
        let taken = self.recorder.journal.ids_of_others(&entry.key);
        let listed: Vec<&Call> = page.calls.iter().map(|(_, call)| call).collect();
        let taken = taken.unwrap_or_default();
        Ok(find(&entry, &listed, &taken, clock_difference))
    }

    async fn read(&mut self, id: &CallId) -> Result<Parsed<Call>> {
        let url = call_url(self.session.http.base(), id);
        self.get(&url).await?.this_call(id)
    }

    async fn record(&mut self, change: Change) -> bool {
        let recorded = self.recorder.record(&change, Timestamp::now()).await;
        let is_ours = *recorded.as_ref().unwrap_or(&true);
        let progress = match change {
            Change::Lost(why) => Some(Progress::Lost(why.to_string())),
            Change::Running(id) | Change::Found(id) => is_ours.then_some(Progress::Running(id)),
            Change::Unreachable(why) => Some(Progress::Retrying(why.to_string())),
            Change::Ended(_) | Change::NotMade(..) => None,
        };
        let progress = progress.map(Report::Progress);
        let failure = recorded
            .err()
            .map(|error| Report::Warning(error.to_string()));
        progress.into_iter().chain(failure).for_each(self.report);
        is_ours
    }
}
