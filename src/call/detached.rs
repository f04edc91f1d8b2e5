//! A call in a process that outlives the command, for callers whose tools are cut off after a minute. The process that
//! was asked checks, journals and signs in; the helper sends the request and sees the call to its end.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::driver::{CallDriver, Observer};
use super::entry::Entry;
use super::journal::Journal;
use super::record::{Change, Contents};
use super::wait_lock::WaitLock;
use crate::api::{Call, Client, Parsed, object};
use crate::auth::Session;
use crate::domain::{CallId, IdempotencyKey, Secret, known_secrets};
use crate::error::{Error, Kind, Result};
use crate::helper::{self, Helper, Parent};
use crate::signals::Signals;

/// The kind of a helper's job that is a call.
pub const JOB: &str = "call";

/// What the helper must know.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// Where the API is; `None` for the emulator.
    pub api: Option<String>,
    /// The folder of the journal.
    pub state_folder: PathBuf,
    /// The file of the login.
    pub token_file: PathBuf,
    /// The key of the call.
    pub key: IdempotencyKey,
    /// What the journal says of the call, in its lines.
    pub entry: String,
    /// The body of the POST.
    pub request: String,
    /// The token to send it with.
    pub token: String,
    /// Whether that token was given for this run alone, so that it cannot be renewed.
    pub is_given_token: bool,
    /// How long the call may take from the POST on, in seconds.
    pub timeout: u64,
}

impl Job {
    /// What the journal says of the call: a long journal need not be read once more for it.
    ///
    /// # Errors
    /// When the job does not tell.
    pub fn entry(&self, journal: &Journal) -> std::io::Result<Entry> {
        let contents = Contents::parse(self.entry.as_bytes(), journal.origin());
        contents.into_entry(&self.key).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
    }
}

/// What the helper says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    /// It has its job and shows that it waits for the call.
    Ready,
    /// The request is about to be written.
    Sent,
    /// The user should know this.
    Warning(String),
    /// The call has begun, and is this one.
    Running(CallId),
    /// The call has ended: as the service gave it.
    Ended(String),
    /// It is over, without a result.
    Failed(Box<Error>),
    /// What must not be printed of what follows: the helper may have renewed the login, and the service repeat it.
    Secrets(Vec<String>),
}

/// What is known of a call when its command need no longer be waited for.
pub enum Detached {
    /// It has ended.
    Ended(Box<Parsed<Call>>),
    /// It goes on, as far as is known.
    GoesOn(Option<CallId>),
}

/// How long the helper may take until it says that the request is on its way.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// How long after a helper's end a signal may come that has ended it.
const SIGNAL_GRACE: Duration = Duration::from_millis(100);
/// How long an answer is waited for after that.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Hands a call over to a helper and waits a little for an early end.
///
/// # Errors
/// When no call was made, or a signal ended the waiting.
pub async fn start(
    job: &Job,
    journal: &Journal,
    entry: &Entry,
    waiting: WaitLock,
    observer: &mut dyn Observer,
    signals: &mut Signals,
) -> Result<Detached> {
    let mut helper = match helper::start(JOB, job) {
        Ok(helper) => helper,
        Err(error) => return Err(not_started(journal, entry, &error.to_string(), signals).await),
    };
    let start_by = Instant::now() + START_TIMEOUT;
    let ready = tokio::select! {
        biased;
        report = helper.report::<Report>() => matches!(report, Some(Report::Ready)),
        () = tokio::time::sleep_until(start_by) => false,
        signal = signals.next() => {
            let _ = journal.record(&entry.key, &Change::Discarded).await;
            return Err(Error::interrupted(signal));
        }
    };
    // It shows by itself now that the call is waited for.
    drop(waiting);
    if !ready || helper.begin().is_err() {
        return Err(not_started(journal, entry, "it does not answer", signals).await);
    }
    let mut known = None;
    let waited = tokio::select! {
        biased;
        outcome = follow(&mut helper, start_by, observer, &mut known) => outcome,
        signal = signals.next() => return Err(Error::stopped_waiting(signal, &entry.key, known)),
    };
    match waited {
        Some(Ok(call)) => {
            if observer.deliver(&call) {
                let _ = journal.record(&entry.key, &Change::Shown).await;
            }
            Ok(Detached::Ended(Box::new(call)))
        }
        Some(Err(error)) => {
            if error.retry_safe() && observer.not_made(&error) {
                let _ = journal.record(&entry.key, &Change::Discarded).await;
            }
            Err(error)
        }
        None if journal.is_waited_for(&entry.key) => Ok(Detached::GoesOn(known)),
        // The helper has ended, and nobody but the journal knows how far it came.
        None => match journal.discard_unsent(entry).await {
            Ok(None) => Err(not_started(journal, entry, "it ended at once", signals).await),
            Ok(Some(_)) | Err(_) => Ok(Detached::GoesOn(known)),
        },
    }
}

