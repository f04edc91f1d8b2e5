//! What each tool takes. Every tool has its own list, and an argument that is not on it is an error: none is ever
//! ignored, or taken for a flag. Doc comments here are what a model reads.

use std::str::FromStr;
use std::time::Duration;

use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;

use super::reading::Whole;
use crate::domain::{self, CallDraft, CallRef, IdempotencyKey, Invalid, Phone, Secret};
use crate::error::{Error, Kind, Result};
use crate::service::{HistoryQuery, Placement, Warning, complete};
use crate::settings::Settings;

/// A tool without arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct Nothing {}

/// `place_call`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct PlaceCall {
    /// The number to call, with + and the country code: +15551234567
    phone: String,
    /// What to accomplish, in one or two sentences. It is plain text, whatever it begins with.
    task: String,
    /// The kind of business; general for anything else, and where nothing is said
    category: Option<Category>,
    /// Language of the call and of its report; this computer's where nothing is said, so say the user's
    language: Option<Language>,
    /// Language spoken on the phone, where it differs from `language`
    call_language: Option<Language>,
    /// Name to book under
    name: Option<String>,
    /// Name of the business
    business: Option<String>,
    /// Number of people
    #[schemars(range(min = 1, max = 50))]
    party_size: Option<Whole>,
    /// Day of the appointment in `timezone`: YYYY-MM-DD, today, tomorrow or a weekday, which is the next one
    date: Option<String>,
    /// Time of the appointment in `timezone`: HH:MM on the 24-hour clock, or 8pm
    time: Option<String>,
    /// When it suits, in words: "morning before 11"
    time_preference: Option<String>,
    /// The user's own number, to be called back
    user_phone: Option<String>,
    /// Further instructions for the assistant that calls, in order
    #[serde(default)]
    instructions: Vec<String>,
    /// Whether it is urgent
    #[serde(default)]
    urgent: bool,
    /// Zone of date and time, an IANA name such as America/New_York; this computer's where nothing is said, so say the
    /// user's if this runs on a server
    timezone: Option<String>,
    /// The conversation that the call belongs to
    session_id: Option<String>,
    /// Check everything and say what would happen; send nothing, ring nobody
    #[serde(default)]
    pub dry_run: bool,
    /// Ring although a call to this number is open, or the very same request, word for word, succeeded within six hours.
    /// Only after asking the user, in this conversation, whether a second call is wanted.
    #[serde(default)]
    again: bool,
    /// A name of your own for this one call, 1 to 255 visible ASCII characters: it is placed at most once under it
    idempotency_key: Option<String>,
    /// How many seconds to wait for the end before the answer is in_progress; at least 3, and 42 where nothing is said
    #[schemars(range(min = 0, max = 42))]
    wait_seconds: Option<Whole>,
}

/// `get_call_result`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct GetCallResult {
    /// The `idempotency_key` that place_call or list_pending_calls gave
    key: String,
    /// How many seconds to wait for the end; 42 where nothing is said
    #[schemars(range(min = 0, max = 42))]
    wait_seconds: Option<Whole>,
}

/// `list_calls`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct ListCalls {
    /// How many calls; 10 where nothing is said
    #[schemars(range(min = 1, max = 200))]
    limit: Option<Whole>,
    /// How many of the newest to leave out
    #[schemars(range(min = 0, max = 4_294_967_295_u64))]
    offset: Option<Whole>,
    /// Only those of this status: success, no_answer, busy, failed, voicemail, cancelled or another that was seen
    status: Option<String>,
    /// Only those in which this text occurs: in the business, the number, the task or the result
    search: Option<String>,
}

/// `get_call` and `get_calendar`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct OneCall {
    /// A call's ID, its unique beginning of 4 or more characters, last for the newest call, or last-1 for the one before
    call_id: String,
}

