//! Reading calls and the account.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesOrdered;
use jiff::Timestamp;

use super::connection::Connection;
use super::{READ_TIMEOUT, Service};
use crate::api::{
    BillingPortal, Call, Client, Page, Parsed, Response, Subscription, TokenProvider as _, Usage,
};
use crate::auth::{LoginState, Session};
use crate::domain::{CallId, CallRef, comparable};
use crate::error::{Error, Kind, Result};

/// Which calls of the history.
#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// How many calls, 1 to 200; with `all`, how many a page.
    pub limit: Option<u16>,
    /// How many of the newest to leave out.
    pub offset: Option<u64>,
    /// Every page.
    pub all: bool,
    /// Only those of this status.
    pub status: Option<String>,
    /// Only those that were requested at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those in which this text occurs: in the business, the number, the task or what came of it. Case and white
    /// space do not matter.
    pub search: Option<String>,
}

/// How many calls are listed where nobody says.
const USUAL_LIMIT: u16 = 10;
/// The most that the API gives at once.
const LARGEST_PAGE: u16 = 200;
/// How many pages are on their way at a time where all are wanted.
const PAGES_UNDER_WAY: usize = 4;
/// The newest calls, among which the beginning of an ID must be unique.
const SEARCHED: u16 = 200;

/// A part of the history: a page, as it came and without what the query leaves out.
pub struct HistoryPart {
    /// The whole answer, where it is one page that was asked for as it is.
    pub whole: Option<Vec<u8>>,
    /// The calls, newest first.
    pub calls: Vec<(Box<serde_json::value::RawValue>, Call)>,
    /// How many items could not be read.
    pub unreadable: usize,
    /// The statuses of those that the query left out.
    pub statuses: Vec<String>,
}

/// What is known of a history when it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryEnd {
    /// How many calls were listed.
    pub listed: u64,
    /// How many there are in all, where the service said it.
    pub total: Option<u64>,
    /// The offset of the first call that was not read.
    pub next_offset: u64,
    /// Whether every call was read.
    pub is_whole: bool,
}

impl HistoryQuery {
    fn is_one_page(&self) -> bool {
        !self.all && !self.is_filtered()
    }

    /// Whether some calls are left out for what they are.
    pub fn is_filtered(&self) -> bool {
        self.status.is_some() || self.since.is_some() || self.search.is_some()
    }

    fn takes(&self, call: &Call) -> bool {
        self.status.as_deref().is_none_or(|wanted| is_same_status(wanted, call.status_name()))
            && !self.is_before(call)
            && self.search.as_deref().is_none_or(|wanted| holds(call, wanted))
    }

    fn is_before(&self, call: &Call) -> bool {
        self.since.zip(call.created_at()).is_some_and(|(since, created)| created < since)
    }
}

/// Whether a status is meant by what was written: as the API writes it, or as it reads in words.
fn is_same_status(wanted: &str, name: &str) -> bool {
    let plain = |text: &str| text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    plain(wanted) == plain(name)
}

/// Whether a text occurs in what is told of a call.
fn holds(call: &Call, wanted: &str) -> bool {
    let wanted = comparable(wanted);
    // A number is looked for as it is written, too.
    let digits: String = wanted.chars().filter(|c| !" -.()".contains(*c)).collect();
    let texts = [call.business(), call.task(), call.summary(), call.next_steps.as_deref()];
    texts.into_iter().flatten().any(|text| comparable(text).contains(&wanted))
        || call.number().is_some_and(|number| !digits.is_empty() && number.contains(&digits))
}

