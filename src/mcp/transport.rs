//! The transport: one JSON message per line. It accepts input that real clients send and rmcp would
//! reject: notifications before `initialize`, unusual client data and lone surrogates. Any other
//! invalid line gets an error response.

use std::io;

use rmcp::RoleServer;
use rmcp::model::{ClientCapabilities, ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::domain::with_whole_pairs;

pub struct Lines<R> {
    input: BufReader<R>,
    /// The part of the line read so far. It is kept because rmcp cancels reads and restarts them.
    line: Vec<u8>,
    /// Whether the first request has arrived. Before it, any other message would end rmcp.
    has_begun: bool,
    output: Option<UnboundedSender<Vec<u8>>>,
}

/// Returns a transport and a future that writes its output. The future ends after the last message,
/// once the transport is closed or dropped.
pub fn lines<R: AsyncRead>(
    input: R,
    mut output: impl AsyncWrite + Unpin,
) -> (Lines<R>, impl Future<Output = ()>) {
    let (sender, mut receiver) = unbounded_channel::<Vec<u8>>();
    let lines = Lines {
        input: BufReader::new(input),
        line: Vec::new(),
        has_begun: false,
        output: Some(sender),
    };
    let writer = async move {
        while let Some(line) = receiver.recv().await {
            if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
                return;
            }
        }
    };
    (lines, writer)
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleServer> for Lines<R> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        std::future::ready(self.queue(&message))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            self.input.read_until(b'\n', &mut self.line).await.ok()?;
            if self.line.is_empty() {
                return None;
            }
            let line = std::mem::take(&mut self.line);
            match self.parse(&line) {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(response) => self.queue(&response).ok()?,
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output = None;
        Ok(())
    }
}

impl<R> Lines<R> {
    fn queue(&self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let output = self.output.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let sent = output.send(line);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Parses a line. Returns its message, `None` if it can be ignored, or an error response.
    fn parse(&mut self, line: &[u8]) -> Result<Option<ClientJsonRpcMessage>, Value> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Ok(None);
        }
        let mut message: Value = serde_json::from_str(text)
            .or_else(|_| serde_json::from_str(&with_whole_pairs(text)))
            .map_err(|_| error(-32700, "the line is not JSON", &Value::Null))?;
        let id = message["id"].clone();
        let is_request = message["method"].is_string() && message.get("id").is_some();
        let is_other = message.is_object() && !is_request;
        if is_other && !self.has_begun {
            return Ok(None);
        }
        match message["method"].as_str() {
            Some("initialize") => {
                message["params"] = tidy_initialize(&message["params"]);
                self.has_begun = true;
            }
            Some("tools/call") => {
                self.has_begun = true;
                if let Some(arguments) = message.pointer_mut("/params/arguments") {
                    tidy_arguments(arguments).map_err(|problem| error(-32602, problem, &id))?;
                }
            }
            // Clients may send these before they open a session.
            Some("ping" | "server/discover") => {}
            _ => self.has_begun |= is_request,
        }
        match serde_json::from_value(message) {
            Ok(message) => Ok(Some(message)),
            Err(_) if is_other => Ok(None),
            Err(_) => Err(error(-32600, "the line is not a valid request", &id)),
        }
    }
}

fn error(code: i16, message: &str, id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// Parses an object that was sent as a string. Rejects any other type, for which rmcp would report
/// an unknown method.
fn tidy_arguments(arguments: &mut Value) -> Result<(), &'static str> {
    let text = arguments.as_str();
    if let Some(object) = text.and_then(|text| serde_json::from_str(text).ok()) {
        *arguments = object;
    }
    match arguments {
        Value::Object(_) | Value::Null => Ok(()),
        _ => Err("arguments must be an object"),
    }
}

/// Keeps only the fields that are used. rmcp would reject unusual values in the others.
fn tidy_initialize(params: &Value) -> Value {
    let version = match params["protocolVersion"].as_str() {
        // This version requires batches. Its clients also support the previous version.
        Some("2025-03-26") => "2024-11-05",
        Some(version) => version,
        None => "2025-06-18",
    };
    let mut capabilities = json!({ "elicitation": params["capabilities"]["elicitation"] });
    if serde_json::from_value::<ClientCapabilities>(capabilities.clone()).is_err() {
        capabilities = json!({});
    }
    let client = json!({ "name": "client", "version": "0" });
    json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": client })
}
