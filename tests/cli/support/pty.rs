//! A terminal with the program in its foreground.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::termios::{Termios, Winsize};

use super::run::Stream;

/// A terminal. Its other end stays open, so that the modes that the program leaves are seen.
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

    /// The same with a terminal of this width.
    pub fn sized(mut command: Command, columns: u16) -> Self {
        let pty = rustix_openpty::openpty(None, Some(&size(columns))).expect("a terminal");
        let end = || pty.user.try_clone().expect("a second handle");
        command.stdin(end()).stdout(end()).stderr(end());
        let become_controlling = || {
            rustix::process::setsid()?;
            Ok(rustix::process::ioctl_tiocsctty(std::io::stdin())?)
        };
        // SAFETY: there are only two system calls between fork and exec.
        #[expect(
            unsafe_code,
            reason = "the only way to a controlling terminal in a child"
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

    /// Waits until this text is on the screen, and returns the screen.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        self.screen.holds(text)
    }

    pub fn screen(&self) -> String {
        self.screen.holds("")
    }

    pub fn resize(&self, columns: u16) {
        rustix::termios::tcsetwinsize(&self.user, size(columns)).expect("another size");
    }

    pub fn types(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).expect("the keys are taken");
    }

    pub fn modes(&self) -> Termios {
        rustix::termios::tcgetattr(&self.user).expect("modes")
    }

    /// The number of bytes that were typed and not read.
    pub fn unread(&self) -> u64 {
        rustix::io::ioctl_fionread(self.user.as_fd()).expect("a count")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program's end, and returns its exit status.
    #[track_caller]
    pub fn end(&mut self) -> Option<i32> {
        let late = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code();
            }
            assert!(
                Instant::now() < late,
                "the program does not end: {}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The screen after a command, on a terminal of this width.
pub fn seen(ours: &Command, columns: u16) -> String {
    // The shell prints a mark after everything else.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$@\"; echo \"=$?=\"", "sh"])
        .arg(ours.get_program())
        .args(ours.get_args())
        .env_clear();
    for (name, value) in ours
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
    {
        shell.env(name, value);
    }
    shell
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env("BROWSER", "none");
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

/// The lines of the final screen. Nothing wraps here.
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
