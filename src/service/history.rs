//! The list of calls: paging and filters.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::read::read_page;
use super::{READ_TIMEOUT, Service};
use crate::api::{Call, Page, Parsed};
use crate::domain::{Day, Invalid, PastDay, StatusFilter, collapse_whitespace};
use crate::error::Result;
use crate::settings::Settings;

/// The largest page that the API returns.
pub(super) const MAX_PAGE: u16 = 200;

#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// 1 to 200.
    pub limit: u16,
    /// How many of the newest calls to skip. Counts all calls, even with a filter.
    pub offset: u64,
    pub all: bool,
    /// Calls with any of these statuses; empty for all.
    pub statuses: Vec<StatusFilter>,
    /// The first and last day, inclusive, in the user's time zone.
    pub since: Option<PastDay>,
    pub until: Option<PastDay>,
    /// Text to find in the business, number, task, result or next steps.
    pub search: Option<String>,
}

#[derive(Debug, Default)]
pub struct History {
    /// Newest first, each as received and as parsed.
    pub calls: Vec<(Box<RawValue>, Call)>,
    /// The service's whole response, if it is one page without a filter.
    pub page: Option<Vec<u8>>,
    /// The number of calls, or of matches under a filter, if known.
    pub total: Option<u64>,
    /// The offset after the last call returned, if there may be more.
    pub next_offset: Option<u64>,
    /// How many items could not be read.
    pub unreadable: usize,
    /// The statuses of all calls read, for the message if none matches.
    pub statuses: BTreeSet<String>,
}

impl Service<'_> {
    pub async fn history(&self, query: &HistoryQuery) -> Result<History> {
        let filter = self.filter(query)?;
        self.signed_in(READ_TIMEOUT, async |session, deadline| {
            if filter.is_open() && !query.all {
                let page = read_page(session, query.limit, query.offset, deadline).await?;
                return Ok(single_page(page, query));
            }
            // The time limit is per page.
            let page = async |offset| {
                let deadline = self.deadline(READ_TIMEOUT);
                Ok(read_page(session, MAX_PAGE, offset, deadline).await?.value)
            };
            refuse_unknown_status(query, walk(query, &filter, page).await?)
        })
        .await
    }

    /// Resolves a query's days in the user's time zone. Relative days need a known time zone.
    fn filter(&self, query: &HistoryQuery) -> Result<Filter> {
        let mut filter = Filter {
            statuses: query.statuses.clone(),
            search: query.search.as_deref().map(searchable),
            ..Filter::default()
        };
        if query.since.is_none() && query.until.is_none() {
            return Ok(filter);
        }
        let local = Settings::zone(self.options.timezone.clone())?;
        let today = local.zone.today(Timestamp::now());
        let day = |PastDay(day): PastDay| match day {
            Day::On(date) => Ok(date),
            relative if !local.is_doubtful() => Ok(relative.resolve(today)),
            _ => Err(Invalid::new(
                "a relative day needs your time zone, and this computer's is UTC, which may just be the default",
                "write the day as YYYY-MM-DD, or add --timezone",
            )),
        };
        let since = query.since.map(day).transpose()?;
        let until = query.until.map(day).transpose()?;
        filter.since = since.map(|date| local.zone.start_of(date));
        let next_day = until.and_then(|date| date.tomorrow().ok());
        filter.before = next_day.map(|date| local.zone.start_of(date));
        Ok(filter)
    }
}

/// A status that is neither the API's nor in the user's history is a typo.
fn refuse_unknown_status(query: &HistoryQuery, history: History) -> Result<History> {
    let is_unknown = |status: &&StatusFilter| !status.is_known();
    let Some(status) = query.statuses.iter().find(is_unknown) else {
        return Ok(history);
    };
    if !history.calls.is_empty() || history.statuses.is_empty() {
        return Ok(history);
    }
    let seen: Vec<&str> = history.statuses.iter().map(String::as_str).collect();
    let message = format!("no calls with status {}", status.as_str());
    Err(Invalid::new(message, format!("your history has: {}", seen.join(", "))).into())
}

