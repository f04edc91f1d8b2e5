//! The login: where it is kept, how it is renewed, how one is obtained. It is shared with other clients of the service,
//! so it is never written half, spent twice or lost.

mod access;
mod browser;
mod callback;
mod connections;
mod echo_off;
mod error;
mod lock;
mod login;
mod login_file;
mod page;
mod peer;
mod prepared;
mod redirect;
mod refresh;
mod request;
mod session;
mod spare;
mod stdin_lines;
mod store;
mod two_step;

pub use browser::Opener;
pub use error::Error;
pub use login::{SIGN_IN_TIMEOUT, SignIn, finish, start};
pub use login_file::Login;
pub use redirect::TokenResponse;
pub use refresh::{JOB as RENEWAL_JOB, Job as RenewalJob, run_job as run_renewal, trace_to};
pub use session::{LoginState, Session};
pub use stdin_lines::StdinLines;
pub use store::Store;
pub use two_step::{LIFETIME as PENDING_LIFETIME, forget as forget_pending, is_pending};

/// What the fuzz targets come in by.
#[cfg(fuzzing)]
pub(crate) mod fuzz_api {
    pub(crate) use super::callback::{Routed, Shared, read_head, route};
    pub(crate) use super::login_file::LARGEST;
    pub(crate) use super::page::Page;
    pub(crate) use super::prepared::write_in_place;
    pub(crate) use super::redirect::{AuthResponse, OAuthState, read_url};
    pub(crate) use super::request::LARGEST_HEAD;
}
