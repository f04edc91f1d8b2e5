//! The entrances of the fuzz targets in `fuzz/`: there in a build for them, and in no other. Each is a child of the
//! module it opens, so that nothing there is made more public than it is.

pub use crate::auth::{callback_entrance as callback, token_file_entrance as token_file};
pub use crate::commands::entrance as answers;
pub use crate::output::entrance as output;
