//! A request of the user's own making, with the login.

use super::{READ_TIMEOUT, Service};
use crate::api::{self, Response, SendError, TokenProvider as _};
use crate::domain::{Method, RawRequest};
use crate::error::{Error, Kind, Result};

impl Service<'_> {
    /// Sends a request and returns the answer, a 2xx. What only reads is repeated as every read is; anything else is sent
    /// once, as nobody knows what it does a second time.
    ///
    /// # Errors
    /// When there is no answer, or a refusal; when it may have been carried out all the same, that is said.
    pub async fn raw(&self, request: RawRequest) -> Result<Response> {
        self.signed_in(READ_TIMEOUT, async |client| {
            let segments: Vec<&str> = request.path.segments().collect();
            let mut url = client.base().route(&segments);
            url.set_query(request.path.query());
            if request.method == Method::Get {
                return Ok(client.get_url(&url).await?);
            }
            let token = client.tokens().token(client.deadline()).await?;
            let answered = client.send_once(request.method, url, &token, request.json).await;
            match answered {
                Ok(response) if is_lost(response.status) => {
                    Err(unknown(&format!("the service answered {}", response.status)))
                }
                Ok(response) => Ok(response.into_success()?),
                Err(SendError::Lost { why }) => Err(unknown(&why)),
                Err(error @ (SendError::Setup(_) | SendError::NeverSent { .. })) => {
                    Err(api::Error::from(error).into())
                }
            }
        })
        .await
    }
}

/// Whether an answer leaves open what became of the request: a gateway's, or a redirect.
fn is_lost(status: u16) -> bool {
    matches!(status, 300..=399 | 408 | 500..=599)
}

fn unknown(why: &str) -> Error {
    Error::new(Kind::OutcomeUnknown, format!("the request may have been carried out: {why}"))
}
