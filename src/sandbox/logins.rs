//! The sign-ins the sandbox has handed out. A refresh replaces both tokens at once, and a refresh
//! token used twice revokes its login: the strictest service a client can meet.
//!
//! What the sandbox has lost (its files were deleted, or newer logins pushed a login out) is not
//! what it has revoked: a token of its own form and of a login it does not know is taken up again,
//! so that a client that kept its login is not signed out for good.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::clock::rfc3339;
use super::random;

/// The newest logins that are kept.
const CAPACITY: usize = 50;

/// The newest revoked logins that are remembered.
const REVOKED_CAPACITY: usize = 1_000;

/// A login as the API hands it out.
#[derive(Clone, Serialize)]
pub struct Login {
    /// The bearer token of every request.
    pub access_token: String,
    /// Buys one new login when this one has expired. A second use revokes the login.
    pub refresh_token: String,
    /// For how many seconds the access token is good.
    pub expires_in: u64,
}

/// What is known of an access token.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    Valid,
    /// Expired, replaced, revoked or never handed out.
    Invalid,
    /// Of a login that was lost, and can be adopted.
    Lost,
}

/// Both lists are oldest first; a refreshed login is the newest.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Logins {
    logins: Vec<KeptLogin>,
    /// The families of revoked logins.
    revoked_logins: Vec<String>,
}

/// A login that is kept. Its tokens are `sandbox-access-{family}-{secret}` and
/// `sandbox-refresh-{family}-{secret}`; the family outlives a rotation.
#[derive(Clone, Serialize, Deserialize)]
struct KeptLogin {
    access_token: String,
    #[serde(with = "rfc3339")]
    expires_at: Timestamp,
    /// Empty in a login that was adopted by its access token: the family's next one is taken.
    refresh_token: String,
    /// Missing where the refresh token is of an older version; it names the family itself.
    #[serde(default)]
    family: String,
}

impl KeptLogin {
    fn family(&self) -> &str {
        if self.family.is_empty() {
            family(REFRESH_PREFIX, &self.refresh_token).unwrap_or_default()
        } else {
            &self.family
        }
    }
}

impl Logins {
    pub(super) fn issue(&mut self, now: Timestamp, lifetime: Duration) -> Login {
        self.issue_in(&random::secret(), now, lifetime)
    }

    /// Exchanges a refresh token; `None` when it is revoked, was spent before or is none.
    pub(super) fn refresh(&mut self, token: &str, now: Timestamp, lifetime: Duration) -> Option<Login> {
        let family = family(REFRESH_PREFIX, token)?;
        if self.is_revoked(family) {
            return None;
        }
        if let Some(known) = self.position(family) {
            let entry = self.logins.remove(known);
            if !entry.refresh_token.is_empty() && entry.refresh_token != token {
                self.revoke(family);
                return None;
            }
        }
        Some(self.issue_in(family, now, lifetime))
    }

    pub(super) fn standing(&self, access_token: &str, now: Timestamp) -> Standing {
        let known = self.logins.iter().find(|entry| entry.access_token == access_token);
        let family = family(ACCESS_PREFIX, access_token);
        match (known, family) {
            (Some(entry), _) if now < entry.expires_at => Standing::Valid,
            (None, Some(family)) if self.position(family).is_none() && !self.is_revoked(family) => {
                Standing::Lost
            }
            _ => Standing::Invalid,
        }
    }

