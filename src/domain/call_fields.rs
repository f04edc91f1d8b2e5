//! A request for a call: the fields that the user sets, and the JSON that is sent to the API.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::text::parse_text;
use super::{Category, Date, Day, Invalid, Language, Phone, Time, Zone};

/// The optional fields of a request for a call. The command-line flags, the MCP arguments and the
/// JSON fields of the API request are all generated from this struct.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CallFields {
    /// Choose the kind of business
    #[arg(short, long, value_enum, value_name = "KIND")]
    #[serde(rename(serialize = "task_category"))]
    pub category: Option<Category>,

    /// Book under this name
    #[arg(long, value_name = "NAME", value_parser = parse_text)]
    #[serde(rename(serialize = "user_name"))]
    pub name: Option<String>,

    /// Set the name of the business to call
    #[arg(long, value_name = "NAME", value_parser = parse_text)]
    #[serde(rename(serialize = "business_name"))]
    pub business: Option<String>,

    /// Book for N people (1 to 50)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=50))]
    #[schemars(range(min = 1, max = 50))]
    pub party_size: Option<u8>,

    /// Set the date, such as 2027-01-28, tomorrow or friday (the next one)
    #[arg(long, value_name = "DAY")]
    #[serde(rename(serialize = "appointment_date"))]
    #[schemars(with = "Option<String>")]
    pub date: Option<Day>,

    /// Set the time, such as 20:00, 8pm or noon
    #[arg(long, value_name = "TIME")]
    #[serde(rename(serialize = "appointment_time"))]
    #[schemars(with = "Option<String>")]
    pub time: Option<Time>,

    /// Describe the preferred time, for example "mornings"
    #[arg(long, value_name = "TEXT", value_parser = parse_text)]
    #[serde(rename(serialize = "time_preference_text"))]
    pub time_preference: Option<String>,

    /// Set the user's callback number
    #[arg(long, value_name = "NUMBER")]
    #[schemars(with = "Option<String>")]
    pub user_phone: Option<Phone>,

    /// Choose the language of the call and its report
    #[arg(skip)]
    pub language: Option<Language>,

    /// Choose the spoken language, if it differs from the report's
    #[arg(long, value_enum, value_name = "LANG")]
    pub call_language: Option<Language>,

    /// Add an extra instruction (repeatable)
    #[arg(long = "instruction", value_name = "TEXT", value_parser = parse_text)]
    #[serde(rename(serialize = "additional_instructions"))]
    pub instructions: Vec<String>,

    /// Mark the call as urgent
    #[arg(long)]
    #[serde(rename(serialize = "is_urgent"))]
    pub urgent: bool,

    /// Set the time zone for date and time, usually that of the business, for example
    /// America/New_York. Default: this computer's time zone
    #[arg(skip)]
    #[serde(skip_serializing)]
    #[schemars(with = "Option<String>")]
    pub timezone: Option<Zone>,

    /// Add the call to the conversation with this ID
    #[arg(long, value_name = "ID", value_parser = parse_text)]
    #[serde(skip_serializing)]
    pub session_id: Option<String>,
}

/// Maximum length of a task, in characters.
const MAX_TASK: usize = 4000;

/// Trims a task and converts its line endings to LF. Fails if the task is blank or too long.
pub fn parse_task(text: &str) -> Result<String, Invalid> {
    let task = parse_text(text)
        .map_err(|_| Invalid::new("the task is empty", "say what the call should accomplish"))?
        .replace("\r\n", "\n");
    let length = task.chars().count();
    if length > MAX_TASK {
        return Err(Invalid::new(
            format!("the task has {length} characters, but at most {MAX_TASK} are allowed"),
            "shorten the task",
        ));
    }
    Ok(task)
}

/// A call request with all defaults filled in.
#[derive(Debug, Clone)]
pub struct CallRequest {
    pub phone: Phone,
    pub task: String,
    /// The optional fields, with defaults filled in and an absolute date.
    pub fields: CallFields,
    /// The date of the appointment, if the user gave one.
    pub date: Option<Date>,
    pub timezone: Zone,
}

impl CallRequest {
    /// Creates a request. Fills in defaults and converts a relative date to a calendar date.
    pub fn new(
        phone: Phone,
        task: String,
        fields: CallFields,
        timezone: Zone,
        now: Timestamp,
    ) -> Self {
        let language = fields.language.unwrap_or_default();
        let today = timezone.today(now);
        let date = fields.date.map(|day| day.resolve(today));
        let fields = CallFields {
            category: Some(fields.category.unwrap_or_default()),
            language: Some(language),
            call_language: fields.call_language.or(Some(language)),
            date: date.map(Day::On),
            ..fields
        };
        Self {
            phone,
            task,
            fields,
            date,
            timezone,
        }
    }

