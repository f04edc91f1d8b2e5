//! Lines that arrive on stdin while a sign-in waits: a redirect URL, pasted or piped.

use std::io::{BufRead as _, Read as _};

use tokio::sync::mpsc;

use super::echo_off::EchoOff;

/// No redirect URL is longer, in bytes.
const LONGEST: u64 = 256 * 1024;

/// The lines of stdin, none of them shown.
pub struct StdinLines {
    lines: mpsc::Receiver<String>,
    _hidden: Option<EchoOff>,
}

impl StdinLines {
    /// Starts reading. Where stdin cannot be read without harm, no line ever comes.
    pub fn start() -> Self {
        let (sender, lines) = mpsc::channel(1);
        let hidden = EchoOff::new();
        // Not a task: a read of stdin cannot be given up, and must not keep the program from ending.
        match &hidden {
            #[cfg(windows)]
            Some(EchoOff { console: Some(console) }) => {
                let console = console.clone();
                start_thread(move || read_keys(&console, &sender));
            }
            Some(_) => start_thread(move || read(&sender)),
            None => {}
        }
        Self { lines, _hidden: hidden }
    }

    /// The next line; never, once input has ended.
    pub async fn line(&mut self) -> String {
        match self.line_or_end().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }

    /// The next line, or `None` once input has ended.
    pub async fn line_or_end(&mut self) -> Option<String> {
        self.lines.recv().await
    }
}

/// Where no thread can be started no line ever comes, and the browser can still come back.
fn start_thread(reading: impl FnOnce() + Send + 'static) {
    let _ = std::thread::Builder::new().name("stdin".into()).spawn(reading);
}

fn read(lines: &mpsc::Sender<String>) {
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match stdin.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if !is_taken(&String::from_utf8_lossy(&line), lines) {
            return;
        }
    }
}

/// Reads from a console, which would cut a long line off and show it.
#[cfg(windows)]
fn read_keys(console: &console::Term, lines: &mpsc::Sender<String>) {
    while console.read_secure_line().is_ok_and(|line| is_taken(&line, lines)) {}
}

/// Hands a line over, if there is anything in it. Returns whether more are wanted.
fn is_taken(line: &str, lines: &mpsc::Sender<String>) -> bool {
    // PowerShell begins what it pipes with a byte order mark.
    let text = line.trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    text.is_empty() || lines.blocking_send(text.to_owned()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_stands_between_marks_and_spaces() {
        let (sender, mut lines) = mpsc::channel(1);
        for (line, expected) in [
            ("\u{feff}http://localhost/\r\n", Some("http://localhost/")),
            (" \t\u{1b}a b\u{0}\n", Some("a b")),
            ("\u{feff}\r\n", None),
            ("", None),
        ] {
            assert!(is_taken(line, &sender), "more are wanted");
            assert_eq!(lines.try_recv().ok().as_deref(), expected, "{line:?}");
        }
        drop(lines);
        assert!(!is_taken("a", &sender) && is_taken(" ", &sender));
    }
}
