//! The top help page, the man page and the skill.

use std::io::{self, Write};

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::args::{Cli, SkillPart};
use crate::error::{Error, Result};

/// At most 40 lines of 80 columns. clap cannot group commands.
pub const HELP: &str = include_str!("help.txt");

const SKILL: &str = include_str!("SKILL.md");
const SKILL_FULL: &str = include_str!("SKILL_FULL.md");

pub fn skill(part: Option<SkillPart>) -> String {
    match part {
        Some(SkillPart::Full) => format!("{SKILL}\n{SKILL_FULL}"),
        None => SKILL.to_owned(),
    }
}

/// The sections after the options.
const MAN: &str = include_str!("man.roff");

const MAN_START: &str = "\
.SH SYNOPSIS
\\fBkallyai call\\fR \\fINUMBER TASK\\fR [\\fIOPTIONS\\fR]
.br
\\fBkallyai \\-p\\fR \\fINUMBER\\fR \\fB\\-t\\fR \\fITASK\\fR [\\fIOPTIONS\\fR]
.br
\\fBkallyai\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]
.SH DESCRIPTION
KallyAI's voice assistant calls a business, books the table or asks the question, and kallyai prints the result.
A call is requested at most once: if the connection is lost, kallyai finds the call instead of calling again.
.PP
Each command can be written with or without dashes: \\fBkallyai history\\fR is \\fBkallyai \\-\\-history\\fR.
.SH COMMANDS
";

pub fn man() -> Result<Vec<u8>> {
    man_page().map_err(|e| Error::io("can't make the man page", &e))
}

/// One page for all commands: clap_mangen would make a page for each.
fn man_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let root = Man::new(Cli::command())
        .title("KALLYAI")
        .manual("User Commands");
    root.render_title(&mut page)?;
    root.render_name_section(&mut page)?;
    page.write_all(MAN_START.as_bytes())?;
    let mut call_options = Vec::new();
    for command in Cli::command().get_subcommands() {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let names = std::iter::once(command.get_name()).chain(command.get_all_aliases());
        let names = names.collect::<Vec<_>>().join(", ").replace('-', "\\-");
        writeln!(page, ".SS \"{names}\"\n{about}")?;
        if command.get_name() == "call" {
            call_options = options(command.clone(), "CALL OPTIONS")?;
        } else {
            page.extend(options(command.clone(), "")?);
        }
    }
    page.extend(call_options);
    page.extend(options(Cli::command(), "GLOBAL OPTIONS")?);
    page.extend_from_slice(MAN.as_bytes());
    Ok(page)
}

/// The options of a command under a heading of ours.
fn options(command: Command, heading: &str) -> io::Result<Vec<u8>> {
    let mut section = Vec::new();
    if !heading.is_empty() {
        writeln!(section, ".SH \"{heading}\"")?;
    }
    let mut listed = Vec::new();
    Man::new(command.disable_help_flag(true)).render_options_section(&mut listed)?;
    let listed = String::from_utf8_lossy(&listed);
    // clap_mangen's own headings, and what it repeats before each section.
    let lines = listed.lines().filter(|line| {
        ![".SH", ".ie", ".el"]
            .iter()
            .any(|start| line.starts_with(start))
    });
    for line in lines {
        writeln!(section, "{line}")?;
    }
    Ok(section)
}
