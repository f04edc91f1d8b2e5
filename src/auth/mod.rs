//! Signs in, refreshes tokens, and stores them in a file that other KallyAI clients also use.
//!
//! | module | contents |
//! |---|---|
//! | `store`, `login` | the credentials file, its lock and its format |
//! | `session` | the credentials for one run |
//! | `renew` | refreshing the credentials in a helper process |
//! | `sign_in`, `two_step` | signing in, in one step or two |
//! | `callback`, `request`, `page` | the loopback server that receives the redirect |
//! | `redirect` | the redirect's query, which contains the tokens |
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

/// The JSON code of warnings about saving the credentials.
pub const SAVE_WARNING: &str = "token_file";

/// The tokens that the service sends after a sign-in or a refresh.
#[derive(Debug, Clone)]
pub struct Grant {
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    /// Lifetime of the access token, in seconds.
    pub expires_in: Option<f64>,
}
