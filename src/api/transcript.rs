//! A conversation in all the forms the API has had. Its turns are parsed one at a time, so that a long one is held once.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::lenient::Text;

/// A body that is known to be a transcript.
pub struct Transcript<'a> {
    turns: Turns<'a>,
}

/// The turns as they came.
enum Turns<'a> {
    /// A list, each of them an object or a string.
    List(Vec<&'a RawValue>),
    /// One text, a turn on each line.
    Lines(String),
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker<'a> {
    /// The assistant.
    Ai,
    /// The person who took the call.
    Human,
    /// Another name the server gave.
    Other(Cow<'a, str>),
    /// The turn does not tell.
    Unknown,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn<'a> {
    /// Who speaks.
    pub speaker: Speaker<'a>,
    /// The words: a stranger's speech.
    pub content: Cow<'a, str>,
    /// When in the call, as `HH:MM:SS`.
    pub timestamp: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct TranscriptObject<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    entries: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    transcript: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TurnObject<'a> {
    #[serde(default, borrow)]
    speaker: Option<Text<'a>>,
    #[serde(default, borrow)]
    role: Option<Text<'a>>,
    #[serde(default, borrow, deserialize_with = "present")]
    content: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    text: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    timestamp: Option<&'a RawValue>,
}

impl<'a> TurnObject<'a> {
    /// A turn that is an object, and its content as it stands.
    fn parse(raw: &'a str) -> Option<(Self, &'a str)> {
        let turn: Self = raw.starts_with('{').then(|| serde_json::from_str(raw).ok()).flatten()?;
        let content = turn.content.or(turn.text)?.get();
        Some((turn, content))
    }
}

/// A member that is there, `null` or not.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Transcript<'a> {
    /// The transcript in a body, if the whole body is one.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        // Members that are not read here are passed on, so all of it must be UTF-8.
        let body = std::str::from_utf8(body).ok()?;
        let turns = match body.trim_start().as_bytes().first()? {
            b'[' => Turns::List(serde_json::from_str(body).ok()?),
            b'{' => {
                let object: TranscriptObject<'a> = serde_json::from_str(body).ok()?;
                Turns::parse(object.entries.or(object.transcript)?.get())?
            }
            _ => return None,
        };
        if let Turns::List(list) = &turns {
            list.iter().try_for_each(|turn| Turn::check(turn.get()))?;
        }
        Some(Self { turns })
    }

    /// The turns in order.
    pub fn turns(&self) -> impl Iterator<Item = Turn<'_>> {
        // Each was parsed once already.
        let (list, text) = match &self.turns {
            Turns::List(list) => (list.as_slice(), ""),
            Turns::Lines(text) => (&[][..], text.as_str()),
        };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        list.iter()
            .filter_map(|turn| Turn::parse(turn.get()))
            .chain(lines.map(|line| Turn::of_text(Cow::Borrowed(line))))
    }
}

impl<'a> Turns<'a> {
    fn parse(raw: &'a str) -> Option<Self> {
        match raw.as_bytes().first()? {
            b'[' => serde_json::from_str(raw).ok().map(Self::List),
            b'"' => serde_json::from_str::<Text<'_>>(raw).ok().map(|text| Self::Lines(text.0.into_owned())),
            b'n' => Some(Self::List(Vec::new())),
            _ => None,
        }
    }
}

impl<'a> Turn<'a> {
    /// Whether a JSON value is a turn: a text, or an object with one.
    fn check(raw: &'a str) -> Option<()> {
        if raw.starts_with('"') {
            return Some(());
        }
        let (_, content) = TurnObject::parse(raw)?;
        content.starts_with(['"', 'n']).then_some(())
    }

    fn parse(raw: &'a str) -> Option<Self> {
        if raw.starts_with('"') {
            return serde_json::from_str::<Text<'a>>(raw).ok().map(|text| Self::of_text(text.0));
        }
        let (turn, content) = TurnObject::parse(raw)?;
        let content: Option<Text<'a>> = serde_json::from_str(content).ok()?;
        Some(Self {
            speaker: turn.speaker.or(turn.role).map_or(Speaker::Unknown, |name| Speaker::named(name.0)),
            content: content.map_or(Cow::Borrowed(""), |content| content.0),
            timestamp: turn.timestamp.and_then(|raw| timestamp(raw.get())),
        })
    }

