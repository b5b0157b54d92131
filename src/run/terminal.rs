//! A terminal that is drawn on as a whole: its other screen, without a cursor, and keys that come one by
//! one. It is given back as it was, whatever ends the run.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, read, tcgetpgrp};

use crate::output::sink::Stream;

/// The other screen, without a cursor, where long lines do not go on; and all that back.
const TAKE: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const GIVE_BACK: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Until it is dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    to: Arc<Stream>,
    keys: Option<Keys>,
}

/// The keyboard, and how it was.
#[derive(Debug)]
struct Keys {
    from: OwnedFd,
    before: Termios,
}

impl Terminal {
    /// Takes it.
    pub(crate) fn take(to: Arc<Stream>) -> Self {
        let keys = Keys::take();
        let _ = to.write(TAKE.as_bytes());
        Self { to, keys }
    }

    /// Is there a keyboard?
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The keys that were pressed.
    pub(crate) fn keys(&self) -> Vec<u8> {
        let mut keys = [0; 64];
        let read =
            self.keys.as_ref().filter(|own| own.are_ours()).map(|own| read(&own.from, &mut keys));
        keys[..read.and_then(Result::ok).unwrap_or(0)].to_vec()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.to.write(GIVE_BACK.as_bytes());
        if let Some(Keys { from, before }) = self.keys.take() {
            let _ = tcsetattr(from, SetArg::TCSADRAIN, &before);
        }
    }
}

impl Keys {
    /// Standard input, if it is a terminal that belongs to this process.
    fn take() -> Option<Self> {
        let from = io::stdin().as_fd().try_clone_to_owned().ok()?;
        let before = tcgetattr(&from).ok()?;
        let keys = Self { from, before };
        keys.are_ours().then_some(())?;
        let mut now = keys.before.clone();
        // Keys come at once, and are not shown; a read does not wait for one. Ctrl-C is a signal still.
        now.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        now.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        now.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        // The shell that comes after Ctrl-Z would be on the wrong screen.
        now.control_chars[SpecialCharacterIndices::VSUSP as usize] = 0;
        tcsetattr(&keys.from, SetArg::TCSADRAIN, &now).ok()?;
        Some(keys)
    }

    /// Who is in the background of a terminal may neither read it nor change it.
    fn are_ours(&self) -> bool {
        tcgetpgrp(&self.from).is_ok_and(|group| group == getpgrp())
    }
}
