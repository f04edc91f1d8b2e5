//! `--call-info`, `--transcript`, `--calendar`, and the ways to point at a call.

use std::path::Path;

use super::{Context, DONE, READ_TIMEOUT, show, signed_in};
use crate::api::{Answer, Call, Client, Document, Speaker, Status, Tokens, Transcript};
use crate::error::{Error, Result};
use crate::output::{Line, Tone, brief};
use crate::types::{CallId, CallRef};

/// One call.
pub async fn info(context: &Context, call: &CallRef) -> Result<u8> {
    let call = signed_in(context, READ_TIMEOUT, async |client| client.call(&find(client, call).await?).await)
        .await?;
    present_info(context, &call)
}

pub(super) fn present_info(context: &Context, call: &Document<Call>) -> Result<u8> {
    if context.out.is_json() {
        context.out.document(&call.raw)?;
    } else {
        show::details(context, &call.value)?;
    }
    Ok(context.verdict(!call.value.is_over() || call.value.status == Some(Status::Success)))
}

/// The most columns of a speaker's name. A longer label would push the words to the edge of the terminal, which breaks
/// lines where they can pass for others.
const WIDEST_SPEAKER: usize = 24;
/// The most columns of a turn's time.
const WIDEST_TIME: usize = 12;

/// A call's conversation.
pub async fn transcript(context: &Context, call: &CallRef) -> Result<u8> {
    let answer =
        signed_in(context, READ_TIMEOUT, async |client| client.transcript(&find(client, call).await?).await)
            .await?;
    present_transcript(context, &answer)
}

pub(super) fn present_transcript(context: &Context, answer: &Answer) -> Result<u8> {
    let Some(transcript) = Transcript::parse(&answer.body) else { return Err(answer.unexpected()) };
    if context.out.is_json() {
        context.out.document(&answer.body)?;
        return Ok(DONE);
    }
    if transcript.len == 0 {
        context.out.line(&Line::new().text("Nothing was said."))?;
    }
    transcript.try_for_each(|turn| {
        let (tone, speaker) = match &turn.speaker {
            Speaker::Ai => (Tone::Strong, "AI     "),
            Speaker::Human => (Tone::Plain, "Human  "),
            Speaker::Other(name) => (Tone::Plain, &*format!("{}  ", brief(name, WIDEST_SPEAKER))),
            Speaker::Unknown => (Tone::Plain, ""),
        };
        let time = turn.timestamp.as_deref().map(|time| brief(time, WIDEST_TIME));
        let label = match &time {
            Some(time) => Line::new().tone(Tone::Faint, time).text("  "),
            None => Line::new(),
        };
        context.out.prose(&label.tone(tone, speaker), &turn.content)
    })?;
    Ok(DONE)
}

/// A call's appointment.
pub async fn calendar(context: &Context, call: &CallRef, output: Option<&Path>) -> Result<u8> {
    let bytes =
        signed_in(context, READ_TIMEOUT, async |client| client.calendar(&find(client, call).await?).await)
            .await?;
    present_calendar(context, &bytes, output)
}

pub(super) fn present_calendar(context: &Context, bytes: &[u8], output: Option<&Path>) -> Result<u8> {
    match output.filter(|path| *path != Path::new("-")) {
        None if context.out.is_json() => {
            context.out.object(&serde_json::json!({ "calendar": String::from_utf8_lossy(bytes) }))?;
        }
        None => context.out.bytes(bytes)?,
        Some(path) => {
            std::fs::write(path, bytes)
                .map_err(|e| Error::io(format!("{} could not be written", path.display()), e))?;
            let written = path.display().to_string();
            if context.out.is_json() {
                context.out.object(&serde_json::json!({ "output": written }))?;
            } else {
                context.tell(&format!("The appointment is in {written}."));
            }
        }
    }
    Ok(DONE)
}

/// The newest calls, among which the beginning of an ID must be unique.
const SEARCHED: u16 = 200;

/// The ID a person points at.
///
/// # Errors
/// When it is no call, or several.
pub async fn find<T: Tokens>(client: &Client<'_, T>, call: &CallRef) -> Result<CallId> {
    let (limit, prefix) = match call {
        CallRef::Id(id) => return Ok(id.clone()),
        CallRef::Last => (1, ""),
        CallRef::Prefix(prefix) => (SEARCHED, prefix.as_str()),
    };
    let page = client.history(limit, None).await?.value;
    let begins =
        |id: &&String| id.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let mut ids: Vec<&String> = page.calls.iter().map(|(_, call)| &call.call_id).filter(begins).collect();
    // A page that grew while it was made lists a call twice.
    ids.dedup();
    match ids.as_slice() {
        [id, ..] if *call == CallRef::Last => Ok(id.parse()?),
        [id] => Ok(id.parse()?),
        [] if *call == CallRef::Last => Err(Error::NoSuchCall("there are no calls yet".into())),
        [] => Err(Error::NoSuchCall(format!("none of the newest {SEARCHED} calls begins with {prefix}"))),
        several => {
            let list = several.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
            Err(Error::NoSuchCall(format!("{} calls begin with {prefix}: {list}", several.len())))
        }
    }
}
