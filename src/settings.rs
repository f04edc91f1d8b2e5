//! Reads addresses, folders and preferences from environment variables when they are needed. An
//! empty variable counts as unset.

use std::path::PathBuf;

use crate::domain::{ApiBase, Day, Invalid, Language, Phone, Secret, Zone, parse_text};
use crate::error::{Error, Kind, Result};

/// Identifies the sandbox in stored data. Its URL is unsuitable because it changes on every run.
pub const SANDBOX: &str = "sandbox";

/// Settings from environment variables. All of them except `sandbox` are read on demand.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether to use the sandbox, which has its own credentials, call log and folder.
    pub sandbox: bool,
}

/// The time zone for the dates and times of appointments and of the `history` command.
#[derive(Debug, Clone)]
pub struct LocalZone {
    pub zone: Zone,
    /// Whether `--timezone` or `KALLYAI_TIMEZONE` set the zone.
    pub is_chosen: bool,
    /// The value of `TZ`, if it was ignored because it is not an IANA time zone.
    pub ignored_tz: Option<String>,
}

impl LocalZone {
    /// Returns whether the time zone may be wrong: many computers are set to UTC although their
    /// users live elsewhere.
    pub fn is_uncertain(&self) -> bool {
        self.zone.is_utc() && !self.is_chosen
    }

    /// Returns an error for a relative day, such as `tomorrow`, if the time zone is uncertain.
    pub fn check(&self, day: Day) -> Result<(), Invalid> {
        match day.is_relative() && self.is_uncertain() {
            false => Ok(()),
            true => Err(Invalid::new(
                "relative days such as \"tomorrow\" need a time zone, but this computer's is UTC or unknown",
                "write the date as YYYY-MM-DD, or add your time zone, for example --timezone America/New_York",
            )),
        }
    }
}

impl Settings {
    pub fn new(sandbox: bool) -> Self {
        let sandbox = sandbox || text("KALLYAI_SANDBOX").is_some_and(|value| value != "0");
        Self { sandbox }
    }

    /// Returns the API's URL, or `None` for the sandbox. Returns an error if the URL belongs to
    /// another service for which no separate credentials are set.
    pub fn api(self) -> Result<Option<ApiBase>, Invalid> {
        if self.sandbox {
            return Ok(None);
        }
        let Some(url) = text("KALLYAI_API_URL") else {
            return ApiBase::PRODUCTION.parse().map(Some);
        };
        let base: ApiBase = url.parse()?;
        let token = text("KALLYAI_TOKEN_FILE").or_else(|| text("KALLYAI_ACCESS_TOKEN"));
        if !base.is_production() && token.is_none() {
            return Err(Invalid::new(
                "KALLYAI_API_URL points to another server, and your KallyAI credentials are not sent there",
                "also set KALLYAI_TOKEN_FILE or KALLYAI_ACCESS_TOKEN for that server",
            ));
        }
        Ok(Some(base))
    }

    pub fn issuer(self) -> Result<String, Invalid> {
        Ok(issuer(self.api()?.as_ref()))
    }

    pub fn access_token(self) -> Result<Option<Secret>> {
        let given = text("KALLYAI_ACCESS_TOKEN").unwrap_or_default();
        let given = given.trim();
        if self.sandbox || given.is_empty() {
            return Ok(None);
        }
        Secret::parse(given).map(Some).ok_or_else(|| {
            let message = "KALLYAI_ACCESS_TOKEN contains spaces or special characters";
            Error::new(Kind::AccessToken, message)
        })
    }

    pub fn token_file(self) -> Result<PathBuf> {
        if self.sandbox {
            return Ok(self.state_folder()?.join("login.json"));
        }
        if let Some(path) = path("KALLYAI_TOKEN_FILE") {
            return Ok(path);
        }
        // Other KallyAI clients expect the shared file in HOME (USERPROFILE on Windows).
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        // With a given token, the file is not used.
        let home = home.or_else(|| path("KALLYAI_ACCESS_TOKEN").map(|_| "/".into()));
        home.map(|home| home.join(".kallyai_token.json"))
            .ok_or_else(|| {
                let message = "can't find your home folder, which holds the credentials file";
                let hint = "set HOME to your home folder, or set KALLYAI_TOKEN_FILE to a file";
                Error::new(Kind::TokenFile, message).with_hint(hint)
            })
    }

