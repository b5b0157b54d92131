//! Rows: written in large pieces, and the accounts of what got through.

use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use crate::system::lock::locked;

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

    /// May it take more after an error? Else the run ends by it.
    fn recovers(&self) -> bool {
        false
    }
}

/// One that somebody else looks after while a run writes to it.
pub(crate) type Shared = Arc<Mutex<dyn Taker + Send>>;

impl Taker for Shared {
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        locked(self).write(bytes)
    }

    fn take_back(&mut self, bytes: usize) {
        locked(self).take_back(bytes);
    }

    fn is_closed(&self) -> bool {
        locked(self).is_closed()
    }

    fn recovers(&self) -> bool {
        locked(self).recovers()
    }
}

/// Collects lines and writes them.
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

    /// Writes what there is; was that all of it? After a failure that stays nothing more is written.
    pub(crate) fn flush(&mut self) -> bool {
        let sum = |rows: &[(usize, u64)]| rows.iter().map(|(_, events)| events).sum::<u64>();
        let mut is_all = self.rows.is_empty();
        if self.failure.is_some() {
            self.unwritten += sum(&self.rows);
        } else {
            let (written, failure) = self.taker.write(&self.lines);
            let whole = self.rows.partition_point(|(end, _)| *end <= written);
            let (whole, rest) = self.rows.split_at(whole);
            is_all = rest.is_empty();
            self.delivered += sum(whole);
            self.unwritten += sum(rest);
            if failure.is_some() {
                self.taker.take_back(written - whole.last().map_or(0, |(end, _)| *end));
            }
            self.failure = failure.filter(|_| !self.taker.recovers());
        }
        self.lines.clear();
        self.rows.clear();
        is_all
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