    fn of_text(content: Cow<'a, str>) -> Self {
        Self { speaker: Speaker::Unknown, content, timestamp: None }
    }
}

impl<'a> Speaker<'a> {
    fn named(name: Cow<'a, str>) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "ai" | "assistant" | "agent" | "bot" => Self::Ai,
            "human" | "user" | "customer" | "respondent" => Self::Human,
            "" => Self::Unknown,
            _ => Self::Other(name),
        }
    }
}

/// A timestamp: text as it stands, seconds as `HH:MM:SS`, anything else left out.
fn timestamp(raw: &str) -> Option<Cow<'_, str>> {
    if let Ok(text) = serde_json::from_str::<Text<'_>>(raw) {
        return (!text.0.is_empty()).then_some(text.0);
    }
    let seconds = raw.parse::<f64>().ok().filter(|s| (0.0..360_000.0).contains(s))? as u32;
    Some(Cow::Owned(format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(body: &str) -> Option<Vec<String>> {
        let transcript = Transcript::parse(body.as_bytes())?;
        let shown = |turn: Turn<'_>| format!("{:?} {} {:?}", turn.speaker, turn.content, turn.timestamp);
        Some(transcript.turns().map(shown).collect())
    }

    #[test]
    fn every_form_that_was_seen_is_read() {
        let expected = vec!["Ai Hi \"there\" Some(\"00:00:05\")".to_owned(), "Human Yes? None".to_owned()];
        for body in [
            r#"{"entries":[{"speaker":"AI","content":"Hi \"there\"","timestamp":"00:00:05"},{"speaker":"HUMAN","content":"Yes?"}]}"#,
            r#"[{"role":"assistant","text":"Hi \"there\"","timestamp":5.2},{"role":"user","text":"Yes?","timestamp":null}]"#,
            r#"{"call_id":"x","transcript":[{"role":"AI","text":"Hi \"there\"","timestamp":"00:00:05"},{"x":[1],"role":"human","content":"Yes?"}]}"#,
        ] {
            assert_eq!(turns(body).as_ref(), Some(&expected), "{body}");
        }
        let plain = vec!["Unknown Hello None".to_owned(), "Unknown You None".to_owned()];
        assert_eq!(turns(r#"["Hello","You"]"#), Some(plain.clone()));
        assert_eq!(turns("{\"transcript\":\"Hello\\n\\nYou\"}"), Some(plain));
    }

    #[test]
    fn an_empty_conversation_is_one() {
        for body in [r#"{"entries":[]}"#, "[]", r#"{"entries":null}"#] {
            assert_eq!(turns(body), Some(vec![]), "{body}");
        }
    }

    #[test]
    fn what_is_no_conversation_is_refused_whole() {
        for body in [
            "",
            "null",
            "5",
            "\"x\"",
            "{}",
            r#"{"entries":{}}"#,
            r#"{"entries":5}"#,
            r#"[{"speaker":"AI"}]"#,
            r#"[{"content":5}]"#,
            r#"[[]]"#,
            r#"{"entries":[]} x"#,
            r#"[{"content":"a"}"#,
        ] {
            assert_eq!(turns(body), None, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_not_utf_8_is_refused_even_where_nobody_reads() {
        for body in [
            &b"{\"x\":\"\xff\xc2\x9b2J\",\"entries\":[]}"[..],
            b"{\"entries\":[{\"content\":\"a\",\"x\":[\"\x9b2J\"]}]}",
        ] {
            assert!(Transcript::parse(body).is_none(), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_costs_one_letter_and_not_the_transcript() {
        let body = r#"{"entries":[{"speaker":"AI","content":"a\ud800b"},{"text":"c"},"\udc00"]}"#;
        let expected = ["Ai a\u{fffd}b None", "Unknown c None"];
        assert_eq!(turns(body).expect("a transcript")[..2], expected);
    }
}
