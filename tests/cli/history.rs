//! Tests the `history` command: paging, filters and totals.

use serde_json::{Value, json};

use crate::support::{Home, Reply, Request, Run, Server, call, moment, says};
use crate::wire::words;

/// Returns the ID of call number `n`: a UUID that starts with `n` in hexadecimal.
fn id(n: usize) -> String {
    format!("{n:08x}-55aa-4bbb-8ccc-0123456789ab")
}

/// Returns `count` calls that were made one hour apart, newest first. Their statuses vary.
fn calls(count: usize) -> Vec<Value> {
    let one = |n: usize| {
        let status = match n {
            _ if n % 10 == 9 => "odd",
            _ if n.is_multiple_of(3) => "busy",
            _ => "success",
        };
        let mut object = call(&id(n), status);
        let at = moment(-3600 * n as i64);
        object["metadata"] = json!({ "created_at": at, "ended_at": at });
        object["submission"]["respondent_phone"] = json!(format!("+1555000{n:04}"));
        if n % 100 == 99 {
            object["submission"]["business_name"] = json!("Café  LUCÍA");
        }
        object
    };
    (0..count).map(one).collect()
}

fn param(request: &Request, name: &str, default: usize) -> usize {
    let query = request.target.split_once('?').unwrap_or_default().1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find(|pair| pair.0 == name);
    value.map_or(default, |(_, value)| value.parse().expect("a number"))
}

fn serving(calls: Vec<Value>) -> Server {
    Server::start(move |request| {
        let (limit, offset) = (param(request, "limit", 50), param(request, "offset", 0));
        let page: Vec<&Value> = calls.iter().skip(offset).take(limit).collect();
        Reply::json(200, &json!({ "calls": page, "total": calls.len() }))
    })
}

fn history(server: &Server, flags: &[&str]) -> Run {
    let home = Home::new();
    Run::of(home.at(server, ["history"]).args(flags))
}

/// Runs `history` with these flags and returns its JSON.
fn listed(server: &Server, flags: &[&str]) -> Value {
    history(server, &[flags, &["--json"]].concat())
        .exits(0)
        .json()
}

/// Returns the sequence number of each listed call, taken from the start of its ID (see [`id`]).
fn numbers(list: &Value) -> Vec<usize> {
    let calls = list["calls"].as_array().expect("a list").iter();
    let ids = calls.map(|call| call["call_id"].as_str().expect("an ID"));
    ids.map(|id| usize::from_str_radix(&id[..8], 16).expect("a number"))
        .collect()
}

#[test]
fn all_flag_merges_every_page_into_one_document() {
    let all = calls(450);
    let server = serving(all.clone());
    let expected = json!({ "calls": all, "total": 450 });
    assert_eq!(listed(&server, &["--all"]), expected);
    let targets = server.requests().into_iter().map(|request| request.target);
    let pages = ["", "&offset=200", "&offset=400"];
    let pages = pages.map(|offset| format!("/v1/calls?limit=200{offset}"));
    assert_eq!(targets.collect::<Vec<_>>(), pages);
    let text = history(&server, &["--all"]).exits(0);
    assert_eq!(text.stdout.lines().count(), 451);
}

#[test]
fn paging_through_filtered_calls_returns_every_match() {
    let server = serving(calls(450));
    let is_busy: fn(usize) -> bool = |n| n % 10 != 9 && n.is_multiple_of(3);
    let is_busy_or_odd: fn(usize) -> bool = |n| n % 10 == 9 || n.is_multiple_of(3);
    for (filter, matches) in [
        (["--status", "busy"], is_busy),
        (["--status", "busy,odd"], is_busy_or_odd),
        (["--status", "unsuccessful"], is_busy_or_odd),
        (["--search", "table"], |_| true),
    ] {
        let (mut found, mut offset) = (Vec::new(), Some("0".to_owned()));
        while let Some(from) = offset {
            let page = ["--limit", "70", "--offset", &from];
            let list = listed(&server, &[&filter[..], &page].concat());
            found.extend(numbers(&list));
            offset = list["next_offset"].as_u64().map(|next| next.to_string());
        }
        let expected = (0..450).filter(|n| matches(*n));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{filter:?}");
    }
}

#[test]
fn filtered_total_counts_all_matches_or_is_omitted() {
    let server = serving(calls(450));
    let total = |flags: &[&str]| listed(&server, flags)["total"].clone();
    assert_eq!(total(&["--status", "odd", "--limit", "200"]), 45);
    assert_eq!(total(&["--status", "odd", "--all"]), 45);
    assert_eq!(total(&["--status", "odd", "--limit", "5"]), Value::Null);
    assert_eq!(total(&["--limit", "5"]), 450);
    let unknown = history(&server, &["--status", "busy,oddd", "--json"]);
    says(&unknown.fails(2, "invalid_input"), "hint", "busy, odd");
}

#[test]
fn search_matches_text_and_phone_numbers() {
    let server = serving(calls(450));
    for (text, found) in [
        ("café lucía", &[99, 199, 299, 399][..]),
        ("CAFÉ", &[99, 199, 299, 399]),
        ("+1 (555) 000-0444", &[444]),
        ("a table for FIVE", &[]),
    ] {
        let list = listed(&server, &["--search", text, "--all"]);
        assert_eq!(numbers(&list), found, "{text}");
    }
    let first = listed(&server, &["--search", "café", "--limit", "1"]);
    assert_eq!(numbers(&first), [99]);
    assert_eq!(first["next_offset"], 100);
}

#[test]
fn since_and_until_are_inclusive_local_days() {
    let calls = calls(450);
    let server = serving(calls.clone());
    for zone in ["Pacific/Kiritimati", "America/New_York", "Asia/Kolkata"] {
        let day_of = |n: usize| {
            let at = calls[n]["metadata"]["created_at"].as_str().expect("a time");
            let at: jiff::Timestamp = at.parse().expect("a time");
            at.in_tz(zone).expect("a zone").date().to_string()
        };
        let day = day_of(50);
        let expected: Vec<usize> = (0..120).filter(|n| day_of(*n) == day).collect();
        let line = format!("--since {day} --until {day} --timezone {zone} --all");
        let list = listed(&server, &words(&line));
        assert_eq!(numbers(&list), expected, "{zone}");
        assert_eq!(list["total"], expected.len(), "{zone}");
    }
    let requests = server.requests();
    let offsets = requests.iter().map(|request| param(request, "offset", 0));
    assert_eq!(
        offsets.max(),
        Some(200),
        "pages with only older calls were requested"
    );
    for day in ["tomorrow", "1/2/2027", "soon"] {
        history(&server, &["--since", day]).exits(2);
    }
}
