//! The MCP transport, with one JSON message per line. Accepts input that some clients send but rmcp
//! would reject: notifications before `initialize`, unusual `initialize` parameters and lone
//! surrogates. Responds to any other invalid line with an error.

use std::io;

use rmcp::RoleServer;
use rmcp::model::{
    ClientCapabilities, ClientJsonRpcMessage, ErrorData, JsonRpcMessage, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::io::{StdioReader, StdioWriter};
use rmcp::transport::{Transport, stdio_pipes};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Empty, Split, empty};

use crate::domain::with_whole_pairs;

pub struct Lines {
    input: Split<BufReader<StdioReader>>,
    output: AsyncRwTransport<RoleServer, Empty, StdioWriter>,
    /// Whether a request has opened the session. Until then, notifications are ignored, because
    /// they would make rmcp exit.
    has_begun: bool,
}

impl Lines {
    pub fn stdio() -> Self {
        let (input, output) = stdio_pipes();
        Self {
            input: BufReader::new(input).split(b'\n'),
            output: AsyncRwTransport::new(empty(), output),
            has_begun: false,
        }
    }
}

impl Transport<RoleServer> for Lines {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.output.send(message)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let line = self.input.next_segment().await.ok()??;
            if let Some(message) = self.parse(&line) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.close().await
    }
}

impl Lines {
    /// Parses a line. Returns `None` if the line is ignored or was answered with an error.
    fn parse(&mut self, line: &[u8]) -> Option<ClientJsonRpcMessage> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return None;
        }
        let parsed = serde_json::from_str::<Value>(text)
            .or_else(|_| serde_json::from_str(&with_whole_pairs(text)));
        let Ok(mut message) = parsed else {
            return self.reject(None, ErrorData::parse_error("the line is not JSON", None));
        };
        let id = serde_json::from_value(message["id"].clone()).ok();
        let method = message["method"].as_str();
        let is_request = method.is_some() && message.get("id").is_some();
        // A ping or discovery request does not open the session.
        self.has_begun |= is_request && !matches!(method, Some("ping" | "server/discover"));
        let is_not_request = message.is_object() && !is_request;
        if is_not_request && !self.has_begun {
            return None;
        }
        if method == Some("initialize") {
            message["params"] = tidy_initialize(&message["params"]);
        }
        if !has_valid_arguments(&mut message) {
            let error = ErrorData::invalid_params("arguments must be an object", None);
            return self.reject(id, error);
        }
        match serde_json::from_value(message) {
            Ok(message) => Some(message),
            Err(_) if is_not_request => None,
            Err(_) => {
                let error = ErrorData::invalid_request("the line is not a valid request", None);
                self.reject(id, error)
            }
        }
    }

    /// Responds with an error and returns `None`. A separate task sends the response, because rmcp
    /// may cancel `receive`.
    fn reject(&mut self, id: Option<RequestId>, error: ErrorData) -> Option<ClientJsonRpcMessage> {
        tokio::spawn(self.output.send(JsonRpcMessage::error(error, id)));
        None
    }
}

/// Parses a tool's arguments in place if they are an object sent as a string, and returns whether
/// they are now an object or absent. For any other type, rmcp would misleadingly report an unknown
/// method.
fn has_valid_arguments(message: &mut Value) -> bool {
    let Some(arguments) = message.pointer_mut("/params/arguments") else {
        return true;
    };
    let text = arguments.as_str();
    if let Some(object) = text.and_then(|text| serde_json::from_str(text).ok()) {
        *arguments = object;
    }
    arguments.is_object() || arguments.is_null()
}

/// Keeps only the `initialize` parameters that this server uses, because rmcp rejects unusual
/// values in the others.
fn tidy_initialize(params: &Value) -> Value {
    let version = match params["protocolVersion"].as_str() {
        // Protocol version 2025-03-26 requires JSON-RPC batches, which rmcp lacks. Clients of that
        // version also accept 2024-11-05.
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
