//! A client of the MCP server, and the schemas of its tools.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A client of one server process.
pub struct Client {
    child: Child,
    stdin: Option<PipeWriter>,
    /// The same pipe's other end, which shows when nobody writes any more.
    #[cfg_attr(windows, expect(dead_code))]
    reader: PipeReader,
    stdout: BufReader<ChildStdout>,
    /// The last request's ID.
    id: i64,
    /// Members of every request's `_meta`.
    pub meta: Value,
    /// Notifications that came between answers.
    pub heard: Vec<Value>,
}

impl Client {
    /// A client that has sent nothing yet.
    pub fn start(command: &mut Command) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        command.stdin(reader.try_clone().expect("a descriptor")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the server starts");
        // It holds the pipe's end that the server reads.
        command.stdin(Stdio::null());
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, stdin: Some(writer), reader, stdout, id: 0, meta: json!({}), heard: Vec::new() }
    }

    /// A client that has begun as the older revisions do.
    pub fn of(command: &mut Command) -> Self {
        let mut client = Self::start(command);
        let begun = client.initialize("2025-11-25");
        assert_eq!(begun["protocolVersion"], "2025-11-25");
        client
    }

    pub fn initialize(&mut self, version: &str) -> Value {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": info });
        let begun = self.request("initialize", params)["result"].clone();
        self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        begun
    }

    pub fn write(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().expect("an open pipe");
        writeln!(stdin, "{message}").and_then(|()| stdin.flush()).expect("the server reads");
    }

    /// Sends a request and returns its ID.
    fn send(&mut self, method: &str, mut params: Value) -> i64 {
        self.id += 1;
        if self.meta != json!({}) {
            params["_meta"] = self.meta.clone();
        }
        self.write(&json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params }));
        self.id
    }

    /// The answer to a request.
    pub fn answer(&mut self, id: i64) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).expect("UTF-8") > 0, "the server ended");
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            if message["id"] == id {
                return message;
            }
            self.heard.push(message);
        }
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    pub fn send_call(&mut self, tool: &str, arguments: &Value) -> i64 {
        self.send("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// The result of a tool call.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.send_call(tool, &arguments);
        self.answer(id)["result"].clone()
    }

    /// What a tool answers.
    #[track_caller]
    pub fn value(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{result}");
        assert!(result["content"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
        result["structuredContent"].clone()
    }

    /// The error object of a tool call that fails.
    #[track_caller]
    pub fn error(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        let text = result["content"][0]["text"].as_str().expect("a text");
        serde_json::from_str::<Value>(text).expect("JSON")["error"].clone()
    }

    /// Closes the server's stdin, and waits until it is closed: a program that another test starts at this moment has it
    /// open too, until it has begun.
    pub fn leave(&mut self) {
        drop(self.stdin.take());
        #[cfg(unix)]
        {
            use rustix::event::{PollFd, PollFlags, poll};
            let mut closed = [PollFd::new(&self.reader, PollFlags::empty())];
            poll(&mut closed, None).expect("an end");
        }
    }

    /// Closes the server's stdin and waits for its end.
    pub fn end(mut self) -> Option<i32> {
        self.leave();
        self.child.wait().expect("an end").code()
    }

    pub fn kill(mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("an end");
    }
}

/// Says where a value does not fit a schema. It knows the keywords that the tools' schemas use, and no others.
pub fn misfit(schema: &Value, value: &Value) -> Option<String> {
    let wrong = |what: &str| Some(format!("{what}: {value} in {schema}"));
    for (keyword, rule) in schema.as_object().expect("an object") {
        match keyword.as_str() {
            "$schema" | "description" | "default" | "minimum" | "maximum" => {}
            "type" => {
                let fits = match rule.as_str().expect("one type") {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    other => panic!("type {other}"),
                };
                if !fits {
                    return wrong("type");
                }
            }
            "const" if rule != value => return wrong("const"),
            "const" => {}
            "oneOf" => {
                let choices = rule.as_array().expect("a list");
                if choices.iter().filter(|choice| misfit(choice, value).is_none()).count() != 1 {
                    return wrong("oneOf");
                }
            }
            "required" => {
                let names = rule.as_array().expect("a list");
                if names.iter().any(|name| value.get(name.as_str().expect("a name")).is_none()) {
                    return wrong("required");
                }
            }
            "properties" => {
                let properties = rule.as_object().expect("an object");
                let found =
                    properties.iter().filter_map(|(name, inner)| misfit(inner, value.get(name)?)).next();
                if found.is_some() {
                    return found;
                }
                if schema.get("additionalProperties").is_none()
                    && value.as_object().expect("an object").keys().any(|name| !properties.contains_key(name))
                {
                    return wrong("unknown member");
                }
            }
            "items" => {
                let found = value.as_array().expect("a list").iter().find_map(|item| misfit(rule, item));
                if found.is_some() {
                    return found;
                }
            }
            "additionalProperties" => {}
            other => panic!("keyword {other}"),
        }
    }
    None
}