    /// Returns the JSON body of `POST /v1/calls`. Leaves out fields that are not set.
    pub fn body(&self) -> Value {
        let mut submission = json!({
            "task_description": self.task,
            "respondent_phone": self.phone,
        });
        let fields = serde_json::to_value(&self.fields).unwrap_or_default();
        let absent = [Value::Null, json!(false), json!([])];
        for (name, value) in fields.as_object().into_iter().flatten() {
            if !absent.contains(value) {
                submission[name] = value.clone();
            }
        }
        let mut body = json!({"submission": submission, "timezone": self.timezone});
        if let Some(id) = &self.fields.session_id {
            body["session_id"] = json!(id);
        }
        body
    }

    /// Formats the appointment, for example as `Fri 2026-12-04 20:00 America/New_York`. Leaves out
    /// a missing date or time.
    pub fn when(&self) -> Option<String> {
        let date = self.date.map(|date| date.strftime("%a %F").to_string());
        let time = self.fields.time.map(|time| time.to_string());
        let given: Vec<String> = date.into_iter().chain(time).collect();
        (!given.is_empty()).then(|| format!("{} {}", given.join(" "), self.timezone.name()))
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn parsed(args: &str) -> Result<CallFields, clap::Error> {
        let command = CallFields::augment_args(clap::Command::new("call"));
        let args = ["call"].into_iter().chain(args.split_terminator('|'));
        CallFields::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    fn request(fields: CallFields) -> CallRequest {
        let phone = "+15551234567".parse().expect("a number");
        let zone = "America/New_York".parse().expect("a zone");
        let now = "2026-11-30T12:00:00Z".parse().expect("a timestamp");
        CallRequest::new(phone, "Reserve a table".into(), fields, zone, now)
    }

    fn body(fields: CallFields) -> Value {
        request(fields).body()
    }

    #[test]
    fn flags_and_mcp_arguments_produce_the_same_api_request() {
        let flags = "--category=restaurant|--name=Ana|--business=Lucali|--party-size=4|--date=fri\
            |--time=8pm|--time-preference=evening|--user-phone=+1 555 765 4321|--call-language=es\
            |--instruction=Ask for a quiet table|--urgent|--session-id=s1";
        let arguments = json!({
            "category": "restaurant", "name": "Ana", "business": "Lucali", "party_size": 4,
            "date": "fri", "time": "8pm", "time_preference": "evening", "user_phone": "+15557654321",
            "language": "en", "call_language": "es", "instructions": ["Ask for a quiet table"],
            "urgent": true, "timezone": "America/New_York", "session_id": "s1",
        });
        let expected = json!({
            "submission": {
                "task_description": "Reserve a table", "respondent_phone": "+15551234567",
                "task_category": "restaurant", "user_name": "Ana", "business_name": "Lucali",
                "party_size": 4, "appointment_date": "2026-12-04", "appointment_time": "20:00",
                "time_preference_text": "evening", "user_phone": "+15557654321", "language": "en",
                "call_language": "es", "additional_instructions": ["Ask for a quiet table"],
                "is_urgent": true,
            },
            "timezone": "America/New_York",
            "session_id": "s1",
        });
        assert_eq!(body(parsed(flags).expect("fields")), expected);
        let schema = serde_json::to_value(schemars::schema_for!(CallFields)).expect("JSON");
        for name in arguments.as_object().expect("an object").keys() {
            assert!(schema["properties"][name].is_object(), "{name}");
        }
        let fields = serde_json::from_value(arguments).expect("fields");
        assert_eq!(body(fields), expected);
    }

    #[test]
    fn call_task_is_trimmed_and_limited_in_length() {
        let task = parse_task(" Book\r\na table \r\n");
        assert_eq!(task.as_deref(), Ok("Book\na table"));
        assert!(parse_task(&"é".repeat(MAX_TASK)).is_ok());
        assert!(parse_task(&"é".repeat(MAX_TASK + 1)).is_err());
        assert!(parse_task("\n\u{200b}\u{feff}").is_err());
    }

    #[test]
    fn appointment_text_leaves_out_a_missing_date_or_time() {
        let when = |args| request(parsed(args).expect("fields")).when();
        let both = "Fri 2026-12-04 20:00 America/New_York".to_owned();
        assert_eq!(when("--date=fri|--time=8pm"), Some(both));
        assert_eq!(when("--time=8pm"), Some("20:00 America/New_York".into()));
        assert_eq!(when(""), None);
    }
}
