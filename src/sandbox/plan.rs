//! The one plan of the sandbox's account.

/// Its name.
pub(super) const NAME: &str = "starter";

/// Minutes of talk in a month.
pub(super) const MINUTES: u32 = 100;

/// Calls in a month.
pub(super) const CALLS: u32 = 50;
