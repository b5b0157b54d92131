//! Events as they come: from the ring to the report.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::AsFd as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use libbpf_rs::{ErrorKind, Map, Object, OpenMapMut, RingBuffer, RingBufferBuilder};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use plain::Plain;

use crate::bpf::object;
use crate::bpf::shared::types::limit;
use crate::error::{Context as _, Error, Result};
use crate::filter::cgroups::Cgroups;
use crate::output::status::grouped;
use crate::output::{Column, Lines};
use crate::record::Record;
use crate::run::lifecycle::Source;
use crate::run::loss;
use crate::run::report::Report;
use crate::system::stop::Stop;

const READING: &str = "reading events";
/// How long a record at the end may take to be finished, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
/// Under a flood the ring never gets empty: go back to the loop after so many events.
const BATCH: u32 = 4096;

/// Slots of scratch memory a CPU has.
const SCRATCH_SLOTS: u32 = limit::SCRATCH_SLOTS.0;
/// The least `max_tail`, for which the programs' own `TAIL_MAX` has room: `PATH_MAX`.
pub(crate) const LEAST_TAIL: u32 = 4096;
/// The smallest ring.
pub(crate) const LEAST_BUFFER: u32 = 4096;

/// Gives the ring, and the room that records are made in, their sizes: of records that have up to
/// `max_tail` bytes of what has no limit of its own.
pub(crate) fn prepare(
    name: &str,
    map: &mut OpenMapMut<'_>,
    buffer: u32,
    max_tail: u32,
) -> libbpf_rs::Result<()> {
    match name {
        "events" => map.set_max_entries(buffer),
        "records" => {
            let cpus = u32::try_from(libbpf_rs::num_possible_cpus()?).unwrap_or(u32::MAX);
            if let Some(more) = max_tail.checked_sub(LEAST_TAIL) {
                map.set_value_size(map.value_size() + more)?;
            }
            map.set_max_entries(map.max_entries() + (cpus - 1) * SCRATCH_SLOTS)
        }
        _ => Ok(()),
    }
}

/// What becomes of events.
pub(crate) trait Consumer<E> {
    /// One event. It is called inside C code: it must not panic.
    fn take(&mut self, report: &mut Report, record: Record<'_, E>);

    /// What a person who sees nothing yet is told.
    fn progress(&self, _: &Report) -> Option<String> {
        None
    }

    /// The end of an interval of this length.
    fn interval(&mut self, _: &mut Report, _: Duration) {}
}

impl<E> Consumer<E> for Box<dyn Consumer<E> + '_> {
    fn take(&mut self, report: &mut Report, record: Record<'_, E>) {
        (**self).take(report, record);
    }

    fn progress(&self, report: &Report) -> Option<String> {
        (**self).progress(report)
    }

    fn interval(&mut self, report: &mut Report, length: Duration) {
        (**self).interval(report, length);
    }
}

/// A line for each event that is wanted.
pub(crate) struct Rows<'a, E, W> {
    lines: Lines<'a, E>,
    wanted: W,
    cgroups: Cgroups,
}

impl<'a, E, W: Fn(&Record<'_, E>) -> bool> Rows<'a, E, W> {
    pub(crate) fn new(report: &mut Report, columns: &'a [&'a Column<E>], wanted: W) -> Self {
        Self {
            lines: report.lines("event", columns),
            wanted,
            cgroups: Cgroups::of_columns(columns),
        }
    }
}

impl<E, W: Fn(&Record<'_, E>) -> bool> Consumer<E> for Rows<'_, E, W> {
    fn progress(&self, report: &Report) -> Option<String> {
        match report.delivered() {
            0 => Some("no event yet; Ctrl-C ends it".into()),
            events if !report.is_on_terminal() => Some(format!("{} events", grouped(events))),
            _ => None,
        }
    }

    fn take(&mut self, report: &mut Report, record: Record<'_, E>) {
        if !(self.wanted)(&record) {
            return report.reject(1);
        }
        let container = self.cgroups.container(record.header.cgroup_id);
        report.row(&self.lines, &Record { container, ..record }, 1);
    }
}

/// The ring that the kernel side puts events into.
pub(crate) struct Ring<'r, E, C> {
    ring: RingBuffer<'r>,
    filled: Filled,
    reader: &'r RefCell<Reader<'r, E, C>>,
}

