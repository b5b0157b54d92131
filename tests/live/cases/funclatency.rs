//! Cases of funclatency.

use super::GETPPIDS;
use crate::case::{CASE, Case, Need};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "function_of_a_program",
        args: &["funclatency", "$CALLS:sleeps", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "10"],
        also: |run| {
            let lines = run.json()?;
            let number = |key: &str| lines[0][key].as_u64().unwrap_or(0);
            let good = number("total") >= 50_000_000
                && number("max") == number("total")
                && number("p50") >= 40_000_000
                && lines[0]["histogram"][0]["count"] == 1;
            if good { Ok(()) } else { Err("not the time of one sleep".into()) }
        },
        shows: &[r#"{"type": "interval", "tool": "funclatency", "count": 1, "pid": null, "errors": null}"#],
        ..CASE
    },
    Case {
        name: "function_that_calls_itself",
        args: &["funclatency", "$CALLS:recursive", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "100"],
        // Of 100 calls within calls, 64 are known.
        shows: &[
            r#"{"count": 464}"#,
            r#"{"type": "summary", "produced": 500, "delivered": 464, "lost": {"map_full": 36}}"#,
        ],
        ..CASE
    },
    Case {
        name: "function_that_is_left_by_longjmp",
        args: &["funclatency", "$CALLS:left", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "1000"],
        // Those that are left are found out by and by.
        shows: &[r#"{"type": "summary", "produced": 1000, "delivered": 500}"#],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "function_parts_that_are_jumped_to_are_left_alone",
        args: &["funclatency", "$CALLS:jump*", "-i", "90", "--json"],
        command: &["sh", "-c", "$CALLS functions 1 && echo pid 1"],
        needs: &[Need::Calls32],
        // The program goes on as it does alone.
        shows: &[r#"{"type": "interval", "count": 1}"#],
        also: |run| if run.word("$PID") == "1" { Ok(()) } else { Err("the program failed".into()) },
        ..CASE
    },
    Case {
        name: "function_results",
        args: &["funclatency", "$CALLS:recursive", "--ret", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "100"],
        shows: &[r#"{"count": 464, "errors": 0, "total": 464000, "mean": 1000, "max": 1000}"#],
        ..CASE
    },
    Case {
        name: "function_results_below_zero",
        args: &["funclatency", "$CALLS:fails", "--ret", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "100"],
        shows: &[
            r#"{"count": 0, "errors": 100, "total": 0, "p50": null}"#,
            r#"{"type": "summary", "produced": 100, "delivered": 100, "lost": {}}"#,
        ],
        ..CASE
    },
    Case {
        name: "function_of_a_library_by_process",
        args: &["funclatency", "c:getaddrinfo", "--by", "pid", "-i", "90", "--json"],
        command: &["sh", "-c", "echo pid $$; exec $LOOKUPS"],
        shows: &[r#"{"pid": $PID, "count": 3}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "functions_of_a_program_by_function_and_comm",
        args: &["funclatency", "$CALLS:[fs][al][ie][le]*s", "--by", "function,comm", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "100"],
        needs: &[Need::Usdt],
        shows: &[
            r#"{"function": "fails", "comm": "calls", "count": 100}"#,
            r#"{"function": "sleeps", "comm": "calls", "count": 1}"#,
        ],
        events: Some(101),
        ..CASE
    },
    Case {
        name: "functions_of_a_program_that_are_slow",
        args: &["funclatency", "$CALLS:[fs][al][ie][le]*s", "--slower", "40", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "100"],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "functions_of_the_kernel_by_fexit_and_by_function",
        args: &["funclatency", "__x64_sys_[gn][ea][tn][po][gs][il][de]*", "--hook", "fexit", "--by", "function", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Fexit, Need::Calls32],
        shows: &[
            r#"{"function": "__x64_sys_getpgid", "count": 500}"#,
            r#"{"function": "__x64_sys_nanosleep", "count": 1}"#,
        ],
        events: Some(501),
        ..CASE
    },
    Case {
        name: "functions_of_the_kernel_by_kprobe_multi_and_by_function",
        args: &["funclatency", "__x64_sys_getp[gp]id", "--hook", "kprobe-multi", "--by", "function,pid", "-i", "90", "--json"],
        command: &["sh", "-c", "echo pid $$; exec $CALLS getppids 1000"],
        needs: &[Need::KprobeMulti, Need::Calls32],
        shows: &[r#"{"function": "__x64_sys_getpgid", "pid": $PID, "comm": "calls", "count": 500}"#],
        ..CASE
    },
    Case {
        name: "functions_of_the_kernel_by_kprobe_and_by_function",
        args: &["funclatency", "__x64_sys_getp[gp]id", "--hook", "kprobe", "--by", "uid,function", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Kprobes, Need::Calls32],
        shows: &[r#"{"function": "__x64_sys_getpgid", "uid": 0, "count": 500}"#],
        ..CASE
    },
    Case {
        name: "alias_funccount",
        args: &["funccount", "$CALLS:[fs]*l*s", "-T", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "100"],
        shows: &[
            r#"{"tool": "funclatency", "function": "fails", "count": 100}"#,
            r#"{"function": "sleeps", "count": 1}"#,
        ],
        ..CASE
    },
    Case {
        name: "alias_vfscount",
        args: &["vfscount", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Kprobes],
        // Linux 5.10 misses the returns of those of an exec's vfs_read, and counts them.
        shows: &[r#"{"tool": "funclatency", "function": "vfs_open"}"#],
        ..CASE
    },
    Case {
        name: "function_of_the_kernel_by_fexit",
        args: &["funclatency", "__x64_sys_getpgid", "--hook", "fexit", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Fexit, Need::Calls32],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "function_results_of_the_kernel_by_fexit",
        args: &["funclatency", "__x64_sys_getpgid", "--ret", "--hook", "fexit", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Fexit, Need::Calls32],
        shows: &[r#"{"count": 0, "errors": 500}"#],
        ..CASE
    },
    Case {
        name: "functions_of_the_kernel_by_fexit",
        // getpgid and nanosleep: getppid has no type.
        args: &["funclatency", "__x64_sys_[gn][ea][tn][po][gs][il][de]*", "--hook", "fexit", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Fexit, Need::Calls32],
        events: Some(501),
        ..CASE
    },
    Case {
        name: "function_of_the_kernel_by_kprobe_multi",
        args: &["funclatency", "__x64_sys_getpgid", "--hook", "kprobe-multi", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::KprobeMulti, Need::Calls32],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "function_results_of_the_kernel_by_kprobe_multi",
        args: &["funclatency", "__x64_sys_getpgid", "--ret", "--hook", "kprobe-multi", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::KprobeMulti, Need::Calls32],
        shows: &[r#"{"count": 0, "errors": 500}"#],
        ..CASE
    },
    Case {
        name: "functions_of_the_kernel_by_kprobe_multi",
        args: &["funclatency", "__x64_sys_getp[gp]id", "--hook", "kprobe-multi", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::KprobeMulti, Need::Calls32],
        // And one that is made as a 32-bit call, if the kernel has the same function for both.
        also: |run| {
            let count = run.json()?[0]["count"].as_u64();
            if matches!(count, Some(1500 | 1501)) { Ok(()) } else { Err(format!("{count:?}")) }
        },
        ..CASE
    },
    Case {
        name: "function_of_the_kernel_by_kprobe",
        args: &["funclatency", "__x64_sys_getpgid", "--hook", "kprobe", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Kprobes, Need::Calls32],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "function_results_of_the_kernel_by_kprobe",
        args: &["funclatency", "__x64_sys_getpgid", "--ret", "--hook", "kprobe", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Kprobes, Need::Calls32],
        shows: &[r#"{"count": 0, "errors": 500}"#],
        ..CASE
    },
    Case {
        name: "functions_of_the_kernel_by_kprobe",
        args: &["funclatency", "__x64_sys_getp[gp]id", "--hook", "kprobe", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Kprobes, Need::Calls32],
        // And one that is made as a 32-bit call, if the kernel has the same function for both.
        also: |run| {
            let count = run.json()?[0]["count"].as_u64();
            if matches!(count, Some(1500 | 1501)) { Ok(()) } else { Err(format!("{count:?}")) }
        },
        ..CASE
    },
    Case {
        // A pointer, of a function with three arguments.
        name: "function_that_returns_a_pointer",
        args: &["funclatency", "getname_flags", "--ret", "--json"],
        command: &["true"],
        needs: &[Need::Kprobes],
        shows: &[r#"{"type": "summary", "lost": {}}"#],
        ..CASE
    },
    Case {
        name: "functions_that_call_each_other",
        args: &["funclatency", "vfs_re*", "--ret", "-i", "90", "--json"],
        command: &["sh", "-c", "read line </proc/self/status"],
        needs: &[Need::Kprobes],
        shows: &[r#"{"type": "interval", "tool": "funclatency"}"#],
        hides: &[r#"{"type": "interval", "count": 0}"#],
        ..CASE
    },
    Case {
        name: "function_table",
        args: &["funclatency", "$CALLS:sleeps"],
        command: &["$CALLS", "functions", "1"],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["TIME", "COUNT", "TOTAL", "MEAN", "P50", "P90", "P99", "MAX"]
                && lines.len() == 3
                && lines[2].ends_with(&format!("1 |{}|", "*".repeat(40)));
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },
];
