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

    /// How many there are.
    pub fn count(&self) -> usize {
        let mut list = self.list();
        list.retain(|connection| !connection.task.is_finished());
        list.len()
    }

    /// A panic while it was locked would have ended the program's only thread.
    fn list(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;

    use super::*;

    /// So many connections, oldest first, of which some have sent a whole head.
    fn connections(count: usize, has_head: impl Fn(usize) -> bool) -> (Connections, Vec<JoinHandle<()>>) {
        let connections = Connections::default();
        let add = |number| {
            let task = tokio::spawn(std::future::pending());
            connections.add(task.abort_handle(), Arc::new(AtomicBool::new(has_head(number))));
            task
        };
        let tasks = (0..count).map(add).collect();
        (connections, tasks)
    }

    /// Which of them have ended.
    async fn ended(tasks: &[JoinHandle<()>]) -> Vec<usize> {
        // An aborted task ends when it is next looked at, and not all of them are at once.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        (0..tasks.len()).filter(|number| tasks[*number].is_finished()).collect()
    }

    #[tokio::test]
    async fn one_of_a_crowd_makes_room_the_oldest_without_a_head_first() {
        for (count, first_silent, expected) in [
            (MOST_CONNECTIONS - 1, 0, vec![]),
            (MOST_CONNECTIONS, 3, vec![3]),
            (MOST_CONNECTIONS, MOST_CONNECTIONS, vec![0]),
            (MOST_CONNECTIONS + 1, 3, vec![3, 4]),
        ] {
            let (connections, tasks) = connections(count, |number| number < first_silent);
            connections.make_room().await;
            assert_eq!(ended(&tasks).await, expected, "{count}, {first_silent}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_takes_no_room() {
        let (connections, tasks) = connections(MOST_CONNECTIONS, |_| false);
        tasks[9].abort();
        assert_eq!(ended(&tasks).await, [9]);
        connections.make_room().await;
        assert_eq!(ended(&tasks).await, [9]);
        connections.end_all();
        assert_eq!(ended(&tasks).await.len(), MOST_CONNECTIONS);
    }
}
