//! Signing in by the tools of the MCP server, in two steps.

use serde_json::json;

use crate::support::{Client, Home, Reply, Server};

#[test]
fn a_server_without_a_login_starts_and_signs_in_in_two_steps() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro", "usage_percentage": 12.5 })));
    let mut command = home.kallyai(["--mcp"]);
    command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_TOKEN_FILE", home.token_file());
    let mut client = Client::of(&mut command);
    let booking = json!({ "phone": "+15551234567", "task": "Reserve a table" });
    let status = client.value("auth_status", json!({}));
    let sign_in = json!({ "name": "sign_in", "arguments": {} });
    assert_eq!((&status["signed_in"], &status["next_tool"]), (&json!(false), &sign_in));
    let error = client.error("place_call", booking.clone());
    assert_eq!((&error["code"], &error["next_tool"]), (&json!("not_signed_in"), &sign_in));
    // A call can be checked all the same.
    let mut check = booking;
    check["dry_run"] = json!(true);
    assert_eq!(client.value("place_call", check)["dry_run"]["would_place"], true);

    let begun = client.value("sign_in", json!({}));
    let url = begun["sign_in_url"].as_str().expect("an address");
    let state = url.split("state=").nth(1).expect("a state");
    let wrong = json!({ "callback_url": "http://localhost:8976/callback?access_token=x&state=y" });
    assert_eq!(client.error("sign_in", wrong)["code"], "sign_in_failed");
    assert_eq!(client.error("sign_in", json!({ "callback_url": "-" }))["code"], "invalid_input");
    let address = format!(
        "http://localhost:8976/callback?access_token=tok&refresh_token=ref&expires_in=3600&state={state}"
    );
    assert_eq!(client.value("sign_in", json!({ "callback_url": address }))["signed_in"], true);
    assert_eq!(client.value("auth_status", json!({}))["source"], "file");
    assert_eq!(client.value("get_usage", json!({}))["usage_percentage"], 12.5);
    assert_eq!(server.count("POST", "/v1/calls"), 0);
}

#[test]
fn a_wrong_address_spoils_no_sign_in() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({})));
    let mut command = home.kallyai(["--mcp"]);
    command.env("KALLYAI_API_URL", server.url()).env("KALLYAI_TOKEN_FILE", home.token_file());
    let mut client = Client::of(&mut command);
    let first = client.value("sign_in", json!({}))["sign_in_url"].clone();
    let other = first.as_str().expect("a URL");
    for (wrong, code, hint) in [
        ("localhost:8976/callback", "invalid_input", "all of the address"),
        ("http://localhost:8976/callback?access_token=tok", "invalid_input", "all of the address"),
        (other, "sign_in_failed", "whole address"),
    ] {
        let error = client.error("sign_in", json!({ "callback_url": wrong }));
        assert_eq!(error["code"], code, "{error}");
        assert!(error["hint"].as_str().is_some_and(|said| said.contains(hint)), "{error}");
        // What comes next would spoil the address that the user has.
        assert_eq!(error.get("next_tool").is_some(), code == "sign_in_failed", "{error}");
    }
    let second = client.value("sign_in", json!({}))["sign_in_url"].clone();
    let (second, state) = second.as_str().and_then(|url| url.split_once("state=")).expect("a state");
    assert!(second.contains("redirect_uri=http%3A%2F%2Flocalhost%3A8976%2Fcallback"), "{second}");
    // Browsers hide the scheme.
    let address = format!("localhost:8976/callback?access_token=tok&state={state}");
    assert_eq!(client.value("sign_in", json!({ "callback_url": address }))["signed_in"], true);
}
