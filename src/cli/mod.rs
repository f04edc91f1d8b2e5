//! The command-line interface: parses arguments, runs the command and prints the result.

mod args;
mod call;
mod compat;
mod complete;
mod error;
mod run;
mod texts;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches as _;
use clap::error::ErrorKind;

use crate::error::{Error, Result};
use crate::output::{Color, Output};
use args::Cli;

/// The reason that parsing did not produce a command to run.
#[derive(Debug)]
enum Stop {
    /// The help or version text that the user asked for.
    Show(String),
    Fail(Error),
}

/// Runs a command line and returns the exit status. `argv` starts with the program's name.
pub fn run(argv: Vec<OsString>) -> ExitCode {
    if complete::respond(&argv) {
        return ExitCode::SUCCESS;
    }
    let plain = || Output::new(Color::Auto, error::wants_json(&argv));
    let failed = |error: Error| {
        error::report(&plain(), &error, &error::Kept::default());
        error.exit()
    };
    let status = match parse(&argv) {
        Ok(cli) => {
            let out = Output::new(cli.options.color, cli.options.json);
            run::run(cli, &out)
        }
        Err(Stop::Show(text)) => plain().raw(text.as_bytes()).map_or_else(failed, |()| 0),
        Err(Stop::Fail(error)) => failed(error),
    };
    ExitCode::from(status)
}

fn parse(argv: &[OsString]) -> Result<Cli, Stop> {
    if argv.len() <= 1 {
        return Err(Stop::Show(texts::HELP.into()));
    }
    let mut command = args::without_examples();
    let argv = compat::command_first(&command, argv).map_err(Stop::Fail)?;
    let named = argv.get(1).and_then(|word| command.find_subcommand(word));
    let mut see_help = "see kallyai --help".to_owned();
    if let Some(name) = named.map(|command| command.get_name().to_owned()) {
        see_help = format!("see kallyai {name} --help");
        let mut words = argv.iter().filter_map(|word| word.to_str());
        let zone = words.find_map(|word| word.strip_prefix("--timezone"));
        let zone = zone.and_then(|it| it.strip_prefix('=').or(words.next())?.parse().ok());
        let named = |command| args::with_zone(args::with_example(command), zone);
        command = command.mut_subcommand(name, named);
    }
    // Leak the definition, because freeing it takes longer than parsing.
    let command: &'static mut clap::Command = Box::leak(Box::new(command));
    let version = command.render_version();
    let parsed = command.try_get_matches_from_mut(argv);
    parsed
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayVersion => Stop::Show(version),
            ErrorKind::DisplayHelp => Stop::Show(error.render().to_string()),
            _ => Stop::Fail(error::from_clap(&error, command, &see_help)),
        })
}

#[cfg(test)]
mod tests;
