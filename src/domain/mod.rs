//! Validated values. Each value is parsed once, when it enters the program.

mod api_base;
mod call_fields;
mod call_id;
mod call_status;
mod choice;
mod key;
mod phone;
mod secret;
mod text;
mod when;
mod zone;

pub use api_base::ApiBase;
pub use call_fields::{CallFields, CallRequest, parse_task};
pub use call_id::{CallId, CallRef};
pub use call_status::{CallStatus, StatusFilter};
pub use choice::{Category, Language};
pub use jiff::civil::Date;
pub use key::Key;
pub use phone::{Phone, dialed};
pub use secret::{Secret, redact};
pub use text::{
    collapse_whitespace, comparable, is_invisible, nearest, parse_text, plain, quoted,
    shell_quoted, with_whole_pairs, without_invisible,
};
pub use when::{Day, PastDay, Time};
pub use zone::Zone;

/// An error that says why a value was rejected and what to type instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    message: String,
    hint: String,
    pub is_emergency: bool,
}

impl Invalid {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            is_emergency: false,
        }
    }

    /// Creates the error for an emergency number, which an assistant must never call.
    pub fn emergency(shown: &str) -> Self {
        let message = format!("{shown} is an emergency number, which KallyAI never calls");
        Self {
            is_emergency: true,
            ..Self::new(message, "in an emergency, dial the number yourself")
        }
    }

    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Puts `name` before the message. `name` is the environment variable, flag or MCP argument
    /// with the rejected value.
    pub fn in_source(self, name: &str) -> Self {
        let message = format!("{name}: {}", self.message);
        Self { message, ..self }
    }
}

/// Implements `Deserialize` by parsing a string with `FromStr`.
macro_rules! deserialize_from_str {
    ($($type:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

macro_rules! display_as_str {
    ($($type:ty),*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

display_as_str!(CallId, Key, Phone);
deserialize_from_str!(CallId, CallRef, Day, Key, PastDay);
deserialize_from_str!(Phone, StatusFilter, Time, Zone);
