//! The routes of the sandbox, and the functions that handle them.

use tiny_http::Method;

use super::Service;
use super::http::{Refusal, Request, Result};
use super::{account, calls, sign_in};

type Handler = fn(&Service, &Request) -> Result;

/// The method, path and handler of each route. A `*` matches any path segment.
#[rustfmt::skip]
const ROUTES: [(Method, &str, Handler); 13] = [
    (Method::Get, "/v1/auth/cli", sign_in::page),
    (Method::Post, "/v1/auth/cli/approve", sign_in::approve),
    (Method::Post, "/v1/auth/cli/deny", sign_in::deny),
    (Method::Post, "/v1/auth/refresh", account::refresh),
    (Method::Get, "/v1/calls", calls::list),
    (Method::Post, "/v1/calls", calls::create),
    (Method::Get, "/v1/calls/*", calls::show),
    (Method::Get, "/v1/calls/*/transcript", calls::transcript),
    (Method::Get, "/v1/calls/*/calendar.ics", calls::calendar),
    (Method::Get, "/v1/users/me/statistics", account::statistics),
    (Method::Get, "/v1/users/me/subscription", account::subscription),
    (Method::Get, "/v1/stripe/billing-portal", account::billing_portal),
    (Method::Get, "/billing", account::billing_page),
];

pub(super) fn respond(service: &Service, mut request: tiny_http::Request) {
    let reply = Request::read(&mut request)
        .and_then(|request| dispatch(service, &request))
        .unwrap_or_else(Refusal::into_reply);
    // Ignore an error, which means that the client has closed the connection.
    let _ = request.respond(reply);
}

fn dispatch(service: &Service, request: &Request) -> Result {
    let path = request.url.path();
    let mut routes = ROUTES.iter();
    let route = routes.find(|route| route.0 == request.method && matches(route.1, path));
    let not_found = || Refusal::new(404, "not_found", "there is no such route");
    let (_, _, handler) = route.ok_or_else(not_found)?;
    if !path.starts_with("/v1/auth/") && path != "/billing" {
        account::authorize(service, request)?;
    }
    handler(service, request)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    let mut segments = pattern.iter().zip(&path);
    pattern.len() == path.len() && segments.all(|(wanted, given)| *wanted == "*" || wanted == given)
}
