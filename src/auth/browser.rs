//! Opens a web page in the user's browser.

use std::path::Path;
use std::process::{Command, Stdio};

/// Opens a web page in a browser. Returns whether a browser was started. Over SSH or without a
/// display, starts a browser only if `BROWSER` is set.
pub fn open_browser(url: &str) -> bool {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let any = |names: &[&str]| names.iter().any(|name| var(name).is_some());
    // At least one of these is set if a browser can be opened. WSL can use the Windows browser.
    let displays = [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "WSL_DISTRO_NAME",
        "WSL_INTEROP",
    ];
    let commands = match var("BROWSER") {
        Some(name) if name == "none" => return false,
        Some(names) => std::env::split_paths(&names)
            .filter_map(|name| parse_command(name.to_str()?, url))
            .collect(),
        None if any(&["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"]) => return false,
        None if cfg!(target_os = "linux") && !any(&displays) => return false,
        None => open::commands(url),
    };
    commands.into_iter().any(|mut command| spawn(&mut command))
}

/// Parses a command from `BROWSER`: either a program path (spaces allowed) or a command line in
/// which `%s` stands for the URL. Without `%s`, the URL becomes the last argument.
fn parse_command(text: &str, url: &str) -> Option<Command> {
    if Path::new(text).is_file() {
        let mut command = Command::new(text);
        command.arg(url);
        return Some(command);
    }
    let mut words = text.split_whitespace();
    let mut command = Command::new(words.next()?);
    command.args(words.map(|word| word.replace("%s", url)));
    if !text.contains("%s") {
        command.arg(url);
    }
    Some(command)
}

/// Starts a browser in its own process group, so that Ctrl-C does not stop it. Discards its output.
fn spawn(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("KALLYAI_ACCESS_TOKEN");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_variable_may_hold_a_path_or_a_command_line() {
        let words = |text: &str| {
            let command = parse_command(text, "URL").expect("a command");
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("my browser.exe");
        std::fs::write(&file, "").expect("a file");
        let file = file.to_str().expect("UTF-8");
        assert_eq!(words(file), [file, "URL"]);
        assert_eq!(words("a-browser"), ["a-browser", "URL"]);
        assert_eq!(words("b --new %s --last"), ["b", "--new", "URL", "--last"]);
        assert!(parse_command(" ", "URL").is_none());
    }
}
