//! Lines that arrive on stdin while a sign-in waits: a redirect URL, pasted or piped.

use std::io::{BufRead as _, Read as _};

use tokio::sync::mpsc;

use super::terminal::Hidden;

/// No redirect URL is longer, in bytes.
const LONGEST: u64 = 256 * 1024;

/// The lines of stdin, none of them shown.
pub struct Paste {
    lines: mpsc::Receiver<String>,
    _hidden: Option<Hidden>,
}

impl Paste {
    /// Starts reading. Where stdin cannot be read without harm, no line ever comes.
    pub fn start() -> Self {
        let (sender, lines) = mpsc::channel(1);
        let hidden = Hidden::new();
        if hidden.is_some() {
            // Not a task: a read of stdin cannot be given up, and must not keep the program from ending.
            std::thread::spawn(move || read(&sender));
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

fn read(lines: &mpsc::Sender<String>) {
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match stdin.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        if !text.is_empty() && lines.blocking_send(text.to_owned()).is_err() {
            return;
        }
    }
}
