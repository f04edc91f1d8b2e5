//! A terminal that does not show what is pasted into it, and takes lines of any length.

use std::io::IsTerminal as _;

/// Hides typed and pasted characters while it lives; the terminal is as it was when it is dropped, on every way out.
pub struct EchoOff {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
    /// A console shows nothing by itself of what is read key by key.
    #[cfg(windows)]
    pub console: Option<console::Term>,
}

impl EchoOff {
    /// Hides what is typed on stdin. `None` if stdin is a terminal that must be left alone: this process is in the
    /// background, and would be stopped for touching it. On Windows, it is not a console.
    pub fn new() -> Option<Self> {
        if !std::io::stdin().is_terminal() {
            return Some(Self {
                #[cfg(unix)]
                before: None,
                #[cfg(windows)]
                console: None,
            });
        }
        Self::of_terminal()
    }

    #[cfg(unix)]
    fn of_terminal() -> Option<Self> {
        /// No key: `_POSIX_VDISABLE`.
        const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

        use rustix::termios::{
            LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcgetpgrp, tcsetattr,
        };

        let stdin = std::io::stdin();
        if tcgetpgrp(&stdin).ok()? != rustix::process::getpgrp() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut hidden = before.clone();
        // A canonical line ends at 4,096 bytes, and a redirect URL may be longer. Signals stay as they were.
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Ctrl-\ would end the program, and Ctrl-Z stop it, before it can turn the echo on again.
        hidden.special_codes[SpecialCodeIndex::VQUIT] = DISABLED;
        hidden.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        #[cfg(target_os = "macos")]
        {
            hidden.special_codes[SpecialCodeIndex::VDSUSP] = DISABLED;
        }
        tcsetattr(&stdin, OptionalActions::Now, &hidden).ok()?;
        Some(Self { before: Some(before) })
    }

    #[cfg(windows)]
    fn of_terminal() -> Option<Self> {
        // Each of them reads from stdin; the one that is no console would not.
        let mut either = [console::Term::stderr(), console::Term::stdout()].into_iter();
        either.find(console::Term::is_term).map(|console| Self { console: Some(console) })
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            // What of the paste was not read must not reach the shell.
            let _ =
                rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Flush, before);
        }
    }
}
