//! Opening a page where there is a browser to open it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::core_files;

/// Decides whether a browser is started, and which.
#[derive(Debug, Clone)]
pub struct Opener {
    choice: Choice,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// None: the person opens the page.
    Nobody,
    /// The one the user named, and no other.
    Named(String),
    /// The system's.
    System,
}

impl Opener {
    /// The opener of this run: none where the person said so, none where no browser could show the page.
    pub fn new(forbidden: bool) -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let choice = match var("BROWSER") {
            _ if forbidden => Choice::Nobody,
            Some(name) if name == "none" => Choice::Nobody,
            Some(name) => Choice::Named(name),
            None if ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"]
                .into_iter()
                .any(|name| var(name).is_some()) =>
            {
                Choice::Nobody
            }
            None if !has_display(|name| var(name).is_some()) => Choice::Nobody,
            None => Choice::System,
        };
        Self { choice }
    }

    /// Starts the browser, if any, and does not wait for it. Returns whether one was started.
    pub fn open(&self, url: &str) -> bool {
        let commands = match &self.choice {
            Choice::Nobody => return false,
            Choice::Named(names) => {
                std::env::split_paths(names).filter_map(|name| named(name.to_str()?, url)).collect()
            }
            Choice::System => open::commands(url),
        };
        commands.into_iter().any(|mut command| spawn(&mut command))
    }
}

/// Linux without a display has none, but under WSL it has Windows's.
fn has_display(is_set: impl Fn(&str) -> bool) -> bool {
    !cfg!(target_os = "linux")
        || ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "WSL_INTEROP"].into_iter().any(is_set)
}

/// A command as `BROWSER` spells it: words, with `%s` for the address or the address behind them; or one file, whose
/// path may have spaces in it, as on Windows it mostly has.
fn named(text: &str, url: &str) -> Option<Command> {
    if Path::new(text).is_file() {
        let mut command = Command::new(text);
        command.arg(url);
        return Some(command);
    }
    let mut words = text.split_whitespace();
    let mut command = Command::new(words.next()?);
    let mut placed = false;
    for word in words {
        placed |= word.contains("%s");
        command.arg(word.replace("%s", url));
    }
    if !placed {
        command.arg(url);
    }
    Some(command)
}

/// Silent, and in a process group of its own: what it prints is lost, and Ctrl-C is not meant for it.
fn spawn(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("KALLYAI_ACCESS_TOKEN");
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
    }
    core_files::allowed(|| command.spawn().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_words_or_a_file_whose_path_may_have_spaces() {
        let words = |command: &Command| -> Vec<String> {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words.map(|word| word.to_string_lossy().into_owned()).collect()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("my browser.exe");
        std::fs::write(&file, "").expect("a file");
        let file = file.to_str().expect("UTF-8");
        for (text, expected) in [
            (file, &[file, "URL"][..]),
            ("a-browser", &["a-browser", "URL"]),
            ("a-browser --new %s --last", &["a-browser", "--new", "URL", "--last"]),
        ] {
            assert_eq!(words(&named(text, "URL").expect("a command")), expected);
        }
        assert!(named(" ", "URL").is_none());
    }
}
