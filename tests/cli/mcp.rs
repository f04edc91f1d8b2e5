//! Tests the MCP server through its stdin and stdout.

use serde_json::{Value, json};

use crate::support::{
    Client, FIRST, Gate, Home, Post, Reply, Service, Shown, call, cells, has, says,
};

fn arguments(task: &str) -> Value {
    json!({ "phone": "+15551234567", "task": task })
}

fn sandbox(home: &Home) -> Client {
    Client::of(&mut home.kallyai(["mcp", "--sandbox"]))
}

/// Starts a service that delays its first response to a POST until the test opens the gate.
fn held() -> (Service, Gate) {
    let gate = Gate::default();
    let held = Post::lost(gate.hold(Reply::json(201, &call(FIRST, "success"))));
    (Service::with([held.shown(Shown::Never)]), gate)
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"))
}

fn with(mut object: Value, more: Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        object[name] = value.clone();
    }
    object
}

/// Returns the `submission` object that a call with these extra arguments would send.
fn submission(client: &mut Client, more: Value) -> Value {
    let arguments = with(json!({ "dry_run": true }), arguments("Reserve a table"));
    client.value("place_call", with(arguments, more))["body"]["submission"].clone()
}

#[test]
fn tool_schemas_are_strict_and_short() {
    let home = Home::new();
    let mut client = Client::start(&mut home.kallyai(["mcp", "--sandbox"]));
    let begun = client.initialize("2025-11-25", json!({}));
    let listed = client.request("tools/list", json!({}))["result"].clone();
    let tools = listed["tools"].as_array().expect("tools");
    assert_eq!(tools.len(), 11);
    for tool in tools {
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
        let reads = tool["name"] != "place_call" && tool["name"] != "sign_in";
        assert_eq!(tool["annotations"]["readOnlyHint"] == true, reads, "{tool}");
    }
    let instructions = begun["instructions"].as_str().expect("instructions");
    let length = listed.to_string().len() + instructions.len();
    assert!(length <= 8800, "{length} characters");
}

#[test]
fn every_tool_works_in_the_sandbox() {
    let home = Home::new();
    // The `timezone` argument of a tool call overrides the server's `--timezone`.
    let mut client =
        Client::of(&mut home.kallyai(["mcp", "--sandbox", "--timezone", "Europe/Madrid"]));
    let booking = json!({
        "phone": "+15551234567", "task": "Reserve a table", "category": "restaurant", "name": "Ann",
        "party_size": 4, "date": "2077-01-28", "time": "20:00", "timezone": "America/New_York",
    });
    let dry_run = with(booking.clone(), json!({ "dry_run": true }));
    let booked = client.value("place_call", booking)["call_id"].clone();
    let when = "Thu 2077-01-28 20:00 America/New_York";
    let expected = json!({ "would_place": true, "when": when });
    client.gives("place_call", dry_run, expected);
    for row in r#"
        place_call | {"phone":"+15555550102","task":"Ask for the hours","key":"mine"} | {"status":"busy"}
        get_call_result    | {"key":"mine"}                              | {"status":"busy"}
        list_pending_calls | {}                                          | {"pending":[]}
        list_calls         | {"limit":1}                                 | {"total":2,"next_offset":null}
        list_calls         | {"status":"unsuccessful","since":"today"}   | {"total":1}
        list_calls         | {"search":"hours","until":"today"}          | {"total":1}
        get_call           | {"call_id":"last-1"}                        | {"status":"success"}
        get_usage          | {}                                          | {"calls_used":2}
        get_subscription   | {}                                          | {"status":"active"}
        sign_in            | {}                                          | {"signed_in":true}
        auth_status        | {}                                          | {"signed_in":true}"#
        .trim()
        .lines()
    {
        let [tool, given, fields] = cells(row);
        client.gives(tool, parsed(given), parsed(fields));
    }
    let transcript = client.value("get_transcript", json!({ "call_id": booked }));
    says(&transcript["entries"][0], "speaker", "HUMAN");
    let calendar = client.value("get_calendar", json!({ "call_id": booked }));
    says(&calendar, "calendar", "BEGIN:VCALENDAR\r\n");
    assert_eq!(client.end(), Some(0));
}

