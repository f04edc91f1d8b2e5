//! Placing a call: what must be known and written down before a phone may ring.

use super::connection::Connection;
use super::{CALL_TIMEOUT, Service};
use crate::api::{self, Call, Client, Parsed, TokenProvider as _};
use crate::auth::{self, Session};
use crate::call::{
    self, CallDriver, Contents, Detached, Entry, Guards, Journal, Moment, Observer, OpenError, Refusal,
};
use crate::domain::{CallId, CallRequest, IdempotencyKey};
use crate::error::{Error, Kind, Result};
use crate::signals::Signals;

/// A call to be placed, and how.
#[derive(Debug, Clone)]
pub struct Placement {
    /// What is asked for.
    pub request: CallRequest,
    /// The key that the user chose.
    pub key: Option<IdempotencyKey>,
    /// Whether an earlier call to the same number, or for the same, does not matter.
    pub again: bool,
}

/// What came of placing a call.
pub enum Placed {
    /// It has ended.
    Ended {
        /// The call.
        call: Box<Parsed<Call>>,
        /// The key it is known by, unless the journal has forgotten it.
        key: Option<IdempotencyKey>,
    },
    /// It goes on without this process.
    Detached(Detachment),
}

/// A call that goes on in a process of its own.
#[derive(Debug, Clone)]
pub struct Detachment {
    /// The key to resume it by.
    pub key: IdempotencyKey,
    /// Which call it is, where that is known already.
    pub call_id: Option<CallId>,
    /// The number that is called.
    pub number: String,
    /// When it was requested.
    pub requested_at: Moment,
    /// Whether no other call is pending, so that it need not be named.
    pub is_only_pending: bool,
}

/// What would happen to a call if it were placed now.
#[derive(Debug)]
pub struct Preview {
    /// The URL that the request would go to.
    pub url: String,
    /// What was achieved there a short time ago, which this may repeat in other words.
    pub warning: Option<Warning>,
    /// Why it would not be placed, as far as this computer knows.
    pub refusal: Option<Error>,
}

/// Something about a request that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its stable name.
    pub code: &'static str,
    /// What it is, and what to do about it, as a sentence.
    pub text: String,
}

