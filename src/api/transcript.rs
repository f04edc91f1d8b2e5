//! Transcripts, in every format that the API has used.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::lenient;
use super::response::{Parsed, Response, object};
use crate::error::Result;

/// The transcript of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    pub turns: Vec<Turn>,
}

/// One turn of the conversation. Its content is untrusted: it may be anything a stranger said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub speaker: Speaker,
    pub content: String,
    /// Time since the start of the call, usually as `HH:MM:SS`.
    pub timestamp: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    Ai,
    Human,
    /// Any other name that the service sent.
    Other(String),
    Unknown,
}

impl Response {
    pub fn transcript(self) -> Result<Parsed<Transcript>> {
        let transcript = Transcript::parse(&self.body);
        self.parsed(transcript)
    }
}

impl Transcript {
    /// Parses a list of turns, or an object with a list named `entries` or `transcript`.
    fn parse(body: &[u8]) -> Option<Self> {
        let text = lenient::text(body)?;
        if text.starts_with('[') {
            return turns(text).map(|turns| Self { turns });
        }
        let fields: HashMap<String, Box<RawValue>> = object(body)?;
        let named = |name| turns(fields.get(name)?.get());
        let turns = match (named("entries"), named("transcript")) {
            (Some(entries), Some(other)) if entries.is_empty() => other,
            (entries, other) => entries.or(other)?,
        };
        Some(Self { turns })
    }
}

/// Parses a list of turns, a string with one turn per line, or null.
fn turns(json: &str) -> Option<Vec<Turn>> {
    if let Some(text) = lenient::parse::<String>(json) {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        return Some(lines.map(Turn::of_unknown).collect());
    }
    let items: Option<Vec<Box<RawValue>>> = lenient::parse(json)?;
    let turn = |item: Box<RawValue>| Turn::parse(&lenient::parse(item.get())?);
    items.unwrap_or_default().into_iter().map(turn).collect()
}

impl Turn {
    /// Creates a turn without a known speaker or timestamp.
    fn of_unknown(words: &str) -> Self {
        Self {
            speaker: Speaker::Unknown,
            content: words.to_owned(),
            timestamp: None,
        }
    }

    /// Parses an object, or a string that contains only the words.
    fn parse(item: &Value) -> Option<Self> {
        // Prefers the first of the two names whose value is not null.
        let field = |names: [&str; 2]| {
            let fields = names.into_iter().filter_map(|name| item.get(name));
            fields.min_by_key(|field| field.is_null())
        };
        if let Some(words) = item.as_str() {
            return Some(Self::of_unknown(words));
        }
        let content = match field(["content", "text"])? {
            Value::Null => "",
            content => content.as_str()?,
        };
        let speaker = field(["speaker", "role"]).and_then(Value::as_str);
        Some(Self {
            speaker: Speaker::named(speaker.unwrap_or_default()),
            content: content.to_owned(),
            timestamp: item.get("timestamp").and_then(clock),
        })
    }
}

impl Speaker {
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "ai" | "assistant" | "agent" | "bot" => Self::Ai,
            "human" | "user" | "customer" | "respondent" => Self::Human,
            "" => Self::Unknown,
            _ => Self::Other(name.to_owned()),
        }
    }
}

/// Returns text unchanged, and seconds as `HH:MM:SS`.
fn clock(timestamp: &Value) -> Option<String> {
    if let Some(text) = timestamp.as_str() {
        return Some(text.to_owned()).filter(|text| !text.is_empty());
    }
    let seconds = timestamp.as_f64();
    let s = seconds.filter(|s| (0.0..360_000.0).contains(s))? as u32;
    Some(format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(body: &str) -> Option<Vec<String>> {
        let transcript = Transcript::parse(body.as_bytes())?;
        let shown = |t: &Turn| format!("{:?} {} {:?}", t.speaker, t.content, t.timestamp);
        Some(transcript.turns.iter().map(shown).collect())
    }

    #[test]
    fn every_known_format_is_parsed() {
        let expected = [r#"Ai Hi Some("00:00:05")"#, "Human Y\u{fffd} None"];
        for body in [
            r#"{"entries":[{"speaker":"AI","content":"Hi","timestamp":"00:00:05"},{"speaker":"HUMAN","content":"Y\ud83d"}]}"#,
            r#"[{"role":"assistant","text":"Hi","timestamp":5.2},{"role":"user","text":"Y\ud83d","timestamp":null}]"#,
            r#"{"transcript":[{"role":"AI","text":"Hi","timestamp":5},{"x":[1],"role":"human","content":"Y\ud83d","timestamp":[]}]}"#,
        ] {
            assert_eq!(turns(body).expect(body), expected);
        }
        for body in [r#"["Hello","You"]"#, r#"{"transcript":"Hello\n\nYou"}"#] {
            let plain = ["Unknown Hello None", "Unknown You None"];
            assert_eq!(turns(body).expect(body), plain);
        }
        for body in [r#"{"entries":[]}"#, "[]", r#"{"entries":null}"#] {
            assert!(turns(body).expect(body).is_empty());
        }
    }

    #[test]
    fn documented_field_names_take_precedence() {
        for body in [
            r#"{"entries":["Hi"],"transcript":["No"]}"#,
            r#"{"transcript":"Hi","entries":null}"#,
            r#"{"transcript":["Hi"],"entries":{"count":1}}"#,
            r#"[{"text":"No","content":"Hi"}]"#,
            r#"[{"text":"Hi","content":null}]"#,
        ] {
            assert_eq!(turns(body).expect(body), ["Unknown Hi None"]);
        }
        let both = r#"[{"role":"user","speaker":"AI","content":""},{"role":"user","speaker":null,"content":""}]"#;
        assert_eq!(turns(both).expect(both), ["Ai  None", "Human  None"]);
    }

    #[test]
    fn other_bodies_are_rejected() {
        let bodies = r#"null 5 "x" {} {"entries":{}} {"entries":5} [{"speaker":"AI"}] [{"content":5}] {"entries":[]}x"#;
        for body in bodies.split(' ') {
            assert_eq!(turns(body), None, "{body}");
        }
        assert!(Transcript::parse(b"{\"x\":\"\xff\",\"entries\":[]}").is_none());
    }
}
