//! The KallyAI HTTP API: how it is reached, asked and read. Nothing here knows of terminals or files of the user.

mod account;
mod base;
mod calls;
mod client;
mod error;
mod http;
mod lenient;
mod resolver;
mod retry;
mod tls;
mod transcript;

pub use account::{BillingPortal, Subscription, Usage};
pub use base::ApiBase;
pub use calls::{Call, NewCall, Page, Status, Submission};
pub use client::{Client, Document, Tokens, object};
pub use error::ApiError;
pub use http::{Answer, Body, Failure, Http, Request, Trace};
pub use retry::backoff;
pub use transcript::{Speaker, Transcript};
