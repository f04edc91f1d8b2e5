//! Parsers of values that are no domain types of their own. Each refusal says what to write instead.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use crate::domain::{Invalid, Secret, quoted};

/// Where a text comes from: the words of a task, or the data of `--api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskSource {
    /// The command line.
    Text(String),
    /// Standard input, to its end.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl FromStr for TaskSource {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix('@') {
            _ if text == "-" => Ok(Self::Stdin),
            Some("") => Err(Invalid::new("the @ names no file", "write @FILE")),
            Some(path) => Ok(Self::File(path.into())),
            None => prose(text).map(Self::Text),
        }
    }
}

/// Free text that may begin with a dash, but is not the next flag: `-t --json` is a forgotten text.
pub fn prose(text: &str) -> Result<String, Invalid> {
    let mut start = text.chars();
    let dashed =
        start.next() == Some('-') && start.next().is_some_and(|c| c == '-' || c.is_ascii_alphabetic());
    if dashed && !text.contains(char::is_whitespace) {
        return Err(Invalid::new(
            "where a text should stand there is another flag",
            "write the text in quotes after its flag; to begin one with a dash, put a space after the dash",
        ));
    }
    self::text(text)
}

/// A status as the API or a table writes it. It is repeated where no call has it: an address with a login in it is none.
pub fn status(text: &str) -> Result<String, Invalid> {
    let is_word = |c: char| c.is_alphabetic() || matches!(c, '_' | '-' | ' ');
    if text.trim().is_empty() || text.len() > 40 || !text.chars().all(is_word) {
        return Err(Invalid::new(
            "a status is a word",
            "write for example --status success or --status no_answer",
        ));
    }
    Ok(text.to_owned())
}

/// Text that says something.
pub fn text(text: &str) -> Result<String, Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(
            "the text is empty",
            "write something in the quotes, or leave the flag out",
        ));
    }
    if text.contains('\0') {
        return Err(Invalid::new("the text holds a NUL character", "write it without"));
    }
    Ok(text.to_owned())
}

fn number<N: FromStr + PartialOrd + Copy>(text: &str, allowed: RangeInclusive<N>) -> Option<N> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
        .filter(|n| allowed.contains(n))
}

/// A refused number as a message shows it. No token is as short as what is shown.
fn shown(text: &str) -> String {
    const SHORTER_THAN_A_TOKEN: usize = 15;
    if text.len() > SHORTER_THAN_A_TOKEN { "this value".into() } else { quoted(text) }
}

/// 1 to 50 people: what the API takes.
pub fn party_size(text: &str) -> Result<u8, Invalid> {
    number(text, 1..=50).ok_or_else(|| {
        Invalid::new(
            format!("--party-size takes a whole number from 1 to 50, not {}", shown(text)),
            "write for example --party-size 4",
        )
    })
}

/// 1 to 200 calls: what a page of the API holds.
pub fn limit(text: &str) -> Result<u16, Invalid> {
    number(text, 1..=200).ok_or_else(|| {
        Invalid::new(
            format!("--limit takes a whole number from 1 to 200, not {}", shown(text)),
            "write for example --limit 50, or --all for every call",
        )
    })
}

/// A number of calls.
pub fn offset(text: &str) -> Result<u64, Invalid> {
    number(text, 0..=u64::from(u32::MAX)).ok_or_else(|| {
        Invalid::new(
            format!("--offset takes a whole number, not {}", shown(text)),
            "write for example --offset 10",
        )
    })
}

/// A second to a day.
pub fn timeout(text: &str) -> Result<u64, Invalid> {
    number(text, 1..=86_400).ok_or_else(|| {
        Invalid::new(
            format!("--timeout takes a whole number of seconds from 1 to 86400, not {}", shown(text)),
            "write for example --timeout 60",
        )
    })
}

/// A TCP port.
pub fn port(text: &str) -> Result<u16, Invalid> {
    number(text, 1..=u16::MAX).ok_or_else(|| {
        Invalid::new(
            format!("--callback-port takes a whole number from 1 to 65535, not {}", shown(text)),
            "write for example --callback-port 9000",
        )
    })
}

/// An address of this computer: the emulator is not for a network.
pub fn loopback(text: &str) -> Result<SocketAddr, Invalid> {
    text.replace("localhost", "127.0.0.1")
        .parse()
        .ok()
        .filter(|address: &SocketAddr| address.ip().is_loopback())
        .ok_or_else(|| {
            Invalid::new(
                "the sandbox is served on this computer only",
                "write for example --serve-sandbox 127.0.0.1:8977",
            )
        })
}

/// A redirect URL with a login in its query, or `-`. It is never shown.
pub fn callback_url(text: &str) -> Result<Secret, Invalid> {
    Secret::parse(text.trim()).ok_or_else(|| {
        Invalid::new(
            "--callback-url is no address",
            "copy the whole address from the browser, or write --callback-url - and paste it",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_a_text_stdin_or_a_file() {
        assert_eq!("-".parse(), Ok(TaskSource::Stdin));
        assert_eq!("@task.txt".parse(), Ok(TaskSource::File("task.txt".into())));
        for text in ["- ask for hours", "Ask", "-5 degrees?", "--party of four, please"] {
            assert_eq!(text.parse(), Ok(TaskSource::Text(text.into())), "{text}");
        }
    }

    #[test]
    fn a_swallowed_flag_and_an_empty_text_are_refused() {
        for text in ["--json", "-p", "-p+15551234567", "--phone=+1555", "", " \n\t", "@"] {
            assert!(text.parse::<TaskSource>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn numbers_keep_to_their_ranges() {
        for text in ["0", "51", "-1", "+4", "4.0", "", "four", "999999999999999999999"] {
            assert!(party_size(text).is_err(), "{text}");
        }
        assert_eq!(
            (party_size("50"), limit("200"), timeout("86400"), port("65535")),
            (Ok(50), Ok(200), Ok(86_400), Ok(65_535))
        );
        assert!(limit("201").is_err() && timeout("0").is_err() && port("0").is_err());
    }

    #[test]
    fn the_sandbox_stays_on_this_computer() {
        assert!(
            loopback("127.0.0.1:8977").is_ok()
                && loopback("[::1]:1").is_ok()
                && loopback("localhost:80").is_ok()
        );
        assert!(
            loopback("0.0.0.0:8977").is_err()
                && loopback("192.168.1.2:80").is_err()
                && loopback("8977").is_err()
        );
    }
}
