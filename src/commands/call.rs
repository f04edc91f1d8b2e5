//! Placing a call and resuming one: what must be known and written down before the first step.

use tokio::time::Instant;

use super::errand::Errand;
use super::request::Request;
use super::{CALL_TIMEOUT, Connection, Context, show};
use crate::api::{Call, Client, Document, Tokens as _};
use crate::auth::Session;
use crate::error::{Error, Result};
use crate::journal::{Entry, Journal, Refusal};
use crate::signals::Signals;
use crate::types::{CallId, IdempotencyKey, Invalid};

/// Places a call and waits for its end.
pub async fn place(context: &Context, request: &Request, signals: &mut Signals) -> Result<u8> {
    let connection = Connection::open(context)?;
    let session = connection.session(context)?;
    unless_interrupted(signals, None, connection.sign_in_if_absent(context, &session)).await?;
    let started = Instant::now();
    let client = Client::new(&connection.http, &session, context.deadline(CALL_TIMEOUT));
    let journal = journal(context)?;
    let key = request.key.clone().unwrap_or_else(IdempotencyKey::generate);
    let entry = Entry::new(key, &request.phone, &request.task);
    if let Err(refusal) = journal.check(&entry, request.again) {
        return instead(context, &client, journal, refusal, signals).await;
    }
    // Before the journal: a run that ends in here has nothing open.
    let token = unless_interrupted(signals, None, session.token(client.deadline())).await?;
    match journal.open(&entry, request.again) {
        Ok(watch) => {
            Errand::new(context, &client, journal, entry, started)
                .sending(&request.json, token, watch)
                .run(signals)
                .await
        }
        Err(refusal) => instead(context, &client, journal, refusal, signals).await,
    }
}

/// What happens instead of a call that may not be placed.
async fn instead(
    context: &Context,
    client: &Client<'_, Session<'_>>,
    journal: Journal,
    refusal: Refusal,
    signals: &mut Signals,
) -> Result<u8> {
    match refusal {
        Refusal::Known(entry) => known(context, client, journal, entry, signals).await,
        Refusal::Open(entry) => Err(already_open(context, &entry)),
        Refusal::KeyTaken(entry) => Err(Invalid::new(
            format!("the key {} was used before, for another call to {}", entry.key, entry.number),
            "give each call a key of its own, or leave --idempotency-key out",
        )
        .into()),
        Refusal::Unavailable(error) => Err(Error::JournalUnavailable(format!(
            "the call was not placed: it could not be written to the journal first ({error})"
        ))),
    }
}

/// Learns how an earlier call ended. It only ever reads.
pub async fn resume(context: &Context, key: Option<&IdempotencyKey>, signals: &mut Signals) -> Result<u8> {
    let journal = journal(context)?;
    let contents = journal.read().map_err(|e| Error::io("the journal could not be read", e))?;
    let wanted = |entry: &&Entry| key.map_or(!entry.settled, |key| entry.key == *key);
    let Some(entry) = contents.entries.into_iter().rev().find(|entry| wanted(&entry)) else {
        return Err(Error::NothingToResume(match key {
            Some(key) => format!("the journal has no call of the key {key}"),
            None => "no call is open: every one that was placed has been answered".into(),
        }));
    };
    let connection = Connection::open(context)?;
    let session = connection.session(context)?;
    let open = (!entry.settled).then_some(&entry.key);
    unless_interrupted(signals, open, connection.sign_in_if_absent(context, &session)).await?;
    let client = Client::new(&connection.http, &session, context.deadline(CALL_TIMEOUT));
    known(context, &client, journal, entry, signals).await
}

/// A call that the journal knows: an open one is looked up, a settled one is read again.
async fn known(
    context: &Context,
    client: &Client<'_, Session<'_>>,
    journal: Journal,
    entry: Entry,
    signals: &mut Signals,
) -> Result<u8> {
    if entry.settled {
        let Some(id) = &entry.call_id else {
            return Err(Error::NothingToResume(format!(
                "the call of the key {} was settled without an ID",
                entry.key
            )));
        };
        let id: CallId = id.parse()?;
        let call = unless_interrupted(signals, None, client.call(&id)).await?;
        print(context, &call)?;
        return Ok(context.verdict(call.value.is_success()));
    }
    Errand::new(context, client, journal, entry, Instant::now()).run(signals).await
}

/// Prints what came of a call and brings it to its reader.
pub fn print(context: &Context, call: &Document<Call>) -> Result<()> {
    if context.out.is_json() {
        context.out.document(&call.raw)?;
    } else {
        show::result(context, &call.value)?;
    }
    context.out.flush()
}

/// The journal. What of it is damaged is said, as the next change drops it.
pub fn journal(context: &Context) -> Result<Journal> {
    let journal = Journal::new(context.settings.state_folder()?);
    let damaged = journal.read().map_or(0, |contents| contents.damaged);
    if damaged > 0 {
        context.out.warn(&format!(
            "{damaged} damaged line(s) of the journal were left out; those calls cannot be resumed"
        ));
    }
    Ok(journal)
}

fn already_open(context: &Context, entry: &Entry) -> Error {
    let when = context.clock().moment(entry.moment());
    Error::CallOpen {
        message: format!(
            "the same call to {} was requested {when} and is not known to have ended",
            entry.number
        ),
        key: entry.key.clone(),
    }
}

/// `open` is the call that goes on, if one does.
async fn unless_interrupted<R>(
    signals: &mut Signals,
    open: Option<&IdempotencyKey>,
    work: impl Future<Output = Result<R>>,
) -> Result<R> {
    let interrupted = |signal| Error::Interrupted { signal, key: open.cloned() };
    let done = tokio::select! {
        biased;
        done = work => done?,
        signal = signals.next() => return Err(interrupted(signal)),
    };
    // It may have waited for a login to be saved.
    signals.came().map_or(Ok(done), |signal| Err(interrupted(signal)))
}
