//! Where the API is, and which addresses it may be at.

use std::str::FromStr;

use url::{Host, Url};

use super::Invalid;

/// The address all routes are under: HTTPS, or HTTP on this computer only, without userinfo, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiBase(Url);

impl ApiBase {
    /// The origin of the service itself.
    pub const PRODUCTION: &str = "https://api.kallyai.com";

    /// The service itself.
    ///
    /// # Errors
    /// Never: the address is a constant that parses.
    pub fn production() -> Result<Self, Invalid> {
        Self::PRODUCTION.parse()
    }

    /// Whether a login of the service itself may be sent here.
    pub fn is_production(&self) -> bool {
        self.origin() == Self::PRODUCTION
    }

    /// Scheme, host and port: what a login and a journal entry belong to.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether it is on this computer, where no proxy can help.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether connections to it are encrypted.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host alone.
    pub fn host_name(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The host a person knows it by, with the port where it is not the usual one.
    pub fn host(&self) -> String {
        let host = self.host_name();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The base as it was given, which parses to this base again.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL of a route. Each segment is percent-encoded, so none can reach another route.
    pub fn route(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// Whether a URL is on this computer.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl FromStr for ApiBase {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = |why: &str| {
            Invalid::new(
                format!("KALLYAI_API_URL {why}"),
                "write an address like https://api.kallyai.com, or http://127.0.0.1:8977 on this computer",
            )
        };
        let url = Url::parse(text).map_err(|_| refused("is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("holds a user name or password"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(refused("is http://, which would show your login to the network")),
            _ => return Err(refused("is not an https:// address")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("has a query or a fragment"));
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_computer() {
        for good in [
            "https://api.kallyai.com",
            "https://example.org:8443/kally",
            "http://127.0.0.1:8977",
            "http://localhost:1",
            "http://[::1]:9/",
        ] {
            assert!(good.parse::<ApiBase>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.kallyai.com",
            "http://example.org",
            "http://127.0.0.1.evil.org",
            "ftp://127.0.0.1",
            "https://user@example.org",
            "https://u:p@example.org",
            "https://example.org/?a=b",
            "https://example.org/#x",
            "http://10.0.0.1",
            "file:///etc/passwd",
            "http://localhost.evil.org",
        ] {
            assert!(bad.parse::<ApiBase>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_service_is_known_under_any_spelling_of_its_origin() {
        for same in ["https://api.kallyai.com/", "https://API.kallyai.com:443"] {
            assert!(same.parse::<ApiBase>().expect(same).is_production(), "{same}");
        }
        for other in ["https://api.kallyai.com:444", "https://api.kallyai.com.evil.org", "http://127.0.0.1"] {
            assert!(!other.parse::<ApiBase>().expect(other).is_production(), "{other}");
        }
    }

    #[test]
    fn an_id_cannot_leave_its_segment() {
        let base: ApiBase = "https://example.org/under/".parse().expect("a base");
        assert_eq!(
            base.route(&["v1", "calls", "../users/me?x#y%2e"]).as_str(),
            "https://example.org/under/v1/calls/..%2Fusers%2Fme%3Fx%23y%252e"
        );
    }
}
