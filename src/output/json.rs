//! Indents JSON for a terminal without parsing it. Numbers, escapes, field order and duplicate
//! fields stay as the server sent them.

use std::fmt::Write as _;

use super::clean::is_unsafe;

/// Indents a document by two spaces per level. Replaces control and invisible characters with `\u`
/// escapes.
pub(super) fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut last) = (0_usize, ' ');
    let (mut is_in_string, mut is_after_backslash) = (false, false);
    for c in json.chars() {
        if is_in_string {
            push_escaped(&mut out, c);
            is_in_string = is_after_backslash || c != '"';
            is_after_backslash = c == '\\' && !is_after_backslash;
            continue;
        }
        let (opens, closes) = (matches!(last, '{' | '['), matches!(c, '}' | ']'));
        if c.is_ascii_whitespace() {
            continue;
        }
        if opens && !closes {
            depth += 1;
        } else if closes && !opens {
            depth = depth.saturating_sub(1);
        }
        if opens != closes || last == ',' {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
        push_escaped(&mut out, c);
        if c == ':' {
            out.push(' ');
        }
        is_in_string = c == '"';
        last = c;
    }
    out
}

/// Replaces control and invisible characters with `\u` escapes. Does not indent the document.
pub(super) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    json.chars().for_each(|c| push_escaped(&mut out, c));
    out
}

fn push_escaped(out: &mut String, c: char) {
    if !is_unsafe(c) {
        return out.push(c);
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn indenting_json_preserves_every_token() {
        let raw = "{ \"n\" : [ 1.10, 123456789012345678901234567890 , 1E5 ],\n\"n\":\"a\\u0041 \\\" \\\\\" , \"e\":{}, \"l\":[ ] }";
        let expected = "{\n  \"n\": [\n    1.10,\n    123456789012345678901234567890,\n    1E5\n  ],\n  \"n\": \"a\\u0041 \\\" \\\\\",\n  \"e\": {},\n  \"l\": []\n}";
        assert_eq!(indented(raw), expected);
        assert_eq!(
            indented("\"\u{7f}\u{202e}\u{e0041}é\""),
            r#""\u007f\u202e\udb40\udc41é""#
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn indented_json_parses_to_the_same_value(value in any_json()) {
            for raw in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let shown = indented(&raw);
                prop_assert!(!shown.chars().any(|c| c != '\n' && is_unsafe(c)));
                let parsed = |json: &str| serde_json::from_str::<Value>(json).unwrap();
                prop_assert_eq!(parsed(&shown), parsed(&raw));
                let is_safe = !raw.chars().any(|c| c != '\n' && is_unsafe(c));
                let tokens = |json: &str| json.split_whitespace().collect::<String>();
                prop_assert!(!is_safe || tokens(&shown) == tokens(&raw));
            }
        }

        #[test]
        fn unsafe_characters_in_invalid_json_are_escaped(text in any::<String>()) {
            prop_assert!(!indented(&text).chars().any(|c| c != '\n' && is_unsafe(c)));
        }
    }
}
