//! Values that are not domain types: the task, and addresses.

use std::io::{ErrorKind, IsTerminal as _, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::domain::{CallRef, Invalid, Phone, parse_task, quoted};
use crate::error::{Result, io_reason};
use crate::output::Output;
use crate::settings::Settings;

/// The source of a task.
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
            Some("") => Err(Invalid::new("@ names no file", "write @FILE")),
            Some(text) if text.starts_with('@') => Ok(Self::Text(text.to_owned())),
            Some(path) => Ok(Self::File(path.into())),
        }
    }
}

impl TaskSource {
    /// Reads the task. Stdin and files may be UTF-8 or UTF-16, as PowerShell writes them.
    pub fn read(self, out: &Output) -> Result<String> {
        let (bytes, name) = match self {
            Self::Text(text) => return Ok(parse_task(&text)?),
            Self::Stdin => (read_stdin(out), "stdin".to_owned()),
            Self::File(path) => (std::fs::read(&path), path.display().to_string()),
        };
        let bytes = bytes.map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::NotFound => "no such file".into(),
                _ => io_reason(&error),
            };
            let hint = "name a text file, or write --task @@TEXT for a text that begins with @";
            Invalid::new(format!("can't read {name}: {reason}"), hint)
        })?;
        let text = decode(&bytes)
            .ok_or_else(|| Invalid::new(format!("{name} is not text"), "save it as UTF-8"))?;
        Ok(parse_task(&text).map_err(|invalid| invalid.in_source(&name))?)
    }
}

fn read_stdin(out: &Output) -> std::io::Result<Vec<u8>> {
    let mut stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        let end = if cfg!(windows) {
            "Ctrl-Z, Enter"
        } else {
            "Ctrl-D"
        };
        out.prompt(&format!("Task of the call ({end} ends it): "));
    }
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// UTF-8, or UTF-16 with a byte order mark.
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

/// A number to call. The computer's zone shows what a national number probably means.
pub fn phone(text: &str) -> Result<Phone, Invalid> {
    text.parse().or_else(|invalid| match Settings::zone(None) {
        Ok(local) => Phone::parse_in(text, Some(&local.zone)),
        Err(_) => Err(invalid),
    })
}

/// A call's name. A phone number is refused: `--call +15551234567` is the obvious wrong guess.
pub fn call(text: &str) -> Result<CallRef, Invalid> {
    if text.starts_with('+') {
        return Err(Invalid::new(
            format!("{} is a phone number, not a call ID", quoted(text)),
            "to make a call, write kallyai call NUMBER TASK",
        ));
    }
    text.parse()
}

/// An address of this computer: the sandbox is not for a network.
pub fn loopback(text: &str) -> Result<SocketAddr, Invalid> {
    let address = text.replace("localhost", "127.0.0.1").parse();
    let (message, hint) = match address {
        Ok(address) if SocketAddr::ip(&address).is_loopback() => return Ok(address),
        Ok(address) => (
            "the sandbox is served on this computer only".into(),
            format!("write 127.0.0.1:{}", address.port()),
        ),
        Err(_) => {
            let port = text.parse().unwrap_or(8977_u16);
            let message = format!("{} is not an address", quoted(text));
            (
                message,
                format!("write HOST:PORT, such as 127.0.0.1:{port}"),
            )
        }
    };
    Err(Invalid::new(message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_texts_stdin_or_files() {
        let cases = [
            ("-", TaskSource::Stdin),
            ("@task.txt", TaskSource::File("task.txt".into())),
            (
                "@@kallyai, hello",
                TaskSource::Text("@kallyai, hello".into()),
            ),
            (
                "- ask for hours",
                TaskSource::Text("- ask for hours".into()),
            ),
        ];
        for (text, source) in cases {
            assert_eq!(text.parse(), Ok(source), "{text}");
        }
        assert!("@".parse::<TaskSource>().is_err());
    }

    #[test]
    fn utf8_and_utf16_files_are_decoded() {
        let text = "¿Abren?";
        let wide = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(unit);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            wide([0xff, 0xfe], u16::to_le_bytes),
            wide([0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).as_deref(), Some(text), "{bytes:?}");
        }
        assert_eq!(decode(b"\xff\xfea"), None);
        assert_eq!(decode(b"caf\xe9"), None);
    }

    #[test]
    fn sandbox_addresses_are_of_this_computer() {
        for text in ["127.0.0.1:8977", "[::1]:1", "localhost:80"] {
            assert!(loopback(text).is_ok(), "{text}");
        }
        for text in ["0.0.0.0:8977", "192.168.1.2:80", "example.com"] {
            assert!(loopback(text).is_err(), "{text}");
        }
        let port = loopback("80").expect_err("no host");
        assert!(port.hint().contains("127.0.0.1:80"));
    }
}
