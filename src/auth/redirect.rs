//! What the service appends to the redirect URL, however it comes to us. Nothing in it counts before the `state` does.

use std::collections::BTreeMap;

use rand::Rng as _;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq as _;
use url::{Url, form_urlencoded};

use crate::domain::{Secret, is_loopback};

/// The secret that ties a redirect to the sign-in that asked for it: 256 random bits, fresh each time.
#[derive(Clone)]
pub struct OAuthState(Secret);

/// What a sign-in or a renewal granted.
#[derive(Debug, Clone)]
pub struct TokenResponse {
    /// What requests carry.
    pub access_token: Secret,
    /// What renews it.
    pub refresh_token: Option<Secret>,
    /// How long it lasts, in seconds, where that was said.
    pub expires_in: Option<f64>,
}

/// What a query says, once its `state` is right.
#[derive(Debug, Clone)]
pub enum AuthResponse {
    /// The user signed in.
    Granted(TokenResponse),
    /// The user, or the service, declined: its name for why.
    Declined(String),
}

/// The query is not an answer to this sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCallback;

impl TokenResponse {
    /// What the answer to a renewal grants. Only the access token must be right: the old login is spent, and whatever else
    /// is odd is as if it had been left out.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
        let text = |name: &str| serde_json::from_str::<String>(members.get(name)?.get()).ok();
        let number = |name: &str| serde_json::from_str::<f64>(members.get(name)?.get()).ok();
        Some(Self {
            access_token: Secret::parse(&text("access_token")?)?,
            refresh_token: text("refresh_token").and_then(|token| Secret::parse(&token)),
            expires_in: number("expires_in").or_else(|| lifetime(&text("expires_in")?)),
        })
    }
}

