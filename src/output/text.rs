//! Foreign text for whoever puts it into a document of their own.

use serde_json::Value;

use super::clean::clean;
use super::line::shorten;
use crate::domain::redact;

/// A text as one line: cleaned, its line breaks as spaces.
pub fn one_line(text: &str) -> String {
    clean(text).into_owned()
}

/// A text with its own line breaks, each line of it cleaned.
pub fn lines(text: &str) -> String {
    let text = redact(text);
    let mut cleaned = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            cleaned.push('\n');
        }
        let (line, end) = line.strip_suffix('\r').map_or((line, ""), |line| (line, "\r"));
        cleaned.push_str(&clean(line));
        cleaned.push_str(end);
    }
    cleaned
}

/// The beginning of a text, in so many columns at the most.
pub fn brief(text: &str, most: usize) -> String {
    shorten(&clean(text), most).into_owned()
}

/// Cleans every string of a value: what hides text from a person hides it from a model too.
pub fn clean_json(value: &mut Value) {
    match value {
        Value::String(text) => *text = lines(text),
        Value::Array(values) => values.iter_mut().for_each(clean_json),
        Value::Object(members) => {
            if members.keys().any(|name| lines(name) != *name) {
                let cleaned = std::mem::take(members);
                *members = cleaned.into_iter().map(|(name, value)| (lines(&name), value)).collect();
            }
            members.values_mut().for_each(clean_json);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
