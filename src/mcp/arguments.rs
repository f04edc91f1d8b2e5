//! The arguments of the tools. Models read the doc comments of the fields.

use rmcp::ErrorData;
use rmcp::handler::server::common::FromContextPart;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::coerce::coerce;
use crate::domain::{CallFields, Key, PastDay, Phone};
use crate::error::{Error, Kind, Result};

/// The arguments of one tool call, or an error if they are invalid.
pub struct Args<T>(pub Result<T>);

impl<S, T: DeserializeOwned + JsonSchema> FromContextPart<ToolCallContext<'_, S>> for Args<T> {
    fn from_context_part(context: &mut ToolCallContext<'_, S>) -> Result<Self, ErrorData> {
        Ok(Self(read(context.arguments.take().unwrap_or_default())))
    }
}

fn read<T: DeserializeOwned + JsonSchema>(arguments: JsonObject) -> Result<T> {
    let arguments = coerce(&schema::<T>().into(), arguments)?;
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        Error::new(Kind::InvalidInput, error.to_string()).with_hint("see the tool's input schema")
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct NoArguments {}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct PlaceCall {
    /// Number to call, with + and country code: +15551234567
    #[schemars(with = "String")]
    pub phone: Phone,
    /// Task of the call, in one or two sentences, without relative dates
    pub task: String,
    #[serde(flatten)]
    pub fields: CallFields,
    /// Your name for this call, such as dentist-2027-01-28. It is made at most once under that name
    #[schemars(with = "Option<String>")]
    pub key: Option<Key>,
    /// Call even if a call to this number is in progress or already succeeded. Ask the user first
    #[serde(default)]
    pub again: bool,
    /// Check the call and return the exact request without making the call
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetCallResult {
    /// Key that place_call or list_pending_calls returned
    pub key: Option<String>,
    /// ID of the call, if there is no key
    pub call_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListCalls {
    /// Number of calls, 10 if left out
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u16>,
    /// Number of newest calls to skip: next_offset of the page before
    pub offset: Option<u64>,
    /// Only these statuses: success, no_answer, busy, failed, voicemail, cancelled, terminated,
    /// in_progress, scheduled, or unsuccessful for every final status except success
    #[serde(default)]
    pub status: Vec<String>,
    /// First day: 2027-01-28, today, yesterday, 7d (days ago), monday (the last one)
    #[schemars(with = "Option<String>")]
    pub since: Option<PastDay>,
    /// Last day, in the same forms
    #[schemars(with = "Option<String>")]
    pub until: Option<PastDay>,
    /// Text in the business, number, task or result
    pub search: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct OneCall {
    /// ID of the call, its first 4 or more characters, last, or last-1 for the call before
    pub call_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct SignIn {
    /// Leave it out to begin. Only if the sign-in does not finish by itself: the whole URL that the
    /// user's browser ended up on. It holds credentials, so never repeat it
    pub callback_url: Option<String>,
}

/// Returns the JSON schema of a tool's arguments, as short as possible.
pub fn schema<T: JsonSchema>() -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = Value::from(settings.into_generator().into_root_schema_for::<T>());
    shorten(&mut schema);
    let Value::Object(mut schema) = schema else {
        return JsonObject::new();
    };
    schema.remove("description");
    schema.entry("properties").or_insert_with(|| json!({}));
    schema.insert("additionalProperties".into(), false.into());
    schema
}

/// Removes keywords that a model does not need, such as null types: null and "" are accepted for
/// every optional argument.
fn shorten(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        return;
    };
    for name in ["default", "format", "title", "writeOnly"] {
        fields.remove(name);
    }
    // Turns ["string", "null"] into "string".
    if let Some(first) = fields.get("type").and_then(|types| types.get(0)).cloned() {
        fields.insert("type".into(), first);
    }
    if let Some(Value::Array(choices)) = fields.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(shorten);
    }
}

#[cfg(test)]
mod tests;
