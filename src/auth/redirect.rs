//! Parses the query that the service appends to the redirect URL. Rejects the query unless its
//! `state` is the one that was sent in the sign-in URL.

use rand::Rng as _;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::Grant;
use crate::api;
use crate::domain::{Secret, is_invisible};
use crate::error::{Error, Kind, Result};

/// A random value that ties a redirect to its sign-in: 256 bits in hexadecimal.
#[derive(Clone)]
pub struct OAuthState(String);

/// The service's reply to a sign-in.
#[derive(Debug, Clone)]
pub enum Reply {
    Granted(Grant),
    /// The sign-in was declined. Contains the service's error code.
    Declined(String),
}

/// Indicates that the query of a redirect URL is not a valid reply to this sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCallback;

impl OAuthState {
    const LENGTH: usize = 64;

    pub fn generate() -> Self {
        let mut bytes = [0u8; Self::LENGTH / 2];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        (text.len() == Self::LENGTH && is_hex).then(|| Self(text.to_owned()))
    }

    /// Returns the raw value. Use it only in the sign-in URL and the file for a two-step sign-in.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn matches(&self, found: &str) -> bool {
        found.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

impl Reply {
    /// Parses the query of a redirect URL. Fails unless the query contains this `state`.
    pub fn parse(query: &str, state: &OAuthState) -> Result<Self, InvalidCallback> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let all = |name: &'static str| {
            let named = pairs.iter().filter(move |pair| pair.0 == name);
            named.map(|pair| &*pair.1)
        };
        let once = |name| {
            let mut values = all(name);
            values.next().filter(|_| values.next().is_none())
        };
        if !once("state").is_some_and(|found| state.matches(found)) {
            return Err(InvalidCallback);
        }
        if let Some(reason) = all("error").next() {
            return Ok(Self::Declined(reason.to_owned()));
        }
        let token = |text| Secret::parse(text).ok_or(InvalidCallback);
        let refresh_token = once("refresh_token").filter(|text| !text.is_empty());
        Ok(Self::Granted(Grant {
            access_token: token(once("access_token").ok_or(InvalidCallback)?)?,
            refresh_token: refresh_token.map(token).transpose()?,
            expires_in: once("expires_in").and_then(|text| text.trim().parse().ok()),
        }))
    }

    /// Parses a redirect URL that the user pasted. Checks only the query: browsers hide the scheme,
    /// terminals add quotes and line breaks, and port forwarding may change the host name.
    pub fn parse_pasted(text: &str, state: &OAuthState) -> Result<Self, InvalidCallback> {
        let is_blank = |c: &char| c.is_whitespace() || is_invisible(*c);
        let text: String = text.chars().filter(|c| !is_blank(c)).collect();
        let url = text.trim_matches(|c| "\"'`<>“”„‘’«»‹›".contains(c));
        let query = url.split_once('?').map_or(url, |(_, query)| query);
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        Self::parse(query, state)
    }

    /// Returns the grant, or an error if the sign-in was declined.
    pub fn into_grant(self) -> Result<Grant> {
        /// Maximum length of an error code shown as the reason, in characters. Real codes are
        /// shorter.
        const LONGEST_REASON: usize = 60;

        let reason = match self {
            Self::Granted(grant) => return Ok(grant),
            Self::Declined(reason) => reason,
        };
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_-. ".contains(*c);
        let reason = reason.chars().filter(is_plain).take(LONGEST_REASON);
        let message = match reason.collect::<String>().as_str() {
            "access_denied" => "the sign-in was canceled".to_owned(),
            reason => format!("the service declined the sign-in ({reason})"),
        };
        Err(Error::new(Kind::SignInFailed, message))
    }
}

