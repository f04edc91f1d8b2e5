//! The connections to the sign-in's receiver: so many and no more, and none that has something to say is turned away for
//! one that says nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 64;
/// Long enough for whatever has arrived to be read: this thread reads all of it before it looks at the time again.
const A_TURN: Duration = Duration::from_millis(1);

/// The connections that are being read from or answered, oldest first.
#[derive(Default)]
pub struct Connections(Mutex<VecDeque<Connection>>);

struct Connection {
    task: AbortHandle,
    /// Whether the whole head of its request has been read.
    has_head: Arc<AtomicBool>,
}

impl Connections {
    /// Makes room for another connection. Where there is none, the oldest goes that has not sent a whole head.
    pub async fn make_room(&self) {
        if self.count() < MOST_CONNECTIONS {
            return;
        }
        tokio::time::sleep(A_TURN).await;
        while self.count() >= MOST_CONNECTIONS {
            self.end_one();
        }
    }

    /// Adds a connection; its task says when it has the whole head.
    pub fn add(&self, task: AbortHandle, has_head: Arc<AtomicBool>) {
        self.list().push_back(Connection { task, has_head });
    }

    /// Ends the oldest connection that has not sent a whole head, or the oldest of all.
    pub fn end_one(&self) {
        let mut list = self.list();
        let silent = list.iter().position(|connection| !connection.has_head.load(Ordering::Relaxed));
        if let Some(connection) = list.remove(silent.unwrap_or(0)) {
            connection.task.abort();
        }
    }

    /// Ends all of them.
    pub fn end_all(&self) {
        self.list().drain(..).for_each(|connection| connection.task.abort());
    }

    fn count(&self) -> usize {
        let mut list = self.list();
        list.retain(|connection| !connection.task.is_finished());
        list.len()
    }

    /// A panic while it was locked would have ended the program's only thread.
    fn list(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
