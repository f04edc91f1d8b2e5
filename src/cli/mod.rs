//! Front end 1: the command line. Flags become one [`Command`] of values that are already checked; operations carry it
//! out; their values are rendered, and the run ends in a documented exit status.

mod args;
mod command;
mod completions;
mod console;
mod defaults;
mod dispatch;
mod foreign_names;
mod help;
mod help_json;
mod hints;
pub mod render;
mod request;
mod texts;
mod unknown_words;
mod usage_errors;
mod values;

use command::CallOptions;
pub use values::{TaskSource, text};

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::domain::Language;
use crate::output::{Color, Messages, Output, stdout_width};
use crate::settings::Settings;
use args::Args;
use help::Page;
use hints::Suggesting;
use usage_errors::{ParseOutcome, parse, wanted_language, wants_json};

/// What the fuzz targets come in by.
#[cfg(fuzzing)]
pub(crate) mod fuzz_api {
    pub(crate) use super::hints::Suggesting;
}

/// Runs a command line whose first element is the program's name, and returns the exit status.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    if let [_, ask, asked @ ..] = argv.as_slice()
        && ask == completions::ASK
    {
        let out = Output::new(Color::Never, false, Language::En);
        // A shell that asks for completions has no use for a failure.
        let _ = completions::answer(&out, asked).and_then(|()| out.finish());
        return ExitCode::SUCCESS;
    }
    let json = wants_json(&argv);
    let language = wanted_language(&argv);
    let speaks = |given: Option<Language>| {
        // What is wrong with a language of the environment is said where a call is placed.
        given.unwrap_or_else(|| Settings::language().unwrap_or(Language::En))
    };
    let (out, program, ended) = match parse(argv, Page::new(Messages::of(speaks(language)), stdout_width())) {
        Err(ParseOutcome::Show { plain, colored }) => {
            let out = Output::new(Color::Auto, false, Language::En);
            let shown = out.raw_text(if out.is_colored() { &colored } else { &plain }).map(|()| 0);
            (out, "kallyai", shown)
        }
        Err(ParseOutcome::Mistake(error)) => {
            (Output::new(Color::Auto, json, speaks(language)), "kallyai", Err(error))
        }
        Ok(invocation) => {
            let settings = Settings::new(invocation.options.sandbox);
            let options = &invocation.options;
            let out = Output::new(options.color, options.json, speaks(options.language));
            let ended = dispatch::run(&out, settings, &invocation.options, invocation.command);
            (out, settings.program(), ended)
        }
    };
    match ended.and_then(|status| out.finish().map(|()| status)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            render::error(&out, &error, suggesting(&out, program));
            ExitCode::from(error.exit())
        }
    }
}

/// How commands are suggested to whoever reads these streams.
fn suggesting(out: &Output, program: &'static str) -> Suggesting {
    Suggesting { program, json: out.is_json(), is_interactive: is_interactive() }
}

/// Whether somebody is there to sign in.
fn is_interactive() -> bool {
    use std::io::IsTerminal as _;

    std::io::stdin().is_terminal() || std::io::stderr().is_terminal()
}

/// The declared command line, for completions and the man page.
pub fn declaration() -> clap::Command {
    Args::command()
}
