//! The login: where it is kept, how it is renewed, how one is obtained. It is shared with other clients of the service,
//! so it is never written half, spent twice or lost.

mod browser;
mod callback;
mod lock;
mod login;
mod page;
mod paste;
mod pending;
mod redirect;
mod refresh;
mod session;
mod store;
mod terminal;

pub use browser::Opener;
#[cfg(fuzzing)]
pub use callback::entrance as callback_entrance;
pub use login::{PATIENCE, SignIn, finish, start};
pub use paste::Paste;
pub use pending::{LIFETIME as PENDING_FOR, forget as forget_pending};
pub use redirect::Granted;
pub use session::{Session, State};
#[cfg(fuzzing)]
pub use store::entrance as token_file_entrance;
pub use store::{Login, Store};
