//! The life of one call: what may be sent, what came of it, and what is kept so that no crash loses it.
//!
//! | module | what it is |
//! |---|---|
//! | `state`, `events` | every rule about a stranger's phone, as a state machine without input or output |
//! | `matching` | which call of a history is ours, as a pure function |
//! | `guard` | what the journal says against a call, as a pure function |
//! | `entry`, `record`, `unreadable`, `checksum`, `journal`, `used_keys`, `wait_lock` | calls requested and not yet answered, on disk |
//! | `look` | reading the history: before ringing, and for a lost call |
//! | `driver` | carries out what the state machine decides |
//! | `detached` | the same in a process that outlives the command |

mod checksum;
mod detached;
mod driver;
mod entry;
mod events;
mod guard;
mod journal;
mod look;
mod matching;
mod record;
mod state;
mod unreadable;
mod used_keys;
mod wait_lock;

pub use detached::{Detached, JOB, Job, run as run_job, start as detach};
pub use driver::{CallDriver, Observer};
pub use entry::{Entry, EntryState, Moment, ago};
pub use guard::{Guards, Refusal, earlier_success};
pub use journal::{Journal, OpenError};
pub use look::look_before;
pub use record::{Change, Contents, lines_of};
