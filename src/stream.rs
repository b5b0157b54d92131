//! Events as they come: from the ring to the report.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::AsFd as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use libbpf_rs::{ErrorKind, Map, Object, RingBuffer, RingBufferBuilder};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use plain::Plain;

use crate::cgroups::Containers;
use crate::decode::Record;
use crate::ending::{Ending, Intervals};
use crate::error::{Context as _, Error, Result};
use crate::hooks::{self, Attached};
use crate::loss::{self, InKernel};
use crate::render::{Column, Lines};
use crate::report::Report;
use crate::signals;

/// How long an event may wait in the ring before the reader looks.
const TICK: Duration = Duration::from_millis(50);
/// How often lost events are told of, and what is attached is looked after.
const SECOND: Duration = Duration::from_secs(1);
/// How long a record at the end may take to be finished, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
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

    /// Is the container of an event shown?
    pub(crate) fn name_containers(&self) -> bool {
        self.containers.are_known()
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

/// Reads until the end is reached, detaches, reads what is left, and closes the accounts, whatever
/// has failed. Intervals, if there are any, end in between, and the last one at the end.
pub(crate) fn events<E: Plain, A: Attached>(
    object: &Object,
    mut attached: A,
    interval: Option<Duration>,
    consumer: impl Consumer<E>,
    report: Report,
    mut ending: Ending,
) -> Result<()> {
    let reader = RefCell::new(Reader {
        consumer,
        report,
        intervals: Intervals::new(ending.began, interval),
        taken: 0,
        batch: 0,
        broken: None,
        event: PhantomData,
    });
    let map = hooks::map(object, "events")?;
    let mut builder = RingBufferBuilder::new();
    builder.add(&map, |bytes| reader.borrow_mut().take(bytes)).doing("reading events")?;
    let ring = builder.build().doing("reading events")?;
    let filled = Filled::new(&map)?;
    let followed = follow(object, &mut attached, &ring, &reader, filled, &mut ending);
    reader.borrow_mut().report.unattached(attached.unattached());
    drop(attached);
    let kernel = InKernel::of(object);
    let drained = drain(&ring, &reader, kernel.as_ref().map_or(0, |kernel| kernel.submitted));
    drop(ring);
    reader.into_inner().finish(kernel, followed.and(drained))
}

/// Until the end.
fn follow<E: Plain, C: Consumer<E>>(
    object: &Object,
    attached: &mut impl Attached,
    ring: &RingBuffer<'_>,
    reader: &RefCell<Reader<E, C>>,
    mut filled: Filled,
    ending: &mut Ending,
) -> Result<()> {
    let mut second = Instant::now() + SECOND;
    while !ending.reached() && !reader.borrow_mut().is_done() {
        if reader.borrow().batch < BATCH {
            filled.wait(TICK)?;
        }
        reader.borrow_mut().batch = 0;
        pass(ring.consume())?;
        let mut reader = reader.borrow_mut();
        reader.interval();
        reader.report.flush();
        if Instant::now() >= second {
            second = Instant::now() + SECOND;
            reader.report.lost(object)?;
            attached.refresh(object)?;
        }
    }
    Ok(())
}

/// Reads what is left, when nothing is attached any more. A program that still runs on another CPU
/// may have a record in the ring that is not finished, and those behind it have to wait: all that
/// were `submitted` must come.
fn drain<E: Plain, C: Consumer<E>>(
    ring: &RingBuffer<'_>,
    reader: &RefCell<Reader<E, C>>,
    submitted: u64,
) -> Result<()> {
    let mut patience = Instant::now() + PATIENCE;
    while !reader.borrow_mut().report.has_failed() {
        if signals::are_overdue() {
            reader.borrow_mut().report.lost_on_the_way(loss::OUT_OF_TIME);
            break;
        }
        reader.borrow_mut().batch = 0;
        pass(ring.consume())?;
        if reader.borrow().batch > 0 {
            patience = Instant::now() + PATIENCE;
        } else if reader.borrow().taken >= submitted || Instant::now() >= patience {
            break;
        } else {
            sleep(MOMENT);
        }
    }
    Ok(())
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
    intervals: Intervals,
    /// Records that came.
    taken: u64,
    /// How many of them since the loop was there.
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
                self.broken.get_or_insert_with(|| Error::new("decoding an event", cause));
            }
        }
        self.taken += 1;
        self.batch += 1;
        let is_enough = self.batch >= BATCH || signals::first().is_some();
        if is_enough { -(Errno::EINTR as i32) } else { 0 }
    }

    fn interval(&mut self) {
        if let Some(length) = self.intervals.ended() {
            self.consumer.interval(&mut self.report, length);
        }
    }

    fn is_done(&mut self) -> bool {
        self.broken.is_some() || self.report.has_failed()
    }

    fn finish(mut self, kernel: Result<InKernel>, done: Result<()>) -> Result<()> {
        self.consumer.interval(&mut self.report, self.intervals.rest());
        self.report.finish(kernel, done.and(self.broken.map_or(Ok(()), Err)))
    }
}
