//! The view of the call history.

use std::collections::HashMap;

use super::time::moment;
use super::{Block, Style, Table, View};
use crate::api::Call;
use crate::domain::{StatusFilter, Zone};
use crate::service::{History, HistoryQuery};

pub fn history(history: &History, query: &HistoryQuery, zone: &Zone) -> View {
    let calls: Vec<&Call> = history.calls.iter().map(|(_, call)| call).collect();
    let mut blocks = vec![Block::Table(table(&calls, zone))];
    let why = no_calls(history, query);
    let (text, command) = match why.as_deref() {
        Some(NO_CALLS) => (Some(FIRST_CALL.into()), Some(SIMULATED_CALL.into())),
        _ => (why.or_else(|| footer(history)), None),
    };
    blocks.extend(text.map(|text| Block::Hint { text, command }));
    View::server(&json(history), blocks)
}

const NO_CALLS: &str = "No calls yet.";
const FIRST_CALL: &str = "No calls yet. Try a simulated one:";
const SIMULATED_CALL: &str =
    r#"kallyai --sandbox call +15555550100 "Reserve a table for 4 at 8pm""#;

/// Returns the reason why the list is empty, or `None` if the list is not empty.
pub fn no_calls(history: &History, query: &HistoryQuery) -> Option<String> {
    if !history.calls.is_empty() {
        return None;
    }
    let has_days = query.since.is_some() || query.until.is_some();
    Some(if query.search.is_some() || has_days {
        "No matching calls.".into()
    } else if !query.status.is_empty() {
        let wanted: Vec<&str> = query.status.iter().map(StatusFilter::as_str).collect();
        format!("No calls with status {}.", wanted.join(" or "))
    } else if query.offset > 0 {
        "No more calls.".into()
    } else {
        NO_CALLS.into()
    })
}

fn footer(history: &History) -> Option<String> {
    let next = history.next_offset?;
    let shown = history.calls.len();
    let of = history.total.map(|total| format!(" of {total}"));
    let of = of.unwrap_or_default();
    Some(format!(
        "Showing {shown}{of} calls. Next page: --offset {next}. All calls: --all"
    ))
}

/// Returns the service's response unchanged if it contains exactly the listed calls. Otherwise,
/// builds a list from the service's call objects.
fn json(history: &History) -> Vec<u8> {
    if let Some(page) = &history.page {
        return page.clone();
    }
    let calls = history.calls.iter().map(|(raw, _)| raw.get());
    let calls: Vec<&str> = calls.collect();
    let count = |name, value: Option<u64>| match value {
        Some(value) => format!(",\"{name}\":{value}"),
        None => String::new(),
    };
    let total = count("total", history.total);
    let next_offset = count("next_offset", history.next_offset);
    let calls = calls.join(",");
    format!("{{\"calls\":[{calls}]{total}{next_offset}}}").into_bytes()
}

fn table(calls: &[&Call], zone: &Zone) -> Table {
    let mut counts = HashMap::new();
    for start in calls.iter().filter_map(|call| call.call_id.get(..8)) {
        *counts.entry(start).or_default() += 1;
    }
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let row = |call: &&Call| {
        let created = call.created_at();
        vec![
            created.map_or_else(String::new, |at| moment(at, zone)),
            text(call.business().or(call.number())),
            call.status_name(),
            text(call.summary().or(call.task())),
            short_id(&call.call_id, &counts).to_owned(),
        ]
    };
    let plain_row = |call: &&Call| {
        vec![
            call.call_id.clone(),
            call.created_at()
                .map_or_else(String::new, |at| at.to_string()),
            text(call.number()),
            text(call.business()),
            call.status_name(),
            text(call.summary()),
        ]
    };
    let header = ["ID", "WHEN", "NUMBER", "BUSINESS", "STATUS", "RESULT"];
    let header = header.map(str::to_owned).to_vec();
    let plain_rows = calls.iter().map(plain_row);
    Table {
        columns: vec![
            ("When", Style::Fixed),
            ("Called", Style::Shrinks),
            ("Status", Style::Status),
            ("Result", Style::Shrinks),
            ("ID", Style::Fixed),
        ],
        rows: calls.iter().map(row).collect(),
        plain: std::iter::once(header).chain(plain_rows).collect(),
    }
}

/// Returns the first 8 characters of a UUID if no other listed ID begins with them, otherwise the
/// whole ID. `counts` holds the number of listed IDs that begin with the same 8 characters.
fn short_id<'i>(id: &'i str, counts: &HashMap<&str, usize>) -> &'i str {
    let is_uuid = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let short = id.get(..8).filter(|_| is_uuid);
    let is_unique = |short: &&str| counts.get(short) == Some(&1);
    short.filter(is_unique).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn listed(ids: &[&str]) -> History {
        let call = |id: &&str| {
            let json = format!(
                r#"{{"call_id":"{id}-55aa-4bbb-8ccc-0123456789ab","status":"busy", "created_at":"2026-12-01T19:00:00Z","x":1.0}}"#
            );
            let call = serde_json::from_str(&json).unwrap();
            (RawValue::from_string(json).unwrap(), call)
        };
        History {
            calls: ids.iter().map(call).collect(),
            ..History::default()
        }
    }

    fn hint(history: &History, query: &HistoryQuery) -> String {
        let view = super::history(history, query, &Zone::UTC);
        match view.blocks.as_slice() {
            [Block::Table(_), Block::Hint { text, .. }] => text.clone(),
            _ => String::new(),
        }
    }

    #[test]
    fn empty_history_explains_why_it_is_empty() {
        let history = listed(&[]);
        let mut query = HistoryQuery::default();
        assert_eq!(hint(&history, &query), "No calls yet. Try a simulated one:");
        query.offset = 10;
        assert_eq!(hint(&history, &query), "No more calls.");
        query.status = vec!["foo".parse().unwrap()];
        let expected = "No calls with status foo.";
        assert_eq!(hint(&history, &query), expected);
        query.search = Some("x".into());
        assert_eq!(hint(&history, &query), "No matching calls.");
    }

    #[test]
    fn filtering_history_does_not_change_the_json_of_a_call() {
        let mut history = listed(&["5e1e0001"]);
        history.next_offset = Some(1);
        let object = history.calls[0].0.get();
        let expected = format!(r#"{{"calls":[{object}],"next_offset":1}}"#);
        assert_eq!(String::from_utf8(json(&history)).unwrap(), expected);
    }

    #[test]
    fn ids_are_shortened_only_if_unique() {
        let ids = |history: &History| {
            let calls: Vec<&Call> = history.calls.iter().map(|(_, call)| call).collect();
            let rows = table(&calls, &Zone::UTC).rows;
            rows.iter().map(|row| row[4].len()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&listed(&["5e1e0001", "5e1e0002"])), [8, 8]);
        assert_eq!(ids(&listed(&["5e1e0001", "5e1e0001"])), [36, 36]);
    }
}
