//! The credentials: the file shared with other clients, refreshing them, and signing in.
//!
//! | module | what it is |
//! |---|---|
//! | `store`, `login` | the file with its lock, and its content |
//! | `session` | the credentials of one run |
//! | `renew` | the refresh, in a helper process |
//! | `sign_in`, `two_step` | signing in, in one step or two |
//! | `callback`, `request`, `page` | the receiver of the redirect |
//! | `redirect` | the query that grants tokens |
//! | `browser`, `paste` | opening the browser, reading a pasted URL |

mod browser;
mod callback;
mod login;
mod page;
mod paste;
mod redirect;
mod renew;
mod request;
mod session;
mod sign_in;
mod store;
mod two_step;

pub use browser::open_browser;
pub use paste::read_secret_line;
pub use renew::{REFRESH_JOB, RefreshJob, run_refresh};
pub use session::{LoginState, Session};
pub use sign_in::{BackgroundSignIn, SignIn};
pub use store::{SaveWarning, Store};
pub use two_step::{PENDING_LIFETIME, begin, finish, forget_pending};

use crate::domain::Secret;

/// The code of the warning that credentials were not saved as safely as usual.
pub const SAVE_WARNING: &str = "token_file";

/// Tokens as a sign-in or a refresh grants them.
#[derive(Debug, Clone)]
pub struct Grant {
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    /// In seconds.
    pub expires_in: Option<f64>,
}
