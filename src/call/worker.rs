//! The process that makes a call, and following it.
//!
//! The worker connects, reserves, sends, waits and records. The command is a viewer that prints its
//! reports: Ctrl-C, a time limit and detaching end the viewing alone.

use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::entry::Entry;
use super::guard::Guards;
use super::journal::Journal;
use super::live::{Live, Request};
use super::record::{Reserver, Shared};
use super::run::{Limits, Reserve, Start, run};
use crate::api::{Call, Parsed};
use crate::auth::Session;
use crate::domain::{CallId, Secret};
use crate::error::{Error, Kind, Result};
use crate::helper::{self, Helper};
use crate::signals::{Signal, Signals};

/// The kind of helper job that is a call.
pub const JOB: &str = "call";

const TOUCH_EVERY: Duration = Duration::from_secs(15);
/// How long the viewer waits for the last report after it has closed the worker's stdin.
const LAST_REPORT: Duration = Duration::from_secs(2);
/// `--detach` returns this long after the call was sent.
const DETACH_AFTER: Duration = Duration::from_secs(3);

/// A call to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The API's address; `None` for the sandbox.
    pub api: Option<String>,
    pub state_folder: PathBuf,
    pub token_file: PathBuf,
    pub token: String,
    /// `KALLYAI_ACCESS_TOKEN`, which cannot be refreshed.
    pub is_given_token: bool,
    pub entry: Entry,
    /// The body of the request.
    pub json: String,
    pub guards: Guards,
    pub trace: bool,
}

/// A worker's reports. The last one is `Ended` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report {
    Progress(Progress),
    Warning(String),
    Trace(String),
    /// The call as the service gave it.
    Ended(String),
    Failed(Box<Error>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The call is reserved, and its first byte is about to be written.
    Sent,
    Running(CallId),
    /// The response was lost, for this reason. The call is being looked up.
    Lost(String),
    /// The service cannot be asked at the moment.
    Retrying(String),
    /// The key was used before for this request: no call is made, and the result of that one follows.
    Replayed,
}

/// The viewer, as the worker sees it.
pub struct Viewer {
    /// Whether it still waits.
    pub is_watching: watch::Receiver<bool>,
    pub report: Rc<dyn Fn(Report)>,
}

/// Makes a call: the worker's side.
pub async fn serve(
    job: Job,
    session: &Session<'_>,
    journal: &Journal,
    viewer: Viewer,
) -> Result<()> {
    let Viewer {
        is_watching,
        report,
    } = viewer;
    let call = job.entry.clone();
    journal.check(&call)?;
    let entry = Shared::new(job.entry);
    let unusable = || Error::new(Kind::AccessToken, "the access token is not usable");
    let request = Request {
        json: job.json.into_bytes(),
        key: call.key.clone(),
        token: Secret::parse(&job.token).ok_or_else(unusable)?,
    };
    let reserver = Arc::new(Reserver {
        journal: journal.clone(),
        entry: entry.clone(),
        guards: job.guards,
        is_watched: is_watching.clone(),
        is_reserved: watch::Sender::new(false),
    });
    let reserved = reserver.is_reserved.subscribe();
    let reserve: Reserve = Arc::new(move || {
        let reserver = Arc::clone(&reserver);
        Box::pin(async move { reserver.reserve(Timestamp::now()).await })
    });
    let mut live = Live::new(session, journal, Some(entry), Some(request), &*report);
    let outcome = tokio::select! {
        biased;
        outcome = run(&mut live, Start::Send(reserve), Limits::default()) => outcome,
        () = gone_before(is_watching, reserved.clone()) => {
            Err(Error::new(Kind::Cancelled, "no call was made"))
        }
        () = keep_alive(reserved.clone(), journal, &call, &*report) => return Ok(()),
    };
    report(match outcome {
        Ok(call) => Report::Ended(String::from_utf8_lossy(&call.raw).into_owned()),
        Err(error) if *reserved.borrow() => Report::Failed(Box::new(error.of_key(&call.key))),
        Err(error) => Report::Failed(Box::new(error)),
    });
    live.recorder.record_again(Timestamp::now()).await;
    Ok(())
}

/// Returns when the viewer is gone and the call is not reserved. From then on it never will be.
async fn gone_before(mut is_watching: watch::Receiver<bool>, reserved: watch::Receiver<bool>) {
    let _ = is_watching.wait_for(|is_watching| !is_watching).await;
    if *reserved.borrow() {
        std::future::pending().await
    }
}

/// Reports the reservation, then touches the call's file for as long as the worker lives.
async fn keep_alive(
    mut reserved: watch::Receiver<bool>,
    journal: &Journal,
    call: &Entry,
    report: &dyn Fn(Report),
) {
    if reserved.wait_for(|reserved| *reserved).await.is_err() {
        return std::future::pending().await;
    }
    report(Report::Progress(Progress::Sent));
    loop {
        sleep(TOUCH_EVERY).await;
        let _ = journal.touch(call);
    }
}

/// Runs a job in this process, if no other can be started.
pub type InPlace = fn(Job, Viewer) -> Pin<Box<dyn Future<Output = ()>>>;