#[test]
fn server_negotiates_a_protocol_version_that_it_supports() {
    let home = Home::new();
    let command = || home.kallyai(["mcp", "--sandbox"]);
    // The server offers 2024-11-05 instead of 2025-03-26, which requires JSON-RPC batches.
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2024-11-05"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let mut client = Client::start(&mut command());
        let begun = client.initialize(asked, json!({}));
        assert_eq!(begun["protocolVersion"], agreed);
        client.gives("sign_in", json!({}), json!({ "signed_in": true }));
    }
    // Skip the initialization handshake, which protocol version 2026-07-28 does not have.
    let mut client = Client::start(&mut command());
    client.meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = client.request("server/discover", json!({}))["result"].clone();
    assert!(found.to_string().contains("2026-07-28"), "{found}");
    let listed = client.request("tools/list", json!({}))["result"].clone();
    has(&listed, json!({ "ttlMs": 0, "cacheScope": "public" }));
    assert_eq!(client.value("sign_in", json!({}))["signed_in"], true);
}

#[test]
fn malformed_lines_do_not_end_the_session() {
    let home = Home::new();
    let mut client = Client::start(&mut home.kallyai(["mcp", "--sandbox"]));
    let before = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}
        {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}
        {"jsonrpc":"2.0","id":7,"result":{}}"#;
    before.lines().for_each(|line| client.write(line));
    client.write("\r");
    client
        .write("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}\r");
    assert_eq!(client.read()["id"], 1);
    let after = r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}
        {"jsonrpc":"2.0","method":"notifications/unheard_of","params":7}
        {"jsonrpc":"2.0","id":70,"error":{"code":1,"message":""}}"#;
    after.lines().for_each(|line| client.write(line));
    // The last row is a JSON-RPC batch, which the server does not support.
    for row in r#"what?                                                           | -32700
        {"jsonrpc":"2.0","id":2,                                                | -32700
        {"jsonrpc":"2.0","id":3,"method":"tools/call","params":7}               | -32600
        {"jsonrpc":"2.0","id":null,"method":"ping"}                             | -32600
        {"jsonrpc":"2.0","id":4,"method":"unheard/of","params":{}}              | -32601
        [{"jsonrpc":"2.0","id":5,"method":"ping"}]                              | -32600"#
        .lines()
    {
        let [line, code] = cells(row);
        client.write(line);
        let response = client.read();
        assert_eq!(response["error"]["code"].to_string(), code, "{line}");
    }
}

#[test]
fn loosely_typed_arguments_are_accepted() {
    let home = Home::new();
    let mut client = sandbox(&home);
    let plain = submission(&mut client, json!({}));
    for absent in [Value::Null, json!(""), json!(" \u{200b}")] {
        let names = "category name business party_size date time time_preference user_phone language \
                     call_language instructions urgent timezone session_id key again";
        let fields = names.split_whitespace();
        let fields = fields.map(|name| (name.to_owned(), absent.clone()));
        let sent = submission(&mut client, fields.collect());
        assert_eq!(sent, plain, "{absent}");
    }
    for row in r#"{"party_size":"4"}                     | party_size              | 4
        {"party_size":4.0}                               | party_size              | 4
        {"party_size":" 4.0 "}                           | party_size              | 4
        {"urgent":"true"}                                | is_urgent               | true
        {"urgent":"TRUE"}                                | is_urgent               | true
        {"instructions":"be kind"}                       | additional_instructions | ["be kind"]
        {"instructions":"[\"a\", \"b\"]"}                | additional_instructions | ["a","b"]
        {"instructions":["a","",null]}                   | additional_instructions | ["a"]
        {"instructions":"[ask first]"}                   | additional_instructions | ["[ask first]"]
        {"category":"Restaurant"}                        | task_category           | "restaurant"
        {"name":7}                                       | user_name               | "7"
        {"time":"8pm","date":"2077-01-28"}               | appointment_time        | "20:00"
        {"user_phone":"+1 (555) 123-4568"}               | user_phone              | "+15551234568"
        {"task":"@/etc/passwd"}                          | task_description        | "@/etc/passwd"
        {"task":"-"}                                     | task_description        | "-"
        {"task":"--again"}                               | task_description        | "--again""#
        .lines()
    {
        let [given, name, sent] = cells(row);
        let submission = submission(&mut client, parsed(given));
        assert_eq!(submission[name], parsed(sent), "{given}");
    }
    let page = json!({ "limit": "5", "offset": "0", "status": "busy, failed", "since": "" });
    assert_eq!(client.value("list_calls", page)["calls"], json!([]));
}

