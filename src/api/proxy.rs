//! Reads the proxy's URL from environment variables. The URL is either used exactly as written or
//! rejected with an error that names its variable. reqwest itself would ignore an invalid URL and
//! connect directly.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::domain::{ApiBase, Invalid};

/// Environment variables that may set a proxy for HTTPS, in order of precedence.
const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// A proxy from an environment variable. `Display` does not show the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    variable: &'static str,
    /// Scheme, host and port, without credentials.
    pub address: String,
    /// The proxy's URL, including any credentials.
    url: Url,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.variable, self.address)
    }
}

impl Proxy {
    pub fn from_env(base: &ApiBase) -> Result<Option<Self>, Invalid> {
        Self::choose(base, |name| {
            let value = std::env::var_os(name)?;
            Some(value.to_string_lossy().into_owned())
        })
    }

    /// Returns the proxy, or `None` to connect directly. `get` reads an environment variable.
    fn choose(
        base: &ApiBase,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Invalid> {
        let get = |name| get(name).filter(|value| !value.is_empty());
        let exceptions = get("no_proxy").or_else(|| get("NO_PROXY"));
        // Requests to loopback addresses may use plain HTTP, so a proxy could read their tokens.
        if base.is_loopback() || exceptions.is_some_and(|list| is_listed(&list, base)) {
            return Ok(None);
        }
        let mut named = VARIABLES.iter().filter_map(|name| Some((name, get(name)?)));
        match named.next() {
            Some((variable, value)) => Self::parse(variable, &value).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn parse(variable: &'static str, value: &str) -> Result<Self, Invalid> {
        let refused = |problem: &str| {
            let hint = format!(
                "use the form {variable}=http://user:password@proxy.example:3128 \
                 and percent-encode special characters, or unset {variable}"
            );
            Invalid::new(format!("{variable} {problem}"), hint)
        };
        let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
        // Split at the last @, because a password may contain @ but a host cannot.
        let (credentials, host) = rest.rsplit_once('@').unwrap_or(("", rest));
        let host = host.strip_suffix('/').unwrap_or(host);
        let is_host = |c: char| !c.is_whitespace() && !"/\\?#".contains(c);
        let url = Url::parse(&format!("{scheme}://{host}")).ok();
        let url = url.filter(|url| url.host_str() > Some("") && host.chars().all(is_host));
        let mut url = url.ok_or_else(|| refused("is not a valid proxy address"))?;
        let address = url.as_str().trim_end_matches('/').to_owned();
        match url.scheme() {
            "http" | "https" | "socks5" | "socks5h" => {}
            _ => return Err(refused("has an unsupported proxy type")),
        }
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        // Both setters percent-encode special characters and leave encoded characters unchanged.
        let is_set = url.set_username(user).is_ok() && url.set_password(password).is_ok();
        if !is_set || credentials.contains('\u{fffd}') {
            return Err(refused("contains invalid credentials"));
        }
        Ok(Self {
            variable,
            address,
            url,
        })
    }

    pub fn is_http(&self) -> bool {
        self.address.starts_with("http")
    }

    pub fn to_reqwest(&self) -> reqwest::Result<reqwest::Proxy> {
        reqwest::Proxy::all(self.url.clone())
    }
}

/// Returns whether the `NO_PROXY` list matches the base URL's host: by `*`, its name, a parent
/// domain, its IP address or a CIDR range. Entries with `*.` or a port are rewritten first, because
/// hyper-util does not support them.
fn is_listed(list: &str, base: &ApiBase) -> bool {
    let port = base.route(&[]).port_or_known_default();
    let without_port = |entry: &str| {
        // Split off the port, if any. An IPv6 address with a port must be in brackets.
        let (name, given) = match entry.rsplit_once(':') {
            Some((name, given)) if !name.contains(':') || name.ends_with(']') => {
                (name, given.parse().ok())
            }
            _ => (entry, port),
        };
        let name = name.trim_start_matches("*.").trim_matches(['[', ']']);
        (given == port).then(|| name.to_ascii_lowercase())
    };
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    let names: Vec<String> = entries.filter_map(without_port).collect();
    let matcher = Matcher::builder().all("http://proxy").no(names.join(","));
    let uri = base.as_str().parse();
    let is_direct = uri.is_ok_and(|uri| matcher.build().intercept(&uri).is_none());
    is_direct || names.iter().any(|name| name == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "https://api.example";

    fn choose(base: &str, variables: &[(&str, &str)]) -> Result<Option<Proxy>, Invalid> {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proxy::choose(&base.parse().expect("a base"), get)
    }

    #[test]
    fn first_nonempty_proxy_variable_is_used() {
        for (variables, chosen) in [
            ([("HTTPS_PROXY", "p:1"), ("https_proxy", "")], "HTTPS_PROXY"),
            (
                [("HTTPS_PROXY", "q"), ("https_proxy", "p:1")],
                "https_proxy",
            ),
            ([("ALL_PROXY", "p:1"), ("HTTPS_PROXY", "")], "ALL_PROXY"),
            ([("all_proxy", "q"), ("HTTPS_PROXY", "p:1")], "HTTPS_PROXY"),
        ] {
            let proxy = choose(HOST, &variables).expect("usable");
            let shown = proxy.expect("a proxy").to_string();
            assert_eq!(shown, format!("{chosen} (http://p:1)"));
        }
        assert_eq!(choose(HOST, &[("http_proxy", "/")]), Ok(None));
        for base in ["http://127.0.0.1:1", "https://localhost", "https://[::1]"] {
            assert_eq!(choose(base, &[("ALL_PROXY", "/")]), Ok(None), "{base}");
        }
    }

    #[test]
    fn proxy_url_keeps_its_address_and_credentials() {
        for (value, address, user, password) in [
            ("p.example", "http://p.example", "", None),
            ("HTTP://p:80/", "http://p", "", None),
            ("https://[::1]:444", "https://[::1]:444", "", None),
            ("socks5://127.0.0.1:80", "socks5://127.0.0.1:80", "", None),
            ("socks5h://u:p@p", "socks5h://p", "u", Some("p")),
            ("u@p:1", "http://p:1", "u", None),
            ("u:a@b@c@p", "http://p", "u", Some("a%40b%40c")),
            ("u:[^\\/#?@p", "http://p", "u", Some("%5B%5E%5C%2F%23%3F")),
            ("u:p%40é@p", "http://p", "u", Some("p%40%C3%A9")),
        ] {
            let proxy = Proxy::parse("ALL_PROXY", value).expect(value);
            let credentials = (proxy.url.username(), proxy.url.password());
            assert_eq!(credentials, (user, password), "{value}");
            assert_eq!(proxy.to_string(), format!("ALL_PROXY ({address})"));
            proxy.to_reqwest().expect(value);
        }
    }

    #[test]
    fn error_for_invalid_proxy_starts_with_the_variable() {
        let values = "http://|http://u:p@|p:port|p:99999|two words|/run/proxy|http:///p|//p|p:1/x|\
                      ftp://p|socks://p|socks4://p|u:\u{fffd}@p| ";
        for value in values.split('|') {
            let refused = choose(HOST, &[("all_proxy", value)]).expect_err(value);
            assert!(refused.to_string().starts_with("all_proxy "), "{refused}");
            assert!(refused.hint().contains("percent-encode"));
        }
    }

    #[test]
    fn no_proxy_matches_names_addresses_and_networks() {
        for (base, list, is_listed) in [
            (HOST, "*", true),
            (HOST, "a.org, API.example", true),
            (HOST, ".example", true),
            (HOST, "example", true),
            (HOST, "*.example", true),
            (HOST, "x api.example:443", true),
            ("https://10.1.2.3", "10.0.0.0/8", true),
            ("https://10.1.2.3:444", "10.1.2.3:444", true),
            ("https://10.1.2.3", "0.0.0.0/0", true),
            ("https://[fd00::1]", "fd00::/8", true),
            ("https://[fd00::1]", "[fd00::1]", true),
            ("https://[fd00::1]:444", "[fd00::1]:444", true),
            (HOST, ", pi.example,api,api.example.org", false),
            (HOST, "api.example:444,10.0.0.0/8", false),
            ("https://11.1.2.3", "10.0.0.0/8,1.2.3", false),
            ("https://10.1.2.3", "10.1.2.3:444,10.0.0.0/x", false),
            ("https://[fd00::1]", "0.0.0.0/0,fe00::/8", false),
        ] {
            let variables = [("ALL_PROXY", "p"), ("no_proxy", ""), ("NO_PROXY", list)];
            let proxy = choose(base, &variables).expect("usable");
            assert_eq!(proxy.is_none(), is_listed, "{base} {list}");
        }
    }
}
