//! The statuses of calls, and a filter for them.

use std::str::FromStr;

use super::{Invalid, plain};

/// The status of a call, in the API's spelling. The service may add new statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStatus(String);

const ENDED: &str = "success no_answer busy failed voicemail cancelled terminated";
const RUNNING: &str = "queued pending scheduled initiated dialing calling connecting ringing \
    in_progress ongoing running started processing";

impl CallStatus {
    pub fn new(name: &str) -> Self {
        Self(folded(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_success(&self) -> bool {
        self.0 == "success"
    }

    /// Returns whether the call is still running, or `None` if the status is unknown.
    pub fn is_running(&self) -> Option<bool> {
        let is_in = |names: &str| names.split(' ').any(|name| name == self.0);
        match is_in(RUNNING) {
            true => Some(true),
            false => is_in(ENDED).then_some(false),
        }
    }
}

/// The value of `--status`: a status, `in_progress` for every running call, or `unsuccessful` for
/// every call that ended without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusFilter(String);

impl StatusFilter {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this program knows the filter, which is a status or a group of statuses.
    pub fn is_known(&self) -> bool {
        CallStatus::new(&self.0).is_running().is_some() || self.0 == "unsuccessful"
    }

    /// Returns whether a call matches the filter. `is_running` is a parameter because an unknown
    /// status does not show whether the call is running.
    pub fn matches(&self, status: Option<&CallStatus>, is_running: bool) -> bool {
        match self.0.as_str() {
            "in_progress" => is_running,
            "unsuccessful" => !is_running && !status.is_some_and(CallStatus::is_success),
            name => status.is_some_and(|status| status.as_str() == name),
        }
    }
}

impl FromStr for StatusFilter {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = folded(text);
        if name.is_empty() {
            let hint = "use a status such as success, busy, in_progress or unsuccessful";
            return Err(Invalid::new("the status is empty", hint));
        }
        Ok(Self(name))
    }
}

/// Converts a status to the API's spelling: `No answer` becomes `no_answer`.
fn folded(name: &str) -> String {
    plain(name).to_ascii_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, status: &str, is_running: bool) -> bool {
        let filter: StatusFilter = filter.parse().expect(filter);
        filter.matches(Some(&CallStatus::new(status)), is_running)
    }

    #[test]
    fn status_filter_matches_one_status_or_a_group_of_them() {
        for filter in "no_answer|no-answer| No answer|no\u{2011}answer|unsuccessful".split('|') {
            assert!(matches(filter, "no_answer", false), "{filter}");
            assert!(!matches(filter, "success", false), "{filter}");
        }
        for running in ["ringing", "scheduled", "in-progress", "on_hold"] {
            assert!(matches("in_progress", running, true), "{running}");
            assert!(!matches("unsuccessful", running, true), "{running}");
        }
        assert!(matches("on_hold", "On-Hold", false));
        assert!(" \u{200b}".parse::<StatusFilter>().is_err());
    }
}
