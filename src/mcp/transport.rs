//! The pipes to the client. They tell which answers were written, so that a result counts as shown only then. To a client
//! that has closed its end, an answer is still written, but nobody may be there to read it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::RoleServer;
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::sync::mpsc::UnboundedSender;

/// The transport under another, and who is told of written answers.
struct Telling<T> {
    inner: T,
    written: UnboundedSender<RequestId>,
    has_left: Arc<AtomicBool>,
}

/// Stdin and stdout, one JSON document a line.
pub fn stdio(written: UnboundedSender<RequestId>) -> impl Transport<RoleServer, Error = io::Error> + 'static {
    let (stdin, stdout) = rmcp::transport::stdio();
    let inner = AsyncRwTransport::new_server(stdin, stdout);
    Telling { inner, written, has_left: Arc::default() }
}

impl<T: Transport<RoleServer, Error = io::Error>> Transport<RoleServer> for Telling<T> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) | JsonRpcMessage::Error(_) => None,
        };
        let sent = self.inner.send(message);
        let written = self.written.clone();
        let has_left = Arc::clone(&self.has_left);
        async move {
            // Not afterwards: a client may leave as soon as it has read.
            let is_there = !has_left.load(Ordering::Relaxed) && !is_stdin_closed();
            sent.await?;
            if let Some(id) = answered.filter(|_| is_there) {
                // Nobody is left to be told at the end.
                let _ = written.send(id);
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let received = self.inner.receive().await;
        self.has_left.fetch_or(received.is_none(), Ordering::Relaxed);
        received
    }

    fn close(&mut self) -> impl Future<Output = Result<(), io::Error>> + Send {
        self.inner.close()
    }
}

/// Whether the client has closed its end, though that was not read yet: the end may stand behind requests.
#[cfg(unix)]
fn is_stdin_closed() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stdin = io::stdin();
    let mut stdin = [PollFd::new(&stdin, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut stdin, Some(&at_once)).is_ok() && stdin[0].revents().contains(PollFlags::HUP)
}

#[cfg(not(unix))]
fn is_stdin_closed() -> bool {
    false
}
