//! Cases of opensnoop.

use super::BASH;
use crate::case::{CASE, Case, Need};

const OPEN_FIELDS: &str = "comm,fd,ret,errno,flags,path,full_path";

const OPENS: Case = Case {
    command: &["sh", "-c", "cd $DIR; : >f; exec $CALLS opens $DIR f"],
    shows: &[
        r#"{"comm": "calls", "fd": 4, "ret": 4, "errno": null, "flags": ["O_WRONLY", "O_APPEND"], "path": "f", "full_path": "$DIR/f"}"#,
        r#"{"comm": "calls", "fd": 5, "flags": ["O_RDWR", "O_CLOEXEC"], "path": "f", "full_path": "$DIR/f"}"#,
        r#"{"comm": "calls", "fd": 6, "flags": ["O_RDONLY", "O_NONBLOCK"], "path": "f", "full_path": "$DIR/f"}"#,
        r#"{"comm": "calls", "fd": 7, "flags": ["O_WRONLY", "O_CREAT", "O_TRUNC"], "path": "f"}"#,
        r#"{"comm": "calls", "fd": -1, "ret": -2, "errno": "ENOENT", "path": "no such file", "full_path": "$DIR/no such file"}"#,
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

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
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
];
