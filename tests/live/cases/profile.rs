//! Cases of profile.

use crate::case::{CASE, Case};
use crate::readers;

/// Where system calls begin in the kernel.
const SYSTEM_CALL: &str =
    if cfg!(target_arch = "aarch64") { "el0_svc" } else { "entry_SYSCALL_64" };

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "profile_functions",
        args: &["profile", "--json"],
        command: &["$CALLS", "busy", "500"],
        also: |run| {
            let lines = run.json()?;
            let is_spin = |line: &&serde_json::Value| {
                let module = line["module"].as_str().unwrap_or_default();
                line["function"] == "spin" && module.ends_with("/calls")
            };
            let spin = lines.iter().find(is_spin).ok_or("no spin")?;
            let main = lines.iter().find(|line| line["function"] == "main").ok_or("no main")?;
            let percent = |line: &serde_json::Value, key: &str| line[key].as_f64().unwrap_or(0.0);
            let good = percent(spin, "self_percent") > 50.0
                && percent(main, "total_percent") >= percent(spin, "self_percent")
                && percent(main, "self_percent") < 5.0;
            if good { Ok(()) } else { Err("not most of it in spin, below main".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_tree",
        args: &["profile", "--tree", "--json"],
        command: &["$CALLS", "busy", "500"],
        shows: &[
            r#"{"type": "interval", "depth": 0, "function": "calls"}"#,
            r#"{"function": "spin"}"#,
        ],
        also: |run| {
            let lines = run.json()?;
            let depth = |name: &str| {
                let line = lines.iter().find(|line| line["function"] == name);
                line.and_then(|line| line["depth"].as_u64()).unwrap_or(0)
            };
            let below = depth("main") + 1 == depth("do_busy") && depth("do_busy") + 1 == depth("spin");
            if below { Ok(()) } else { Err("not one below the other".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_folded",
        args: &["profile", "-f", "-U"],
        command: &["$CALLS", "busy", "500"],
        also: |run| {
            let mut lines = run.stdout.lines();
            let good = !run.stdout.starts_with('\n') && lines.any(|line| {
                let (stack, count) = line.rsplit_once(' ').unwrap_or_default();
                stack.starts_with("calls;")
                    && stack.ends_with(";main;do_busy;spin")
                    && !stack.contains("[broken stack]")
                    && count.parse::<u64>().is_ok_and(|count| count > 10)
            });
            if good { Ok(()) } else { Err("no such line".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_folded_as_with_bcc",
        args: &["profile", "-adf"],
        command: &["busybox", "timeout", "0.5", "$CALLS", "getppids", "2000000000"],
        code: 128 + 15,
        also: |run| {
            let is_both = |line: &str| line.starts_with("calls;") && line.contains(";-;") && line.contains("_[k]");
            let is_one = |line: &str| line.contains("_[k]") == line.contains(";-;");
            let mut lines = run.stdout.lines().filter(|line| line.starts_with("calls;"));
            let good = lines.clone().any(is_both) && lines.all(|line| is_one(line) || line.starts_with("calls;["));
            if good { Ok(()) } else { Err("programs and kernel are not set apart".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_of_one_cpu",
        args: &["profile", "-C", "0", "--json"],
        command: &["busybox", "taskset", "1", "$CALLS", "busy", "500"],
        shows: &[r#"{"function": "spin"}"#],
        ..CASE
    },
    Case {
        name: "profile_by_fields",
        args: &["profile", "--by", "comm,uid,function", "--json"],
        command: &["sh", "-c", "$SELF helper as 12345 $CALLS busy 1500; $CALLS busy 500"],
        shows: &[
            r#"{"type": "interval", "comm": "calls", "uid": 0, "function": "spin"}"#,
            r#"{"type": "interval", "comm": "calls", "uid": 12345, "function": "spin"}"#,
        ],
        also: |run| {
            let lines = run.json()?;
            let sum = lines.iter().filter_map(|line| line["count"].as_u64()).sum::<u64>();
            let all = lines.last().and_then(|line| line["delivered"].as_u64());
            if all == Some(sum) { Ok(()) } else { Err(format!("{sum} of {all:?} samples")) }
        },
        ..CASE
    },
    Case {
        name: "profile_by_process",
        args: &["profile", "--by", "pid,cgroup", "--json"],
        command: &["sh", "-c", "echo pid $$; exec $CALLS busy 500"],
        shows: &[r#"{"type": "interval", "pid": $PID, "comm": "calls"}"#],
        ..CASE
    },
    Case {
        name: "profile_stacks_of_the_kernel",
        args: &["profile", "-f", "-K", "--json"],
        // A CPU that makes system calls for half a second.
        command: &["busybox", "timeout", "0.5", "$CALLS", "getppids", "2000000000"],
        code: 128 + 15,
        also: |run| {
            let lines = run.json()?;
            let in_call = |line: &serde_json::Value| line["stack"].to_string().contains(SYSTEM_CALL);
            let user = |line: &serde_json::Value| line["stack"].to_string().contains("do_getppids");
            let good = lines.iter().any(in_call) && !lines.iter().any(user);
            if good { Ok(()) } else { Err("not stacks of the kernel alone".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_flame_graph",
        args: &["profile", "--svg", "$DIR/flames.svg", "--json"],
        command: &["$CALLS", "busy", "500"],
        also: |run| {
            let svg = std::fs::read_to_string(run.word("$DIR") + "/flames.svg").map_err(|error| error.to_string())?;
            let lines = run.json()?;
            let samples = lines.last().ok_or("no line")?["delivered"].as_u64().unwrap_or(0);
            let title = format!(" s, {samples} samples</text>");
            let good = svg.starts_with("<?xml") && svg.trim_end().ends_with("</svg>") && svg.contains("spin (")
                && svg.contains(": 99 Hz, ") && svg.contains(&title);
            if good { Ok(()) } else { Err("no flame graph with spin in it".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_for_pprof_and_speedscope",
        args: &["profile", "--pprof", "$DIR/pprof.gz", "--speedscope", "$DIR/speedscope.json", "--json"],
        command: &["$CALLS", "busy", "500"],
        also: |run| {
            let shown = readers::shown(run)?;
            let file = |name: &str| run.word("$DIR") + name;
            let read = [readers::pprof(&file("/pprof.gz"))?, readers::speedscope(&file("/speedscope.json"))?];
            let spins = |(name, [own, _]): (&String, &[u64; 2])| name.starts_with("spin of /") && *own > 10;
            let good = shown.iter().any(spins) && read == [shown.clone(), shown];
            if good { Ok(()) } else { Err(format!("others read what was not shown: {read:?}")) }
        },
        ..CASE
    },
    Case {
        name: "profile_to_no_file",
        args: &["profile", "--pprof", "$DIR/no/such"],
        command: &["sh", "-c", ": >$DIR/ran"],
        code: 1,
        also: |run| {
            let said = run.stderr.contains("/no/such: No such file");
            let ran = std::path::Path::new(&run.word("$DIR")).join("ran").exists();
            if said && !ran { Ok(()) } else { Err("not told before the command runs".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_of_what_a_process_compiles",
        args: &["profile", "--json"],
        command: &["$CALLS", "jit", "0"],
        shows: &[r#"{"function": "compiled_function", "module": "[jit]"}"#],
        ..CASE
    },
    Case {
        name: "profile_of_a_function_named_like_a_mark",
        args: &["profile", "--json"],
        command: &["$CALLS", "jit", "0", "[no stack]"],
        shows: &[r#"{"function": "'[no stack]'", "module": "[jit]"}"#],
        hides: &[r#"{"function": "[no stack]", "module": "[jit]"}"#],
        ..CASE
    },
    Case {
        name: "profile_does_not_believe_what_others_say_of_a_process",
        args: &["profile", "--json"],
        command: &["$CALLS", "jit", "65534"],
        shows: &[r#"{"function": "[unknown]"}"#],
        hides: &[r#"{"function": "compiled_function"}"#],
        ..CASE
    },
    Case {
        name: "profile_stops_at_what_is_no_code",
        args: &["profile", "-f", "-U", "--json"],
        command: &["$CALLS", "stray", "1"],
        shows: &[r#"{"comm": "calls", "stack": ["[broken stack]", "stray"]}"#],
        also: |run| {
            let lines = run.json()?;
            let summary = lines.last().ok_or("no line")?;
            let broken = summary["broken_stacks"].as_u64().unwrap_or(0);
            let said = run.stderr.contains(" stacks of programs end early: programs built without frame pointers\n");
            let good = broken > 5 && summary["stacks"].as_u64() >= Some(broken) && said
                && !run.stdout.contains("\"[stack]\"");
            if good { Ok(()) } else { Err("not the broken stacks".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_of_one_program_after_the_other",
        args: &["profile", "--json"],
        // In one process, at addresses that are not chosen anew.
        command: &["$SELF", "helper", "without-aslr", "sh", "-c", "while [ $((i = i + 1)) -lt 10000 ]; do :; done; exec $CALLS busy 500"],
        also: |run| {
            let lines = run.json()?;
            let spin = lines.iter().find(|line| line["function"] == "spin").ok_or("no spin")?;
            if spin["count"].as_u64() > Some(10) { Ok(()) } else { Err("spin is too little".into()) }
        },
        ..CASE
    },
    Case {
        name: "profile_table",
        args: &["profile", "--top", "1"],
        command: &["$CALLS", "busy", "500"],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["SAMPLES", "SELF%", "TOTAL", "TOTAL%", "FUNCTION", "MODULE"]
                && lines.len() == 2
                && lines[1].contains(" spin  ") && lines[1].ends_with("/calls");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },
];
