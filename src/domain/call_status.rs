//! The status of a call.

use std::str::FromStr;

use serde::Deserialize;

use super::{Invalid, plain, without_invisible};

/// The status of a call. Unknown names are kept, because the service may add new ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum CallStatus {
    Success,
    /// One of [`UNSUCCESSFUL`].
    Unsuccessful(String),
    /// One of [`RUNNING`].
    Running(String),
    /// An unknown name. The call may be running or may have ended.
    Other(String),
}

const UNSUCCESSFUL: &str = "no_answer busy failed voicemail cancelled terminated";
const RUNNING: &str = "queued pending scheduled initiated dialing calling connecting ringing \
    in_progress in-progress ongoing running started processing";

impl From<String> for CallStatus {
    fn from(name: String) -> Self {
        let folded = name.to_ascii_lowercase();
        let is_in = |names: &str| names.split(' ').any(|name| name == folded);
        if folded == "success" {
            Self::Success
        } else if is_in(UNSUCCESSFUL) {
            Self::Unsuccessful(folded)
        } else if is_in(RUNNING) {
            Self::Running(name)
        } else {
            Self::Other(without_invisible(&name))
        }
    }
}

impl CallStatus {
    /// Returns the API's name for the status.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Unsuccessful(name) | Self::Running(name) | Self::Other(name) => name,
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

    /// Returns whether this program knows the status.
    pub fn is_known(&self) -> bool {
        let is_other = matches!(CallStatus::from(self.0.clone()), CallStatus::Other(_));
        !is_other || self.0 == "unsuccessful"
    }

    /// Returns whether a call matches. A call with an unknown status may be running.
    pub fn matches(&self, status: Option<&CallStatus>, is_running: bool) -> bool {
        match self.0.as_str() {
            "in_progress" => is_running,
            "unsuccessful" => !is_running && status != Some(&CallStatus::Success),
            name => status.is_some_and(|status| folded(status.as_str()) == name),
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
        filter.matches(Some(&status.to_owned().into()), is_running)
    }

    #[test]
    fn status_names_are_kept() {
        let status = |name: &str| CallStatus::from(name.to_owned());
        for name in "success no_answer in-progress Ringing on_hold".split(' ') {
            assert_eq!(status(name).as_str(), name);
        }
        assert_eq!(status("on\u{200b}_hold").as_str(), "on_hold");
    }

    #[test]
    fn status_filter_matches_names_and_groups() {
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
