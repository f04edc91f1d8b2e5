//! What to do about a failure, in the words of the command line.

use crate::domain::{CallId, IdempotencyKey, shell_quoted};
use crate::error::{Error, Kind, Next};

/// How commands are suggested.
#[derive(Debug, Clone, Copy)]
pub struct Suggesting {
    /// How this program is called: `kallyai`, or `kallyai --sandbox`.
    pub program: &'static str,
    /// Whether the reader wants JSON.
    pub json: bool,
    /// Whether a person can follow at once, or only a program reads this.
    pub is_interactive: bool,
}

/// What to do: a sentence, and the command that does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The sentence; it ends with a colon where a command follows.
    pub text: String,
    /// The command, to be copied whole; several where one of them is the right one.
    pub commands: Vec<String>,
}

/// A first call that cannot go wrong: the number is one that is kept for fiction, and in the sandbox no phone rings.
pub const REHEARSAL: &str = "kallyai --sandbox -p +15555550100 -t \"Reserve a table for 4 at 8pm\"";

/// Where plans are sold.
pub const PRICING: &str = "https://kallyai.com/pricing";

impl Hint {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), commands: Vec::new() }
    }

    fn command(text: impl Into<String>, command: String) -> Self {
        Self { text: text.into(), commands: vec![command] }
    }

    /// On one line, for JSON.
    pub fn one_line(&self) -> String {
        match self.commands.as_slice() {
            [] => self.text.clone(),
            commands => format!("{} {}", self.text, commands.join(" or ")),
        }
    }
}

impl Suggesting {
    /// The command that comes next, for programs.
    pub fn next_command(&self, error: &Error) -> Option<String> {
        let command = match error.next() {
            Next::Nothing => return None,
            Next::SignIn if self.is_interactive => self.command("--login"),
            // This one does not wait for a browser.
            Next::SignIn => self.command("--login --no-wait"),
            Next::Resume(key) => self.resume(key, error.facts.is_only_pending),
            Next::ShowCall(id) => self.next_command_about(id),
            Next::History => self.command("--history"),
        };
        Some(command)
    }

    /// The command that shows a call, or all of them where its ID could pass for more than that.
    fn next_command_about(&self, id: &CallId) -> String {
        if self.json || id.is_plain() {
            self.command(&format!("--call-info {}", shell_quoted(id.as_str())))
        } else {
            self.command("--history")
        }
    }

    /// The command that learns how a call ended. A person with a single pending one need not write its key.
    pub fn resume(&self, key: &IdempotencyKey, is_only_pending: bool) -> String {
        if is_only_pending && self.is_interactive && !self.json {
            return self.command("--resume");
        }
        self.command(&format!("--resume {}", shell_quoted(key.as_str())))
    }

    /// What the person can do; `None` where nothing is wrong.
    pub fn hint(&self, error: &Error) -> Option<Hint> {
        if let Some(given) = &error.facts.hint {
            return Some(Hint::text(given.clone()));
        }
        let next = || self.next_command(error).unwrap_or_default();
        let history = || format!("{} --history", self.program);
        Some(match error.kind {
            Kind::ClosedPipe => return None,
            Kind::Usage => Hint::command("see every flag:", format!("{} --help", self.program)),
            Kind::InvalidInput => Hint::text("write it as the message says"),
            Kind::EmergencyNumber => Hint::text("in an emergency, dial the number yourself, from a phone"),
            Kind::NotSignedIn | Kind::SignInFailed if self.is_interactive => Hint::command(
                "sign in (where no browser can open, with --no-wait as well):",
                self.command("--login"),
            ),
            Kind::NotSignedIn | Kind::SignInFailed => Hint::command("sign in, in two steps:", next()),
            Kind::TokenFileUnreadable => Hint::command("sign in again, which replaces it:", next()),
            Kind::WrongIssuer => Hint::command(
                "sign in to the service in use, with the environment as it is now (this replaces that login; KALLYAI_TOKEN_FILE names another file):",
                next(),
            ),
            Kind::AccessToken => {
                Hint::text("unset KALLYAI_ACCESS_TOKEN to sign in or to use the saved login, or replace it")
            }
            Kind::PortInUse(port) => {
                let other = if port == u16::MAX { port - 1 } else { port + 1 };
                let command = format!("{} --login --callback-port {other}", self.program);
                Hint::command("end the program that holds it, or take another:", command)
            }
            Kind::TokenFile => Hint::command(
                "repair or move that file, or name another with KALLYAI_TOKEN_FILE, then:",
                format!("{} --login", self.program),
            ),
            Kind::Unreachable => {
                Hint::text("check the network and any proxy, then run the same command again")
            }
            Kind::ServiceFailing => Hint::text(match error.facts.retry_after {
                Some(seconds) => format!("run the same command again in {} s", seconds.max(1)),
                None => "wait a minute, then run the same command again".into(),
            }),
            Kind::Refused => self.refusal(error),
            Kind::CallNotFound => Hint::command("copy an ID from the calls there are:", history()),
            Kind::NoCalls => {
                Hint::command("place one first; this rehearses it, and no phone rings:", REHEARSAL.into())
            }
            Kind::UnexpectedResponse => Hint::text(
                "run the command again with --debug to see the whole answer; a proxy may have sent it",
            ),
            Kind::OutcomeUnknown if !error.facts.candidates.is_empty() => self.candidates(error),
            Kind::OutcomeUnknown if error.facts.key.is_some() => {
                Hint::command("do not place it again; learn how it ended:", next())
            }
            Kind::OutcomeUnknown => Hint::text("do not run it again before you know whether it was done"),
            Kind::ResultUnwritten => Hint::command("do not place it again; print its result:", next()),
            Kind::CallOpen => self.open_call(error, "learn how it ended"),
            Kind::AlreadyDone => self.open_call(error, "see what came of it"),
            Kind::NothingToResume => Hint::command("see the calls there were:", history()),
            Kind::JournalUnavailable => Hint::text(
                "make room, end the process that holds it, or name another folder with KALLYAI_STATE_DIR; then run it again",
            ),
            Kind::Interrupted(_) if error.facts.key.is_some() => Hint::command("learn how it ended:", next()),
            Kind::Interrupted(_) if error.facts.cut_sign_in => {
                Hint::command("you are not signed in yet; sign in when you like:", self.command("--login"))
            }
            Kind::Interrupted(_) => Hint::text("no call is under way; run the command again when you like"),
            Kind::Io => Hint::text("check the path, its permissions and the free space"),
        })
    }

