//! Texts made from the flags themselves.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Home, Reply, Run, Server};

/// The long flags that a text names.
pub fn flags(text: &str) -> BTreeSet<&str> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    text.split(ends).filter(|word| word.starts_with("--") && !word.ends_with('-')).collect()
}

#[test]
fn the_man_page_has_every_flag_with_its_help() {
    let home = Home::new();
    let page = Run::of(&mut home.kallyai(["--man"])).exits(0).stdout.replace("\\-", "-");
    for text in [".TH KALLYAI 1", ".SH \"EXIT STATUS\"", ".SH \"EXAMPLES\"", "Say that it is urgent"] {
        assert!(page.contains(text), "{text}");
    }
    let help = Run::of(&mut home.kallyai(["--help"])).exits(0).stdout;
    assert!(flags(&page).is_superset(&flags(&help)), "{page}");
    assert!(!page.contains("\n\n.TP"), "a flag without its help");
}

#[test]
fn help_and_man_page_tell_every_variable_and_where_the_files_are() {
    let home = Home::new();
    let settings = include_str!("../../src/settings.rs");
    let words = settings.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let variables: BTreeSet<&str> = words.filter(|word| word.starts_with("KALLYAI_")).collect();
    assert!(variables.len() >= 8, "{variables:?}");
    for flag in ["--help", "--man"] {
        let text = Run::of(&mut home.kallyai([flag])).exits(0).stdout.replace("\\-", "-");
        let files = ["config", ".kallyai_token.json", "--name=John Smith", "SSL_CERT_FILE", "HTTPS_PROXY"];
        for word in variables.iter().copied().chain(files) {
            assert!(text.contains(word), "{flag} {word}");
        }
    }
    let page = Run::of(&mut home.kallyai(["--man"])).exits(0).stdout;
    assert!(page.contains(".SH \"ENVIRONMENT\"\n") && page.contains(".SH \"FILES\"\n"));
}

#[test]
fn every_shell_has_completions_for_every_flag() {
    let home = Home::new();
    let help = Run::of(&mut home.kallyai(["--help"])).exits(0).stdout;
    let help = help.split("Exit codes:").next().expect("the flags");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Run::of(&mut home.kallyai(["--completions", shell])).exits(0).stdout;
        // The first three ask the program.
        let asks = script.contains("--complete ");
        assert_eq!(asks, ["bash", "zsh", "fish"].contains(&shell));
        for flag in flags(help) {
            let offered = || Run::of(&mut home.kallyai(["--complete", shell, "--", flag])).exits(0).stdout;
            let known = if asks { offered() } else { script.clone() };
            assert!(known.contains(flag.trim_start_matches('-')), "{shell} {flag}");
        }
    }
    Run::of(&mut home.kallyai(["--completions", "tcsh"])).exits(2);
}

#[test]
fn colour_is_where_it_is_wanted() {
    let home = Home::new();
    let server = Server::always(Reply::json(200, &json!({ "plan_type": "pro" })));
    let colored = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut command = home.at(&server, flags);
        Run::of(command.envs(variables.iter().copied())).exits(0).stdout.contains('\u{1b}')
    };
    let (forced, not_forced, none) = (("CLICOLOR_FORCE", "1"), ("CLICOLOR_FORCE", "0"), ("NO_COLOR", "1"));
    for (variables, wanted) in
        [(&[][..], false), (&[forced], true), (&[not_forced], false), (&[forced, none], false)]
    {
        assert_eq!(colored(variables, &["--usage"]), wanted, "{variables:?}");
        assert_eq!(colored(variables, &["--help"]), wanted, "{variables:?}");
        assert!(colored(variables, &["--usage", "--color", "always"]), "{variables:?}");
        assert!(!colored(variables, &["--usage", "--color", "never"]), "{variables:?}");
    }
}