    /// Returns the folder for the call log, the sandbox's credentials and other local state.
    pub fn state_folder(self) -> Result<PathBuf> {
        let folder = match path("KALLYAI_STATE_DIR") {
            Some(named) if !named.is_absolute() => {
                let message = "KALLYAI_STATE_DIR must be an absolute path";
                let hint = "set KALLYAI_STATE_DIR to the folder's full path";
                return Err(Invalid::new(message, hint).into());
            }
            Some(named) => Some(named),
            None => default_state_folder().filter(|folder| folder.is_absolute()),
        };
        let mut folder = folder.ok_or_else(|| {
            let message = "can't find your home folder, which holds the local call log";
            let hint = "set HOME to your home folder, or set KALLYAI_STATE_DIR to a folder";
            Error::new(Kind::JournalUnavailable, message).with_hint(hint)
        })?;
        if self.sandbox {
            folder.push("sandbox");
        }
        Ok(folder)
    }

    /// Parses a phone number. In a US or Canadian time zone, the error for 10 digits suggests +1.
    pub fn phone(text: &str, zone: Option<Zone>) -> Result<Phone, Invalid> {
        let local = Self::zone(zone).ok();
        Phone::parse_in(text, local.as_ref().map(|local| &local.zone))
    }

    pub fn name() -> Result<Option<String>, Invalid> {
        parsed("KALLYAI_NAME", parse_text)
    }

    pub fn user_phone() -> Result<Option<Phone>, Invalid> {
        parsed("KALLYAI_USER_PHONE", |text| Self::phone(text, None))
    }

    /// Reads `KALLYAI_LANGUAGE`. The default is Spanish in a Spanish locale, otherwise English.
    pub fn language() -> Result<Language, Invalid> {
        let of_locale = || {
            let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(text);
            locale.map_or(Language::En, |locale| Language::of_locale(&locale))
        };
        Ok(parsed("KALLYAI_LANGUAGE", str::parse)?.unwrap_or_else(of_locale))
    }

    /// Returns the first time zone that is set: `chosen` (from a flag), `KALLYAI_TIMEZONE`, `TZ` or
    /// the system's time zone. Falls back to UTC.
    pub fn zone(chosen: Option<Zone>) -> Result<LocalZone, Invalid> {
        let chosen = match chosen {
            Some(zone) => Some(zone),
            None => parsed("KALLYAI_TIMEZONE", str::parse)?,
        };
        let is_chosen = chosen.is_some();
        // Ignore /etc/localtime: some Linux systems set TZ to it so that glibc reads it only once.
        let tz =
            text("TZ").filter(|tz| !is_chosen && tz.trim_start_matches(':') != "/etc/localtime");
        let named = tz.as_deref().and_then(zone_of_tz);
        let ignored_tz = tz.filter(|_| named.is_none());
        let system = || iana_time_zone::get_timezone().ok()?.parse().ok();
        let zone = chosen.or(named).or_else(system).unwrap_or(Zone::UTC);
        Ok(LocalZone {
            zone,
            is_chosen,
            ignored_tz,
        })
    }
}

/// Returns the service's name in stored credentials and calls: its origin, or [`SANDBOX`].
pub fn issuer(api: Option<&ApiBase>) -> String {
    api.map_or_else(|| SANDBOX.into(), ApiBase::origin)
}

/// Parses the value of `TZ`: a time zone name or a zoneinfo path, after an optional colon.
fn zone_of_tz(tz: &str) -> Option<Zone> {
    let path = tz.strip_prefix(':').unwrap_or(tz);
    let name = path.split_once("zoneinfo/").map_or(path, |(_, name)| name);
    let name = name
        .trim_start_matches("posix/")
        .trim_start_matches("right/");
    name.parse().ok()
}

fn default_state_folder() -> Option<PathBuf> {
    let parent = if cfg!(windows) {
        path("LOCALAPPDATA").or_else(dirs::data_local_dir)
    } else {
        dirs::state_dir().or_else(dirs::data_dir)
    };
    parent.map(|parent| parent.join("kallyai"))
}

fn parsed<T>(name: &str, parse: impl Fn(&str) -> Result<T, Invalid>) -> Result<Option<T>, Invalid> {
    let value = text(name).map(|value| parse(&value));
    value.transpose().map_err(|invalid| invalid.in_source(name))
}

/// Reads a nonempty environment variable. Invalid Unicode becomes U+FFFD, which parsers reject.
fn text(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name)?;
    (!value.is_empty()).then(|| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tz_accepts_zone_names_and_zoneinfo_paths() {
        for (tz, name) in [
            ("Europe/Madrid", Some("Europe/Madrid")),
            (":Europe/Madrid", Some("Europe/Madrid")),
            (":/usr/share/zoneinfo/Europe/Madrid", Some("Europe/Madrid")),
            ("/var/db/timezone/zoneinfo/Asia/Tokyo", Some("Asia/Tokyo")),
            ("UTC", Some("UTC")),
            (":UTC", Some("UTC")),
            ("CET-1CEST,M3.5.0,M10.5.0/3", None),
            ("localtime", None),
            (":", None),
        ] {
            assert_eq!(zone_of_tz(tz).as_ref().map(Zone::name), name, "{tz}");
        }
    }
}
