//! Standard output and standard error, which may have a reader that does not read: a pipe, a
//! stopped terminal. What is written waits for him, but not longer than the end may take.

use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, major, minor};
use nix::unistd::{Whence, ftruncate, getpgrp, lseek, tcgetpgrp, write};

use crate::output::buffer::Taker;
use crate::output::status::Status;
use crate::system::stop::Stop;
use crate::system::sys;

/// How often the end is looked for while there is no room, in milliseconds.
const TICK_MS: u8 = 50;

/// A stream that may have no room: standard output, standard error, or what stands for them.
#[derive(Debug)]
pub(crate) struct Stream {
    fd: OwnedFd,
    /// The same pipe or terminal, opened another time so that writing to it does not wait: the flag
    /// belongs to all who have the first descriptor.
    own: Option<OwnedFd>,
    /// That was not to be had: writing waits where there is not enough room.
    may_wait: bool,
    /// How long a reader is waited for, if not until the end.
    patience: Option<Duration>,
    stop: Stop,
}

impl Stream {
    /// Waits for a reader until `stop` is overdue.
    pub(crate) fn new(fd: OwnedFd, stop: Stop) -> Self {
        let patience = None;
        let Ok(stat) = fstat(&fd) else {
            return Self { fd, own: None, may_wait: false, patience, stop };
        };
        let is = |kind| kind_of(&stat) == kind;
        // Files, and devices that are no terminals, always have room.
        let can_be_opened = is(SFlag::S_IFIFO) || is_terminal(fd.as_fd(), &stat);
        let own = can_be_opened.then(|| open_again(fd.as_fd(), &stat)).flatten();
        let may_wait = own.is_none() && (can_be_opened || is(SFlag::S_IFSOCK));
        Self { fd, own, may_wait, patience, stop }
    }

    /// The same, which waits so long at most.
    pub(crate) fn waiting_at_most(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// How many columns and lines the terminal has, if it is one.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        self.fd.is_terminal().then(|| sys::window_size(self.fd.as_fd()))
    }

    /// Is it a pipe, or a socket?
    pub(crate) fn has_reader(&self) -> bool {
        let has_one = |stat| [SFlag::S_IFIFO, SFlag::S_IFSOCK].contains(&kind_of(&stat));
        fstat(&self.fd).is_ok_and(has_one)
    }

    /// Is it a terminal, and this process not in its background?
    pub(crate) fn is_ours(&self) -> bool {
        is_in_foreground(self.fd.as_fd()).unwrap_or(false)
    }

    /// Is it not the terminal of a shell that has this process in its background?
    pub(crate) fn is_ours_or_nobodys(&self) -> bool {
        is_in_foreground(self.fd.as_fd()).unwrap_or(true)
    }

    /// Says how many bytes it took, and why not more.
    pub(crate) fn write(&self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let fd = self.own.as_ref().unwrap_or(&self.fd).as_fd();
        // What a pipe has room for, if it has any.
        let piece = if self.may_wait { PIPE_BUF } else { usize::MAX };
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            if self.may_wait && !self.has_room(fd) {
                return (written, Some(nobody_reads()));
            }
            match write(fd, &rest[..rest.len().min(piece)]) {
                Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
                Ok(len) => written += len,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if self.has_room(fd) => {}
                Err(Errno::EAGAIN) => return (written, Some(nobody_reads())),
                Err(error) => return (written, Some(error.into())),
            }
        }
        (written, None)
    }

    /// Waits until there is room, or an error is; `false` when there was no more time for that.
    fn has_room(&self, fd: BorrowedFd<'_>) -> bool {
        let end = self.patience.map(|patience| Instant::now() + patience);
        let is_over = || self.stop.is_overdue() || end.is_some_and(|end| Instant::now() >= end);
        loop {
            let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
            match poll(&mut fds, PollTimeout::from(TICK_MS)) {
                Ok(0) | Err(Errno::EINTR) if is_over() => return false,
                Ok(0) | Err(Errno::EINTR) => {}
                _ => return true,
            }
        }
    }
}

/// Rows, which may go to the terminal that has a line of status.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) to: Arc<Stream>,
    pub(crate) status: Status,
}

impl Taker for Rows {
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        if !bytes.is_empty() {
            self.status.clear();
        }
        self.to.write(bytes)
    }

    /// No half a line stays at the end of a file on a full disk; where it is something else, or
    /// somebody has written after it, it cannot be taken back.
    fn take_back(&mut self, bytes: usize) {
        let Ok(end) = lseek(&self.to.fd, 0, Whence::SeekCur) else { return };
        let is_end = fstat(&self.to.fd).is_ok_and(|stat| stat.st_size == end);
        if is_end && bytes > 0 {
            let cut = end - i64::try_from(bytes).unwrap_or(0);
            let back = |()| lseek(&self.to.fd, cut, Whence::SeekSet);
            // What cannot be cut stays.
            let _ = ftruncate(&self.to.fd, cut).and_then(back);
        }
    }

    fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(self.to.fd.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok()
            && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
    }
}

/// Has this process the terminal, not another job of the shell? None where it is no terminal of theirs.
pub(crate) fn is_in_foreground(terminal: BorrowedFd<'_>) -> Option<bool> {
    tcgetpgrp(terminal).ok().map(|group| group == getpgrp())
}

fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// The master's side of pseudo-terminals makes a new one each time that it is opened.
fn is_terminal(fd: BorrowedFd<'_>, stat: &FileStat) -> bool {
    let is_master = (major(stat.st_rdev), minor(stat.st_rdev)) == (5, 2);
    fd.is_terminal() && !is_master
}

fn open_again(fd: BorrowedFd<'_>, stat: &FileStat) -> Option<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let own = open(path.as_str(), flags, Mode::empty()).ok()?;
    let again = fstat(&own).ok()?;
    ((again.st_dev, again.st_ino) == (stat.st_dev, stat.st_ino)).then_some(own)
}

fn nobody_reads() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "nobody reads it")
}
