//! Traces requests and responses for `--debug`, with credentials redacted.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::http::{SendError, Trace};
use super::lenient;
use super::response::Response;
use crate::domain::redact;

const REDACTED: &str = "[redacted]";

/// Writes the `--debug` trace. Does nothing without `--debug`.
pub struct Tracer {
    pub trace: Option<Trace>,
}

impl Tracer {
    pub fn new(trace: Option<Trace>) -> Self {
        Self { trace }
    }

    pub fn request(&self, request: &reqwest::Request) {
        let Some(trace) = &self.trace else { return };
        trace(&format!("> {} {}", request.method(), request.url()));
        let body = request.body().and_then(reqwest::Body::as_bytes);
        trace_message(trace, '>', request.headers(), body.unwrap_or_default());
    }

    pub fn response(&self, headers: &HeaderMap, response: &Response) {
        let Some(trace) = &self.trace else { return };
        trace(&format!("< {}", response.status));
        trace_message(trace, '<', headers, &response.body);
    }

    pub fn failure(&self, failure: &SendError) {
        if let Some(trace) = &self.trace {
            trace(&format!("< {failure}"));
        }
    }
}

fn trace_message(trace: &Trace, mark: char, headers: &HeaderMap, body: &[u8]) {
    const HIDDEN: [&str; 6] = ["auth", "cookie", "location", "token", "link", "refresh"];

    for (name, value) in headers {
        let is_hidden = HIDDEN.iter().any(|part| name.as_str().contains(part));
        let value = String::from_utf8_lossy(value.as_bytes());
        let shown = if is_hidden { REDACTED } else { &redact(&value) };
        trace(&format!("{mark} {name}: {shown}"));
    }
    let text = match lenient::text(body).and_then(lenient::parse::<Value>) {
        Some(mut value) => {
            redact_json(&mut value);
            redact(&value.to_string())
        }
        None => redact(&String::from_utf8_lossy(body)),
    };
    text.lines()
        .for_each(|line| trace(&format!("{mark} {line}")));
}

/// Redacts tokens, secrets and URLs: anyone with a billing portal URL can use the portal.
fn redact_json(value: &mut Value) {
    const GRANTS: [&str; 3] = ["token", "secret", "url"];

    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| match field {
            Value::String(text) if GRANTS.iter().any(|end| name.ends_with(end)) => {
                *text = REDACTED.into();
            }
            field => redact_json(field),
        }),
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    fn shown(headers: &HeaderMap, body: &str) -> Vec<String> {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&lines);
        let trace: Trace = Rc::new(move |line: &str| sink.borrow_mut().push(line.to_owned()));
        trace_message(&trace, '<', headers, body.as_bytes());
        lines.take()
    }

    #[test]
    fn tokens_and_urls_in_traced_bodies_are_redacted() {
        crate::domain::Secret::parse("trace_rs_secret").expect("a token");
        let body = r#"{"url":"u","a":[{"access_token":"t","t":"trace_rs_secret"}],"x_url":null}"#;
        let redacted = r#"< {"url":"[redacted]","a":[{"access_token":"[redacted]","t":"[redacted]"}],"x_url":null}"#;
        assert_eq!(shown(&HeaderMap::new(), body), [redacted]);
    }

    #[test]
    fn traced_headers_with_credentials_are_redacted() {
        for name in "authorization set-cookie location x-auth-token link".split(' ') {
            let name = reqwest::header::HeaderName::from_static(name);
            let value = "hidden".parse().expect("a value");
            let headers = HeaderMap::from_iter([(name.clone(), value)]);
            assert_eq!(shown(&headers, ""), [format!("< {name}: [redacted]")]);
        }
    }
}