/// A lifetime in seconds that is spelt as a text.
fn lifetime(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

impl OAuthState {
    /// A fresh one.
    pub fn generate() -> Self {
        let mut bytes = [0u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(Secret::hex(&bytes))
    }

    /// One that was written down.
    pub fn parse(text: &str) -> Option<Self> {
        Secret::parse_printable(text).filter(|secret| secret.expose().len() == 64).map(Self)
    }

    /// For the URL that is printed, and the file that keeps it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Reads a redirect's query.
///
/// # Errors
/// When its `state` is not ours, exactly once; or it is, and the rest grants nothing and declines nothing.
pub fn read_query(query: &[u8], state: &OAuthState) -> Result<AuthResponse, InvalidCallback> {
    let mut states = 0u32;
    let mut ours = false;
    for (name, value) in form_urlencoded::parse(query) {
        if name == "state" {
            states += 1;
            ours = value.as_bytes().ct_eq(state.expose().as_bytes()).into();
        }
    }
    if states != 1 || !ours {
        return Err(InvalidCallback);
    }
    let (mut access, mut refresh, mut expiry) = (UniqueParam::None, UniqueParam::None, UniqueParam::None);
    for (name, value) in form_urlencoded::parse(query) {
        match &*name {
            "error" => return Ok(AuthResponse::Declined(value.into_owned())),
            "access_token" => access.put(value.into_owned()),
            "refresh_token" => refresh.put(value.into_owned()),
            "expires_in" => expiry.put(value.into_owned()),
            _ => {}
        }
    }
    let access_token = access.single()?.and_then(|text| Secret::parse(&text)).ok_or(InvalidCallback)?;
    // Odd as these may be, the access token is good.
    let refresh_token = refresh.single().ok().flatten().and_then(|text| Secret::parse(&text));
    let expires_in = expiry.single().ok().flatten().and_then(|text| lifetime(&text));
    Ok(AuthResponse::Granted(TokenResponse { access_token, refresh_token, expires_in }))
}

/// Reads a redirect URL that a person copied out of the browser.
///
/// # Errors
/// As [`read_query`], and when it is no redirect URL of ours.
pub fn read_url(text: &str, state: &OAuthState) -> Result<AuthResponse, InvalidCallback> {
    let url = Url::parse(text.trim()).map_err(|_| InvalidCallback)?;
    if !is_loopback(&url) || url.scheme() != "http" || url.path() != "/callback" {
        return Err(InvalidCallback);
    }
    read_query(url.query().unwrap_or_default().as_bytes(), state)
}

/// A member that may stand once.
enum UniqueParam {
    None,
    Single(String),
    Several,
}

impl UniqueParam {
    fn put(&mut self, value: String) {
        *self = if matches!(self, Self::None) { Self::Single(value) } else { Self::Several };
    }

    fn single(self) -> Result<Option<String>, InvalidCallback> {
        match self {
            Self::None => Ok(None),
            Self::Single(value) => Ok(Some(value)),
            Self::Several => Err(InvalidCallback),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> OAuthState {
        OAuthState::parse(&"0123456789abcdef".repeat(4)).expect("64 characters")
    }

    fn read(query: &str) -> Result<AuthResponse, InvalidCallback> {
        read_query(query.replace("STATE", state().expose()).as_bytes(), &state())
    }

    #[test]
    fn a_grant_is_read_with_the_right_state() {
        let Ok(AuthResponse::Granted(granted)) =
            read("access_token=a%2Fb&refresh_token=r&expires_in=3600&state=STATE&x=y")
        else {
            panic!("not granted")
        };
        assert_eq!(granted.access_token.expose(), "a/b");
        assert_eq!(granted.refresh_token.map(|t| t.expose().to_owned()).as_deref(), Some("r"));
        assert_eq!(granted.expires_in, Some(3600.0));
        assert!(matches!(
            read("state=STATE&access_token=a&refresh_token="),
            Ok(AuthResponse::Granted(TokenResponse { refresh_token: None, .. }))
        ));
    }

    #[test]
    fn nothing_counts_without_the_right_state() {
        for query in [
            "access_token=a",
            "access_token=a&state=",
            "access_token=a&state=STATE0",
            "access_token=a&state=state",
            "access_token=a&state=STATE&state=STATE",
            "access_token=a&state=STATE&state=",
            "error=x",
            "error=x&state=1",
            "access_token=a&State=STATE",
            "",
            "state",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }

    #[test]
    fn the_right_state_alone_grants_nothing() {
        for query in [
            "state=STATE",
            "state=STATE&access_token=",
            "state=STATE&access_token=a%0Ab",
            "state=STATE&access_token=a b",
            "state=STATE&access_token=a&access_token=b",
            "state=STATE&access_token=%C3%A9",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
        assert!(
            matches!(read("state=STATE&error=access_denied"), Ok(AuthResponse::Declined(why)) if why == "access_denied")
        );
    }

    #[test]
    fn a_good_access_token_is_kept_whatever_is_odd_beside_it() {
        for (odd, refresh, seconds) in [
            ("refresh_token=%00&expires_in=60", None, Some(60.0)),
            ("refresh_token=r&expires_in=1e400", Some("r"), None),
            ("refresh_token=r&refresh_token=s&expires_in=", None, None),
            ("expires_in=5&expires_in=6&refresh_token=", None, None),
        ] {
            let Ok(AuthResponse::Granted(granted)) = read(&format!("state=STATE&access_token=a&{odd}"))
            else {
                panic!("{odd}")
            };
            assert_eq!(granted.access_token.expose(), "a");
            assert_eq!(granted.refresh_token.as_ref().map(Secret::expose), refresh, "{odd}");
            assert_eq!(granted.expires_in, seconds, "{odd}");
        }
    }

    #[test]
    fn a_pasted_url_must_be_the_redirect() {
        let with = |base: &str| format!("{base}?access_token=a&state={}", state().expose());
        for good in
            ["http://localhost:8976/callback", " http://127.0.0.1:9000/callback", "http://[::1]:1/callback"]
        {
            assert!(read_url(&with(good), &state()).is_ok(), "{good}");
        }
        for bad in [
            "https://localhost:8976/callback",
            "http://evil.example/callback",
            "http://localhost:8976/Callback",
            "http://localhost:8976/callback/x",
            "localhost:8976/callback",
            "",
        ] {
            assert!(read_url(&with(bad), &state()).is_err(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn no_query_is_taken_without_the_exact_state(query in any::<Vec<u8>>(), names in "(state|access_token|error|&|=|[0-9a-f]){0,40}") {
            prop_assert!(read_query(&query, &state()).is_err());
            prop_assert!(read_query(names.as_bytes(), &state()).is_err());
            let pasted = String::from_utf8_lossy(&query);
            prop_assert!(read_url(&pasted, &state()).is_err());
            let with_host = format!("http://localhost:8976/callback?{}", names);
            prop_assert!(read_url(&with_host, &state()).is_err());
        }
    }
}
