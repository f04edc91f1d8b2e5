//! Runs the program in the foreground of a pseudoterminal.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::termios::{Termios, Winsize};

use super::run::{Stream, by_shell};

/// A pseudoterminal that outlives its program, so that tests can check that its modes are restored.
pub struct Terminal {
    keyboard: File,
    user: OwnedFd,
    screen: Arc<Stream>,
    child: Child,
}

impl Terminal {
    /// Starts a command with a new terminal of 80 columns as its stdin, stdout and stderr.
    pub fn start(mut command: Command) -> Self {
        command.env("TERM", "dumb");
        Self::sized(command, 80)
    }

    pub fn sized(mut command: Command, columns: u16) -> Self {
        let pty = rustix_openpty::openpty(None, Some(&size(columns))).expect("a terminal");
        let end = || pty.user.try_clone().expect("a second handle");
        command.stdin(end()).stdout(end()).stderr(end());
        let become_controlling = || {
            rustix::process::setsid()?;
            Ok(rustix::process::ioctl_tiocsctty(std::io::stdin())?)
        };
        // SAFETY: between fork and exec, the closure makes two system calls and nothing else.
        #[expect(
            unsafe_code,
            reason = "the only way to give a child a controlling terminal"
        )]
        let command = unsafe { command.pre_exec(become_controlling) };
        let child = command.spawn().expect("the program starts");
        let keyboard = File::from(pty.controller);
        let screen = Stream::gather(keyboard.try_clone().expect("a second handle"));
        Self {
            keyboard,
            user: pty.user,
            screen,
            child,
        }
    }

    /// Waits for this text on the screen and returns all output so far.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        self.screen.holds(text)
    }

    pub fn screen(&self) -> String {
        self.screen.holds("")
    }

    pub fn types(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).expect("the input is sent");
    }

    pub fn modes(&self) -> Termios {
        rustix::termios::tcgetattr(&self.user).expect("terminal modes")
    }

    /// Returns the number of typed bytes that no program has read.
    pub fn unread(&self) -> u64 {
        rustix::io::ioctl_fionread(self.user.as_fd()).expect("a count")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program to exit and returns its status.
    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        let late = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code();
            }
            assert!(Instant::now() < late, "still running: {}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs a command on a terminal of this width and returns the final screen.
pub fn seen(ours: &Command, columns: u16) -> String {
    // Print the exit status between two `=` after the command's output.
    let mut shell = by_shell(ours, r#""$0" "$@"; echo "=$?="; exit"#);
    shell.env("TERM", "xterm").env("NO_COLOR", "1");
    let mut terminal = Terminal::sized(shell, columns);
    let screen = terminal.shows("=\r\n");
    terminal.end();
    drawn(&screen).join("\n")
}

fn size(columns: u16) -> Winsize {
    Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// Interprets escape sequences and returns the final screen lines. Does not wrap long lines.
fn drawn(written: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0usize, 0usize);
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        match c {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                let mut far = String::new();
                let last = rest.by_ref().skip(1).find(|c| {
                    far.extend(c.is_ascii_digit().then_some(*c));
                    c.is_ascii_alphabetic()
                });
                match last {
                    Some('A') => row = row.saturating_sub(far.parse().unwrap_or(1)),
                    Some('K') => lines
                        .get_mut(row)
                        .into_iter()
                        .for_each(|line| line.truncate(column)),
                    Some('J') => {
                        lines.truncate(row + 1);
                        lines[row].truncate(column);
                    }
                    _ => {}
                }
            }
            c => {
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    lines
        .iter()
        .map(|line| line.iter().collect::<String>().trim_end().to_owned())
        .collect()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
