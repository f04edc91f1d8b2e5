//! Converts the arguments that models write to the types in a tool's schema. Accepts numbers,
//! booleans and lists in strings, and null or "" for an absent argument. Errors name the argument.

use rmcp::model::JsonObject;
use serde_json::{Value, json};

use crate::domain::{
    CallRef, Day, Invalid, Key, PastDay, Phone, Time, Zone, nearest, parse_task, without_invisible,
};
use crate::error::{Error, Result};
use crate::settings::Settings;

pub fn coerce(schema: &Value, arguments: JsonObject) -> Result<JsonObject> {
    let mut coerced = JsonObject::new();
    for (name, value) in arguments {
        let property = schema["properties"]
            .get(&name)
            .ok_or_else(|| unknown(&name, schema))?;
        if !is_absent(&value) {
            let value = coerce_value(&name, property, value)?;
            coerced.insert(name, value);
        }
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !coerced.contains_key(name) {
            let description = &schema["properties"][name]["description"];
            let hint = description.as_str().unwrap_or_default();
            return Err(Error::usage(format!("{name} is missing"), hint));
        }
    }
    Ok(coerced)
}

fn unknown(name: &str, schema: &Value) -> Error {
    let names = schema["properties"].as_object().into_iter().flatten();
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None if names.is_empty() => "this tool has no arguments".into(),
        None => format!("the arguments are {}", names.join(", ")),
    };
    Error::usage(format!("there is no argument {name}"), hint)
}

fn is_absent(value: &Value) -> bool {
    let is_blank = |text: &str| without_invisible(text).trim().is_empty();
    value.is_null() || value.as_str().is_some_and(is_blank)
}

fn coerce_value(name: &str, property: &Value, value: Value) -> Result<Value, Invalid> {
    let parse = |text: &str| serde_json::from_str(text.trim()).ok();
    match property["type"].as_str() {
        Some("integer") => {
            let value = value.as_str().and_then(parse).unwrap_or(value);
            integer(name, property, &value)
        }
        Some("boolean") => {
            let lower = value.as_str().map(str::to_ascii_lowercase);
            let value = lower.as_deref().and_then(parse).unwrap_or(value);
            let allowed = "true or false";
            value
                .is_boolean()
                .then_some(value)
                .ok_or_else(|| wrong(name, allowed))
        }
        Some("array") => {
            let items = match value.as_str().and_then(parse).unwrap_or(value.clone()) {
                Value::Array(items) => items,
                _ => vec![value],
            };
            let items = items.into_iter().filter(|item| !is_absent(item));
            items
                .map(|item| coerce_value(name, &property["items"], item))
                .collect()
        }
        _ => text(name, property, value),
    }
}

fn integer(name: &str, property: &Value, value: &Value) -> Result<Value, Invalid> {
    let min = property["minimum"].as_f64().unwrap_or_default();
    let max = property["maximum"].as_f64().unwrap_or(u32::MAX.into());
    let is_allowed = |n: &f64| n.fract() == 0.0 && (min..=max).contains(n);
    let number = value.as_f64().filter(is_allowed);
    let number = number.ok_or_else(|| wrong(name, &format!("{min} to {max}")))?;
    Ok(json!(number as u64))
}

fn text(name: &str, property: &Value, value: Value) -> Result<Value, Invalid> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return Err(wrong(name, "a string")),
    };
    if let Some(choices) = property["enum"].as_array() {
        let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        let choice = choices
            .iter()
            .find(|choice| choice.eq_ignore_ascii_case(text.trim()));
        let choice = choice.ok_or_else(|| wrong(name, &choices.join(", ")))?;
        return Ok(json!(choice));
    }
    check(name, &text).map_err(|invalid| invalid.in_source(name))?;
    Ok(Value::String(text))
}

/// Checks a value before serde parses it, because serde would drop the hint and kind of the error.
fn check(name: &str, text: &str) -> Result<(), Invalid> {
    match name {
        "phone" => {
            let zone = Settings::zone(None).ok().map(|local| local.zone);
            Phone::parse_in(text, zone.as_ref()).map(drop)
        }
        "user_phone" => text.parse::<Phone>().map(drop),
        "task" => parse_task(text).map(drop),
        "date" => text.parse::<Day>().map(drop),
        "time" => text.parse::<Time>().map(drop),
        "timezone" => text.parse::<Zone>().map(drop),
        "since" | "until" => text.parse::<PastDay>().map(drop),
        "key" => text.parse::<Key>().map(drop),
        "call_id" => text.parse::<CallRef>().map(drop),
        _ => Ok(()),
    }
}

fn wrong(name: &str, allowed: &str) -> Invalid {
    Invalid::new(format!("{name} must be {allowed}"), "")
}

#[cfg(test)]
mod tests;