impl<'r, E: Plain, C: Consumer<E>> Ring<'r, E, C> {
    pub(crate) fn of(object: &Object, reader: &'r RefCell<Reader<'r, E, C>>) -> Result<Self> {
        let map = object::map(object, "events")?;
        let mut builder = RingBufferBuilder::new();
        builder.add(&map, |bytes| reader.borrow_mut().take(bytes)).doing(READING)?;
        let ring = builder.build().doing(READING)?;
        Ok(Self { ring, filled: Filled::new(&map)?, reader })
    }

    /// Takes what is there, or as much as is enough at once; how many events that were.
    fn consume(&mut self) -> Result<u32> {
        self.reader.borrow_mut().batch = 0;
        pass(self.ring.consume())?;
        let mut reader = self.reader.borrow_mut();
        reader.broken.take().map_or(Ok(reader.batch), Err)
    }
}

impl<E: Plain, C: Consumer<E>> Source for Ring<'_, E, C> {
    fn read(&mut self, at_most: Duration) -> Result<()> {
        if self.reader.borrow().batch < BATCH {
            self.filled.wait(at_most)?;
        }
        self.consume().map(drop)
    }

    fn progress(&self, _: u64) -> Option<String> {
        let reader = self.reader.borrow();
        reader.consumer.progress(&reader.report.borrow())
    }

    fn interval(&mut self, length: Duration) -> Result<()> {
        let reader = &mut *self.reader.borrow_mut();
        reader.consumer.interval(&mut reader.report.borrow_mut(), length);
        Ok(())
    }

    /// A program that still runs on another CPU may have a record in the ring that is not finished,
    /// and those after it have to wait: all that were `submitted` must come.
    fn drain(&mut self, submitted: u64) -> Result<()> {
        let report = self.reader.borrow().report;
        let mut patience = Instant::now() + PATIENCE;
        while !report.borrow_mut().has_failed() {
            if self.reader.borrow().stop.is_overdue() {
                report.borrow_mut().lost_on_the_way(loss::OUT_OF_TIME);
                break;
            }
            if self.consume()? > 0 {
                patience = Instant::now() + PATIENCE;
            } else if self.reader.borrow().taken >= submitted || Instant::now() >= patience {
                break;
            } else {
                sleep(MOMENT);
            }
        }
        Ok(())
    }
}

/// A signal and a full batch are no errors.
fn pass(result: libbpf_rs::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error).doing(READING),
        _ => Ok(()),
    }
}

/// Tells when the kernel side has filled a good part of the ring; it does not wake the reader for
/// less. Edge-triggered: that there is something in the ring is no news.
struct Filled(Epoll);

impl Filled {
    fn new(ring: &Map<'_>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).doing(READING)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
        epoll.add(ring.as_fd(), event).doing(READING)?;
        Ok(Self(epoll))
    }

    fn wait(&mut self, at_most: Duration) -> Result<()> {
        let timeout = EpollTimeout::try_from(at_most).unwrap_or(EpollTimeout::ZERO);
        match self.0.wait(&mut [EpollEvent::empty()], timeout) {
            Err(error) if error != Errno::EINTR => Err(error).doing(READING),
            _ => Ok(()),
        }
    }
}

/// What the ring's callback works on. The callback runs inside C, so it must not panic, and an
/// error has to wait here.
pub(crate) struct Reader<'r, E, C> {
    consumer: C,
    report: &'r RefCell<Report>,
    stop: Stop,
    /// Records that came.
    taken: u64,
    /// How many of them since the loop was there.
    batch: u32,
    broken: Option<Error>,
    event: PhantomData<E>,
}

impl<'r, E: Plain, C: Consumer<E>> Reader<'r, E, C> {
    pub(crate) fn new(consumer: C, report: &'r RefCell<Report>, stop: &Stop) -> RefCell<Self> {
        let (stop, taken, batch, broken, event) = (stop.clone(), 0, 0, None, PhantomData);
        RefCell::new(Self { consumer, report, stop, taken, batch, broken, event })
    }

    /// Returns 0, or -EINTR to go back to the loop.
    fn take(&mut self, bytes: &[u8]) -> i32 {
        match Record::new(bytes) {
            Some(record) => self.consumer.take(&mut self.report.borrow_mut(), record),
            None => {
                let cause = format!("a record of {} bytes is not one of this tool", bytes.len());
                self.broken.get_or_insert_with(|| Error::new("decoding an event", cause));
            }
        }
        self.taken += 1;
        self.batch += 1;
        let is_enough = self.batch >= BATCH || self.stop.asked().is_some();
        if is_enough { -(Errno::EINTR as i32) } else { 0 }
    }
}
