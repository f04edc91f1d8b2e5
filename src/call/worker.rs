//! The background process that makes a call, and the viewer that follows it.
//!
//! The worker connects, reserves, sends, waits and records. The command is a viewer that prints its
//! reports. Ctrl-C, a time limit and `--detach` end only the viewer.

use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
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
use super::run::{Limits, Start, run};
use crate::api::{Call, Parsed};
use crate::auth::Session;
use crate::domain::{CallId, Secret};
use crate::error::{Error, Kind, Result};
use crate::helper::{self, Helper};
use crate::signals::{Signal, Signals};

/// The name of this helper job.
pub const JOB: &str = "call";

const TOUCH_EVERY: Duration = Duration::from_secs(15);
/// How long the viewer waits for the last report after closing the worker's stdin.
const LAST_REPORT: Duration = Duration::from_secs(2);
/// How long `--detach` waits after the request was sent.
const DETACH_AFTER: Duration = Duration::from_secs(3);

const LONGER_THAN_ANY_CALL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Everything a worker needs to make a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The API's address; `None` for the sandbox.
    pub api: Option<String>,
    pub state_folder: PathBuf,
    pub token_file: PathBuf,
    pub token: String,
    /// Whether the token is `KALLYAI_ACCESS_TOKEN`, which cannot be refreshed.
    pub is_given_token: bool,
    pub entry: Entry,
    /// The request body.
    pub json: String,
    pub guards: Guards,
    pub trace: bool,
}

/// A report from a worker. The last one is `Ended` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report {
    Progress(Progress),
    Warning(String),
    Trace(String),
    /// The call, as the service returned it.
    Ended(String),
    Failed(Box<Error>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The call is reserved, and its first byte is about to be written.
    Sent,
    Running(CallId),
    /// The response was lost for this reason, and the call is being looked up.
    Lost(String),
    /// A request failed for this reason and will be repeated.
    Retrying(String),
    /// The key was already used for this request, so the earlier call is followed instead.
    Replayed,
}

/// The worker's side of the connection to its viewer.
pub struct Viewer {
    /// Whether the viewer is still waiting.
    pub is_watching: watch::Receiver<bool>,
    pub report: Rc<dyn Fn(Report)>,
}

/// Makes a call. Runs in the worker.
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
    drop(journal.prepare(&call)?);
    let entry = Shared::new(job.entry);
    let unusable = || Error::new(Kind::AccessToken, "the access token is not usable");
    let reserver = Reserver {
        journal: journal.clone(),
        entry: entry.clone(),
        guards: job.guards,
        is_watched: is_watching.clone(),
        is_reserved: watch::Sender::new(false),
    };
    let reserved = reserver.is_reserved.subscribe();
    let request = Request {
        json: job.json.into_bytes(),
        key: call.key.clone(),
        token: Secret::parse(&job.token).ok_or_else(unusable)?,
        reserver,
    };
    let mut live = Live::new(session, journal, Some(entry), Some(request), &*report);
    let outcome = tokio::select! {
        biased;
        outcome = run(&mut live, Start::Send, Limits::default()) => outcome,
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

/// Completes once the viewer leaves, if the call is not reserved by then. It is then never made.
async fn gone_before(mut is_watching: watch::Receiver<bool>, reserved: watch::Receiver<bool>) {
    let _ = is_watching.wait_for(|is_watching| !is_watching).await;
    if *reserved.borrow() {
        std::future::pending().await
    }
}

/// Reports the reservation, then keeps touching the call's file.
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

/// Runs a job in this process. Used if no other process can be started.
pub type InPlace = fn(Job, Viewer) -> Pin<Box<dyn Future<Output = ()>>>;

/// The viewer's side of the connection to a worker. Dropping it does not end the call.
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
    /// Starts the worker process. If that fails, runs `in_place`, or returns an error for `None`.
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
    /// When to stop following a call that has not been sent yet.
    fn before_sending(self) -> Instant {
        let at = match self {
            Self::End => None,
            Self::At(at) => Some(at),
            Self::Sent(at) => at,
        };
        at.unwrap_or_else(|| Instant::now() + LONGER_THAN_ANY_CALL)
    }

    /// When to stop following a call that was already sent.
    pub fn deadline(self) -> Instant {
        match self {
            Self::Sent(_) => self.before_sending().min(Instant::now() + DETACH_AFTER),
            Self::End | Self::At(_) => self.before_sending(),
        }
    }
}

/// Why the viewer stopped before the call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Signal(Signal),
    /// The time is up.
    Time,
}

/// How following a worker ended. `Stop` is the viewer's reason to leave.
pub enum Followed {
    Ended(Parsed<Call>),
    Failed(Error, Option<Stop>),
    /// The viewer left, and the call was or may be sent.
    Stopped {
        stop: Stop,
        /// Whether the worker reported that the call was sent.
        is_sent: bool,
        call_id: Option<CallId>,
        /// Why the response was lost.
        lost: Option<String>,
    },
    /// The worker ended without a result.
    Vanished(Option<Stop>),
}

impl Worker {
    /// Passes on reports until the last one, a signal, or the time limit.
    pub async fn follow(
        mut self,
        until: Until,
        signals: &mut Signals,
        on_report: &mut dyn FnMut(Report),
    ) -> Followed {
        let (mut is_sent, mut call_id, mut lost, mut stopping) = (false, None, None, None);
        let mut limit = until.before_sending();
        loop {
            let stop = tokio::select! {
                biased;
                report = self.report() => {
                    match &report {
                        Some(Report::Progress(Progress::Sent)) => {
                            is_sent = true;
                            limit = until.deadline();
                        }
                        Some(Report::Progress(Progress::Running(id))) => call_id = Some(id.clone()),
                        Some(Report::Progress(Progress::Lost(why))) => lost = Some(why.clone()),
                        _ => {}
                    }
                    match report {
                        None => return Followed::Vanished(stopping),
                        Some(Report::Ended(raw)) => return ended(raw),
                        Some(Report::Failed(error)) => return Followed::Failed(*error, stopping),
                        Some(report) => on_report(report),
                    }
                    stopping.filter(|_| is_sent)
                }
                signal = signals.next() => Some(Stop::Signal(signal)),
                () = sleep_until(limit) => Some(Stop::Time),
            };
            let Some(stop) = stop else {
                continue;
            };
            // A second signal, or no last report in time, ends it. The first reason is kept.
            if is_sent || stopping.is_some() {
                let stop = stopping.unwrap_or(stop);
                return Followed::Stopped {
                    stop,
                    is_sent,
                    call_id,
                    lost,
                };
            }
            self.stop_watching();
            stopping = Some(stop);
            limit = Instant::now() + LAST_REPORT;
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
