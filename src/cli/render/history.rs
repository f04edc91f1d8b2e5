//! The history: a table, or a JSON list.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use super::super::hints::REHEARSAL;
use super::{View, brief, call as call_view};
use crate::domain::{STATUSES, nearest, shell_quoted};
use crate::error::Result;
use crate::output::{Cell, Column, JsonList, Line, Table, Tone};
use crate::service::Call;
use crate::service::{HistoryEnd, HistoryPart, HistoryQuery};

/// A history, shown as its parts come.
pub struct HistoryView<'a> {
    view: &'a View<'a>,
    query: &'a HistoryQuery,
    listing: Listing,
    json: JsonList<'a>,
    /// Whether the answer was passed on whole.
    is_passed_on: bool,
    unreadable: usize,
    /// One short line a call; how many were shown.
    brief: Option<u64>,
    /// The statuses of calls that were left out.
    statuses: BTreeSet<String>,
}

impl<'a> HistoryView<'a> {
    /// A history of which nothing is shown yet.
    pub fn new(view: &'a View<'a>, query: &'a HistoryQuery, brief: bool) -> Self {
        Self {
            view,
            query,
            brief: brief.then_some(0),
            statuses: BTreeSet::new(),
            listing: Listing::new(view),
            json: JsonList::new(view.out, "calls"),
            is_passed_on: false,
            unreadable: 0,
        }
    }

    /// Shows a part.
    pub fn part(&mut self, part: &HistoryPart) -> Result<()> {
        self.unreadable += part.unreadable;
        self.statuses.extend(part.statuses.iter().cloned());
        if let Some(shown) = &mut self.brief {
            return brief::part(self.view, self.query, part, shown);
        }
        if !self.view.out.is_json() {
            let calls = part.calls.iter().map(|(_, call)| call);
            return if part.calls.is_empty() { Ok(()) } else { self.listing.print(self.view, calls) };
        }
        match &part.whole {
            Some(raw) => {
                self.is_passed_on = true;
                self.view.out.document(raw)
            }
            None => self.json.extend(part.calls.iter().map(|(raw, _)| raw.get())),
        }
    }

    /// Ends it: what was left out is said.
    pub fn finish(self, end: HistoryEnd) -> Result<()> {
        let out = self.view.out;
        if self.unreadable > 0 {
            let text = format!("{} call(s) could not be read and are left out", self.unreadable);
            out.warn("unreadable_calls", &text);
        }
        if self.query.status.is_some() && end.listed == 0 && (out.is_json() || self.brief.is_some()) {
            out.warn("no_match", &self.seen());
        }
        if let Some(shown) = self.brief {
            return brief::finish(self.view, self.query, end, shown);
        }
        if out.is_json() {
            if self.is_passed_on {
                return Ok(());
            }
            let total = if self.query.is_filtered() { None } else { end.total };
            return self.json.finish(total.unwrap_or(end.listed));
        }
        if end.listed == 0 {
            return self.nothing();
        }
        let more = match (end.total, self.query.is_filtered()) {
            _ if end.is_whole => return Ok(()),
            (Some(total), false) => {
                let (behind, next) = (total.saturating_sub(end.next_offset), end.next_offset);
                format!("{behind} more of {total}: --offset {next} for the next, --all for every one")
            }
            _ => "There may be more: --limit N for as many, --all for every one".into(),
        };
        out.line(&Line::new().tone(Tone::Faint, &out.translate(&more)))
    }

    /// What there is, where no call has the status that was asked for; and which is probably meant.
    fn seen(&self) -> String {
        let status = self.query.status.as_deref().unwrap_or_default();
        let in_words = STATUSES.map(|status| self.view.out.translate(&status.replace('_', " ")).into_owned());
        let names = || STATUSES.into_iter().chain(in_words.iter().map(String::as_str));
        let is_one = names().any(|name| name == status) || self.statuses.contains(status);
        let meant = if is_one { None } else { nearest(status, names()).map(shell_quoted) };
        let others = self.statuses.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (others.as_str(), meant) {
            ("", None) => format!("There is no call of status {status}."),
            ("", Some(meant)) => {
                format!("There is no call of status {status}; did you mean --status {meant}?")
            }
            (others, None) => format!("There is no call of status {status}; those there are: {others}."),
            (others, Some(meant)) => {
                format!(
                    "There is no call of status {status}; those there are: {others}. Did you mean --status {meant}?"
                )
            }
        }
    }

