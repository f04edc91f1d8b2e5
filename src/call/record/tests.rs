//! What the lines of a journal add up to when some of them are damaged.

use super::super::entry::GUARDED_FOR;
use super::*;
use crate::domain::example_request;

const ORIGIN: &str = "https://example.org";

fn key(text: &str) -> IdempotencyKey {
    text.parse().expect("a key")
}

fn entry(key_text: &str) -> Entry {
    Entry::new(key(key_text), &example_request("Ask"), ORIGIN.into(), Moment { unix: 1_000, boot: None })
}

fn prepared_line(key: &str) -> Vec<u8> {
    let entry = entry(key);
    line_at(&entry.key, &Change::Prepared(&entry), 1_000)
}

fn line(key_text: &str, change: &Change<'_>) -> Vec<u8> {
    line_at(&key(key_text), change, 1_001)
}

/// The keys and states that these lines add up to, and how many of them cannot be read.
fn read(lines: &[Vec<u8>]) -> (Vec<(String, EntryState)>, usize) {
    let contents = Contents::parse(&lines.concat(), ORIGIN);
    let unreadable = contents.unreadable.len();
    let states = contents.entries.into_iter().map(|entry| (entry.key.to_string(), entry.state));
    (states.collect(), unreadable)
}

#[test]
fn a_damaged_line_takes_nothing_from_what_came_before_it_and_gives_nothing_to_another_call() {
    let damaged = [br#"{"v":2,"key":"a","event":"prepared","at":1000}"#, &b"\n"[..]].concat();
    let shown = line("a", &Change::Ended { call_id: None, status: None, shown: true });
    let lines = [prepared_line("a"), line("a", &Change::Sent), damaged.clone(), prepared_line("b")];
    let both = vec![("a".into(), EntryState::Sent), ("b".into(), EntryState::Prepared)];
    assert_eq!(read(&lines), (both, 1));
    // The call of the damaged line alone is not known; what is said of it is not said of the next.
    let lines = [damaged, prepared_line("b"), line("b", &Change::Sent), shown];
    assert_eq!(read(&lines), (vec![("b".into(), EntryState::Sent)], 2));
}

#[test]
fn no_bit_can_change_without_its_line_being_known_as_damaged() {
    let id: CallId = "3f2a0c1e-55aa-4bbb-8ccc-000000000000".parse().expect("an ID");
    let lines = [prepared_line("a"), line("a", &Change::Sent), line("a", &Change::Running(&id))].concat();
    for at in 0..lines.len() {
        for bit in 0..8 {
            let mut damaged = lines.clone();
            damaged[at] ^= 1 << bit;
            let contents = Contents::parse(&damaged, ORIGIN);
            assert!(contents.unreadable.len() > 0, "{}", String::from_utf8_lossy(&damaged));
        }
    }
}

#[test]
fn a_call_that_was_prepared_may_have_been_sent_where_a_later_line_cannot_be_read() {
    let torn = br#"{"v":2,"key":"a","event":"se"#.to_vec();
    let (states, unreadable) = read(&[prepared_line("a"), torn.clone()]);
    assert_eq!((states, unreadable), (vec![("a".into(), EntryState::Sent)], 1));
    let (states, _) = read(&[torn, b"\n".to_vec(), prepared_line("a")]);
    assert_eq!(states, [("a".into(), EntryState::Prepared)], "what came before it says nothing of it");
}

#[test]
fn a_line_that_stands_there_twice_frees_no_call() {
    for used in
        [vec![Change::Sent], vec![Change::Sent, Change::Ended { call_id: None, status: None, shown: false }]]
    {
        let lines: Vec<_> =
            std::iter::once(prepared_line("a")).chain(used.iter().map(|change| line("a", change))).collect();
        let (before, _) = read(&lines);
        let doubled = [&lines[..], &[prepared_line("a")]].concat();
        assert_eq!(read(&doubled), (before, 1));
    }
    // A key that was not used is free.
    let (states, unreadable) = read(&[prepared_line("a"), prepared_line("a"), line("a", &Change::Sent)]);
    assert_eq!((states.len(), &states[0].1, unreadable), (1, &EntryState::Sent, 0));
}

#[test]
fn two_processes_may_take_the_same_call_out() {
    let discarded = || line("a", &Change::Discarded);
    assert_eq!(read(&[prepared_line("a"), discarded(), discarded()]), (Vec::new(), 0));
    let (states, unreadable) = read(&[prepared_line("a"), discarded(), discarded(), prepared_line("a")]);
    assert_eq!((states.len(), unreadable), (1, 0));
    let (_, unreadable) = read(&[prepared_line("a"), discarded(), line("a", &Change::Sent)]);
    assert_eq!(unreadable, 1, "what was sent after it may be under way");
}

#[test]
fn an_entry_has_as_many_lines_as_are_counted() {
    let error = || Box::new(Error::new(crate::error::Kind::Refused, "no minutes left"));
    let ended = EntryState::Ended { call_id: None, status: None };
    let id: CallId = "x".parse().expect("an ID");
    for state in
        [EntryState::Prepared, EntryState::Sent, EntryState::Running(id), ended, EntryState::Refused(error())]
    {
        for (sent_at, shown) in [(None, false), (Some(1_001), false), (None, true), (Some(1_001), true)] {
            let entry = Entry { state: state.clone(), sent_at, shown, ..entry("a") };
            let lines = lines_of(&entry).split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(line_count(&entry), lines, "{entry:?}");
        }
    }
}

#[test]
fn a_line_that_cannot_be_read_is_as_young_as_anything_lets_it_be() {
    let now = |ago| Moment { unix: 1_000 + ago, boot: None };
    let hides = |lines: &[Vec<u8>], ago| {
        Contents::parse(&lines.concat(), ORIGIN).unreadable.may_hide_recent(&now(ago))
    };
    let later = || br#"{"v":3,"key":"z","at":1000}"#.iter().chain(b"\n").copied().collect::<Vec<u8>>();
    let damaged = || br#"{"v":2,"key":"z","at":1000"#.iter().chain(b"\n").copied().collect::<Vec<u8>>();
    assert!(!hides(&[prepared_line("a")], 0), "all of it can be read");
    // A later version says when it wrote its line; of a damaged one only a line behind it tells.
    for lines in [vec![later()], vec![damaged(), prepared_line("a")], vec![later(), prepared_line("a")]] {
        assert_eq!([hides(&lines, GUARDED_FOR - 1), hides(&lines, GUARDED_FOR)], [true, false], "{lines:?}");
    }
    assert!(hides(&[damaged()], GUARDED_FOR) && hides(&[prepared_line("a"), damaged()], GUARDED_FOR));
    assert!(hides(&[br#"{"v":2,"at":1000}"#.to_vec()], GUARDED_FOR), "a line of this version is damaged");
    let sent = line("a", &Change::Sent);
    assert!(hides(&[prepared_line("a"), damaged(), sent], GUARDED_FOR), "one clock alone tells too little");
}

#[test]
fn how_old_a_line_is_that_cannot_be_read_does_not_hang_on_a_clock_that_somebody_sets() {
    let damaged = br#"{"v":2,"key":"z","at":1000"#.iter().chain(b"\n").copied().collect::<Vec<u8>>();
    let boot = |seconds| Some(SinceBoot { id: "a".into(), seconds });
    let behind = Entry { written: Moment { unix: 1_000, boot: boot(10) }, ..entry("a") };
    let own = format!(r#"{{"v":3,"at":1000,"boot":{}}}"#, serde_json::to_string(&boot(10)).expect("JSON"));
    for lines in [[damaged, lines_of(&behind)].concat(), own.into_bytes()] {
        let contents = Contents::parse(&lines, ORIGIN);
        let hides = |passed| {
            contents
                .unreadable
                .may_hide_recent(&Moment { unix: 1_000 + GUARDED_FOR, boot: boot(10 + passed) })
        };
        assert_eq!([hides(5), hides(GUARDED_FOR)], [true, false]);
    }
}