/// Reads one page without a filter.
fn single_page(page: Parsed<Page>, query: &HistoryQuery) -> History {
    let Parsed { value: page, raw } = page;
    let end = query.offset.saturating_add(page.len as u64);
    let is_full = page.len >= query.limit.into();
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

/// Reads pages from `query.offset` until there are enough calls or no more.
async fn walk(
    query: &HistoryQuery,
    filter: &Filter,
    mut page_at: impl AsyncFnMut(u64) -> Result<Page>,
) -> Result<History> {
    let limit = if query.all {
        usize::MAX
    } else {
        query.limit.into()
    };
    let mut history = History::default();
    let mut known = HashSet::new();
    let mut offset = query.offset;
    loop {
        let page = page_at(offset).await?;
        let end = offset.saturating_add(page.len as u64);
        let calls = || page.calls.iter().map(|(_, call)| call);
        // A service that ignores the offset returns the same calls again and again.
        let is_known = calls().all(|call| known.contains(&call.call_id));
        let is_too_old = calls().all(|call| filter.is_before(call));
        let is_last = is_known || is_too_old || page.total.is_some_and(|total| end >= total);
        history
            .statuses
            .extend(calls().map(|call| call.status_name().to_owned()));
        history.unreadable += page.len - page.calls.len();
        // Unreadable items do not advance the offset: better to read a call twice than to skip one.
        for (n, item) in (1..).zip(page.calls) {
            // A call made in between shifts the others, so the next page repeats some.
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
            history.total = page.total.filter(|_| filter.is_open()).or(count);
            return Ok(history);
        }
        if history.calls.len() == limit {
            return Ok(history);
        }
        offset = end;
    }
}

/// A query with its days resolved.
#[derive(Default)]
struct Filter {
    statuses: Vec<StatusFilter>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    search: Option<String>,
}

impl Filter {
    fn is_open(&self) -> bool {
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
            || statuses.any(|status| status.matches(call.status.as_ref(), call.is_running())))
            && call.created_at().map_or(!has_days, is_within)
            && self.search.as_deref().is_none_or(|text| holds(call, text))
    }

    /// Whether this call, and every later one on the list, is too old.
    fn is_before(&self, call: &Call) -> bool {
        let at = call.created_at();
        self.since
            .is_some_and(|since| at.is_some_and(|at| at < since))
    }
}

fn searchable(text: &str) -> String {
    collapse_whitespace(&text.to_lowercase())
}

