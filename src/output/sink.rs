//! Standard output and standard error, which may have a reader that does not read: a pipe, a
//! stopped terminal. What is written waits for him, but not longer than the end may take.

use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, major, minor};
use nix::unistd::write;

use crate::run::signals;

/// How often the end is looked for while there is no room, in milliseconds.
const TICK_MS: u8 = 50;

static OUT: OnceLock<Option<Sink>> = OnceLock::new();
static ERR: OnceLock<Option<Sink>> = OnceLock::new();

/// Opens both, while this process still may.
pub(crate) fn open_both() {
    OUT.get_or_init(|| Sink::of(io::stdout().as_fd()));
    ERR.get_or_init(|| Sink::of(io::stderr().as_fd()));
}

/// Writes to standard output: says how many bytes it took, and why not more.
pub(crate) fn write_out(bytes: &[u8]) -> (usize, Option<io::Error>) {
    write_to(&OUT, io::stdout().as_fd(), bytes)
}

/// The same for standard error.
pub(crate) fn write_err(bytes: &[u8]) -> (usize, Option<io::Error>) {
    write_to(&ERR, io::stderr().as_fd(), bytes)
}

fn write_to(
    sink: &OnceLock<Option<Sink>>,
    standard: BorrowedFd<'_>,
    bytes: &[u8],
) -> (usize, Option<io::Error>) {
    match sink.get_or_init(|| Sink::of(standard)) {
        Some(Sink { own, may_wait }) => {
            let fd = own.as_ref().map_or(standard, |own| own.as_fd());
            write_all(fd, bytes, *may_wait)
        }
        None => write_all(standard, bytes, false),
    }
}

/// A stream that may have no room.
#[derive(Debug)]
struct Sink {
    /// The same pipe or terminal, opened another time so that writing to it does not wait: the flag
    /// belongs to all who have the first descriptor.
    own: Option<OwnedFd>,
    /// That was not to be had: writing waits where there is not enough room.
    may_wait: bool,
}

impl Sink {
    /// `None` for what always has room: files, and devices that are no terminals.
    fn of(standard: BorrowedFd<'_>) -> Option<Self> {
        let stat = fstat(standard).ok()?;
        let is = |kind: SFlag| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == kind;
        let can_be_opened = is(SFlag::S_IFIFO) || is_terminal(standard, &stat);
        let own = can_be_opened.then(|| open_again(standard, &stat)).flatten();
        let may_wait = own.is_none();
        (can_be_opened || is(SFlag::S_IFSOCK)).then_some(Self { own, may_wait })
    }
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

fn write_all(fd: BorrowedFd<'_>, bytes: &[u8], may_wait: bool) -> (usize, Option<io::Error>) {
    // What a pipe has room for, if it has any.
    let piece = if may_wait { PIPE_BUF } else { usize::MAX };
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        if may_wait && !has_room(fd) {
            return (written, Some(nobody_reads()));
        }
        match write(fd, &rest[..rest.len().min(piece)]) {
            Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
            Ok(len) => written += len,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if has_room(fd) => {}
            Err(Errno::EAGAIN) => return (written, Some(nobody_reads())),
            Err(error) => return (written, Some(error.into())),
        }
    }
    (written, None)
}

/// Waits until there is room, or an error is; `false` when there was no more time for that.
fn has_room(fd: BorrowedFd<'_>) -> bool {
    loop {
        let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
        match poll(&mut fds, PollTimeout::from(TICK_MS)) {
            Ok(0) | Err(Errno::EINTR) if signals::are_overdue() => return false,
            Ok(0) | Err(Errno::EINTR) => {}
            _ => return true,
        }
    }
}

fn nobody_reads() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "nobody reads it, and the end was asked for")
}
