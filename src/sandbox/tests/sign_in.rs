//! Logins, from the page to their end.

use super::*;

#[test]
fn a_login_is_needed_and_expires() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::start(Options {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        folder: folder.path().to_owned(),
        call_duration: MOMENT,
        access_token_lifetime: Duration::ZERO,
    })
    .expect("a sandbox");
    let mut client = Client::of(&sandbox);
    let expired = client.get("/v1/calls");
    assert_eq!(expired.error(), (401, "invalid_token".to_owned()));
    client.token = String::new();
    let absent = client.get("/v1/calls");
    assert_eq!(absent.error(), (401, "missing_token".to_owned()));
}

#[test]
fn the_sign_in_page_leads_back_with_tokens_or_a_refusal() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let mut client = Client::of(&sandbox);
    let query = "redirect_uri=http%3A%2F%2Flocalhost%3A8976%2Fcallback&state=a%2Fb\"%3E";
    let page = client.get(&format!("/v1/auth/cli?{query}"));
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.body.contains("sandbox") && page.body.contains("http://localhost:8976"));
    let action = format!("/v1/auth/cli/approve?{}", query.replace('"', "%22"));
    assert!(page.body.contains(&action.replace('&', "&amp;")));

    let origin = format!("Origin: http://{}", client.host);
    let approved = client.send(&format!("POST {action}\n{origin}"), "");
    assert_eq!(approved.status, 303);
    let location = url::Url::parse(&approved.headers["location"]).expect("a URL");
    assert!(location.as_str().starts_with("http://localhost:8976/callback?"));
    assert!(location.as_str().ends_with("&state=a%2Fb%22%3E"));
    let answer: HashMap<_, _> = location.query_pairs().into_owned().collect();
    assert_eq!(answer["expires_in"], "3600");
    client.token.clone_from(&answer["access_token"]);
    assert_eq!(client.get("/v1/users/me/subscription").json()["status"], "active");

    let denied = client.send(&format!("POST {}\n{origin}", action.replace("approve", "deny")), "");
    let expected = "http://localhost:8976/callback?error=access_denied&state=a%2Fb%22%3E";
    assert_eq!(denied.headers["location"], expected);
}

#[test]
fn a_refresh_rotates_and_its_reuse_signs_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let mut client = Client::of(&sandbox);
    let login = sandbox.new_login().expect("a login");
    let body = json!({"refresh_token": login.refresh_token}).to_string();
    let renewed = client.send("POST /v1/auth/refresh", &body).json();
    assert_eq!(renewed["expires_in"], 3600);
    client.token = renewed["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(client.get("/v1/calls").status, 200);
    let reused = client.send("POST /v1/auth/refresh", &body);
    assert_eq!(reused.error(), (401, "invalid_refresh_token".to_owned()));
    assert_eq!(client.get("/v1/calls").error(), (401, "invalid_token".to_owned()));
}

#[test]
fn only_the_page_itself_can_approve_or_deny() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let client = Client::of(&sandbox);
    let port = client.host.rsplit(':').next().expect("a port");
    let page = client.get("/v1/auth/cli?redirect_uri=http://localhost:8976/callback");
    assert_eq!(page.headers["referrer-policy"], "same-origin");
    for origin in [
        "X: y".to_owned(),
        "Origin: null".to_owned(),
        "Origin: http://a.test".to_owned(),
        format!("Origin: https://127.0.0.1:{port}"),
        // Another origin in the eyes of a browser, though the same machine.
        format!("Origin: http://localhost:{port}"),
        format!("Origin: http://{0}\nOrigin: http://{0}", client.host),
    ] {
        for answer in ["approve", "deny"] {
            let target = format!("/v1/auth/cli/{answer}?redirect_uri=http://localhost:8976/callback");
            let refused = client.send(&format!("POST {target}\n{origin}"), "");
            assert_eq!(refused.error(), (403, "wrong_origin".to_owned()), "{origin}");
        }
    }
}

#[test]
fn a_client_that_kept_its_login_goes_on_after_the_sandbox_lost_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = sandbox(folder.path(), MOMENT);
    let mut client = Client::of(&sandbox);
    let lose = || std::fs::remove_file(folder.path().join("state.json")).expect("the file");
    lose();
    assert_eq!(client.get("/v1/calls").json()["total"], 0);

    let login = sandbox.new_login().expect("a login");
    lose();
    let body = json!({"refresh_token": login.refresh_token}).to_string();
    let renewed = client.send("POST /v1/auth/refresh", &body);
    assert_eq!(renewed.status, 200);
    client.token = renewed.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(client.get("/v1/calls").status, 200);
    let reused = client.send("POST /v1/auth/refresh", &body);
    assert_eq!(reused.error(), (401, "invalid_refresh_token".to_owned()));
    assert_eq!(client.get("/v1/calls").error(), (401, "invalid_token".to_owned()));
}
