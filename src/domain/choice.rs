//! Fields of a call that have a fixed set of values: the category and the language.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Invalid, quoted};

/// The kind of business to call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    Restaurant,
    Clinic,
    Hotel,
    #[default]
    General,
}

impl Category {
    /// Returns whether bookings in this category are made under a name.
    pub fn takes_a_name(self) -> bool {
        self != Self::General
    }
}

/// A language that the assistant speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    En,
    Es,
}

impl Language {
    /// Returns Spanish for a Spanish POSIX locale, such as `es_ES.UTF-8`, and English otherwise.
    pub fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '-', '.', '@']).next();
        match language.map(str::to_ascii_lowercase).as_deref() {
            Some("es") => Self::Es,
            _ => Self::En,
        }
    }

    pub fn in_words(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Es => "Spanish",
        }
    }
}

impl std::str::FromStr for Language {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        ValueEnum::from_str(text.trim(), true).map_err(|_| {
            let message = format!("{} is not a language that KallyAI speaks", quoted(text));
            Invalid::new(message, "use en or es")
        })
    }
}