/// `get_transcript`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct GetTranscript {
    /// A call's ID, its unique beginning of 4 or more characters, last for the newest call, or last-1 for the one before
    call_id: String,
    /// How many turns at the most; 200 where nothing is said
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<Whole>,
    /// How many turns to leave out at the beginning
    offset: Option<Whole>,
}

/// `sign_in`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct SignIn {
    /// The second step: the whole address that the user's browser ended at, which begins with http://localhost. Leave it
    /// out for the first step. It holds a login: never repeat it.
    callback_url: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(crate = "schemars", inline)]
enum Category {
    Restaurant,
    Clinic,
    Hotel,
    General,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(crate = "schemars", inline)]
enum Language {
    En,
    Es,
}

impl From<Category> for domain::Category {
    fn from(category: Category) -> Self {
        match category {
            Category::Restaurant => Self::Restaurant,
            Category::Clinic => Self::Clinic,
            Category::Hotel => Self::Hotel,
            Category::General => Self::General,
        }
    }
}

impl From<Language> for domain::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::Es => Self::Es,
        }
    }
}

/// How long an answer may take: hosts cut a request after a minute, whatever progress they are told.
const LONGEST_WAIT: u8 = 42;

fn wait(seconds: Option<Whole>) -> Result<Duration> {
    match seconds.map_or(LONGEST_WAIT, |seconds| seconds.or_largest(u8::MAX)) {
        seconds @ 0..=LONGEST_WAIT => Ok(Duration::from_secs(seconds.into())),
        _ => Err(Invalid::new(
            format!("wait_seconds is a number from 0 to {LONGEST_WAIT}"),
            "leave it out, and ask get_call_result again while the call goes on",
        )
        .into()),
    }
}

impl PlaceCall {
    /// How long to wait for the call's end.
    ///
    /// # Errors
    /// When that is too long.
    pub fn wait(&self) -> Result<Duration> {
        wait(self.wait_seconds)
    }

    /// The call that is asked for, and what of it is probably not meant.
    ///
    /// # Errors
    /// When a value is refused.
    pub fn placement(self, settings: Settings) -> Result<(Placement, Vec<Warning>)> {
        let draft = CallDraft {
            phone: value("phone", &self.phone)?,
            task: text("task", Some(self.task))?.unwrap_or_default(),
            category: self.category.map(Into::into),
            language: self.language.map(Into::into),
            call_language: self.call_language.map(Into::into),
            name: text("name", self.name)?,
            business: text("business", self.business)?,
            party_size: party_size(self.party_size)?,
            date: optional("date", self.date)?,
            time: optional("time", self.time)?,
            time_preference: text("time_preference", self.time_preference)?,
            user_phone: self
                .user_phone
                .map(|number| named("user_phone", Phone::of_user(&number)))
                .transpose()?,
            instructions: self
                .instructions
                .into_iter()
                .map(|instruction| Ok(text("instructions", Some(instruction))?.unwrap_or_default()))
                .collect::<Result<_>>()?,
            urgent: self.urgent,
            timezone: optional("timezone", self.timezone)?,
            session_id: text("session_id", self.session_id)?,
        };
        let (request, warnings) =
            complete(draft, settings, "say the user's zone with `timezone`, for example America/New_York")?;
        let key = optional("idempotency_key", self.idempotency_key)?;
        Ok((Placement { request, key, again: self.again }, warnings))
    }
}

impl GetCallResult {
    /// How long to wait for the call's end.
    ///
    /// # Errors
    /// When that is too long.
    pub fn wait(&self) -> Result<Duration> {
        wait(self.wait_seconds)
    }

    /// The key that is asked about.
    ///
    /// # Errors
    /// When it can be none.
    pub fn key(&self) -> Result<IdempotencyKey> {
        value("key", &self.key)
    }
}

impl ListCalls {
    /// Which calls.
    ///
    /// # Errors
    /// When a value is refused.
    pub fn query(self) -> Result<HistoryQuery> {
        let limit = within("limit", self.limit, 200)?;
        let status = text("status", self.status)?;
        let offset = self.offset.map(|offset| offset.or_largest(u32::MAX).into());
        let search = text("search", self.search)?;
        Ok(HistoryQuery { limit, offset, status, search, ..HistoryQuery::default() })
    }
}

