//! A server's answer that is a conversation, or should be, and what is printed of it.
//!
//! The first bytes of an input say what was asked and how wide the terminal is; the rest is the answer.

#![no_main]

use kallyai::fuzzing::answers::{Ended, Question, Turn, printed, turns};
use kallyai::fuzzing::output::{clean, columns, is_unsafe, lines, shorten};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Where there is no terminal, on one, and on one in colour.
const WAYS: [(bool, bool); 3] = [(false, false), (true, false), (true, true)];

fuzz_target!(|data: &[u8]| {
    let [choices, width, body @ ..] = data else { return };
    let question = match choices & 7 {
        6 => Question::Call,
        7 => Question::History,
        _ => Question::Transcript,
    };
    let width = usize::from(*width) + 20;

    // However it is asked and shown, nothing hostile is printed and the ending is a documented one.
    let [off, on, colored] = WAYS.map(|(terminal, color)| {
        let ended = printed(question, body, false, terminal.then_some(width), color);
        (harmless(&ended, color), ended)
    });
    assert_eq!(off.1.exit, on.1.exit);
    assert_eq!(colored.0, on.0, "colour");
    assert!(on.0.1.is_empty() == matches!(on.1.exit, 0 | 7), "{:?}", on.1);
    let documents = [None, Some(width)].map(|width| printed(question, body, true, width, false));
    for document in &documents {
        assert_eq!(document.exit, off.1.exit);
        let (stdout, stderr) = harmless(document, false);
        let (says, silent) = if matches!(document.exit, 0 | 7) { (stdout, stderr) } else { (stderr, stdout) };
        assert_eq!(silent, "");
        serde_json::from_str::<IgnoredAny>(&says).expect("a document");
        if let (Ok(said), Ok(meant), 0) =
            (serde_json::from_str::<Value>(&says), serde_json::from_slice::<Value>(body), document.exit)
        {
            assert_eq!(said, meant, "the document means the same");
        }
    }
    if documents[0].exit == 0 {
        assert_eq!(documents[0].stdout.iter().filter(|b| **b == b'\n').count(), 1);
    }

    let read = turns(body);
    if question == Question::Transcript {
        assert_eq!(read.is_some(), off.1.exit == 0);
    }
    let Some((read, count)) = read else { return };
    assert_eq!(read.len(), count);
    serde_json::from_slice::<IgnoredAny>(body).expect("a conversation is a document");
    // In a document whose names stand once there is nothing to choose: it is read in one way.
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let once = serde_json::to_vec(&value).expect("a document");
        if let Some((again, _)) = turns(&once) {
            assert_eq!(Some(again), expected(&value), "{value}");
        }
    }
    if question == Question::Transcript {
        let pages = [(&off.0.0, None), (&on.0.0, Some(width))];
        pages.into_iter().for_each(|(page, width)| reads_as(page, &read, width));
        let most = 32 * body.len() + 1000;
        assert!(
            off.0.0.len().max(on.0.0.len()) <= most,
            "{} bytes of {}",
            off.0.0.len().max(on.0.0.len()),
            body.len()
        );
    }
});

/// Both streams as text, without the colours that are ours.
fn harmless(ended: &Ended, color: bool) -> (String, String) {
    assert!(matches!(ended.exit, 0..=7), "exit {}", ended.exit);
    let [stdout, stderr] = [&ended.stdout, &ended.stderr].map(|bytes| {
        let mut text = String::from_utf8(bytes.clone()).expect("UTF-8");
        if color {
            for escape in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[1;31m", "\u{1b}[1;32m"] {
                text = text.replace(escape, "");
            }
        }
        assert!(!text.chars().any(is_hostile), "{text:?}");
        text
    });
    (stdout, stderr)
}

fn is_hostile(c: char) -> bool {
    c != '\n' && (is_unsafe(c) || c == '\t')
}

/// What a conversation says, read from the whole document.
fn expected(value: &Value) -> Option<Vec<Turn>> {
    let held = match value {
        Value::Object(members) => members.get("entries").or(members.get("transcript"))?,
        Value::Array(_) => value,
        _ => return None,
    };
    let plain = |text: &str| Turn { speaker: String::new(), content: text.to_owned(), timestamp: None };
    match held {
        Value::Null => Some(vec![]),
        Value::String(text) => Some(text.lines().filter(|line| !line.trim().is_empty()).map(plain).collect()),
        Value::Array(entries) => entries
            .iter()
            .map(|entry| match entry {
                Value::String(text) => Some(plain(text)),
                Value::Object(members) => {
                    let text = |name: &str| members.get(name).and_then(Value::as_str);
                    members.get("content").or(members.get("text"))?;
                    let content = text("text").or(text("content")).unwrap_or_default();
                    let speaker = match text("speaker").or(text("role")) {
                        None | Some("") => String::new(),
                        Some(name) => match &*name.to_ascii_lowercase() {
                            "ai" | "assistant" | "agent" | "bot" => "AI     ".to_owned(),
                            "human" | "user" | "customer" | "respondent" => "Human  ".to_owned(),
                            _ => format!("{name}  "),
                        },
                    };
                    let timestamp = match members.get("timestamp") {
                        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
                        Some(Value::Number(seconds)) => {
                            let seconds = seconds.as_f64().filter(|s| (0.0..360_000.0).contains(s));
                            let seconds = seconds.map(|s| s as u32);
                            seconds.map(|s| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60))
                        }
                        _ => None,
                    };
                    Some(Turn { speaker, content: content.to_owned(), timestamp })
                }
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// A page has the turns in order, each behind its label and below nothing but itself.
fn reads_as(page: &str, turns: &[Turn], width: Option<usize>) {
    if turns.is_empty() {
        return assert_eq!(page, "Nothing was said.\n");
    }
    let mut rest = page;
    for turn in turns {
        let brief = |text: &str, most| format!("{}  ", shorten(&clean(text), most));
        let time = turn.timestamp.as_ref().map_or(String::new(), |time| brief(time, 12));
        let speaker = turn.speaker.strip_suffix("  ").map_or(String::new(), |name| brief(name, 24));
        let label = format!("{time}{speaker}");
        let indent = columns(&label);
        rest = rest.strip_prefix(&label).unwrap_or_else(|| panic!("{label:?} before {rest:?}"));
        for (index, line) in lines(&turn.content).enumerate() {
            let mut left: String = line.chars().filter(|c| !c.is_whitespace()).collect();
            let mut pieces = 0;
            // At least one printed line for each of the text, and as many as its words take.
            while pieces == 0 || !left.is_empty() {
                let (printed, behind) = rest.split_once('\n').expect("a line");
                let under = if index + pieces == 0 || printed.is_empty() {
                    printed
                } else {
                    assert!(printed.len() > indent.min(40), "{printed:?}");
                    printed.strip_prefix(&" ".repeat(indent.min(40))).expect("an indentation")
                };
                if width.is_none() {
                    assert_eq!(under, line);
                }
                let words: String = under.chars().filter(|c| !c.is_whitespace()).collect();
                left =
                    left.strip_prefix(&words).unwrap_or_else(|| panic!("{words:?} of {left:?}")).to_owned();
                assert!(pieces == 0 || !words.is_empty(), "an empty line inside {line:?}");
                rest = behind;
                pieces += 1;
            }
        }
    }
    assert_eq!(rest, "");
}