    /// The calls that it may be, to be looked at one by one.
    fn candidates(&self, error: &Error) -> Hint {
        let show = |id: &CallId| self.next_command_about(id);
        let mut commands: Vec<String> = error.facts.candidates.iter().map(show).collect();
        commands.dedup();
        Hint { text: "do not place it again; see which of them it is:".into(), commands }
    }

    /// The way out of a guard: the call that is in the way, the history, and a second call on purpose.
    fn open_call(&self, error: &Error, what: &str) -> Hint {
        let text = format!(
            "do not repeat it: {what} in {} --history, or with the command below (--again is only for ringing a second time on purpose):",
            self.program
        );
        match self.next_command(error) {
            Some(command) => Hint::command(text, command),
            None => Hint::command(text, format!("{} --history", self.program)),
        }
    }

    fn refusal(&self, error: &Error) -> Hint {
        let program = self.program;
        let history = || format!("{program} --history");
        match error.code() {
            "quota_exceeded" => {
                let page = error.facts.upgrade_url.as_deref().unwrap_or(PRICING);
                Hint::command(
                    format!("upgrade the plan at {page}; what is left:"),
                    format!("{program} --usage"),
                )
            }
            "missing_phone_number" => Hint::text("give the number to call: -p \"+15551234567\""),
            "emergency_number" => {
                Hint::text("911 and the like cannot be called; in an emergency, dial it yourself")
            }
            "toll_number" => {
                Hint::text("premium-rate numbers cannot be called; look for the business's ordinary number")
            }
            "safety_violation" => Hint::text(
                "KallyAI refuses what could harm someone; if it does not, say so in other words: -t \"…\"",
            ),
            "scheduling_violation" => {
                Hint::text("correct the date or the time: --date YYYY-MM-DD, --time HH:MM")
            }
            "consent_denied" => Hint::text("consent to calls was declined; grant it in the KallyAI app"),
            "unsupported_language" => {
                Hint::text("choose a language KallyAI speaks: --language en or --language es")
            }
            "blocked_number" => {
                Hint::text("check its digits; if they are right, call another number of the business with -p")
            }
            "suppression_violation" => {
                Hint::text("the holder of this number asked not to be called; reach them another way")
            }
            "country_restriction" => Hint::text(
                "check the country code behind the +; if it is right, a number of theirs in another country may do",
            ),
            "unsupported_country" => {
                Hint::text("KallyAI does not call this country yet: reach them another way")
            }
            "forbidden" => Hint::command(
                "the login lacks a permission; renew it:",
                format!("{program} --logout && {program} --login"),
            ),
            "missing_token" => Hint::command("sign in:", format!("{program} --login")),
            "call_not_found" => Hint::command("check the ID against the calls there are:", history()),
            "transcript_not_found" => Hint::command(
                "a call has one once it was answered and has ended; how it stands:",
                self.next_command(error).unwrap_or_else(history),
            ),
            "calendar_not_found" => Hint::command(
                "a call has one once an appointment was made; what came of it:",
                self.next_command(error).unwrap_or_else(history),
            ),
            _ if error.exit() == 4 => Hint::command("sign in again:", format!("{program} --login")),
            _ => Hint::text(match &error.facts.correlation_id {
                Some(_) => "if it stays so, quote the correlation ID to KallyAI's support",
                None => "change what the message names, then run it again",
            }),
        }
    }

    fn command(&self, flags: &str) -> String {
        let json = if self.json { " --json" } else { "" };
        format!("{} {flags}{json}", self.program)
    }
}
