//! The routes of the sign-in page.

use url::Url;

use super::http::{self, Refusal, Reply, Request, Result};
use super::{Service, account};

pub(super) fn page(_: &Service, request: &Request) -> Result {
    redirect_uri(request)?;
    let query = request.url.query().unwrap_or_default();
    let query = query.replace('&', "&amp;");
    let page = include_str!("pages/sign_in.html").replace("{query}", &query);
    Ok(http::html(200, page))
}

pub(super) fn approve(service: &Service, request: &Request) -> Result {
    let uri = redirect_uri(request)?;
    let login = account::new_login(service)?;
    let parameters = [
        ("access_token", login.access_token),
        ("refresh_token", login.refresh_token),
        ("expires_in", login.expires_in.to_string()),
    ];
    Ok(redirect(request, uri, &parameters))
}

pub(super) fn deny(_: &Service, request: &Request) -> Result {
    let uri = redirect_uri(request)?;
    let parameters = [("error", "access_denied".to_owned())];
    Ok(redirect(request, uri, &parameters))
}

fn redirect(request: &Request, mut uri: Url, parameters: &[(&str, String)]) -> Reply {
    let state = request.parameter("state").map(|state| ("state", state));
    let mut query = uri.query_pairs_mut();
    query.extend_pairs(parameters).extend_pairs(state);
    drop(query);
    http::with_header(http::html(303, ""), "Location", uri.as_str())
}

/// Returns the `redirect_uri` parameter. Like the real service, accepts only a loopback address
/// with a port.
fn redirect_uri(request: &Request) -> Result<Url> {
    let uri = request.parameter("redirect_uri").unwrap_or_default();
    let is_accepted = |uri: &Url| {
        let is_loopback = matches!(uri.host_str(), Some("localhost" | "127.0.0.1"));
        uri.scheme() == "http" && is_loopback && uri.port().is_some()
    };
    Url::parse(&uri).ok().filter(is_accepted).ok_or_else(|| {
        let message = "redirect_uri must begin with http://localhost:PORT or http://127.0.0.1:PORT";
        Refusal::new(400, "invalid_redirect_uri", message)
    })
}
