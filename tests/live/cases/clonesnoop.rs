//! Cases of clonesnoop.

use crate::case::{CASE, Case};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "clone_by_each_call",
        args: &["clonesnoop", "--json"],
        command: &["$CALLS", "clones", "-"],
        shows: &[
            r#"{"type": "event", "comm": "calls", "ppid": $TRACER, "kind": "process", "call": "clone3", "flags": null}"#,
            r#"{"comm": "calls", "kind": "process", "call": "clone", "flags": ["CLONE_FILES"]}"#,
            // arm64 has no such call.
            if cfg!(target_arch = "x86_64") {
                r#"{"comm": "calls", "kind": "process", "call": "vfork", "flags": ["CLONE_VM", "CLONE_VFORK"]}"#
            } else {
                r#"{"comm": "calls", "kind": "process", "call": "clone", "flags": ["CLONE_VM", "CLONE_VFORK"]}"#
            },
            r#"{"comm": "calls", "kind": "thread"}"#,
        ],
        events: Some(4),
        ..CASE
    },
    Case {
        name: "clone_of_threads_alone",
        args: &["clonesnoop", "--kind", "thread", "--json"],
        command: &["$CALLS", "clones", "-"],
        shows: &[r#"{"comm": "calls", "kind": "thread"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "clone_of_processes_alone_for_an_alias",
        // The user's own takes the place of the alias's.
        args: &["threadsnoop", "--kind", "process", "--json"],
        command: &["$CALLS", "clones", "-"],
        hides: &[r#"{"kind": "thread"}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "alias_pidpersec",
        args: &["pidpersec", "-i", "90", "--json"],
        command: &["$CALLS", "clones", "-"],
        shows: &[
            r#"{"type": "interval", "kind": "process", "count": 3}"#,
            r#"{"type": "interval", "kind": "thread", "count": 1}"#,
        ],
        ..CASE
    },
    Case {
        name: "clone_count_of_one_kind",
        args: &["clonesnoop", "--kind", "thread", "--count", "-i", "90", "--json"],
        command: &["$CALLS", "clones", "-"],
        shows: &[r#"{"type": "interval", "kind": "thread", "count": 1}"#],
        hides: &[r#"{"kind": "process"}"#],
        ..CASE
    },
    Case {
        name: "alias_threadsnoop",
        args: &["threadsnoop", "--json"],
        command: &["$CALLS", "clones", "-"],
        shows: &[r#"{"comm": "calls", "kind": "thread"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "clone_child_is_right",
        args: &["clonesnoop", "--json", "--fields", "pid,child,child_tid"],
        command: &["sh", "-c", "sh -c 'echo pid $$'; :"],
        shows: &[r#"{"child": $PID, "child_tid": $PID}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "clone_counts_threads_apart",
        args: &["clonesnoop", "--count=uid", "--json"],
        command: &["$CALLS", "clones", "-"],
        shows: &[
            r#"{"type": "interval", "uid": 0, "kind": "process", "count": 3}"#,
            r#"{"type": "interval", "uid": 0, "kind": "thread", "count": 1}"#,
        ],
        events: Some(4),
        ..CASE
    },
    Case {
        name: "clone_count_in_all",
        args: &["clonesnoop", "--count", "--json"],
        command: &["true"],
        shows: &[
            r#"{"type": "interval", "kind": "process", "count": 0}"#,
            r#"{"type": "interval", "kind": "thread", "count": 0}"#,
        ],
        ..CASE
    },
];
