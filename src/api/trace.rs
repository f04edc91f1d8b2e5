//! What of an answer is kept out of the trace: whatever grants something to the one who reads it.

use std::borrow::Cow;

use url::Url;

use crate::domain::redact;

/// How much of a body is traced, in bytes.
const TRACED: usize = 16 * 1024;

/// The first line of a trace.
pub const PREFACE: &str =
    "This trace holds telephone numbers, names and tasks, but no login: read it before you pass it on.";

/// What is shown of a header. Beside a body that is hidden, little is: a service may repeat there what it granted.
pub fn header_value<'v>(name: &str, value: &'v [u8], is_body_hidden: bool) -> Cow<'v, str> {
    let is_hidden =
        ["cookie", "location", "token", "auth", "refresh", "link"].iter().any(|part| name.contains(part));
    let is_harmless = matches!(name, "content-type" | "content-length" | "date" | "retry-after");
    if is_hidden || (is_body_hidden && !is_harmless) {
        Cow::Borrowed("[redacted]")
    } else {
        String::from_utf8_lossy(value)
    }
}

/// Whether who has the answer to a request for this has more than what is in it: the billing portal lets in whoever has
/// its address.
pub fn lets_in(url: &Url) -> bool {
    url.path().trim_end_matches('/').ends_with("/billing-portal")
}

/// The lines that are shown of a body.
pub fn body_lines(body: &[u8]) -> Vec<String> {
    // Before anything is cut: half a secret would not be found.
    let text = String::from_utf8_lossy(body);
    let text = without_addresses(&redact(&text));
    let end = (0..=TRACED.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (shown, rest) = text.split_at(end);
    let cut = (!rest.is_empty()).then(|| format!("[{} more bytes]", rest.len()));
    shown.lines().map(str::to_owned).chain(cut).collect()
}

/// A JSON text without what stands in its members named `url` or `…_url`, which may be such addresses too.
fn without_addresses(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("url\"") {
        shown.push_str(before);
        shown.push_str("url\"");
        rest = behind;
        let value =
            behind.trim_start().strip_prefix(':').map(str::trim_start).and_then(|v| v.strip_prefix('"'));
        let is_member = before.ends_with(['"', '_']);
        if let Some(value) = value.filter(|_| is_member) {
            shown.push_str(":\"[redacted]");
            rest = value.get(string_length(value)..).unwrap_or_default();
        }
    }
    shown.push_str(rest);
    shown
}

/// The length of what stands before a JSON string's closing quote, or of all where there is none.
fn string_length(content: &str) -> usize {
    let mut is_escaped = false;
    let end = content.bytes().position(|b| {
        let closes = b == b'"' && !is_escaped;
        is_escaped = b == b'\\' && !is_escaped;
        closes
    });
    end.unwrap_or(content.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_without_addresses_and_secrets() {
        crate::domain::Secret::parse("trace_rs_secret_1").expect("a secret");
        let body = r#"{"url" : "https://b/\"x","a":"url","management_url":null,"n_url":"y","t":"trace_rs_secret_1"}"#;
        let shown =
            r#"{"url":"[redacted]","a":"url","management_url":null,"n_url":"[redacted]","t":"[redacted]"}"#;
        assert_eq!(body_lines(body.as_bytes()), [shown]);
        assert_eq!(body_lines(br#"{"url":"https://cut"#), [r#"{"url":"[redacted]"#]);
        assert_eq!(body_lines(b"a\nb\xff"), ["a", "b\u{fffd}"]);
    }

    #[test]
    fn a_long_body_is_cut() {
        let secret = "trace_rs_secret_2";
        crate::domain::Secret::parse(secret).expect("a secret");
        let body = "x".repeat(TRACED - 8) + secret + &"y".repeat(100);
        let lines = body_lines(body.as_bytes());
        assert!(lines[0].ends_with("x[redacte"), "{}", &lines[0][TRACED - 20..]);
        assert_eq!(lines[1], "[102 more bytes]");
    }

    #[test]
    fn a_header_that_grants_something_is_not_shown() {
        for name in ["set-cookie", "location", "x-auth-token", "www-authenticate", "link"] {
            assert_eq!(header_value(name, b"secret", false), "[redacted]", "{name}");
        }
        assert_eq!(header_value("date", b"today", true), "today");
        assert_eq!(header_value("x-echo", b"secret", true), "[redacted]");
        assert_eq!(header_value("x-echo", b"echo", false), "echo");
    }
}
