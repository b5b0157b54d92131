//! What counts have in common of the task, for tools that sum up by it: the user side of
//! `task_key.bpf.h`.

use clap::ValueEnum;
use plain::Plain;

use crate::bpf::shared::types::{count_by, task_key};
use crate::filter::cgroups::Cgroups;
use crate::output::{Column, Kind, Value};
use crate::record::{Header, Record, c_str};
use crate::run::capabilities::Need;
use crate::run::tables::typed;
use crate::system::sys;

/// `None`, or empty, where calls are not counted by it.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct TaskKey {
    pid: Option<u32>,
    uid: Option<u32>,
    comm: Vec<u8>,
    /// Its number, and its path, which is empty where the cgroup was gone.
    cgroup: Option<(u64, Vec<u8>)>,
    /// Its id; empty outside of containers.
    container: Option<String>,
}

/// What of the task is counted by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TaskField {
    Pid,
    Uid,
    Comm,
    Cgroup,
    Container,
}

impl TaskField {
    pub(crate) const ALL: [Self; 5] =
        [Self::Pid, Self::Uid, Self::Comm, Self::Cgroup, Self::Container];

    /// Bits of `enum count_by`. The name of a process comes with its number.
    fn bits(self) -> u32 {
        match self {
            Self::Pid => count_by::COUNT_PID.0 | count_by::COUNT_PROCESS_COMM.0,
            Self::Uid => count_by::COUNT_UID.0,
            Self::Comm => count_by::COUNT_COMM.0,
            Self::Cgroup | Self::Container => count_by::COUNT_CGROUP.0,
        }
    }
}

/// What is counted by where functions are: one of the task, or which function it is.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum FunctionField {
    Function,
    Pid,
    Uid,
    Comm,
    Cgroup,
    Container,
}

impl FunctionField {
    /// What of the task it is, if it is that.
    pub(crate) fn field(self) -> Option<TaskField> {
        Some(match self {
            Self::Function => return None,
            Self::Pid => TaskField::Pid,
            Self::Uid => TaskField::Uid,
            Self::Comm => TaskField::Comm,
            Self::Cgroup => TaskField::Cgroup,
            Self::Container => TaskField::Container,
        })
    }
}

/// Makes keys of those of the kernel side.
#[derive(Debug)]
pub(crate) struct TaskKeys {
    by: Vec<TaskField>,
    cgroups: Cgroups,
}

impl TaskKeys {
    pub(crate) fn by(by: impl IntoIterator<Item = TaskField>) -> Self {
        let by = by.into_iter().collect::<Vec<_>>();
        let keys = Self { by, cgroups: Cgroups::default() };
        if keys.needs().is_empty() { keys } else { Self { cgroups: Cgroups::find(), ..keys } }
    }

    /// What the kernel side is told: bits of `enum count_by`.
    pub(crate) fn bits(&self) -> u32 {
        self.by.iter().fold(0, |bits, field| bits | field.bits())
    }

    /// What it takes to make them.
    pub(crate) fn needs(&self) -> &'static [Need] {
        if self.bits() & count_by::COUNT_CGROUP.0 > 0 { &[Need::Cgroups] } else { &[] }
    }

    /// Is it counted by that?
    pub(crate) fn has(&self, field: TaskField) -> bool {
        self.by.contains(&field)
    }

    /// Of the task of a record.
    pub(crate) fn key_of(&mut self, header: &Header) -> TaskKey {
        let Header { cgroup_id, pid, uid, comm, .. } = *header;
        let named = self.has(TaskField::Pid) || self.has(TaskField::Comm);
        let comm = if named { comm } else { Default::default() };
        self.key(&task_key { cgroup_id, pid, uid, comm })
    }

    /// Each kernel side has a type of its own for the same bytes.
    pub(crate) fn key(&mut self, of: &impl Plain) -> TaskKey {
        let of = typed::<task_key>(sys::bytes_of(of));
        let has = |field| self.by.contains(&field);
        let cgroups = &mut self.cgroups;
        TaskKey {
            pid: Some(of.pid).filter(|pid| has(TaskField::Pid) && *pid > 0),
            uid: has(TaskField::Uid).then_some(of.uid),
            comm: c_str(&of.comm).to_vec(),
            cgroup: Some(of.cgroup_id)
                .filter(|number| has(TaskField::Cgroup) && *number > 0)
                .map(|number| (number, cgroups.path(number).to_vec())),
            container: has(TaskField::Container)
                .then(|| cgroups.container(of.cgroup_id).id.clone()),
        }
    }
}

/// What PID and COMM are of what tasks do.
pub(crate) const OF_TASKS: (&str, &str) =
    ("the process", "the name of the thread; by process, of that");

/// A row that is of the calls of some tasks.
pub(crate) trait OfTasks {
    fn task(&self) -> &TaskKey;
}

/// The columns of what is counted by, with what PID and COMM are.
pub(crate) const fn columns<E: OfTasks>(pid: &'static str, comm: &'static str) -> [Column<E>; 7] {
    [
        Column::TIME,
        Column::uint("PID", "pid", 7, pid, |r: &Record<'_, E>| number(r.event.task().pid))
            .hidden()
            .with(&["--by=pid"]),
        Column::uint("UID", "uid", 6, "the user's number", |r: &Record<'_, E>| {
            number(r.event.task().uid)
        })
        .hidden()
        .with(&["--by=uid"]),
        Column::text("CGROUP", "cgroup_path", 28, "the path of the cgroup (v2)", cgroup_path)
            .or(Kind::Unreadable)
            .hidden()
            .with(&["--by=cgroup"]),
        Column::uint("CGROUP_ID", "cgroup", 9, "its number", cgroup)
            .hidden()
            .with(&["--by=cgroup"]),
        Column::id("CONTAINER", "container", 12, "the container's id, by its cgroup", container)
            .hidden()
            .with(&["--by=container"]),
        Column::text("COMM", "comm", 16, comm, name).hidden().with(&["--by=pid", "--by=comm"]),
    ]
}

fn number(number: Option<u32>) -> Value<'static> {
    number.map_or(Value::None, |number| Value::Uint(number.into()))
}

fn cgroup_path<'r, E: OfTasks>(record: &Record<'r, E>) -> Value<'r> {
    match &record.event.task().cgroup {
        None => Value::None,
        Some((_, path)) if path.is_empty() => Value::Unreadable,
        Some((_, path)) => Value::Text(path),
    }
}

fn cgroup<'r, E: OfTasks>(record: &Record<'r, E>) -> Value<'r> {
    let cgroup = record.event.task().cgroup.as_ref();
    cgroup.map_or(Value::None, |(number, _)| Value::Uint(*number))
}

fn container<'r, E: OfTasks>(record: &Record<'r, E>) -> Value<'r> {
    match record.event.task().container.as_deref() {
        None | Some("") => Value::None,
        Some(id) => Value::Id(id),
    }
}

fn name<'r, E: OfTasks>(record: &Record<'r, E>) -> Value<'r> {
    match &record.event.task().comm[..] {
        b"" => Value::None,
        comm => Value::Text(comm),
    }
}
