//! Reads calls and account data from the service.

use tokio::time::Instant;
use url::Url;

use super::connection::not_signed_in;
use super::history::MAX_PAGE;
use super::{READ_TIMEOUT, Service};
use crate::api::{self, BillingPortal, Call, Page, Parsed, Response, Subscription, Turn, Usage};
use crate::auth::{LoginState, Session};
use crate::domain::{ApiBase, CallId, CallRef, Invalid, quoted};
use crate::error::{Error, Kind, Result};

pub(super) async fn read_page(
    session: &Session<'_>,
    limit: u16,
    offset: u64,
    deadline: Instant,
) -> Result<Parsed<Page>> {
    let url = api::history_url(session.http.base(), limit, offset);
    session.get(&url, deadline).await?.page()
}

impl Service<'_> {
    pub async fn call(&self, call: &CallRef) -> Result<Parsed<Call>> {
        let response = self.about_call(call, None).await?;
        response.call().ok_or_else(|| response.unexpected())
    }

    pub async fn transcript(&self, call: &CallRef) -> Result<Parsed<Vec<Turn>>> {
        self.about_call(call, Some("transcript"))
            .await?
            .transcript()
    }

    /// Returns the call's appointment as an iCalendar file with CRLF line endings.
    pub async fn calendar(&self, call: &CallRef) -> Result<Vec<u8>> {
        self.about_call(call, Some("calendar.ics"))
            .await?
            .calendar()
    }

    /// Reads a call, or only a `part` such as its transcript. Errors include the call's ID.
    async fn about_call(&self, call: &CallRef, part: Option<&str>) -> Result<Response> {
        self.signed_in(READ_TIMEOUT, async |session, deadline| {
            let id = find(session, call, deadline).await?;
            let url = api::call_url(session.http.base(), &id, part);
            let response = session.get(&url, deadline).await;
            response.map_err(|error| error.about(None, Some(&id)))
        })
        .await
    }

    pub async fn usage(&self) -> Result<Parsed<Usage>> {
        self.raw(api::USAGE).await?.json()
    }

    pub async fn subscription(&self) -> Result<Parsed<Subscription>> {
        self.raw(api::SUBSCRIPTION).await?.json()
    }

    pub async fn billing_portal(&self) -> Result<Parsed<BillingPortal>> {
        self.raw(api::BILLING_PORTAL).await?.json()
    }

    /// Sends a GET request to a path under `/v1/`, with an optional query.
    pub async fn raw(&self, path: &str) -> Result<Response> {
        self.signed_in(READ_TIMEOUT, async |session, deadline| {
            let url = raw_url(session.http.base(), path)?;
            session.get(&url, deadline).await
        })
        .await
    }

    /// Returns the newest calls for shell completion. Does not refresh credentials.
    pub async fn newest_calls(&self) -> Result<Vec<Call>> {
        const SHOWN: u16 = 20;
        self.signed_in(READ_TIMEOUT, async |session, deadline| {
            let state = session.state()?;
            if !matches!(state, LoginState::Given | LoginState::Valid { .. }) {
                return Err(not_signed_in(state));
            }
            let token = session.token(deadline).await?;
            let url = api::history_url(session.http.base(), SHOWN, 0);
            let response = session.http.get(&url, &token, deadline).await?;
            let page = response.into_success()?.page()?.value;
            Ok(page.calls.into_iter().map(|(_, call)| call).collect())
        })
        .await
    }
}

/// Builds the URL for a path. Rejects segments that a decoder could misread, for example `%2e%2e`.
fn raw_url(base: &ApiBase, given: &str) -> Result<Url> {
    let (path, query) = given.split_once('?').unzip();
    let path = path.unwrap_or(given);
    let is_plain = |segment: &&str| {
        let mut bytes = segment.bytes();
        let is_name = bytes.all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
        is_name && !matches!(*segment, "" | "." | "..")
    };
    let segments: Vec<&str> = path.split('/').collect();
    let route = match segments.as_slice() {
        ["", route @ ..] if route.len() > 1 && route.iter().all(is_plain) => route,
        _ => &[],
    };
    if route.first() != Some(&"v1") {
        return Err(Invalid::new(
            format!("{} is not a path under /v1/", quoted(path)),
            "use a path such as /v1/users/me/statistics",
        )
        .into());
    }
    let mut url = base.route(route);
    url.set_query(query);
    Ok(url)
}

