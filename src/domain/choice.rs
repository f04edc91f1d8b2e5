//! The closed sets of the API's call submission.

use serde::Serialize;

use super::{Invalid, quoted};

/// `task_category`: what kind of business is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// A table.
    Restaurant,
    /// An appointment.
    Clinic,
    /// A room.
    Hotel,
    /// Anything else.
    General,
}

impl Category {
    /// Whether what is booked there is booked under a name.
    pub fn takes_a_name(self) -> bool {
        match self {
            Self::Restaurant | Self::Clinic | Self::Hotel => true,
            Self::General => false,
        }
    }
}

/// `language` and `call_language`: what the assistant speaks and reports in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// Spanish.
    Es,
}

impl std::str::FromStr for Language {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "en" => Ok(Self::En),
            "es" => Ok(Self::Es),
            _ => Err(Invalid::new(
                format!("{} is not a language KallyAI speaks", quoted(text)),
                "write en or es",
            )),
        }
    }
}

impl Language {
    /// The API's name for it.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    /// The language of a POSIX locale name such as `es_ES.UTF-8`: Spanish for every `es*`, English otherwise.
    pub fn of_locale(locale: &str) -> Self {
        if locale.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("es")) {
            Self::Es
        } else {
            Self::En
        }
    }
}
