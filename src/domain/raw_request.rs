//! A request of the user's own making, and where it may go.

use std::str::FromStr;

use super::Invalid;

/// The methods of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads, and changes nothing.
    Get,
    /// Adds, or does something.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

/// A route below `/v1/`, as segments that were decoded and are encoded again: what is checked is what is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiPath {
    segments: Vec<String>,
    query: Option<String>,
}

/// A request of the user's own making.
#[derive(Debug, Clone)]
pub struct RawRequest {
    /// The method.
    pub method: Method,
    /// The route.
    pub path: ApiPath,
    /// The body, which is JSON.
    pub json: Option<Vec<u8>>,
}

impl FromStr for Method {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "GET" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => {
                return Err(Invalid::new("there is no such method", "write GET, POST, PUT, PATCH or DELETE"));
            }
        })
    }
}

const HOW: &str = "write a route of the API, for example /v1/users/me/statistics";

impl FromStr for ApiPath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = |why: &str| Err(Invalid::new(format!("the path {why}"), HOW));
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '#')) {
            return refused("holds a character that no route has");
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        let Some(route) = path.strip_prefix('/') else { return refused("does not begin with /v1/") };
        let mut segments = Vec::new();
        for segment in route.split('/') {
            let Some(segment) = decoded(segment) else { return refused("is not encoded as a URL is") };
            let odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | '%');
            if segment.is_empty() || matches!(segment.as_str(), "." | "..") || segment.contains(odd) {
                return refused("has a segment that is empty, dots, or hides another");
            }
            segments.push(segment);
        }
        if segments.len() < 2 || segments.first().is_none_or(|version| version != "v1") {
            return refused("does not begin with /v1/");
        }
        Ok(Self { segments, query: query.map(str::to_owned) })
    }
}

/// A percent-encoded segment in its own letters.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push((digit()? * 16 + digit()?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl ApiPath {
    /// The segments, not encoded.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(String::as_str)
    }

    /// What follows the question mark, as it was written.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Whether a server that does not tell cases apart finds this route.
    fn is_below(&self, route: &[&str]) -> bool {
        self.segments.len() >= route.len()
            && self.segments().zip(route).all(|(own, wanted)| own.eq_ignore_ascii_case(wanted))
    }
}

impl RawRequest {
    /// A request, unless it is one that has a command of its own: a call has rules that a raw request would pass by, and
    /// a login is nobody's to see.
    ///
    /// # Errors
    /// When it is such a request, or a body and its method do not go together.
    pub fn new(method: Method, path: ApiPath, json: Option<Vec<u8>>) -> Result<Self, Invalid> {
        if path.is_below(&["v1", "auth"]) {
            return Err(Invalid::new(
                "the routes of the sign-in are not for raw requests",
                "sign in with --login; out with --logout",
            ));
        }
        if method != Method::Get && path.is_below(&["v1", "calls"]) && path.segments.len() == 2 {
            return Err(Invalid::new(
                "a call is not placed by a raw request, which nothing would keep from ringing twice",
                "place it with -p NUMBER -t TEXT",
            ));
        }
        match (&json, method) {
            (Some(_), Method::Get) => Err(Invalid::new(
                "a request that sends data needs a method",
                "say which: --method POST, PUT, PATCH or DELETE",
            )),
            (Some(json), _) if serde_json::from_slice::<serde::de::IgnoredAny>(json).is_err() => {
                Err(Invalid::new("the data is not JSON", "write --data '{\"name\":\"value\"}', @FILE or -"))
            }
            _ => Ok(Self { method, path, json }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<String, Invalid> {
        text.parse::<ApiPath>().map(|path| path.segments().collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn a_route_is_read_in_its_own_letters() {
        for (text, segments) in [
            ("/v1/calls?limit=1&offset=2", "v1|calls"),
            ("/%761/c%61lls/a%20b", "v1|calls|a b"),
            ("/v1/calls/caf%C3%A9", "v1|calls|café"),
        ] {
            assert_eq!(path(text).as_deref(), Ok(segments), "{text}");
        }
        assert_eq!("/v1/calls?limit=1".parse::<ApiPath>().expect("a path").query(), Some("limit=1"));
    }

    #[test]
    fn nothing_leaves_the_api() {
        for text in [
            "",
            "/",
            "v1/calls",
            "/v1",
            "/v1/",
            "/v2/calls",
            "/V1/calls",
            "//v1/calls",
            "/v1//calls",
            "/v1/calls/",
            "/v1/../x",
            "/v1/./x",
            "/v1/%2e%2e/x",
            "/v1/%2E./x",
            "/v1/%252e%252e/x",
            "/v1/a%2fb",
            "/v1/a%5cb",
            "/v1\\x",
            "/v1/x#y",
            "/v1/a b",
            "/v1/%",
            "/v1/%zz",
            "/v1/%ff",
            "/v1/%00",
            "/v1/x\n",
            "https://example.org/v1/calls",
            "//example.org/v1/calls",
            "/v1/calls/\u{a0}",
        ] {
            assert!(path(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_has_a_command_of_its_own_is_refused() {
        let request = |method, text: &str| RawRequest::new(method, text.parse().expect("a path"), None);
        for text in ["/v1/auth/refresh", "/v1/auth", "/v1/AUTH/cli", "/v1/%61uth/cli"] {
            assert!(request(Method::Get, text).is_err() && request(Method::Post, text).is_err(), "{text}");
        }
        for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
            for text in ["/v1/calls", "/v1/Calls?x=1", "/v1/c%61lls"] {
                assert!(request(method, text).is_err(), "{method:?} {text}");
            }
            assert!(request(method, "/v1/calls/1/cancel").is_ok());
        }
        assert!(request(Method::Get, "/v1/calls").is_ok());
    }

    #[test]
    fn data_is_json_and_needs_a_method() {
        let path: ApiPath = "/v1/x/y".parse().expect("a path");
        let with = |method, json: &str| RawRequest::new(method, path.clone(), Some(json.into()));
        assert!(with(Method::Post, "{\"a\":1}").is_ok() && with(Method::Post, "[1]").is_ok());
        assert!(with(Method::Get, "{}").is_err() && with(Method::Post, "{a:1}").is_err());
    }
}