/// What the helper reports until there is a result, or enough time has passed since the request was sent.
async fn follow(
    helper: &mut Helper,
    start_by: Instant,
    observer: &mut dyn Observer,
    known: &mut Option<CallId>,
) -> Option<Result<Parsed<Call>>> {
    let mut until = start_by;
    loop {
        match tokio::time::timeout_at(until, helper.report::<Report>()).await.ok()?? {
            Report::Ready => {}
            Report::Sent => {
                until = Instant::now() + ANSWER_TIMEOUT;
                observer.sent();
            }
            Report::Warning(text) => observer.warn(&text),
            Report::Running(id) => *known = Some(id),
            Report::Ended(raw) => {
                let value = object(raw.as_bytes())?;
                return Some(Ok(Parsed { raw: raw.into_bytes(), value }));
            }
            Report::Failed(error) => return Some(Err(*error)),
            Report::Secrets(secrets) => secrets.iter().for_each(|secret| drop(Secret::parse(secret))),
        }
    }
}

async fn not_started(journal: &Journal, entry: &Entry, why: &str, signals: &mut Signals) -> Error {
    let _ = journal.record(&entry.key, &Change::Discarded).await;
    // Until the helper has a session of its own, a signal to all of this group ends it too.
    if let Ok(signal) = tokio::time::timeout(SIGNAL_GRACE, signals.next()).await {
        return Error::interrupted(signal);
    }
    Error::new(Kind::Io, format!("the call was not placed: no process could be started for it ({why})"))
}

/// The helper's part: waits for the word, sends the request and sees the call to its end, which it leaves in the journal.
pub async fn run(
    job: Job,
    client: &Client<'_, Session<'_>>,
    journal: &Journal,
    entry: &Entry,
    parent: &Parent,
) -> std::io::Result<()> {
    let waiting = journal.wait_too(&job.key).await?;
    parent.report(&Report::Ready);
    if !parent.says_begin() {
        return journal.record(&job.key, &Change::Discarded).await;
    }
    let token = Secret::parse(&job.token).ok_or(std::io::ErrorKind::InvalidData)?;
    let mut observer = Reporter { parent };
    let driver = CallDriver::new(client, journal, entry, &mut observer);
    let ended = driver.sending(job.request.into_bytes(), token, waiting).run(&mut Signals::none()).await;
    parent.report(&Report::Secrets(known_secrets()));
    parent.report(&match ended {
        Ok(call) => Report::Ended(String::from_utf8_lossy(&call.raw).into_owned()),
        Err(error) => Report::Failed(Box::new(error)),
    });
    Ok(())
}

/// Tells the process that started this one, which may have gone: it never counts as shown by that.
struct Reporter<'a> {
    parent: &'a Parent,
}

impl Observer for Reporter<'_> {
    fn sent(&mut self) {
        self.parent.report(&Report::Sent);
    }

    fn running(&mut self, call: &Parsed<Call>) {
        if let Ok(id) = call.value.call_id.parse() {
            self.parent.report(&Report::Secrets(known_secrets()));
            self.parent.report(&Report::Running(id));
        }
    }

    fn warn(&mut self, text: &str) {
        self.parent.report(&Report::Warning(text.to_owned()));
    }

    fn deliver(&mut self, _: &Parsed<Call>) -> bool {
        false
    }

    fn not_made(&mut self, _: &Error) -> bool {
        false
    }
}
