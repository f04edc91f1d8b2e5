//! Lists calls, with paging and filters.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::draft::ignored_tz;
use super::read::read_page;
use super::{READ_TIMEOUT, Service};
use crate::api::{Call, Page, Parsed};
use crate::domain::{Invalid, PastDay, StatusFilter, Zone, collapse_whitespace, parse_text};
use crate::error::Result;
use crate::settings::Settings;

/// The highest number of calls that the API returns in one page.
pub(super) const MAX_PAGE: u16 = 200;

/// The options of `kallyai history`, for both the command line and the MCP tool.
#[derive(Debug, Clone, Default, clap::Args, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryQuery {
    /// Show at most N calls (1 to 200) [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    #[schemars(
        range(min = 1, max = 200),
        description = "Show at most N calls [default: 10]"
    )]
    pub limit: Option<u16>,

    /// Skip the newest N calls
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    #[schemars(description = "Skip the newest N calls (use next_offset from the previous page)")]
    pub offset: u64,

    /// Show all calls
    #[arg(long)]
    #[serde(skip)]
    pub all: bool,

    /// Show only calls with one of these statuses
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',')]
    #[schemars(with = "Vec<String>", description = STATUSES)]
    pub status: Vec<StatusFilter>,

    /// Show only calls since DAY (2027-01-28, friday, 7d)
    #[arg(long, value_name = "DAY")]
    #[schemars(with = "Option<String>")]
    pub since: Option<PastDay>,

    /// Show only calls up to and including DAY
    #[arg(long, value_name = "DAY")]
    #[schemars(with = "Option<String>")]
    pub until: Option<PastDay>,

    /// Show only calls that contain this text
    #[arg(long, value_name = "TEXT", value_parser = parse_text)]
    pub search: Option<String>,

    /// Time zone of since and until
    #[arg(skip)]
    #[schemars(with = "Option<String>")]
    pub timezone: Option<Zone>,
}

const STATUSES: &str = "Show only calls with these statuses: success, no_answer, busy, failed, \
    voicemail, cancelled, terminated, in_progress, scheduled, or unsuccessful for every final \
    status except success";

impl HistoryQuery {
    fn limit(&self) -> u16 {
        self.limit.unwrap_or(10)
    }
}

#[derive(Debug, Default)]
pub struct History {
    /// The calls, newest first. Each is stored as received and as parsed.
    pub calls: Vec<(Box<RawValue>, Call)>,
    /// The service's response body, if one page was requested without a filter.
    pub page: Option<Vec<u8>>,
    /// The total number of calls that match the filter, if known.
    pub total: Option<u64>,
    /// The offset of the next page, if there may be more calls.
    pub next_offset: Option<u64>,
    /// How many calls in the response could not be parsed.
    pub unreadable: usize,
    /// The statuses of all calls that were read, for the error if no call matches.
    pub statuses: BTreeSet<String>,
}

impl Service<'_> {
    pub async fn history(&self, query: &HistoryQuery) -> Result<History> {
        let filter = self.filter(query)?;
        self.signed_in(READ_TIMEOUT, async |session, deadline| {
            if filter.is_empty() && !query.all {
                let page = read_page(session, query.limit(), query.offset, deadline).await?;
                return Ok(single_page(page, query));
            }
            // Give each page its own time limit.
            let page = async |offset| {
                let deadline = self.deadline(READ_TIMEOUT);
                Ok(read_page(session, MAX_PAGE, offset, deadline).await?.value)
            };
            refuse_unknown_status(query, walk(query, &filter, page).await?)
        })
        .await
    }

    /// Builds the filter. Rejects relative days if the user's time zone is uncertain.
    fn filter(&self, query: &HistoryQuery) -> Result<Filter> {
        let mut filter = Filter {
            statuses: query.status.clone(),
            search: query.search.as_deref().map(searchable),
            ..Filter::default()
        };
        if query.since.is_none() && query.until.is_none() {
            return Ok(filter);
        }
        let zone = query.timezone.as_ref().or(self.options.timezone.as_ref());
        let local = Settings::zone(zone.cloned())?;
        (ignored_tz(&local).iter()).for_each(|text| self.notices.warn("ignored_tz", text));
        let today = local.zone.today(Timestamp::now());
        let day = |PastDay(day)| local.check(day).map(|()| day.resolve(today));
        let since = query.since.map(day).transpose()?;
        let until = query.until.map(day).transpose()?;
        filter.since = since.map(|date| local.zone.start_of(date));
        let next_day = until.and_then(|date| date.tomorrow().ok());
        filter.before = next_day.map(|date| local.zone.start_of(date));
        Ok(filter)
    }
}

