use super::*;
use crate::mcp::arguments::{PlaceCall, schema};

fn place_call(name: &str, value: Value) -> Result<JsonObject> {
    let phone = ("phone".into(), "+15551234567".into());
    let task = ("task".into(), "Reserve a table".into());
    let arguments = JsonObject::from_iter([phone, task, (name.into(), value)]);
    coerce(&schema::<PlaceCall>().into(), arguments)
}

#[test]
fn loosely_typed_values_are_converted() {
    for (name, given, expected) in [
        ("party_size", json!(" 4"), json!(4)),
        ("party_size", json!(4.0), json!(4)),
        ("urgent", json!("False"), json!(false)),
        ("instructions", json!("slow, kind"), json!(["slow, kind"])),
        ("instructions", json!("[\"a\", \"b\"]"), json!(["a", "b"])),
        ("instructions", json!("[a"), json!(["[a"])),
        ("instructions", json!(["a", null, ""]), json!(["a"])),
        ("category", json!("Restaurant"), json!("restaurant")),
        ("name", json!(42), json!("42")),
    ] {
        let coerced = place_call(name, given.clone()).unwrap();
        assert_eq!(coerced[name], expected, "{name}: {given}");
    }
    for absent in [json!(null), json!(""), json!(" \u{200b}")] {
        for name in ["party_size", "urgent", "instructions", "category", "date"] {
            let coerced = place_call(name, absent.clone()).unwrap();
            assert!(!coerced.contains_key(name), "{name}: {absent}");
        }
        let error = place_call("task", absent).unwrap_err();
        assert_eq!(error.to_string(), "task is missing");
    }
}

#[test]
fn invalid_value_error_names_the_allowed_values() {
    for (name, value, message) in [
        ("party_size", json!(51), "party_size must be 1 to 50"),
        ("party_size", json!("0"), "party_size must be 1 to 50"),
        ("party_size", json!(4.5), "party_size must be 1 to 50"),
        ("party_size", json!(true), "party_size must be 1 to 50"),
        ("urgent", json!("maybe"), "urgent must be true or false"),
        ("task", json!(["a"]), "task must be a string"),
        ("call_language", json!("fr"), "call_language must be en, es"),
    ] {
        let error = place_call(name, value).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string()),
            ("invalid_input", message.into())
        );
    }
    let error = place_call("date", json!("someday")).unwrap_err();
    assert!(error.to_string().starts_with("date: "), "{error}");
    assert!(!error.hint().is_empty());
}

#[test]
fn unknown_argument_hint_suggests_the_nearest_name() {
    let hint = |name: &str| place_call(name, json!(1)).unwrap_err().hint().to_owned();
    assert_eq!(hint("dryrun"), "did you mean dry_run?");
    assert!(hint("wait_seconds").starts_with("the arguments are phone, task, "));
}
