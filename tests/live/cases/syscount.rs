//! Cases of syscount.

use super::{GETPPIDS, each_has};
use crate::case::{CASE, Case, Need};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "syscount_is_exact",
        args: &["syscount", "-i", "90", "--json"],
        command: GETPPIDS,
        shows: &[
            r#"{"type": "interval", "syscall": "getppid", "abi": null, "count": 1000, "errors": 0, "error_percent": 0.0}"#,
            r#"{"syscall": "getpgid", "count": 500, "errors": 500, "error_percent": 100.0}"#,
            r#"{"syscall": "nanosleep", "count": 1}"#,
        ],
        ..CASE
    },
    Case {
        name: "syscount_of_one_call",
        args: &["syscount", "--syscall", "getpgid", "--failures", "-m", "-i", "90", "--json"],
        command: GETPPIDS,
        shows: &[r#"{"syscall": "getpgid", "count": 500, "errors": 500}"#],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "syscount_latency_of_one_call",
        args: &["syscount", "--syscall", "getppid", "-L", "--by", "uid", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Calls32],
        shows: &[r#"{"uid": 0, "count": 1001, "errors": 0}"#],
        ..CASE
    },
    Case {
        name: "syscount_of_32_bit_calls",
        args: &["syscount", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Calls32],
        shows: &[r#"{"syscall": "getppid", "abi": 32, "count": 1}"#],
        ..CASE
    },
    Case {
        name: "syscount_latency_of_all_calls",
        args: &["syscount", "-L", "-i", "90", "--json"],
        command: GETPPIDS,
        shows: &[
            r#"{"syscall": "getppid", "abi": null, "count": 1000, "errors": 0}"#,
            r#"{"syscall": "getpgid", "abi": null, "count": 500, "errors": 500}"#,
        ],
        ..CASE
    },
    Case {
        name: "syscount_latency_of_32_bit_calls",
        args: &["syscount", "-L", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Calls32],
        shows: &[r#"{"syscall": "getppid", "abi": 32, "count": 1}"#],
        ..CASE
    },
    Case {
        name: "syscount_latency_by_uid",
        args: &["syscount", "-L", "-i", "90", "--by", "uid", "-e", "ESRCH", "--json"],
        command: GETPPIDS,
        shows: &[r#"{"type": "interval", "uid": 0, "count": 500, "errors": 500}"#],
        ..CASE
    },
    Case {
        name: "syscount_failures",
        args: &["syscount", "-i", "90", "-e", "ESRCH", "--json"],
        command: GETPPIDS,
        shows: &[r#"{"syscall": "getpgid", "count": 500, "errors": 500}"#],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "syscount_latency",
        args: &["syscount", "-i", "90", "-L", "-T", "1", "--json"],
        command: GETPPIDS,
        also: |run| {
            let lines = run.json()?;
            let line = lines.first().ok_or("nothing")?;
            let number = |key: &str| line[key].as_u64().unwrap_or(0);
            // The longest of all; the kernel may be late, but never early.
            let good = line["syscall"] == "nanosleep"
                && number("total_ns") >= 50_000_000
                && number("mean_ns") == number("total_ns")
                && number("p50_ns") >= 40_000_000
                && number("p99_ns") >= number("p50_ns");
            if good { Ok(()) } else { Err("not the times of one sleep".into()) }
        },
        ..CASE
    },
    Case {
        // It is measured under one number of its thread, and ends under another.
        name: "syscount_latency_of_an_exec_by_a_thread",
        args: &["syscount", "-L", "--json", "-i", "90"],
        command: &["$CALLS", "thread", "/bin/true"],
        shows: &[r#"{"syscall": "execve", "count": 1}"#],
        ..CASE
    },
    Case {
        // The child returns too, and has not called.
        name: "syscount_of_calls_that_make_processes",
        args: &["syscount", "--json", "-i", "90"],
        command: &["$CALLS", "clones", "-"],
        also: |run| {
            // A thread, and a process by each of these; arm64 has no vfork, and makes it by clone.
            let lines = run.json()?;
            let of = |name: &str| {
                let line = lines.iter().find(|line| line["syscall"] == name);
                line.and_then(|line| line["count"].as_u64()).unwrap_or(0)
            };
            let all = (of("vfork"), of("clone"), of("clone3"));
            let vforks = u64::from(cfg!(target_arch = "x86_64"));
            let good = all.0 == vforks && all.1 > 0 && all.2 > 0 && all.0 + all.1 + all.2 == 4;
            if good { Ok(()) } else { Err(format!("{all:?}")) }
        },
        ..CASE
    },
    Case {
        name: "syscount_of_interrupted_calls",
        args: &["syscount", "-e", "EINTR", "--json", "-i", "90"],
        command: &["$CALLS", "interrupted", "5"],
        shows: &[r#"{"syscall": "rt_sigsuspend", "count": 5, "errors": 5}"#],
        ..CASE
    },
    Case {
        // Each has a signal handler that returns by rt_sigreturn, which is an exception.
        name: "syscount_without_returns_of_signal_handlers",
        args: &["syscount", "--json", "-i", "90"],
        command: &["$CALLS", "interrupted", "5"],
        shows: &[
            r#"{"syscall": "rt_sigsuspend", "count": 5, "errors": 5}"#,
            r#"{"type": "summary", "lost": {}}"#,
        ],
        hides: &[r#"{"syscall": "rt_sigreturn"}"#, r#"{"syscall": "[unknown]"}"#],
        ..CASE
    },
    Case {
        name: "syscount_names_what_it_does_not_count",
        args: &["syscount", "--fields", "help"],
        also: |run| {
            let named = run.stdout.contains("exit, exit_group and rt_sigreturn");
            if named { Ok(()) } else { Err("rt_sigreturn is not named".into()) }
        },
        ..CASE
    },
    Case {
        name: "syscount_of_numbers_that_no_call_has",
        args: &["syscount", "--json", "-i", "90"],
        command: &["$CALLS", "unknown", "100"],
        shows: &[
            r#"{"syscall": "[unknown]", "count": 300, "errors": 300}"#,
            r#"{"type": "summary", "lost": {}}"#,
        ],
        ..CASE
    },
    Case {
        name: "syscount_by_comm",
        args: &["syscount", "-i", "90", "--by", "comm", "-e", "ESRCH", "--json"],
        command: GETPPIDS,
        shows: &[r#"{"comm": "calls", "syscall": null, "count": 500}"#],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "syscount_by_three_fields_of_10000_combinations",
        args: &["syscount", "-x", "--by", "comm,syscall,errno", "-n", "combo", "-i", "90", "--json"],
        command: &["$CALLS", "combinations", "5000"],
        shows: &[r#"{"type": "summary", "produced": 10000, "delivered": 10000, "lost": {}}"#],
        also: |run| each_has(run, 10_000, 1),
        ..CASE
    },
    Case {
        name: "syscount_of_slow_calls",
        args: &["syscount", "-L", "--slower", "40", "-n", "calls", "-i", "90", "--json"],
        command: &["$CALLS", "functions", "100"],
        shows: &[r#"{"syscall": "clock_nanosleep", "count": 1}"#, r#"{"type": "summary", "lost": {}}"#],
        hides: &[r#"{"syscall": "close"}"#, r#"{"syscall": "mmap"}"#],
        ..CASE
    },
    Case {
        name: "syscount_of_times_by_fields",
        args: &["syscount", "-L", "--by", "uid,errno", "-n", "calls", "-i", "90", "--json"],
        command: GETPPIDS,
        shows: &[r#"{"uid": 0, "errno": "ESRCH", "count": 500, "errors": 500}"#],
        also: |run| {
            let lines = run.json()?;
            let row = lines.iter().find(|line| line["errno"] == "ESRCH").ok_or("no row")?;
            let good = row["total_ns"].as_u64() > Some(0) && row["syscall"].is_null();
            if good { Ok(()) } else { Err(row.to_string()) }
        },
        ..CASE
    },
    Case {
        name: "syscount_of_the_command_alone",
        args: &["syscount", "-i", "90", "--by", "comm", "--json"],
        command: &["true"],
        shows: &[r#"{"type": "interval", "comm": "true"}"#],
        hides: &[r#"{"comm": "ebtools"}"#],
        ..CASE
    },
    Case {
        name: "syscount_by_pid",
        args: &["syscount", "-i", "90", "-P", "-e", "ESRCH", "--json"],
        command: &["sh", "-c", "echo pid $$; exec $CALLS getppids 1000"],
        shows: &[r#"{"pid": $PID, "count": 500}"#],
        events: Some(500),
        ..CASE
    },
    Case {
        name: "syscount_by_uid",
        args: &["syscount", "-i", "90", "--by", "uid", "-e", "ESRCH", "--json"],
        command: &["$SELF", "helper", "as", "12345", "sh", "-c", "kill -0 4194304; :"],
        shows: &[r#"{"uid": 12345, "count": 1}"#],
        ..CASE
    },
];
