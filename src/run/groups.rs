//! Events grouped by what they have in common: fields of theirs, whichever the user names. A group is
//! shown as its first event is, with what all of them add up to.

use std::mem::{replace, size_of};
use std::time::Duration;

use crate::filter::cgroups::Cgroups;
use crate::output::entry::Entry;
use crate::output::hist::Histogram;
use crate::output::histogram;
use crate::output::values::duration_into;
use crate::output::{Clock, Column, Lines, sums};
use crate::record::{Container, Header, Record, Sums};
use crate::run::report::Report;
use crate::run::stream::Consumer;
use crate::run::summary::{Sum, Summary};

/// Groups of an interval; events that would make more of them are lost.
const GROUPS_MAX: usize = 65_536;
/// Bytes that they may take together, about.
const BYTES_MAX: usize = 64 << 20;

/// What is known of an event that took its time, or failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) latency_ns: u64,
    pub(crate) has_failed: bool,
}

/// Tells the outcome of an event.
pub(crate) type OutcomeOf<E> = fn(&Record<'_, E>) -> Outcome;

/// Events that have the same in all of some columns.
#[derive(Debug)]
pub(crate) struct Group<E> {
    id: Vec<u8>,
    /// Of the first one.
    header: Header,
    event: E,
    tail: Vec<u8>,
    container: Container,
    sums: Sums,
    times: Histogram,
    is_drawn: bool,
}

impl<E> Sum for Group<E> {
    type Id = Vec<u8>;

    fn id(&self) -> Vec<u8> {
        self.id.clone()
    }

    fn weight(&self) -> u64 {
        self.sums.total_ns.max(self.sums.count)
    }

    fn events(&self) -> u64 {
        self.sums.count
    }

    fn draw(&self, out: &mut Vec<u8>, width: Option<usize>) {
        if self.is_drawn {
            histogram::draw(out, width, self.times.slots(), &duration_into);
        }
    }
}

impl<E: Clone> Group<E> {
    fn of(id: Vec<u8>, record: &Record<'_, E>) -> Self {
        Self {
            id,
            header: *record.header,
            event: record.event.clone(),
            tail: record.tail.to_vec(),
            container: record.container.clone(),
            sums: Sums::default(),
            times: Histogram::default(),
            is_drawn: false,
        }
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        // The histogram may grow to a kilobyte or two.
        size_of::<Self>() + self.id.len() + self.tail.len() + 512
    }
}

/// The groups of an interval.
pub(crate) struct Groups<'a, E> {
    /// What the events of a group have in common.
    by: Vec<&'a Column<E>>,
    rows: Summary<Group<E>>,
    bytes: usize,
    /// For the time that a column may show.
    clock: Clock,
    /// Of the group that was looked for last: its memory serves all events.
    id: Vec<u8>,
    /// Does a histogram of its times stand below each?
    are_drawn: bool,
}

impl<'a, E: Clone> Groups<'a, E> {
    pub(crate) fn by(by: &[&'a Column<E>]) -> Self {
        let (rows, clock, id) = (Summary::new(), Clock::new(0), Vec::new());
        Self { by: by.to_vec(), rows, bytes: 0, clock, id, are_drawn: false }
    }

    /// The same, whose times are drawn.
    pub(crate) fn drawn(self) -> Self {
        Self { are_drawn: true, ..self }
    }

    /// The group of an event, to which it is to be added; `None` if it would be one too many.
    pub(crate) fn group(&mut self, record: &Record<'_, E>) -> Option<&mut Group<E>> {
        self.identify(record);
        if self.rows.find(&self.id).is_none() {
            let new = Group { is_drawn: self.are_drawn, ..Group::of(self.id.clone(), record) };
            let bytes = self.bytes + new.size();
            if self.rows.len() >= GROUPS_MAX || bytes > BYTES_MAX {
                return None;
            }
            self.bytes = bytes;
            self.rows.row(new);
        }
        self.rows.find(&self.id)
    }

    /// Shows them, and begins anew.
    pub(crate) fn show(&mut self, report: &mut Report, lines: &Lines<'_, E>) {
        self.bytes = 0;
        let mut rows = replace(&mut self.rows, Summary::new());
        rows.rows_mut().for_each(Group::close);
        rows.show_as(report, lines, Group::header, Group::record);
    }

    /// What tells its group from others: what JSON has of it, which tells any bytes from others.
    fn identify(&mut self, record: &Record<'_, E>) {
        self.id.clear();
        for column in &self.by {
            let mut entry = Entry { line: &mut self.id, clock: &self.clock, key: b",", name: "" };
            (column.value)(record).json(&mut entry);
            self.id.push(b'\n');
        }
    }
}

impl<E> Group<E> {
    /// So many events more.
    pub(crate) fn add(&mut self, events: u64) {
        self.sums.count += events;
    }

    /// So many events more, which took `total_ns` together: how long each of them is to be added to what this
    /// gives.
    pub(crate) fn add_times(&mut self, events: u64, total_ns: u64) -> &mut Histogram {
        self.add(events);
        self.sums.total_ns = self.sums.total_ns.saturating_add(total_ns);
        &mut self.times
    }

