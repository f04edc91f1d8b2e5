//! The lines of the journal: what each version wrote, and what they add up to.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::checksum;
use super::entry::{Entry, EntryState, Moment, SinceBoot};
use super::unreadable::UnreadableLines;
use crate::domain::{CallId, CallStatus, IdempotencyKey, redact_bytes};
use crate::error::Error;
use crate::files::Identity;

/// The version of the lines that are written. Version 1 had one line a call, which was replaced.
const VERSION: u8 = 2;

/// What happened to a call.
#[derive(Debug)]
pub enum Change<'a> {
    /// It was written down, before anything was sent.
    Prepared(&'a Entry),
    /// The request is about to be written on a connection.
    Sent,
    /// It is this call, which has not ended.
    Running(&'a CallId),
    /// It has ended.
    Ended {
        /// Which call it was.
        call_id: Option<&'a CallId>,
        /// How it ended.
        status: Option<&'a CallStatus>,
        /// Whether its result was shown.
        shown: bool,
    },
    /// The service refused it.
    Refused(&'a Error),
    /// Its result was shown.
    Shown,
    /// It was certainly never made: its key may be used again.
    Discarded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Prepared,
    Sent,
    Running,
    Ended,
    Refused,
    Shown,
    Discarded,
}

/// One line. A member of another version makes it unreadable, rather than being lost when it is rewritten.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<u8>,
    key: IdempotencyKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Event>,
    /// Unix seconds.
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<SinceBoot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock_difference: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call_id: Option<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<CallStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Box<Error>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown: Option<bool>,
    /// Of all that stands before it in the line; it is added to the text.
    #[serde(default, skip_serializing, rename = "crc32")]
    _crc32: Option<String>,
    /// Version 1: whether the result had been shown.
    #[serde(default, skip_serializing)]
    settled: Option<bool>,
}

/// What the journal says.
#[derive(Debug, Default)]
pub struct Contents {
    /// The calls of the service in use, oldest first.
    pub entries: Vec<Entry>,
    /// Those of other services.
    elsewhere: Vec<Entry>,
    /// The lines that this version cannot read.
    pub unreadable: UnreadableLines,
    /// How many lines there are.
    pub lines: usize,
    /// The file they were read from, as it was then.
    pub identity: Option<Identity>,
}

impl Contents {
    /// The newest entry of a key.
    pub fn into_entry(self, key: &IdempotencyKey) -> Option<Entry> {
        self.entries.into_iter().rev().find(|entry| entry.key == *key)
    }

    /// The IDs of other entries' calls: what a look-up must not take.
    pub fn assigned_to_others(&self, key: &IdempotencyKey) -> HashSet<&str> {
        let others = self.entries.iter().filter(|other| other.key != *key);
        others.filter_map(|other| other.call_id().map(CallId::as_str)).collect()
    }

    /// Reads a journal as calls of this service see it.
    pub fn parse(bytes: &[u8], origin: &str) -> Self {
        let mut contents = Self::default();
        let mut entries: Vec<Option<Entry>> = Vec::new();
        let mut index: HashMap<IdempotencyKey, usize> = HashMap::new();
        let mut last_unreadable = 0;
        for text in bytes.split(|b| *b == b'\n').filter(|text| !text.trim_ascii().is_empty()) {
            contents.lines += 1;
            let line = serde_json::from_slice::<Line>(text).ok();
            let line = line.filter(|line| line.v.is_none() || checksum::fits(text));
            let written = line.as_ref().and_then(Line::written);
            let applied = line.and_then(|line| apply(line, &mut entries, &mut index));
            if applied.is_none() {
                last_unreadable = entries.len();
                contents.unreadable.push(text, VERSION);
            } else if let Some(written) = written {
                contents.unreadable.date_by(&written);
            }
        }
        // The line behind it may have said that it was sent.
        for entry in entries.iter_mut().take(last_unreadable).flatten() {
            if entry.state == EntryState::Prepared {
                entry.state = EntryState::Sent;
            }
        }
        (contents.entries, contents.elsewhere) =
            entries.into_iter().flatten().partition(|entry| entry.is_at(origin));
        contents
    }

    /// The entries of all services, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.elsewhere.iter().chain(&self.entries)
    }
}

/// Adds a line to what came before it; `None` if that makes no sense.
fn apply(
    line: Line,
    entries: &mut Vec<Option<Entry>>,
    index: &mut HashMap<IdempotencyKey, usize>,
) -> Option<()> {
    let known = index.get(&line.key).copied();
    match (line.v, line.event) {
        (None, None) => {
            let key = line.key.clone();
            let entry = first_version(line)?;
            index.insert(key, entries.len());
            entries.push(Some(entry));
        }
        (Some(VERSION), Some(Event::Prepared)) => {
            let key = line.key.clone();
            let entry = prepared(line)?;
            if let Some(before) = known {
                let slot = entries.get_mut(before)?;
                // A key is prepared again only if it was not used: a line that says otherwise frees no call.
                if slot.as_ref().is_some_and(|before| before.state != EntryState::Prepared) {
                    return None;
                }
                *slot = None;
            }
            index.insert(key, entries.len());
            entries.push(Some(entry));
        }
        (Some(VERSION), Some(event)) => {
            let slot = entries.get_mut(known?)?;
            // A helper and the command that started it may both say so.
            if slot.is_none() && event == Event::Discarded {
                return Some(());
            }
            let entry = slot.as_mut()?;
            match event {
                Event::Prepared => return None,
                Event::Sent => {
                    entry.sent_at = Some(line.at);
                    entry.state = EntryState::Sent;
                }
                Event::Running => entry.state = EntryState::Running(line.call_id?),
                Event::Ended => {
                    let call_id = line.call_id.or_else(|| entry.call_id().cloned());
                    entry.state = EntryState::Ended { call_id, status: line.status };
                    entry.shown |= line.shown?;
                }
                Event::Refused => entry.state = EntryState::Refused(line.error?),
                Event::Shown => entry.shown = true,
                Event::Discarded => *slot = None,
            }
        }
        _ => return None,
    }
    Some(())
}

