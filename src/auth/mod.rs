//! The login: where it is kept, how it is renewed, how one is obtained. It is shared with other clients of the service,
//! so it is never written half, spent twice or lost.

mod browser;
mod callback;
mod echo_off;
mod error;
mod lock;
mod login;
mod page;
mod redirect;
mod refresh;
mod session;
mod stdin_lines;
mod store;
mod two_step;

pub use browser::Opener;
#[cfg(fuzzing)]
pub use callback::entrance as callback_entrance;
pub use error::Error;
pub use login::{SIGN_IN_TIMEOUT, SignIn, finish, start};
pub use redirect::TokenResponse;
pub use refresh::{JOB as RENEWAL_JOB, Job as RenewalJob, run_job as run_renewal};
pub use session::{LoginState, Session};
pub use stdin_lines::StdinLines;
#[cfg(fuzzing)]
pub use store::entrance as token_file_entrance;
pub use store::{Login, Store};
pub use two_step::{LIFETIME as PENDING_LIFETIME, forget as forget_pending};
