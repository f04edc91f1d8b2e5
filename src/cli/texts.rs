//! `--man`, `--skill`: texts that are made from the flags themselves, or kept beside them.

use std::io::Write as _;

use clap::{Arg, ArgAction};
use clap_mangen::Man;

use super::declaration;
use super::help::{self, ENVIRONMENT, EXAMPLES, EXIT_CODES};
use crate::error::{Error, Result};
use crate::output::Output;

/// When this version was finished, as the man page says it.
const RELEASED: &str = "2026-11-24";

/// The page that teaches an agent this program.
const SKILL: &str = include_str!("SKILL.md");
/// What it leaves out, for agents that need it.
const SKILL_FULL: &str = include_str!("SKILL_FULL.md");

/// Prints the man page.
pub fn man(out: &Output) -> Result<()> {
    let page = man_page().map_err(|e| Error::io("the man page could not be made", e))?;
    out.raw_text(&String::from_utf8_lossy(&page))
}

/// An argument whose help names its aliases, which clap_mangen leaves out.
fn with_aliases(arg: Arg) -> Arg {
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    if aliases.is_empty() {
        return arg;
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let help = format!("{help} [also --{}]", aliases.join(", --"));
    arg.help(help)
}

/// The declaration with its rare flags: the man page shows those that a short help does.
fn in_one_line_each() -> clap::Command {
    declaration()
        .mut_args(|arg| arg.hide_short_help(false))
        .mut_arg("help", |arg| arg.action(ArgAction::HelpShort))
}

fn man_page() -> std::io::Result<Vec<u8>> {
    let man = Man::new(in_one_line_each().mut_args(with_aliases))
        .title("KALLYAI")
        .date(RELEASED)
        .manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let files = help::files();
    let sections = [
        ("EXIT STATUS", EXIT_CODES),
        ("ENVIRONMENT", ENVIRONMENT),
        ("FILES", &files),
        ("EXAMPLES", EXAMPLES),
    ];
    for (heading, text) in sections {
        let text = text.replace('\\', "\\e").replace('-', "\\-");
        write!(page, ".SH \"{heading}\"\n.nf\n{text}\n.fi\n")?;
    }
    Ok(page)
}

/// How much of the skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SkillPage {
    /// The page and its second one.
    Full,
}

/// Prints the skill.
pub fn skill(out: &Output, page: Option<SkillPage>) -> Result<()> {
    out.raw_text(SKILL)?;
    match page {
        Some(SkillPage::Full) => out.raw_text(SKILL_FULL),
        None => Ok(()),
    }
}
