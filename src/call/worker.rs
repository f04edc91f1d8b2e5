//! The background process that makes a call, and the viewer that follows it.
//!
//! The worker connects, records the call, sends the request and records the result. The command is
//! a viewer that prints reports. After a call is sent, Ctrl-C or a time limit ends only the viewer.

use std::path::PathBuf;
use std::pin::Pin;
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
use crate::domain::{CallId, Secret};
use crate::error::{Error, Kind, Result};
use crate::helper::{self, Helper, Parent};
use crate::signals::{Signal, Signals};

/// The name of the helper job that makes a call.
pub const JOB: &str = "call";

/// How long the worker waits for a call to end.
const LONGEST_CALL: Duration = Duration::from_secs(2 * 3600);
const TOUCH_EVERY: Duration = Duration::from_secs(15);
/// How long the viewer waits for the last report after closing the worker's stdin.
const LAST_REPORT: Duration = Duration::from_secs(2);
/// How long `--detach` still follows the call after the request is sent, to report early errors.
const DETACH_AFTER: Duration = Duration::from_secs(3);

const LONGER_THAN_ANY_CALL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Everything a worker needs to make a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The API's base URL, or `None` for the sandbox.
    pub api: Option<String>,
    pub state_folder: PathBuf,
    pub token_file: PathBuf,
    pub token: String,
    /// Whether the token comes from `KALLYAI_ACCESS_TOKEN`, so that it cannot be refreshed.
    pub is_given_token: bool,
    pub entry: Entry,
    /// Whether to call even if an earlier call is in progress or has succeeded.
    pub again: bool,
    pub trace: bool,
}

/// A report from a worker. `Done` contains the call as the service returned it.
pub type Report = helper::Report<Progress>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The call has been reserved. From now on it counts as sent.
    Sent,
    Running(CallId),
    /// The response was lost for this reason, and the call is being looked up.
    Lost(String),
    /// A request failed for this reason and will be retried.
    Retrying(String),
    /// The key was already used for this request, so the earlier call is followed instead.
    Replayed,
}

/// Makes a call. Runs in the worker.
pub async fn serve(
    job: Job,
    session: &Session<'_>,
    journal: &Journal,
    viewer: &Parent,
) -> Result<()> {
    let entry = job.entry;
    drop(journal.prepare(&entry)?);
    let unusable = || Error::new(Kind::AccessToken, "the access token is not usable");
    let token = Secret::parse(&job.token).ok_or_else(unusable)?;
    let sent_at = watch::Sender::default();
    let mut is_sent = sent_at.subscribe();
    let reserver = Reserver {
        journal: journal.clone(),
        entry: entry.clone(),
        again: job.again,
        viewer: viewer.clone(),
        sent_at,
    };
    let report = |report| viewer.report(&report);
    let mut live = Live::new(session, journal, Some(entry.clone()), &report);
    let outcome = tokio::select! {
        biased;
        outcome = run(&mut live, Step::Send(reserver, token), LONGEST_CALL) => outcome,
        () = attend(viewer, is_sent.clone(), journal, &entry) => {
            Err(Error::new(Kind::Cancelled, "no call was made"))
        }
    };
    report(match outcome {
        Ok(call) => Report::Done(String::from_utf8_lossy(&call.raw).into_owned()),
        Err(error) if is_sent.borrow_and_update().is_some() => {
            Report::Failed(Box::new(error.of_key(&entry.key)))
        }
        Err(error) => Report::Failed(Box::new(error)),
    });
    live.recorder.record_again(Timestamp::now()).await;
    Ok(())
}

/// Returns only if the viewer leaves before the call is reserved, so that no call is made.
/// Otherwise reports the reservation, then touches the call's file regularly and never returns.
async fn attend(
    viewer: &Parent,
    mut sent_at: watch::Receiver<Option<Timestamp>>,
    journal: &Journal,
    call: &Entry,
) {
    tokio::select! {
        biased;
        _ = sent_at.wait_for(Option::is_some) => {}
        () = viewer.left() => return,
    }
    viewer.report(&Report::Progress(Progress::Sent));
    loop {
        sleep(TOUCH_EVERY).await;
        let _ = journal.touch(call);
    }
}

/// A function that makes a call in this process, used if no other process can be started.
pub type InPlace = fn(Job, Parent) -> Pin<Box<dyn Future<Output = ()>>>;

