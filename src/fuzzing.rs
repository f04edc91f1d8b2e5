//! The entrances of the fuzz targets in `fuzz/`: there in a build for them, and in no other.

pub mod answers;
pub mod callback;
pub mod output;
pub mod token_file;
