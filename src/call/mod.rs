//! The life of one call.
//!
//! A call is in the local call log (the journal) if and only if its first byte may have been
//! written: the worker reserves it between the TLS handshake and that byte. This is why a call is
//! never sent twice.
//!
//! | module | what it is |
//! |---|---|
//! | `entry` | one call of the journal |
//! | `journal` | a folder with one JSON file per call |
//! | `guard` | whether earlier calls forbid a new one, as a pure function |
//! | `find` | which call of the history is a lost one, as a pure function |
//! | `run` | send, find and watch: the rules of one call, over a trait |
//! | `record` | reserving a call, and recording what becomes known of it |
//! | `live` | the trait over the real service and journal |
//! | `worker` | the process that makes a call, and following it |

mod entry;
mod find;
mod guard;
mod journal;
mod live;
mod record;
mod run;
#[cfg(test)]
mod tests;
mod worker;

pub use entry::{Entry, Look, State};
pub use guard::{Earlier, Guards, Refusal, is_recent_success, refusal};
pub use journal::{Contents, Journal};
pub use live::Live;
pub use record::Shared;
pub use run::{Limits, Start, run};
pub use worker::{
    Followed, InPlace, JOB, Job, Progress, Report, Stop, Until, Viewer, Worker, serve,
};
