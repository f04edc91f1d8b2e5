//! What stands in the login's file: `{"access_token", "refresh_token", "expires_at"}`, as kallyai-cli and
//! kallyai-mcp-server write it too, and `issuer` where that is not the service itself. Members this program does not
//! know are kept.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};

use super::redirect::TokenResponse;
use crate::domain::{ApiBase, Secret};

/// A login.
#[derive(Debug, Clone)]
pub struct Login {
    /// What requests carry.
    pub access_token: Secret,
    /// What renews it, once.
    pub refresh_token: Option<Secret>,
    /// When it is to be renewed, in Unix seconds: a minute before the service would refuse it.
    pub expires_at: i64,
    /// The service that issued it, as the file names it; `None`: the service itself.
    issuer: Option<String>,
    /// Members of other clients.
    pub(crate) extra_fields: BTreeMap<String, Box<RawValue>>,
}

/// What a file holds that may be a login's.
#[derive(Debug)]
pub enum Content {
    /// A login.
    Login(Login),
    /// What was meant to be one, or nothing at all: a sign-in loses nothing by replacing it.
    Damaged,
    /// Something else, which is not this program's to touch.
    Foreign,
}

/// What every login has in it, whole or cut off.
const ACCESS_TOKEN: &[u8] = b"\"access_token\"";
/// The issuer of the emulator's logins, whose address changes.
pub const SANDBOX: &str = "sandbox";
/// A login file is well under this, in bytes; more is another file.
pub const LARGEST: u64 = 1024 * 1024;
/// Renewed this long before the service would refuse it, in seconds, as all the clients do.
const REFRESH_MARGIN: i64 = 60;
/// What an answer without a lifetime means, in seconds.
const USUAL_LIFETIME: f64 = 3600.0;
/// The longest lifetime believed, in seconds: ten years.
const LONGEST_LIFETIME: f64 = 10.0 * 365.25 * 86_400.0;

impl Login {
    /// The login that this service granted just now.
    pub fn granted(granted: TokenResponse, issuer: &str) -> Self {
        Self {
            expires_at: expiry(granted.expires_in),
            access_token: granted.access_token,
            refresh_token: granted.refresh_token,
            issuer: Some(issuer.to_owned()).filter(|issuer| issuer != ApiBase::PRODUCTION),
            extra_fields: BTreeMap::new(),
        }
    }

    /// This login with what its renewal granted; what that lacks is kept.
    pub fn renewed(&self, granted: TokenResponse) -> Self {
        Self {
            expires_at: expiry(granted.expires_in),
            access_token: granted.access_token,
            refresh_token: granted.refresh_token.or_else(|| self.refresh_token.clone()),
            issuer: self.issuer.clone(),
            extra_fields: self.extra_fields.clone(),
        }
    }

    /// Keeps what other clients wrote beside an earlier login.
    pub fn keep_extra_fields(&mut self, before: Self) {
        self.extra_fields = before.extra_fields;
    }

    /// Whether it must be renewed before it is used.
    pub fn has_expired(&self) -> bool {
        self.expires_at <= Timestamp::now().as_second()
    }

    /// The service that issued it: its origin, or [`SANDBOX`].
    pub fn issuer(&self) -> String {
        match &self.issuer {
            None => ApiBase::PRODUCTION.to_owned(),
            Some(named) => named.parse().map_or_else(|_| named.clone(), |base: ApiBase| base.origin()),
        }
    }

    /// Whether both are the same tokens.
    pub fn is_same(&self, other: &Self) -> bool {
        self.access_token == other.access_token && self.refresh_token == other.refresh_token
    }

    /// The login in these bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).ok()?;
        let text = |raw: Box<RawValue>| serde_json::from_str::<Option<String>>(raw.get()).ok();
        let access_token = Secret::parse(&text(members.remove("access_token")?)??)?;
        let refresh_token = match members.remove("refresh_token").map_or(Some(None), text)? {
            Some(token) if !token.is_empty() => Some(Secret::parse(&token)?),
            _ => None,
        };
        let expires_at = match members.remove("expires_at") {
            Some(raw) => serde_json::from_str::<Option<f64>>(raw.get()).ok()?.unwrap_or(0.0) as i64,
            None => 0,
        };
        let issuer = members.remove("issuer").map_or(Some(None), text)?;
        Some(Self { access_token, refresh_token, expires_at, issuer, extra_fields: members })
    }

    /// The login as it is written.
    ///
    /// # Errors
    /// Never: all of it is JSON.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut members: BTreeMap<&str, Box<RawValue>> =
            self.extra_fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        members.insert("access_token", to_raw_value(self.access_token.expose())?);
        members.insert("expires_at", to_raw_value(&self.expires_at)?);
        if let Some(token) = &self.refresh_token {
            members.insert("refresh_token", to_raw_value(token.expose())?);
        }
        if let Some(issuer) = &self.issuer {
            members.insert("issuer", to_raw_value(issuer)?);
        }
        Ok(serde_json::to_vec(&members)?)
    }
}