/// The viewer's handle to a worker. Dropping it does not end a call that was reserved.
pub struct Worker {
    job: Job,
    in_place: Option<InPlace>,
    helper: Helper,
    /// Whether the worker reported that the call was sent.
    pub is_sent: bool,
    pub call_id: Option<CallId>,
    /// Why the response was lost.
    pub lost: Option<String>,
    /// Why the viewer wants to leave.
    pub stop: Option<Stop>,
}

impl Worker {
    /// Starts the worker process. If that fails, runs `in_place` if given, or returns an error.
    pub fn start(job: Job, in_place: Option<InPlace>) -> Result<Self> {
        let what = "no call was made: can't start the background process";
        let helper = match (helper::start(JOB, &job), in_place) {
            (Ok(helper), _) => helper,
            (Err(_), Some(run)) => start_in_place(run, job.clone()),
            (Err(error), None) => return Err(Error::io(what, &error)),
        };
        Ok(Self {
            job,
            in_place,
            helper,
            is_sent: false,
            call_id: None,
            lost: None,
            stop: None,
        })
    }

    async fn report(&mut self) -> Option<Report> {
        let report = self.helper.report().await;
        if report.is_none() && self.helper.is_other_version() {
            self.helper = start_in_place(self.in_place?, self.job.clone());
            return self.helper.report().await;
        }
        report
    }
}

fn start_in_place(run: InPlace, job: Job) -> Helper {
    let (helper, parent) = helper::in_this_process();
    tokio::task::spawn_local(run(job, parent));
    helper
}

/// When to stop following a call.
#[derive(Debug, Clone, Copy)]
pub struct Until {
    /// The deadline, or `None` to follow the call until it ends.
    pub at: Option<Instant>,
    /// Whether to leave a few seconds after the request is sent (`--detach`).
    pub is_detached: bool,
}

impl Until {
    /// Returns the deadline for following a call from now on. `is_sent` says whether it was sent.
    pub fn deadline(self, is_sent: bool) -> Instant {
        let now = Instant::now();
        let end = self.at.unwrap_or(now + LONGER_THAN_ANY_CALL);
        match self.is_detached && is_sent {
            true => end.min(now + DETACH_AFTER),
            false => end,
        }
    }
}

/// Why the viewer stopped before the call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Signal(Signal),
    /// The time limit has passed.
    Time,
}

/// The result of following a worker.
pub enum Followed {
    Ended(Parsed<Call>),
    Failed(Error),
    /// The viewer left. The call was sent or may still be sent.
    Left(Stop),
    /// The worker exited without a result.
    Vanished,
}

impl Worker {
    /// Passes reports to `on_report` until the last report, a signal, or the time limit.
    pub async fn follow(
        &mut self,
        until: Until,
        signals: &mut Signals,
        on_report: &mut dyn FnMut(Report),
    ) -> Followed {
        let mut limit = until.deadline(false);
        loop {
            let stop = tokio::select! {
                biased;
                report = self.report() => {
                    match report {
                        None => return Followed::Vanished,
                        Some(Report::Done(raw)) => {
                            let call = Parsed::object(raw.into_bytes());
                            return call.map_or(Followed::Vanished, Followed::Ended);
                        }
                        Some(Report::Failed(error)) => return Followed::Failed(*error),
                        Some(report) => {
                            self.note(&report);
                            if matches!(report, Report::Progress(Progress::Sent)) {
                                limit = until.deadline(true);
                            }
                            on_report(report);
                        }
                    }
                    match self.stop {
                        Some(stop) if self.is_sent => stop,
                        _ => continue,
                    }
                }
                signal = signals.next() => Stop::Signal(signal),
                () = sleep_until(limit) => Stop::Time,
            };
            // If the call has not been sent, tell the worker to stop, and wait for its last report
            // until a second signal or the new limit. Return the first reason for stopping.
            if self.is_sent || self.stop.is_some() {
                return Followed::Left(self.stop.unwrap_or(stop));
            }
            self.helper.close();
            self.stop = Some(stop);
            limit = Instant::now() + LAST_REPORT;
        }
    }

    fn note(&mut self, report: &Report) {
        match report {
            Report::Progress(Progress::Sent) => self.is_sent = true,
            Report::Progress(Progress::Running(id)) => self.call_id = Some(id.clone()),
            Report::Progress(Progress::Lost(why)) => self.lost = Some(why.clone()),
            _ => {}
        }
    }
}
