//! The pipes to the client. They tell which answers were written, so that a result counts as shown only then.

use std::io;

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
}

/// Stdin and stdout, one JSON document a line.
pub fn stdio(written: UnboundedSender<RequestId>) -> impl Transport<RoleServer, Error = io::Error> + 'static {
    let (stdin, stdout) = rmcp::transport::stdio();
    Telling { inner: AsyncRwTransport::new_server(stdin, stdout), written }
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
        async move {
            sent.await?;
            if let Some(id) = answered {
                // Nobody is left to be told at the end.
                let _ = written.send(id);
            }
            Ok(())
        }
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        self.inner.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), io::Error>> + Send {
        self.inner.close()
    }
}
