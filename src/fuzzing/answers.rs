//! What commands print of an answer.

use crate::api::{Response, Transcript};
use crate::cli::fuzz_api::Suggesting;
use crate::cli::render::{View, call, error, one_page, transcript};
use crate::domain::Zone;
use crate::output::{Clock, Output};

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

/// Asks, is answered this, and prints it on a terminal this wide or on none.
pub fn printed(question: Question, body: &[u8], json: bool, width: Option<usize>, color: bool) -> Ended {
    let (out, stdout, stderr) = Output::captured_in(json, width, color);
    let view = View { out: &out, clock: Clock::new(Zone::UTC, out.messages()), program: "kallyai" };
    let response =
        Response { status: 200, retry_after: None, date: None, redirect: None, body: body.to_vec() };
    let ended = match question {
        Question::Transcript => transcript(&view, &response),
        Question::Call => response.parse().map_err(Into::into).and_then(|answer| call(&view, &answer)),
        Question::History => one_page(&view, response),
    };
    let exit = match ended.and_then(|()| out.finish()) {
        Ok(()) => 0,
        Err(failure) => {
            error(&out, &failure, Suggesting { program: "kallyai", json, is_interactive: false });
            failure.exit()
        }
    };
    Ended { exit, stdout: stdout.bytes(), stderr: stderr.bytes() }
}

/// The words of a conversation's turns, in their order; `None` where it is not read as one.
pub fn turns(body: &[u8]) -> Option<Vec<String>> {
    Some(Transcript::parse(body)?.turns().map(|turn| turn.content.into_owned()).collect())
}