impl Service<'_> {
    /// Reads the history and hands it over part by part, so that memory holds one.
    ///
    /// # Errors
    /// When it cannot be read, and the first of `each`.
    pub async fn history(
        &self,
        query: &HistoryQuery,
        mut each: impl FnMut(HistoryPart) -> Result<()>,
    ) -> Result<HistoryEnd> {
        self.signed_in(READ_TIMEOUT, async |client| {
            if query.is_one_page() {
                let offset = query.offset.unwrap_or_default();
                let page = client.history(query.limit.unwrap_or(USUAL_LIMIT), query.offset).await?;
                let (len, total) = (page.value.len as u64, page.value.total);
                each(HistoryPart {
                    whole: Some(page.raw),
                    unreadable: page.value.len - page.value.calls.len(),
                    calls: page.value.calls,
                    statuses: Vec::new(),
                })?;
                let next_offset = offset + len;
                let is_whole = total.is_none_or(|total| next_offset >= total);
                return Ok(HistoryEnd { listed: len, total, next_offset, is_whole });
            }
            self.walk(query, client, &mut each).await
        })
        .await
    }

    /// Page after page, until there are enough calls or no more. Where every page is wanted and the service says how
    /// many calls there are, several pages are on their way at a time.
    async fn walk(
        &self,
        query: &HistoryQuery,
        client: &Client<'_, Session<'_>>,
        each: &mut impl FnMut(HistoryPart) -> Result<()>,
    ) -> Result<HistoryEnd> {
        let mut wanted = (!query.all).then(|| usize::from(query.limit.unwrap_or(USUAL_LIMIT)));
        let mut pages = Pages::new(client, query);
        let mut end = HistoryEnd { listed: 0, total: None, next_offset: pages.next_offset, is_whole: false };
        // The IDs of the page before: calls move down the list as new ones are placed.
        let mut before: HashSet<String> = HashSet::new();
        while !end.is_whole && wanted != Some(0) {
            client.set_deadline(self.deadline(READ_TIMEOUT));
            let Page { calls, len, total, .. } = pages.next().await?;
            end.next_offset = pages.next_offset;
            end.total = total.or(end.total);
            let ids: HashSet<String> = calls.iter().map(|(_, call)| call.call_id.clone()).collect();
            // A server that knows no offset would give the same page for ever.
            end.is_whole = ids.is_subset(&before) || end.total.is_some_and(|total| end.next_offset >= total);
            // The newest come first: behind a page of older calls there is none of those wanted.
            end.is_whole |= !calls.is_empty() && calls.iter().all(|(_, call)| query.is_before(call));
            let unreadable = len - calls.len();
            let new = calls.into_iter().filter(|(_, call)| !before.contains(&call.call_id));
            let (taken, left_out): (Vec<_>, Vec<_>) = new.partition(|(_, call)| query.takes(call));
            let mut statuses: Vec<String> =
                left_out.iter().map(|(_, call)| call.status_name().to_owned()).collect();
            statuses.sort();
            statuses.dedup();
            end.is_whole &= wanted.is_none_or(|wanted| taken.len() <= wanted);
            let chosen: Vec<_> = taken.into_iter().take(wanted.unwrap_or(usize::MAX)).collect();
            end.listed += chosen.len() as u64;
            wanted = wanted.map(|wanted| wanted - chosen.len());
            each(HistoryPart { whole: None, calls: chosen, unreadable, statuses })?;
            before = ids;
        }
        Ok(end)
    }

    /// The newest calls, where they can be had without a renewal of the login.
    ///
    /// # Errors
    /// When nobody is signed in, or they cannot be read.
    pub async fn newest_calls(&self) -> Result<Vec<Call>> {
        const SHOWN: u16 = 20;
        let not_signed_in = || Error::new(Kind::NotSignedIn, "you are not signed in");
        // The emulator would make the sandbox's folder.
        if self.settings.sandbox && !self.settings.token_file()?.exists() {
            return Err(not_signed_in());
        }
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        if !matches!(session.state()?, LoginState::Given | LoginState::Valid { .. }) {
            return Err(not_signed_in());
        }
        let deadline = self.deadline(READ_TIMEOUT);
        let token = session.token(deadline).await?;
        let as_given = Session::new(Some(token), connection.store.clone(), &connection.http, None, |_| {});
        let page = Client::new(&connection.http, &as_given, deadline).history(SHOWN, None).await?.value;
        Ok(page.calls.into_iter().map(|(_, call)| call).collect())
    }

    /// One call.
    ///
    /// # Errors
    /// When it cannot be read, or is no single call.
    pub async fn call(&self, call: &CallRef) -> Result<Parsed<Call>> {
        self.signed_in(READ_TIMEOUT, async |client| Ok(client.call(&find(client, call).await?).await?)).await
    }

    /// A call's conversation, as it came.
    ///
    /// # Errors
    /// When it cannot be read, or there is none.
    pub async fn transcript(&self, call: &CallRef) -> Result<Response> {
        self.signed_in(READ_TIMEOUT, async |client| {
            let id = find(client, call).await?;
            client.transcript(&id).await.map_err(|error| Error::from(error).about_call(&id))
        })
        .await
    }

    /// A call's appointment: the bytes of an iCalendar file.
    ///
    /// # Errors
    /// When it cannot be read, or there is none.
    pub async fn calendar(&self, call: &CallRef) -> Result<Vec<u8>> {
        self.signed_in(READ_TIMEOUT, async |client| {
            let id = find(client, call).await?;
            client.calendar(&id).await.map_err(|error| Error::from(error).about_call(&id))
        })
        .await
    }

    /// What of the plan is used.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn usage(&self) -> Result<Parsed<Usage>> {
        self.signed_in(READ_TIMEOUT, async |client| Ok(client.usage().await?)).await
    }

    /// The plan and its renewal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn subscription(&self) -> Result<Parsed<Subscription>> {
        self.signed_in(READ_TIMEOUT, async |client| Ok(client.subscription().await?)).await
    }

    /// Where the account's billing is managed, for one visit.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn billing_portal(&self) -> Result<OpenPortal> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        connection.sign_in_if_absent(self, &session, true).await?;
        let client = Client::new(&connection.http, &session, self.deadline(READ_TIMEOUT));
        let portal = client.billing_portal().await?;
        drop(session);
        Ok(OpenPortal { portal, connection })
    }
}

