//! Waits for the clock that all end together when the sandbox shuts down.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

#[derive(Default)]
pub(super) struct Shutdown {
    has_begun: Mutex<bool>,
    begun: Condvar,
}

impl Shutdown {
    /// Whether `instant` was reached; `false` when the sandbox shut down first.
    pub(super) fn wait_until(&self, instant: Timestamp) -> bool {
        let mut has_begun = self.has_begun();
        while !*has_begun {
            let left = Duration::try_from(Timestamp::now().duration_until(instant));
            let Ok(left) = left.map(|left| left.max(Duration::from_millis(1))) else {
                return true;
            };
            has_begun = self.begun.wait_timeout(has_begun, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Ends every wait, also those that begin later.
    pub(super) fn begin(&self) {
        *self.has_begun() = true;
        self.begun.notify_all();
    }

    fn has_begun(&self) -> MutexGuard<'_, bool> {
        self.has_begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_shutdown_ends_every_wait() {
        let shutdown = Shutdown::default();
        let tomorrow = Timestamp::now() + Duration::from_secs(86_400);
        thread::scope(|scope| {
            let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| shutdown.wait_until(tomorrow))).collect();
            shutdown.begin();
            assert!(waits.into_iter().all(|wait| !wait.join().expect("no panic")));
        });
    }

    #[test]
    fn an_instant_in_the_past_is_not_waited_for() {
        assert!(Shutdown::default().wait_until(Timestamp::UNIX_EPOCH));
    }
}