impl Service<'_> {
    /// Places a call and waits for its end, or with `detach` only a little.
    ///
    /// # Errors
    /// When it may not be placed, was refused, or its outcome is unknown.
    pub async fn place(
        &self,
        placement: &Placement,
        detach: bool,
        observer: &mut dyn Observer,
        signals: &mut Signals,
    ) -> Result<Placed> {
        let connection = Connection::open(self)?;
        let session = connection.session(self)?;
        let signed_in = connection.sign_in_if_absent(self, &session, !detach);
        unless_interrupted(signals, signed_in).await?;
        let client = Client::new(&connection.http, &session, self.deadline(CALL_TIMEOUT));
        let journal = self.journal(connection.http.base().origin())?;
        let guards = self.guards(placement);
        let key = placement.key.clone().unwrap_or_else(IdempotencyKey::generate);
        let mut entry = Entry::new(key, &placement.request, journal.origin().to_owned(), Moment::now());
        let contents = journal.read().map_err(unavailable)?;
        self.warn_of_unreadable(contents.unreadable.len());
        if let Err(refusal) = journal.check(&contents, &entry, guards) {
            return self.handle_refusal(refusal, &client, &journal, detach, observer, signals).await;
        }
        // Who says --again knows.
        let mut warning =
            if placement.again { None } else { self.earlier_success(&journal, &contents, &entry, placement) };
        // The look is short, and a login may take its time to be renewed.
        unless_interrupted(signals, async { Ok(session.token(client.deadline()).await?) }).await?;
        if !placement.again {
            let look = self.look_before(&client, &journal, placement, &entry, &contents, &mut warning);
            entry.clock_difference = match unless_interrupted(signals, look).await {
                Err(error) if matches!(error.kind, Kind::CallOpen | Kind::AlreadyDone) => {
                    // Where another process has placed that call meanwhile, the journal tells more of it.
                    let contents = journal.read().map_err(unavailable)?;
                    let Err(refusal) = journal.check(&contents, &entry, guards) else { return Err(error) };
                    return self.handle_refusal(refusal, &client, &journal, detach, observer, signals).await;
                }
                looked => looked?,
            };
        }
        if let Some(warning) = warning {
            self.notices.warn(warning.code, &warning.text);
        }
        // Before the journal: a run that ends in here has nothing open.
        let token =
            unless_interrupted(signals, async { Ok(session.token(client.deadline()).await?) }).await?;
        let opened = tokio::time::timeout_at(client.deadline(), journal.open(&entry, guards, contents));
        let opened = unless_interrupted(signals, async { Ok(opened.await) }).await?;
        let too_late = || OpenError::Unavailable(std::io::ErrorKind::TimedOut.into());
        let waiting = match opened.unwrap_or_else(|_| Err(too_late())) {
            Ok((waiting, forgotten)) => {
                self.warn_of_forgotten(forgotten);
                waiting
            }
            Err(refusal) => {
                return self.handle_refusal(refusal, &client, &journal, detach, observer, signals).await;
            }
        };
        let json = placement.request.to_json();
        if !detach {
            let driver = CallDriver::new(&client, &journal, &entry, observer);
            let call = driver.sending(json, token, waiting).run(signals).await?;
            return Ok(Placed::Ended { call: Box::new(call), key: Some(entry.key) });
        }
        let job = call::Job {
            api: connection.api(),
            state_folder: absolute(self.settings.state_folder()?),
            token_file: connection.store.absolute_path(),
            key: entry.key.clone(),
            entry: String::from_utf8_lossy(&call::lines_of(&entry)).into_owned(),
            request: String::from_utf8_lossy(&json).into_owned(),
            token: token.expose().to_owned(),
            is_given_token: session.is_given(),
            timeout: self.options.timeout.unwrap_or(CALL_TIMEOUT.as_secs()),
        };
        let detached = call::detach(&job, &journal, &entry, waiting, observer, signals).await?;
        Ok(match detached {
            Detached::Ended(call) => Placed::Ended { call, key: Some(entry.key) },
            Detached::GoesOn(call_id) => {
                let detachment = self.detachment(entry);
                Placed::Detached(Detachment { call_id: call_id.or(detachment.call_id), ..detachment })
            }
        })
    }

    /// What is told of a call that goes on.
    fn detachment(&self, entry: Entry) -> Detachment {
        Detachment {
            is_only_pending: self.is_only_pending(&entry.key),
            call_id: entry.call_id().cloned(),
            key: entry.key,
            number: entry.number,
            requested_at: entry.written,
        }
    }

    /// Looks at the history before a phone rings. Returns how far the service's clock is ahead, where it told.
    async fn look_before(
        &self,
        client: &Client<'_, Session<'_>>,
        journal: &Journal,
        placement: &Placement,
        entry: &Entry,
        contents: &Contents,
        warning: &mut Option<Warning>,
    ) -> Result<Option<i64>> {
        match call::look_before(client, journal, &placement.request, self.guards(placement)).await {
            Ok(look) => {
                // Another computer may have called there.
                if let (None, Some((task, age))) = (&warning, look.earlier_success) {
                    *warning = Some(recent_success(&entry.number, task.as_deref(), &call::ago(age)));
                }
                look.refusal.map_or(Ok(look.clock_difference), Err)
            }
            // Where no connection can be made, the request cannot be sent either.
            Err(error @ auth::Error::Api(api::Error::NotSent(_) | api::Error::Setup(_))) => Err(error.into()),
            Err(error) if journal.needs_look(contents, entry, self.guards(placement)) => {
                Err(undecided(&error.into()))
            }
            Err(_) => Ok(None),
        }
    }

    /// Says what would happen to a call, by what is known on this computer. Sends nothing.
    ///
    /// # Errors
    /// When the environment names no service or folder.
    pub fn preview(&self, placement: &Placement) -> Result<Preview> {
        // The sandbox's port is not known before it runs; what is shown is the request to the service itself.
        let base = if self.settings.sandbox {
            crate::domain::ApiBase::production()?
        } else {
            self.settings.api()?
        };
        let journal = self.journal(self.settings.issuer()?)?;
        let key = placement.key.clone().unwrap_or_else(IdempotencyKey::generate);
        let entry = Entry::new(key, &placement.request, journal.origin().to_owned(), Moment::now());
        let contents = journal.read().unwrap_or_default();
        let refusal = journal.check(&contents, &entry, self.guards(placement)).err();
        Ok(Preview {
            url: base.route(&["v1", "calls"]).to_string(),
            warning: match refusal {
                Some(_) => None,
                None => self.earlier_success(&journal, &contents, &entry, placement),
            },
            refusal: refusal.map(|refusal| self.explain_refusal(refusal)),
        })
    }

    fn guards(&self, placement: &Placement) -> Guards {
        Guards {
            open: !placement.again,
            // A demonstration can be repeated.
            done: !placement.again && !self.settings.sandbox,
            chosen_key: placement.key.is_some(),
        }
    }

    /// What was achieved at that number a short time ago: agents reword, and only the user knows whether it is the same errand.
    fn earlier_success(
        &self,
        journal: &Journal,
        contents: &Contents,
        entry: &Entry,
        placement: &Placement,
    ) -> Option<Warning> {
        if self.settings.sandbox && !placement.again {
            // Here alone a repeat is placed.
            let for_real = Guards { done: true, ..self.guards(placement) };
            if let Err(OpenError::Refused(Refusal::Done(done))) = journal.check(contents, entry, for_real) {
                let text = format!(
                    "this was asked for {}, and succeeded: for real it would be refused now without --again",
                    age(&done)
                );
                return Some(Warning { code: "sandbox_repeat", text });
            }
        }
        let earlier = call::earlier_success(&contents.entries, entry)?;
        Some(recent_success(&earlier.number, Some(&earlier.task), &age(earlier)))
    }

    /// What happens instead of a call that may not be placed: one of a known key is read.
    async fn handle_refusal(
        &self,
        refusal: OpenError,
        client: &Client<'_, Session<'_>>,
        journal: &Journal,
        detach: bool,
        observer: &mut dyn Observer,
        signals: &mut Signals,
    ) -> Result<Placed> {
        match refusal {
            // Whoever detaches waits for no end.
            OpenError::Refused(Refusal::Known(entry))
                if detach && entry.is_open(&Moment::now(), journal.is_waited_for(&entry.key)) =>
            {
                Ok(Placed::Detached(self.detachment(*entry)))
            }
            OpenError::Refused(Refusal::Known(entry)) => {
                let key = Some(entry.key.clone());
                observer.replayed();
                let call = self.finish_entry(*entry, client, journal, observer, signals).await?;
                Ok(Placed::Ended { call: Box::new(call), key })
            }
            OpenError::Used(Some(id)) => {
                observer.replayed();
                let call = client.call(&id).await?;
                observer.deliver(&call);
                Ok(Placed::Ended { call: Box::new(call), key: None })
            }
            other => Err(self.explain_refusal(other)),
        }
    }

    fn explain_refusal(&self, refusal: OpenError) -> Error {
        match refusal {
            OpenError::Refused(Refusal::Open(entry)) => {
                let message = format!(
                    "a call to {} (\"{}\") was requested {} and is not known to have ended",
                    entry.number,
                    beginning(&entry.task),
                    age(&entry)
                );
                Error::new(Kind::CallOpen, message).about(&entry.key, entry.call_id().cloned())
            }
            OpenError::Refused(Refusal::Done(entry)) => {
                let message = format!(
                    "the same was asked of {} (\"{}\") {}, and that call succeeded",
                    entry.number,
                    beginning(&entry.task),
                    age(&entry)
                );
                Error::new(Kind::AlreadyDone, message).about(&entry.key, entry.call_id().cloned())
            }
            OpenError::Refused(Refusal::Known(entry)) => {
                let message = format!(
                    "no phone would ring: the key {} was used before, for this very call, and what became of it is told instead",
                    entry.key
                );
                Error::new(Kind::AlreadyDone, message).about(&entry.key, entry.call_id().cloned())
            }
            OpenError::Used(id) => {
                let mut error = Error::new(
                    Kind::AlreadyDone,
                    "the key was used before, for this very call, a long time ago",
                );
                error.facts.call_id = id;
                error
            }
            OpenError::Refused(Refusal::KeyTaken) => {
                Error::new(Kind::InvalidInput, "the key was used before, for another call")
                    .with_hint("give each call a key of its own, or leave --idempotency-key out")
            }
            OpenError::Unavailable(error) => unavailable(error),
        }
    }

    pub(super) fn warn_of_unreadable(&self, lines: usize) {
        if lines > 0 {
            self.notices.warn(
                "journal_damaged",
                &format!("{lines} line(s) of the journal cannot be read; they are kept as they are"),
            );
        }
    }

    fn warn_of_forgotten(&self, entries: usize) {
        if entries > 0 {
            self.notices.warn(
                "journal_forgotten",
                &format!(
                    "{entries} call(s) that were open for more than 30 days were forgotten by the journal"
                ),
            );
        }
    }

    /// The journal of a service of this origin.
    pub(super) fn journal(&self, origin: String) -> Result<Journal> {
        // The emulator is another at each start, and always the same.
        let origin = if self.settings.sandbox { "sandbox".to_owned() } else { origin };
        Ok(Journal::new(self.settings.state_folder()?, origin))
    }
}