/// A worker, as its viewer sees it. Dropping it ends the viewing.
pub struct Worker {
    job: Job,
    in_place: Option<InPlace>,
    source: Source,
}

enum Source {
    Process(Helper),
    InPlace(mpsc::UnboundedReceiver<Report>, watch::Sender<bool>),
}

impl Source {
    fn in_place(run: InPlace, job: Job) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let (watching, is_watching) = watch::channel(true);
        let report = Rc::new(move |report| drop(sender.send(report)));
        tokio::task::spawn_local(run(
            job,
            Viewer {
                is_watching,
                report,
            },
        ));
        Self::InPlace(reports, watching)
    }
}

impl Worker {
    /// Starts the process that makes a call. `in_place` is run if no process can be started; `None`
    /// makes that an error.
    pub fn start(job: Job, in_place: Option<InPlace>) -> Result<Self> {
        let what = "no call was made: no background process can be started";
        let source = match (helper::start(JOB, &job), in_place) {
            (Ok(helper), _) => Source::Process(helper),
            (Err(_), Some(run)) => Source::in_place(run, job.clone()),
            (Err(error), None) => return Err(Error::io(what, &error)),
        };
        Ok(Self {
            job,
            in_place,
            source,
        })
    }

    async fn report(&mut self) -> Option<Report> {
        let helper = match &mut self.source {
            Source::Process(helper) => helper,
            Source::InPlace(reports, _) => return reports.recv().await,
        };
        let report = helper.report().await;
        if report.is_none() && helper.is_other_version() {
            self.source = Source::in_place(self.in_place?, self.job.clone());
            return Box::pin(self.report()).await;
        }
        report
    }

    fn stop_watching(&mut self) {
        match &mut self.source {
            Source::Process(helper) => helper.close_stdin(),
            Source::InPlace(_, watching) => drop(watching.send_replace(false)),
        }
    }
}

/// How long a call is followed.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    End,
    At(Instant),
    /// Until the result, or a moment after the request was sent (`--detach`), or until then.
    Sent(Option<Instant>),
}

impl Until {
    /// When following a call that was sent before ends at the latest.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::End => None,
            Self::At(at) => Some(at),
            Self::Sent(at) => {
                let soon = Instant::now() + DETACH_AFTER;
                Some(at.map_or(soon, |at| at.min(soon)))
            }
        }
    }
}

/// Why following ended before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Signal(Signal),
    /// The time is up.
    Time,
}

/// The end of following a worker. `Stop` is the reason why the viewer wanted to stop.
pub enum Followed {
    Ended(Parsed<Call>),
    Failed(Error, Option<Stop>),
    /// The viewer stopped, and the call was sent, or may be.
    Stopped(Stop, IsSent, Option<CallId>),
    /// The worker ended without a result.
    Vanished(Option<Stop>),
}

/// Whether the worker reported that it sent the call.
pub type IsSent = bool;

impl Worker {
    /// Passes reports on until the last one, a signal, or the time limit.
    pub async fn follow(
        mut self,
        until: Until,
        signals: &mut Signals,
        on_report: &mut dyn FnMut(Report),
    ) -> Followed {
        let (mut is_sent, mut call_id, mut stop) = (false, None, None);
        let mut limit = match until {
            Until::At(at) => Some(at),
            Until::Sent(at) => at,
            Until::End => None,
        };
        loop {
            let time_is_up = async {
                match limit {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let stopping = tokio::select! {
                biased;
                report = self.report() => {
                    match report {
                        None => return Followed::Vanished(stop),
                        Some(Report::Ended(raw)) => return ended(raw),
                        Some(Report::Failed(error)) => return Followed::Failed(*error, stop),
                        Some(report) => {
                            if let Report::Progress(progress) = &report {
                                if *progress == Progress::Sent {
                                    is_sent = true;
                                    limit = until.deadline();
                                }
                                call_id = progress.call_id().or(call_id);
                            }
                            on_report(report);
                        }
                    }
                    stop.filter(|_| is_sent)
                }
                signal = signals.next() => Some(Stop::Signal(signal)),
                () = time_is_up => Some(Stop::Time),
            };
            match (stopping, stop) {
                (None, _) => {}
                // The first reason counts. The second signal, or no report in time, ends it.
                (Some(_), Some(first)) => return Followed::Stopped(first, is_sent, call_id),
                (Some(first), None) if is_sent => {
                    return Followed::Stopped(first, is_sent, call_id);
                }
                (Some(first), None) => {
                    self.stop_watching();
                    stop = Some(first);
                    limit = Some(Instant::now() + LAST_REPORT);
                }
            }
        }
    }
}

impl Progress {
    fn call_id(&self) -> Option<CallId> {
        match self {
            Self::Running(id) => Some(id.clone()),
            Self::Sent | Self::Lost(_) | Self::Retrying(_) | Self::Replayed => None,
        }
    }
}

fn ended(raw: String) -> Followed {
    let raw = raw.into_bytes();
    match crate::api::object(&raw) {
        Some(value) => Followed::Ended(Parsed { value, raw }),
        None => Followed::Vanished(None),
    }
}
