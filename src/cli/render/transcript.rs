//! A call's conversation and its appointment.

use std::path::Path;

use super::View;
use crate::domain::redact_bytes;
use crate::error::{Error, Result};
use crate::output::{Line, Tone, brief};
use crate::service::{Response, Speaker, Transcript};

/// The most columns of a speaker's name. A longer label would push the words to the edge of the terminal, which breaks
/// lines where they can pass for others.
const WIDEST_SPEAKER: usize = 24;
/// The most columns of a turn's time.
const WIDEST_TIME: usize = 12;

/// A call's conversation.
pub fn transcript(view: &View<'_>, response: &Response) -> Result<()> {
    let Some(transcript) = Transcript::parse(&response.body) else {
        return Err(response.unexpected().into());
    };
    if view.out.is_json() {
        return view.out.document(&response.body);
    }
    let speakers = ["AI", "Human", "?"].map(|speaker| view.out.translate(speaker));
    let width = speakers.iter().map(|speaker| speaker.len()).max().unwrap_or_default();
    let [ai, human, unknown] = speakers.map(|speaker| format!("{speaker:<width$}  "));
    let mut is_empty = true;
    for turn in transcript.turns() {
        is_empty = false;
        let other;
        let (tone, speaker) = match &turn.speaker {
            Speaker::Ai => (Tone::Strong, &*ai),
            Speaker::Human => (Tone::Plain, &*human),
            Speaker::Other(name) if is_name(name) => {
                let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
                other = format!("{:<width$}  ", brief(&name, WIDEST_SPEAKER));
                (Tone::Plain, other.as_str())
            }
            Speaker::Other(_) | Speaker::Unknown => (Tone::Plain, &*unknown),
        };
        let time =
            turn.timestamp.as_deref().filter(|time| is_time(time)).map(|time| brief(time, WIDEST_TIME));
        let label = match &time {
            Some(time) => Line::new().tone(Tone::Faint, time).text("  "),
            None => Line::new(),
        };
        view.out.prose(&label.tone(tone, speaker), &turn.content)?;
    }
    if is_empty {
        view.out.line(&Line::new().text(&view.out.translate("Nothing was said.")))?;
    }
    Ok(())
}

/// Whether this can pass for nothing but a speaker's name: it stands where lines begin.
fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(|c| c.is_ascii_punctuation() && !"-_.,'()&/".contains(c))
}

/// Whether this can pass for nothing but a time.
fn is_time(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || ":.,+-TZ ".contains(c))
}

/// A call's appointment, on stdout or in a file.
pub fn calendar(view: &View<'_>, bytes: &[u8], output: Option<&Path>) -> Result<()> {
    let bytes = &*redact_bytes(bytes);
    match output.filter(|path| *path != Path::new("-")) {
        None if view.out.is_json() => {
            view.out.object(&serde_json::json!({ "calendar": String::from_utf8_lossy(bytes) }))
        }
        None => view.out.bytes(bytes),
        Some(path) => {
            let written = path.display().to_string();
            std::fs::write(path, bytes)
                .map_err(|e| Error::io(format!("{written} could not be written"), e))?;
            if view.out.is_json() {
                return view.out.object(&serde_json::json!({ "output": written }));
            }
            view.out
                .note(&Line::new().text(&view.out.messages().fill("The appointment is in {}.", &[&written])));
            Ok(())
        }
    }
}
