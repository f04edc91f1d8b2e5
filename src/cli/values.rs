//! Parses command-line arguments that need special handling, such as the task.

use std::io::{IsTerminal as _, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::domain::{CallRef, Invalid, parse_task, quoted};
use crate::error::{Result, io_reason};
use crate::output::Output;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskSource {
    Text(String),
    Stdin,
    File(PathBuf),
}

impl FromStr for TaskSource {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix('@') {
            None if text == "-" => Ok(Self::Stdin),
            None => Ok(Self::Text(text.to_owned())),
            Some("") => Err(Invalid::new("missing file name after @", "use @FILE")),
            Some(text) if text.starts_with('@') => Ok(Self::Text(text.to_owned())),
            Some(path) => Ok(Self::File(path.into())),
        }
    }
}

impl TaskSource {
    /// Reads the task. Also accepts UTF-16 from stdin and files, because PowerShell writes it.
    pub fn read(self, out: &Output) -> Result<String> {
        let (bytes, name) = match self {
            Self::Text(text) => return Ok(parse_task(&text)?),
            Self::Stdin => (read_stdin(out), "stdin".to_owned()),
            Self::File(path) => (std::fs::read(&path), path.display().to_string()),
        };
        let bytes = bytes.map_err(|error| {
            let reason = io_reason(&error);
            let hint = "check the file name, or use --task @@TEXT if the task begins with @";
            Invalid::new(format!("can't read {name}: {reason}"), hint)
        })?;
        let text = decode(&bytes)
            .ok_or_else(|| Invalid::new(format!("{name} is not text"), "save the task as UTF-8"))?;
        Ok(parse_task(&text).map_err(|invalid| invalid.in_source(&name))?)
    }
}

fn read_stdin(out: &Output) -> std::io::Result<Vec<u8>> {
    let mut stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        let end = match cfg!(windows) {
            true => "Ctrl-Z, Enter",
            false => "Ctrl-D",
        };
        out.prompt(&format!("Task for the call ({end} to finish): "));
    }
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decodes UTF-8, or UTF-16 with a byte order mark. Returns `None` for anything else.
fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    match bytes {
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] | text => String::from_utf8(text.to_vec()).ok(),
    }
}

/// Parses a call ID, the start of one, `last` or `last-1`. For a phone number, the error has its
/// own hint, because `--call NUMBER` is a likely mistake.
pub fn call(text: &str) -> Result<CallRef, Invalid> {
    if text.starts_with('+') {
        return Err(Invalid::new(
            format!("{} is a phone number, not a call ID", quoted(text)),
            "to make a call, run kallyai call NUMBER TASK",
        ));
    }
    text.parse()
}

/// Parses a loopback address and a port. Rejects other addresses, because the sandbox must not be
/// reachable from the network.
pub fn loopback(text: &str) -> Result<SocketAddr, Invalid> {
    let address = text.replace("localhost", "127.0.0.1").parse().ok();
    let address = address.filter(|address: &SocketAddr| address.ip().is_loopback());
    address.ok_or_else(|| {
        let message = format!("{} is not a loopback address with a port", quoted(text));
        Invalid::new(message, "use HOST:PORT, for example 127.0.0.1:8977")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_argument_may_be_text_stdin_or_a_file() {
        let text = |text: &str| TaskSource::Text(text.into());
        for (given, source) in [
            ("-", TaskSource::Stdin),
            ("@task.txt", TaskSource::File("task.txt".into())),
            ("@@kallyai, hello", text("@kallyai, hello")),
            ("- ask for hours", text("- ask for hours")),
        ] {
            assert_eq!(given.parse(), Ok(source), "{given}");
        }
        assert!("@".parse::<TaskSource>().is_err());
    }

    #[test]
    fn utf8_and_utf16_files_are_decoded() {
        for bytes in [
            &b"S\xc3\xad"[..],
            b"\xef\xbb\xbfS\xc3\xad",
            b"\xff\xfeS\0\xed\0",
            b"\xfe\xff\0S\0\xed",
        ] {
            assert_eq!(decode(bytes).as_deref(), Some("Sí"), "{bytes:?}");
        }
        assert_eq!(decode(b"\xff\xfea"), None);
        assert_eq!(decode(b"caf\xe9"), None);
    }

    #[test]
    fn sandbox_address_must_be_loopback() {
        for text in ["127.0.0.1:8977", "[::1]:1", "localhost:80"] {
            assert!(loopback(text).is_ok(), "{text}");
        }
        for text in ["0.0.0.0:8977", "192.168.1.2:80", "example.com"] {
            assert!(loopback(text).is_err(), "{text}");
        }
    }
}
