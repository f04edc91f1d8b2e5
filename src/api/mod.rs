//! A client for the KallyAI HTTP API: sends requests and interprets responses.

mod account;
mod calls;
mod failure;
mod http;
mod lenient;
mod proxy;
mod refusal;
mod response;
mod tls;
mod trace;
mod transcript;

pub use account::{BILLING_PORTAL, BillingPortal, Plan, SUBSCRIPTION, Subscription, USAGE, Usage};
pub use calls::{Call, Fields, Page, call_url, history_url};
pub use http::{CallPost, Http, Reserved, SendError, Trace};
pub use refusal::Refusal;
pub use response::{Parsed, Response, object};
pub use transcript::{Speaker, Turn};
