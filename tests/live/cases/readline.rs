//! Cases of readline.

use super::BASH;
use crate::case::{CASE, Case, Need};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
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
        name: "alias_bashreadline",
        args: &["bashreadline", "-s", "/bin/bash", "--json"],
        command: &["/bin/bash", "--norc", "-i"],
        typed: "exit\n",
        needs: &[BASH],
        shows: &[r#"{"tool": "readline", "line": "exit"}"#],
        events: Some(1),
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