    /// One event more, with its outcome.
    fn add_one(&mut self, outcome: Outcome) {
        self.add(1);
        self.sums.errors += u64::from(outcome.has_failed);
        self.sums.total_ns = self.sums.total_ns.saturating_add(outcome.latency_ns);
        self.times.add_one(outcome.latency_ns);
    }

    fn header(&self, time_ns: u64) -> Header {
        Header { time_ns, ..self.header }
    }

    fn record<'r>(&'r self, header: &'r Header) -> Record<'r, E> {
        let Self { event, tail, container, sums, .. } = self;
        Record { header, event, tail, container, sums, times: self.times.slots() }
    }

    /// Nothing more comes.
    fn close(&mut self) {
        let percentile = |percent| self.times.percentile(percent).unwrap_or(0);
        (self.sums.p50_ns, self.sums.p99_ns) = (percentile(50), percentile(99));
        self.sums.max_ns = self.times.max();
    }
}

/// Groups the events that come from the ring.
pub(crate) struct Grouped<'a, E, W> {
    groups: Groups<'a, E>,
    lines: Lines<'a, E>,
    wanted: W,
    outcome: Option<OutcomeOf<E>>,
    cgroups: Cgroups,
}

impl<'a, E: Clone, W: Fn(&Record<'_, E>) -> bool> Grouped<'a, E, W> {
    /// By these columns.
    pub(crate) fn new(
        report: &mut Report,
        by: &[&'a Column<E>],
        outcome: Option<OutcomeOf<E>>,
        wanted: W,
    ) -> Self {
        let lines = report.lines_of_summary(&sums::columns(by, outcome.is_some()));
        Self { groups: Groups::by(by), lines, wanted, outcome, cgroups: Cgroups::of_columns(by) }
    }
}

impl<E: Clone, W: Fn(&Record<'_, E>) -> bool> Consumer<E> for Grouped<'_, E, W> {
    fn take(&mut self, report: &mut Report, record: Record<'_, E>) {
        if !(self.wanted)(&record) {
            return report.reject(1);
        }
        let outcome = self.outcome.map(|of| of(&record));
        let container = self.cgroups.container(record.header.cgroup_id);
        match (self.groups.group(&Record { container, ..record }), outcome) {
            (None, _) => report.no_room(1),
            (Some(group), Some(outcome)) => group.add_one(outcome),
            (Some(group), None) => group.add(1),
        }
    }

    fn interval(&mut self, report: &mut Report, _: Duration) {
        self.groups.show(report, &self.lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::loss::InKernel;
    use crate::run::options::Format;
    use crate::run::report::tests::{Disk, report_to};

    const PID: &Column<Header> = &Column::PID;
    const TID: &Column<Header> = &Column::TID;

    fn take(grouped: &mut impl Consumer<Header>, report: &mut Report, pid: u32, tid: u32) {
        let header = Header { pid, tid, ..Header::default() };
        grouped.take(report, Record::of(&header, &header));
    }

    #[test]
    fn groups_are_shown_with_their_sums() {
        let disk = Disk::with_room(usize::MAX);
        let mut report = report_to(&disk, Format::Table);
        let outcome: OutcomeOf<Header> = |record| Outcome {
            latency_ns: 1000 * u64::from(record.header.tid),
            has_failed: record.header.tid == 2,
        };
        let by = [PID];
        let mut grouped =
            Grouped::new(&mut report, &by, Some(outcome), |record| record.header.tid != 4);
        for (pid, tid) in [(7, 1), (8, 2), (7, 3), (7, 4)] {
            take(&mut grouped, &mut report, pid, tid);
        }
        grouped.interval(&mut report, Duration::from_secs(1));
        report.flush();
        let text = disk.text();
        let rows = text.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
        let expected = [
            ["PID", "COUNT", "ERRORS", "TOTAL", "MEAN", "P50", "P99", "MAX"],
            ["7", "2", "0", "4.00us", "2.00us", "1.00us", "3.00us", "3.00us"],
            ["8", "1", "1", "2.00us", "2.00us", "2.00us", "2.00us", "2.00us"],
        ];
        assert_eq!(rows.collect::<Vec<_>>(), expected, "{text}");
        assert_eq!(report.delivered(), 3);
    }

    #[test]
    fn events_of_groups_without_room_are_lost() {
        let disk = Disk::with_room(usize::MAX);
        let mut report = report_to(&disk, Format::Json);
        let by = [PID, TID];
        let mut grouped = Grouped::new(&mut report, &by, None, |_| true);
        let groups = u32::try_from(GROUPS_MAX).unwrap();
        for tid in 0..groups + 10 {
            take(&mut grouped, &mut report, 1, tid);
        }
        // Those that are there have room.
        take(&mut grouped, &mut report, 1, 0);
        grouped.interval(&mut report, Duration::from_secs(1));
        report.flush();
        assert_eq!(disk.text().lines().count(), GROUPS_MAX);
        let kernel = InKernel::with(u64::from(groups) + 11, 0, 0);
        let accounts = report.accounts(kernel);
        assert_eq!(accounts.line(), "65537 events, 10 lost (map full 10)");
    }
}