impl Grant {
    /// Parses the response to a refresh request. Ignores malformed optional fields: the old refresh
    /// token has been used up, so rejecting the response would lose the new tokens.
    pub fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            refresh_token: Option<Value>,
            expires_in: Option<Value>,
        }
        let granted: Granted = api::object(body)?;
        let refresh_token = granted.refresh_token.as_ref().and_then(Value::as_str);
        Some(Self {
            access_token: Secret::parse(&granted.access_token)?,
            refresh_token: refresh_token.and_then(Secret::parse),
            expires_in: granted.expires_in.and_then(|seconds| seconds.as_f64()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> OAuthState {
        OAuthState::parse(&"0123456789abcdef".repeat(4)).expect("64 digits")
    }

    fn parse(query: &str) -> Result<Reply, InvalidCallback> {
        Reply::parse(&query.replace("STATE", state().expose()), &state())
    }

    #[test]
    fn redirect_needs_exactly_one_matching_state_and_one_token() {
        for query in [
            "access_token=a",
            "access_token=a&state=",
            "access_token=a&state=STATE0",
            "access_token=a&state=STATE&state=STATE",
            "access_token=a&State=STATE",
            "error=x",
            "error=x&state=1",
            "",
            "state=STATE",
            "state=STATE&access_token=",
            "state=STATE&access_token=a%0Ab",
            "state=STATE&access_token=a&access_token=b",
            "state=STATE&access_token=%C3%A9",
            "state=STATE&access_token=a&refresh_token=%00",
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn malformed_optional_redirect_parameters_are_ignored() {
        for (others, refresh, seconds) in [
            (
                "refresh_token=r&expires_in=3600&x=y",
                Some("r"),
                Some(3600.0),
            ),
            ("refresh_token=&expires_in=60", None, Some(60.0)),
            ("refresh_token=r&expires_in=soon", Some("r"), None),
            ("refresh_token=r&refresh_token=s&expires_in=", None, None),
        ] {
            let Ok(Reply::Granted(grant)) =
                parse(&format!("state=STATE&access_token=a%2Fb&{others}"))
            else {
                panic!("{others}");
            };
            assert_eq!(grant.access_token.expose(), "a/b");
            let found = grant.refresh_token.as_ref().map(Secret::expose);
            assert_eq!((found, grant.expires_in), (refresh, seconds), "{others}");
        }
    }

    #[test]
    fn malformed_optional_fields_of_a_refresh_response_are_ignored() {
        for (odd, refresh, seconds) in [
            (r#""refresh_token":null,"expires_in":null"#, None, None),
            (r#""refresh_token":7,"expires_in":"60""#, None, None),
            (r#""refresh_token":"a b","expires_in":{}"#, None, None),
            (r#""refresh_token":"r","x":"\ud800""#, Some("r"), None),
            (r#""refresh_token":"","expires_in":60.5"#, None, Some(60.5)),
        ] {
            let body = format!(r#"{{"access_token":"a",{odd}}}"#);
            let grant = Grant::parse(body.as_bytes()).expect(odd);
            let found = grant.refresh_token.as_ref().map(Secret::expose);
            assert_eq!((found, grant.expires_in), (refresh, seconds), "{odd}");
        }
        for bad in ["", "{}", "[]", r#"{"access_token":"a b"}"#] {
            assert!(Grant::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn reason_for_a_declined_sign_in_is_sanitized() {
        let error = |reason: &str| {
            let reply = parse(&format!("state=STATE&error={reason}")).expect("a reply");
            reply.into_grant().expect_err("declined").to_string()
        };
        assert_eq!(error("access_denied"), "the sign-in was canceled");
        let message = "the service declined the sign-in (31mbserver_error)";
        assert_eq!(error("%1B[31m<b>server_error"), message);
        assert!(error(&"x".repeat(99)).ends_with(&format!("({})", "x".repeat(60))));
    }

    #[test]
    fn only_the_query_of_a_pasted_redirect_url_is_checked() {
        let is_right = |pasted: &str| {
            let pasted = pasted.replace("STATE", state().expose());
            Reply::parse_pasted(&pasted, &state()).is_ok()
        };
        for pasted in [
            "http://localhost:8976/callback?access_token=a&state=STATE",
            " 'http://127.0.0.1:9000/callback?access_token=a&state=STATE'\r\n",
            "\"https://localhost/callback?access_token=a&state=STATE\"",
            "localhost:8976/callback?access_token=a&state=STATE#_=_",
            "https://my-codespace-8976.example.dev/callback?access_token=a&state=STATE",
            "\u{feff}access_\n token=a&refresh_token=r\r\nr&state=STATE",
        ] {
            assert!(is_right(pasted), "{pasted}");
        }
        let sign_in = "https://api.kallyai.com/v1/auth/cli?state=STATE";
        for pasted in ["", "http://localhost:8976/callback", sign_in] {
            assert!(!is_right(pasted), "{pasted}");
        }
    }
}
