//! The table: a new tool adds rows here.

use crate::case::{CASE, Case, Need};

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
        args: &["execsnoop", "--json"],
        command: &["sh", "-c", "(sh -c '(/bin/true grandchild)& wait')"],
        shows: &[r#"{"args": ["/bin/true", "grandchild"]}"#],
        ..CASE
    },
    Case {
        name: "exec_failures",
        args: &["execsnoop", "-x", "--json"],
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
        args: &["execsnoop", "--json"],
        command: &["/bin/bash", "-c", "/no/such/program; /bin/true"],
        needs: &[BASH],
        shows: &[r#"{"comm": "true", "ret": 0}"#],
        hides: &[r#"{"errno": "ENOENT"}"#],
        ..CASE
    },
    Case {
        name: "exec_bytes_that_are_no_text",
        args: &["execsnoop", "--json"],
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
        args: &["execsnoop", "--json"],
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
        args: &["execsnoop", "--json"],
        command: &["/bin/bash", "-c", r#"exec /bin/true "$(printf %0100000d 7)""#],
        needs: &[BASH],
        shows: &[r#"{"comm": "true", "args_bytes": 100011, "args_truncated": true}"#],
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
        needs: &[Need::Tracefs],
        args: &["unlinksnoop", "--count=comm", "-i", "30", "--json"],
        command: &["sh", "-c", "cd $DIR; touch a b; rm a; rm b; rm -f c"],
        shows: &[r#"{"type": "interval", "tool": "unlinksnoop", "comm": "rm", "count": 3}"#],
        events: Some(3),
        ..CASE
    },

    // filters
    Case {
        name: "filter_by_name",
        args: &["execsnoop", "-n", "tru", "--json"],
        command: &["sh", "-c", "/bin/true; /bin/echo"],
        shows: &[r#"{"comm": "true"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "filter_by_name_in_the_middle_and_at_the_end",
        args: &["execsnoop", "-n", "mdir", "--json"],
        command: &["sh", "-c", "mkdir $DIR/a; rmdir $DIR/a; true"],
        shows: &[r#"{"comm": "rmdir"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "filter_by_user",
        args: &["execsnoop", "-u", "12345", "--json"],
        command: &["sh", "-c", "/bin/true; $SELF helper as 12345 /bin/echo"],
        shows: &[r#"{"comm": "echo", "uid": 12345}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "filter_by_user_name",
        args: &["execsnoop", "-u", "root", "--json"],
        command: &["sh", "-c", "/bin/true; $SELF helper as 12345 /bin/echo"],
        shows: &[r#"{"comm": "true", "uid": 0}"#],
        hides: &[r#"{"uid": 12345}"#],
        ..CASE
    },
    Case {
        name: "filters_that_nothing_passes",
        args: &["execsnoop", "-p", "1", "--json"],
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
        name: "unlink_by_tracepoint",
        needs: &[Need::Tracefs],
        args: &["unlinksnoop", "--hook", "tracepoint", "--json"],
        ..UNLINKS
    },
    Case {
        name: "unlink_by_what_there_is",
        needs: &[Need::Tracefs],
        args: &["unlinksnoop", "--json"],
        ..UNLINKS
    },
    Case {
        name: "unlink_failures_only",
        needs: &[Need::Tracefs],
        args: &["unlinksnoop", "-x", "--json"],
        shows: &[r#"{"ret": -20, "errno": "ENOTDIR", "kind": "dir", "path": "$DIR/afile"}"#],
        hides: &[r#"{"ret": 0}"#],
        events: Some(1),
        ..UNLINKS
    },
    Case {
        name: "unlink_chooses_kprobes",
        args: &["unlinksnoop", "-v"],
        command: &["true"],
        needs: &[Need::Kprobes],
        also: |run| {
            let said = run.stderr.contains("hook in use: kprobes ");
            if said { Ok(()) } else { Err("kprobes are not in use".into()) }
        },
        ..CASE
    },
    Case {
        name: "unlink_table",
        args: &["unlinksnoop"],
        command: &["/bin/bash", "-c", r"cd $DIR; touch $'a\x1b[2J\n'; rm $'a\x1b[2J\n'"],
        needs: &[Need::Tracefs, BASH],
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
