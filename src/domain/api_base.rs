//! Validates the base URL of the API.

use std::str::FromStr;

use url::{Host, Position, Url};

use super::Invalid;

/// The base URL of the API: HTTPS, or HTTP on loopback, without a user name, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiBase(Url);

impl ApiBase {
    pub const PRODUCTION: &str = "https://api.kallyai.com";

    pub fn is_production(&self) -> bool {
        self.origin() == Self::PRODUCTION
    }

    /// Returns the scheme, host and port. Credentials and calls are tied to this origin.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the host, and the port if it is not the default.
    pub fn host(&self) -> &str {
        self.0.authority()
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Appends path segments to the base URL. Percent-encodes them, so that an ID cannot change the
    /// route.
    pub fn route(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl FromStr for ApiBase {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HINT: &str = "use a URL such as https://api.kallyai.com or http://127.0.0.1:8977";
        let refused = |message: &str| Invalid::new(message, HINT);
        let base = Self(Url::parse(text).map_err(|_| refused("KALLYAI_API_URL is not a URL"))?);
        let url = &base.0;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let has_suffix = url[Position::AfterPath..] != *"";
        match url.scheme() {
            _ if has_credentials => Err(refused("KALLYAI_API_URL has a user name or password")),
            _ if has_suffix => Err(refused("KALLYAI_API_URL has a query or a fragment")),
            "https" => Ok(base),
            "http" if base.is_loopback() => Ok(base),
            "http" => Err(refused("KALLYAI_API_URL must use https:// for this host")),
            _ => Err(refused("KALLYAI_API_URL does not begin with https://")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_base_url_must_be_https_or_loopback() {
        let accepted =
            "https://api.kallyai.com|http://127.0.0.1:8977/|http://[::1]:1/v2|http://localhost";
        for text in accepted.split('|') {
            assert!(text.parse::<ApiBase>().is_ok(), "{text}");
        }
        let refused = "|api.kallyai.com|http://api.kallyai.com|ftp://localhost|https://a:b@api.kallyai.com\
            |https://api.kallyai.com/?a|https://api.kallyai.com/#a|http://127.0.0.1.example.com";
        for text in refused.split('|') {
            assert!(text.parse::<ApiBase>().is_err(), "{text}");
        }
    }

    #[test]
    fn call_id_cannot_change_the_route_of_a_request() {
        let base: ApiBase = "https://api.kallyai.com/base/".parse().expect("an address");
        let url = base.route(&["v1", "calls", "a/../b?c#d"]);
        let expected = "https://api.kallyai.com/base/v1/calls/a%2F..%2Fb%3Fc%23d";
        assert_eq!(url.as_str(), expected);
    }
}
