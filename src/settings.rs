//! What the environment says: addresses, places and preferences, each read when it is first needed.

use std::path::PathBuf;

use crate::domain::{ApiBase, Invalid, Language, Secret, Zone};
use crate::error::{Error, Kind, Result};

/// The environment of one run, as the real program or as the sandbox sees it.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether the sandbox answers; it has a login, a journal and a folder of its own.
    pub sandbox: bool,
}

/// The login file that kallyai-cli and kallyai-mcp-server use too.
const TOKEN_FILE: &str = ".kallyai_token.json";

impl Settings {
    /// The settings of a run; `--sandbox` or `KALLYAI_SANDBOX=1` chooses the sandbox.
    pub fn new(sandbox: bool) -> Self {
        Self { sandbox: sandbox || text("KALLYAI_SANDBOX").is_some_and(|value| value != "0") }
    }

    /// How this program is called in the commands it suggests.
    pub fn program(self) -> &'static str {
        if self.sandbox { "kallyai --sandbox" } else { "kallyai" }
    }

    /// Where the API is. Another service than KallyAI's own must be given a login of its own: a token goes only to
    /// whoever issued it.
    ///
    /// # Errors
    /// When `KALLYAI_API_URL` may not be used.
    pub fn api(self) -> Result<ApiBase, Invalid> {
        let Some(url) = text("KALLYAI_API_URL") else { return ApiBase::production() };
        let base: ApiBase = url.parse()?;
        if !base.is_production()
            && text("KALLYAI_TOKEN_FILE").is_none()
            && text("KALLYAI_ACCESS_TOKEN").is_none()
        {
            return Err(Invalid::new(
                "KALLYAI_API_URL names another service, which must not be given your KallyAI login",
                "set KALLYAI_TOKEN_FILE or KALLYAI_ACCESS_TOKEN to a login of that service too",
            ));
        }
        Ok(base)
    }

    /// What a login and a journal entry of this run belong to: scheme, host and port of the service, or `sandbox`.
    ///
    /// # Errors
    /// When `KALLYAI_API_URL` may not be used.
    pub fn issuer(self) -> Result<String, Invalid> {
        if self.sandbox { Ok("sandbox".into()) } else { Ok(self.api()?.origin()) }
    }

    /// A token given for this run alone.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn access_token(self) -> Result<Option<Secret>> {
        if self.sandbox {
            return Ok(None);
        }
        let Some(given) = text("KALLYAI_ACCESS_TOKEN") else { return Ok(None) };
        Secret::parse(&given).map(Some).ok_or_else(|| {
            let message = "KALLYAI_ACCESS_TOKEN cannot be a token: it has characters that no header may have";
            Error::new(Kind::AccessToken, message)
        })
    }

    /// The file of the login.
    ///
    /// # Errors
    /// When there is no home folder to hold it.
    pub fn token_file(self) -> Result<PathBuf> {
        if self.sandbox {
            return Ok(self.state_folder()?.join("login.json"));
        }
        if let Some(path) = path("KALLYAI_TOKEN_FILE") {
            return Ok(path);
        }
        // As the clients that share the file find it: by HOME, and on Windows by USERPROFILE.
        let home = std::env::home_dir().filter(|home| home.is_absolute()).ok_or_else(|| {
            Error::new(Kind::TokenFile, "there is no home folder to keep the login in")
                .with_hint("set HOME (on Windows USERPROFILE), or name a file with KALLYAI_TOKEN_FILE")
        })?;
        Ok(home.join(TOKEN_FILE))
    }

    /// Whether that file is at a path of this program's own, and not where the user pointed it.
    pub fn is_own_token_file(self) -> bool {
        self.sandbox || path("KALLYAI_TOKEN_FILE").is_none()
    }

    /// The folder of the journal and of everything else that is not the login.
    ///
    /// # Errors
    /// When there is no home folder to hold it.
    pub fn state_folder(self) -> Result<PathBuf> {
        let named = path("KALLYAI_STATE_DIR");
        if named.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            return Err(Invalid::new(
                "KALLYAI_STATE_DIR is a relative path, which is another folder in each working directory",
                "write the whole path of the folder",
            )
            .into());
        }
        let folder =
            named.or_else(|| default_state_folder().filter(|folder| folder.is_absolute())).ok_or_else(
                || Error::new(Kind::JournalUnavailable, "there is no home folder to keep the journal in"),
            )?;
        Ok(if self.sandbox { folder.join("sandbox") } else { folder })
    }

    /// The file of the user's default flags, and whether the user named it: `KALLYAI_CONFIG`, else `kallyai/config` in the
    /// platform's configuration folder.
    pub fn defaults_file() -> Option<(PathBuf, bool)> {
        let named = path("KALLYAI_CONFIG").map(|path| (path, true));
        named.or_else(|| {
            let folder = if cfg!(windows) { path("APPDATA") } else { None }.or_else(dirs::config_dir);
            Some((folder.filter(|folder| folder.is_absolute())?.join("kallyai").join("config"), false))
        })
    }

    /// Whether a variable that goes over the defaults file says the same as this flag. `LANG` and `TZ` speak of the
    /// computer, and the file goes over those.
    pub fn has_variable_for(flag: &str) -> bool {
        let variables: &[&str] = match flag {
            "language" => &["KALLYAI_LANGUAGE"],
            "timezone" => &["KALLYAI_TIMEZONE"],
            "color" => &["NO_COLOR", "CLICOLOR_FORCE"],
            _ => &[],
        };
        variables.iter().any(|name| text(name).is_some())
    }

    /// The language to speak where no flag says it.
    ///
    /// # Errors
    /// When `KALLYAI_LANGUAGE` is none.
    pub fn language() -> Result<Language, Invalid> {
        match text("KALLYAI_LANGUAGE") {
            Some(language) => language.parse().map_err(|e: Invalid| e.in_variable("KALLYAI_LANGUAGE")),
            None => {
                let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(text);
                Ok(locale.map_or(Language::En, |locale| Language::of_locale(&locale)))
            }
        }
    }

    /// The user's zone where no flag says it: `KALLYAI_TIMEZONE`, `TZ`, the system's. `None` when nobody knows.
    ///
    /// # Errors
    /// When `KALLYAI_TIMEZONE` is none.
    pub fn zone(self) -> Result<Option<Zone>, Invalid> {
        if let Some(zone) = self.chosen_zone()? {
            return Ok(Some(zone));
        }
        // POSIX allows a colon in front; what is no IANA name (a file, a rule) cannot be told to the service.
        let named = text("TZ").and_then(|name| name.trim_start_matches(':').parse().ok());
        Ok(named.or_else(|| iana_time_zone::get_timezone().ok()?.parse().ok()))
    }

    /// The zone that the user chose for this program: `KALLYAI_TIMEZONE`.
    ///
    /// # Errors
    /// When it is none.
    pub fn chosen_zone(self) -> Result<Option<Zone>, Invalid> {
        let parse = |name: String| name.parse().map_err(|e: Invalid| e.in_variable("KALLYAI_TIMEZONE"));
        text("KALLYAI_TIMEZONE").map(parse).transpose()
    }
}

fn default_state_folder() -> Option<PathBuf> {
    let parent = if cfg!(windows) {
        path("LOCALAPPDATA").or_else(dirs::data_local_dir)
    } else {
        // XDG has a folder for state, which the others do not know.
        dirs::state_dir().or_else(dirs::data_dir)
    };
    parent.map(|parent| parent.join("kallyai"))
}

/// A variable that is set to something. What is not Unicode in it is replaced, and refused by whoever reads it.
fn text(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
