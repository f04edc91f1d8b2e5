//! Parses transcripts in every format that the API is known to use.

use serde::Deserialize;
use serde_json::Value;

use super::lenient;
use super::response::{Parsed, Response, object};
use crate::error::Result;

/// One turn of the conversation. The content is untrusted, because a stranger may say anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Item")]
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
    /// Any other speaker, with the name that the service sent.
    Other(String),
    Unknown,
}

/// A turn as the service sends it. `content` is required, but may be null.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Words(String),
    Turn {
        #[serde(alias = "role")]
        speaker: Option<String>,
        #[serde(alias = "text", deserialize_with = "Option::deserialize")]
        content: Option<String>,
        #[serde(default)]
        timestamp: Value,
    },
}

impl Response {
    pub fn transcript(self) -> Result<Parsed<Vec<Turn>>> {
        let turns = turns(&self.body);
        self.parsed(turns)
    }
}

/// Parses a list of turns, or an object in which `entries` is such a list, plain text or null.
fn turns(body: &[u8]) -> Option<Vec<Turn>> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(alias = "transcript", deserialize_with = "Option::deserialize")]
        entries: Option<Entries>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entries {
        Turns(Vec<Turn>),
        /// One turn per line, without speaker names.
        Text(String),
    }
    let text = lenient::text(body)?;
    match text.starts_with('[') {
        true => lenient::parse(text),
        false => Some(match object::<Body>(body)?.entries {
            None => Vec::new(),
            Some(Entries::Turns(turns)) => turns,
            Some(Entries::Text(text)) => {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                lines.map(|line| Item::Words(line.into()).into()).collect()
            }
        }),
    }
}

impl From<Item> for Turn {
    fn from(item: Item) -> Self {
        let (speaker, content, timestamp) = match item {
            Item::Words(words) => (None, Some(words), Value::Null),
            Item::Turn {
                speaker,
                content,
                timestamp,
            } => (speaker, content, timestamp),
        };
        let timestamp = timestamp.as_str().filter(|text| !text.is_empty());
        Self {
            speaker: Speaker::named(speaker.unwrap_or_default()),
            content: content.unwrap_or_default(),
            timestamp: timestamp.map(str::to_owned),
        }
    }
}

impl Speaker {
    fn named(name: String) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "ai" | "assistant" | "agent" | "bot" => Self::Ai,
            "human" | "user" | "customer" | "respondent" => Self::Human,
            "" => Self::Unknown,
            _ => Self::Other(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str) -> Option<Vec<String>> {
        let turn = |t: &Turn| format!("{:?} {} {:?}", t.speaker, t.content, t.timestamp);
        Some(turns(body.as_bytes())?.iter().map(turn).collect())
    }

    #[test]
    fn every_known_transcript_format_is_parsed() {
        let expected = [r#"Ai Hi Some("00:00:05")"#, "Human Y\u{fffd} None"];
        for body in [
            r#"{"entries":[{"speaker":"AI","content":"Hi","timestamp":"00:00:05"},{"speaker":"HUMAN","content":"Y\ud83d"}]}"#,
            r#"{"transcript":[{"role":"AI","text":"Hi","timestamp":"00:00:05"},{"x":[1],"role":"user","text":"Y\ud83d","timestamp":[]}]}"#,
        ] {
            assert_eq!(shown(body).expect(body), expected);
            let list = body.split_once(':').expect(body).1.trim_end_matches('}');
            assert_eq!(shown(list).expect(list), expected);
        }
        let plain = ["Unknown Hello None", "Unknown  None"];
        assert_eq!(
            shown(r#"["Hello",{"content":null}]"#).expect("turns"),
            plain
        );
        let lines = shown("{\"transcript\":\"Hello\\n\\nYes\"}").expect("turns");
        assert_eq!(lines, ["Unknown Hello None", "Unknown Yes None"]);
        for body in [r#"{"entries":[]}"#, "[]", r#"{"entries":null}"#] {
            assert!(shown(body).expect(body).is_empty());
        }
    }

    #[test]
    fn bodies_that_are_not_transcripts_are_rejected() {
        let bodies = r#"null 5 "x" {} {"entries":{}} {"entries":5} [{"speaker":"AI"}] [{"content":5}] {"entries":[]}x"#;
        for body in bodies.split(' ') {
            assert_eq!(shown(body), None, "{body}");
        }
    }
}
