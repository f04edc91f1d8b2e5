//! The KallyAI HTTP API: how it is reached, asked and read. Nothing here knows of terminals, flags or the user's files.

mod account;
mod calls;
mod client;
mod error;
mod http;
mod lenient;
mod proxy;
mod refusal;
mod resolver;
mod retry;
mod tls;
mod trace;
mod transcript;

pub use account::{BillingPortal, Subscription, Usage};
pub use calls::{Call, Page, SubmissionEcho};
pub use client::{Client, Parsed, TokenProvider, object};
pub use error::Error;
pub use http::{BeforeWrite, Http, JsonBody, Request, Response, SendError, Trace};
pub use refusal::{Refusal, meaning};
pub use retry::backoff;
pub use transcript::{Speaker, Transcript, Turn};