/// The billing portal. In the sandbox its page is there until this is dropped.
pub struct OpenPortal {
    /// Where it is.
    pub portal: Parsed<BillingPortal>,
    connection: Connection,
}

impl OpenPortal {
    /// Whether the page is the sandbox's.
    pub fn is_emulated(&self) -> bool {
        self.connection.is_emulated()
    }
}

/// The pages of the history in order.
struct Pages<'a> {
    client: &'a Client<'a, Session<'a>>,
    /// How many calls a page is asked for.
    size: u16,
    /// How many pages may be on their way, or wait unread, at a time.
    window: usize,
    under_way: FuturesOrdered<LocalBoxFuture<'a, Result<(u64, Response)>>>,
    /// The offset behind the last page that came.
    next_offset: u64,
    /// The offset of the next page to be asked for.
    unasked: u64,
    /// How many calls the service gives at once, once that is known.
    step: Option<u64>,
    total: Option<u64>,
}

impl<'a> Pages<'a> {
    fn new(client: &'a Client<'a, Session<'a>>, query: &HistoryQuery) -> Self {
        let offset = query.offset.unwrap_or_default();
        Self {
            client,
            size: query.limit.filter(|_| query.all).unwrap_or(LARGEST_PAGE),
            window: if query.all { PAGES_UNDER_WAY } else { 1 },
            under_way: FuturesOrdered::new(),
            next_offset: offset,
            unasked: offset,
            step: None,
            total: None,
        }
    }

    async fn next(&mut self) -> Result<Page> {
        loop {
            self.ask();
            let Some(page) = self.under_way.next().await else { continue };
            let (offset, response) = page?;
            let page = response.page()?.value;
            let len = page.len as u64;
            self.next_offset = offset + len;
            self.total = page.total.or(self.total);
            // The first page tells how many calls the service gives; a shorter one leaves a gap before the next.
            if self.step.is_none_or(|step| len < step) {
                self.step = Some(len.max(1));
                self.unasked = self.next_offset;
                self.under_way.clear();
            }
            return Ok(page);
        }
    }

    /// Asks for what may be on its way: one page until it is known how many there are.
    fn ask(&mut self) {
        let (client, size) = (self.client, self.size);
        let is_known = |offset: u64| self.total.is_some_and(|total| offset < total);
        while self.under_way.is_empty() || (self.under_way.len() < self.window && is_known(self.unasked)) {
            let offset = self.unasked;
            let page = async move {
                Ok((offset, client.history_response(size, (offset > 0).then_some(offset)).await?))
            };
            self.under_way.push_back(Box::pin(page));
            self.unasked += self.step.unwrap_or(size.into());
        }
    }
}

/// The ID that a reference points at.
async fn find(client: &Client<'_, Session<'_>>, call: &CallRef) -> Result<CallId> {
    let limit = match call {
        CallRef::Id(id) => return Ok(id.clone()),
        CallRef::Last(back) => u16::from(*back) + 1,
        CallRef::Prefix(_) => SEARCHED,
    };
    let page = client.history(limit, None).await?.value;
    let mut ids: Vec<&String> = page.calls.iter().map(|(_, call)| &call.call_id).collect();
    // A page that grew while it was made lists a call twice.
    ids.dedup();
    if ids.is_empty() {
        return Err(Error::new(Kind::NoCalls, "there are no calls yet"));
    }
    let not_found = |message: String| Err(Error::new(Kind::CallNotFound, message));
    let prefix = match call {
        CallRef::Id(id) => return Ok(id.clone()),
        CallRef::Last(back) => {
            return match ids.get(usize::from(*back)) {
                Some(id) => Ok(id.parse()?),
                None if ids.len() == 1 => not_found("there is only one call".into()),
                None => not_found(format!("there are only {} calls", ids.len())),
            };
        }
        CallRef::Prefix(prefix) => prefix,
    };
    ids.retain(|id| id.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
    match ids.as_slice() {
        [id] => Ok(id.parse()?),
        [] => not_found(format!("none of the newest {SEARCHED} calls begins with {prefix}")),
        several => {
            let list = several.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
            not_found(format!("{} calls begin with {prefix}: {list}", several.len()))
        }
    }
}
