//! The rules, one by one.

use std::time::Duration;

use super::super::events::{Action, CallStatus, Ending, Event, HistoryResult, PostResult, UnknownReason};
use super::{CONNECT_WITHIN, CallState};
use crate::domain::{CallId, Signal};

const DEADLINE: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

type TestEvent = Event<&'static str, &'static str>;
type TestAction = Action<&'static str, &'static str>;
type TestState = CallState<&'static str>;

fn id(text: &str) -> CallId {
    text.parse().expect("an ID")
}

fn response(status: u16) -> PostResult<&'static str, &'static str> {
    PostResult::Response { status, retry_after: None, error: "no call" }
}

/// Begins a call whose POST ends like this, and returns what follows.
fn after(ended: PostResult<&'static str, &'static str>) -> (TestState, TestAction) {
    let mut state = TestState::new(DEADLINE);
    let first: TestAction = state.step(Duration::ZERO, Event::Begin);
    assert_eq!(first, Action::SendPost { connect_by: CONNECT_WITHIN });
    let next = state.step(SECOND, Event::PostEnded(ended));
    (state, next)
}

fn not_connected(retryable: bool) -> TestEvent {
    Event::PostEnded(PostResult::NoConnection { retryable, error: "refused" })
}

/// What a step at one second leads to.
fn then(state: &mut TestState, event: TestEvent) -> TestAction {
    state.step(SECOND, event)
}

#[test]
fn a_lost_answer_is_looked_up_at_once_and_never_sent_again() {
    let statuses = [
        200,
        201,
        202,
        204,
        301,
        302,
        307,
        308,
        408,
        409,
        418,
        423,
        427,
        429 + 30,
        460,
        499,
        500,
        501,
        502,
        503,
        504,
        520,
        599,
    ];
    for ended in statuses.map(response).into_iter().chain([PostResult::ResponseLost("cut")]) {
        assert_eq!(after(ended.clone()).1, Action::ReadHistory, "{ended:?}");
    }
}

#[test]
fn a_503_is_a_lost_answer_whatever_it_says() {
    let retry_after = Some(Duration::from_secs(5));
    let gateway = PostResult::Response { status: 503, retry_after, error: "backend" };
    assert_eq!(after(gateway).1, Action::ReadHistory);
}

#[test]
fn a_refusal_ends_it_and_frees_the_key() {
    for status in [400, 402, 403, 404, 405, 406, 407, 410, 417, 421, 422, 424, 426, 428, 431, 451] {
        let (mut state, next) = after(response(status));
        assert_eq!(next, Action::RecordNotMade("no call"), "{status}");
        assert_eq!(then(&mut state, Event::JournalUpdated), Action::Finish(Ending::Refused("no call")));
    }
}

#[test]
fn what_was_not_taken_is_sent_again_three_times() {
    let busy = || Event::PostEnded(response(429));
    let mut state = TestState::new(DEADLINE);
    then(&mut state, Event::Begin);
    for seconds in [2, 4, 8] {
        assert_eq!(then(&mut state, busy()), Action::Wait(seconds * SECOND));
        assert!(matches!(then(&mut state, Event::TimerFired), Action::SendPost { .. }));
    }
    assert_eq!(then(&mut state, busy()), Action::RecordNotMade("no call"));
    assert_eq!(then(&mut state, Event::JournalUpdated), Action::Finish(Ending::NotTaken("no call")));
}

#[test]
fn a_retry_after_beyond_the_time_left_is_not_waited_for() {
    let retry_after = Some(DEADLINE);
    let busy = PostResult::Response { status: 429, retry_after, error: "busy" };
    assert_eq!(after(busy).1, Action::RecordNotMade("busy"));
}

#[test]
fn the_login_is_renewed_once() {
    let (mut state, next) = after(response(401));
    assert_eq!(next, Action::RenewLogin);
    assert!(matches!(then(&mut state, Event::LoginRenewed(Ok(()))), Action::SendPost { .. }));
    assert_eq!(then(&mut state, Event::PostEnded(response(401))), Action::RecordNotMade("no call"));
    let (mut state, _) = after(response(401));
    assert_eq!(then(&mut state, Event::LoginRenewed(Err("ended"))), Action::RecordNotMade("ended"));
    assert_eq!(then(&mut state, Event::JournalUpdated), Action::Finish(Ending::NotRenewed("ended")));
}

#[test]
fn connecting_is_tried_three_times_within_ten_seconds() {
    let failed = not_connected;
    let mut state = TestState::new(DEADLINE);
    then(&mut state, Event::Begin);
    for wait in [250, 500] {
        assert_eq!(then(&mut state, failed(true)), Action::Wait(Duration::from_millis(wait)));
        assert!(matches!(then(&mut state, Event::TimerFired), Action::SendPost { .. }));
    }
    assert_eq!(then(&mut state, failed(true)), Action::RecordNotMade("refused"));
    let last = CONNECT_WITHIN - Duration::from_millis(250);
    for (now, is_tried_again) in [(last - Duration::from_millis(1), true), (last, false)] {
        let mut slow = TestState::new(DEADLINE);
        slow.step::<&str>(Duration::ZERO, Event::Begin);
        assert_eq!(matches!(slow.step(now, failed(true)), Action::Wait(_)), is_tried_again, "{now:?}");
    }
    let mut hopeless = TestState::new(DEADLINE);
    then(&mut hopeless, Event::Begin);
    assert_eq!(then(&mut hopeless, failed(false)), Action::RecordNotMade("refused"));
}

