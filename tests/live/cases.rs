//! The table: a new tool adds rows here.

use crate::case::{CASE, Case, Need, first_way};

/// Where system calls begin in the kernel.
const SYSTEM_CALL: &str =
    if cfg!(target_arch = "aarch64") { "el0_svc" } else { "entry_SYSCALL_64" };

const OPEN_FIELDS: &str = "comm,fd,errno,flags,path,full_path";
const OPENS: Case = Case {
    command: &["sh", "-c", "cd $DIR; : >f; exec $CALLS opens $DIR f"],
    shows: &[
        r#"{"comm": "calls", "fd": 4, "errno": null, "flags": ["O_WRONLY", "O_APPEND"], "path": "f", "full_path": "$DIR/f"}"#,
        r#"{"comm": "calls", "fd": 5, "flags": ["O_RDWR", "O_CLOEXEC"], "path": "f", "full_path": "$DIR/f"}"#,
        r#"{"comm": "calls", "fd": 6, "flags": ["O_RDONLY", "O_NONBLOCK"], "path": "f", "full_path": "$DIR/f"}"#,
        r#"{"comm": "calls", "fd": 7, "flags": ["O_WRONLY", "O_CREAT", "O_TRUNC"], "path": "f"}"#,
        r#"{"comm": "calls", "fd": -1, "errno": "ENOENT", "path": "no such file", "full_path": "$DIR/no such file"}"#,
        r#"{"comm": "calls", "fd": -1, "errno": "ENOENT", "path": "", "full_path": ""}"#,
        r#"{"comm": "calls", "fd": -1, "errno": "EFAULT", "path": null, "full_path": null}"#,
    ],
    ..CASE
};
/// The kernel refuses some before it opens anything, and leaves flags out.
const ODD_OPENS: Case = Case {
    command: &["sh", "-c", ": >>$DIR/f; exec $CALLS odd-opens $DIR /f"],
    shows: &[
        r#"{"fd": -1, "errno": "EINVAL", "flags": ["O_WRONLY"], "path": "/f"}"#,
        r#"{"fd": -1, "errno": "E2BIG", "flags": ["O_WRONLY"], "path": "/f"}"#,
        r#"{"fd": -1, "errno": "EFAULT", "flags": null, "path": "/f"}"#,
        r#"{"fd": -1, "errno": "EINVAL", "flags": ["O_RDONLY"], "path": "/f"}"#,
        r#"{"errno": null, "flags": ["O_RDONLY"], "path": "/f", "full_path": "$DIR/f"}"#,
        r#"{"errno": null, "flags": ["O_RDONLY", "O_PATH"], "path": "f", "full_path": "$DIR/f"}"#,
        r#"{"errno": null, "flags": ["O_RDWR"], "path": "f", "full_path": "$DIR/f"}"#,
    ],
    // And the shell's own.
    events: Some(8),
    ..CASE
};
const OPENS32: Case = Case {
    command: &["sh", "-c", "cd $DIR; : >f; exec $CALLS open32 $DIR/f f"],
    needs: &[Need::Calls32],
    shows: &[
        r#"{"comm": "calls", "errno": null, "flags": ["O_RDONLY"], "path": "$DIR/f"}"#,
        r#"{"comm": "calls", "errno": null, "flags": ["O_WRONLY"], "path": "f"}"#,
    ],
    ..CASE
};
const LOOKUPS: Case = Case {
    args: &["gethostlatency", "-a", "--json", "-n", "lookups"],
    shows: &[
        r#"{"type": "event", "call": "getaddrinfo", "result": "OK", "host": "127.0.0.9", "addresses": ["127.0.0.9"]}"#,
        r#"{"call": "getaddrinfo", "result": "OK", "host": "::7", "addresses": ["::7"]}"#,
        r#"{"call": "getaddrinfo", "result": "EAI_NONAME", "host": "no name", "addresses": null}"#,
        r#"{"call": "gethostbyname", "result": "OK", "host": "127.0.0.1", "addresses": ["127.0.0.1"]}"#,
        r#"{"call": "gethostbyname2", "result": "OK", "host": "127.0.0.2", "addresses": ["127.0.0.2"]}"#,
        r#"{"call": "gethostbyname_r", "result": "OK", "host": "127.0.0.3", "addresses": ["127.0.0.3"]}"#,
        r#"{"call": "gethostbyname2_r", "result": "OK", "host": "127.0.0.4", "addresses": ["127.0.0.4"]}"#,
    ],
    events: Some(7),
    ..CASE
};
const STAND_IN: Case = Case {
    args: &["querysnoop", "--server", "$CALLS", "--json"],
    command: &["$CALLS", "mysql", "select 'a stand-in'"],
    needs: &[Need::Usdt],
    ..CASE
};
const GETPPIDS: &[&str] = &["$CALLS", "getppids", "1000"];
const IN_NETWORK: &[&str] = &["$SELF", "helper", "in-network"];
const IN_TWO_NETWORKS: &[&str] = &["$SELF", "helper", "in-two-networks"];
const BASH: Need = Need::Program("/bin/bash");

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    // execsnoop
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

    // execsnoop: the ways to exec
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

    // execsnoop: arguments
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

    // fields
    Case {
        name: "fields_are_chosen_and_ordered",
        args: &["execsnoop", "--fields", "argv0,path,exe,cwd,parent_comm"],
        command: &["/bin/bash", "-c", "cd /; exec -a other /bin/true"],
        needs: &[BASH],
        also: |run| {
            let lines = run.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let lines = lines.collect::<Vec<_>>();
            let good = lines.first() == Some(&vec!["ARGV0", "FILE", "EXE", "CWD", "PCOMM"])
                && lines.last().is_some_and(|line| {
                    line[0] == "other" && line[1] == "/bin/true" && line[2].ends_with("/bin/true")
                        && line[3] == "/" && line[4] == "ebtools"
                });
            if good { Ok(()) } else { Err("not the fields that were asked for".into()) }
        },
        ..CASE
    },
    Case {
        name: "fields_of_json",
        args: &["execsnoop", "--json", "--fields", "pid,argv0"],
        command: &["true"],
        also: |run| {
            let first = run.stdout.lines().next().unwrap_or_default();
            let good = first.starts_with(r#"{"type":"event","tool":"execsnoop","pid":"#)
                && first.ends_with(r#","argv0":"true"}"#);
            if good { Ok(()) } else { Err("not the fields that were asked for".into()) }
        },
        ..CASE
    },
    Case {
        name: "ancestry",
        args: &["execsnoop", "--json", "--fields", "comm,ppid,ancestors", "--ancestry"],
        command: &["sh", "-c", "echo pid $$; (sh -c '/bin/true; :'); :"],
        also: |run| {
            let lines = run.json()?;
            let line = lines.iter().find(|line| line["comm"] == "true").ok_or("no true")?;
            let chain = line["ancestors"].as_array().ok_or("no ancestors")?;
            let names = chain.iter().filter_map(|one| one["comm"].as_str()).collect::<Vec<_>>();
            let good = names.starts_with(&["sh"]) && names.contains(&"ebtools")
                && line["ppid"] == chain[0]["pid"];
            if good { Ok(()) } else { Err(format!("{names:?}")) }
        },
        ..CASE
    },

    // counts
    Case {
        name: "count_is_exact",
        args: &["execsnoop", "--count", "-i", "0.2", "--json"],
        command: &["sh", "-c", "i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done"],
        shows: &[r#"{"type": "interval", "comm": null}"#, r#"{"type": "summary", "produced": 51, "delivered": 51, "lost": {}}"#],
        events: Some(51),
        ..CASE
    },
    Case {
        name: "count_by_comm",
        args: &["execsnoop", "--count=comm", "-i", "30", "--json"],
        command: &["sh", "-c", "for i in 1 2 3 4 5; do /bin/true; done; /bin/echo"],
        shows: &[
            r#"{"type": "interval", "comm": "true", "count": 5}"#,
            r#"{"type": "interval", "comm": "echo", "count": 1}"#,
        ],
        events: Some(7),
        ..CASE
    },
    Case {
        name: "count_by_uid",
        args: &["execsnoop", "--count=uid", "-i", "30", "--json"],
        command: &["sh", "-c", "/bin/true; $SELF helper as 12345 /bin/true"],
        shows: &[
            r#"{"type": "interval", "uid": 12345, "count": 1}"#,
            r#"{"type": "interval", "uid": 0, "count": 3}"#,
        ],
        events: Some(4),
        ..CASE
    },
    Case {
        name: "count_by_pid",
        args: &["execsnoop", "--count=pid", "-i", "30", "--json"],
        command: &["sh", "-c", "echo pid $$; exec sh -c 'exec /bin/true'"],
        shows: &[r#"{"type": "interval", "pid": $PID, "count": 3}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "count_of_another_tool",
        args: &["unlinksnoop", "--count=comm", "-i", "30", "--json"],
        command: &["sh", "-c", "cd $DIR; touch a b; rm a; rm b; rm -f c"],
        shows: &[r#"{"type": "interval", "tool": "unlinksnoop", "comm": "rm", "count": 3}"#],
        events: Some(3),
        ..CASE
    },

    // filters
    Case {
        name: "filter_by_name",
        args: &["execsnoop", "-n", "tru", "--json", "--fields", "comm,uid"],
        command: &["sh", "-c", "/bin/true; /bin/echo"],
        shows: &[r#"{"comm": "true"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "filter_by_name_in_the_middle_and_at_the_end",
        args: &["execsnoop", "-n", "mdir", "--json", "--fields", "comm,uid"],
        command: &["sh", "-c", "mkdir $DIR/a; rmdir $DIR/a; true"],
        shows: &[r#"{"comm": "rmdir"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "filter_by_user",
        args: &["execsnoop", "-u", "12345", "--json", "--fields", "comm,uid"],
        command: &["sh", "-c", "/bin/true; $SELF helper as 12345 /bin/echo"],
        shows: &[r#"{"comm": "echo", "uid": 12345}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "filter_by_user_name",
        args: &["execsnoop", "-u", "root", "--json", "--fields", "comm,uid"],
        command: &["sh", "-c", "/bin/true; $SELF helper as 12345 /bin/echo"],
        shows: &[r#"{"comm": "true", "uid": 0}"#],
        hides: &[r#"{"uid": 12345}"#],
        ..CASE
    },
    Case {
        name: "filters_that_nothing_passes",
        args: &["execsnoop", "-p", "1", "--json", "--fields", "comm,uid"],
        command: &["sh", "-c", "/bin/true"],
        events: Some(0),
        ..CASE
    },

    // unlinksnoop
    Case {
        name: "unlink_by_kprobe",
        args: &["unlinksnoop", "--hook", "kprobe", "--json"],
        needs: &[Need::Kprobes],
        ..UNLINKS
    },
    Case {
        name: "unlink_by_fexit",
        args: &["unlinksnoop", "--hook", "fexit", "--json"],
        needs: &[Need::Fexit],
        ..UNLINKS
    },
    Case {
        name: "unlink_by_kprobe_multi",
        args: &["unlinksnoop", "--hook", "kprobe-multi", "--json"],
        needs: &[Need::KprobeMulti],
        ..UNLINKS
    },
    Case {
        name: "unlink_by_sys_exit",
        args: &["unlinksnoop", "--hook", "sys-exit", "--json"],
        ..UNLINKS
    },
    Case {
        name: "unlink_by_what_there_is",
        args: &["unlinksnoop", "--json"],
        ..UNLINKS
    },
    Case {
        name: "unlink_failures_only",
        args: &["unlinksnoop", "-x", "--json"],
        shows: &[r#"{"ret": -20, "errno": "ENOTDIR", "kind": "dir", "path": "$DIR/afile"}"#],
        hides: &[r#"{"ret": 0}"#],
        events: Some(1),
        ..UNLINKS
    },
    Case {
        name: "unlink_chooses_the_best_way",
        args: &["unlinksnoop", "-v"],
        command: &["true"],
        needs: &[Need::Fexit, Need::Kprobes],
        also: |run| {
            if first_way(&run.stderr) { Ok(()) } else { Err(run.stderr.clone()) }
        },
        ..CASE
    },
    Case {
        name: "unlink_table",
        args: &["unlinksnoop"],
        command: &["/bin/bash", "-c", r"cd $DIR; touch $'a\x1b[2J\n'; rm $'a\x1b[2J\n'"],
        needs: &[BASH],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["TIME", "UID", "COMM", "PID", "RET", "KIND", "PATH"]
                && lines.len() == 2
                && lines[1].contains(" 0      file /") && lines[1].ends_with(r"/a\x1b[2J\n");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },

    // unlinksnoop: the ways to delete
    Case {
        name: "unlink_by_32_bit_calls_and_fexit",
        args: &["unlinksnoop", "--hook", "fexit", "--json"],
        needs: &[Need::Fexit, Need::Calls32],
        ..UNLINKS32
    },
    Case {
        name: "unlink_by_32_bit_calls_and_kprobe_multi",
        args: &["unlinksnoop", "--hook", "kprobe-multi", "--json"],
        needs: &[Need::KprobeMulti, Need::Calls32],
        ..UNLINKS32
    },
    Case {
        name: "unlink_by_32_bit_calls_and_kprobe",
        args: &["unlinksnoop", "--hook", "kprobe", "--json"],
        needs: &[Need::Kprobes, Need::Calls32],
        ..UNLINKS32
    },
    Case {
        name: "unlink_by_32_bit_calls_and_sys_exit",
        args: &["unlinksnoop", "--hook", "sys-exit", "--json"],
        ..UNLINKS32
    },
    Case {
        name: "unlink_by_io_uring_and_fexit",
        args: &["unlinksnoop", "--hook", "fexit", "--json"],
        needs: &[Need::Fexit, Need::Uring],
        ..UNLINK_URING
    },
    Case {
        name: "unlink_by_io_uring_and_kprobe_multi",
        args: &["unlinksnoop", "--hook", "kprobe-multi", "--json"],
        needs: &[Need::KprobeMulti, Need::Uring],
        ..UNLINK_URING
    },
    Case {
        name: "unlink_by_io_uring_and_kprobe",
        args: &["unlinksnoop", "--hook", "kprobe", "--json"],
        needs: &[Need::Kprobes, Need::Uring],
        ..UNLINK_URING
    },
    Case {
        name: "unlink_load_is_exact",
        args: &["unlinksnoop", "--json", "-n", "calls"],
        command: &["sh", "-c", "cd $DIR; exec $CALLS unlinks 500"],
        shows: &[r#"{"type": "summary", "produced": 2000, "delivered": 2000, "lost": {}}"#],
        ..CASE
    },
    Case {
        name: "unlink_below_a_descriptor",
        args: &["unlinksnoop", "--json"],
        ..UNLINKAT
    },
    Case {
        name: "unlink_below_a_descriptor_by_sys_exit",
        args: &["unlinksnoop", "--hook", "sys-exit", "--json"],
        ..UNLINKAT
    },
    Case {
        name: "unlink_in_a_chroot",
        args: &["unlinksnoop", "--json"],
        command: &["sh", "-c", "mkdir $DIR/root; touch $DIR/root/a; exec $CALLS chroot $DIR/root /a"],
        shows: &[r#"{"ret": 0, "path": "$DIR/root/a", "path_known": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "unlink_across_a_mount",
        args: &["unlinksnoop", "--json"],
        command: &["sh", "-c", "mkdir $DIR/m; exec $SELF helper without $DIR/m sh -c 'cd $DIR/m; mkdir d; cd d; touch a; rm a'"],
        shows: &[r#"{"ret": 0, "path": "$DIR/m/d/a", "path_known": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "unlink_in_a_deleted_directory",
        args: &["unlinksnoop", "--json"],
        command: &["sh", "-c", "mkdir $DIR/d; exec $CALLS deleted-cwd $DIR/d"],
        shows: &[r#"{"errno": "ENOENT", "path": "$DIR/d/nothing", "path_known": "deleted"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "unlink_with_a_bad_address",
        args: &["unlinksnoop", "--json"],
        command: &["$CALLS", "bad-name", "x"],
        shows: &[
            r#"{"errno": "EFAULT", "kind": "file", "path": null}"#,
            r#"{"errno": "ENOENT", "kind": "file", "path": ""}"#,
        ],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "unlink_in_a_mount_that_is_detached",
        args: &["unlinksnoop", "--json"],
        command: &["sh", "-c", "mkdir $DIR/m; exec $SELF helper without $DIR/m sh -c \
                    'cd $DIR/m; mkdir d; : >d/f; busybox umount -l $DIR/m; rm d/f'"],
        shows: &[r#"{"ret": 0, "path": "d/f", "path_known": "cut"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "unlink_in_a_tree_that_is_mounted_nowhere",
        args: &["unlinksnoop", "--json"],
        command: &["sh", "-c", ": >$DIR/f; exec $CALLS detached $DIR /f"],
        shows: &[r#"{"ret": 0, "path": "f", "path_known": "cut"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "unlink_by_path",
        args: &["unlinksnoop", "--json", "--path", "*/b*", "--not-path", "*bc"],
        command: &["sh", "-c", "cd $DIR; touch a bb bc; rm a; rm bb; rm bc; rm -f b; :"],
        shows: &[r#"{"ret": 0, "path": "$DIR/bb"}"#, r#"{"ret": -2, "path": "$DIR/b"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "unlink_by_path_with_a_prefix",
        args: &["unlinksnoop", "--json", "--path", "$DIR/wanted/*"],
        command: &["sh", "-c", "cd $DIR; mkdir wanted other; touch wanted/a wanted/b other/a; \
                    rm $DIR/other/a; rm $DIR/wanted/a; cd wanted; rm b"],
        shows: &[r#"{"path": "$DIR/wanted/a"}"#, r#"{"path": "$DIR/wanted/b"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "unlink_by_path_whatever_the_name_is",
        args: &["unlinksnoop", "--json", "--path", "$DIR/wanted/*"],
        command: &["sh", "-c", "cd $DIR; mkdir wanted other; touch wanted/a wanted/b wanted/c wanted/d; \
                    rm ./wanted/a; rm other/../wanted/b; rm $DIR/other/..//./wanted/c; rm /..$DIR/wanted/d; \
                    rm -f wanted/../x wanted/../other/x; :"],
        shows: &[
            r#"{"ret": 0, "path": "$DIR/./wanted/a"}"#,
            r#"{"ret": 0, "path": "$DIR/other/../wanted/b"}"#,
            r#"{"ret": 0, "path": "$DIR/other/..//./wanted/c"}"#,
            r#"{"ret": 0, "path": "/..$DIR/wanted/d"}"#,
        ],
        events: Some(4),
        ..CASE
    },
    Case {
        name: "unlink_by_path_in_a_chroot",
        args: &["unlinksnoop", "--json", "--path", "$DIR/root/*"],
        command: &["sh", "-c", "mkdir $DIR/root; touch $DIR/root/a $DIR/root/b; \
                    $CALLS chroot $DIR/root /a; $CALLS chroot $DIR/root ../b"],
        shows: &[r#"{"ret": 0, "path": "$DIR/root/a"}"#, r#"{"ret": 0, "path": "$DIR/root/../b"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "unlink_by_path_that_is_not_known",
        args: &["unlinksnoop", "--json", "--path", "/no/such/*"],
        command: &["sh", "-c", "$CALLS bad-name x; touch $DIR/a; mkdir $DIR/e; $CALLS unlinkat $DIR a e"],
        shows: &[r#"{"errno": "EFAULT", "path": null}"#, r#"{"errno": "EBADF", "path": "a"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "renames_that_replace_by_fexit",
        args: &["unlinksnoop", "--renames", "--hook", "fexit", "--json"],
        needs: &[Need::Fexit],
        ..RENAMES
    },
    Case {
        name: "renames_that_replace_by_kprobe_multi",
        args: &["unlinksnoop", "--renames", "--hook", "kprobe-multi", "--json"],
        needs: &[Need::KprobeMulti],
        ..RENAMES
    },
    Case {
        name: "renames_that_replace_by_kprobe",
        args: &["unlinksnoop", "--renames", "--hook", "kprobe", "--json"],
        needs: &[Need::Kprobes],
        ..RENAMES
    },
    // When a system call ends nothing tells whether there was a file.
    Case {
        name: "renames_that_may_replace_by_sys_exit",
        args: &["unlinksnoop", "--renames", "--hook", "sys-exit", "--json"],
        shows: &[
            r#"{"comm": "calls", "ret": 0, "kind": "rep?", "path": "$DIR/b", "from": "$DIR/a"}"#,
            r#"{"comm": "calls", "ret": 0, "kind": "rep?", "path": "$DIR/new", "from": "$DIR/b"}"#,
            r#"{"comm": "calls", "ret": 0, "kind": "rep?", "path": "$DIR/g", "from": "$DIR/f"}"#,
            r#"{"comm": "calls", "ret": 0, "kind": "rep?", "path": "$DIR/new", "from": "$DIR/c"}"#,
            r#"{"comm": "rm", "ret": 0, "kind": "file", "path": "$DIR/new", "from": null}"#,
        ],
        events: Some(5),
        ..RENAMES
    },
    // Some of whose returns the kernel may not report.
    Case {
        name: "renames_that_replace_nothing_are_not_lost",
        args: &["unlinksnoop", "--renames", "--hook", "kprobe", "--json"],
        command: &["sh", "-c", "cd $DIR; exec $CALLS renames 500"],
        needs: &[Need::Kprobes],
        shows: &[r#"{"type": "summary", "produced": 0, "delivered": 0, "lost": {}}"#],
        ..CASE
    },
    // overlayfs calls the kernel's inner functions again for its layers.
    Case {
        name: "unlink_in_overlayfs_once",
        args: &["unlinksnoop", "--json"],
        command: &["$SELF", "helper", "in-overlay", "$DIR", "sh", "-c", "mkdir d; touch d/new; rm a d/new; rmdir d"],
        needs: &[Need::Overlayfs],
        shows: &[
            r#"{"comm": "rm", "ret": 0, "kind": "file", "path": "$DIR/merged/a"}"#,
            r#"{"comm": "rm", "ret": 0, "kind": "file", "path": "$DIR/merged/d/new"}"#,
            r#"{"comm": "rmdir", "ret": 0, "kind": "dir", "path": "$DIR/merged/d"}"#,
        ],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "renames_in_overlayfs_once",
        args: &["unlinksnoop", "--renames", "--json"],
        command: &["$SELF", "helper", "in-overlay", "$DIR", "sh", "-c", "$CALLS rename a b; $CALLS rename c new"],
        needs: &[Need::Overlayfs, Need::Kprobes],
        shows: &[r#"{"ret": 0, "kind": "repl", "path": "$DIR/merged/b", "from": "$DIR/merged/a"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "unlink_hostile_names",
        args: &["unlinksnoop", "--json"],
        command: &["/bin/bash", "-c", r"cd $DIR; touch $'a\xff'; rm $'a\xff'; :"],
        needs: &[BASH],
        also: |run| {
            let lines = run.json()?;
            let line = lines.iter().find(|line| line["type"] == "event").ok_or("no event")?;
            let good = line["path"].as_str().is_some_and(|path| path.ends_with("/a\u{fffd}"))
                && line["path_base64"].as_str().is_some();
            if good { Ok(()) } else { Err("the bytes cannot be got back".into()) }
        },
        ..CASE
    },

    // opensnoop
    Case {
        name: "open_by_fexit",
        args: &["opensnoop", "--hook", "fexit", "--json", "--fields", OPEN_FIELDS],
        needs: &[Need::Fexit],
        ..OPENS
    },
    Case {
        name: "open_by_kprobe_multi",
        args: &["opensnoop", "--hook", "kprobe-multi", "--json", "--fields", OPEN_FIELDS],
        needs: &[Need::KprobeMulti],
        ..OPENS
    },
    Case {
        name: "open_by_sys_exit",
        args: &["opensnoop", "--hook", "sys-exit", "--json", "--fields", OPEN_FIELDS],
        ..OPENS
    },
    Case {
        name: "open_odd_ones_by_fexit",
        args: &["opensnoop", "--hook", "fexit", "--json", "--fields", OPEN_FIELDS, "--path", "$DIR/f", "--path", "/f"],
        needs: &[Need::Fexit],
        ..ODD_OPENS
    },
    Case {
        name: "open_odd_ones_by_kprobe_multi",
        args: &["opensnoop", "--hook", "kprobe-multi", "--json", "--fields", OPEN_FIELDS, "--path", "$DIR/f", "--path", "/f"],
        needs: &[Need::KprobeMulti],
        ..ODD_OPENS
    },
    Case {
        name: "open_odd_ones_by_sys_exit",
        args: &["opensnoop", "--hook", "sys-exit", "--json", "--fields", OPEN_FIELDS, "--path", "$DIR/f", "--path", "/f"],
        ..ODD_OPENS
    },
    Case {
        name: "open_by_32_bit_calls_and_fexit",
        args: &["opensnoop", "--hook", "fexit", "--json", "-n", "calls"],
        needs: &[Need::Fexit, Need::Calls32],
        ..OPENS32
    },
    Case {
        name: "open_by_32_bit_calls_and_kprobe_multi",
        args: &["opensnoop", "--hook", "kprobe-multi", "--json", "-n", "calls"],
        needs: &[Need::KprobeMulti, Need::Calls32],
        ..OPENS32
    },
    Case {
        name: "open_by_32_bit_calls_and_sys_exit",
        args: &["opensnoop", "--hook", "sys-exit", "--json", "-n", "calls"],
        ..OPENS32
    },
    Case {
        name: "open_failures_only",
        args: &["opensnoop", "-x", "--json", "--path", "*/a", "--not-path", "/usr/*"],
        command: &["sh", "-c", "cd $DIR; : >a; : <a; (: <no/a); :"],
        shows: &[r#"{"comm": "sh", "fd": -1, "errno": "ENOENT", "path": "no/a"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "open_by_flag",
        args: &["opensnoop", "-f", "O_CREAT,O_RDWR", "--json", "--path", "$DIR/*"],
        command: &["sh", "-c", "cd $DIR; : >a; : <a; : <>b"],
        shows: &[r#"{"path": "a", "errno": null}"#, r#"{"path": "b", "errno": null}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "open_by_path_whatever_the_name_is",
        args: &["opensnoop", "--json", "--path", "$DIR/wanted/*"],
        command: &["sh", "-c", "cd $DIR; mkdir wanted; : >wanted/a; : <wanted/../wanted/./a; : <$DIR//wanted/a"],
        shows: &[
            r#"{"errno": null, "path": "wanted/a"}"#,
            r#"{"errno": null, "path": "wanted/../wanted/./a"}"#,
            r#"{"errno": null, "path": "$DIR//wanted/a"}"#,
        ],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "open_by_path_that_is_not_known",
        args: &["opensnoop", "--json", "--path", "/no/such/*"],
        command: &["sh", "-c", "cd $DIR; : >f; exec $CALLS opens $DIR f"],
        shows: &[r#"{"errno": "EFAULT", "path": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "open_table",
        args: &["opensnoop", "-e", "-F", "--path", "$DIR/*"],
        command: &["/bin/bash", "-c", r"cd $DIR; : >$'a\x1b[2J\n'"],
        needs: &[BASH],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["PID", "COMM", "FD", "ERR", "FLAGS", "PATH"]
                && lines.len() == 2
                && lines[1].contains(" 0       O_WRONLY|O_CREAT|O_TRUNC /") && lines[1].ends_with(r"/a\x1b[2J\n");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },
    Case {
        name: "open_count",
        args: &["opensnoop", "--count=comm", "--json", "-n", "sh"],
        command: &["sh", "-c", "i=0; while [ $i -lt 1000 ]; do : </dev/null; i=$((i+1)); done"],
        also: |run| {
            // And what sh opens to start.
            let lines = run.json()?;
            let counted = lines.iter().filter_map(|line| line["count"].as_u64()).sum::<u64>();
            if (1000..1030).contains(&counted) { Ok(()) } else { Err(format!("{counted} counted")) }
        },
        ..CASE
    },

    // clonesnoop
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

    // funclatency
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

    // gethostlatency
    Case {
        name: "lookups_with_glibc",
        command: &["$LOOKUPS"],
        ..LOOKUPS
    },
    Case {
        name: "lookups_with_musl",
        command: &["$MUSL_LOOKUPS"],
        needs: &[Need::Musl],
        ..LOOKUPS
    },
    Case {
        // musl's functions use each other.
        name: "lookups_counted",
        args: &["gethostlatency", "--count", "--json", "-n", "lookups"],
        command: &["$MUSL_LOOKUPS"],
        needs: &[Need::Musl],
        events: Some(7),
        ..CASE
    },
    Case {
        name: "lookups_that_end_with_the_process",
        args: &["gethostlatency", "--json", "-n", "lookups"],
        command: &["$LOOKUPS", "end"],
        shows: &[
            r#"{"call": "getaddrinfo", "result": "ENDED", "host": "127.0.0.9"}"#,
            r#"{"type": "summary", "produced": 1, "delivered": 1, "lost": {}}"#,
        ],
        ..CASE
    },
    Case {
        // A name server that does not answer: more wait than there used to be room for.
        name: "lookups_while_many_wait",
        args: &["gethostlatency", "--json", "-n", "lookups"],
        within: &["$SELF", "helper", "in-network", "$SELF", "helper", "without", "/etc/resolv.conf"],
        command: &["$LOOKUPS", "wait", "700"],
        shows: &[
            r#"{"call": "getaddrinfo", "result": "OK", "host": "127.0.0.9"}"#,
            r#"{"call": "getaddrinfo", "result": "ENDED", "host": "waits.example"}"#,
            r#"{"type": "summary", "produced": 701, "delivered": 701, "lost": {}}"#,
        ],
        ..CASE
    },
    Case {
        name: "lookups_of_odd_names",
        args: &["gethostlatency", "--json", "-n", "lookups"],
        command: &["$LOOKUPS", "odd"],
        also: |run| {
            let lines = run.json()?;
            let lens = lines.iter().filter_map(|line| Some(line["host"].as_str()?.len()));
            let lens = lens.collect::<Vec<_>>();
            if lens == [0, 254, 255, 256, 1000, 1023] { Ok(()) } else { Err(format!("{lens:?}")) }
        },
        ..CASE
    },
    Case {
        name: "lookups_table",
        args: &["gethostlatency", "-n", "lookups"],
        command: &["$LOOKUPS"],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["TIME", "PID", "COMM", "LATENCY", "RESULT", "HOST"]
                && lines.len() == 8
                && lines[3].contains(" EAI_NONAME   no name");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },

    // hello
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

    // syscount
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
        name: "syscount_of_32_bit_calls",
        args: &["syscount", "-i", "90", "--json"],
        command: GETPPIDS,
        needs: &[Need::Calls32],
        shows: &[r#"{"syscall": "getppid", "abi": 32, "count": 1}"#],
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

    // profile
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
            let good = svg.starts_with("<?xml") && svg.trim_end().ends_with("</svg>") && svg.contains("spin (");
            if good { Ok(()) } else { Err("no flame graph with spin in it".into()) }
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

    // xdpfilter
    Case {
        name: "xdp_all_kinds_of_frames",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--by", "port", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"type": "interval", "protocol": "icmp-echo-request", "port": null, "action": "pass", "count": 1, "bytes": 46}"#,
            r#"{"protocol": "udp", "port": 53, "count": 1}"#,
            r#"{"protocol": "udp", "port": null, "count": 2}"#,
            r#"{"protocol": "tcp", "port": 443, "count": 1, "bytes": 90}"#,
            r#"{"protocol": "tcp", "port": 22, "count": 1}"#,
            r#"{"protocol": "tcp", "port": 8080, "count": 1}"#,
            r#"{"protocol": "udp", "port": 54, "count": 1}"#,
            r#"{"protocol": "icmp6-echo-reply", "port": null, "count": 1}"#,
            r#"{"protocol": "ip-cut", "count": 1, "bytes": 16}"#,
            r#"{"protocol": "ethernet-0x1234", "count": 1}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_by_src",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--by", "src", "--drop", "10.0.0.0/8", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"protocol": "icmp-echo-request", "src": "10.0.0.1", "dst": null, "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "src": "10.0.0.1", "action": "drop", "count": 2}"#,
            r#"{"protocol": "tcp", "src": "fe80::1", "action": "pass", "count": 2}"#,
            r#"{"protocol": "ethernet-0x1234", "src": null, "action": "pass"}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_drops_by_each_rule",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--by", "dst", "--drop", "port:53", "--drop", "icmp-echo", "--drop", "dst:fe80::2",
                "--drop", "src:10.0.0.2", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"protocol": "icmp-echo-request", "dst": "10.0.0.2", "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "dst": "10.0.0.2", "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "dst": "10.0.0.2", "action": "pass", "count": 1}"#,
            r#"{"protocol": "tcp", "dst": "10.0.0.2", "action": "pass", "count": 1}"#,
            r#"{"protocol": "tcp", "dst": "fe80::2", "action": "drop", "count": 2}"#,
            r#"{"protocol": "udp", "dst": "fe80::2", "action": "drop", "count": 2}"#,
            r#"{"protocol": "icmp6-echo-reply", "dst": "fe80::2", "action": "drop", "count": 1}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_drops_by_protocol",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--drop", "tcp", "--drop", "icmp6-echo", "--drop", "icmp", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"protocol": "tcp", "action": "drop", "count": 3}"#,
            r#"{"protocol": "icmp6-echo-reply", "action": "drop", "count": 1}"#,
            r#"{"protocol": "icmp-echo-request", "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "action": "pass", "count": 4}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_ping_between_networks",
        within: IN_TWO_NETWORKS,
        args: &["xdpfilter", "va", "-i", "90", "--json"],
        command: &["sh", "-c", "busybox nsenter -n -t $OTHER busybox ping -i 0.1 -c 3 -W 5 10.9.8.1"],
        needs: &[Need::Veth],
        shows: &[r#"{"protocol": "icmp-echo-request", "action": "pass", "count": 3}"#],
        also: |run| {
            let good = run.stderr.contains("va: native mode") && run.stderr.contains("3 packets received");
            if good { Ok(()) } else { Err("not in native mode, or no answers".into()) }
        },
        ..CASE
    },
    Case {
        name: "xdp_ping_between_networks_is_dropped",
        within: IN_TWO_NETWORKS,
        args: &["xdpfilter", "va", "--drop", "icmp-echo", "-i", "90", "--json"],
        command: &["sh", "-c", "! busybox nsenter -n -t $OTHER busybox ping -i 0.1 -c 3 -W 1 10.9.8.1"],
        needs: &[Need::Veth],
        shows: &[r#"{"protocol": "icmp-echo-request", "action": "drop", "count": 3}"#],
        also: |run| {
            if run.stderr.contains(" 0 packets received") { Ok(()) } else { Err("answers".into()) }
        },
        ..CASE
    },
    Case {
        name: "xdp_table_in_generic_mode",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "-i", "90", "--mode", "generic"],
        command: &["busybox", "ping", "-c", "1", "127.0.0.1"],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["TIME", "PROTOCOL", "ACTION", "PACKETS", "BYTES"]
                && lines.len() == 3
                && lines[2].contains(" icmp-echo-request  pass   1          98")
                && run.stderr.contains("lo: generic mode");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },

    // querysnoop
    Case {
        name: "queries_of_postgresql",
        args: &["querysnoop", "--server", "$POSTGRES", "--json"],
        command: &[
            "$SELF", "helper", "serve", "postgresql", "$POSTGRES_DATA",
            "select 1", "select pg_sleep(0.2)", "select nonsense", "extended: select 7 + 8;\n", "select 'LONG'",
        ],
        needs: &[Need::Postgresql],
        shows: &[
            r#"{"type": "event", "tool": "querysnoop", "comm": "postgres", "user": "alice", "command": "query", "query": "select 1"}"#,
            r#"{"user": "alice", "query": "select pg_sleep(0.2)"}"#,
            r#"{"user": "alice", "query": "select nonsense", "query_truncated": null}"#,
            r#"{"user": "alice", "query": "select 7 + 8;"}"#,
            r#"{"user": "alice", "query_truncated": true}"#,
        ],
        also: |run| {
            let lines = run.json()?;
            let with = |text: &str| lines.iter().filter(|line| line["query"] == text).collect::<Vec<_>>();
            let [sleep] = with("select pg_sleep(0.2)")[..] else { return Err("not one sleep".into()) };
            // It is told of when it is parsed, bound and executed.
            let [_] = with("select 7 + 8;")[..] else { return Err("not one extended query".into()) };
            let long = lines.iter().find(|line| line["query_truncated"] == true);
            let len = long.and_then(|line| line["query"].as_str()).map_or(0, str::len);
            let good = sleep["latency_ns"].as_u64() >= Some(200_000_000) && len == 65535;
            if good { Ok(()) } else { Err(format!("not its latency, or {len} bytes")) }
        },
        ..CASE
    },
    Case {
        name: "queries_of_mariadb",
        args: &["querysnoop", "--server", "$MARIADBD", "--json"],
        command: &[
            "$SELF", "helper", "serve", "mariadb", "$MARIADB_DATA",
            "select 1; select sleep(0.2); select nonsense", "select 'LONG'",
        ],
        needs: &[Need::Mariadb],
        shows: &[
            r#"{"type": "event", "comm": "mariadbd", "user": null, "command": "query", "query": "select 1"}"#,
            r#"{"query": "select sleep(0.2)"}"#,
            r#"{"query": "select nonsense", "query_truncated": null}"#,
            r#"{"query_truncated": true}"#,
        ],
        also: |run| {
            let lines = run.json()?;
            let sleep = lines.iter().find(|line| line["query"] == "select sleep(0.2)");
            let latency = sleep.and_then(|line| line["latency_ns"].as_u64());
            if latency >= Some(200_000_000) { Ok(()) } else { Err(format!("{latency:?}")) }
        },
        ..CASE
    },
    Case {
        name: "queries_by_the_probes_of_mysql",
        shows: &[r#"{"comm": "calls", "user": "bob", "command": "query", "query": "select 'a stand-in'"}"#],
        events: Some(1),
        ..STAND_IN
    },
    Case {
        name: "queries_that_cannot_be_read",
        args: &["querysnoop", "--server", "$CALLS"],
        command: &["$CALLS", "mysql", ""],
        also: |run| {
            let good = run.stdout.lines().any(|line| line.contains(" bob ") && line.ends_with(" [?]"));
            if good { Ok(()) } else { Err("no [?]".into()) }
        },
        ..STAND_IN
    },
    Case {
        // More than there used to be room for.
        name: "queries_while_many_wait",
        command: &["$CALLS", "mysql", "select 'a stand-in'", "700"],
        shows: &[r#"{"type": "summary", "produced": 700, "delivered": 700, "lost": {}}"#],
        ..STAND_IN
    },
    Case {
        name: "queries_that_are_slow",
        // It takes 10 milliseconds, or more.
        args: &["querysnoop", "--server", "$CALLS", "--slower", "10", "-n", "calls", "--json"],
        events: Some(1),
        ..STAND_IN
    },
    Case {
        name: "queries_that_are_not_slow",
        args: &["querysnoop", "--server", "$CALLS", "--slower", "10000", "--json"],
        shows: &[r#"{"type": "summary", "produced": 0, "delivered": 0, "lost": {}}"#],
        ..STAND_IN
    },
    Case {
        name: "queries_counted",
        args: &["querysnoop", "--server", "$CALLS", "--count=comm", "-n", "one_c", "-i", "90", "--json"],
        shows: &[r#"{"type": "interval", "comm": "calls", "count": 1}"#],
        ..STAND_IN
    },

    // readline
    Case {
        name: "readline_from_the_first_line",
        args: &["readline", "--json"],
        command: &["/bin/bash", "--norc", "-i"],
        typed: "echo pid $$\necho 'caf\u{e9}  x'\nexit\n",
        needs: &[BASH],
        shows: &[
            r#"{"type": "event", "tool": "readline", "comm": "bash", "pid": $PID, "ppid": $TRACER, "uid": 0, "line": "echo pid $$"}"#,
            r#"{"line": "echo 'café  x'", "line_truncated": null}"#,
            r#"{"line": "exit"}"#,
        ],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "readline_of_a_named_file",
        args: &["readline", "-s", "/bin/bash", "--json"],
        command: &["/bin/bash", "--norc", "-i"],
        typed: "exit\n",
        needs: &[BASH],
        shows: &[r#"{"line": "exit"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "readline_end_of_file",
        args: &["readline", "--json"],
        command: &["/bin/bash", "-c", "cd $DIR; echo 'echo one' >lines; exec bash --norc -i <lines"],
        needs: &[BASH],
        shows: &[r#"{"line": "echo one", "eof": null}"#, r#"{"line": null, "eof": true}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "readline_table_tells_what_is_typed_from_marks",
        args: &["readline"],
        command: &["/bin/bash", "-c", r"cd $DIR; printf '[end of file]\n-\n\n: [...]\n' >lines; exec bash --norc -i <lines"],
        needs: &[BASH],
        also: |run| {
            let lines = run.stdout.lines().skip(1).filter_map(|line| line.splitn(3, ' ').nth(2));
            let lines = lines.map(str::trim_start).collect::<Vec<_>>();
            let expected = [r"\[end of file]", r"\-", "''", r": \[...]", "[end of file]"];
            if lines == expected { Ok(()) } else { Err(format!("{lines:?}")) }
        },
        ..CASE
    },
    Case {
        name: "readline_long_line_and_bytes_that_are_no_text",
        args: &["readline", "--json"],
        command: &["/bin/bash", "-c", r#"cd $DIR; (printf ': %060000d\n' 1; printf ': a\xffb\n: "\nmore"\n') >lines; exec bash --norc -i <lines"#],
        needs: &[BASH],
        shows: &[r#"{"line_base64": "OiBh/2I=", "line_truncated": null}"#, r#"{"line": ": \""}"#, r#"{"line": "more\""}"#],
        also: |run| {
            let whole = format!("\": {:060000}\"", 1);
            if run.stdout.contains(&whole) { Ok(()) } else { Err("not whole".into()) }
        },
        ..CASE
    },
    Case {
        name: "readline_longer_line_is_marked",
        args: &["readline", "--json"],
        command: &["/bin/bash", "-c", r"cd $DIR; printf ': %070000d\n' 1 >lines; exec bash --norc -i <lines"],
        needs: &[BASH],
        shows: &[r#"{"line_truncated": true}"#],
        ..CASE
    },
    Case {
        name: "readline_once_in_two_overlays",
        within: &["$SELF", "helper", "with-two-overlays", "$DIR"],
        args: &["readline", "--json"],
        // Most often they are waiting for their first lines before they are found.
        command: &[
            "/bin/bash", "-c",
            "busybox mkfifo a.in b.in; for x in a b; do $x/bash --norc -i <$x.in & done; exec 3>a.in 4>b.in; \
             sleep 2.5; printf ': 0\\n: one\\n' >&3; printf ': 0\\n: two\\n' >&4; exec 3>&- 4>&-; wait",
        ],
        needs: &[BASH, Need::Overlayfs],
        shows: &[r#"{"line": ": one"}"#, r#"{"line": ": two"}"#],
        also: |run| {
            let lines = run.json()?;
            let many = |text: &str| lines.iter().filter(|line| line["line"] == text).count();
            let ends = lines.iter().filter(|line| line["eof"] == true).count();
            let once = many(": one") == 1 && many(": two") == 1 && many(": 0") <= 2 && ends == 2;
            if once { Ok(()) } else { Err("not each line once".into()) }
        },
        ..CASE
    },
    Case {
        name: "readline_of_all_programs",
        args: &["readline", "--all", "--json"],
        command: &["/bin/bash", "-c", "cd $DIR; echo 'in a program' >lines; exec $CALLS readline lines"],
        needs: &[BASH, Need::Libreadline],
        shows: &[r#"{"comm": "calls", "line": "in a program"}"#, r#"{"eof": true}"#],
        events: Some(2),
        ..CASE
    },
];

/// Deletes of all kinds; what each hook must show of them.
const UNLINKS: Case = Case {
    command: &[
        "sh",
        "-c",
        "cd $DIR; touch a b afile; mkdir d; \
                rm $DIR/a; rm b; rmdir d; rmdir afile; true",
    ],
    shows: &[
        r#"{"type": "event", "tool": "unlinksnoop", "comm": "rm", "uid": 0, "ret": 0, "errno": null, "kind": "file", "path": "$DIR/a"}"#,
        r#"{"comm": "rm", "ret": 0, "kind": "file", "path": "$DIR/b"}"#,
        r#"{"comm": "rmdir", "ret": 0, "kind": "dir", "path": "$DIR/d"}"#,
        r#"{"comm": "rmdir", "ret": -20, "errno": "ENOTDIR", "kind": "dir", "path": "$DIR/afile"}"#,
        r#"{"type": "summary", "produced": 4, "delivered": 4, "lost": {}}"#,
    ],
    events: Some(4),
    ..CASE
};

const UNLINKS32: Case = Case {
    command: &["sh", "-c", "cd $DIR; touch a b; mkdir d; exec $CALLS unlink32 $DIR/a b d"],
    needs: &[Need::Calls32],
    shows: &[
        r#"{"ret": 0, "kind": "file", "path": "$DIR/a"}"#,
        r#"{"ret": 0, "kind": "file", "path": "$DIR/b"}"#,
        r#"{"ret": 0, "kind": "dir", "path": "$DIR/d"}"#,
    ],
    events: Some(3),
    ..CASE
};

const UNLINK_URING: Case = Case {
    command: &["sh", "-c", "cd $DIR; touch a; exec $CALLS uring a"],
    shows: &[r#"{"ret": 0, "kind": "file", "path": "$DIR/a"}"#],
    events: Some(1),
    ..CASE
};

/// Some replace a file, others nothing: an exchange, and two names of one file.
const RENAMES: Case = Case {
    command: &[
        "sh",
        "-c",
        "cd $DIR; touch a b c e f; busybox ln e g; $CALLS rename a b; $CALLS rename b new; \
                $CALLS exchange e f; $CALLS rename f g; $CALLS rename $DIR/c new; rm new; \
                $CALLS rename no new; :",
    ],
    shows: &[
        r#"{"comm": "calls", "ret": 0, "kind": "repl", "path": "$DIR/b", "from": "$DIR/a"}"#,
        r#"{"comm": "calls", "ret": 0, "kind": "repl", "path": "$DIR/new", "from": "$DIR/c"}"#,
        r#"{"comm": "rm", "ret": 0, "kind": "file", "path": "$DIR/new", "from": null}"#,
    ],
    events: Some(3),
    ..CASE
};

/// Below a descriptor, and below one that is none.
const UNLINKAT: Case = Case {
    command: &["sh", "-c", "mkdir -p $DIR/d/e; touch $DIR/d/a; exec $CALLS unlinkat $DIR/d a e"],
    shows: &[
        r#"{"ret": 0, "kind": "file", "path": "$DIR/d/a", "path_known": null}"#,
        r#"{"ret": 0, "kind": "dir", "path": "$DIR/d/e"}"#,
        r#"{"errno": "EBADF", "path": "a", "path_known": "relative"}"#,
    ],
    events: Some(3),
    ..CASE
};
