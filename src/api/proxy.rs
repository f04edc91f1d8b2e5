//! The proxies that the environment names. The HTTP library passes over one that it cannot read, and what was to go through
//! it would go out without it.

use url::Url;

use crate::domain::Invalid;

/// What names the proxy for an https address, the first before the second, and the one for other addresses: where that is
/// wrong, somebody meant it for the others.
const VARIABLES: [[&str; 2]; 3] =
    [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"], ["HTTP_PROXY", "http_proxy"]];

/// Makes sure that each proxy the environment names for this host is one that can be used. What a variable holds may be a
/// password and is never said.
///
/// # Errors
/// When one is not.
pub fn check(host: &str) -> Result<(), Invalid> {
    if first_of(["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| is_listed(&list, host)) {
        return Ok(());
    }
    let mut is_used = true;
    for names in VARIABLES {
        let Some((name, value)) = first_of(names) else { continue };
        match scheme(&value) {
            Some(scheme) if scheme == "http" || scheme == "https" => {}
            Some(_) if !is_used || name.eq_ignore_ascii_case("HTTP_PROXY") => {}
            Some(scheme) if scheme.starts_with("socks") => {
                return Err(refused(
                    name,
                    "names a SOCKS proxy, and this program speaks to HTTP proxies only",
                ));
            }
            _ => return Err(refused(name, "is not the address of a proxy")),
        }
        is_used = false;
    }
    Ok(())
}

fn refused(name: &str, why: &str) -> Invalid {
    Invalid::new(
        format!("{name} {why}"),
        format!("write it like {name}=http://proxy.example:3128, unset it, or list the host in NO_PROXY"),
    )
}

/// The first of these variables that is set, unless that is to nothing.
fn first_of(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    let (name, value) = names.into_iter().find_map(|name| Some((name, std::env::var_os(name)?)))?;
    let value = value.to_string_lossy().into_owned();
    (!value.is_empty()).then_some((name, value))
}

/// The scheme of an address, which may be left out; `None` where it is no address.
fn scheme(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    // A URL may have more slashes, a proxy's address not.
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic()) && !rest.starts_with('/');
    let url = Url::parse(&format!("{scheme}://{rest}")).ok()?;
    (is_plain && url.host_str().is_some_and(|host| !host.is_empty())).then(|| url.scheme().to_owned())
}

fn is_listed(list: &str, host: &str) -> bool {
    list.split(',').map(str::trim).any(|entry| {
        let entry = entry.trim_start_matches('.');
        let parent = host.len().checked_sub(entry.len()).and_then(|at| host.split_at_checked(at));
        let is_below = parent.is_some_and(|(before, name)| {
            name.eq_ignore_ascii_case(entry) && (before.is_empty() || before.ends_with('.'))
        });
        entry == "*" || (!entry.is_empty() && is_below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_address_with_or_without_its_scheme() {
        for good in
            ["http://p:3128", "https://u:p@p.example", "p.example:8080", "127.0.0.1:1", "[::1]:1", "p"]
        {
            assert!(scheme(good).is_some_and(|scheme| scheme.starts_with("http")), "{good}");
        }
        assert_eq!(scheme("socks5h://127.0.0.1:1080").as_deref(), Some("socks5h"));
        for bad in [
            "http://",
            "http://p:port",
            "p:99999",
            "not an address",
            "/run/proxy",
            "http:///p",
            "//p",
            "p\u{e9}",
        ] {
            assert_eq!(scheme(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_is_listed_by_its_name_or_one_above() {
        for list in ["*", "a.org, api.example", ".example", "example"] {
            assert!(is_listed(list, "api.example"), "{list}");
        }
        for list in ["", ",", "pi.example", "api", "api.example.org"] {
            assert!(!is_listed(list, "api.example"), "{list}");
        }
    }
}
