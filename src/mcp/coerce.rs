//! Converts the arguments that a model sends to the types in the tool's schema. Accepts numbers,
//! booleans and lists that are sent as strings. Treats null and "" as absent. Error messages
//! include the argument's name.

use rmcp::model::JsonObject;
use serde_json::{Value, json};

use crate::domain::{
    CallRef, Day, Invalid, Key, PastDay, Time, Zone, nearest, parse_task, without_invisible,
};
use crate::error::{Error, Result};
use crate::settings::Settings;

pub fn coerce(schema: &Value, arguments: JsonObject) -> Result<JsonObject> {
    let mut coerced = JsonObject::new();
    let zone = arguments.get("timezone").and_then(Value::as_str);
    let zone: Option<Zone> = zone.and_then(|zone| zone.parse().ok());
    for (name, value) in arguments {
        let property = schema["properties"]
            .get(&name)
            .ok_or_else(|| unknown(&name, schema))?;
        if !is_absent(&value) {
            let value = coerce_value(&name, property, value)?;
            if let ("phone" | "user_phone", Some(text)) = (&*name, value.as_str()) {
                let parsed = Settings::phone(text, zone.clone());
                parsed.map_err(|invalid| invalid.in_source(&name))?;
            }
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
    let is_part = |other: &&str| other.contains(name) || name.contains(other);
    let near = nearest(name, names.iter().copied());
    let hint = match near.or_else(|| names.iter().copied().find(is_part)) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None if names.is_empty() => "this tool takes no arguments".into(),
        None => format!("this tool takes these arguments: {}", names.join(", ")),
    };
    Error::usage(format!("unknown argument {name}"), hint)
}

fn is_absent(value: &Value) -> bool {
    let is_blank = |text: &str| without_invisible(text).trim().is_empty();
    value.is_null() || value.as_str().is_some_and(is_blank)
}

fn coerce_value(name: &str, property: &Value, value: Value) -> Result<Value, Invalid> {
    let (coerced, allowed) = match (property["type"].as_str(), property["enum"].as_array()) {
        (Some("array"), _) => return list(name, &property["items"], value),
        (Some("integer"), _) => integer(property, &value),
        (Some("boolean"), _) => (boolean(&value), "true or false".into()),
        (_, Some(choices)) => choice(choices, &value),
        _ => (text(value), "a string".into()),
    };
    let invalid = || Invalid::new(format!("{name} must be {allowed}"), "");
    let coerced = coerced.ok_or_else(invalid)?;
    if let Some(text) = coerced.as_str() {
        check(name, text).map_err(|invalid| invalid.in_source(name))?;
    }
    Ok(coerced)
}

fn list(name: &str, property: &Value, value: Value) -> Result<Value, Invalid> {
    let items = match value {
        Value::Array(items) => items,
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(items) => items,
            // Only statuses are split at commas, because an instruction may contain commas.
            Err(_) if name == "status" => text.split(',').map(Value::from).collect(),
            Err(_) => vec![text.into()],
        },
        other => vec![other],
    };
    let items = items.into_iter().filter(|item| !is_absent(item));
    items
        .map(|item| coerce_value(name, property, item))
        .collect()
}

fn integer(property: &Value, value: &Value) -> (Option<Value>, String) {
    let min = property["minimum"].as_f64().unwrap_or_default();
    let max = property["maximum"].as_f64().unwrap_or(u32::MAX.into());
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    let number = number.filter(|n| n.fract() == 0.0 && (min..=max).contains(n));
    let number = number.map(|n| json!(n as u64));
    (number, format!("an integer from {min} to {max}"))
}

fn boolean(value: &Value) -> Option<Value> {
    let truth = match value {
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        other => other.as_bool(),
    };
    truth.map(Value::Bool)
}

fn choice(choices: &[Value], value: &Value) -> (Option<Value>, String) {
    let given = value.as_str().unwrap_or_default().trim();
    let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
    let mut same = choices.iter().filter(|it| it.eq_ignore_ascii_case(given));
    (same.next().map(|it| json!(it)), choices.join(" or "))
}

fn text(value: Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// Checks a value before serde parses it, because serde would lose the error's hint and kind.
fn check(name: &str, text: &str) -> Result<(), Invalid> {
    match name {
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
