//! The help page: made from the declared flags, in one column over all its groups, which clap would align apart.

use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Arg, Command};

use crate::output::Messages;

/// What the program is for.
pub const ABOUT: &str = "Have real phone calls made by KallyAI, and read what came of them";

/// How it is called.
pub const USAGE: &str = "kallyai -p NUMBER -t TEXT [FIELD]...\n       kallyai --COMMAND [MODIFIER]...";

const SHORT_END: &str = "Example:
  kallyai --sandbox -p +15551234567 -t \"A table for 4 at 8pm\"
All flags, exit codes, variables and files: kallyai --help";

/// What a newcomer is shown.
const FIRST_STEPS: &str = "All flags, exit codes, variables and files: kallyai --help

A rehearsal, in which no phone rings, and a call:
  kallyai --sandbox -p +15551234567 -t \"Reserve a table for 4 at 8pm\"
  kallyai -p NUMBER -t \"Ask whether they are open on Sunday\"";

/// What each exit status means, line by line.
pub const EXIT_CODES: &str = "  0  done; a call that ended, however it ended
  1  the API refused, or something unexpected
  2  bad usage or bad input; nothing was sent
  3  the service could not be reached or is failing; retrying is safe
  4  not signed in, or the sign-in failed
  5  out of minutes
  6  a call's outcome is unknown, it is still open, or it was done already:
     never place it again, learn how it ended with --resume
  7  with --exit-status only: the call ended, but not in success
  129, 130, 143  hung up, interrupted, terminated";

/// The variables that count, line by line.
pub const ENVIRONMENT: &str = "  KALLYAI_ACCESS_TOKEN  a token for this run: never saved, never renewed
  KALLYAI_TOKEN_FILE    the file of the login
  KALLYAI_API_URL       another service; needs one of the two above
  KALLYAI_STATE_DIR     the folder of the journal
  KALLYAI_CONFIG        the defaults file
  KALLYAI_SANDBOX=1     as --sandbox
  KALLYAI_LANGUAGE      en or es, where no flag says it; else by the locale
  KALLYAI_TIMEZONE      your zone, where no flag says it; else TZ, the system's
  As usual: NO_COLOR, CLICOLOR_FORCE, BROWSER, HTTPS_PROXY, ALL_PROXY, NO_PROXY,
  SSL_CERT_FILE, SSL_CERT_DIR";

/// Commands to begin with.
pub const EXAMPLES: &str = "  kallyai -p +15551234567 -t \"Reserve a table for 4\" -c restaurant \\
          --name \"John Smith\" --party-size 4 --date friday --time 8pm
  kallyai --history --status success --limit 20
  kallyai --transcript last
  kallyai --calendar last -o dinner.ics
  kallyai --sandbox -p +15555550102 -t \"Ask for the hours\"   (no phone rings)";

/// The files that count, line by line, where this platform keeps them.
pub fn files() -> String {
    let (state, config) = match () {
        () if cfg!(target_os = "macos") => {
            ("~/Library/Application Support/kallyai", "~/Library/Application Support/kallyai/config")
        }
        () if cfg!(windows) => ("%LOCALAPPDATA%\\kallyai", "%APPDATA%\\kallyai\\config"),
        () => ("~/.local/state/kallyai", "~/.config/kallyai/config"),
    };
    let home = if cfg!(windows) { "%USERPROFILE%\\" } else { "~/" };
    format!(
        "  {home}.kallyai_token.json
      The login, which KallyAI's other clients share.
  {state}
      The journal of calls, and the sandbox's own files.
  {config}
      The defaults file: a long flag a line, such as --name=John Smith, and
      comments that begin with #. It may hold --name, --user-phone, --language,
      --call-language, --timezone, --category, --bell, --no-browser, --no-input
      and --color; what does not go with a command is skipped there. The command
      line goes over the environment, and that over the file."
    )
}

/// How help is set for its reader.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// In which language.
    pub messages: Messages,
    /// In how many columns at the most.
    pub width: usize,
}

impl Page {
    /// As wide as it is set where nobody says how wide that may be.
    const USUAL: usize = 80;
    /// Wider it would be hard to read.
    const WIDEST: usize = 100;
    /// With less room beside the flags, explanations stand below them.
    const LEAST_BESIDE: usize = 28;

    /// A page for a terminal of so many columns, or for none.
    pub fn new(messages: Messages, columns: Option<usize>) -> Self {
        Self { messages, width: columns.map_or(Self::USUAL, |columns| columns.clamp(30, Self::WIDEST)) }
    }

    /// The page of `-h`.
    pub fn short(self, command: &Command) -> StyledStr {
        self.set(command, |arg| !arg.is_hide_short_help_set(), &self.messages.translate(SHORT_END))
    }

