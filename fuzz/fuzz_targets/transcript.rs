//! A server's answer that is a conversation, or should be, and what is printed of it.
//!
//! The first bytes of an input say what was asked and how wide the terminal is; the rest is the answer.

#![no_main]

use kallyai::fuzzing::answers::{Ended, Question, printed, turns};
use kallyai::fuzzing::output::{is_unsafe, lines};
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
    let Some(read) = read else { return };
    serde_json::from_slice::<IgnoredAny>(body).expect("a conversation is a document");
    // Names that stand once leave nothing to choose: written anew, the document is read the same.
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let once = serde_json::to_vec(&value).expect("a document");
        if let Some(again) = turns(&once) {
            assert_eq!(turns(&serde_json::to_vec_pretty(&value).expect("a document")), Some(again));
        }
    }
    if question == Question::Transcript {
        [&off.0.0, &on.0.0].into_iter().for_each(|page| says_all(page, &read));
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

/// Every word of the turns is on the page, in order.
fn says_all(page: &str, turns: &[String]) {
    if turns.is_empty() {
        return assert_eq!(page, "Nothing was said.\n");
    }
    let words = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let page = words(page);
    let mut rest = &*page;
    for turn in turns {
        for line in lines(turn) {
            let line = words(&line);
            let at = rest.find(&line).unwrap_or_else(|| panic!("{line:?} in {rest:?}"));
            rest = &rest[at + line.len()..];
        }
    }
}
