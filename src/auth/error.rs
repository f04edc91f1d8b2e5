//! Why there is no login, or none that works.

use std::path::{Path, PathBuf};

use crate::api;
use crate::domain::Invalid;

/// A failure of the login. `Display` is a sentence.
#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Error {
    /// There is no usable login; signing in helps.
    #[error("{0}")]
    NotSignedIn(String),
    /// `KALLYAI_ACCESS_TOKEN` stands in the way; no sign-in changes that.
    #[error("{0}")]
    AccessToken(String),
    /// A sign-in was begun and did not end in a login.
    #[error("{0}")]
    SignInFailed(String),
    /// The port of the sign-in callback belongs to another program.
    #[error("port {0} on this computer is in use, so the sign-in could not be received safely")]
    PortInUse(u16),
    /// The file that holds the login cannot be used.
    #[error("the login file {} {problem}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as the rest of a sentence.
        problem: String,
        /// Whether a sign-in would replace it by one that can be used.
        replaceable: bool,
    },
    /// The login belongs to another service than the one in use.
    #[error("the login in {} is for {found}, and this command speaks to {wanted}", path.display())]
    WrongIssuer {
        /// The file.
        path: PathBuf,
        /// Which service issued it.
        found: String,
        /// Which service is in use.
        wanted: String,
    },
    /// Another process holds the login's lock and does not let go.
    #[error("another process is renewing the login and has not finished")]
    Busy,
    /// The service could not be asked, or did not answer as it should.
    #[error(transparent)]
    Api(#[from] api::Error),
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Api(invalid.into())
    }
}

impl Error {
    /// A file that only its owner can repair.
    pub fn token_file(path: &Path, problem: impl Into<String>) -> Self {
        Self::TokenFile { path: path.to_owned(), problem: problem.into(), replaceable: false }
    }
}

/// A result about the login.
pub type Result<T, E = Error> = std::result::Result<T, E>;
