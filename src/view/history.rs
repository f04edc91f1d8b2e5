//! The view of the call history.

use super::time::moment;
use super::{Block, Column, Doc, Json, Table, View};
use crate::api::Call;
use crate::domain::{StatusFilter, Zone};
use crate::service::{History, HistoryQuery};

pub fn history(history: &History, query: &HistoryQuery, zone: &Zone) -> View {
    let calls: Vec<&Call> = history.calls.iter().map(|(_, call)| call).collect();
    let mut blocks = vec![Block::Table(table(&calls, zone))];
    match no_calls(history, query) {
        Some(text) if text == NO_CALLS => blocks.push(Block::Hint {
            text: format!("{text} Try a simulated one:"),
            command: Some(SIMULATED_CALL.into()),
        }),
        Some(text) => blocks.push(Block::Hint {
            text,
            command: None,
        }),
        None => blocks.extend(footer(history)),
    }
    View {
        doc: Doc { blocks },
        json: Json::Server(json(history)),
    }
}

const NO_CALLS: &str = "No calls yet.";
const SIMULATED_CALL: &str =
    r#"kallyai --sandbox call +15555550100 "Reserve a table for 4 at 8pm""#;

/// Explains why the list is empty. Returns `None` if it is not.
pub fn no_calls(history: &History, query: &HistoryQuery) -> Option<String> {
    if !history.calls.is_empty() {
        return None;
    }
    let has_days = query.since.is_some() || query.until.is_some();
    Some(if query.search.is_some() || has_days {
        "No matching calls.".into()
    } else if !query.statuses.is_empty() {
        let wanted: Vec<&str> = query.statuses.iter().map(StatusFilter::as_str).collect();
        let found: Vec<&str> = history.statuses.iter().map(String::as_str).collect();
        let found = match found.is_empty() {
            true => String::new(),
            false => format!(" (your history has: {})", found.join(", ")),
        };
        format!("No calls with status {}{found}.", wanted.join(" or "))
    } else if query.offset > 0 {
        "No more calls.".into()
    } else {
        NO_CALLS.into()
    })
}

fn footer(history: &History) -> Option<Block> {
    let next = history.next_offset?;
    let shown = history.calls.len();
    let of = history.total.map(|total| format!(" of {total}"));
    let of = of.unwrap_or_default();
    Some(Block::Hint {
        text: format!("Showing {shown}{of}. Next: --offset {next}. All: --all"),
        command: None,
    })
}

/// Returns the service's response if it is the whole result. Otherwise puts the service's call
/// objects into a list of our own.
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
    let column = |title, shrinks| Column {
        title,
        shrinks,
        is_status: title == "STATUS",
    };
    let ids: Vec<&str> = calls.iter().map(|call| &*call.call_id).collect();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let row = |call: &&Call| {
        let created = call.created_at();
        vec![
            created.map_or_else(String::new, |at| moment(at, zone)),
            text(call.business().or(call.number())),
            call.status_name().to_owned(),
            text(call.summary().or(call.task())),
            short_id(&call.call_id, &ids).to_owned(),
        ]
    };
    let plain_row = |call: &&Call| {
        vec![
            call.call_id.clone(),
            call.created_at()
                .map_or_else(String::new, |at| at.to_string()),
            text(call.number()),
            text(call.business()),
            call.status_name().to_owned(),
            text(call.summary()),
        ]
    };
    Table {
        columns: vec![
            column("WHEN", false),
            column("CALLED", true),
            column("STATUS", false),
            column("RESULT", true),
            column("ID", false),
        ],
        rows: calls.iter().map(row).collect(),
        plain_header: vec!["ID", "WHEN", "NUMBER", "BUSINESS", "STATUS", "RESULT"],
        plain_rows: calls.iter().map(plain_row).collect(),
    }
}

/// Returns the first 8 characters of a UUID if no other listed ID begins with them, otherwise the
/// whole ID.
fn short_id<'i>(id: &'i str, listed: &[&str]) -> &'i str {
    let is_uuid = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let short = id.get(..8).filter(|_| is_uuid);
    let is_unique = |short: &&str| listed.iter().filter(|id| id.starts_with(*short)).count() == 1;
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
        match view.doc.blocks.as_slice() {
            [Block::Table(_), Block::Hint { text, .. }] => text.clone(),
            _ => String::new(),
        }
    }

    #[test]
    fn footer_names_the_next_page() {
        let query = HistoryQuery::default();
        let mut history = listed(&["5e1e0001"]);
        assert_eq!(hint(&history, &query), "");
        history.next_offset = Some(7);
        assert_eq!(
            hint(&history, &query),
            "Showing 1. Next: --offset 7. All: --all"
        );
        history.total = Some(11);
        assert_eq!(
            hint(&history, &query),
            "Showing 1 of 11. Next: --offset 7. All: --all"
        );
    }

    #[test]
    fn empty_list_explains_why() {
        let mut history = listed(&[]);
        history.statuses = ["busy".to_owned(), "success".to_owned()].into();
        let mut query = HistoryQuery::default();
        assert_eq!(hint(&history, &query), "No calls yet. Try a simulated one:");
        query.offset = 10;
        assert_eq!(hint(&history, &query), "No more calls.");
        query.statuses = vec!["foo".parse().unwrap()];
        let expected = "No calls with status foo (your history has: busy, success).";
        assert_eq!(hint(&history, &query), expected);
        query.search = Some("x".into());
        assert_eq!(hint(&history, &query), "No matching calls.");
    }

    #[test]
    fn filtered_json_preserves_server_objects() {
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
