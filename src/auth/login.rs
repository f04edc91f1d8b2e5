//! The format of the credentials file, which other KallyAI clients also use: a JSON object with
//! `access_token`, `refresh_token` and `expires_at`. Unknown fields are kept.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Grant;
use crate::domain::{ApiBase, Secret};

/// An access token is refreshed this many seconds before it expires. Other KallyAI clients use the
/// same margin.
const REFRESH_MARGIN: i64 = 60;
/// Lifetime of an access token, in seconds, if the service does not specify one.
const DEFAULT_LIFETIME: f64 = 3600.0;
/// Maximum lifetime of an access token, in seconds: ten years. Without a maximum, `expires_at`
/// could overflow.
const MAX_LIFETIME: f64 = 10.0 * 365.25 * 86_400.0;

#[derive(Debug, Clone)]
pub struct Login {
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    /// The access token's expiry minus [`REFRESH_MARGIN`], as a Unix time in seconds.
    pub expires_at: i64,
    /// The service that issued the tokens. `None` means the production service.
    issuer: Option<String>,
    unknown: Map<String, Value>,
}

impl Login {
    pub fn granted(grant: Grant, issuer: &str) -> Self {
        Self {
            access_token: grant.access_token,
            refresh_token: grant.refresh_token,
            expires_at: expiry(grant.expires_in),
            issuer: Some(issuer.to_owned()).filter(|issuer| issuer != ApiBase::PRODUCTION),
            unknown: Map::new(),
        }
    }

    /// Replaces the tokens after a refresh. Keeps the old refresh token if the service sent no new
    /// one.
    pub fn refresh(&mut self, grant: Grant) {
        self.access_token = grant.access_token;
        self.refresh_token = grant.refresh_token.or(self.refresh_token.take());
        self.expires_at = expiry(grant.expires_in);
    }

    /// Copies unknown fields from the old credentials, because saving would otherwise lose them.
    pub fn keep_unknown_fields(&mut self, before: Self) {
        self.unknown = before.unknown;
    }

    pub fn has_expired(&self) -> bool {
        self.expires_at <= Timestamp::now().as_second()
    }

    /// Returns the origin of the service that issued the tokens, or `sandbox`.
    pub fn issuer(&self) -> String {
        let Some(name) = &self.issuer else {
            return ApiBase::PRODUCTION.to_owned();
        };
        let base: Option<ApiBase> = name.parse().ok();
        base.map_or_else(|| name.clone(), |base| base.origin())
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let mut text = |name| match fields.shift_remove(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text).filter(|text| !text.is_empty())),
            Some(_) => None,
        };
        Some(Self {
            access_token: Secret::parse(&text("access_token")??)?,
            refresh_token: match text("refresh_token")? {
                Some(token) => Some(Secret::parse(&token)?),
                None => None,
            },
            issuer: text("issuer")?,
            expires_at: match fields.shift_remove("expires_at") {
                None | Some(Value::Null) => 0,
                // Another client, kallyai-cli, writes this number as a float.
                Some(seconds) => seconds.as_f64()? as i64,
            },
            unknown: fields,
        })
    }

    /// Serializes the credentials so that every KallyAI client can read them: `expires_at` is an
    /// integer, and no field is null.
    pub fn to_json(&self) -> String {
        let mut fields = self.unknown.clone();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        put("access_token", self.access_token.expose().into());
        if let Some(token) = &self.refresh_token {
            put("refresh_token", token.expose().into());
        }
        put("expires_at", self.expires_at.into());
        if let Some(issuer) = &self.issuer {
            put("issuer", issuer.as_str().into());
        }
        Value::Object(fields).to_string()
    }
}

fn expiry(expires_in: Option<f64>) -> i64 {
    let lifetime = expires_in.filter(|seconds| *seconds > 0.0);
    let seconds = lifetime.unwrap_or(DEFAULT_LIFETIME).min(MAX_LIFETIME) as i64;
    Timestamp::now().as_second() + seconds - REFRESH_MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_written_by_other_clients_are_parsed() {
        for (fields, refresh, expires_at) in [
            (r#""refresh_token":"r","expires_at":17.9"#, Some("r"), 17),
            (r#""refresh_token":null,"expires_at":18"#, None, 18),
            (r#""refresh_token":"","expires_at":1e300"#, None, i64::MAX),
            (r#""issuer":null,"expires_at":null"#, None, 0),
        ] {
            let text = format!("\u{feff}{{\"access_token\":\"a\",{fields}}}");
            let login = Login::parse(text.as_bytes()).expect(&text);
            let found = login.refresh_token.as_ref().map(Secret::expose);
            assert_eq!((found, login.expires_at), (refresh, expires_at), "{text}");
            assert_eq!(login.issuer(), ApiBase::PRODUCTION, "{text}");
        }
    }

    #[test]
    fn saved_credentials_contain_no_nulls_or_fractions() {
        let text = r#"{"access_token":"a","expires_at":17.9,"refresh_token":null,"theirs":[1,"x"],"issuer":"sandbox"}"#;
        let login = Login::parse(text.as_bytes()).expect("credentials");
        let expected =
            r#"{"theirs":[1,"x"],"access_token":"a","expires_at":17,"issuer":"sandbox"}"#;
        assert_eq!(login.to_json(), expected);
    }

    #[test]
    fn token_lifetime_has_a_default_and_a_maximum() {
        let before = Timestamp::now().as_second();
        for (seconds, lifetime) in [
            (None, 3540),
            (Some(0.0), 3540),
            (Some(-5.0), 3540),
            (Some(f64::NAN), 3540),
            (Some(61.0), 1),
            (Some(1e30), 315_576_000 - 60),
        ] {
            let left = expiry(seconds) - before;
            let expected = lifetime..lifetime + 30;
            assert!(expected.contains(&left), "{seconds:?}: {left}");
        }
    }
}