/// Returns the ID of the call that `call` refers to. Reads the newest calls if necessary.
async fn find(session: &Session<'_>, call: &CallRef, deadline: Instant) -> Result<CallId> {
    let limit = match call {
        CallRef::Id(id) => return Ok(id.clone()),
        CallRef::Last(back) => u16::from(*back) + 1,
        CallRef::Prefix(_) => MAX_PAGE,
    };
    let page = read_page(session, limit, 0, deadline).await?.value;
    let mut ids: Vec<CallId> = Vec::new();
    for id in page
        .calls
        .iter()
        .filter_map(|(_, call)| call.call_id.parse().ok())
    {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    choose(call, ids)
}

/// Returns the ID that `call` refers to. `ids` contains the newest calls, newest first.
fn choose(call: &CallRef, mut ids: Vec<CallId>) -> Result<CallId> {
    let not_found = |message: String| Error::new(Kind::CallNotFound, message);
    if ids.is_empty() {
        return Err(not_found("there are no calls yet".into()));
    }
    match call {
        CallRef::Id(id) => Ok(id.clone()),
        CallRef::Last(back) => {
            let id = ids.into_iter().nth((*back).into());
            id.ok_or_else(|| not_found(format!("last-{back} predates your first call")))
        }
        CallRef::Prefix(prefix) => {
            ids.retain(|id| {
                let start = id.as_str().get(..prefix.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            });
            match ids.as_slice() {
                [id] => Ok(id.clone()),
                [] => Err(not_found(format!("no recent call ID starts with {prefix}"))),
                several => {
                    let message = format!("{} call IDs start with {prefix}", several.len());
                    let mut error = not_found(message).with_hint("use more characters of the ID");
                    error.facts.candidates = ids;
                    Err(error)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_paths_outside_v1_are_rejected() {
        let base = ApiBase::PRODUCTION.parse::<ApiBase>().unwrap();
        let url = raw_url(&base, "/v1/calls/5e1e/calendar.ics?x=../").unwrap();
        assert_eq!(
            url.as_str(),
            "https://api.kallyai.com/v1/calls/5e1e/calendar.ics?x=../"
        );
        let invalid = "/ v1/x /v1 /v1/ /v2/x /V1/x //v1/x /v1//x /%761/x /v1/../x /v1/./x /v1/%2e%2e/x \
            /v1/a%2fb /v1\\x /v1/x#y /v1/.\t./x https://example.org/v1/x //example.org/v1/x";
        for path in invalid.split(' ') {
            assert!(raw_url(&base, path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn calls_are_found_by_position_and_prefix() {
        let ids = || ["5e1e0001", "5e1e0002", "77aa0003"].map(|id| id.parse::<CallId>().unwrap());
        let find = |call| choose(&call, ids().to_vec());
        let prefix = |text: &str| CallRef::Prefix(text.into());
        assert_eq!(find(CallRef::Last(0)).unwrap().as_str(), "5e1e0001");
        assert_eq!(find(CallRef::Last(2)).unwrap().as_str(), "77aa0003");
        assert_eq!(find(prefix("77AA")).unwrap().as_str(), "77aa0003");
        let message = |call| find(call).unwrap_err().to_string();
        assert_eq!(message(CallRef::Last(3)), "last-3 predates your first call");
        assert_eq!(
            message(prefix("beef")),
            "no recent call ID starts with beef"
        );
        let several = find(prefix("5e1e")).unwrap_err();
        assert_eq!(several.facts.candidates, ids()[..2]);
        assert_eq!(several.tool_hint(), "use more characters of the ID");
        assert_eq!(
            choose(&prefix("5e1e"), vec![]).unwrap_err().to_string(),
            "there are no calls yet"
        );
    }
}
