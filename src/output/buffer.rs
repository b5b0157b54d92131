//! Standard output: written in large pieces, and the accounts of what got through.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;
use nix::unistd::{Whence, ftruncate, lseek};

use crate::output::sink;

/// Pieces of this size are written at once.
const PIECE: usize = 1 << 16;

/// What takes bytes.
pub(crate) trait Taker: Debug {
    /// Says how many it took, and why not more.
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>);

    /// So many of the last ones are half a line: they should not stay.
    fn take_back(&mut self, bytes: usize);

    /// Is nobody there any more?
    fn is_closed(&self) -> bool;
}

/// Collects lines and writes them to standard output.
#[derive(Debug)]
pub(crate) struct Output {
    taker: Box<dyn Taker>,
    lines: Vec<u8>,
    /// Where in `lines` each row ends, and how many events it stands for.
    rows: Vec<(usize, u64)>,
    /// Events that were written.
    delivered: u64,
    /// Events that could not be.
    unwritten: u64,
    failure: Option<io::Error>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self::to(Box::new(Standard))
    }

    pub(crate) fn to(taker: Box<dyn Taker>) -> Self {
        let (lines, rows, delivered, unwritten, failure) = (Vec::new(), Vec::new(), 0, 0, None);
        Self { taker, lines, rows, delivered, unwritten, failure }
    }

    /// Adds what `write` appends: whole lines that carry `events` events; nothing for events that
    /// are delivered without a line of their own.
    pub(crate) fn lines(&mut self, events: u64, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.lines);
        self.rows.push((self.lines.len(), events));
        if self.lines.len() >= PIECE {
            self.flush();
        }
    }

    /// Writes what there is. After a failure nothing more is written.
    pub(crate) fn flush(&mut self) {
        let sum = |rows: &[(usize, u64)]| rows.iter().map(|(_, events)| events).sum::<u64>();
        if self.failure.is_some() {
            self.unwritten += sum(&self.rows);
        } else {
            let (written, failure) = self.taker.write(&self.lines);
            let whole = self.rows.partition_point(|(end, _)| *end <= written);
            let (whole, rest) = self.rows.split_at(whole);
            self.delivered += sum(whole);
            self.unwritten += sum(rest);
            if failure.is_some() {
                self.taker.take_back(written - whole.last().map_or(0, |(end, _)| *end));
            }
            self.failure = failure;
        }
        self.lines.clear();
        self.rows.clear();
    }

    /// Events that could not be written.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// Events that were written.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Why nothing more can be written; a closed pipe is found even while there is nothing to
    /// write.
    pub(crate) fn failure(&mut self) -> Option<&io::Error> {
        if self.failure.is_none() && self.taker.is_closed() {
            self.failure = Some(ErrorKind::BrokenPipe.into());
        }
        self.failure.as_ref()
    }
}

/// Standard output.
#[derive(Debug)]
struct Standard;

impl Taker for Standard {
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        sink::write_out(bytes)
    }

    /// No half a line stays at the end of a file on a full disk; where standard output is something
    /// else, or somebody has written after it, it cannot be taken back.
    fn take_back(&mut self, bytes: usize) {
        let out = io::stdout();
        let Ok(end) = lseek(out.as_fd(), 0, Whence::SeekCur) else { return };
        let is_end = fstat(out.as_fd()).is_ok_and(|stat| stat.st_size == end);
        if is_end && bytes > 0 {
            let cut = end - i64::try_from(bytes).unwrap_or(0);
            let back = |()| lseek(out.as_fd(), cut, Whence::SeekSet);
            // What cannot be cut stays.
            let _ = ftruncate(out.as_fd(), cut).and_then(back);
        }
    }

    fn is_closed(&self) -> bool {
        let out = io::stdout();
        let mut fds = [PollFd::new(out.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok()
            && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
    }
}
