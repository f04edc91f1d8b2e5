//! The key under which a call is placed at most once.

use std::fmt;
use std::str::FromStr;

use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{Invalid, may_hold_login};

/// The `Idempotency-Key` of one call: 1 to 255 visible ASCII characters, the same on every resend.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A fresh key of 128 random bits.
    pub fn generate() -> Self {
        let mut bytes = [0u8; 16];
        rand::rng().fill_bytes(&mut bytes);
        Self(format!("kallyai-{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The key as it stands in the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        // A leading dash is a swallowed flag. The key is written down, and given back on command lines: no login may
        // be in it.
        if !fits || text.starts_with('-') || may_hold_login(text) {
            return Err(Invalid::new(
                "an idempotency key is 1 to 255 visible ASCII characters, without spaces",
                "one looks like booking-2027-01-28; kallyai --pending shows those of pending calls",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
