//! Records a call after connecting and before the first byte of its request is written. This
//! ensures that no call is made twice.

use jiff::{SignedDuration, Timestamp};
use tempfile::NamedTempFile;
use tokio::sync::watch;

use super::entry::Entry;
use super::guard::refusal;
use super::journal::Journal;
use crate::api::Reserved;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::helper::Parent;
use crate::settings::SANDBOX;

/// A request is resent only within this time after its reservation.
const RESEND_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Proof that a call was recorded in the journal.
pub struct Reservation(());

impl Reserved for Reservation {}

/// Reserves a call, that is, records it just before its request is sent or resent.
#[derive(Clone)]
pub struct Reserver {
    pub journal: Journal,
    pub entry: Entry,
    /// Whether to call even if an earlier call is in progress or has succeeded.
    pub again: bool,
    /// The process that follows the call. If it leaves before the reservation, no call is made.
    pub viewer: Parent,
    /// When the request was last sent, that is, when the call was last reserved. `None` until then.
    pub sent_at: watch::Sender<Option<Timestamp>>,
}

impl Reserver {
    /// Records the call. If the request is resent, only updates the time when it was sent.
    pub async fn reserve(&self, now: Timestamp) -> Result<Reservation> {
        let journal = &self.journal;
        let entry = Entry {
            reserved_at: now,
            sent_at: now,
            ..self.entry.clone()
        };
        let prepared = journal.prepare(&entry)?;
        journal.usable(prepared.as_file().sync_all())?;
        let lock = journal.lock().await?;
        let reserved = self.reserve_locked(prepared, &entry, now);
        // There is no await while the lock is held, so this cannot be cancelled halfway.
        drop(lock);
        reserved?;
        if let Err(error) = journal.usable(files::sync_folder(&journal.calls_folder())) {
            let file = journal.file(&entry.key);
            let hint = format!("no call was made: remove {} and try again", file.display());
            return Err(match journal.remove(&entry).await {
                Ok(()) => error,
                Err(_) => error.with_hint(hint),
            });
        }
        self.sent_at.send_replace(Some(now));
        Ok(Reservation(()))
    }

    fn reserve_locked(&self, prepared: NamedTempFile, entry: &Entry, now: Timestamp) -> Result<()> {
        let contents = self.journal.read()?.undamaged()?;
        // The sandbox allows a request to be repeated.
        let is_repeatable =
            |error: &Error| error.kind == Kind::AlreadyDone && entry.origin == SANDBOX;
        let refusal = refusal(&contents.earlier(), entry, now);
        let refusal = refusal.filter(|error| !self.again && !is_repeatable(error));
        let own = contents.of_key(&entry.key);
        if let Some(own) = own.filter(|own| own.reservation == entry.reservation) {
            let is_late = now.duration_since(own.reserved_at) >= RESEND_WITHIN;
            return match refusal {
                Some(refusal) => Err(not_sent_again(&refusal.to_string())),
                None if is_late => Err(not_sent_again("the retries took too long")),
                None => (self.journal).change_locked(own, |entry| entry.sent_at = now),
            };
        }
        if self.sent_at.borrow().is_some() {
            return Err(not_sent_again("it was removed from the local call log"));
        }
        if let Some(refusal) = contents.key_in_use(entry).or(refusal) {
            return Err(refusal);
        }
        self.journal.prune(&contents);
        // Check this last, just before the file is renamed into place.
        if !self.viewer.is_watching() {
            return Err(Error::new(Kind::Cancelled, "no call was made"));
        }
        let file = self.journal.file(&entry.key);
        self.journal.usable(files::persist(prepared, &file))
    }
}

fn not_sent_again(why: &str) -> Error {
    let message = format!("the service did not accept the call, and it was not sent again: {why}");
    Error::new(Kind::ServiceFailing, message)
}
