//! What all requests share.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::clock::now;
use super::logins::{Login, Standing};
use super::shutdown::Shutdown;
use super::store::Store;

pub(super) struct Service {
    /// Where it is served.
    pub(super) address: SocketAddr,
    pub(super) store: Store,
    pub(super) shutdown: Shutdown,
    pub(super) call_duration: Duration,
    pub(super) access_token_lifetime: Duration,
}

impl Service {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn billing_url(&self) -> String {
        self.url() + "/billing"
    }

    pub(super) fn new_login(&self) -> io::Result<Login> {
        self.store.update(|memory| memory.logins.issue(now(), self.access_token_lifetime))
    }

    /// Whether requests with this access token are answered.
    pub(super) fn accepts(&self, access_token: &str) -> io::Result<bool> {
        match self.store.read()?.logins.standing(access_token, now()) {
            Standing::Valid => Ok(true),
            Standing::Invalid => Ok(false),
            Standing::Lost => self.store.update(|memory| {
                memory.logins.adopt(access_token, now(), self.access_token_lifetime);
                memory.logins.standing(access_token, now()) == Standing::Valid
            }),
        }
    }
}