/// Whether a call contains a search text. Numbers are compared by their digits.
fn holds(call: &Call, wanted: &str) -> bool {
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
    let steps = call.next_steps.as_deref();
    let texts = [call.business(), call.task(), call.summary(), steps];
    texts
        .into_iter()
        .flatten()
        .any(|text| searchable(text).contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the nth newest call. There is one on each day, and every third is busy.
    fn call(n: u64) -> (Box<RawValue>, Call) {
        let status = ["busy", "success", "success"][n as usize % 3];
        let day = 28 - n % 28;
        let json = format!(
            r#"{{"call_id":"{n}","status":"{status}","created_at":"2026-01-{day:02}T12:00:00Z"}}"#
        );
        let parsed = serde_json::from_str(&json).unwrap();
        (RawValue::from_string(json).unwrap(), parsed)
    }

    /// Returns a page from a history of `count` calls.
    fn page(offset: u64, count: u64, total: Option<u64>) -> Page {
        let calls: Vec<_> = (offset..count.min(offset + 7)).map(call).collect();
        Page {
            len: calls.len(),
            calls,
            total,
            date: None,
        }
    }

    fn busy(limit: u16, offset: u64) -> HistoryQuery {
        HistoryQuery {
            limit,
            offset,
            statuses: vec!["busy".parse().unwrap()],
            ..HistoryQuery::default()
        }
    }

    fn all() -> HistoryQuery {
        HistoryQuery {
            all: true,
            ..HistoryQuery::default()
        }
    }

    async fn walked(
        query: &HistoryQuery,
        since: Option<&str>,
        page_at: impl Fn(u64) -> Page,
    ) -> History {
        let filter = Filter {
            statuses: query.statuses.clone(),
            since: since.map(|since| since.parse().unwrap()),
            ..Filter::default()
        };
        let source = async |offset| Ok(page_at(offset));
        walk(query, &filter, source).await.unwrap()
    }

    fn ids(history: &History) -> Vec<u64> {
        let calls = history.calls.iter();
        calls
            .map(|(_, call)| call.call_id.parse().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn filtered_pages_never_skip_or_repeat() {
        for total in [Some(40), None] {
            for limit in [1, 2, 3, 5, 13, 14, 15] {
                let (mut listed, mut offset) = (Vec::new(), Some(0));
                while let Some(from) = offset {
                    let page_at = |offset| page(offset, 40, total);
                    let history = walked(&busy(limit, from), None, page_at).await;
                    listed.extend(ids(&history));
                    offset = history.next_offset;
                }
                assert_eq!(
                    listed,
                    (0..40).step_by(3).collect::<Vec<_>>(),
                    "limit {limit}"
                );
            }
        }
    }

    #[tokio::test]
    async fn matches_are_counted_only_if_all_were_read() {
        let page_at = |offset| page(offset, 40, None);
        assert_eq!(walked(&busy(200, 0), None, page_at).await.total, Some(14));
        assert_eq!(walked(&busy(3, 0), None, page_at).await.total, None);
        assert_eq!(walked(&busy(200, 1), None, page_at).await.total, None);
        let history = walked(&all(), None, page_at).await;
        assert_eq!((history.total, history.next_offset), (Some(40), None));
        assert_eq!(
            history.statuses,
            BTreeSet::from(["busy".into(), "success".into()])
        );
    }

    #[tokio::test]
    async fn ignored_offset_ends_the_walk() {
        let history = walked(&all(), None, |_| page(0, 40, Some(40))).await;
        assert_eq!((history.calls.len(), history.next_offset), (7, None));
    }

    #[tokio::test]
    async fn calls_that_move_down_are_listed_once() {
        // One call is made between the first and second page.
        let page_at = |offset: u64| page(offset.saturating_sub(1), 20, None);
        let history = walked(&all(), None, page_at).await;
        assert_eq!(ids(&history), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn older_calls_are_not_read_under_since() {
        let page_at = |offset| {
            assert!(offset <= 14, "page at {offset}");
            page(offset, 28, None)
        };
        let history = walked(&busy(200, 0), Some("2026-01-20T00:00:00Z"), page_at).await;
        assert_eq!((ids(&history), history.total), (vec![0, 3, 6], Some(3)));
    }

    #[test]
    fn statuses_and_searches_match_as_people_write_them() {
        let parsed = |json: &str| serde_json::from_str::<Call>(json).unwrap();
        let running = parsed(r#"{"call_id":"a","status":"ringing"}"#);
        let scheduled = parsed(r#"{"call_id":"a","status":"scheduled"}"#);
        let failed = parsed(
            r#"{"call_id":"a","status":"No Answer","to":"+1 (555) 123-4567","result_summary":"They\n  did NOT"}"#,
        );
        let is = |call: &Call, status: &str| {
            let filter: StatusFilter = status.parse().unwrap();
            filter.matches(call.status.as_ref(), call.is_running())
        };
        assert!(is(&running, "in_progress") && !is(&running, "unsuccessful"));
        assert!(is(&scheduled, "scheduled") && is(&scheduled, "in_progress"));
        assert!(is(&failed, "unsuccessful") && is(&failed, "no_answer") && !is(&failed, "busy"));
        for text in ["they did not", "555-1234", "(555) 123", "+15551234567"] {
            assert!(holds(&failed, &searchable(text)), "{text}");
        }
        assert!(!holds(&failed, "table 555") && !holds(&failed, "()"));
    }
}