fn recent_success(number: &str, task: Option<&str>, ago: &str) -> Warning {
    let text = match task {
        Some(task) => format!("{number} was called {ago} for \"{}\", and that succeeded", beginning(task)),
        None => format!("{number} was called {ago}, and that succeeded"),
    };
    Warning { code: "recent_success", text }
}

fn unavailable(error: std::io::Error) -> Error {
    let message = format!("the call was not placed: it could not be written to the journal first ({error})");
    Error::new(Kind::JournalUnavailable, message)
}

/// An old open call, one that ended nobody noted how, or a line that cannot be read could not be looked up before it is ignored.
fn undecided(error: &Error) -> Error {
    let message = format!(
        "the journal may tell of an earlier call, and the service could not be asked whether there is one: {error}"
    );
    Error::new(Kind::CallOpen, message)
}

fn absolute(path: std::path::PathBuf) -> std::path::PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// How long ago an entry was written, in words.
fn age(entry: &Entry) -> String {
    call::ago(entry.written.age(&Moment::now()))
}

/// As much of a task as tells which call it was.
fn beginning(task: &str) -> String {
    const SHOWN: usize = 60;
    let start: String = task.chars().take(SHOWN).collect();
    if start.len() < task.len() { start + "…" } else { start }
}

/// Waits for something that leaves nothing open when a signal ends it.
pub(super) async fn unless_interrupted<R>(
    signals: &mut Signals,
    work: impl Future<Output = Result<R>>,
) -> Result<R> {
    tokio::select! {
        biased;
        done = work => done,
        signal = signals.next() => Err(Error::interrupted(signal)),
    }
}
