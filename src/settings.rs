//! The environment: addresses, folders and preferences, each read when it is needed. An empty
//! variable counts as unset.

use std::path::PathBuf;

use crate::domain::{ApiBase, Invalid, Language, Phone, Secret, Zone, parse_text};
use crate::error::{Error, Kind, Result};

/// The environment of one run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The sandbox has its own credentials, call log and folder.
    pub sandbox: bool,
}

/// Shared with kallyai-cli and kallyai-mcp-server.
const TOKEN_FILE: &str = ".kallyai_token.json";

/// A time zone and how it is known.
#[derive(Debug, Clone)]
pub struct LocalZone {
    pub zone: Zone,
    pub source: ZoneSource,
    /// A `TZ` that names no IANA zone was ignored.
    pub ignored_tz: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneSource {
    /// The flag, or `KALLYAI_TIMEZONE`.
    Chosen,
    /// `TZ`, or the system.
    Computer,
    /// Unknown, so UTC is assumed.
    Unknown,
}

impl Settings {
    pub fn new(sandbox: bool) -> Self {
        let sandbox = sandbox || text("KALLYAI_SANDBOX").is_some_and(|value| value != "0");
        Self { sandbox }
    }

    /// The API's address. A service other than KallyAI's needs credentials of its own.
    pub fn api(self) -> Result<ApiBase, Invalid> {
        let Some(url) = text("KALLYAI_API_URL") else {
            return ApiBase::PRODUCTION.parse();
        };
        let base: ApiBase = url.parse()?;
        let has_own_token = text("KALLYAI_TOKEN_FILE")
            .or_else(|| text("KALLYAI_ACCESS_TOKEN"))
            .is_some();
        if !base.is_production() && !has_own_token {
            return Err(Invalid::new(
                "KALLYAI_API_URL points to another server, and your KallyAI credentials are not sent there",
                "set KALLYAI_TOKEN_FILE or KALLYAI_ACCESS_TOKEN for that server too",
            ));
        }
        Ok(base)
    }

    /// The service that credentials and calls belong to: its origin, or `sandbox`.
    pub fn issuer(self) -> Result<String, Invalid> {
        if self.sandbox {
            Ok("sandbox".into())
        } else {
            Ok(self.api()?.origin())
        }
    }

    /// `KALLYAI_ACCESS_TOKEN`.
    pub fn access_token(self) -> Result<Option<Secret>> {
        let Some(given) = text("KALLYAI_ACCESS_TOKEN").filter(|_| !self.sandbox) else {
            return Ok(None);
        };
        Secret::parse(given.trim()).map(Some).ok_or_else(|| {
            let message =
                "KALLYAI_ACCESS_TOKEN is not a token: it has spaces or special characters";
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
        // As the other clients find it: by HOME, and on Windows by USERPROFILE.
        let home = std::env::home_dir()
            .filter(|home| home.is_absolute())
            .ok_or_else(|| {
                Error::new(
                    Kind::TokenFile,
                    "there is no home folder for the credentials",
                )
                .with_hint("set HOME, or name a file with KALLYAI_TOKEN_FILE")
            })?;
        Ok(home.join(TOKEN_FILE))
    }

    /// The folder of the call log and of everything else but the credentials.
    pub fn state_folder(self) -> Result<PathBuf> {
        let named = path("KALLYAI_STATE_DIR");
        if named.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            return Err(Invalid::new(
                "KALLYAI_STATE_DIR is a relative path",
                "write the whole path of the folder",
            )
            .into());
        }
        let default = || default_state_folder().filter(|folder| folder.is_absolute());
        let folder = named.or_else(default).ok_or_else(|| {
            Error::new(
                Kind::JournalUnavailable,
                "there is no home folder for the call log",
            )
            .with_hint("set HOME, or name a folder with KALLYAI_STATE_DIR")
        })?;
        Ok(if self.sandbox {
            folder.join("sandbox")
        } else {
            folder
        })
    }

    /// `KALLYAI_NAME`.
    pub fn name() -> Result<Option<String>, Invalid> {
        parsed("KALLYAI_NAME", parse_text)
    }

    /// `KALLYAI_USER_PHONE`.
    pub fn user_phone() -> Result<Option<Phone>, Invalid> {
        parsed("KALLYAI_USER_PHONE", str::parse)
    }

    /// `KALLYAI_LANGUAGE`, else Spanish in a Spanish locale, else English.
    pub fn language() -> Result<Language, Invalid> {
        let of_locale = || {
            let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(text);
            locale.map_or(Language::En, |locale| Language::of_locale(&locale))
        };
        Ok(parsed("KALLYAI_LANGUAGE", str::parse)?.unwrap_or_else(of_locale))
    }

    /// `chosen` (a flag), else `KALLYAI_TIMEZONE`, `TZ`, the system's zone, UTC.
    pub fn zone(chosen: Option<Zone>) -> Result<LocalZone, Invalid> {
        let chosen = match chosen {
            Some(zone) => Some(zone),
            None => parsed("KALLYAI_TIMEZONE", str::parse)?,
        };
        if let Some(zone) = chosen {
            return Ok(LocalZone {
                zone,
                source: ZoneSource::Chosen,
                ignored_tz: None,
            });
        }
        let tz = text("TZ").filter(|tz| !is_system_zone(tz));
        let named = tz.as_deref().and_then(zone_of_tz);
        let ignored_tz = tz.filter(|_| named.is_none());
        let system = || iana_time_zone::get_timezone().ok()?.parse().ok();
        Ok(match named.or_else(system) {
            Some(zone) => LocalZone {
                zone,
                source: ZoneSource::Computer,
                ignored_tz,
            },
            None => LocalZone {
                zone: Zone::UTC,
                source: ZoneSource::Unknown,
                ignored_tz,
            },
        })
    }
}

/// The IANA zone that `TZ` names: after an optional colon, the name or its path in a zoneinfo folder.
fn zone_of_tz(tz: &str) -> Option<Zone> {
    let path = tz.strip_prefix(':').unwrap_or(tz);
    let name = path.split_once("zoneinfo/").map_or(path, |(_, name)| name);
    name.parse().ok()
}

/// Linux administrators set this to spare glibc from checking the file again and again.
fn is_system_zone(tz: &str) -> bool {
    tz.strip_prefix(':').unwrap_or(tz) == "/etc/localtime"
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

/// A variable that is set and not empty. Invalid Unicode becomes U+FFFD, which parsers reject.
fn text(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tz_gives_a_zone_by_name_or_path() {
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
        assert!(is_system_zone(":/etc/localtime") && !is_system_zone("UTC"));
    }
}
