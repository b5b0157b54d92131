//! What all tools share: fields, counts and filters.

use super::{BASH, each_has};
use crate::case::{CASE, Case, Need};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
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
            let first = run.stdout.lines().nth(1).unwrap_or_default();
            let good = first.starts_with(r#"{"type":"event","tool":"execsnoop","seq":1,"pid":"#)
                && first.ends_with(r#","argv0":"true"}"#);
            if good { Ok(()) } else { Err("not the fields that were asked for".into()) }
        },
        ..CASE
    },
    Case {
        name: "json_begins_with_what_runs",
        args: &["execsnoop", "-U", "--json", "-n", "tru"],
        command: &["true", "a\u{1b}b"],
        also: |run| {
            let line = run.stdout.lines().next().unwrap_or_default();
            let start = serde_json::from_str::<serde_json::Value>(line).map_err(|why| why.to_string())?;
            let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
            let is = |key: &str, path: &str| start[key] == read(path).trim_end();
            let good = line.starts_with(r#"{"type":"start","schema":"ebtools/1","tool":"execsnoop","seq":0,"#)
                && start["options"] == serde_json::json!(["-U", "--json", "-n", "tru", "-d", "100", "--kill"])
                && start["command"] == serde_json::json!(["true", "a\u{1b}b"])
                && start["hooks"] == serde_json::json!(["tracepoint sched_process_exec"])
                && is("host", "/proc/sys/kernel/hostname")
                && is("boot_id", "/proc/sys/kernel/random/boot_id")
                && is("kernel", "/proc/sys/kernel/osrelease")
                && !line.contains('\u{1b}');
            if good { Ok(()) } else { Err(line.into()) }
        },
        ..CASE
    },
    Case {
        name: "json_has_names_of_opentelemetry",
        args: &["execsnoop", "--json=otel", "--fields", "pid,args,path,tid"],
        command: &["true"],
        also: |run| {
            let line = run.stdout.lines().nth(1).unwrap_or_default();
            let good = line.starts_with(r#"{"ebtools.type":"event","ebtools.tool":"execsnoop","ebtools.seq":1,"process.pid":"#)
                && line.contains(r#","process.command_args":["true"],"ebtools.path":""#)
                && line.contains(r#","ebtools.tid":"#);
            if good { Ok(()) } else { Err(line.into()) }
        },
        ..CASE
    },
    Case {
        name: "json_has_names_of_ecs",
        args: &["opensnoop", "--json=ecs", "-F", "-n", "busybox"],
        command: &["busybox", "cat", "/dev/null"],
        also: |run| {
            let lines = run.stdout.lines().map(serde_json::from_str::<serde_json::Value>);
            let lines = lines.collect::<Result<Vec<_>, _>>().map_err(|why| why.to_string())?;
            let is_of = |line: &serde_json::Value| {
                line["@timestamp"].is_string() && line["event.dataset"] == "ebtools.opensnoop"
            };
            let numbered = lines.iter().enumerate().all(|(i, line)| line["event.sequence"] == i);
            let (first, last) = (lines.first().ok_or("nothing")?, lines.last().ok_or("nothing")?);
            let good = lines.iter().all(is_of) && numbered
                && first["host.os.kernel"].is_string() && first["ebtools.schema"] == "ebtools/1"
                && lines.iter().any(|line| line["file.path"] == "/dev/null" && line["process.thread.name"] == "busybox")
                && last["event.kind"] == "metric" && last["ebtools.lost"].is_object();
            if good { Ok(()) } else { Err("not the names that were expected".into()) }
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
    Case {
        name: "count_by_several_fields_of_the_task",
        args: &["execsnoop", "--count=comm,uid,cgroup", "-i", "90", "--json"],
        command: &["sh", "-c", "/bin/true; $SELF helper as 12345 /bin/true; $SELF helper as 12345 /bin/true"],
        shows: &[
            r#"{"type": "interval", "comm": "true", "uid": 12345, "count": 2}"#,
            r#"{"type": "interval", "comm": "true", "uid": 0, "count": 1}"#,
        ],
        events: Some(6),
        also: |run| {
            let lines = run.json()?;
            let rows = lines.iter().filter(|line| line["type"] == "interval");
            let good = rows.clone().all(|row| row["cgroup"].is_u64() && row["pid"].is_null());
            if good { Ok(()) } else { Err("other keys than were asked for".into()) }
        },
        ..CASE
    },
    Case {
        name: "count_by_fields_of_the_tool",
        args: &["opensnoop", "--count=path,errno", "-n", "combo", "-i", "90", "--json"],
        command: &["$CALLS", "combinations", "3"],
        shows: &[
            r#"{"type": "interval", "path": "/no-such-directory/file", "errno": "ENOENT", "count": 3, "comm": null}"#,
            r#"{"type": "interval", "path": "/dev/null/file", "errno": "ENOTDIR", "count": 3}"#,
        ],
        events: Some(6),
        ..CASE
    },
    Case {
        name: "count_by_parent",
        args: &["execsnoop", "--count=parent,args", "-i", "90", "--json"],
        command: &["sh", "-c", "/bin/true a; /bin/true a; /bin/true b"],
        shows: &[
            r#"{"type": "interval", "parent_comm": "sh", "args": ["/bin/true", "a"], "count": 2}"#,
            r#"{"type": "interval", "parent_comm": "sh", "args": ["/bin/true", "b"], "count": 1}"#,
        ],
        events: Some(4),
        ..CASE
    },
    Case {
        name: "count_by_what_is_printed",
        args: &["hello", "--count=pid,message", "-i", "90", "--json"],
        command: &["sh", "-c", "echo pid $$; true & true & wait"],
        needs: &[Need::Tracefs],
        shows: &[r#"{"type": "interval", "pid": $PID, "message": "Hello, World!", "count": 2}"#],
        ..CASE
    },
    Case {
        name: "count_of_10000_combinations_of_three_fields",
        args: &["opensnoop", "--count=comm,path,errno", "-n", "combo", "-i", "90", "--json"],
        command: &["$CALLS", "combinations", "5000"],
        shows: &[r#"{"type": "summary", "produced": 10000, "delivered": 10000, "lost": {}}"#],
        also: |run| each_has(run, 10_000, 1),
        ..CASE
    },
    Case {
        name: "count_of_10000_combinations_in_the_kernel",
        args: &["opensnoop", "--count=comm,pid,uid", "-n", "combo", "-i", "90", "--json"],
        command: &["$CALLS", "combinations", "10000"],
        shows: &[r#"{"type": "summary", "produced": 20000, "delivered": 20000, "lost": {}}"#],
        also: |run| each_has(run, 10_000, 2),
        ..CASE
    },
    Case {
        name: "count_of_more_combinations_than_there_is_room_for",
        args: &["opensnoop", "--count=comm", "-n", "combo", "-i", "90", "--json"],
        command: &["$CALLS", "combinations", "20000"],
        shows: &[r#"{"type": "summary", "produced": 40000, "delivered": 32768, "lost": {"map_full": 7232}}"#],
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
        args: &["execsnoop", "-u", "12345", "--json", "--fields", "comm,uid"],
        command: &["sh", "-c", "/bin/true"],
        events: Some(0),
        ..CASE
    },
];
