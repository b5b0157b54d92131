//! Cases of execsnoop.

use super::BASH;
use crate::case::{CASE, Case, Need};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "exec_is_exact",
        args: &["execsnoop", "--json"],
        command: &["sh", "-c", "echo pid $$; exec /bin/echo 'a b' '' '$x'"],
        shows: &[
            r#"{"type": "event", "tool": "execsnoop", "comm": "echo", "pid": $PID, "tid": $PID, "ppid": $TRACER,
                "uid": 0, "ret": 0, "errno": null, "path": "/bin/echo", "args": ["/bin/echo", "a b", "", "$x"],
                "args_bytes": 18, "args_truncated": null}"#,
            r#"{"comm": "sh", "pid": $PID, "ppid": $TRACER}"#,
            r#"{"type": "summary", "produced": 2, "delivered": 2, "lost": {}}"#,
        ],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exec_of_descendants",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["sh", "-c", "(sh -c '(/bin/true grandchild)& wait')"],
        shows: &[r#"{"args": ["/bin/true", "grandchild"]}"#],
        ..CASE
    },
    Case {
        name: "exec_by_a_text_in_arguments",
        args: &["execsnoop", "-q", "-l", "b c", "--json"],
        command: &["sh", "-c", "exec busybox true a b c; :", "b", "c"],
        shows: &[r#"{"args": ["busybox", "true", "a", "b", "c"]}"#],
        ..CASE
    },
    Case {
        name: "exec_by_a_text_that_is_no_pattern",
        args: &["execsnoop", "-l", "^busybox$", "--json"],
        command: &["sh", "-c", "busybox true; :"],
        events: Some(0),
        also: |run| {
            let said = "execsnoop: -l '^busybox$' is looked for as it is: it is no pattern";
            if run.stderr.contains(said) { Ok(()) } else { Err("it is not said".into()) }
        },
        ..CASE
    },
    Case {
        name: "exec_failures",
        args: &["execsnoop", "-x", "--json", "--fields", "comm,ret,errno,path,args"],
        command: &["/bin/bash", "-c", "/no/such/program a 'b c'; /etc/passwd; /bin/true"],
        needs: &[Need::Tracefs, BASH],
        shows: &[
            r#"{"type": "event", "ret": -2, "errno": "ENOENT", "path": "/no/such/program", "args": ["/no/such/program", "a", "b c"]}"#,
            r#"{"ret": -13, "errno": "EACCES", "path": "/etc/passwd"}"#,
            r#"{"comm": "true", "ret": 0}"#,
        ],
        ..CASE
    },
    Case {
        name: "exec_failures_are_not_asked_for",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["/bin/bash", "-c", "/no/such/program; /bin/true"],
        needs: &[BASH],
        shows: &[r#"{"comm": "true", "ret": 0}"#],
        hides: &[r#"{"errno": "ENOENT"}"#],
        ..CASE
    },
    Case {
        name: "exec_bytes_that_are_no_text",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["/bin/bash", "-c", r"exec /bin/true $'\xff' $'\x1b[2J\n\xe2\x80\xae'"],
        needs: &[BASH],
        shows: &[r#"{"comm": "true", "args": ["/bin/true", "\ufffd", "\u001b[2J\n\u202e"],
                     "args_base64": ["L2Jpbi90cnVl", "/w==", "G1sySgrigK4="]}"#],
        ..CASE
    },
    Case {
        name: "exec_table",
        args: &["execsnoop"],
        command: &["/bin/bash", "-c", r"exec /bin/true 'a b' $'\x1b[2J\n'"],
        needs: &[BASH],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["COMM", "PID", "PPID", "RET", "ARGS"]
                && lines.len() == 3
                && lines[2].ends_with(r" 0   /bin/true 'a b' $'\x1b[2J\n'");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },
    Case {
        name: "exec_table_with_time_and_uid",
        args: &["execsnoop", "-T", "-U"],
        command: &["true"],
        also: |run| {
            let header = run.stdout.lines().next().unwrap_or_default();
            let header = header.split_whitespace().collect::<Vec<_>>();
            let good = header == ["TIME", "UID", "COMM", "PID", "PPID", "RET", "ARGS"];
            let total = run.stderr.lines().any(|line| line == "execsnoop: 1 event, 0 lost");
            if good && total { Ok(()) } else { Err("not what was expected".into()) }
        },
        ..CASE
    },
    Case {
        name: "exec_large_arguments",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["/bin/bash", "-c", r#"exec /bin/true "$(printf %060000d 7)""#],
        needs: &[BASH],
        shows: &[r#"{"comm": "true", "args_bytes": 60011, "args_truncated": null}"#],
        also: |run| {
            let whole = format!("\"{:060000}\"", 7);
            if run.stdout.contains(&whole) { Ok(()) } else { Err("not whole".into()) }
        },
        ..CASE
    },
    Case {
        name: "exec_larger_arguments_are_marked",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["/bin/bash", "-c", r#"exec /bin/true "$(printf %0100000d 7)""#],
        needs: &[BASH],
        shows: &[r#"{"comm": "true", "args_bytes": 100011, "args_truncated": true}"#],
        ..CASE
    },

    // The ways to exec
    Case {
        name: "exec_by_execveat",
        args: &["execsnoop", "--json"],
        command: &["$CALLS", "execveat", "true", "a"],
        shows: &[r#"{"comm": "true", "ret": 0, "exe": "$BIN/true", "args": ["true", "a"]}"#],
        ..CASE
    },
    Case {
        name: "exec_by_fexecve",
        args: &["execsnoop", "--json"],
        command: &["$CALLS", "fexecve", "/bin/true", "a"],
        shows: &[r#"{"ret": 0, "exe": "$BIN/true", "args": ["/bin/true", "a"]}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exec_of_memory",
        args: &["execsnoop", "--json"],
        command: &["$CALLS", "memfd", "/bin/true", "a"],
        shows: &[r#"{"ret": 0, "exe": "/memfd:in memory", "exe_known": "deleted", "args": ["/bin/true", "a"]}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exec_of_a_script",
        args: &["execsnoop", "--json"],
        command: &["sh", "-c", "cd $DIR; printf '#!/bin/echo one\n' >script; chmod +x script; ./script two"],
        shows: &[r#"{"comm": "script", "path": "./script", "interpreter": "/bin/echo", "exe": "$BIN/echo",
                     "cwd": "$DIR", "args": ["/bin/echo", "one", "./script", "two"]}"#],
        ..CASE
    },
    Case {
        name: "exec_from_a_thread",
        args: &["execsnoop", "--json", "--fields", "comm,pid,tid,ppid,args"],
        command: &["$CALLS", "thread", "/bin/true", "a"],
        shows: &[r#"{"comm": "true", "pid": $PID, "tid": $PID, "ppid": $TRACER, "args": ["/bin/true", "a"]}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exec_by_a_32_bit_call",
        args: &["execsnoop", "--json", "--fields", "comm,args"],
        command: &["$CALLS", "exec32", "/bin/true", "a"],
        needs: &[Need::Calls32],
        shows: &[r#"{"comm": "true", "args": ["/bin/true", "a"]}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exec_failures_of_all_calls",
        args: &["execsnoop", "-x", "--json", "--fields", "comm,ret,errno,path,args"],
        command: &["sh", "-c", "$CALLS execveat no-such a b; $CALLS thread /no/such t; true"],
        shows: &[
            r#"{"ret": -2, "errno": "ENOENT", "path": "no-such", "args": ["no-such", "a", "b"]}"#,
            r#"{"ret": -2, "path": "/no/such", "args": ["/no/such", "t"]}"#,
        ],
        ..CASE
    },
    Case {
        name: "exec_failures_of_32_bit_calls",
        args: &["execsnoop", "-x", "--json", "--fields", "comm,ret,errno,path,args"],
        command: &["$CALLS", "exec32", "/no/such", "a"],
        needs: &[Need::Calls32],
        shows: &[r#"{"ret": -2, "errno": "ENOENT", "path": "/no/such", "args": ["/no/such", "a"]}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "exec_of_an_unreadable_name",
        args: &["execsnoop", "-x", "--json", "--fields", "comm,ret,errno,path,args"],
        command: &["$CALLS", "bad-file", "a", "b"],
        shows: &[r#"{"errno": "EFAULT", "path": null, "args": ["a", "b"]}"#],
        ..CASE
    },
    Case {
        name: "exec_of_an_empty_name",
        args: &["execsnoop", "-x", "--json", "--fields", "comm,ret,errno,path,args"],
        command: &["$CALLS", "thread", ""],
        code: 1,
        shows: &[r#"{"errno": "ENOENT", "path": "", "args": [""]}"#],
        ..CASE
    },
    Case {
        name: "exec_that_fails_when_the_old_program_is_gone",
        args: &["execsnoop", "-x", "--json", "--fields", "pid,ret,path,args"],
        command: &["sh", "-c", "echo pid $$; exec $CALLS no-return $DIR/program"],
        also: |run| {
            let failed = run.json()?.into_iter().find(|line| line["ret"].as_i64() < Some(0));
            let failed = failed.ok_or("no failure")?;
            if failed["path"].is_null() { Ok(()) } else { Err(format!("{failed}")) }
        },
        ..CASE
    },
    Case {
        name: "exec_table_of_an_unreadable_name",
        args: &["execsnoop", "-x"],
        command: &["$CALLS", "bad-file", "a", "b"],
        also: |run| {
            if run.stdout.contains(" EFAULT [?] b\n") { Ok(()) } else { Err("no [?]".into()) }
        },
        ..CASE
    },
    Case {
        name: "exec_with_bad_addresses",
        args: &["execsnoop", "-x", "--json", "--fields", "comm,ret,errno,path,args"],
        command: &["$CALLS", "bad-address", "/bin/true"],
        shows: &[
            r#"{"errno": "EFAULT", "path": "/bin/true", "args": ["/bin/true", null], "args_truncated": null}"#,
            r#"{"errno": "EFAULT", "path": "/bin/true", "args": [], "args_truncated": true}"#,
            r#"{"errno": "ENOENT", "path": "/no/such", "args": [], "args_truncated": null}"#,
        ],
        ..CASE
    },

    // Arguments
    Case {
        name: "args_none",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["$CALLS", "no-args", "/bin/true"],
        events: Some(2),
        also: |run| {
            // Linux 5.18 gives such a program one empty argument.
            let last = run.json()?.into_iter().rfind(|line| line["type"] == "event");
            let args = last.unwrap_or_default()["args"].clone();
            let good = args == serde_json::json!([]) || args == serde_json::json!([""]);
            if good { Ok(()) } else { Err(format!("{args}")) }
        },
        ..CASE
    },
    Case {
        // What fits a record that is made in the ring, and what is a byte too long for it.
        name: "exec_at_the_end_of_short_records",
        args: &["execsnoop", "--json", "--fields", "path,args,args_bytes", "-n", "true"],
        command: &["sh", "-c", "a=$(printf %0117d 0); /bin/true $a; /bin/true 0$a; \
            /bin//././././././././././././././././././././././././././true; /bin/./././././././././././././././././././././././././././true; :"],
        also: |run| {
            let lines = run.json()?;
            let seen = lines.iter().filter_map(|line| {
                let (path, args) = (line["path"].as_str()?, line["args"].as_array()?);
                let len = args.iter().filter_map(|arg| Some(arg.as_str()?.len() + 1)).sum::<usize>();
                let is_whole = line["args_bytes"] == len && line["args_truncated"].is_null();
                Some((path.len(), len, is_whole))
            });
            let seen = seen.collect::<Vec<_>>();
            let good = seen == [(9, 128, true), (9, 129, true), (62, 63, true), (63, 64, true)];
            if good { Ok(()) } else { Err(format!("{seen:?}")) }
        },
        ..CASE
    },
    Case {
        name: "args_on_untouched_pages",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["sh", "-c", "cd $DIR; $CALLS untouched /bin/true 'never read'"],
        shows: &[r#"{"comm": "true", "args": ["/bin/true", "never read"]}"#],
        ..CASE
    },
    Case {
        name: "args_100000",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes", "--max-args-bytes", "512K"],
        command: &["$CALLS", "many", "/bin/true", "100000", "1"],
        shows: &[r#"{"comm": "true", "args_bytes": 200010, "args_truncated": null}"#],
        also: |run| {
            let lines = run.json()?;
            let count = lines.iter().filter_map(|line| line["args"].as_array()).map(Vec::len).max();
            if count == Some(100_001) { Ok(()) } else { Err(format!("{count:?}")) }
        },
        ..CASE
    },
    Case {
        name: "args_one_of_128_kib",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes"],
        command: &["$CALLS", "many", "/bin/true", "1", "131071"],
        shows: &[r#"{"comm": "true", "args_bytes": 131082, "args_truncated": true}"#],
        ..CASE
    },
    Case {
        name: "args_of_nearly_2_mib",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes", "--max-args-bytes", "2M", "--buffer", "8M"],
        command: &["$CALLS", "many", "/bin/true", "15", "131071"],
        shows: &[r#"{"comm": "true", "args_bytes": 1966090, "args_truncated": null}"#],
        ..CASE
    },
    Case {
        name: "args_cut_where_it_is_said",
        args: &["execsnoop", "--json", "--fields", "comm,ret,errno,args,args_bytes", "--max-args-bytes", "8K"],
        command: &["$CALLS", "many", "/bin/true", "1", "10000"],
        shows: &[r#"{"comm": "true", "args_bytes": 10011, "args_truncated": true}"#],
        ..CASE
    },
];
