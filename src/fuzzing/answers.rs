//! What commands print of an answer.

use super::*;
use crate::api::{Answer, Speaker, Transcript};
use crate::cli::HistoryOptions;
use crate::output::{Color, entrance::kept};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `--transcript`.
    Transcript,
    /// `--call-info`.
    Call,
    /// `--history`.
    History,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit status.
    pub exit: u8,
    /// The result.
    pub stdout: Vec<u8>,
    /// Everything else.
    pub stderr: Vec<u8>,
}

/// A turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What is printed for the speaker.
    pub speaker: String,
    /// The words.
    pub content: String,
    /// When.
    pub timestamp: Option<String>,
}

/// Asks, is answered this, and prints it on a terminal this wide or on none.
pub fn printed(question: Question, body: &[u8], json: bool, width: Option<usize>, color: bool) -> Ended {
    let (out, stdout, stderr) = kept(json, width, color);
    let options = Options {
        json,
        color: Color::Never,
        sandbox: false,
        timeout: None,
        no_input: true,
        no_browser: true,
        callback_port: 8976,
        debug: false,
        exit_status: true,
    };
    let context = Context { out, settings: Settings { sandbox: false }, options };
    let answer = Answer { status: 200, retry_after: None, redirect: None, body: body.to_vec() };
    let ended = match question {
        Question::Transcript => calls::present_transcript(&context, &answer),
        Question::Call => answer.document().and_then(|call| calls::present_info(&context, &call)),
        Question::History => {
            let options = HistoryOptions { limit: None, offset: None, all: false, status: None };
            answer.page().and_then(|page| history::present_page(&context, &options, &page)).map(|()| DONE)
        }
    };
    let exit = match ended.and_then(|exit| context.out.finish().map(|()| exit)) {
        Ok(exit) => exit,
        Err(error) => {
            context.out.fatal(&error, "kallyai");
            error.exit()
        }
    };
    Ended { exit, stdout: stdout.bytes(), stderr: stderr.bytes() }
}

/// The turns of a conversation, and how many it says to have.
pub fn turns(body: &[u8]) -> Option<(Vec<Turn>, usize)> {
    let transcript = Transcript::parse(body)?;
    let mut turns = Vec::new();
    let read = transcript.try_for_each(|turn| {
        turns.push(Turn {
            speaker: match turn.speaker {
                Speaker::Ai => "AI     ".to_owned(),
                Speaker::Human => "Human  ".to_owned(),
                Speaker::Other(name) => format!("{name}  "),
                Speaker::Unknown => String::new(),
            },
            content: turn.content.into_owned(),
            timestamp: turn.timestamp.map(|time| time.into_owned()),
        });
        Ok::<_, ()>(())
    });
    read.ok().map(|()| (turns, transcript.len))
}
