//! The KallyAI HTTP API: sends requests and interprets responses.

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

pub use account::{
    BillingPortal, Plan, Subscription, Usage, billing_portal_url, subscription_url, usage_url,
};
pub use calls::{Call, Page, SubmissionEcho, calendar_url, call_url, history_url, transcript_url};
pub use http::{CallPost, Http, Reserved, SendError, Trace};
pub use refusal::Refusal;
pub use response::{Parsed, Response, object};
pub use transcript::{Speaker, Transcript, Turn};
