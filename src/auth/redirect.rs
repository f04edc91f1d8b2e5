//! Parses the query that the service appends to the redirect URL. The query is rejected unless its
//! `state` matches.

use rand::Rng as _;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::Grant;
use crate::api;
use crate::domain::Secret;
use crate::error::{Error, Kind, Result};

/// A random value that ties a redirect to its sign-in: 256 bits in hexadecimal.
#[derive(Clone)]
pub struct OAuthState(String);

/// The service's reply to a sign-in.
#[derive(Debug, Clone)]
pub enum Reply {
    Granted(Grant),
    /// Declined, with the service's error code.
    Declined(String),
}

/// The error for a query that is not a valid reply to this sign-in.
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

    /// Returns the raw value. Use only in the sign-in URL and the two-step sign-in file.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn matches(&self, found: &str) -> bool {
        found.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

impl Reply {
    /// Parses the query of a redirect.
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
        let access_token = once("access_token").and_then(Secret::parse);
        Ok(Self::Granted(Grant {
            access_token: access_token.ok_or(InvalidCallback)?,
            // A malformed optional parameter does not invalidate the access token.
            refresh_token: once("refresh_token").and_then(Secret::parse),
            expires_in: once("expires_in").and_then(|text| text.trim().parse().ok()),
        }))
    }

    /// Parses a redirect URL that the user copied. Only the query matters: browsers hide the
    /// scheme, terminals add quotes, and port forwarding may change the host name.
    pub fn parse_pasted(text: &str, state: &OAuthState) -> Result<Self, InvalidCallback> {
        let is_around = |c: char| c.is_whitespace() || "\"'`<>“”„‘’«»‹›\u{feff}".contains(c);
        let url = text.trim_matches(is_around);
        let query = url.split_once('?').map_or(url, |(_, query)| query);
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        Self::parse(query, state)
    }

    /// Returns the grant, or an error if the sign-in was declined.
    pub fn into_grant(self) -> Result<Grant> {
        /// The longest reason to show, in characters. Real error codes are shorter.
        const LONGEST_REASON: usize = 60;

        let reason = match self {
            Self::Granted(grant) => return Ok(grant),
            Self::Declined(reason) => reason,
        };
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_-. ".contains(*c);
        let reason = reason.chars().filter(is_plain).take(LONGEST_REASON);
        let message = match reason.collect::<String>().as_str() {
            "access_denied" => "sign-in was cancelled".to_owned(),
            reason => format!("the service declined the sign-in ({reason})"),
        };
        Err(Error::new(Kind::SignInFailed, message))
    }
}

impl Grant {
    /// Parses the response to a refresh. Only the access token must be valid: the old refresh token
    /// is spent, so a malformed optional field must not cost the user the new tokens.
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
    fn query_needs_exactly_one_matching_state_and_one_token() {
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
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn malformed_parameters_do_not_invalidate_the_token() {
        for (others, refresh, seconds) in [
            (
                "refresh_token=r&expires_in=3600&x=y",
                Some("r"),
                Some(3600.0),
            ),
            ("refresh_token=%00&expires_in=60", None, Some(60.0)),
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
    fn malformed_fields_do_not_invalidate_a_refresh() {
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
        assert_eq!(error("access_denied"), "sign-in was cancelled");
        let message = "the service declined the sign-in (31mbserver_error)";
        assert_eq!(error("%1B[31m<b>server_error"), message);
        assert!(error(&"x".repeat(99)).ends_with(&format!("({})", "x".repeat(60))));
    }

    #[test]
    fn only_the_query_of_a_pasted_url_matters() {
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
            "\u{feff}access_token=a&state=STATE",
        ] {
            assert!(is_right(pasted), "{pasted}");
        }
        let sign_in = "https://api.kallyai.com/v1/auth/cli?state=STATE";
        for pasted in ["", "http://localhost:8976/callback", sign_in] {
            assert!(!is_right(pasted), "{pasted}");
        }
    }
}
