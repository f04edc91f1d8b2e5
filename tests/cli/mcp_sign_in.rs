//! Tests signing in through the tools of the MCP server.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value, json};

use crate::support::{Client, Home, Reply, Server, exchange, free_port, has, says};

/// Starts an MCP server without credentials. Returns a client, the callback port and the service.
fn start(home: &Home) -> (Client, u16, Server) {
    let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
    let port = free_port();
    let mut command = home.kallyai(["mcp", "--callback-port", &port.to_string()]);
    command
        .env("KALLYAI_API_URL", server.url())
        .env("KALLYAI_TOKEN_FILE", home.token_file());
    (Client::of(&mut command), port, server)
}

/// Starts a sign-in. Returns the instructions, and the path and query of a successful redirect.
fn begin(client: &mut Client, port: u16) -> (String, String) {
    let begun = client.value("sign_in", json!({}));
    assert_eq!(begun["signed_in"], false);
    let url = begun["sign_in_url"].as_str().expect("a URL");
    let redirect = format!("redirect_uri=http%3A%2F%2Flocalhost%3A{port}%2Fcallback");
    assert!(url.contains(&redirect), "{url}");
    let state = url.split("state=").nth(1).expect("a state");
    let tokens = "access_token=tok&refresh_token=ref&expires_in=3600";
    let instructions = begun["instructions"].as_str().expect("instructions");
    (
        instructions.to_owned(),
        format!("/callback?{tokens}&state={state}"),
    )
}

fn is_signed_in(client: &mut Client) -> bool {
    client.value("auth_status", json!({}))["signed_in"] == true
}

#[test]
fn browser_redirect_signs_in_without_a_second_tool_call() {
    let home = Home::new();
    let (mut client, port, server) = start(&home);
    let expected = json!({ "signed_in": false, "next_tool": "sign_in" });
    client.gives("auth_status", json!({}), expected);
    let mut arguments = json!({ "phone": "+15551234567", "task": "Reserve a table" });
    let error = client.error("place_call", arguments.clone());
    let expected = json!({ "code": "not_signed_in", "next_tool": "sign_in" });
    has(&error, expected);
    // A dry run does not need credentials.
    arguments["dry_run"] = json!(true);
    assert_eq!(client.value("place_call", arguments)["would_place"], true);

    let (_, redirect) = begin(&mut client, port);
    // A second `sign_in` returns the same URL, because the user may already have the page open.
    assert_eq!(begin(&mut client, port).1, redirect);
    let status = client.value("auth_status", json!({}));
    assert_eq!(status["signed_in"], false);
    says(&status, "hint", "waiting for the user's browser");
    let head = format!("GET {redirect} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    let response = exchange((Ipv4Addr::LOCALHOST, port).into(), head.as_bytes());
    assert_eq!(response.status, 303, "{}", response.text);
    assert!(is_signed_in(&mut client));
    assert_eq!(client.value("get_usage", json!({}))["plan_type"], "pro");
    assert_eq!(server.count("POST", "/v1/calls"), 0);
}

#[test]
fn wrong_callback_url_keeps_the_mcp_sign_in_pending() {
    let home = Home::new();
    let (mut client, port, _server) = start(&home);
    let (_, redirect) = begin(&mut client, port);
    for wrong in [
        "-",
        "localhost:8976/callback",
        "http://localhost:8976/callback?access_token=x&state=y",
        "http://localhost:8976/callback?access_token=x",
        "the page is blank",
    ] {
        let error = client.error("sign_in", json!({ "callback_url": wrong }));
        says(&error, "hint", "whole URL");
        assert!(!is_signed_in(&mut client));
    }
    // Some browsers omit the scheme when the user copies a URL, and some users add quotes.
    let pasted = format!("\"localhost:{port}{redirect}\"");
    let signed_in = client.value("sign_in", json!({ "callback_url": pasted }));
    assert_eq!(signed_in, json!({ "signed_in": true }));
    assert!(is_signed_in(&mut client));
    // Repeating either sign-in step changes nothing, because the user is already signed in.
    for arguments in [json!({ "callback_url": pasted }), json!({})] {
        client.gives("sign_in", arguments, signed_in.clone());
    }
    // The port is free again, because the server stops listening after a successful sign-in.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
}

#[test]
fn pasted_url_signs_in_if_the_callback_port_is_in_use() {
    let home = Home::new();
    let (mut client, port, _server) = start(&home);
    let _holder = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
    let (instructions, redirect) = begin(&mut client, port);
    assert!(instructions.contains("Another program"), "{instructions}");
    let pasted = format!("https://forwarded.example{redirect}");
    let signed_in = client.value("sign_in", json!({ "callback_url": pasted }));
    assert_eq!(signed_in["signed_in"], Value::Bool(true));
}
