//! Core files: one of this program would hold the login.

/// Keeps the system from writing one, as far as it allows that.
pub fn forbid() {
    #[cfg(unix)]
    unix::forbid();
}

/// Starts a program to which that must not apply.
pub fn allowed<R>(start: impl FnOnce() -> R) -> R {
    #[cfg(unix)]
    unix::restore();
    let started = start();
    forbid();
    started
}

#[cfg(unix)]
mod unix {
    use std::sync::OnceLock;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// The limit that the program was started with.
    static BEFORE: OnceLock<Rlimit> = OnceLock::new();

    pub fn forbid() {
        let before = BEFORE.get_or_init(|| getrlimit(Resource::Core));
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: before.maximum });
    }

    pub fn restore() {
        if let Some(before) = BEFORE.get() {
            let _ = setrlimit(Resource::Core, *before);
        }
    }
}
