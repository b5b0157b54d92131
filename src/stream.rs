//! Events as they come: from the ring to the report.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use libbpf_rs::{ErrorKind, Map, Object, RingBufferBuilder};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use plain::Plain;

use crate::cgroups::Containers;
use crate::decode::Record;
use crate::ending::{Ending, Intervals};
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

/// What becomes of events.
pub(crate) trait Consumer<E> {
    /// One event. It is called inside C code: it must not panic.
    fn take(&mut self, report: &mut Report, record: Record<'_, E>);

    /// The end of an interval of this length.
    fn interval(&mut self, _: &mut Report, _: Duration) {}
}

/// A line for each event that is wanted.
pub(crate) struct Rows<'a, E, W> {
    lines: Lines<'a, E>,
    wanted: W,
    containers: Containers,
}

impl<'a, E, W: Fn(&Record<'_, E>) -> bool> Rows<'a, E, W> {
    pub(crate) fn new(report: &mut Report, columns: &'a [&'a Column<E>], wanted: W) -> Self {
        let containers = columns.iter().any(|column| column.key == "container");
        let containers = if containers { Containers::find() } else { Containers::default() };
        Self { lines: report.lines("event", columns), wanted, containers }
    }
}

impl<E, W: Fn(&Record<'_, E>) -> bool> Consumer<E> for Rows<'_, E, W> {
    fn take(&mut self, report: &mut Report, record: Record<'_, E>) {
        if !(self.wanted)(&record) {
            return report.reject(1);
        }
        let container = self.containers.of(record.header.cgroup_id);
        report.row(&self.lines, &Record { container, ..record }, 1);
    }
}

/// Reads until the end is reached, detaches, reads what is left, and closes the accounts.
/// Intervals, if there are any, end in between, and the last one at the end.
pub(crate) fn events<E: Plain, A: Attached>(
    object: &Object,
    mut attached: A,
    interval: Option<Duration>,
    consumer: impl Consumer<E>,
    report: Report,
    mut ending: Ending,
) -> Result<()> {
    let reader = Reader { consumer, report, batch: 0, broken: None, event: PhantomData };
    let reader = RefCell::new(reader);
    let map = hooks::map(object, "events")?;
    let mut builder = RingBufferBuilder::new();
    builder.add(&map, |bytes| reader.borrow_mut().take(bytes)).doing("reading events")?;
    let ring = builder.build().doing("reading events")?;
    let mut filled = Filled::new(&map)?;

    let mut second = Instant::now() + SECOND;
    let mut intervals = Intervals::new(ending.began, interval);
    while !ending.reached() && !reader.borrow_mut().is_done() {
        if reader.borrow().batch < BATCH {
            filled.wait(TICK)?;
        }
        reader.borrow_mut().batch = 0;
        pass(ring.consume())?;
        let mut reader = reader.borrow_mut();
        if let Some(length) = intervals.ended() {
            reader.interval(length);
        }
        reader.report.flush();
        if Instant::now() >= second {
            second = Instant::now() + SECOND;
            reader.report.lost(object)?;
            if let Err(error) = attached.refresh(object) {
                reader.broken.get_or_insert(error);
            }
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
    let mut reader = reader.into_inner();
    reader.interval(intervals.rest());
    reader.finish(object)
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
struct Reader<E, C> {
    consumer: C,
    report: Report,
    batch: u32,
    broken: Option<Error>,
    event: PhantomData<E>,
}

impl<E: Plain, C: Consumer<E>> Reader<E, C> {
    /// Returns 0, or -EINTR to go back to the loop.
    fn take(&mut self, bytes: &[u8]) -> i32 {
        match Record::new(bytes) {
            Some(record) => self.consumer.take(&mut self.report, record),
            None => {
                let cause = format!("a record of {} bytes is not one of this tool", bytes.len());
                self.broken = Some(Error::new("decoding an event", cause));
            }
        }
        self.batch += 1;
        if self.batch >= BATCH || self.broken.is_some() { -(Errno::EINTR as i32) } else { 0 }
    }

    fn interval(&mut self, length: Duration) {
        self.consumer.interval(&mut self.report, length);
    }

    fn is_done(&mut self) -> bool {
        self.broken.is_some() || self.report.has_failed()
    }

    fn finish(self, object: &Object) -> Result<()> {
        let result = self.report.finish(object);
        self.broken.map_or(result, Err)
    }
}
