//! An MCP client that starts `kallyai mcp` as its server.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

pub struct Client {
    child: Child,
    stdin: Option<PipeWriter>,
    /// The read end of the server's stdin, to detect when every copy of the write end is closed.
    #[cfg_attr(windows, expect(dead_code))]
    reader: PipeReader,
    stdout: BufReader<ChildStdout>,
    /// The ID of the last request.
    id: i64,
    /// The `_meta` field in the parameters of every request. It is omitted if empty.
    pub meta: Value,
}

impl Client {
    /// Starts a server but does not send anything yet.
    pub fn start(command: &mut Command) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        command
            .stdin(reader.try_clone().expect("a descriptor"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("the server starts");
        // Replace stdin, to drop the command's copy of the pipe's read end.
        command.stdin(Stdio::null());
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self {
            child,
            stdin: Some(writer),
            reader,
            stdout,
            id: 0,
            meta: json!({}),
        }
    }

    /// Starts a server and completes the initialization handshake.
    pub fn of(command: &mut Command) -> Self {
        let mut client = Self::start(command);
        let begun = client.initialize("2025-11-25", json!({}));
        assert_eq!(begun["protocolVersion"], "2025-11-25");
        client
    }

    pub fn initialize(&mut self, version: &str, capabilities: Value) -> Value {
        let info = json!({ "name": "test", "version": "1" });
        let params =
            json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": info });
        let begun = self.request("initialize", params)["result"].clone();
        self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        begun
    }

    pub fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("an open pipe");
        writeln!(stdin, "{line}").expect("the server reads");
    }

    /// Reads a line from the server and parses it as JSON.
    pub fn read(&mut self) -> Value {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).expect("UTF-8");
        assert!(read > 0, "the server closed its stdout");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// Waits for the response to the request with this ID and skips all other messages.
    pub fn response(&mut self, id: i64) -> Value {
        loop {
            let message = self.read();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.response(id)
    }

    /// Sends a request and returns its ID.
    pub fn send(&mut self, method: &str, mut params: Value) -> i64 {
        self.id += 1;
        if self.meta != json!({}) {
            params["_meta"] = self.meta.clone();
        }
        let request =
            json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params });
        self.write(&request.to_string());
        self.id
    }

    pub fn send_call(&mut self, tool: &str, arguments: &Value) -> i64 {
        let params = json!({ "name": tool, "arguments": arguments });
        self.send("tools/call", params)
    }

    pub fn cancel(&mut self, id: i64) {
        let params = json!({ "requestId": id, "reason": "the user left" });
        let message =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        self.write(&message.to_string());
    }

    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send_call(tool, &arguments);
        self.response(id)["result"].clone()
    }

    /// Calls a tool, asserts that the call succeeds, and returns the structured content.
    #[track_caller]
    pub fn value(&mut self, tool: &str, arguments: Value) -> Value {
        self.structured(tool, arguments, false)
    }

    /// Calls a tool, asserts that the call fails, and returns the structured error.
    #[track_caller]
    pub fn error(&mut self, tool: &str, arguments: Value) -> Value {
        self.structured(tool, arguments, true)
    }

    /// Calls a tool and asserts that its structured content has these fields.
    #[track_caller]
    pub fn gives(&mut self, tool: &str, arguments: Value, fields: Value) {
        super::has(&self.value(tool, arguments), fields);
    }

    #[track_caller]
    fn structured(&mut self, tool: &str, arguments: Value, is_error: bool) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], is_error, "{result}");
        let text = result["content"][0]["text"].as_str().expect("text");
        assert!(!text.is_empty(), "{result}");
        result["structuredContent"].clone()
    }

    /// Closes the server's stdin. A process that another test is starting may briefly hold a copy
    /// of the pipe, so this waits until every copy is closed.
    pub fn leave(&mut self) {
        drop(self.stdin.take());
        #[cfg(unix)]
        {
            use rustix::event::{PollFd, PollFlags, poll};
            let mut closed = [PollFd::new(&self.reader, PollFlags::empty())];
            poll(&mut closed, None).expect("a closed pipe");
        }
    }

    /// Closes the server's stdin, waits for it to exit and returns its exit status.
    pub fn end(mut self) -> Option<i32> {
        self.leave();
        self.child.wait().expect("an exit status").code()
    }

    pub fn kill(mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("an exit status");
    }
}
