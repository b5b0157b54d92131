//! A terminal that is drawn on as a whole: its other screen, without a cursor, and keys that come one by
//! one. It is given back as it was, whatever ends the run.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    FlowArg, FlushArg, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcflow, tcflush,
    tcgetattr, tcsetattr,
};
use nix::unistd::read;

use crate::output::sink::{self, Stream};

/// The other screen, without a cursor, where long lines do not go on; and all that back. A terminal that
/// has no other screen is left empty.
const TAKE: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const GIVE_BACK: &str = "\x1b[H\x1b[J\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Until it is dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    to: Arc<Stream>,
    keyboard: Option<Keyboard>,
}

/// The keyboard, and how it was.
#[derive(Debug)]
struct Keyboard {
    from: OwnedFd,
    before: Termios,
}

impl Terminal {
    /// Takes it.
    pub(crate) fn take(to: Arc<Stream>) -> Self {
        let keyboard = Keyboard::take();
        let _ = to.write(TAKE.as_bytes());
        Self { to, keyboard }
    }

    /// Is there a keyboard?
    pub(crate) fn has_keys(&self) -> bool {
        self.keyboard.is_some()
    }

    /// The keys that were pressed, and whether somebody else has had the terminal meanwhile.
    pub(crate) fn keys(&mut self) -> (Vec<u8>, bool) {
        match &self.keyboard {
            Some(keyboard) => (keyboard.keys(), keyboard.set()),
            // It was in the background before.
            None => {
                self.keyboard = Keyboard::take();
                (Vec::new(), self.has_keys())
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let keyboard = self.keyboard.take().filter(Keyboard::is_ours);
        if let Some(Keyboard { from, .. }) = &keyboard {
            // After Ctrl-S it would wait.
            let _ = tcflow(from, FlowArg::TCOON);
        }
        let _ = self.to.write(GIVE_BACK.as_bytes());
        if let Some(Keyboard { from, before }) = &keyboard {
            // What is still there was meant for this process.
            let _ = tcflush(from, FlushArg::TCIFLUSH);
            let _ = tcsetattr(from, SetArg::TCSANOW, before);
        }
    }
}

impl Keyboard {
    /// Standard input, if it is a terminal that belongs to this process.
    fn take() -> Option<Self> {
        let from = io::stdin().as_fd().try_clone_to_owned().ok()?;
        let before = tcgetattr(&from).ok()?;
        let keyboard = Self { from, before };
        keyboard.is_ours().then(|| keyboard.set())?;
        Some(keyboard)
    }

    /// Who is in the background of a terminal may neither read it nor change it.
    fn is_ours(&self) -> bool {
        sink::is_in_foreground(self.from.as_fd()).unwrap_or(false)
    }

    /// Has keys come at once, where they do not: a shell has had it. They are not shown, and only Ctrl-C
    /// is a signal: what comes after another one would be on the wrong screen.
    fn set(&self) -> bool {
        let now = tcgetattr(&self.from).ok().filter(|_| self.is_ours());
        let Some(mut now) = now.filter(|now| now.local_flags.contains(LocalFlags::ICANON)) else {
            return false;
        };
        now.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        for (character, value) in NOW {
            now.control_chars[character as usize] = value;
        }
        tcsetattr(&self.from, SetArg::TCSANOW, &now).is_ok()
    }

    /// Those that are there: nothing is waited for, however the terminal is set.
    fn keys(&self) -> Vec<u8> {
        let mut keys = [0; 1024];
        let mut fds = [PollFd::new(self.from.as_fd(), PollFlags::POLLIN)];
        let is_there = self.is_ours() && poll(&mut fds, PollTimeout::ZERO) == Ok(1);
        let read = if is_there { read(&self.from, &mut keys) } else { Ok(0) };
        keys[..read.unwrap_or(0)].to_vec()
    }
}

/// A read has what is there; no key stops or quits.
const NOW: [(SpecialCharacterIndices, u8); 4] = [
    (SpecialCharacterIndices::VMIN, 0),
    (SpecialCharacterIndices::VTIME, 0),
    (SpecialCharacterIndices::VSUSP, 0),
    (SpecialCharacterIndices::VQUIT, 0),
];
