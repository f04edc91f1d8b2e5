//! The rules, one by one.

use std::time::Duration;

use super::{Action, CONNECT_WITHIN, Ending, Event, Look, Lost, Placement, Sent, Sight};
use crate::error::Signal;

const DEADLINE: Duration = Duration::from_secs(600);

fn answered(status: u16) -> Sent {
    Sent::Answered { status, retry_after: None, refusal: false, call: false }
}

/// Begins a call whose POST ends like this, and returns what follows.
fn after(sent: Sent) -> (Placement, Action) {
    let mut placement = Placement::new(DEADLINE);
    let first = placement.step(Duration::ZERO, Event::Begin);
    assert_eq!(first, Action::Send { connect_by: CONNECT_WITHIN });
    let next = placement.step(Duration::from_secs(1), Event::Sent(sent));
    (placement, next)
}

#[test]
fn a_lost_answer_is_looked_up_at_once_and_never_sent_again() {
    let no_call = Sent::Answered { status: 201, retry_after: None, refusal: false, call: false };
    let statuses = [200, 204, 301, 302, 307, 308, 408, 409, 500, 501, 502, 503, 504, 520, 599].map(answered);
    for sent in statuses.into_iter().chain([no_call, Sent::Cut]) {
        assert_eq!(after(sent.clone()).1, Action::LookUp, "{sent:?}");
    }
}

#[test]
fn a_refusal_ends_it_and_frees_the_key() {
    for status in [400, 402, 403, 404, 418, 422, 451] {
        let (mut placement, next) = after(answered(status));
        assert_eq!(next, Action::Discard, "{status}");
        assert_eq!(placement.step(DEADLINE, Event::Noted), Action::End(Ending::Refused));
    }
}

#[test]
fn what_was_not_taken_is_sent_again_three_times() {
    let busy = || Event::Sent(Sent::Answered { status: 429, retry_after: None, refusal: false, call: false });
    let mut placement = Placement::new(DEADLINE);
    placement.step(Duration::ZERO, Event::Begin);
    for _ in 0..3 {
        assert!(matches!(placement.step(Duration::ZERO, busy()), Action::Wait(_)));
        assert!(matches!(placement.step(Duration::ZERO, Event::Woke), Action::Send { .. }));
    }
    assert_eq!(placement.step(Duration::ZERO, busy()), Action::Discard);
    assert_eq!(placement.step(Duration::ZERO, Event::Noted), Action::End(Ending::NotTaken));
}

#[test]
fn a_503_counts_as_not_taken_only_when_the_service_itself_says_so() {
    let sent = |retry_after, refusal| Sent::Answered { status: 503, retry_after, refusal, call: false };
    assert!(matches!(after(sent(Some(Duration::from_secs(1)), false)).1, Action::Wait(_)));
    assert!(matches!(after(sent(None, true)).1, Action::Wait(_)));
    assert_eq!(after(sent(None, false)).1, Action::LookUp);
}

#[test]
fn a_retry_after_beyond_the_time_left_is_not_waited_for() {
    let sent = Sent::Answered { status: 429, retry_after: Some(DEADLINE), refusal: false, call: false };
    assert_eq!(after(sent).1, Action::Discard);
}

#[test]
fn the_login_is_renewed_once() {
    let (mut placement, next) = after(answered(401));
    assert_eq!(next, Action::Renew);
    assert!(matches!(placement.step(Duration::ZERO, Event::Renewed(true)), Action::Send { .. }));
    assert_eq!(placement.step(Duration::ZERO, Event::Sent(answered(401))), Action::Discard);
    let (mut placement, _) = after(answered(401));
    assert_eq!(placement.step(Duration::ZERO, Event::Renewed(false)), Action::Discard);
    assert_eq!(placement.step(Duration::ZERO, Event::Noted), Action::End(Ending::NotRenewed));
}

#[test]
fn connecting_is_tried_three_times_within_ten_seconds() {
    let failed = || Event::Sent(Sent::NoConnection { again: true });
    let mut placement = Placement::new(DEADLINE);
    placement.step(Duration::ZERO, Event::Begin);
    for _ in 0..2 {
        assert!(matches!(placement.step(Duration::ZERO, failed()), Action::Wait(_)));
        assert!(matches!(placement.step(Duration::ZERO, Event::Woke), Action::Send { .. }));
    }
    assert_eq!(placement.step(Duration::ZERO, failed()), Action::Discard);
    let mut slow = Placement::new(DEADLINE);
    slow.step(Duration::ZERO, Event::Begin);
    assert_eq!(slow.step(CONNECT_WITHIN, failed()), Action::Discard);
    assert_eq!(after(Sent::NoConnection { again: false }).1, Action::Discard);
}

