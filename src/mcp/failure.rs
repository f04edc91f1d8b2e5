//! What a failure means to a model: the error object of the command line, with the tool that comes next in place of the
//! command.

use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::IdempotencyKey;
use crate::error::{Error, Kind, Next};
use crate::output;

/// A tool call that the model may make as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub struct NextTool {
    /// The tool
    pub name: String,
    /// Its arguments
    pub arguments: serde_json::Map<String, Value>,
}

/// A failure as an object.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub struct ErrorObject {
    /// Its stable name
    pub code: String,
    /// What happened
    pub message: String,
    /// What to do about it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The HTTP status of the answer
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The service's name for this very failure, for its support
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Whether the same tool call again cannot ring a phone a second time
    pub retry_safe: bool,
    /// Whether it may end differently when nothing but time has passed
    pub retry_useful: bool,
    /// The call that this is about
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The call that this is about
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// What to call next
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_tool: Option<NextTool>,
}

/// What tells how the call of a key ended.
pub fn result_of(key: &IdempotencyKey) -> NextTool {
    tool("get_call_result", json!({ "key": key }))
}

/// A tool call.
pub fn tool(name: &str, arguments: Value) -> NextTool {
    let arguments = if let Value::Object(members) = arguments { members } else { serde_json::Map::new() };
    NextTool { name: name.to_owned(), arguments }
}

impl From<&Error> for ErrorObject {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            hint: hint(error),
            http_status: error.facts.http_status,
            correlation_id: error.facts.correlation_id.clone(),
            retry_safe: error.retry_safe(),
            retry_useful: error.retry_useful(),
            idempotency_key: error.facts.key.as_ref().map(ToString::to_string),
            call_id: error.facts.call_id.as_ref().map(ToString::to_string),
            next_tool: next_tool(error),
        }
    }
}

/// A failure as the protocol carries it: an answer like any other, so that the model reads it.
pub fn result(error: &Error) -> CallToolResult {
    let mut document = json!({ "error": ErrorObject::from(error) });
    output::clean_json(&mut document);
    CallToolResult::error(vec![ContentBlock::text(document.to_string())])
}

fn next_tool(error: &Error) -> Option<NextTool> {
    Some(match error.next() {
        Next::Nothing => return None,
        Next::SignIn => tool("sign_in", json!({})),
        Next::Resume(key) => result_of(key),
        Next::ShowCall(id) => tool("get_call", json!({ "call_id": id })),
        Next::History => tool("list_calls", json!({})),
    })
}

const SECOND_CALL: &str =
    "to ring a second time, ask the user first, then repeat place_call with again set to true";

/// What to do, in the words of the tools.
fn hint(error: &Error) -> Option<String> {
    // A hint of the place of the failure may name a flag, which no tool has, or speak to who has a phone.
    let given = error.facts.hint.as_deref().map(in_words_of_tools);
    if let Some(given) = given.filter(|hint| error.kind != Kind::EmergencyNumber && !hint.contains("--")) {
        return Some(given);
    }
    Some(match error.kind {
        Kind::ClosedPipe => return None,
        Kind::Usage | Kind::InvalidInput => {
            "correct the argument; the tool's input schema says what it takes".into()
        }
        Kind::EmergencyNumber => "tell the user to dial it themselves, from a phone".into(),
        Kind::NotSignedIn | Kind::TokenFileUnreadable | Kind::WrongIssuer => {
            "call sign_in and give its address to the user".into()
        }
        Kind::SignInFailed => "if that was not the whole address that the browser ended at, ask the user for it; \
             else call sign_in without arguments and give its new address to the user"
            .into(),
        Kind::AccessToken => {
            "tell the user to replace KALLYAI_ACCESS_TOKEN where this server is configured, or to remove it"
                .into()
        }
        Kind::PortInUse(_) => "call sign_in, which needs no port".into(),
        Kind::TokenFile => {
            "tell the user to repair or move that file, or to name another with KALLYAI_TOKEN_FILE".into()
        }
        Kind::Unreachable => "try the same again in a minute; else tell the user to check the network".into(),
        Kind::ServiceFailing => match error.facts.retry_after {
            Some(seconds) => format!("try the same again in {} s", seconds.max(1)),
            None => "try the same again in a minute".into(),
        },
        Kind::Refused => return refusal(error),
        Kind::CallNotFound => "take an ID from list_calls".into(),
        Kind::NoCalls => "place_call makes the first one".into(),
        Kind::UnexpectedResponse => "tell the user; a proxy may have answered in place of the service".into(),
        Kind::OutcomeUnknown => {
            "do not place it again: the phone may have rung. Tell the user, and ask get_call_result again in some \
             minutes"
                .into()
        }
        Kind::ResultUnwritten => "do not place it again; get_call_result has its result".into(),
        Kind::CallOpen => format!("learn how that call ended; {SECOND_CALL}"),
        Kind::AlreadyDone => format!("report what came of that call; {SECOND_CALL}"),
        Kind::NothingToResume => "list_pending_calls has the keys of calls whose end was not told; list_calls has \
             all calls, and get_call reads one by its call_id"
            .into(),
        Kind::JournalUnavailable => {
            "tell the user to make room, or to name another folder with KALLYAI_STATE_DIR".into()
        }
        Kind::Interrupted(_) => "the call itself goes on; get_call_result has its end".into(),
        Kind::Io => "tell the user; the message says which file".into(),
    })
}

