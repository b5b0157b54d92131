//! Cases of hello.

use crate::case::{CASE, Case, Need};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "hello_from_trace_pipe",
        args: &["hello", "--json"],
        command: &["sh", "-c", "echo pid $$; sh -c :; :"],
        needs: &[Need::Tracefs],
        shows: &[r#"{"type": "event", "tool": "hello", "pid": $PID, "uid": 0, "message": "Hello, World!"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "hello_count",
        args: &["hello", "--count=pid", "--json"],
        command: &["sh", "-c", "echo pid $$; sh -c :; sh -c :; :"],
        needs: &[Need::Tracefs],
        shows: &[r#"{"type": "interval", "pid": $PID, "count": 2}"#],
        ..CASE
    },
];
