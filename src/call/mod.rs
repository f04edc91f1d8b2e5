//! The life of one call.
//!
//! A call is in the local call log (the journal) if and only if the first byte of its request may
//! have been written: the worker reserves it between the TLS handshake and that byte. This is why a
//! call is never sent twice.
//!
//! | module | purpose |
//! |---|---|
//! | `entry` | one call in the journal |
//! | `journal` | a folder with one JSON file per call |
//! | `guard` | whether earlier calls forbid a new one, as a pure function |
//! | `find` | which call in the history is the lost one, as a pure function |
//! | `run` | the rules of one call (send, find, watch), generic over a trait |
//! | `record` | reserving a call and recording its changes |
//! | `live` | that trait for the real service and journal |
//! | `worker` | the process that makes a call, and the viewer that follows it |

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

pub use entry::{Entry, Lookup, State};
pub use guard::{Earlier, Guards, recent_success, refusal};
pub use journal::{Contents, Journal};
pub use live::Live;
pub use record::Shared;
pub use run::{Limits, Start, run};
pub use worker::{
    Followed, InPlace, JOB, Job, Progress, Report, Stop, Until, Viewer, Worker, serve,
};
