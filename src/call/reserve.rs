//! Records a call after connecting and before the first byte of its request is written. This
//! ensures that no call is made twice.

use jiff::{SignedDuration, Timestamp};
use tempfile::NamedTempFile;
use tokio::sync::watch;

use super::entry::Entry;
use super::guard::check;
use super::journal::Journal;
use crate::api::Reserved;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::helper::Parent;

/// A request is resent only within this time after its call was first recorded.
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
    /// The link to the viewer process. If it closes before the call is recorded, no call is made.
    pub viewer: Parent,
    /// Set to `true` once the call is recorded.
    pub is_reserved: watch::Sender<bool>,
}

impl Reserver {
    /// Records the call. If its request is being resent, updates only `sent_at`.
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
        // This step cannot be canceled while it holds the lock, because it does not await.
        let reserved = self.reserve_locked(prepared, &entry, now);
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
        self.is_reserved.send_replace(true);
        Ok(Reservation(()))
    }

    fn reserve_locked(&self, prepared: NamedTempFile, entry: &Entry, now: Timestamp) -> Result<()> {
        let contents = self.journal.read()?.undamaged()?;
        let refusal = check(&contents.earlier(), entry, self.again, now).err();
        let own = contents.of_key(&entry.key);
        if let Some(own) = own.filter(|own| own.reservation == entry.reservation) {
            let is_late = now.duration_since(own.reserved_at) >= RESEND_WITHIN;
            return match refusal {
                Some(refusal) => Err(not_sent_again(&refusal.to_string())),
                None if is_late => Err(not_sent_again("the retries took too long")),
                None => (self.journal).change_locked(own, |entry| entry.sent_at = now),
            };
        }
        if *self.is_reserved.borrow() {
            return Err(not_sent_again("the local call log no longer has the call"));
        }
        if let Some(refusal) = contents.key_in_use(entry).or(refusal) {
            return Err(refusal);
        }
        self.journal.prune(&contents);
        // Check at the last moment, just before the call counts as sent, whether the user still
        // wants it.
        if !self.viewer.is_watching() {
            return Err(Error::new(Kind::Cancelled, "no call was made"));
        }
        let file = self.journal.file(&entry.key);
        self.journal.usable(files::persist(prepared, &file))
    }
}

fn not_sent_again(why: &str) -> Error {
    let message = format!("the call was not accepted, and the request was not sent again: {why}");
    Error::new(Kind::ServiceFailing, message)
}
