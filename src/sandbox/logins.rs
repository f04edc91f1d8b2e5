//! The sign-ins the sandbox has handed out. A refresh replaces both tokens at once, and a refresh
//! token used twice revokes its login: the strictest service a client can meet.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::store::rfc3339;
use super::{Login, random};

/// The newest logins that are kept.
const CAPACITY: usize = 50;

/// Oldest first; a refreshed login is the newest.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Logins(Vec<Record>);

#[derive(Serialize, Deserialize)]
struct Record {
    access_token: String,
    #[serde(with = "rfc3339")]
    expires_at: Timestamp,
    /// `sandbox-refresh-{family}-{secret}`; the family outlives a rotation.
    refresh_token: String,
}

impl Logins {
    pub(super) fn issue(&mut self, now: Timestamp, lifetime: Duration) -> Login {
        self.issue_in(&random::secret(), now, lifetime)
    }

    /// Exchanges a refresh token; `None` when it is unknown or was spent before.
    pub(super) fn refresh(&mut self, token: &str, now: Timestamp, lifetime: Duration) -> Option<Login> {
        let family = family(token)?;
        let known = self.0.iter().position(|record| self::family(&record.refresh_token) == Some(family))?;
        let record = self.0.remove(known);
        (record.refresh_token == token).then(|| self.issue_in(family, now, lifetime))
    }

    pub(super) fn accept(&self, access_token: &str, now: Timestamp) -> bool {
        self.0.iter().any(|record| record.access_token == access_token && now < record.expires_at)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn issue_in(&mut self, family: &str, now: Timestamp, lifetime: Duration) -> Login {
        let access_token = format!("sandbox-access-{}", random::secret());
        let refresh_token = format!("{REFRESH_PREFIX}{family}-{}", random::secret());
        self.0.push(Record {
            access_token: access_token.clone(),
            expires_at: now.saturating_add(lifetime).unwrap_or(Timestamp::MAX),
            refresh_token: refresh_token.clone(),
        });
        self.0.drain(..self.0.len().saturating_sub(CAPACITY));
        Login { access_token, refresh_token, expires_in: lifetime.as_secs() }
    }
}

const REFRESH_PREFIX: &str = "sandbox-refresh-";

fn family(refresh_token: &str) -> Option<&str> {
    let (family, _secret) = refresh_token.strip_prefix(REFRESH_PREFIX)?.split_once('-')?;
    Some(family)
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
        assert!(logins.accept(&new.access_token, NOW));
        assert!(!logins.accept(&old.access_token, NOW));
        assert_ne!(old.refresh_token, new.refresh_token);
    }

    #[test]
    fn a_reused_refresh_token_revokes_the_login() {
        let mut logins = Logins::default();
        let old = logins.issue(NOW, HOUR);
        let other = logins.issue(NOW, HOUR);
        let new = logins.refresh(&old.refresh_token, NOW, HOUR).expect("a login");
        assert!(logins.refresh(&old.refresh_token, NOW, HOUR).is_none());
        assert!(!logins.accept(&new.access_token, NOW));
        assert!(logins.refresh(&new.refresh_token, NOW, HOUR).is_none());
        assert!(logins.accept(&other.access_token, NOW));
    }

    #[test]
    fn an_access_token_expires() {
        let mut logins = Logins::default();
        let login = logins.issue(NOW, HOUR);
        assert!(logins.accept(&login.access_token, NOW));
        assert!(!logins.accept(&login.access_token, NOW + HOUR));
        assert!(!logins.accept("", NOW));
    }

    #[test]
    fn only_the_newest_logins_are_kept() {
        let mut logins = Logins::default();
        let first = logins.issue(NOW, HOUR);
        let second = logins.issue(NOW, HOUR);
        for _ in 1..CAPACITY {
            logins.issue(NOW, HOUR);
        }
        assert!(!logins.accept(&first.access_token, NOW));
        assert!(logins.accept(&second.access_token, NOW));
    }
}
