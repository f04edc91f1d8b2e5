//! The routes of signing in: the page, its two answers, and the refresh.

use serde::Deserialize;
use url::Url;

use super::clock::now;
use super::page;
use super::service::Service;
use super::wire::{HandlerResult, Refusal, Reply, Request};

pub(super) fn ask(_: &Service, request: &Request) -> HandlerResult {
    let client = RedirectTarget::of(request)?;
    let host = &client.redirect_uri[..url::Position::BeforePath];
    Ok(page::sign_in(host, request.query()))
}

pub(super) fn approve(service: &Service, request: &Request) -> HandlerResult {
    check_origin(request)?;
    let client = RedirectTarget::of(request)?;
    let login = service.new_login()?;
    Ok(client.answer(&[
        ("access_token", &login.access_token),
        ("refresh_token", &login.refresh_token),
        ("expires_in", &login.expires_in.to_string()),
    ]))
}

pub(super) fn deny(_: &Service, request: &Request) -> HandlerResult {
    check_origin(request)?;
    Ok(RedirectTarget::of(request)?.answer(&[("error", "access_denied")]))
}

pub(super) fn refresh(service: &Service, request: &Request) -> HandlerResult {
    #[derive(Deserialize)]
    struct RefreshBody {
        refresh_token: String,
    }
    let RefreshBody { refresh_token } = request.json()?;
    let lifetime = service.access_token_lifetime;
    let login = service.store.update(|memory| memory.logins.refresh(&refresh_token, now(), lifetime))?;
    match login {
        Some(login) => Reply::json(200, &login),
        None => {
            let message = "The refresh token is unknown or was used before.";
            Err(Refusal::new(401, "invalid_refresh_token", message))
        }
    }
}

/// Only the sandbox's own page can approve or deny: a page of a stranger's could make the browser
/// post the same form.
fn check_origin(request: &Request) -> Result<(), Refusal> {
    let own = request.header("Host").map(|host| format!("http://{host}"));
    match (request.header("Origin"), own) {
        (Some(origin), Some(own)) if origin.eq_ignore_ascii_case(&own) => Ok(()),
        _ => {
            let message = "Only the sign-in page of the sandbox itself can answer it.";
            Err(Refusal::new(403, "wrong_origin", message))
        }
    }
}

/// The program that waits for the browser to come back.
struct RedirectTarget<'a> {
    redirect_uri: Url,
    /// Never decoded, so that it goes back as it came.
    state: Option<&'a str>,
}

impl<'a> RedirectTarget<'a> {
    fn of(request: &'a Request) -> Result<Self, Refusal> {
        let uri = request.parameter("redirect_uri").unwrap_or_default();
        let redirect_uri = local_uri(&uri).ok_or_else(|| {
            let message = "redirect_uri must begin with http://localhost:PORT or http://127.0.0.1:PORT.";
            Refusal::new(400, "invalid_redirect_uri", message)
        })?;
        let mut parameters = request.query().split('&');
        let state = parameters.find_map(|parameter| parameter.strip_prefix("state="));
        Ok(Self { redirect_uri, state })
    }

    fn answer(mut self, parameters: &[(&str, &str)]) -> Reply {
        self.redirect_uri.query_pairs_mut().extend_pairs(parameters);
        let mut location = String::from(self.redirect_uri);
        if let Some(state) = self.state {
            location.extend(["&state=", state]);
        }
        Reply::see_other(location)
    }
}

/// A URL whose host is this machine, spelled as one of the two names the service knows.
fn local_uri(text: &str) -> Option<Url> {
    let named = ["http://localhost:", "http://127.0.0.1:"].iter().any(|start| text.starts_with(start));
    let mut url = Url::parse(text).ok().filter(|_| named)?;
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
    let plain = url.username().is_empty() && url.password().is_none();
    url.set_fragment(None);
    (local && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_redirected_to() {
        for taken in ["http://localhost:8976/callback", "http://127.0.0.1:1", "http://localhost:8976/a?b=c#d"]
        {
            assert!(local_uri(taken).is_some(), "{taken}");
        }
        for refused in [
            "",
            "http://localhost/callback",
            "https://localhost:8976/",
            "http://localhost:8976@example.com/",
            "http://localhost:pass@localhost:8976/",
            "http://localhost.example.com:8976/",
            "http://127.0.0.1:99999/",
            "javascript:alert(1)",
        ] {
            assert!(local_uri(refused).is_none(), "{refused}");
        }
    }

    #[test]
    fn an_answer_keeps_the_query_of_the_redirect_uri_and_the_state_as_it_came() {
        let client = RedirectTarget {
            redirect_uri: local_uri("http://localhost:1/cb?x=1#y").expect("a URL"),
            state: Some("a%2fB+%FF"),
        };
        let reply = client.answer(&[("error", "access_denied")]);
        assert_eq!(
            reply.header("Location"),
            Some("http://localhost:1/cb?x=1&error=access_denied&state=a%2fB+%FF"),
        );
    }
}