#[test]
fn an_answer_that_takes_no_call_gives_connecting_its_time_anew() {
    for (status, next) in [(401, Event::LoginRenewed(Ok(()))), (429, Event::TimerFired)] {
        let mut state = TestState::new(DEADLINE);
        state.step::<&str>(Duration::ZERO, Event::Begin);
        for _ in 0..2 {
            then(&mut state, not_connected(true));
            then(&mut state, Event::TimerFired);
        }
        then(&mut state, Event::PostEnded(response(status)));
        assert_eq!(
            then(&mut state, next),
            Action::SendPost { connect_by: SECOND + CONNECT_WITHIN },
            "{status}"
        );
        assert!(matches!(then(&mut state, not_connected(true)), Action::Wait(_)), "{status}");
    }
}

#[test]
fn no_event_but_the_three_that_may_sends_the_request() {
    let strange: [TestEvent; 6] = [
        Event::HistoryRead(HistoryResult::NotFound(Vec::new())),
        Event::CallIdAssigned(true),
        Event::CallRead(CallStatus::Running),
        Event::Delivered(true),
        Event::JournalUpdated,
        Event::TimerFired,
    ];
    for event in strange {
        // The request is under way: nothing that is no end of it sends another.
        let mut state = TestState::new(DEADLINE);
        then(&mut state, Event::Begin);
        assert!(!matches!(then(&mut state, event.clone()), Action::SendPost { .. }), "{event:?}");
    }
}

#[test]
fn an_answer_that_only_begins_is_noted_and_waited_for() {
    let (mut state, next) = after(PostResult::Running(id("a")));
    assert_eq!(next, Action::AssignCallId(id("a")));
    assert!(matches!(then(&mut state, Event::CallIdAssigned(true)), Action::Wait(_)));
    assert_eq!(then(&mut state, Event::TimerFired), Action::ReadCall(id("a")));
    assert!(matches!(then(&mut state, Event::CallRead(CallStatus::Running)), Action::Wait(_)));
    assert_eq!(then(&mut state, Event::TimerFired), Action::ReadCall(id("a")));
    assert_eq!(then(&mut state, Event::CallRead(CallStatus::Ended("booked"))), Action::Deliver("booked"));
    assert_eq!(then(&mut state, Event::Delivered(true)), Action::RecordEnd { shown: true });
    let done = Action::Finish(Ending::Done { delivered: true });
    assert_eq!(then(&mut state, Event::JournalUpdated), done);
}

#[test]
fn a_result_that_could_not_be_shown_is_recorded_as_such() {
    let (mut state, next) = after(PostResult::Ended("booked"));
    assert_eq!(next, Action::Deliver("booked"));
    assert_eq!(then(&mut state, Event::Delivered(false)), Action::RecordEnd { shown: false });
    let done = Action::Finish(Ending::Done { delivered: false });
    assert_eq!(then(&mut state, Event::JournalUpdated), done);
}

