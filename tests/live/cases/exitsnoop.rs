//! Cases of exitsnoop.

use crate::case::{CASE, Case, Need, is_before};
use crate::run::Run;

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "exit_is_exact",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "echo pid $$ >&2; exit 3"],
        code: 3,
        shows: &[
            r#"{"type": "event", "tool": "exitsnoop", "comm": "sh", "pid": $PID, "tid": $PID, "ppid": $TRACER,
                "uid": 0, "exit_code": 3, "signal": null, "core": null, "by": null, "sender_pid": null,
                "fault_address": null}"#,
            r#"{"type": "summary", "produced": 1, "delivered": 1, "lost": {}}"#,
        ],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_arguments",
        args: &["exitsnoop", "--json", "--fields", "comm,args"],
        command: &["sh", "-c", "exec /bin/true 'a b' ''"],
        shows: &[r#"{"comm": "true", "args": ["/bin/true", "a b", ""], "args_truncated": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_arguments_of_a_copy",
        args: &["exitsnoop", "--json", "--fields", "exit_code,args"],
        command: &["sh", "-c", "(exit 3); :"],
        shows: &[r#"{"exit_code": 3, "args": ["sh", "-c", "(exit 3); :"]}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        // Before Linux 6.16 256 bytes are kept, and since then 4096 shown.
        name: "exit_arguments_that_are_long",
        args: &["exitsnoop", "--json", "--fields", "comm,args"],
        command: &["$CALLS", "many", "/bin/true", "1", "5000"],
        shows: &[r#"{"comm": "true", "args_truncated": true}"#],
        events: Some(1),
        also: |run| {
            let lines = run.json()?;
            let args = lines.iter().find_map(|line| line["args"].as_array()).ok_or("none")?;
            let len = args.iter().filter_map(|arg| arg.as_str()).map(str::len).sum::<usize>();
            // Less the NUL of the first; that of the second is not there.
            let shown = if is_before(6, 16) { 256 } else { 4096 };
            if len + 1 == shown { Ok(()) } else { Err(format!("{len} bytes")) }
        },
        ..CASE
    },
    Case {
        name: "exit_codes_are_all_different",
        args: &["exitsnoop", "--json", "--fields", "pid,exit_code,signal"],
        command: &["$CALLS", "codes", "-"],
        events: Some(257),
        also: |run| {
            let lines = run.json()?;
            let codes = lines.iter().filter_map(|line| line["exit_code"].as_u64());
            let codes = codes.collect::<Vec<_>>();
            // And the parent's own, at the end.
            let good = codes.iter().copied().eq((0..256).chain([0]));
            if good { Ok(()) } else { Err(format!("{codes:?}")) }
        },
        ..CASE
    },
    Case {
        name: "exit_failures_only",
        args: &["exitsnoop", "-x", "--json", "--fields", "pid,exit_code,signal"],
        command: &["$CALLS", "codes", "-"],
        hides: &[r#"{"exit_code": 0}"#],
        events: Some(255),
        ..CASE
    },
    Case {
        name: "exit_count_by_its_code",
        args: &["exitsnoop", "--json", "--count=exit_code", "-i", "90"],
        command: &["$CALLS", "codes", "-"],
        shows: &[
            r#"{"type": "interval", "exit_code": 0, "count": 2}"#,
            r#"{"type": "interval", "exit_code": 255, "count": 1}"#,
        ],
        events: Some(257),
        ..CASE
    },

    // Who sent the signal
    Case {
        name: "exit_by_kill",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "echo pid $$ >&2; sleep 1000 & kill -9 $!; wait; :"],
        shows: &[r#"{"exit_code": null, "signal": "SIGKILL", "core": false, "by": "process", "sender_pid": $PID,
                     "sender_comm": "sh", "sender_uid": 0, "ppid": $PID}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        // Who sends it says that it is from process 1.
        name: "exit_by_sigqueue",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "sigqueue", "10", "-1"],
        shows: &[r#"{"signal": "SIGUSR1", "by": "process", "sender_pid": $PID, "sender_uid": 0}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        // And here that it is a timer's.
        name: "exit_by_sigqueue_as_a_timer",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "sigqueue", "15", "-2"],
        shows: &[r#"{"signal": "SIGTERM", "by": "process", "sender_pid": $PID}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exit_by_a_timer",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "timer", "-"],
        code: 142,
        shows: &[r#"{"signal": "SIGALRM", "by": "timer", "sender_pid": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_by_a_pipe",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "$CALLS pipe -; :"],
        shows: &[r#"{"signal": "SIGPIPE", "by": "itself"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exit_by_a_real_time_signal",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "sigqueue", "35", "-1"],
        shows: &[r#"{"signal": "SIGRTMIN+1", "by": "process", "sender_pid": $PID}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exit_by_a_pidfd",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "pidfd", "-"],
        shows: &[r#"{"signal": "SIGKILL", "by": "process", "sender_pid": $PID, "sender_comm": "calls"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exit_by_the_end_of_the_parent",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "parent-death", "-"],
        shows: &[r#"{"signal": "SIGKILL", "by": "process", "sender_pid": $PID}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "exit_of_an_orphan",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "orphan", "-"],
        shows: &[r#"{"exit_code": 3}"#, r#"{"signal": "SIGUSR2", "by": "itself"}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "exit_by_abort",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "$CALLS abort -; :"],
        shows: &[r#"{"comm": "calls", "signal": "SIGABRT", "by": "itself", "sender_comm": "calls"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exit_by_a_fault",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "$CALLS fault 0x1230; :"],
        shows: &[r#"{"comm": "calls", "signal": "SIGSEGV", "by": "fault", "fault_address": "0x1230", "sender_pid": null}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        // No address that there may be: processors of x86-64 do not say which it was.
        name: "exit_by_a_fault_somewhere",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "$CALLS fault 0x8000000000000000; :"],
        shows: &[if cfg!(target_arch = "x86_64") {
            r#"{"signal": "SIGSEGV", "by": "fault", "fault_address": null, "sender_pid": null}"#
        } else {
            r#"{"signal": "SIGSEGV", "by": "fault", "sender_pid": null}"#
        }],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exit_by_seccomp",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "$CALLS seccomp -; :"],
        shows: &[r#"{"signal": "SIGSYS", "by": "seccomp", "sender_pid": null}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exit_by_the_end_of_its_namespace",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "namespace-ends", "-"],
        shows: &[r#"{"signal": "SIGKILL", "by": "namespace", "sender_pid": $PID, "ns_pid": 2}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "exit_by_oom",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "oom", "-"],
        needs: &[Need::MemoryLimit],
        shows: &[r#"{"pid": $PID, "signal": "SIGKILL", "by": "oom", "sender_pid": $PID, "sender_comm": "calls"}"#],
        events: Some(2),
        also: |run| {
            let max = number(run, "rss_max_bytes", |line| line["by"] == "oom")?;
            // Its limit is 8 MiB; what of it is shared with its parent is not its cgroup's.
            if (4 << 20..16 << 20).contains(&max) { Ok(()) } else { Err(format!("{max} bytes")) }
        },
        ..CASE
    },
    Case {
        name: "exit_for_want_of_memory",
        args: &["oomkill", "--json", "--fields", "pid,by,oom_scope,oom_limit_bytes,oom_cgroup,oom_rss_bytes"],
        command: &["$CALLS", "oom", "-"],
        needs: &[Need::MemoryLimit, Need::Kprobes],
        shows: &[r#"{"pid": $PID, "by": "oom", "oom_scope": "cgroup", "oom_limit_bytes": 8388608}"#],
        events: Some(1),
        also: |run| {
            let rss = number(run, "oom_rss_bytes", |line| line["by"] == "oom")?;
            let lines = run.json()?;
            let cgroup = lines.iter().find_map(|line| line["oom_cgroup"].as_str()).unwrap_or("none");
            let good = (4 << 20..16 << 20).contains(&rss) && cgroup.starts_with("/ebtools-oom-");
            if good { Ok(()) } else { Err(format!("{rss} bytes, {cgroup}")) }
        },
        ..CASE
    },
    Case {
        // No hook that others may lack.
        name: "exit_for_want_of_memory_is_seen_anywhere",
        args: &["exitsnoop", "--oom", "--count=by", "-i", "90", "--json"],
        command: &["$CALLS", "oom", "-"],
        needs: &[Need::MemoryLimit],
        shows: &[r#"{"by": "oom", "count": 1}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_by_a_signal_that_was_handled_before",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "sh -c 'trap : TERM; kill $$; trap - TERM; kill -INT $$'; :"],
        shows: &[r#"{"signal": "SIGINT", "by": "itself"}"#],
        hides: &[r#"{"signal": "SIGTERM"}"#],
        events: Some(2),
        ..CASE
    },

    Case {
        name: "exit_by_these_signals",
        args: &["exitsnoop", "-s", "usr2,9", "--json"],
        command: &["sh", "-c", "sh -c 'kill -9 $$'; sh -c 'kill -15 $$'; $CALLS orphan -; :"],
        shows: &[r#"{"signal": "SIGKILL"}"#, r#"{"signal": "SIGUSR2"}"#],
        events: Some(2),
        ..CASE
    },

    // --signals
    Case {
        name: "exit_signals_are_exact",
        args: &["exitsnoop", "--signals", "-k", "--json"],
        command: &["$CALLS", "signals", "-"],
        shows: &[
            r#"{"comm": "calls", "pid": $PID, "uid": 0, "ppid": $TRACER, "signal": "SIGUSR2", "signal_number": 12,
                "how": "kill", "code": 0, "target_pid": $PID, "target_comm": "calls", "target_uid": 0,
                "target_tid": null, "result": "ignored", "errno": null, "fault_address": null}"#,
            r#"{"signal": "SIGUSR1", "result": "sent"}"#,
            r#"{"signal": "SIGUSR1", "result": "pending"}"#,
            r#"{"signal": "SIGRTMIN", "result": "no_info"}"#,
            r#"{"signal": "SIGRTMIN+1", "how": "sigqueue", "code": null, "target_pid": $PID, "result": "EAGAIN",
                "errno": "EAGAIN"}"#,
        ],
        events: Some(5),
        ..CASE
    },
    Case {
        name: "exit_signals_that_fail",
        args: &["exitsnoop", "--signals", "-x", "--json"],
        command: &["sh", "-c", "kill -9 2147483646; kill -0 $$; kill -0 2147483646; kill -99 $$; kill -CONT $$; :"],
        shows: &[
            r#"{"comm": "sh", "signal": "SIGKILL", "how": "kill", "target_pid": 2147483646, "target_comm": null,
                "result": "ESRCH", "errno": "ESRCH"}"#,
            r#"{"signal": "SIG0", "result": "ESRCH"}"#,
        ],
        hides: &[r#"{"signal": "SIGCONT"}"#, r#"{"result": "exists"}"#],
        ..CASE
    },
    Case {
        name: "exit_signals_of_32_bit_calls",
        args: &["exitsnoop", "--signals", "-x", "--json"],
        command: &["$CALLS", "kill32", "-"],
        needs: &[Need::Calls32],
        shows: &[r#"{"signal": "SIGTERM", "how": "kill", "target_pid": 2147483632, "result": "ESRCH"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_that_ask",
        args: &["exitsnoop", "--signals", "-k", "--json"],
        command: &["sh", "-c", "echo pid $$ >&2; kill -0 $$"],
        shows: &[r#"{"signal": "SIG0", "how": "kill", "target_pid": $PID, "result": "exists", "errno": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_to_a_thread",
        args: &["exitsnoop", "--signals", "-s", "abrt", "--json"],
        command: &["sh", "-c", "$CALLS abort -; :"],
        shows: &[r#"{"comm": "calls", "signal": "SIGABRT", "how": "tgkill", "target_comm": "calls"}"#],
        events: Some(1),
        also: |run| {
            let pid = number(run, "pid", |line| line["signal"] == "SIGABRT")?;
            let tid = number(run, "target_tid", |line| line["signal"] == "SIGABRT")?;
            if pid == tid { Ok(()) } else { Err(format!("{tid} of {pid}")) }
        },
        ..CASE
    },
    Case {
        name: "exit_signals_by_sigqueue",
        args: &["exitsnoop", "--signals", "-k", "--json"],
        command: &["$CALLS", "sigqueue", "15", "-2"],
        shows: &[r#"{"signal": "SIGTERM", "how": "sigqueue", "code": -2, "pid": $PID, "result": "sent"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_by_a_pidfd",
        args: &["exitsnoop", "--signals", "-k", "--json"],
        command: &["$CALLS", "pidfd", "-"],
        shows: &[r#"{"signal": "SIGKILL", "how": "pidfd", "code": 0, "pid": $PID, "target_comm": "calls"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_by_a_timer",
        args: &["exitsnoop", "--signals", "-s", "ALRM", "--json"],
        command: &["sh", "-c", "$CALLS timer -; :"],
        shows: &[r#"{"comm": "calls", "signal": "SIGALRM", "how": "timer", "target_comm": "calls"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_by_a_fault",
        args: &["exitsnoop", "--signals", "-s", "SEGV", "--json"],
        command: &["sh", "-c", "$CALLS fault 0x1230; :"],
        shows: &[r#"{"comm": "calls", "how": "fault", "code": 1, "fault_address": "0x1230"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_by_a_pipe",
        args: &["exitsnoop", "--signals", "-s", "PIPE", "--json"],
        command: &["sh", "-c", "$CALLS pipe -; :"],
        shows: &[r#"{"comm": "calls", "how": "effect", "target_comm": "calls"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_at_the_end_of_the_parent",
        args: &["exitsnoop", "--signals", "-s", "KILL", "--json"],
        command: &["$CALLS", "parent-death", "-"],
        shows: &[r#"{"pid": $PID, "signal": "SIGKILL", "how": "effect", "result": "sent"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_at_the_end_of_a_namespace",
        args: &["exitsnoop", "--signals", "-s", "KILL", "--json"],
        command: &["$CALLS", "namespace-ends", "-"],
        shows: &[r#"{"pid": $PID, "signal": "SIGKILL", "how": "namespace", "result": "sent"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_of_children",
        args: &["exitsnoop", "--signals", "--json"],
        command: &["sh", "-c", "echo pid $$ >&2; /bin/true; :"],
        shows: &[r#"{"comm": "true", "signal": "SIGCHLD", "how": "child", "code": 1, "target_pid": $PID}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_to_one",
        args: &["exitsnoop", "--signals", "--to", "1", "--json"],
        command: &["sh", "-c", "kill -0 1; kill -0 $$; kill -CONT $$"],
        shows: &[r#"{"target_pid": 1, "result": "exists"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_as_killsnoop",
        args: &["killsnoop", "-s", "9", "--json"],
        command: &["sh", "-c", "kill -0 $$; kill -9 2147483646; :"],
        shows: &[r#"{"tool": "exitsnoop", "signal": "SIGKILL", "how": "kill"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "exit_signals_are_all_there",
        args: &["exitsnoop", "--signals", "--count=how,result", "-i", "90", "--json"],
        command: &["$CALLS", "kills", "20000"],
        shows: &[r#"{"how": "kill", "result": "pending", "count": 19999}"#],
        events: Some(20002),
        ..CASE
    },
    Case {
        name: "exit_of_many_at_once",
        args: &["exitsnoop", "--json", "--fields", "exit_code"],
        command: &["$CALLS", "ends", "600"],
        events: Some(601),
        also: |run| {
            let codes = run.json()?;
            let sum = codes.iter().filter_map(|line| line["exit_code"].as_u64()).sum::<u64>();
            let told = run.stderr.lines().find_map(|line| line.strip_prefix("pid "));
            let told = told.and_then(|told| told.parse().ok());
            if told == Some(sum) { Ok(()) } else { Err(format!("{sum}, and not {told:?}")) }
        },
        ..CASE
    },

    // Threads
    Case {
        name: "exit_of_many_threads_is_one",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "i=0; while [ $i -lt 50 ]; do $CALLS threads 50; i=$((i+1)); done"],
        events: Some(51),
        ..CASE
    },
    Case {
        name: "exit_of_each_thread",
        args: &["exitsnoop", "--threads", "--count=comm,kind", "-i", "90", "--json"],
        command: &["sh", "-c", "i=0; while [ $i -lt 50 ]; do $CALLS threads 50; i=$((i+1)); done"],
        shows: &[
            r#"{"comm": "calls", "kind": "thread", "count": 2500}"#,
            r#"{"comm": "calls", "kind": "process", "count": 50}"#,
            r#"{"comm": "sh", "kind": "process", "count": 1}"#,
        ],
        events: Some(2551),
        ..CASE
    },
    Case {
        name: "exit_by_strict_seccomp",
        args: &["exitsnoop", "--json", "-x"],
        command: &["sh", "-c", "$CALLS strict -; true"],
        shows: &[r#"{"comm": "calls", "signal": "SIGKILL", "by": "seccomp", "sender_pid": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        // Which code counts depends on the kernel: its parent was told.
        name: "exit_of_the_first_thread",
        args: &["exitsnoop", "--json"],
        command: &["sh", "-c", "$CALLS first-thread-ends -; echo pid $? >&2"],
        shows: &[r#"{"comm": "calls", "exit_code": $PID}"#],
        events: Some(2),
        ..CASE
    },

    // What it used
    Case {
        name: "exit_time_on_the_processors",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "burn", "-"],
        events: Some(1),
        also: |run| {
            let cpu = number(run, "cpu_ns", |line| line["type"] == "event")?;
            let life = number(run, "life_ns", |line| line["type"] == "event")?;
            // It runs for 100 ms by its own clock; what it ran since the last tick may be missing.
            if cpu >= 80_000_000 && cpu <= life { Ok(()) } else { Err(format!("{cpu} of {life} ns")) }
        },
        ..CASE
    },
    Case {
        name: "exit_joins_its_exec",
        args: &["exitsnoop", "--json"],
        command: &["$CALLS", "own-stat", "-"],
        also: start_is_that_of_proc,
        ..CASE
    },
    Case {
        name: "exec_joins_its_exit",
        args: &["execsnoop", "--json"],
        command: &["$CALLS", "own-stat", "-"],
        also: start_is_that_of_proc,
        ..CASE
    },
];

/// In the first such line.
fn number(run: &Run, key: &str, of: fn(&serde_json::Value) -> bool) -> Result<u64, String> {
    let lines = run.json()?;
    let line = lines.iter().find(|line| of(line)).ok_or("no such line")?;
    line[key].as_u64().ok_or(format!("no {key}: {line}"))
}

/// The process has printed its own line of /proc, which counts in hundredths of a second.
fn start_is_that_of_proc(run: &Run) -> Result<(), String> {
    let start = number(run, "process_start_ns", |line| line["comm"] == "calls")?;
    let stat = run.stderr.lines().find_map(|line| line.split_once(" (calls) ")).ok_or("no stat")?;
    let ticks = stat.1.split(' ').nth(19).and_then(|ticks| ticks.parse().ok());
    if ticks == Some(start / 10_000_000) { Ok(()) } else { Err(format!("{ticks:?}: {start}")) }
}
