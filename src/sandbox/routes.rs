//! Which request is answered where.

use tiny_http::Method;

use super::service::Service;
use super::wire::{HandlerResult, Refusal, Reply, Request};
use super::{account, calls, sign_in};

type Handler = fn(&Service, &Request) -> HandlerResult;

struct Route {
    is_open: bool,
    get: Option<Handler>,
    post: Option<Handler>,
}

impl Route {
    /// Needs no login.
    const OPEN: Self = Self { is_open: true, get: None, post: None };

    /// Needs a login.
    const CLOSED: Self = Self { is_open: false, ..Self::OPEN };

    fn get(self, handler: Handler) -> Self {
        Self { get: Some(handler), ..self }
    }

    fn post(self, handler: Handler) -> Self {
        Self { post: Some(handler), ..self }
    }

    fn handler(&self, method: &Method) -> Result<Handler, Refusal> {
        let handler = match method {
            Method::Get => self.get,
            Method::Post => self.post,
            _ => None,
        };
        handler.ok_or_else(|| {
            let allowed = match (self.get, self.post) {
                (Some(_), Some(_)) => "GET, HEAD, POST",
                (Some(_), None) => "GET, HEAD",
                _ => "POST",
            };
            Refusal::new(405, "method_not_allowed", "This route has no such method.")
                .with_header("Allow", allowed)
        })
    }
}

fn route(path: &[&str]) -> Option<Route> {
    Some(match path {
        ["v1", "auth", "cli"] => Route::OPEN.get(sign_in::ask),
        ["v1", "auth", "cli", "approve"] => Route::OPEN.post(sign_in::approve),
        ["v1", "auth", "cli", "deny"] => Route::OPEN.post(sign_in::deny),
        ["v1", "auth", "refresh"] => Route::OPEN.post(sign_in::refresh),
        ["v1", "calls"] => Route::CLOSED.get(calls::list).post(calls::place),
        ["v1", "calls", _] => Route::CLOSED.get(calls::show),
        ["v1", "calls", _, "transcript"] => Route::CLOSED.get(calls::transcript),
        ["v1", "calls", _, "calendar.ics"] => Route::CLOSED.get(calls::calendar),
        ["v1", "users", "me", "statistics"] => Route::CLOSED.get(account::statistics),
        ["v1", "users", "me", "subscription"] => Route::CLOSED.get(account::subscription),
        ["v1", "stripe", "billing-portal"] => Route::CLOSED.get(account::billing_portal),
        ["billing"] => Route::OPEN.get(account::billing_page),
        _ => return None,
    })
}

pub(super) fn answer(service: &Service, request: &Request) -> Reply {
    dispatch(service, request).unwrap_or_else(Reply::from)
}

fn dispatch(service: &Service, request: &Request) -> HandlerResult {
    let route =
        route(&request.path()).ok_or_else(|| Refusal::new(404, "not_found", "There is no such route."))?;
    let handler = route.handler(request.method())?;
    if !route.is_open {
        authorize(service, request)?;
    }
    handler(service, request)
}

fn authorize(service: &Service, request: &Request) -> Result<(), Refusal> {
    let token =
        request.bearer().ok_or_else(|| Refusal::new(401, "missing_token", "A bearer token is required."))?;
    if service.accepts(token)? {
        Ok(())
    } else {
        let message = "The access token is unknown or has expired.";
        Err(Refusal::new(401, "invalid_token", message))
    }
}
