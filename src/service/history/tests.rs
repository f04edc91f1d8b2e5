use super::*;

/// Returns the nth newest call of a history with one call per day. Every third call is busy.
fn call(n: u64) -> (Box<RawValue>, Call) {
    let status = ["busy", "success", "success"][n as usize % 3];
    let day = 28 - n % 28;
    let json = format!(
        r#"{{"call_id":"{n}","status":"{status}","created_at":"2026-01-{day:02}T12:00:00Z"}}"#
    );
    let parsed = serde_json::from_str(&json).unwrap();
    (RawValue::from_string(json).unwrap(), parsed)
}

/// Returns the page of up to 7 calls at `offset` in a history of `count` calls.
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
        limit: Some(limit),
        offset,
        status: vec!["busy".parse().unwrap()],
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
        statuses: query.status.clone(),
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
async fn filtered_pages_never_skip_or_repeat_a_call() {
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
async fn total_is_returned_only_if_all_calls_were_read() {
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
async fn paging_ends_if_the_service_ignores_the_offset() {
    let history = walked(&all(), None, |_| page(0, 40, Some(40))).await;
    assert_eq!((history.calls.len(), history.next_offset), (7, None));
}

#[tokio::test]
async fn new_call_while_paging_causes_no_duplicates() {
    // A call made after the first page shifts all other calls by one.
    let page_at = |offset: u64| page(offset.saturating_sub(1), 20, None);
    let history = walked(&all(), None, page_at).await;
    assert_eq!(ids(&history), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn pages_older_than_the_since_day_are_not_read() {
    let page_at = |offset| {
        assert!(offset <= 14, "page at {offset}");
        page(offset, 28, None)
    };
    let history = walked(&busy(200, 0), Some("2026-01-20T00:00:00Z"), page_at).await;
    assert_eq!((ids(&history), history.total), (vec![0, 3, 6], Some(3)));
}

#[test]
fn status_filter_and_search_ignore_case_and_punctuation() {
    let parsed = |json: &str| serde_json::from_str::<Call>(json).unwrap();
    let running = parsed(r#"{"call_id":"a","status":"ringing"}"#);
    let scheduled = parsed(r#"{"call_id":"a","status":"scheduled"}"#);
    let failed = parsed(
        r#"{"call_id":"a","status":"No Answer","to":"+1 (555) 123-4567","result_summary":"They\n  did NOT"}"#,
    );
    let is = |call: &Call, status: &str| {
        let filter: StatusFilter = status.parse().unwrap();
        filter.matches(call.status().as_ref(), call.is_running())
    };
    assert!(is(&running, "in_progress") && !is(&running, "unsuccessful"));
    assert!(is(&scheduled, "scheduled") && is(&scheduled, "in_progress"));
    assert!(is(&failed, "unsuccessful") && is(&failed, "no_answer") && !is(&failed, "busy"));
    for text in ["they did not", "555-1234", "(555) 123", "+15551234567"] {
        assert!(contains(&failed, &searchable(text)), "{text}");
    }
    assert!(!contains(&failed, "table 555") && !contains(&failed, "()"));
}
