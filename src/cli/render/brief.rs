//! A history in as few characters as tell its calls apart: for readers that pay for each.

use std::collections::HashSet;

use serde::Serialize;

use super::View;
use super::call::short_id;
use crate::error::Result;
use crate::output;
use crate::service::{Call, HistoryEnd, HistoryPart, HistoryQuery};

/// A call on one line.
#[derive(Serialize)]
struct BriefCall<'a> {
    id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    business: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
}

/// The most columns of a summary.
const SUMMARY: usize = 40;

/// Shows a part: the lines of one JSON document.
pub fn part(view: &View<'_>, query: &HistoryQuery, part: &HistoryPart, shown: &mut u64) -> Result<()> {
    let mut seen = HashSet::new();
    // The beginning of an ID is looked up among the newest calls only.
    let is_short = !query.all && part.calls.iter().all(|(_, call)| seen.insert(short_id(&call.call_id)));
    for (_, call) in &part.calls {
        view.out.raw_text(if *shown == 0 { "{\"calls\":[\n" } else { ",\n" })?;
        *shown += 1;
        view.out.compact(&line(call, is_short))?;
    }
    Ok(())
}

fn line(call: &Call, is_short: bool) -> BriefCall<'_> {
    BriefCall {
        id: if is_short { short_id(&call.call_id) } else { &call.call_id },
        status: call.status_name(),
        when: call.created_at().map(|at| at.strftime("%Y-%m-%dT%H:%MZ").to_string()),
        number: call.number(),
        business: call.business(),
        summary: call.summary().or(call.task()).map(|text| output::brief(text, SUMMARY)),
    }
}

/// Ends the document.
pub fn finish(view: &View<'_>, query: &HistoryQuery, end: HistoryEnd, shown: u64) -> Result<()> {
    let total = end.total.filter(|_| !query.is_filtered()).unwrap_or(end.listed);
    let beginning = if shown == 0 { "{\"calls\":[" } else { "\n" };
    view.out.raw_text(&format!("{beginning}],\"total\":{total}}}\n"))
}
