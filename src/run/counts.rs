//! `--count`: events are counted, and shown each interval. What all tools know of a task is counted by in
//! the kernel, and costs least; by other fields, events are grouped here as they come.

use std::cell::RefCell;

use libbpf_rs::{Object, OpenMapMut};

use crate::bpf::shared::types::{count_by, count_key, task_key};
use crate::error::Result;
use crate::filter::cgroups::Cgroups;
use crate::output::schema::Key;
use crate::output::{Column, Value, fields, sums};
use crate::record::{Header, Record};
use crate::run::groups::Groups;
use crate::run::lifecycle::{Counted, Source};
use crate::run::report::Report;
use crate::run::tables::Tables;

/// The tables of count.bpf.h.
const COUNT_TABLE: &str = "count_table";

/// Leaves its maps out where nothing `is_counted`. A start is faster then: the kernel waits until one is
/// in the other.
pub(crate) fn prepare(
    name: &str,
    map: &mut OpenMapMut<'_>,
    is_counted: bool,
) -> libbpf_rs::Result<()> {
    if is_counted || !name.starts_with(COUNT_TABLE) { Ok(()) } else { map.set_autocreate(false) }
}

/// Are events counted, and where?
#[derive(Clone, Debug)]
pub(crate) enum Counting {
    /// They are shown.
    Off,
    /// In the kernel.
    InKernel(InKernel),
    /// Here, by the columns that are shown.
    ByColumns,
    /// The same, with their outcomes.
    OfOutcomes,
}

impl Counting {
    /// What `--count` asks for.
    pub(crate) fn by(fields: Option<&[String]>) -> Self {
        match fields {
            None => Self::Off,
            Some(fields) => InKernel::by(fields).map_or(Self::ByColumns, Self::InKernel),
        }
    }

    /// The same, where the kernel does not know what the fields are of: it counts in total alone.
    pub(crate) fn of_no_task(self) -> Self {
        match self {
            Self::InKernel(by) if !by.by.is_empty() => Self::ByColumns,
            other => other,
        }
    }

    /// The same, where the tool tells these kinds of events apart.
    pub(crate) fn of_kinds(self, kinds: &'static [&'static str]) -> Self {
        match self {
            Self::InKernel(by) => Self::InKernel(InKernel { kinds, ..by }),
            other => other,
        }
    }

    /// The same, where only events of this kind are seen.
    pub(crate) fn of_kind(self, kind: u32) -> Self {
        match self {
            Self::InKernel(by) => Self::InKernel(InKernel { only_kind: Some(kind), ..by }),
            other => other,
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    pub(crate) fn is_in_kernel(&self) -> bool {
        matches!(self, Self::InKernel(_))
    }

    /// What the kernel is told: bits of `enum count_by`.
    pub(crate) fn in_kernel(&self) -> u8 {
        if let Self::InKernel(by) = self { by.bits } else { 0 }
    }
}

/// What the kernel has counted: by the task in the header of its row, and of which of the tool's kinds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    kind: &'static str,
}

const KIND: Column<Count> =
    Column::word("KIND", "kind", 7, "of which kind", |r| Value::Word(r.event.kind));

/// What the kernel counts by, and what it needs for that.
const IN_KERNEL: &[(&Column<Count>, count_by)] = &[
    (&Column::COMM, count_by::COUNT_COMM),
    (&Column::UID, count_by::COUNT_UID),
    (&Column::PID, count_by::COUNT_PID),
    (&Column::CGROUP, count_by::COUNT_CGROUP),
    (&Column::CONTAINER, count_by::COUNT_CGROUP),
    (&Column::NAMESPACE, count_by::COUNT_CGROUP),
    (&Column::POD, count_by::COUNT_CGROUP),
    (&Column::CONTAINER_NAME, count_by::COUNT_CGROUP),
];

/// What is counted by, in the kernel.
#[derive(Clone, Debug)]
pub(crate) struct InKernel {
    by: Vec<&'static Column<Count>>,
    /// Bits of `enum count_by`.
    bits: u8,
    kinds: &'static [&'static str],
    /// The number of the only one that is seen.
    only_kind: Option<u32>,
}

impl InKernel {
    /// In total where there are no fields. `None` where the kernel side does not know one of them, or one
    /// is named twice.
    pub(crate) fn by(names: &[String]) -> Option<Self> {
        if fields::twice(names).is_some() {
            return None;
        }
        let find = |name: &String| IN_KERNEL.iter().find(|(column, _)| column.key == name);
        let known = names.iter().map(find).collect::<Option<Vec<_>>>()?;
        let bits = known.iter().fold(count_by::COUNT_ON.0, |bits, (_, of)| bits | of.0);
        let by = known.iter().map(|(column, _)| *column).collect();
        Some(Self { by, bits: u8::try_from(bits).unwrap_or(0), kinds: &[], only_kind: None })
    }

    /// The columns of a report.
    pub(crate) fn columns(&self) -> Vec<&'static Column<Count>> {
        let kind: &[&Column<Count>] = if self.kinds.is_empty() { &[] } else { &[&KIND] };
        sums::columns(&[&self.by, kind].concat(), false)
    }

    /// Counts events, and shows them each interval.
    pub(crate) fn source<'a>(
        &self,
        object: &'a Object,
        columns: &[&'static Column<Count>],
        report: &'a RefCell<Report>,
        silent: Option<String>,
    ) -> Result<impl Source + use<'a>> {
        let mut tables = Tables::<count_key, u64>::of(object, COUNT_TABLE)?;
        let lines = report.borrow_mut().lines_of_summary(columns);
        let kind: &[&Column<Count>] = &[&KIND];
        let mut groups = Groups::by(&[&self.by, kind].concat());
        let mut cgroups = Cgroups::of_columns(&self.by);
        let kinds = self.kinds;
        // That there were none is told too.
        let told = match self.only_kind {
            _ if !self.by.is_empty() => 0..0,
            Some(kind) => kind..kind + 1,
            None => 0..u32::try_from(kinds.len().max(1)).unwrap_or(0),
        };
        let show = move |report: &mut Report, _| {
            let mut add = |key: count_key, count| {
                let count_of = Count { kind: kinds.get(key.kind as usize).unwrap_or(&"") };
                let header = header(&key.task);
                let container = cgroups.container(key.task.cgroup_id);
                let record = Record { container, ..Record::of(&header, &count_of) };
                match groups.group(&record) {
                    Some(group) => group.add(count),
                    None => report.no_room(count),
                }
            };
            let read = tables.turn(&mut add);
            for kind in told.clone() {
                add(count_key { kind, ..count_key::default() }, 0);
            }
            groups.show(report, &lines);
            read
        };
        Ok(Counted { report, silent, show })
    }
}

/// The keys of reports by all that can be counted by in the kernel, if it is `of_tasks`, and of those with
/// `outcomes`.
pub(crate) fn keys(kinds: &[&str], of_tasks: bool, outcomes: bool) -> Vec<Key> {
    let kind = (!kinds.is_empty()).then_some(&KIND);
    let fields = IN_KERNEL.iter().filter(|_| of_tasks).map(|(column, _)| *column);
    let by = fields.chain(kind).collect::<Vec<_>>();
    sums::columns(&by, outcomes).into_iter().map(Key::from).collect()
}

fn header(key: &task_key) -> Header {
    let task_key { cgroup_id, pid, uid, comm } = *key;
    Header { cgroup_id, pid, uid, comm, ..Header::default() }
}
