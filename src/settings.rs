//! Reads addresses, folders and preferences from environment variables when they are needed. An
//! empty variable counts as unset.

use std::path::PathBuf;

use crate::domain::{ApiBase, Day, Invalid, Language, Phone, Secret, Zone, parse_text};
use crate::error::{Error, Kind, Result};

/// The issuer of the sandbox's credentials. A fixed name, since the sandbox's URL varies by run.
pub const SANDBOX: &str = "sandbox";

/// Settings from the environment. Most are read on demand.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether to use the sandbox, which has its own credentials, call log and folder.
    pub sandbox: bool,
}

/// The time zone for calls and for the days of `history`.
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
                "a relative day needs a time zone, but this computer's is UTC or unknown",
                "write the date as YYYY-MM-DD, or add a zone: --timezone America/New_York",
            )),
        }
    }
}

impl Settings {
    pub fn new(sandbox: bool) -> Self {
        let sandbox = sandbox || text("KALLYAI_SANDBOX").is_some_and(|value| value != "0");
        Self { sandbox }
    }

    /// Returns the API's address, or `None` for the sandbox. Any service other than KallyAI's needs
    /// its own credentials.
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
                "set KALLYAI_TOKEN_FILE or KALLYAI_ACCESS_TOKEN for that server too",
            ));
        }
        Ok(Some(base))
    }

    /// Returns the service that credentials and calls belong to.
    pub fn issuer(self) -> Result<String, Invalid> {
        Ok(issuer(self.api()?.as_ref()))
    }

    /// Reads `KALLYAI_ACCESS_TOKEN`. The sandbox ignores it.
    pub fn access_token(self) -> Result<Option<Secret>> {
        let Some(given) = text("KALLYAI_ACCESS_TOKEN").filter(|_| !self.sandbox) else {
            return Ok(None);
        };
        Secret::parse(given.trim()).map(Some).ok_or_else(|| {
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
        // Other clients share this file and look for it in HOME (USERPROFILE on Windows).
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        home.map(|home| home.join(".kallyai_token.json"))
            .ok_or_else(|| {
                let message = "there is no home folder for the credentials";
                let hint = "set HOME, or set KALLYAI_TOKEN_FILE to a file";
                Error::new(Kind::TokenFile, message).with_hint(hint)
            })
    }

    /// Returns the folder for the call log and all other files except the credentials.
    pub fn state_folder(self) -> Result<PathBuf> {
        let folder = match path("KALLYAI_STATE_DIR") {
            Some(named) if !named.is_absolute() => {
                let message = "KALLYAI_STATE_DIR is a relative path";
                let hint = "use the folder's full path";
                return Err(Invalid::new(message, hint).into());
            }
            Some(named) => Some(named),
            None => default_state_folder().filter(|folder| folder.is_absolute()),
        };
        let mut folder = folder.ok_or_else(|| {
            let message = "there is no home folder for the call log";
            let hint = "set HOME, or set KALLYAI_STATE_DIR to a folder";
            Error::new(Kind::JournalUnavailable, message).with_hint(hint)
        })?;
        if self.sandbox {
            folder.push("sandbox");
        }
        Ok(folder)
    }

    /// Parses a phone number. In a US or Canadian zone, the hint for a national number suggests +1.
    pub fn phone(text: &str) -> Result<Phone, Invalid> {
        let local = Self::zone(None).ok();
        Phone::parse_in(text, local.as_ref().map(|local| &local.zone))
    }

    pub fn name() -> Result<Option<String>, Invalid> {
        parsed("KALLYAI_NAME", parse_text)
    }

    pub fn user_phone() -> Result<Option<Phone>, Invalid> {
        parsed("KALLYAI_USER_PHONE", str::parse)
    }

    /// Reads `KALLYAI_LANGUAGE`. The default is Spanish in a Spanish locale, otherwise English.
    pub fn language() -> Result<Language, Invalid> {
        let of_locale = || {
            let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(text);
            locale.map_or(Language::En, |locale| Language::of_locale(&locale))
        };
        Ok(parsed("KALLYAI_LANGUAGE", str::parse)?.unwrap_or_else(of_locale))
    }

    /// Returns the first zone that is set: `chosen` (from a flag), `KALLYAI_TIMEZONE`, `TZ` or the
    /// system's zone. Falls back to UTC.
    pub fn zone(chosen: Option<Zone>) -> Result<LocalZone, Invalid> {
        let chosen = match chosen {
            Some(zone) => Some(zone),
            None => parsed("KALLYAI_TIMEZONE", str::parse)?,
        };
        let is_chosen = chosen.is_some();
        // Ignore this path: some Linux systems set it so that glibc checks the file only once.
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

/// Returns the name of a service for credentials and calls: its origin, or [`SANDBOX`] for `None`.
pub fn issuer(api: Option<&ApiBase>) -> String {
    api.map_or_else(|| SANDBOX.into(), ApiBase::origin)
}

/// Parses `TZ` as an IANA zone name or a path in a zoneinfo folder, after an optional colon.
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

/// Reads a variable if it is not empty. Invalid Unicode becomes U+FFFD, which parsers reject.
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