fn prepared(line: Line) -> Option<Entry> {
    Some(Entry {
        key: line.key,
        written: Moment { unix: line.at, boot: line.boot },
        clock_difference: line.clock_difference,
        sent_at: None,
        number: line.number?,
        task: line.task?,
        origin: Some(line.origin?),
        digest: Some(line.digest?),
        state: EntryState::Prepared,
        shown: false,
    })
}

fn first_version(line: Line) -> Option<Entry> {
    let shown = line.settled.unwrap_or_default();
    let state = match (shown, line.call_id) {
        (true, call_id) => EntryState::Ended { call_id, status: None },
        (false, Some(id)) => EntryState::Running(id),
        (false, None) => EntryState::Sent,
    };
    Some(Entry {
        key: line.key,
        written: Moment { unix: line.at, boot: None },
        clock_difference: None,
        sent_at: None,
        number: line.number?,
        task: line.task?,
        origin: None,
        digest: None,
        state,
        shown,
    })
}

/// The line that records a change which happens now.
pub fn line_of(key: &IdempotencyKey, change: &Change<'_>) -> Vec<u8> {
    line_at(key, change, jiff::Timestamp::now().as_second())
}

/// The line that records a change of that moment, in Unix seconds.
pub fn line_at(key: &IdempotencyKey, change: &Change<'_>, at: i64) -> Vec<u8> {
    let mut line = Line::new(key, at);
    line.event = Some(match change {
        Change::Prepared(entry) => {
            line.at = entry.written.unix;
            line.boot = entry.written.boot.clone();
            line.clock_difference = entry.clock_difference;
            line.number = Some(entry.number.clone());
            line.task = Some(entry.task.clone());
            line.origin = entry.origin.clone();
            line.digest = entry.digest.clone();
            Event::Prepared
        }
        Change::Sent => Event::Sent,
        Change::Running(id) => {
            line.call_id = Some((*id).clone());
            Event::Running
        }
        Change::Ended { call_id, status, shown } => {
            line.call_id = call_id.cloned();
            line.status = status.cloned();
            line.shown = Some(*shown);
            Event::Ended
        }
        Change::Refused(error) => {
            line.error = Some(Box::new((*error).clone()));
            Event::Refused
        }
        Change::Shown => Event::Shown,
        Change::Discarded => Event::Discarded,
    });
    line.to_bytes()
}

/// The lines that say what an entry says, when the journal is rewritten.
pub fn lines_of(entry: &Entry) -> Vec<u8> {
    let (key, at) = (&entry.key, entry.written.unix);
    let is_first_version = entry.origin.is_none();
    let mut text = if is_first_version {
        let base = Line {
            v: None,
            number: Some(entry.number.clone()),
            task: Some(entry.task.clone()),
            ..Line::new(key, at)
        };
        base.to_bytes()
    } else {
        line_at(key, &Change::Prepared(entry), at)
    };
    if let Some(sent_at) = entry.sent_at {
        text.extend(line_at(key, &Change::Sent, sent_at));
    }
    match &entry.state {
        EntryState::Prepared | EntryState::Sent => {}
        EntryState::Running(id) => text.extend(line_at(key, &Change::Running(id), at)),
        EntryState::Ended { call_id, status } => {
            let (call_id, status, shown) = (call_id.as_ref(), status.as_ref(), entry.shown);
            text.extend(line_at(key, &Change::Ended { call_id, status, shown }, at));
        }
        EntryState::Refused(error) => text.extend(line_at(key, &Change::Refused(error), at)),
    }
    if entry.shown {
        text.extend(line_at(key, &Change::Shown, at));
    }
    text
}

/// How many lines [`lines_of`] has for an entry.
pub fn line_count(entry: &Entry) -> usize {
    let has_state = !matches!(entry.state, EntryState::Prepared | EntryState::Sent);
    1 + usize::from(entry.sent_at.is_some()) + usize::from(has_state) + usize::from(entry.shown)
}

impl Line {
    /// When it was written, by both clocks: only the first line of a call says that.
    fn written(&self) -> Option<Moment> {
        let is_first = matches!(self.event, None | Some(Event::Prepared));
        is_first.then(|| Moment { unix: self.at, boot: self.boot.clone() })
    }

    fn new(key: &IdempotencyKey, at: i64) -> Self {
        Self {
            v: Some(VERSION),
            key: key.clone(),
            event: None,
            at,
            boot: None,
            clock_difference: None,
            number: None,
            task: None,
            origin: None,
            digest: None,
            call_id: None,
            status: None,
            error: None,
            shown: None,
            _crc32: None,
            settled: None,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        // Texts and numbers: nothing that could fail to be written.
        let text = serde_json::to_vec(self).unwrap_or_default();
        // What a service said may repeat the login.
        let mut text = redact_bytes(&text).into_owned();
        if self.v.is_some() {
            checksum::add(&mut text);
        }
        text.push(b'\n');
        text
    }
}

#[cfg(test)]
mod tests;
