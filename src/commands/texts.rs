//! `--completions`, `--man`, `--skill`: texts that are made from the flags themselves, or kept beside them.

use clap_complete::Shell;

use super::{Context, DONE};
use crate::cli::declaration;
use crate::error::{Error, Result};

/// The page that teaches an agent this program.
const SKILL: &str = include_str!("SKILL.md");

/// Prints a shell's completions.
pub fn completions(context: &Context, shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut declaration(), "kallyai", &mut script);
    context.out.page(&String::from_utf8_lossy(&script))?;
    Ok(DONE)
}

/// Prints the man page.
pub fn man(context: &Context) -> Result<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(declaration())
        .render(&mut page)
        .map_err(|e| Error::io("the man page could not be made", e))?;
    context.out.page(&String::from_utf8_lossy(&page))?;
    Ok(DONE)
}

/// Prints the skill.
pub fn skill(context: &Context) -> Result<u8> {
    context.out.page(SKILL)?;
    Ok(DONE)
}