    /// The page of a command line without anything.
    pub fn first_steps(self, command: &Command) -> StyledStr {
        self.set(command, |arg| !arg.is_hide_short_help_set(), &self.messages.translate(FIRST_STEPS))
    }

    /// The page of `--help`.
    pub fn full(self, command: &Command) -> StyledStr {
        let files = files();
        let sections = [
            ("Exit codes", EXIT_CODES),
            ("Environment", ENVIRONMENT),
            ("Files", &files),
            ("Examples", EXAMPLES),
        ];
        let end: Vec<String> = sections
            .iter()
            .map(|(heading, text)| {
                format!("{}:\n{}", self.messages.translate(heading), self.messages.translate(text))
            })
            .collect();
        self.set(command, |_| true, &end.join("\n\n"))
    }

    fn set(self, command: &Command, is_shown: impl Fn(&Arg) -> bool, end: &str) -> StyledStr {
        let Self { messages, width } = self;
        let args: Vec<&Arg> =
            command.get_arguments().filter(|arg| !arg.is_hide_set() && is_shown(arg)).collect();
        let beside =
            args.iter().map(|arg| spelling(messages, arg).chars().count()).max().unwrap_or_default() + 4;
        let column = if width >= beside + Self::LEAST_BESIDE { beside } else { 8 };
        let styles = command.get_styles();
        let (header, literal) = (styles.get_header(), styles.get_literal());
        let [about, usage] = [ABOUT, "Usage:"].map(|text| messages.translate(text));
        // Under the first line, whatever the label is in this language.
        let lines = messages
            .translate(USAGE)
            .replace("\n       ", &format!("\n{:width$}", "", width = usage.len() + 1));
        let about = textwrap::fill(&about, width);
        // Writing to a string cannot fail.
        let mut text = format!("{about}\n\n{header}{usage}{header:#} {literal}{lines}{literal:#}\n");
        let mut headings: Vec<&str> = args.iter().filter_map(|arg| arg.get_help_heading()).collect();
        let mut seen = std::collections::HashSet::new();
        headings.retain(|heading| seen.insert(*heading));
        for heading in headings {
            let _ = writeln!(text, "\n{header}{}:{header:#}", messages.translate(heading));
            for arg in args.iter().filter(|arg| arg.get_help_heading() == Some(heading)) {
                let flag = spelling(messages, arg);
                let gap = match (column - 2).checked_sub(flag.chars().count()).filter(|_| column == beside) {
                    Some(gap) => " ".repeat(gap),
                    None => format!("\n{:column$}", ""),
                };
                let help = textwrap::wrap(&explanation(messages, arg), width - column)
                    .join(&format!("\n{:column$}", ""));
                let _ = writeln!(text, "  {literal}{flag}{literal:#}{gap}{help}");
            }
        }
        text.push('\n');
        for line in end.lines() {
            text += &self.fit(line);
            text.push('\n');
        }
        text.into()
    }

    /// A line with its indentation; a command is never broken.
    fn fit(self, line: &str) -> String {
        let words = line.trim_start();
        if words.starts_with("kallyai") || words.starts_with("--") {
            return line.to_owned();
        }
        let indent = &line[..line.len() - words.len()];
        let behind = format!("{indent}  ");
        let options = textwrap::Options::new(self.width).initial_indent(indent).subsequent_indent(&behind);
        textwrap::fill(words, options)
    }
}

/// A flag as it is written, with its letter and its value.
fn spelling(messages: Messages, arg: &Arg) -> String {
    let letter = arg.get_short().map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let mut text = format!("{letter}--{}", arg.get_long().unwrap_or_default());
    if arg.get_action().takes_values() {
        let name = messages
            .translate(arg.get_value_names().and_then(<[_]>::first).map_or("VALUE", |name| name.as_str()));
        text += &if has_optional_value(arg) { format!(" [<{name}>]") } else { format!(" <{name}>") };
    }
    text
}

/// What a flag does, with its other names and its default.
fn explanation(messages: Messages, arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut text = messages.translate(&help).into_owned();
    if let Some(aliases) = arg.get_visible_aliases().filter(|aliases| !aliases.is_empty()) {
        text += &messages.fill(" [alias: --{}]", &[&aliases.join(", --")]);
    }
    if let Some(default) = arg.get_default_values().first().filter(|_| arg.get_action().takes_values()) {
        text += &messages.fill(" [default: {}]", &[&default.display()]);
    }
    text
}

/// Whether a flag may stand with its value or without.
pub fn has_optional_value(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|count| count.min_values() == 0)
}