    /// Takes up the login of an access token that is [`Standing::Lost`].
    pub(super) fn adopt(&mut self, access_token: &str, now: Timestamp, lifetime: Duration) {
        if self.standing(access_token, now) == Standing::Lost
            && let Some(family) = family(ACCESS_PREFIX, access_token)
        {
            self.keep(family, access_token.to_owned(), String::new(), now, lifetime);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.logins.len()
    }

    fn issue_in(&mut self, family: &str, now: Timestamp, lifetime: Duration) -> Login {
        let access_token = format!("{ACCESS_PREFIX}{family}-{}", random::secret());
        let refresh_token = format!("{REFRESH_PREFIX}{family}-{}", random::secret());
        self.keep(family, access_token.clone(), refresh_token.clone(), now, lifetime);
        Login { access_token, refresh_token, expires_in: lifetime.as_secs() }
    }

    fn keep(&mut self, family: &str, access: String, refresh: String, now: Timestamp, lifetime: Duration) {
        self.logins.push(KeptLogin {
            access_token: access,
            expires_at: now.saturating_add(lifetime).unwrap_or(Timestamp::MAX),
            refresh_token: refresh,
            family: family.to_owned(),
        });
        self.logins.drain(..self.logins.len().saturating_sub(CAPACITY));
    }

    fn revoke(&mut self, family: &str) {
        self.revoked_logins.push(family.to_owned());
        self.revoked_logins.drain(..self.revoked_logins.len().saturating_sub(REVOKED_CAPACITY));
    }

    fn position(&self, family: &str) -> Option<usize> {
        self.logins.iter().position(|entry| entry.family() == family)
    }

    fn is_revoked(&self, family: &str) -> bool {
        self.revoked_logins.iter().any(|revoked| revoked == family)
    }
}

const ACCESS_PREFIX: &str = "sandbox-access-";
const REFRESH_PREFIX: &str = "sandbox-refresh-";

/// The family of a token of the sandbox's own form.
fn family<'a>(prefix: &str, token: &'a str) -> Option<&'a str> {
    let is_secret = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (family, secret) = token.strip_prefix(prefix)?.split_once('-')?;
    (is_secret(family) && is_secret(secret)).then_some(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_refresh_replaces_both_tokens() {
        let mut logins = Logins::default();
        let old = logins.issue(NOW, HOUR);
        let new = logins.refresh(&old.refresh_token, NOW, HOUR).expect("a login");
        assert_eq!(logins.standing(&new.access_token, NOW), Standing::Valid);
        assert_eq!(logins.standing(&old.access_token, NOW), Standing::Invalid);
        assert_ne!(old.refresh_token, new.refresh_token);
    }

    #[test]
    fn a_reused_refresh_token_revokes_the_login_for_good() {
        let mut logins = Logins::default();
        let old = logins.issue(NOW, HOUR);
        let other = logins.issue(NOW, HOUR);
        let new = logins.refresh(&old.refresh_token, NOW, HOUR).expect("a login");
        assert!(logins.refresh(&old.refresh_token, NOW, HOUR).is_none());
        for revoked in [&old, &new] {
            assert_eq!(logins.standing(&revoked.access_token, NOW), Standing::Invalid);
            assert!(logins.refresh(&revoked.refresh_token, NOW, HOUR).is_none());
        }
        assert_eq!(logins.standing(&other.access_token, NOW), Standing::Valid);
    }

    #[test]
    fn an_access_token_expires() {
        let mut logins = Logins::default();
        let login = logins.issue(NOW, HOUR);
        assert_eq!(logins.standing(&login.access_token, NOW), Standing::Valid);
        assert_eq!(logins.standing(&login.access_token, NOW + HOUR), Standing::Invalid);
    }

    #[test]
    fn a_login_that_was_lost_is_taken_up_again_by_either_token() {
        let lost = Logins::default().issue(NOW, HOUR);
        let mut by_access = Logins::default();
        assert_eq!(by_access.standing(&lost.access_token, NOW), Standing::Lost);
        by_access.adopt(&lost.access_token, NOW, HOUR);
        assert_eq!(by_access.standing(&lost.access_token, NOW), Standing::Valid);
        let new = by_access.refresh(&lost.refresh_token, NOW, HOUR).expect("a login");
        assert_eq!(by_access.standing(&lost.access_token, NOW), Standing::Invalid);
        assert!(by_access.refresh(&lost.refresh_token, NOW, HOUR).is_none());
        assert_eq!(by_access.standing(&new.access_token, NOW), Standing::Invalid);

        let mut by_refresh = Logins::default();
        let new = by_refresh.refresh(&lost.refresh_token, NOW, HOUR).expect("a login");
        assert_eq!(by_refresh.standing(&new.access_token, NOW), Standing::Valid);
        assert_eq!(by_refresh.standing(&lost.access_token, NOW), Standing::Invalid);
    }

    #[test]
    fn a_token_of_another_form_is_never_taken_up() {
        let mut logins = Logins::default();
        let secret = random::secret();
        for token in [
            String::new(),
            "sandbox-access-".to_owned(),
            format!("sandbox-access-{secret}"),
            format!("sandbox-access-{secret}-{}", "x".repeat(32)),
            format!("sandbox-refresh-{secret}-{secret}"),
            format!("other-access-{secret}-{secret}"),
        ] {
            logins.adopt(&token, NOW, HOUR);
            assert_eq!(logins.standing(&token, NOW), Standing::Invalid, "{token}");
            let refresh = token.replace("refresh", "access");
            assert!(logins.refresh(&refresh, NOW, HOUR).is_none(), "{token}");
        }
        assert_eq!(logins.len(), 0);
    }

    #[test]
    fn only_the_newest_logins_are_kept() {
        let mut logins = Logins::default();
        let first = logins.issue(NOW, HOUR);
        let second = logins.issue(NOW, HOUR);
        for _ in 1..CAPACITY {
            logins.issue(NOW, HOUR);
        }
        assert_eq!(logins.len(), CAPACITY);
        assert_eq!(logins.standing(&first.access_token, NOW), Standing::Lost);
        assert_eq!(logins.standing(&second.access_token, NOW), Standing::Valid);
    }

    #[test]
    fn a_login_that_an_older_version_kept_is_still_good() {
        let secret = random::secret();
        let refresh = format!("sandbox-refresh-{secret}-{secret}");
        let kept = serde_json::json!({"logins": [{
            "access_token": "sandbox-access-1",
            "expires_at": "2030-01-01T00:00:00Z",
            "refresh_token": refresh,
        }]});
        let mut logins: Logins = serde_json::from_value(kept).expect("logins");
        assert_eq!(logins.standing("sandbox-access-1", NOW), Standing::Valid);
        assert!(logins.refresh(&refresh, NOW, HOUR).is_some());
        assert!(logins.refresh(&refresh, NOW, HOUR).is_none());
    }
}
