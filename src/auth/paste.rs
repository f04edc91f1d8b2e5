//! Reads pasted lines from stdin without echo, because a redirect URL contains tokens.
//!
//! The rpassword crate can't be used: it leaves the terminal in canonical mode, which truncates
//! lines at 1,024 bytes (macOS) or 4,096 bytes (Linux), and a redirect URL may be longer.

use std::io::{self, BufRead as _};

use tokio::sync::mpsc;

/// Reads lines from stdin. Terminal echo stays off until this value is dropped.
pub struct Lines {
    lines: mpsc::Receiver<String>,
    _hidden: Option<terminal::Hidden>,
}

impl Lines {
    pub fn read() -> Self {
        let (sender, lines) = mpsc::channel(1);
        let hidden = terminal::hide();
        if hidden.is_ok() {
            // Use a thread instead of an async task, because a blocked read can't be canceled.
            let thread = std::thread::Builder::new().name("stdin".into());
            let _ = thread.spawn(move || read_lines(&sender));
        }
        Self {
            lines,
            _hidden: hidden.ok().flatten(),
        }
    }

    /// Returns the next line that is not blank, or `None` at the end of stdin.
    pub async fn next(&mut self) -> Option<String> {
        self.lines.recv().await
    }
}

/// Reads one line from stdin. Turns off terminal echo before it calls `prompt`.
pub async fn read_secret_line(prompt: impl FnOnce()) -> Option<String> {
    let mut lines = Lines::read();
    prompt();
    lines.next().await
}

fn read_lines(lines: &mpsc::Sender<String>) {
    let mut line = Vec::new();
    let send = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(&std::mem::take(line)).into_owned();
        text.trim().is_empty() || lines.blocking_send(text).is_ok()
    };
    while terminal::wait_for_input(lines) {
        let mut stdin = io::stdin().lock();
        let bytes = stdin.fill_buf().unwrap_or_default().to_vec();
        stdin.consume(bytes.len());
        if bytes.is_empty() {
            send(&mut line);
            return;
        }
        for byte in bytes {
            match byte {
                b'\n' | b'\r' if !send(&mut line) => return,
                // Handle backspace here, because the terminal does so only in canonical mode.
                0x08 | 0x7f => drop(line.pop()),
                byte if byte.is_ascii_control() => {}
                byte => line.push(byte),
            }
        }
    }
}

#[cfg(unix)]
mod terminal {
    use std::io::{self, IsTerminal as _};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
    };
    use tokio::sync::mpsc;

    /// The terminal settings to restore when this value is dropped.
    pub struct Hidden(Termios);

    /// Turns off echo and canonical mode if stdin is a terminal. Fails in a background process,
    /// because changing the terminal's settings would suspend that process.
    pub fn hide() -> io::Result<Option<Hidden>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        if tcgetpgrp(&stdin)? != rustix::process::getpgrp() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let before = tcgetattr(&stdin)?;
        let mut hidden = before.clone();
        let modes = LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON;
        hidden.local_modes.remove(modes);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
        Ok(Some(Hidden(before)))
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // `Flush` discards unread input, so that the rest of a pasted URL does not reach the
            // shell.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        }
    }

    /// Waits for input. Returns `false` if the receiver of `lines` was dropped: the input may then
    /// be meant for a later prompt.
    pub fn wait_for_input(lines: &mpsc::Sender<String>) -> bool {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        let stdin = io::stdin();
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        let mut wait = || matches!(poll(&mut ready, Some(&timeout)), Ok(0));
        while !lines.is_closed() && wait() {}
        !lines.is_closed()
    }
}

#[cfg(windows)]
mod terminal {
    use std::io;

    use tokio::sync::mpsc;
    use windows_sys::Win32::System::Console::{
        ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, GetConsoleMode, GetStdHandle, STD_INPUT_HANDLE,
        SetConsoleMode,
    };

    /// The console mode to restore when this value is dropped.
    pub struct Hidden(u32);

    /// Turns off echo and line input if stdin is a console.
    #[expect(unsafe_code, reason = "the standard library cannot set console modes")]
    pub fn hide() -> io::Result<Option<Hidden>> {
        let mut before = 0;
        // SAFETY: these functions return an error for a handle that is not a console.
        let is_hidden = unsafe {
            let console = GetStdHandle(STD_INPUT_HANDLE);
            GetConsoleMode(console, &raw mut before) != 0
                && SetConsoleMode(console, before & !(ENABLE_ECHO_INPUT | ENABLE_LINE_INPUT)) != 0
        };
        Ok(is_hidden.then_some(Hidden(before)))
    }

    impl Drop for Hidden {
        #[expect(unsafe_code, reason = "the standard library cannot set console modes")]
        fn drop(&mut self) {
            // SAFETY: these functions return an error for a handle that is not a console.
            unsafe { SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), self.0) };
        }
    }

    /// Does not wait, because the read that follows blocks until there is input.
    pub fn wait_for_input(lines: &mpsc::Sender<String>) -> bool {
        !lines.is_closed()
    }
}
