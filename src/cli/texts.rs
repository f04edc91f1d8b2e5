//! The top-level help, the man page and the skill for AI agents.

use std::io::{self, Write};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::args::Cli;

/// The top-level help. It is written by hand, because clap cannot group commands. At most 40 lines
/// of 80 columns.
pub const HELP: &str = include_str!("help.txt");

const SKILL: &str = include_str!("SKILL.md");
const SKILL_FULL: &str = include_str!("SKILL_FULL.md");

pub fn skill(is_full: bool) -> String {
    match is_full {
        true => format!("{SKILL}\n{SKILL_FULL}"),
        false => SKILL.to_owned(),
    }
}

/// The handwritten parts of the man page, before the list of commands and after the options.
const MAN_START: &str = include_str!("man_start.roff");
const MAN_END: &str = include_str!("man_end.roff");

/// Renders one man page for all commands. clap_mangen would render one per command.
pub fn man() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let root = Man::new(Cli::command())
        .title("KALLYAI")
        .manual("User Commands");
    root.render_title(&mut page)?;
    root.render_name_section(&mut page)?;
    page.write_all(MAN_START.as_bytes())?;
    let mut call_options = String::new();
    for command in Cli::command().get_subcommands() {
        let about = command.get_about().cloned().unwrap_or_default();
        let names = std::iter::once(command.get_name()).chain(command.get_all_aliases());
        let names = names.collect::<Vec<_>>().join(", ").replace('-', "\\-");
        writeln!(page, ".SS \"{names}\"\n{about}")?;
        let options = options(command.clone())?;
        if command.get_name() == "call" {
            call_options = options;
        } else {
            page.extend(options.into_bytes());
        }
    }
    let global_options = options(Cli::command())?;
    write!(page, ".SH \"CALL OPTIONS\"\n{call_options}")?;
    write!(page, ".SH \"GLOBAL OPTIONS\"\n{global_options}{MAN_END}")?;
    Ok(page)
}

fn options(command: Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command.disable_help_flag(true)).render_options_section(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    // Drop the section heading and the macro definitions, which the page already has.
    let is_option = |line: &&str| ![".SH", ".ie", ".el"].contains(&line.get(..3).unwrap_or(line));
    let options = page.lines().filter(is_option);
    Ok(options.map(|line| format!("{line}\n")).collect())
}
