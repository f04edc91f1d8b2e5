//! Makes a call at most once and follows it until it ends.
//!
//! A background process, the worker, records ("reserves") each call in the journal (the local call
//! log) after the TLS handshake and before it writes the first byte of the request. This ensures
//! that no call is made twice.
//!
//! | module | purpose |
//! |---|---|
//! | `entry` | one call in the journal |
//! | `journal` | a folder with one JSON file per call |
//! | `guard` | pure functions that decide whether earlier calls forbid a new one |
//! | `find` | a pure function that finds a lost call in the history |
//! | `run` | the steps of one call (send, find and watch), generic over a backend trait |
//! | `reserve` | records a call just before its request is sent |
//! | `live` | implements the trait for the real service and records changes to the call |
//! | `worker` | the process that makes a call, and the viewer (the command) that follows it |

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
pub use guard::{Earlier, check};
pub use journal::{Contents, Journal};
pub use live::Live;
pub use run::{Step, run};
pub use worker::{Followed, JOB, Job, Progress, Report, Stop, Until, follow, serve, start};
