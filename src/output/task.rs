//! The columns of the task that an event is of, which tools have before their own.

use super::{Column, Value};
use crate::bpf::shared::types::collect;
use crate::record::{self, Record};

impl<E> Column<E> {
    /// When it happened.
    pub const TIME: Self =
        Self::time("TIME", "time", 8, "when it happened", |r| Value::Time(r.header.time_ns));
    /// The user.
    pub const UID: Self =
        Self::uint("UID", "uid", 6, "the user's number", |r| Value::Uint(r.header.uid.into()))
            .collect(collect::COLLECT_UID);
    /// The name of the thread.
    pub const COMM: Self = Self::text("COMM", "comm", 16, "the name of the thread", |r| {
        Value::Text(record::c_str(&r.header.comm))
    });
    /// The process.
    pub const PID: Self =
        Self::uint("PID", "pid", 7, "the process", |r| Value::Uint(r.header.pid.into()));
    /// The process, as it sees itself.
    pub const NS_PID: Self =
        Self::uint("NSPID", "ns_pid", 7, "the process, in its own PID namespace", |r| {
            Value::Uint(r.header.ns_pid.into())
        })
        .json_only()
        .collect(collect::COLLECT_NS_PID);
    /// The thread.
    pub const TID: Self =
        Self::uint("TID", "tid", 7, "the thread", |r| Value::Uint(r.header.tid.into())).json_only();
    /// The parent process.
    pub const PPID: Self =
        Self::uint("PPID", "ppid", 7, "the parent process", |r| Value::Uint(r.header.ppid.into()))
            .collect(collect::COLLECT_PPID);
    /// The name of the parent process.
    pub const PARENT_COMM: Self =
        Self::text("PCOMM", "parent_comm", 16, "the name of the parent process", |r| {
            Value::Text(record::c_str(&r.header.parent_comm))
        })
        .json_only()
        .collect(collect::COLLECT_PARENT);
    /// The cgroup.
    pub const CGROUP: Self =
        Self::uint("CGROUP", "cgroup", 8, "the number of the cgroup (v2)", |r| {
            Value::Uint(r.header.cgroup_id)
        })
        .json_only()
        .collect(collect::COLLECT_CGROUP);
    /// The container.
    pub const CONTAINER: Self =
        Self::id("CONTAINER", "container", 12, "the container's id, by its cgroup", |r| {
            if r.container.id.is_empty() { Value::None } else { Value::Id(&r.container.id) }
        })
        .json_only()
        .collect(collect::COLLECT_CGROUP);
    /// The namespace of Kubernetes.
    pub const NAMESPACE: Self =
        Self::text("NAMESPACE", "namespace", 12, "in Kubernetes, the pod's namespace", |r| {
            some(&r.container.namespace)
        })
        .json_only()
        .collect(collect::COLLECT_CGROUP);
    /// The pod.
    pub const POD: Self =
        Self::text("POD", "pod", 20, "in Kubernetes, the pod", |r| some(&r.container.pod))
            .json_only()
            .collect(collect::COLLECT_CGROUP);
    /// The container's name.
    pub const CONTAINER_NAME: Self = Self::text(
        "CONTAINER_NAME",
        "container_name",
        14,
        "in Kubernetes, what the container is called in its pod",
        |r| some(&r.container.name),
    )
    .json_only()
    .collect(collect::COLLECT_CGROUP);

    /// When the process was made, the same number in all tools that have it: with `pid` it names one
    /// process.
    pub const fn process_start(value: for<'r> fn(&Record<'r, E>) -> Value<'r>) -> Self {
        let about =
            "when the process was made, in nanoseconds since boot: with pid, it names one process";
        Self::uint("START", "process_start_ns", 15, about, value).json_only().derived()
    }

    /// When it happened, in tables only with `-T`.
    pub const TIME_IF_ASKED: Self = Self::TIME.json_only().with(&["--timestamp"]);
    /// The user, in tables only with `-U`.
    pub const UID_IF_ASKED: Self = Self::UID.json_only().with(&["--print-uid"]);
}

fn some(text: &str) -> Value<'_> {
    if text.is_empty() { Value::None } else { Value::Text(text.as_bytes()) }
}

/// The columns of the task, by where tools differ.
#[derive(Debug)]
pub(crate) struct Task<E> {
    pub(crate) time: Column<E>,
    pub(crate) uid: Column<E>,
    /// The names and numbers that tables show.
    pub(crate) names: [Column<E>; 3],
    pub(crate) ppid: Column<E>,
    pub(crate) tid: Column<E>,
}

impl<E> Task<E> {
    /// The name comes before the number.
    pub(crate) const COMM_FIRST: Self = Self {
        time: Column::TIME_IF_ASKED,
        uid: Column::UID_IF_ASKED,
        names: [Column::COMM, Column::PID, Column::NS_PID],
        ppid: Column::PPID.json_only(),
        tid: Column::TID,
    };

    /// The number comes before the name.
    pub(crate) const PID_FIRST: Self =
        Self { names: [Column::PID, Column::NS_PID, Column::COMM], ..Self::COMM_FIRST };

    /// All of them, in their order.
    pub(crate) const fn columns(self) -> [Column<E>; 13] {
        let Self { time, uid, names: [one, two, three], ppid, tid } = self;
        let (parent, cgroup) = (Column::PARENT_COMM, Column::CGROUP);
        let container = Column::CONTAINER;
        let [namespace, pod, name] = [Column::NAMESPACE, Column::POD, Column::CONTAINER_NAME];
        [time, uid, one, two, three, ppid, parent, tid, cgroup, container, namespace, pod, name]
    }
}