#[test]
fn invalid_argument_error_explains_what_is_allowed() {
    let home = Home::new();
    let service = Service::with([]);
    let mut client = Client::of(&mut service.at(&home, ["mcp"]));
    for row in r#"place_call | {"part_size":4}       | did you mean party_size?
        place_call     | {"Phone":"+15551234567"}    | did you mean phone?
        place_call     | {"--again":true}            | did you mean again?
        list_calls     | {"statuses":"busy"}         | did you mean status?
        auth_status    | {"again":true}              | this tool takes no arguments
        get_call       | {"id":"last"}               | did you mean call_id?
        get_call       | {"x":1}                     | these arguments: call_id
        place_call     | {"party_size":51}           | party_size must be an integer from 1 to 50
        place_call     | {"party_size":4.5}          | party_size must be an integer from 1 to 50
        place_call     | {"party_size":"four"}       | party_size must be an integer from 1 to 50
        list_calls     | {"limit":0}                 | limit must be an integer from 1 to 200
        list_calls     | {"limit":"201"}             | limit must be an integer from 1 to 200
        place_call     | {"urgent":"yes"}            | urgent must be true or false
        place_call     | {"category":"bar"}          | category must be restaurant or clinic or hotel or general
        place_call     | {"name":["Ann"]}            | name must be a string
        place_call     | {"phone":"5551234567"}      | use +15551234567
        place_call     | {"phone":"5551234567","timezone":"Asia/Kolkata"} | the country code
        place_call     | {"date":"someday"}          | use YYYY-MM-DD
        place_call     | {"time":"8-9pm"}            | put a time range in time_preference
        place_call     | {"task":" "}                | task is missing
        get_transcript | {}                          | call_id is missing
        list_calls     | {"since":"soon"}            | yesterday"#
        .lines()
    {
        let [tool, given, part] = cells(row);
        let error = match tool {
            "place_call" => client.error(tool, with(arguments("Ask"), parsed(given))),
            _ => client.error(tool, parsed(given)),
        };
        let said = format!("{} {}", error["message"], error["hint"]);
        assert!(said.contains(part), "{given}: {said}");
        assert!(!error["hint"].to_string().contains("--"), "{said}");
        assert_eq!(error["retry_safe"], true, "{error}");
    }
    for (arguments, code) in [(json!("{}"), Value::Null), (json!([1]), json!(-32602))] {
        let params = json!({ "name": "list_pending_calls", "arguments": arguments });
        let response = client.request("tools/call", params);
        assert_eq!(response["error"]["code"], code, "{response}");
    }
    assert_eq!(service.server.requests().len(), 0);
}

#[test]
fn unfinished_call_can_be_polled_until_it_ends() {
    let home = Home::new();
    let (service, gate) = held();
    let mut client = Client::of(&mut service.at(&home, ["mcp", "--timeout", "2"]));
    let placed = client.value("place_call", arguments("Reserve a table"));
    let key = json!({ "key": service.made()[0] });
    let next = json!({ "next_tool": "get_call_result", "next_arguments": key });
    has(&placed, with(next.clone(), key.clone()));
    assert_eq!(placed["status"], "in_progress");

    // A second call is refused. The error suggests the tool that returns the result of the first.
    let error = client.error("place_call", arguments("Reserve a table"));
    let expected = with(next, json!({ "code": "call_open", "retry_safe": false }));
    let dry = with(arguments("Reserve a table"), json!({ "dry_run": true }));
    let refusal = client.value("place_call", dry)["refusal"].clone();
    for error in [error, refusal] {
        has(&error, expected.clone());
        says(&error, "hint", "the user asks");
    }

    let expected = json!({ "status": "in_progress" });
    client.gives("get_call_result", key.clone(), expected);
    let pending = client.value("list_pending_calls", json!({}))["pending"][0].clone();
    has(&pending, key.clone());
    gate.open();
    for _ in 0..2 {
        let expected = json!({ "status": "success" });
        client.gives("get_call_result", key.clone(), expected);
    }
    client.gives("list_pending_calls", json!({}), json!({ "pending": [] }));
    assert_eq!(service.posts(), 1);
}

/// Interrupts a request that waits for a call. Returns a client that can still get the result.
type Interruption = fn(Client, i64, &dyn Fn() -> Client) -> Client;