/// A hint with tools and arguments where the command line has commands and flags, as far as they are known here.
fn in_words_of_tools(hint: &str) -> String {
    let hint =
        hint.replace("`kallyai --history`", "list_calls").replace("--idempotency-key", "idempotency_key");
    // No tool sets a variable.
    let is_of_environment = hint.contains("KALLYAI_") && !hint.contains("user");
    if is_of_environment {
        format!("tell the user, for where this server is configured: {hint}")
    } else {
        hint
    }
}

fn refusal(error: &Error) -> Option<String> {
    let text = match error.code() {
        "quota_exceeded" => match &error.facts.upgrade_url {
            Some(page) => return Some(format!("tell the user that the plan's minutes are used up: {page}")),
            None => "tell the user that the plan's minutes are used up: https://kallyai.com/pricing",
        },
        "missing_phone_number" => "ask the user for the number",
        "emergency_number" => "tell the user to dial it themselves, from a phone",
        "toll_number" => "look for the business's ordinary number: premium-rate numbers cannot be called",
        "safety_violation" => {
            "the task is refused as it is worded; ask the user before wording it differently"
        }
        "scheduling_violation" => "correct the date or the time",
        "consent_denied" => "tell the user that consent to calls was declined; the KallyAI app grants it",
        "unsupported_language" => "choose en or es",
        "blocked_number" | "suppression_violation" => "this number cannot be called; look for another",
        "country_restriction" | "unsupported_country" => "calls to this country are not served",
        "forbidden" => "the login lacks a permission; tell the user to sign out and in again",
        "transcript_not_found" | "calendar_not_found" => {
            "there is none (yet); get_call says how the call stands"
        }
        "call_not_found" => "take an ID from list_calls",
        _ if error.exit() == 4 => "call sign_in and give its address to the user",
        _ => "tell the user what the message says",
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_a_tool_and_never_a_flag() {
        let key: IdempotencyKey = "kallyai-1".parse().expect("a key");
        let open = Error::new(Kind::CallOpen, "a call is open").about(&key, None);
        let object = serde_json::to_value(ErrorObject::from(&open)).expect("JSON");
        assert_eq!(
            object["next_tool"],
            json!({ "name": "get_call_result", "arguments": { "key": "kallyai-1" } })
        );
        let invalid = |hint: &str| Error::new(Kind::InvalidInput, "no key").with_hint(hint);
        let known = hint(&invalid("leave --idempotency-key out")).expect("a hint");
        assert_eq!(known, "leave idempotency_key out");
        for error in [open, invalid("write --data JSON")] {
            let hint = hint(&error).expect("a hint");
            assert!(!hint.contains("--"), "{hint}");
        }
    }
}
