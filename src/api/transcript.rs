//! A conversation in all the forms the API has had, read entry by entry without holding the entries.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A body that is known to be a transcript.
pub struct Transcript<'a> {
    body: &'a str,
    /// How many entries it has.
    pub len: usize,
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker<'a> {
    /// The assistant.
    Ai,
    /// Whoever took the call.
    Human,
    /// Another name the server gave.
    Other(Cow<'a, str>),
    /// The entry does not tell.
    Unknown,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Who speaks.
    pub speaker: Speaker<'a>,
    /// The words: a stranger's speech.
    pub content: Cow<'a, str>,
    /// When in the call, as `HH:MM:SS`.
    pub timestamp: Option<Cow<'a, str>>,
}

impl<'a> Transcript<'a> {
    /// The transcript in a body, if the whole body is one.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        // Members nobody reads are passed on, so all of it must be UTF-8.
        let body = std::str::from_utf8(body).ok()?;
        let mut len = 0;
        visit(body, &mut |_| {
            len += 1;
            true
        })
        .ok()?;
        Some(Self { body, len })
    }

    /// Hands the entries over in order; the first error ends it.
    ///
    /// # Errors
    /// The first one `each` returned.
    pub fn try_for_each<E>(&self, mut each: impl FnMut(Entry<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut failed = None;
        // Parsed once already, so it can only end early because `each` failed.
        let _ = visit(self.body, &mut |entry| match each(entry) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        failed.map_or(Ok(()), Err)
    }
}

type Each<'f> = &'f mut dyn FnMut(Entry<'_>) -> bool;

fn visit(body: &str, each: Each<'_>) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    Conversation { each, top: true }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A list of entries, a plain text, null, or (at the top) an object that holds one of these.
struct Conversation<'f> {
    each: Each<'f>,
    top: bool,
}

impl<'de> DeserializeSeed<'de> for Conversation<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Conversation<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transcript")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if !self.top {
            return Err(A::Error::custom("an object instead of entries"));
        }
        let mut found = false;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if matches!(&*key.0, "entries" | "transcript") && !found {
                found = true;
                map.next_value_seed(Conversation { each: &mut *self.each, top: false })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("entries")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<Entry<'de>>()? {
            if !(self.each)(entry) {
                return Err(A::Error::custom("ended early"));
            }
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if self.top {
            return Err(E::custom("a bare text"));
        }
        text.lines().filter(|line| !line.trim().is_empty()).try_for_each(|line| {
            (self.each)(Entry::of_text(Cow::Borrowed(line)))
                .then_some(())
                .ok_or_else(|| E::custom("ended early"))
        })
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.top { Err(E::custom("null")) } else { Ok(()) }
    }
}

impl<'a> Entry<'a> {
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

impl<'de> Deserialize<'de> for Entry<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Turn;
        impl<'de> Visitor<'de> for Turn {
            type Value = Entry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a transcript entry")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Entry<'de>, E> {
                Ok(Entry::of_text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Entry<'de>, E> {
                Ok(Entry::of_text(Cow::Owned(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry<'de>, A::Error> {
                let mut entry = Entry::of_text(Cow::Borrowed(""));
                let mut spoken = false;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match &*key.0 {
                        "speaker" | "role" => {
                            if let Some(Text(name)) = map.next_value()? {
                                entry.speaker = Speaker::named(name);
                            }
                        }
                        "content" | "text" => {
                            spoken = true;
                            if let Some(Text(content)) = map.next_value()? {
                                entry.content = content;
                            }
                        }
                        "timestamp" => entry.timestamp = map.next_value::<Moment<'de>>()?.0,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                if spoken { Ok(entry) } else { Err(A::Error::missing_field("content")) }
            }
        }
        deserializer.deserialize_any(Turn)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A timestamp: text as it stands, seconds as `HH:MM:SS`, anything else left out.
struct Moment<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Moment<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?.get();
        if let Ok(Text(text)) = serde_json::from_str::<Text<'de>>(raw) {
            return Ok(Self((!text.is_empty()).then_some(text)));
        }
        let seconds = raw.parse::<f64>().ok().filter(|s| (0.0..360_000.0).contains(s)).map(|s| s as u32);
        Ok(Self(seconds.map(|s| Cow::Owned(format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(body: &str) -> Option<Vec<String>> {
        let transcript = Transcript::parse(body.as_bytes())?;
        let mut turns = Vec::new();
        transcript
            .try_for_each(|entry| {
                turns.push(format!("{:?} {} {:?}", entry.speaker, entry.content, entry.timestamp));
                Ok::<_, ()>(())
            })
            .expect("nothing fails");
        assert_eq!(turns.len(), transcript.len);
        Some(turns)
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
    fn an_error_of_the_reader_ends_the_reading() {
        let transcript = Transcript::parse(br#"["a","b","c"]"#).expect("a transcript");
        let mut seen = 0;
        let ended = transcript.try_for_each(|_| {
            seen += 1;
            if seen == 2 { Err("full") } else { Ok(()) }
        });
        assert_eq!((ended, seen), (Err("full"), 2));
    }
}
