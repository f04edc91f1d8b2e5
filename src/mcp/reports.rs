//! What answers tell of calls, from when they are made until the client has them and the journal knows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use rmcp::model::RequestId;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::domain::IdempotencyKey;

/// What an answer tells of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// How it ended.
    Result,
    /// That it was not made.
    Failure,
}

/// The answers under way, by the requests that they answer.
#[derive(Debug, Default)]
pub struct Reports {
    under_way: RefCell<HashMap<RequestId, (IdempotencyKey, Report)>>,
    changed: Notify,
}

/// How long another answer's note is waited for: a client that has it may ask at once what is still pending.
const NOTED_BY: Duration = Duration::from_secs(1);

impl Reports {
    /// Remembers what the answer to a request tells.
    pub fn add(&self, id: RequestId, key: IdempotencyKey, report: Report) {
        self.under_way.borrow_mut().insert(id, (key, report));
    }

    /// What the answer to a request tells.
    pub fn get(&self, id: &RequestId) -> Option<(IdempotencyKey, Report)> {
        self.under_way.borrow().get(id).cloned()
    }

    /// Forgets an answer: it was noted, or will never be written.
    pub fn remove(&self, id: &RequestId) {
        self.under_way.borrow_mut().remove(id);
        self.changed.notify_waiters();
    }

    /// Waits until every answer was noted, or a moment has passed.
    pub async fn settled(&self) {
        let all = async {
            loop {
                let changed = self.changed.notified();
                if self.under_way.borrow().is_empty() {
                    return;
                }
                changed.await;
            }
        };
        let _ = timeout(NOTED_BY, all).await;
    }
}