#[test]
fn looks_back_off_from_two_to_fifteen_seconds_and_end_after_two_minutes() {
    let (mut placement, mut action) = after(Sent::Cut);
    let (mut now, mut waits) = (Duration::from_secs(1), Vec::new());
    loop {
        action = match action {
            Action::LookUp => {
                placement.step(now, Event::Looked(Look::Candidates { ids: vec![], claimants: 1, rank: 0 }))
            }
            Action::Wait(wait) => {
                waits.push(wait);
                now += wait;
                placement.step(now, Event::Woke)
            }
            Action::End(ending) => {
                assert_eq!(ending, Ending::Unknown(Lost::NotFound));
                break;
            }
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(waits[..3], [Duration::from_secs(2), Duration::from_secs(3), Duration::from_millis(4500)]);
    assert_eq!(waits.iter().max(), Some(&Duration::from_secs(15)));
    assert!((120..=136).contains(&now.as_secs()), "{now:?}");
}

#[test]
fn several_claimants_take_their_calls_in_order_once_all_of_them_show() {
    let look = |ids: &[&str], rank| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        after(Sent::Cut)
            .0
            .step(Duration::from_secs(2), Event::Looked(Look::Candidates { ids, claimants: 2, rank }))
    };
    assert!(matches!(look(&[], 0), Action::Wait(_)) && matches!(look(&["a"], 0), Action::Wait(_)));
    assert_eq!(
        (look(&["a", "b"], 0), look(&["a", "b"], 1)),
        (Action::Claim("a".into()), Action::Claim("b".into()))
    );
    assert!(matches!(look(&["a", "b", "c"], 0), Action::End(Ending::Unknown(Lost::Unclear(_)))));
}

#[test]
fn a_call_that_another_entry_claimed_first_is_looked_for_again() {
    let (mut placement, _) = after(Sent::Cut);
    let found = Event::Looked(Look::Candidates { ids: vec!["a".into()], claimants: 1, rank: 0 });
    assert_eq!(placement.step(Duration::from_secs(2), found), Action::Claim("a".into()));
    let refused = placement.step(Duration::from_secs(2), Event::Claimed(false));
    assert!(matches!(refused, Action::Wait(_)), "{refused:?}");
    assert_eq!(placement.step(Duration::from_secs(4), Event::Woke), Action::LookUp);
}

#[test]
fn a_call_that_was_found_is_waited_for_until_the_deadline() {
    let (mut placement, _) = after(Sent::Cut);
    let found = Event::Looked(Look::Candidates { ids: vec!["a".into()], claimants: 1, rank: 0 });
    assert_eq!(placement.step(Duration::from_secs(2), found), Action::Claim("a".into()));
    assert_eq!(placement.step(Duration::from_secs(2), Event::Claimed(true)), Action::Fetch("a".into()));
    let running = placement.step(Duration::from_secs(300), Event::Seen(Sight::Running));
    assert!(matches!(running, Action::Wait(_)), "beyond the two minutes of the search");
    assert_eq!(placement.step(Duration::from_secs(302), Event::Woke), Action::Fetch("a".into()));
    let late = placement.step(DEADLINE, Event::Seen(Sight::Running));
    assert_eq!(late, Action::End(Ending::Unknown(Lost::StillRunning)));
}

#[test]
fn a_signal_between_attempts_frees_the_key_and_any_other_keeps_the_call_open() {
    let (mut waiting, _) = after(answered(429));
    assert_eq!(waiting.step(Duration::ZERO, Event::Signal(Signal::Interrupt)), Action::Discard);
    let mut sent = Placement::new(DEADLINE);
    sent.step(Duration::ZERO, Event::Begin);
    let ending = Ending::Interrupted { signal: Signal::Terminate, open: true };
    assert_eq!(sent.step(Duration::ZERO, Event::Signal(Signal::Terminate)), Action::End(ending));
}
