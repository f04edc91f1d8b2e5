//! How a tool's arguments are read: the one that does not fit is named.

use std::borrow::Cow;

use rmcp::model::JsonObject;
use rmcp::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use crate::error::{Error, Result};

/// Reads a tool's arguments.
///
/// # Errors
/// When one is missing, of another type, or not on the tool's list.
pub fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T> {
    let mut read = String::new();
    let named = arguments.unwrap_or_default().into_iter().inspect(|(name, _)| name.clone_into(&mut read));
    T::deserialize(MapDeserializer::new(named)).map_err(|error: serde_json::Error| {
        let problem = error.to_string();
        // These say the name themselves.
        let says_which = ["missing field", "unknown field"].iter().any(|start| problem.starts_with(start));
        let message = if says_which {
            format!("the arguments do not fit: {problem}")
        } else {
            format!("the arguments do not fit: {read}: {problem}")
        };
        Error::usage(message, "see the tool's input schema")
    })
}

/// A whole number, which JSON may write as 4 or as 4.0.
#[derive(Debug, Clone, Copy)]
pub struct Whole(u64);

impl Whole {
    /// The number, or the largest that there is of its type.
    pub fn or_largest<N: TryFrom<u64>>(self, largest: N) -> N {
        N::try_from(self.0).unwrap_or(largest)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let whole = value.as_number().and_then(whole).map(Self);
        whole.ok_or_else(|| D::Error::custom("expected a whole number from 0 on"))
    }
}

fn whole(number: &Number) -> Option<u64> {
    let digits = number.to_string();
    number.as_u64().or_else(|| digits.strip_suffix(".0")?.parse().ok())
}

impl JsonSchema for Whole {
    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }
}