/// Returns an error if a status is neither known nor in the user's history: it is probably a typo.
/// Skips the check after the first page, because a valid status may be missing from later pages.
fn refuse_unknown_status(query: &HistoryQuery, history: History) -> Result<History> {
    let seen: Vec<&str> = history.statuses.iter().map(String::as_str).collect();
    let is_unknown = |it: &&StatusFilter| !it.is_known() && !seen.contains(&it.as_str());
    let mut unknown = query.status.iter().filter(is_unknown);
    let (Some(status), 0, false) = (unknown.next(), query.offset, seen.is_empty()) else {
        return Ok(history);
    };
    let message = format!("no call has the status {}", status.as_str());
    Err(Invalid::new(message, format!("use one of these: {}", seen.join(", "))).into())
}

/// Converts a page that was read without a filter into a `History`.
fn single_page(page: Parsed<Page>, query: &HistoryQuery) -> History {
    let Parsed { value: page, raw } = page;
    let end = query.offset.saturating_add(page.len as u64);
    let is_full = page.len >= query.limit().into();
    let may_have_more = page.total.map_or(is_full, |total| end < total);
    History {
        page: Some(raw),
        total: page.total,
        next_offset: Some(end).filter(|_| may_have_more && page.len > 0),
        unreadable: page.len - page.calls.len(),
        statuses: BTreeSet::new(),
        calls: page.calls,
    }
}

/// Reads pages, starting at `query.offset`, until enough calls match or there are no more calls.
async fn walk(
    query: &HistoryQuery,
    filter: &Filter,
    mut page_at: impl AsyncFnMut(u64) -> Result<Page>,
) -> Result<History> {
    let limit = if query.all {
        usize::MAX
    } else {
        query.limit().into()
    };
    let mut history = History::default();
    let mut known = HashSet::new();
    let mut offset = query.offset;
    loop {
        let page = page_at(offset).await?;
        let end = offset.saturating_add(page.len as u64);
        let calls = || page.calls.iter().map(|(_, call)| call);
        // Stop at a page without new calls: the service may ignore the offset and repeat a page.
        let is_known = calls().all(|call| known.contains(&call.call_id));
        let is_too_old = calls().all(|call| filter.is_before(call));
        let is_last = is_known || is_too_old || page.total.is_some_and(|total| end >= total);
        let statuses = calls().map(|call| call.status_name());
        history.statuses.extend(statuses);
        history.unreadable += page.len - page.calls.len();
        // Count only the parsed calls. That may make `next_offset` too small, but it is better to
        // read a call twice than to skip one.
        for (n, item) in (1..).zip(page.calls) {
            // If a call is made between two requests, the next page repeats some calls.
            let is_repeated = !known.insert(item.1.call_id.clone());
            if is_repeated || !filter.matches(&item.1) {
                continue;
            }
            if history.calls.len() == limit {
                return Ok(history);
            }
            history.calls.push(item);
            history.next_offset = Some(offset.saturating_add(n));
        }
        if is_last {
            history.next_offset = None;
            let count = history.calls.len() as u64;
            let count = Some(count).filter(|_| query.offset == 0);
            history.total = page.total.filter(|_| filter.is_empty()).or(count);
            return Ok(history);
        }
        if history.calls.len() == limit {
            return Ok(history);
        }
        offset = end;
    }
}

/// The filters of a query, with days resolved to times.
#[derive(Default)]
struct Filter {
    statuses: Vec<StatusFilter>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    search: Option<String>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        let has_days = self.since.is_some() || self.before.is_some();
        self.statuses.is_empty() && !has_days && self.search.is_none()
    }

    fn matches(&self, call: &Call) -> bool {
        let has_days = self.since.is_some() || self.before.is_some();
        let is_within = |at| {
            self.since.is_none_or(|since| at >= since) && self.before.is_none_or(|end| at < end)
        };
        let mut statuses = self.statuses.iter();
        (self.statuses.is_empty()
            || statuses.any(|status| status.matches(call.status().as_ref(), call.is_running())))
            && call.created_at().map_or(!has_days, is_within)
            && self
                .search
                .as_deref()
                .is_none_or(|text| contains(call, text))
    }

    /// Returns whether this call, and so every call after it in the list, is older than `since`.
    fn is_before(&self, call: &Call) -> bool {
        let times = call.created_at().zip(self.since);
        times.is_some_and(|(created, since)| created < since)
    }
}

fn searchable(text: &str) -> String {
    collapse_whitespace(&text.to_lowercase())
}

/// Returns whether a call contains the search text. Phone numbers are compared by their digits.
fn contains(call: &Call, wanted: &str) -> bool {
    let is_number = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_digit() || "+-(). ".contains(c))
    };
    let digits = |text: &str| text.replace(|c: char| !c.is_ascii_digit(), "");
    let number = call.number().map(digits).unwrap_or_default();
    let wanted_number = digits(wanted);
    if is_number(wanted) && !wanted_number.is_empty() && number.contains(&wanted_number) {
        return true;
    }
    let steps = call.text("/next_steps");
    let texts = [call.business(), call.task(), call.summary(), steps];
    texts
        .into_iter()
        .flatten()
        .any(|text| searchable(text).contains(wanted))
}

#[cfg(test)]
mod tests;