impl OneCall {
    /// Which call.
    ///
    /// # Errors
    /// When it can be none.
    pub fn call(&self) -> Result<CallRef> {
        value("call_id", &self.call_id)
    }
}

/// How many turns are given at once unless the model says otherwise.
const USUAL_TURNS: u16 = 200;
/// The most turns given at once.
const MAX_TURNS: u16 = 1000;

impl GetTranscript {
    /// Which call, how many of its turns, and after how many.
    ///
    /// # Errors
    /// When a value is refused.
    pub fn part(&self) -> Result<(CallRef, usize, usize)> {
        let limit = within("limit", self.limit, MAX_TURNS)?.unwrap_or(USUAL_TURNS);
        let offset = self.offset.map_or(0, |offset| offset.or_largest(usize::MAX));
        Ok((value("call_id", &self.call_id)?, limit.into(), offset))
    }
}

impl SignIn {
    /// The address that finishes a sign-in.
    ///
    /// # Errors
    /// When it can be none. It is never shown.
    pub fn callback(&self) -> Result<Option<Secret>> {
        let Some(address) = self.callback_url.as_deref().map(str::trim) else { return Ok(None) };
        // Browsers hide the scheme.
        let is_bare = ["localhost:", "127.0.0.1:"].iter().any(|start| address.starts_with(start));
        let address = if is_bare { format!("http://{address}") } else { address.to_owned() };
        // Not one that is kept out of what is printed: what it begins with is in the address of every sign-in. The
        // tokens in it are kept out once they are read.
        let is_whole = address.contains("://") && address.contains("state=");
        let parsed = Secret::parse_printable(&address).filter(|_| is_whole);
        parsed.map(Some).ok_or_else(|| {
            Invalid::new(
                "callback_url is not the whole address",
                "ask the user for all of the address that the browser ended at: it has state= in it",
            )
            .into()
        })
    }
}

fn value<T: FromStr<Err = Invalid>>(name: &str, text: &str) -> Result<T> {
    named(name, text.parse())
}

/// A refusal names its argument.
fn named<T>(name: &str, parsed: Result<T, Invalid>) -> Result<T> {
    parsed.map_err(|invalid| {
        let error = Error::from(invalid);
        match error.kind {
            Kind::InvalidInput => {
                let hint = error.facts.hint.clone().unwrap_or_default();
                Error::new(error.kind, format!("{name}: {error}")).with_hint(hint)
            }
            _ => error,
        }
    })
}

fn optional<T: FromStr<Err = Invalid>>(name: &str, text: Option<String>) -> Result<Option<T>> {
    text.map(|text| value(name, &text)).transpose()
}

/// Text that says something: an empty one is a form that was filled in without being read.
fn text(name: &str, text: Option<String>) -> Result<Option<String>> {
    match &text {
        Some(said) if said.trim().is_empty() => {
            let hint = if name == "task" {
                "say what to accomplish"
            } else {
                "say something in it, or leave it out"
            };
            Err(Invalid::new(format!("{name} is empty"), hint).into())
        }
        Some(said) if said.contains('\0') => {
            Err(Invalid::new(format!("{name} holds a NUL character"), "write it without").into())
        }
        _ => Ok(text),
    }
}

fn party_size(people: Option<Whole>) -> Result<Option<u8>> {
    within("party_size", people, 50).map(|people| people.and_then(|n| u8::try_from(n).ok()))
}

fn within(name: &str, number: Option<Whole>, most: u16) -> Result<Option<u16>> {
    match number.map(|number| number.or_largest(u16::MAX)) {
        Some(n) if !(1..=most).contains(&n) => {
            let hint = "write a whole number in that range";
            Err(Invalid::new(format!("{name} is a number from 1 to {most}"), hint).into())
        }
        number => Ok(number),
    }
}
