//! The keys of calls that the journal has forgotten: a key is good for one call, however long ago that was.

use serde::{Deserialize, Serialize};

use super::checksum;
use super::entry::Entry;
use crate::domain::{CallId, IdempotencyKey, sha256};

/// A key that was used, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct UsedKey {
    /// SHA-256 of the key, in hexadecimal.
    key_sha256: String,
    /// The service it was used at; earlier versions did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// What tells its request from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The call that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
}

impl UsedKey {
    /// What is kept of an entry.
    pub fn of(entry: &Entry) -> Self {
        Self {
            key_sha256: sha256(entry.key.as_str().as_bytes()),
            origin: entry.origin.clone(),
            digest: entry.digest.clone(),
            call_id: entry.call_id().cloned(),
        }
    }

    /// Its line.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        checksum::add(&mut line);
        line.push(b'\n');
        line
    }
}

/// The keys that were used.
#[derive(Debug, Default)]
pub struct UsedKeys {
    keys: Vec<UsedKey>,
    /// Whether there are lines that cannot be read, which may tell of any key.
    pub is_damaged: bool,
}

impl UsedKeys {
    /// Reads them.
    pub fn parse(lines: &[u8]) -> Self {
        let mut used = Self::default();
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match serde_json::from_slice(line).ok().filter(|_| checksum::fits(line)) {
                Some(key) => used.keys.push(key),
                None => used.is_damaged = true,
            }
        }
        used
    }

    /// The use of a key at a service, if there was one.
    pub fn find(self, key: &IdempotencyKey, origin: &str) -> Option<UsedKey> {
        let wanted = sha256(key.as_str().as_bytes());
        let mut used = self.keys.into_iter().filter(|used| used.key_sha256 == wanted);
        used.find(|used| used.origin.as_deref().is_none_or(|own| own == origin))
    }
}
