//! The answer to a request of the user's own making.

use super::View;
use crate::error::Result;
use crate::service::Response;

/// The answer's body: byte for byte off a terminal; on one a JSON document is laid out and everything is cleaned.
pub fn raw(view: &View<'_>, response: &Response) -> Result<()> {
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(&response.body).is_ok();
    if view.out.is_terminal() && std::str::from_utf8(&response.body).is_ok() && is_json() {
        return view.out.document(&response.body);
    }
    view.out.bytes(&response.body)
}