    fn nothing(&self) -> Result<()> {
        let out = self.view.out;
        let seen = self.seen();
        let is_searched = self.query.search.is_some() || self.query.since.is_some();
        let said = match &self.query.status {
            _ if is_searched => "There is no such call.",
            Some(_) => &seen,
            None if self.query.offset.unwrap_or(0) > 0 => "There are no calls beyond these.",
            None => "There are no calls yet.",
        };
        out.line(&Line::new().text(&out.translate(said)))?;
        if !is_searched && self.query.status.is_none() && self.query.offset.is_none() {
            out.explain(&Line::new(), "This rehearses the first one, and no phone rings:");
            out.note_copyable(&Line::new().text("  ").text(&out.translate(REHEARSAL)));
        }
        Ok(())
    }
}

/// The table of calls, page by page.
struct Listing {
    table: Table,
}

impl Listing {
    fn new(view: &View<'_>) -> Self {
        let column = |heading, most, least, gives_way| {
            let heading = view.out.translate(heading);
            Column { heading, most, least, gives_way, wraps_below: false }
        };
        let called = (view.out.table_width() / 5).clamp(12, 30);
        let columns = vec![
            column("WHEN", 16, usize::MAX, Some(2)),
            column("STATUS", 13, 13, None),
            Column { wraps_below: true, ..column("CALLED", called, 8, Some(1)) },
            column("RESULT", usize::MAX, 16, Some(0)),
            column("ID", 36, 36, None),
        ];
        Self { table: Table::new(columns) }
    }

    fn print<'c>(&mut self, view: &View<'_>, calls: impl Iterator<Item = &'c Call> + Clone) -> Result<()> {
        let mut seen = HashSet::new();
        let distinct = calls.clone().all(|call| seen.insert(call_view::short_id(&call.call_id)));
        for call in calls {
            let id = if distinct { call_view::short_id(&call.call_id) } else { &call.call_id };
            self.table.row(vec![
                Cell::new(&call.created_at().map(|at| view.clock.brief_moment(at)).unwrap_or_default()),
                Cell::toned(
                    call_view::tone(call.status.as_ref()),
                    &call_view::status(view, call.status.as_ref()),
                ),
                Cell::new(call.business().or(call.number()).unwrap_or_default()),
                Cell::new(&call.summary().map_or(call.task().unwrap_or_default().into(), |summary| {
                    without_name(summary, call.business())
                })),
                Cell::new(id),
            ]);
        }
        view.out.table(&mut self.table)
    }
}

/// A summary without the name of the business at its beginning, which stands beside it.
fn without_name<'s>(summary: &'s str, business: Option<&str>) -> Cow<'s, str> {
    let behind = business.and_then(|name| summary.trim_start().strip_prefix(name.trim())).unwrap_or(summary);
    let rest = behind.trim_start_matches(|c: char| c.is_whitespace() || ":,;-–—".contains(c));
    let is_name = behind.len() < summary.trim_start().len() && !behind.starts_with(char::is_alphanumeric);
    let mut letters = rest.chars();
    match letters.next().filter(|_| is_name) {
        Some(first) => Cow::Owned(first.to_uppercase().chain(letters).collect()),
        None => Cow::Borrowed(summary),
    }
}

/// Shows an answer that is a page of the history.
#[cfg(any(test, fuzzing))]
pub fn one_page(view: &View<'_>, response: crate::service::Response) -> Result<()> {
    let query = HistoryQuery::default();
    let page = response.page()?;
    let mut shown = HistoryView::new(view, &query, false);
    let (listed, total) = (page.value.calls.len() as u64, page.value.total);
    let unreadable = page.value.len - page.value.calls.len();
    shown.part(&HistoryPart {
        whole: Some(page.raw),
        calls: page.value.calls,
        unreadable,
        statuses: Vec::new(),
    })?;
    shown.finish(HistoryEnd { listed, total, next_offset: listed, is_whole: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_does_not_repeat_the_business() {
        for (summary, shown) in [
            ("Casa Lucio: they have a table.", "They have a table."),
            ("Casa Lucio confirmed a table.", "Confirmed a table."),
            ("Casa Lucio – ¡sí!", "¡sí!"),
            ("Casa Lucio", "Casa Lucio"),
            ("Casa Lucios is closed.", "Casa Lucios is closed."),
            ("Booked at Casa Lucio.", "Booked at Casa Lucio."),
        ] {
            assert_eq!(without_name(summary, Some("Casa Lucio")), shown);
        }
        assert_eq!(without_name("Booked.", None), "Booked.");
        assert_eq!(without_name("", Some("")), "");
    }
}