impl Content {
    /// What these bytes are.
    pub fn parse(bytes: &[u8]) -> Self {
        // A power cut may leave zeros.
        if bytes.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace()) {
            return Self::Damaged;
        }
        let names_token = || bytes.windows(ACCESS_TOKEN.len()).any(|some| some == ACCESS_TOKEN);
        match Login::parse(bytes) {
            Some(login) => Self::Login(login),
            None if bytes.trim_ascii_start().starts_with(b"{") && names_token() => Self::Damaged,
            None => Self::Foreign,
        }
    }
}

fn expiry(expires_in: Option<f64>) -> i64 {
    let lifetime = expires_in.filter(|seconds| *seconds > 0.0).unwrap_or(USUAL_LIFETIME);
    Timestamp::now().as_second() + lifetime.min(LONGEST_LIFETIME) as i64 - REFRESH_MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(text: &str) -> Option<String> {
        Login::parse(text.as_bytes()).map(|login| login.issuer())
    }

    #[test]
    fn a_login_without_an_issuer_is_the_services_own() {
        assert_eq!(issuer(r#"{"access_token":"a"}"#).as_deref(), Some(ApiBase::PRODUCTION));
        assert_eq!(issuer(r#"{"access_token":"a","issuer":null}"#).as_deref(), Some(ApiBase::PRODUCTION));
        assert_eq!(
            issuer(r#"{"access_token":"a","issuer":"https://API.kallyai.com:443/"}"#).as_deref(),
            Some(ApiBase::PRODUCTION)
        );
        assert_eq!(issuer(r#"{"access_token":"a","issuer":"sandbox"}"#).as_deref(), Some(SANDBOX));
        assert_eq!(issuer(r#"{"access_token":"a","issuer":7}"#), None);
    }

    #[test]
    fn the_services_own_logins_are_written_as_the_other_clients_write_them() {
        let granted = |issuer| {
            let access_token = Secret::parse("a").expect("a token");
            let granted = TokenResponse { access_token, refresh_token: None, expires_in: None };
            String::from_utf8(Login::granted(granted, issuer).to_json().expect("JSON")).expect("UTF-8")
        };
        assert!(!granted(ApiBase::PRODUCTION).contains("issuer"));
        assert!(granted("http://127.0.0.1:9").contains(r#""issuer":"http://127.0.0.1:9""#));
    }

    #[test]
    fn two_logins_are_the_same_if_both_their_tokens_are() {
        let login = |access: &str, refresh: &str| {
            let text = format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}"}}"#);
            Login::parse(text.as_bytes()).expect("a login")
        };
        let ours = login("a", "r");
        assert!(ours.is_same(&login("a", "r")));
        assert!(!ours.is_same(&login("b", "r")) && !ours.is_same(&login("a", "s")));
        assert!(login("a", "").refresh_token.is_none(), "an empty one renews nothing");
    }

    #[test]
    fn a_lifetime_that_makes_no_sense_is_the_usual_one() {
        let expires_at = |seconds| {
            let access_token = Secret::parse("a").expect("a token");
            let granted = TokenResponse { access_token, refresh_token: None, expires_in: seconds };
            Login::granted(granted, ApiBase::PRODUCTION).expires_at
        };
        let before = Timestamp::now().as_second();
        for (seconds, lasts) in [
            (None, 3540),
            (Some(0.0), 3540),
            (Some(-5.0), 3540),
            (Some(f64::NAN), 3540),
            (Some(61.0), 1),
            (Some(1e30), 315_576_000 - 60),
        ] {
            let left = expires_at(seconds) - before;
            assert!((lasts..lasts + 30).contains(&left), "{seconds:?}: {left}");
        }
    }

    #[test]
    fn what_was_never_meant_to_be_a_login_is_not_touched() {
        for text in ["", " \n", "\0\0", r#"{"access_token":5}"#, r#"{"access_token":"cut o"#] {
            assert!(matches!(Content::parse(text.as_bytes()), Content::Damaged), "{text:?}");
        }
        for text in ["{", "{}", "[]", "127.0.0.1 localhost", r#"{"refresh_token":"x"}"#, r#""access_token""#]
        {
            assert!(matches!(Content::parse(text.as_bytes()), Content::Foreign), "{text:?}");
        }
    }
}
