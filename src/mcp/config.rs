//! The lines that tell a host of this server.

use std::path::PathBuf;

use serde_json::json;

/// A program that can start this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Host {
    /// Claude Code.
    ClaudeCode,
    /// Claude Desktop.
    ClaudeDesktop,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Windsurf.
    Windsurf,
    /// Zed.
    Zed,
}

/// What to add to a host's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it goes: a file, or a shell.
    pub place: &'static str,
    /// The lines.
    pub lines: String,
}

/// The lines for a host.
pub fn lines(host: Host, sandbox: bool) -> Config {
    let program = program();
    let arguments: &[&str] = if sandbox { &["--mcp", "--sandbox"] } else { &["--mcp"] };
    let server = json!({ "command": program, "args": arguments });
    let in_json = |place, value: serde_json::Value| Config {
        place,
        lines: serde_json::to_string_pretty(&value).unwrap_or_default(),
    };
    let usual = |place| in_json(place, json!({ "mcpServers": { "kallyai": server } }));
    match host {
        Host::ClaudeCode => Config {
            place: "a shell",
            lines: format!(
                "claude mcp add kallyai -- {} {}",
                crate::domain::shell_quoted(&program),
                arguments.join(" ")
            ),
        },
        Host::ClaudeDesktop if cfg!(target_os = "macos") => {
            usual("~/Library/Application Support/Claude/claude_desktop_config.json")
        }
        Host::ClaudeDesktop if cfg!(windows) => usual("%APPDATA%\\Claude\\claude_desktop_config.json"),
        Host::ClaudeDesktop => usual("~/.config/Claude/claude_desktop_config.json"),
        Host::Cursor => usual("~/.cursor/mcp.json"),
        Host::Gemini => usual("~/.gemini/settings.json"),
        Host::Windsurf => usual("~/.codeium/windsurf/mcp_config.json"),
        Host::Vscode => in_json(
            ".vscode/mcp.json",
            json!({ "servers": { "kallyai": { "type": "stdio", "command": program, "args": arguments } } }),
        ),
        Host::Zed => in_json(
            "settings.json (zed: open settings file)",
            json!({ "context_servers": { "kallyai": { "command": program, "args": arguments, "env": {} } } }),
        ),
        Host::Codex => Config {
            place: "~/.codex/config.toml",
            // A basic string of TOML is written as JSON writes it.
            lines: format!(
                "[mcp_servers.kallyai]\ncommand = {}\nargs = {}",
                json!(program),
                json!(arguments)
            ),
        },
    }
}

/// This program as a host finds it, which may have another PATH: its own place there where it has one, so that an upgrade
/// does not move it, else its file.
fn program() -> String {
    let Ok(itself) = std::env::current_exe() else { return "kallyai".into() };
    let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
    let name = if cfg!(windows) { "kallyai.exe" } else { "kallyai" };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|candidate| real(candidate).is_some_and(|file| Some(file) == real(&itself)));
    found.unwrap_or(itself).display().to_string()
}