#[test]
fn call_survives_a_canceled_request_and_a_stopped_server() {
    let cancel: Interruption = |mut client, id, _| {
        client.cancel(id);
        client
    };
    let kill: Interruption = |client, _, start| {
        client.kill();
        start()
    };
    let leave: Interruption = |client, _, start| {
        assert_eq!(client.end(), Some(0));
        start()
    };
    for interrupt in [cancel, kill, leave] {
        let home = Home::new();
        let (service, gate) = held();
        let start = || Client::of(&mut service.at(&home, ["mcp"]));
        let mut client = start();
        let id = client.send_call("place_call", &arguments("Reserve a table"));
        service.server.wait_for("POST", "/v1/calls", 1);
        let mut client = interrupt(client, id, &start);
        let pending = client.value("list_pending_calls", json!({}))["pending"].clone();
        assert_eq!(pending.as_array().map(Vec::len), Some(1), "{pending}");
        gate.open();
        let result = json!({ "key": pending[0]["key"] });
        assert_eq!(client.value("get_call_result", result)["status"], "success");
        assert_eq!(service.posts(), 1);
    }
}

#[test]
fn tool_call_canceled_before_sending_makes_no_phone_call() {
    let home = Home::new();
    let gate = Gate::default();
    let service = Service::with([]);
    // Delay the history lookup, so that the cancellation arrives before the worker starts.
    service.pre_call_lookup(gate.hold(Reply::json(200, &json!({ "calls": [] }))));
    let mut client = Client::of(&mut service.at(&home, ["mcp"]));
    let id = client.send_call("place_call", &arguments("Reserve a table"));
    service.server.wait_for("GET", "/v1/calls", 1);
    client.cancel(id);
    let pending = client.value("list_pending_calls", json!({}))["pending"].clone();
    gate.open();
    assert_eq!(pending, json!([]));
    assert_eq!(client.end(), Some(0));
    assert_eq!((service.posts(), home.journal()), (0, vec![]));
}

#[test]
fn repeated_call_needs_the_users_consent_via_elicitation() {
    let home = Home::new();
    let service = Service::with([]);
    let mut client = Client::start(&mut service.at(&home, ["mcp"]));
    client.initialize("2025-11-25", json!({ "elicitation": {} }));
    let task = arguments("Reserve a table");
    client.gives("place_call", task.clone(), json!({ "status": "success" }));
    let again = with(task, json!({ "again": "true" }));
    for (action, posts) in [("decline", 1), ("cancel", 1), ("accept", 2)] {
        let id = client.send_call("place_call", &again);
        let question = client.read();
        says(&question["params"], "message", "+15551234567");
        let result = json!({ "action": action, "content": {} });
        let response = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
        client.write(&response.to_string());
        let result = client.response(id)["result"].clone();
        assert_eq!(result["isError"], posts == 1, "{result}");
        assert_eq!(service.posts(), posts);
    }
}

#[test]
fn tool_errors_include_a_hint_but_no_shell_command() {
    let home = Home::new();
    let mut client = sandbox(&home);
    for (number, code) in [
        ("+15555550140", "quota_exceeded"),
        ("+15555550142", "safety_violation"),
        ("911", "emergency_number"),
    ] {
        let error = client.error("place_call", json!({ "phone": number, "task": "Ask" }));
        has(&error, json!({ "code": code, "retry_safe": true }));
        assert!(
            error["hint"].is_string() && error.get("next_command").is_none(),
            "{error}"
        );
    }
    let error = client.error("get_call_result", json!({ "key": "unheard-of" }));
    let expected = json!({ "code": "call_not_found", "next_tool": "list_calls" });
    has(&error, expected);
}

#[test]
fn tool_results_include_warnings() {
    let home = Home::new();
    let mut client = sandbox(&home);
    let past = json!({ "phone": "+15551234567", "task": "Ask", "date": "2020-01-01", "time": "20:00", "dry_run": true });
    let checked = client.value("place_call", past.clone());
    assert_eq!(checked["warnings"][0]["code"], "past_date", "{checked}");
    let mut placed = past;
    placed["dry_run"] = json!(false);
    let result = client.call("place_call", placed);
    let code = &result["_meta"]["warnings"][0]["code"];
    assert_eq!(code, "past_date", "{result}");
    says(&result["content"][0], "text", "[past_date]");
}
