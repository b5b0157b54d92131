//! Standard output: written in large pieces, and the accounts of what got through.

use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Pieces of this size are written at once.
const PIECE: usize = 1 << 16;

/// Collects lines and writes them to standard output.
#[derive(Debug, Default)]
pub(crate) struct Output {
    lines: Vec<u8>,
    /// Events in `lines`.
    waiting: u64,
    /// Events that were written.
    delivered: u64,
    failure: Option<io::Error>,
}

impl Output {
    /// Adds what `write` appends: whole lines that carry `events` events.
    pub(crate) fn lines(&mut self, events: u64, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.lines);
        self.waiting += events;
        if self.lines.len() >= PIECE {
            self.flush();
        }
    }

    /// Writes what there is. After a failure nothing more is written.
    pub(crate) fn flush(&mut self) {
        if self.failure.is_none() && !self.lines.is_empty() {
            let mut out = io::stdout().lock();
            match out.write_all(&self.lines).and_then(|()| out.flush()) {
                Ok(()) => self.delivered += self.waiting,
                Err(error) => self.failure = Some(error),
            }
        }
        self.lines.clear();
        self.waiting = 0;
    }

    /// Events that were written.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Why nothing more can be written; a closed pipe is found even while there is nothing to write.
    pub(crate) fn failure(&mut self) -> Option<&io::Error> {
        if self.failure.is_none() {
            let out = io::stdout();
            let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
            let closed = poll(&mut fds, PollTimeout::ZERO).is_ok()
                && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
            if closed {
                self.failure = Some(ErrorKind::BrokenPipe.into());
            }
        }
        self.failure.as_ref()
    }
}
