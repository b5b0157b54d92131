//! Events as they come: from the ring to the report.

use std::cell::RefCell;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use libbpf_rs::{ErrorKind, Map, Object, RingBufferBuilder};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use plain::Plain;

use crate::cgroups::Containers;
use crate::decode::Record;
use crate::ending::Ending;
use crate::error::{Context as _, Error, Result};
use crate::hooks::{self, Attached};
use crate::render::{Column, Lines};
use crate::report::Report;

/// How long an event may wait in the ring before the reader looks.
const TICK: Duration = Duration::from_millis(50);
/// How often lost events are told of, and what is attached is looked after.
const SECOND: Duration = Duration::from_secs(1);
/// Under a flood the ring never gets empty: go back to the loop after so many events.
const BATCH: u32 = 4096;

/// Reads until the end is reached, detaches, reads what is left, and closes the accounts.
pub(crate) fn events<E: Plain, A: Attached>(
    object: &Object,
    mut attached: A,
    columns: &[&Column<E>],
    wanted: impl Fn(&Record<'_, E>) -> bool,
    mut report: Report,
    mut ending: Ending,
) -> Result<()> {
    let lines = report.lines("event", columns);
    let containers = columns.iter().any(|column| column.key == "container");
    let containers = if containers { Containers::find() } else { Containers::default() };
    let reader = Reader { lines, wanted, containers, report, batch: 0, broken: None };
    let reader = RefCell::new(reader);
    let map = hooks::map(object, "events")?;
    let mut builder = RingBufferBuilder::new();
    builder.add(&map, |bytes| reader.borrow_mut().take(bytes)).doing("reading events")?;
    let ring = builder.build().doing("reading events")?;
    let mut filled = Filled::new(&map)?;

    let mut second = Instant::now() + SECOND;
    while !ending.reached() && !reader.borrow_mut().is_done() {
        if reader.borrow().batch < BATCH {
            filled.wait(TICK)?;
        }
        reader.borrow_mut().batch = 0;
        pass(ring.consume())?;
        let mut reader = reader.borrow_mut();
        reader.report.flush();
        if Instant::now() >= second {
            second = Instant::now() + SECOND;
            reader.report.lost(object)?;
            attached.refresh(object)?;
        }
    }
    drop(attached);
    while !reader.borrow_mut().is_done() {
        reader.borrow_mut().batch = 0;
        pass(ring.consume())?;
        if reader.borrow().batch == 0 {
            break;
        }
    }
    drop(ring);
    reader.into_inner().finish(object)
}

/// A signal and a full batch are no errors.
fn pass(result: libbpf_rs::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error).doing("reading events"),
        _ => Ok(()),
    }
}

/// Tells when the kernel side has filled a good part of the ring; it does not wake the reader for
/// less. Edge-triggered: that there is something in the ring is no news.
struct Filled(Epoll);

impl Filled {
    fn new(ring: &Map<'_>) -> Result<Self> {
        let doing = "reading events";
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).doing(doing)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
        epoll.add(ring.as_fd(), event).doing(doing)?;
        Ok(Self(epoll))
    }

    fn wait(&mut self, at_most: Duration) -> Result<()> {
        let timeout = EpollTimeout::try_from(at_most).unwrap_or(EpollTimeout::ZERO);
        match self.0.wait(&mut [EpollEvent::empty()], timeout) {
            Err(error) if error != Errno::EINTR => Err(error).doing("reading events"),
            _ => Ok(()),
        }
    }
}

/// What the ring's callback works on. The callback runs inside C, so it must not panic, and an
/// error has to wait here.
struct Reader<'a, E, W> {
    lines: Lines<'a, E>,
    wanted: W,
    containers: Containers,
    report: Report,
    batch: u32,
    broken: Option<Error>,
}

impl<E: Plain, W: Fn(&Record<'_, E>) -> bool> Reader<'_, E, W> {
    /// Returns 0, or -EINTR to go back to the loop.
    fn take(&mut self, bytes: &[u8]) -> i32 {
        match Record::new(bytes) {
            Some(record) if !(self.wanted)(&record) => self.report.reject(1),
            Some(mut record) => {
                record.container = self.containers.of(record.header.cgroup_id);
                self.report.row(&self.lines, &record, 1);
            }
            None => {
                let cause = format!("a record of {} bytes is not one of this tool", bytes.len());
                self.broken = Some(Error::new("decoding an event", cause));
            }
        }
        self.batch += 1;
        if self.batch >= BATCH || self.broken.is_some() { -(Errno::EINTR as i32) } else { 0 }
    }

    fn is_done(&mut self) -> bool {
        self.broken.is_some() || self.report.has_failed()
    }

    fn finish(self, object: &Object) -> Result<()> {
        let result = self.report.finish(object);
        self.broken.map_or(result, Err)
    }
}