#[test]
fn looks_back_off_from_two_to_fifteen_seconds_and_end_after_two_minutes() {
    let (mut state, mut action) = after(PostResult::ResponseLost("cut"));
    let (mut now, mut waits) = (SECOND, Vec::new());
    loop {
        action = match action {
            Action::ReadHistory => state.step(now, Event::HistoryRead(HistoryResult::NotFound(Vec::new()))),
            Action::Wait(wait) => {
                waits.push(wait);
                now += wait;
                state.step(now, Event::TimerFired)
            }
            Action::Finish(ending) => {
                let reason = UnknownReason::NotFound;
                assert_eq!(ending, Ending::Unknown { reason, call_id: None });
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
fn the_time_that_was_given_is_used_up_and_ends_with_a_look() {
    for seconds in [1, 2, 3, 5, 60] {
        let deadline = Duration::from_secs(seconds);
        let mut state = TestState::resume(Some(id("a")), deadline);
        let (mut now, mut looks) = (Duration::ZERO, Vec::new());
        let mut action: TestAction = state.step(now, Event::Begin);
        let ended = loop {
            action = match action {
                Action::ReadCall(_) => {
                    looks.push(now);
                    state.step(now, Event::CallRead(CallStatus::Running))
                }
                Action::Wait(wait) => {
                    now += wait;
                    state.step(now, Event::TimerFired)
                }
                Action::Finish(ending) => break ending,
                other => panic!("{other:?}"),
            }
        };
        let reason = UnknownReason::StillRunning;
        assert_eq!(ended, Ending::Unknown { reason, call_id: Some(id("a")) });
        assert_eq!((looks.first(), looks.last()), (Some(&Duration::ZERO), Some(&deadline)), "{seconds} s");
    }
}

#[test]
fn a_computer_that_slept_beyond_the_time_takes_one_look_more() {
    // Sooner than a search ends by itself.
    let (deadline, late) = (60 * SECOND, 90 * SECOND);
    let not_found = || Event::HistoryRead(HistoryResult::NotFound(Vec::new()));
    let running = || Event::CallRead(CallStatus::Running);
    for (known, looked) in [(Some(id("a")), running as fn() -> TestEvent), (None, not_found)] {
        let mut state = TestState::resume(known, deadline);
        then(&mut state, Event::Begin);
        assert!(matches!(then(&mut state, looked()), Action::Wait(_)));
        let look: TestAction = state.step(late, Event::TimerFired);
        assert!(matches!(look, Action::ReadCall(_) | Action::ReadHistory), "{look:?}");
        let ended = state.step(late, looked());
        assert!(matches!(ended, Action::Finish(Ending::Unknown { .. })), "{ended:?}");
    }
}

#[test]
fn an_answer_lost_at_the_end_of_the_time_gets_one_look() {
    let mut state = TestState::new(DEADLINE);
    then(&mut state, Event::Begin);
    let lost: TestAction = state.step(DEADLINE, Event::PostEnded(PostResult::ResponseLost("late")));
    assert_eq!(lost, Action::ReadHistory);
    let found: TestEvent = Event::HistoryRead(HistoryResult::Found(id("a")));
    assert_eq!(state.step(DEADLINE, found), Action::AssignCallId(id("a")));
    let assigned: TestAction = state.step(DEADLINE, Event::CallIdAssigned(true));
    assert_eq!(assigned, Action::ReadCall(id("a")));
    let ended: TestAction = state.step(DEADLINE, Event::CallRead(CallStatus::Running));
    let reason = UnknownReason::StillRunning;
    assert_eq!(ended, Action::Finish(Ending::Unknown { reason, call_id: Some(id("a")) }));
}

#[test]
fn a_call_that_another_entry_took_first_is_looked_for_again() {
    let (mut state, _) = after(PostResult::ResponseLost("cut"));
    let found = Event::HistoryRead(HistoryResult::Found(id("a")));
    assert_eq!(then(&mut state, found), Action::AssignCallId(id("a")));
    assert!(matches!(then(&mut state, Event::CallIdAssigned(false)), Action::Wait(_)));
    assert_eq!(then(&mut state, Event::TimerFired), Action::ReadHistory);
}

#[test]
fn what_cannot_be_told_apart_is_listed_and_ends_the_search() {
    let (mut state, _) = after(PostResult::ResponseLost("cut"));
    let ids = vec![id("a"), id("b")];
    let ambiguous = Event::HistoryRead(HistoryResult::Ambiguous(ids.clone()));
    let reason = UnknownReason::Ambiguous(ids);
    assert_eq!(then(&mut state, ambiguous), Action::Finish(Ending::Unknown { reason, call_id: None }));
}

#[test]
fn calls_that_it_may_be_are_named_when_the_time_is_up() {
    let mut state = TestState::resume(None, Duration::ZERO);
    then(&mut state, Event::Begin);
    let reason = UnknownReason::Ambiguous(vec![id("a")]);
    let possible = Event::HistoryRead(HistoryResult::NotFound(vec![id("a")]));
    assert_eq!(then(&mut state, possible), Action::Finish(Ending::Unknown { reason, call_id: None }));
}

#[test]
fn a_call_that_was_found_is_waited_for_beyond_the_two_minutes_of_the_search() {
    let (mut state, _) = after(PostResult::ResponseLost("cut"));
    then(&mut state, Event::HistoryRead(HistoryResult::Found(id("a"))));
    assert_eq!(then(&mut state, Event::CallIdAssigned(true)), Action::ReadCall(id("a")));
    let running: TestAction = state.step(Duration::from_secs(300), Event::CallRead(CallStatus::Running));
    assert!(matches!(running, Action::Wait(_)));
}

#[test]
fn a_signal_leaves_nothing_open_unless_a_byte_was_written() {
    let signal = |is_sent| Event::Signal { signal: Signal::Interrupt, is_sent };
    let ended = |is_open| Ending::Interrupted { signal: Signal::Interrupt, is_open, call_id: None };
    let (mut waiting, _) = after(response(429));
    assert_eq!(then(&mut waiting, signal(true)), Action::Discard);
    let mut connecting = TestState::new(DEADLINE);
    then(&mut connecting, Event::Begin);
    assert_eq!(then(&mut connecting, signal(false)), Action::Discard);
    assert_eq!(then(&mut connecting, Event::JournalUpdated), Action::Finish(ended(false)));
    let mut sent = TestState::new(DEADLINE);
    then(&mut sent, Event::Begin);
    assert_eq!(then(&mut sent, signal(true)), Action::Finish(ended(true)));
}
