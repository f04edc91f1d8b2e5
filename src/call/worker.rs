//! The background process that makes a call, and the viewer that follows it.
//!
//! The worker connects, records the call, sends the request and records the result. The command
//! that the user runs is the viewer, which prints the worker's reports. After the request is sent,
//! Ctrl-C or a time limit ends only the viewer.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::entry::Entry;
use super::journal::Journal;
use super::live::Live;
use super::reserve::Reserver;
use super::run::{Step, run};
use crate::api::{Call, Parsed};
use crate::auth::Session;
use crate::domain::Secret;
use crate::error::{Error, Kind, Result};
use crate::helper::{self, Helper, InPlace, Parent};
use crate::signals::{Signal, Signals};

/// The name of the helper job that makes a call.
pub const JOB: &str = "call";

const LONGEST_CALL: Duration = Duration::from_secs(2 * 3600);
const TOUCH_EVERY: Duration = Duration::from_secs(15);
/// How long the viewer waits for the last report after closing the worker's stdin.
const LAST_REPORT: Duration = Duration::from_secs(2);
/// How long a command with `--detach` follows its call after sending it, to report early errors.
const DETACH_AFTER: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The API's base URL, or `None` for the sandbox.
    pub api: Option<String>,
    pub state_folder: PathBuf,
    pub token_file: PathBuf,
    pub token: String,
    /// Whether the token comes from `KALLYAI_ACCESS_TOKEN`. Such a token cannot be refreshed.
    pub is_given_token: bool,
    pub entry: Entry,
    pub again: bool,
    pub trace: bool,
}

/// A report from a worker. `Done` contains the service's JSON for the ended call.
pub type Report = helper::Report<Progress>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The call is recorded in the journal. From now on, it counts as sent.
    Sent,
    Running,
    /// The response was lost for this reason. The worker is looking for the call in the history.
    Lost(String),
    /// A request failed for this reason and will be retried.
    Retrying(String),
    /// The key was already used for this request, so the earlier call is followed instead.
    Replayed,
}

/// Makes the call that `job` describes. Runs in the worker process.
pub async fn serve(
    job: Job,
    session: &Session<'_>,
    journal: &Journal,
    viewer: &Parent,
) -> Result<()> {
    let entry = job.entry;
    drop(journal.prepare(&entry)?);
    let unusable = || Error::new(Kind::AccessToken, "the access token is not valid");
    let token = Secret::parse(&job.token).ok_or_else(unusable)?;
    let is_reserved = watch::Sender::new(false);
    let reserved = is_reserved.subscribe();
    let reserver = Reserver {
        journal: journal.clone(),
        entry: entry.clone(),
        again: job.again,
        viewer: viewer.clone(),
        is_reserved,
    };
    let report = |report| viewer.report(&report);
    let mut live = Live::new(session, journal, Some(entry.clone()), &report);
    let outcome = tokio::select! {
        biased;
        outcome = run(&mut live, Step::Send(reserver, token), LONGEST_CALL) => outcome,
        () = attend(viewer, reserved.clone(), journal, &entry) => {
            Err(Error::new(Kind::Cancelled, "no call was made"))
        }
    };
    report(match outcome {
        Ok(call) => Report::Done(String::from_utf8_lossy(&call.raw).into_owned()),
        Err(error) if *reserved.borrow() => {
            Report::Failed(Box::new(error.about(Some(&entry.key), None)))
        }
        Err(error) => Report::Failed(Box::new(error)),
    });
    live.recorder.retry_unrecorded(Timestamp::now()).await;
    Ok(())
}

/// Returns only if the viewer exits before the call is recorded, in which case no call is made.
/// Otherwise reports the call as sent, then touches the call's file at regular intervals until
/// canceled.
async fn attend(
    viewer: &Parent,
    mut is_reserved: watch::Receiver<bool>,
    journal: &Journal,
    call: &Entry,
) {
    tokio::select! {
        biased;
        _ = is_reserved.wait_for(|is_reserved| *is_reserved) => {}
        () = viewer.left() => return,
    }
    viewer.report(&Report::Progress(Progress::Sent));
    loop {
        sleep(TOUCH_EVERY).await;
        let _ = journal.touch(call);
    }
}

/// Starts a worker process. If that fails, runs the job in this process with `in_place`, if given.
pub fn start(job: &Job, in_place: Option<InPlace>) -> Result<Helper> {
    let what = "no call was made: can't start the background process";
    helper::start(JOB, job, in_place).map_err(|error| Error::io(what, &error))
}

/// When to stop following a call.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    pub at: Instant,
    /// Whether to stop a few seconds after the request is sent (`--detach`).
    pub is_detached: bool,
}

impl Until {
    /// Returns the deadline for following a call whose request has just been sent.
    pub fn after_sending(self) -> Instant {
        match self.is_detached {
            true => self.at.min(Instant::now() + DETACH_AFTER),
            false => self.at,
        }
    }
}

/// Why the viewer stops following a call that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Signal(Signal),
    Time,
}

/// The result of following a worker. A `Stop` says why the viewer tried to stop following the call.
pub enum Followed {
    Ended(Parsed<Call>),
    Failed(Error, Option<Stop>),
    /// The viewer stopped following the call. Unless `is_sent`, the call may still be sent.
    Left {
        stop: Stop,
        is_sent: bool,
    },
    /// The worker exited without a result.
    Vanished(Option<Stop>),
}

/// Passes a worker's reports to `on_report` until the last report, a signal or the time limit.
pub async fn follow(
    mut worker: Helper,
    until: Until,
    signals: &mut Signals,
    on_report: &mut dyn FnMut(Report),
) -> Followed {
    let (mut limit, mut is_sent, mut stopping) = (until.at, false, None);
    loop {
        let stop = tokio::select! {
            biased;
            report = worker.report() => {
                match report {
                    None => return Followed::Vanished(stopping),
                    Some(Report::Done(raw)) => {
                        let call = Parsed::object(raw.into_bytes());
                        return call.map_or(Followed::Vanished(stopping), Followed::Ended);
                    }
                    Some(Report::Failed(error)) => return Followed::Failed(*error, stopping),
                    Some(report) => {
                        if matches!(report, Report::Progress(Progress::Sent)) {
                            (is_sent, limit) = (true, until.after_sending());
                        }
                        on_report(report);
                    }
                }
                match stopping {
                    Some(stop) if is_sent => stop,
                    _ => continue,
                }
            }
            signal = signals.next() => Stop::Signal(signal),
            () = sleep_until(limit) => Stop::Time,
        };
        // Return at once if the call has been sent, or if this is the second reason to stop.
        if is_sent || stopping.is_some() {
            let stop = stopping.unwrap_or(stop);
            return Followed::Left { stop, is_sent };
        }
        // Tell the worker not to make the call, and wait briefly for its last report.
        worker.close();
        stopping = Some(stop);
        limit = Instant::now() + LAST_REPORT;
    }
}
