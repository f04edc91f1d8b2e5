//! The life of one call.
//!
//! A call is in the local call log (the journal) if and only if the first byte of its request may
//! have been written: the worker reserves (records) it between the TLS handshake and that byte.
//! This ensures that no call is made twice.
//!
//! | module | purpose |
//! |---|---|
//! | `entry` | one call in the journal |
//! | `journal` | a folder with one JSON file per call |
//! | `guard` | decides whether earlier calls forbid a new one, with pure functions |
//! | `find` | finds a lost call in the history, with a pure function |
//! | `run` | the rules for one call (send, find, watch), generic over a backend trait |
//! | `reserve` | records a call just before it is sent |
//! | `live` | implements the trait for the real service, and records the call's changes |
//! | `worker` | the process that makes a call, and the viewer that follows it |

mod entry;
mod find;
mod guard;
mod journal;
mod live;
mod reserve;
mod run;
#[cfg(test)]
mod tests;
mod worker;

pub use entry::{Entry, Lookup, State};
pub use guard::{Earlier, recent_success, refusal};
pub use journal::{Contents, Journal};
pub use live::Live;
pub use run::{Step, run};
pub use worker::{Followed, InPlace, JOB, Job, Progress, Report, Stop, Until, Worker, serve};
