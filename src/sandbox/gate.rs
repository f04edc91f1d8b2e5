//! Lets a bounded number of requests run at once, lets them wait for the clock, and ends every
//! such wait together when the sandbox closes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

pub(super) struct Gate {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    closed: bool,
}

/// A place inside the gate, given back when dropped.
pub(super) struct Pass(Arc<Gate>);

impl Gate {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Waits for a free place; `None` once the gate is closed.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Pass> {
        let mut state = self
            .changed
            .wait_while(self.state(), |state| !state.closed && state.inside >= self.capacity)
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        state.inside += 1;
        Some(Pass(Arc::clone(self)))
    }

    /// Whether `instant` was reached; `false` when the gate closed first.
    pub(super) fn wait_until(&self, instant: Timestamp) -> bool {
        let mut state = self.state();
        while !state.closed {
            let left = Duration::try_from(Timestamp::now().duration_until(instant));
            let Ok(left) = left.map(|left| left.max(Duration::from_millis(1))) else {
                return true;
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.state().inside -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn a_full_gate_lets_the_next_one_in_when_a_place_is_given_back() {
        let gate = Gate::new(1);
        let first = gate.enter().expect("an open gate");
        let (entered, has_entered) = channel();
        let waiting = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                let pass = gate.enter();
                entered.send(()).expect("the test waits");
                pass.is_some()
            }
        });
        assert!(has_entered.try_recv().is_err());
        drop(first);
        assert!(waiting.join().expect("no panic"));
    }

    #[test]
    fn closing_ends_every_wait() {
        let gate = Gate::new(1);
        let _inside = gate.enter();
        let tomorrow = Timestamp::now() + Duration::from_secs(86_400);
        thread::scope(|scope| {
            let clock = scope.spawn(|| gate.wait_until(tomorrow));
            let place = scope.spawn(|| gate.enter().is_none());
            gate.close();
            assert!(!clock.join().expect("no panic"));
            assert!(place.join().expect("no panic"));
        });
    }

    #[test]
    fn an_instant_in_the_past_is_not_waited_for() {
        assert!(Gate::new(1).wait_until(Timestamp::UNIX_EPOCH));
    }
}
