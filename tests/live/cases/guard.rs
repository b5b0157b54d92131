//! Cases of guard.

use crate::case::{CASE, Case, Need};
use crate::run::Run;

/// What is there before rules are read: a directory `d` that they are for, and `o` that they are not.
macro_rules! with {
    ($made:literal) => {
        &[
            "sh",
            "-c",
            concat!("cd $DIR; mkdir d o; echo d >d/f; echo o >o/f; ", $made, "; exec \"$@\""),
            "sh",
        ]
    };
}

/// What the ways of calls.c came to: those in `others` to what is said there, and all the rest to EPERM.
fn refused(run: &Run, others: &[&str]) -> Result<(), String> {
    let lines = ways(run);
    if let Some(other) = others.iter().find(|other| !lines.contains(other)) {
        return Err(format!("not said: {other}"));
    }
    let good = |line: &&str| line.ends_with(": EPERM") || others.contains(line) || is_missing(line);
    match lines.iter().find(|line| !good(line)) {
        Some(line) => Err(format!("said: {line}")),
        None if lines.len() > others.len() + 3 => Ok(()),
        None => Err("not all ways were gone".into()),
    }
}

/// Nothing was refused.
fn went_on(run: &Run) -> Result<(), String> {
    let lines = ways(run);
    match lines.iter().find(|line| line.ends_with(": EPERM")) {
        Some(line) => Err(format!("said: {line}")),
        None if lines.len() > 3 => Ok(()),
        None => Err("not all ways were gone".into()),
    }
}

fn ways(run: &Run) -> Vec<&str> {
    let lines = run.stderr.lines().filter(|line| line.contains(": "));
    lines.filter(|line| !line.starts_with("guard: ")).collect()
}

/// Not every kernel has all requests of io_uring, and 32-bit calls.
fn is_missing(line: &str) -> bool {
    ["Invalid argument", "Function not implemented"].iter().any(|end| line.ends_with(end))
}

fn says(run: &Run, texts: &[&str]) -> Result<(), String> {
    match texts.iter().find(|text| !run.stderr.contains(**text)) {
        None => Ok(()),
        Some(text) => Err(format!("not said: {text}")),
    }
}

const OPENS: Case = Case {
    within: with!("busybox ln d/f o/link"),
    command: &["$CALLS", "try-open", "$DIR/d/f", "$DIR/o/link"],
    needs: &[Need::Lsm],
    ..CASE
};

const CONNECTS: Case = Case {
    within: &["$SELF", "helper", "in-network"],
    command: &["$CALLS", "try-connect", "127.0.0.2", "9"],
    ..CASE
};

/// Whom nobody may guard.
const TARGETS: Case = Case { code: 2, ..CASE };

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "guard_opens_by_each_way",
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/d/f"],
        shows: &[r#"{"type": "event", "tool": "guard", "comm": "calls", "uid": 0, "action": "denied", "act": "open", "rule": "open:$DIR/d/f", "target": "$DIR/d/f"}"#,
                 r#"{"act": "open", "rule": "open:$DIR/d/f", "target": "$DIR/o/link"}"#,
                 r#"{"act": "open", "rule": "open:$DIR/d/f", "target": "/mnt/f"}"#],
        also: |run| refused(run, &["O_PATH: done"]),
        ..OPENS
    },
    Case {
        name: "guard_opens_below_a_directory",
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/d/*"],
        within: with!("mkdir d/sub; echo x >d/sub/f"),
        command: &["$CALLS", "try-open", "$DIR/d/sub/f", "d/sub/f"],
        shows: &[r#"{"action": "denied", "act": "open", "rule": "open:$DIR/d/*", "target": "$DIR/d/sub/f"}"#,
                 r#"{"action": "denied", "act": "open", "target": "/mnt/f"}"#],
        also: |run| refused(run, &["O_PATH: done"]),
        ..OPENS
    },
    Case {
        name: "guard_opens_are_only_shown",
        args: &["guard", "--json", "--deny", "open:$DIR/d/f", "--deny", "open:$DIR/o/link"],
        shows: &[r#"{"action": "audit", "act": "open", "rule": "open:$DIR/d/f", "target": "$DIR/o/link"}"#],
        hides: &[r#"{"action": "denied"}"#, r#"{"rule": "open:$DIR/o/link"}"#],
        also: went_on,
        ..OPENS
    },
    Case {
        name: "guard_opens_where_links_lead",
        within: with!("busybox ln -s ../d/f o/soft"),
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/o/soft"],
        command: &["sh", "-c", "! busybox cat $DIR/d/f && ! busybox cat $DIR/o/soft && busybox cat $DIR/o/f"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "rule": "open:$DIR/o/soft", "target": "$DIR/d/f"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "guard_opens_of_what_comes_later",
        within: with!("true"),
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/d/new", "--deny", "open:$DIR/d/f"],
        command: &["sh", "-c", "cd $DIR; ! echo >d/new; ! test -e d/new || exit 3; \
                    echo >o/new; busybox mv o/new d/new; ! busybox cat d/new || exit 4; \
                    busybox mv o/f d/f; ! busybox cat d/f || exit 5; busybox cat d/../o/new; busybox touch d/other"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "rule": "open:$DIR/d/new", "target": "$DIR/d/new"}"#,
                 r#"{"action": "denied", "rule": "open:$DIR/d/f", "target": "$DIR/d/f"}"#],
        events: Some(3),
        code: 0,
        ..CASE
    },
    Case {
        name: "guard_allows_within_what_is_denied",
        within: with!("mkdir d/sub; echo x >d/sub/f; echo y >d/g"),
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/*", "--allow", "open:$DIR/d/sub/*", "--allow", "open:$DIR/d/g"],
        command: &["sh", "-c", "cd /; busybox cat $DIR/d/sub/f && busybox cat $DIR/d/g && ! busybox cat $DIR/d/f"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "rule": "open:$DIR/*", "target": "$DIR/d/f"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "guard_opens_of_overlays",
        within: &["$SELF", "helper", "in-overlay", "$DIR"],
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/lower/a", "--deny", "open:$DIR/merged/b"],
        command: &["sh", "-c", "! busybox cat a && ! busybox cat b && ! echo >>b && busybox cat c"],
        needs: &[Need::Lsm, Need::Overlayfs],
        shows: &[r#"{"action": "denied", "rule": "open:$DIR/lower/a"}"#,
                 r#"{"action": "denied", "rule": "open:$DIR/merged/b", "target": "$DIR/merged/b"}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "guard_opens_by_mounts_of_others",
        within: &["$SELF", "helper", "with-mount", "$DIR/d/mnt", "sh", "-c", "cd $DIR; mkdir d/sub m; echo d >d/sub/f; \
                  echo d >d/mnt/f; exec \"$@\"", "sh"],
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/d/*", "--allow", "open:$DIR/m/*"],
        command: &["busybox", "unshare", "-rm", "busybox", "sh", "-c", "cd $DIR; busybox mount --bind d/sub m && ! busybox cat m/f && \
                    busybox mount --bind d/mnt m && ! busybox cat m/f"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "rule": "open:$DIR/d/*", "target": "$DIR/m/f"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "guard_opens_in_a_root_by_its_process",
        within: with!("mkdir d/etc; echo d >d/etc/passwd; busybox ln -s passwd d/etc/soft"),
        args: &["guard", "--enforce", "--json", "--deny", "open:/proc/self/root$DIR/d/etc/soft"],
        command: &["sh", "-c", "! busybox cat $DIR/d/etc/passwd && busybox mv $DIR/o/f $DIR/d/etc/passwd && \
                    ! busybox cat $DIR/d/etc/soft && busybox cat /etc/passwd"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "target": "$DIR/d/etc/passwd"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "guard_opens_by_overlays_of_others",
        within: with!("mkdir m; busybox ln d/f o/link"),
        args: &["guard", "--enforce", "--json", "--deny", "open:$DIR/d/*"],
        command: &["busybox", "unshare", "-m", "busybox", "sh", "-c", "cd $DIR; busybox mount -t tmpfs none o; mkdir o/u o/w; \
                    busybox mount -t overlay -o lowerdir=d,upperdir=o/u,workdir=o/w none m && ! busybox cat m/f"],
        needs: &[Need::Lsm, Need::Overlayfs],
        shows: &[r#"{"action": "denied", "rule": "open:$DIR/d/*"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "guard_execs_by_overlays_of_others",
        within: with!("mkdir m; cp /bin/true d/t"),
        args: &["guard", "--enforce", "--json", "--deny", "exec:$DIR/d/*"],
        command: &["busybox", "unshare", "-m", "busybox", "sh", "-c", "cd $DIR; busybox mount -t tmpfs none o; mkdir o/u o/w; \
                    busybox mount -t overlay -o lowerdir=d,upperdir=o/u,workdir=o/w none m && busybox cat m/t >o/t && ! m/t"],
        needs: &[Need::Lsm, Need::Overlayfs],
        shows: &[r#"{"action": "denied", "act": "exec", "rule": "exec:$DIR/d/*"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "guard_execs_are_shown_once",
        within: with!("cp /bin/true d/t"),
        args: &["guard", "--json", "--deny", "exec:$DIR/d/*"],
        command: &["sh", "-c", "$DIR/d/t; $DIR/d/t"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "audit", "act": "exec", "rule": "exec:$DIR/d/*", "target": "$DIR/d/t"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "guard_execs_by_each_way",
        within: with!("cp /bin/true d/t; cp /bin/true d/i; printf '#!/bin/sh\\n' >d/s; printf \"#!$PWD/d/i\\n\" >o/s; \
                       chmod +x d/s o/s; busybox ln d/t o/t"),
        args: &["guard", "--enforce", "--json", "--deny", "exec:$DIR/d/*", "--deny", "exec:$DIR/d/t"],
        command: &["$CALLS", "try-exec", "$DIR/d/t", "$DIR/o/t", "$DIR/d/s", "$DIR/o/s"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "act": "exec", "rule": "exec:$DIR/d/t", "target": "$DIR/d/t"}"#,
                 r#"{"act": "exec", "rule": "exec:$DIR/d/t", "target": "$DIR/o/t"}"#,
                 r#"{"act": "exec", "rule": "exec:$DIR/d/*", "target": "$DIR/d/s"}"#,
                 r#"{"act": "exec", "rule": "exec:$DIR/d/*", "target": "$DIR/d/i"}"#],
        also: |run| refused(run, &[]),
        ..CASE
    },
    Case {
        name: "guard_exec_of_the_command",
        args: &["guard", "--enforce", "--deny", "exec:/bin/true"],
        command: &["true"],
        needs: &[Need::Lsm],
        code: 126,
        also: |run| says(run, &["running true: Operation not permitted"]),
        ..CASE
    },
    Case {
        name: "guard_deletes_by_each_way",
        within: with!("mkdir d/e"),
        args: &["guard", "--enforce", "--json", "--deny", "delete:$DIR/d/f", "--deny", "delete:$DIR/d/e"],
        command: &["$CALLS", "try-delete", "$DIR/d/f", "$DIR/d/e", "$DIR/o/f"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "act": "delete", "rule": "delete:$DIR/d/f", "target": "$DIR/d/f"}"#,
                 r#"{"act": "delete", "rule": "delete:$DIR/d/e", "target": "$DIR/d/e"}"#],
        hides: &[r#"{"act": "rename"}"#],
        also: |run| refused(run, &["exchange: done", "exchange back: done"]),
        ..CASE
    },
    Case {
        name: "guard_deletes_below_a_directory",
        within: with!("mkdir d/e"),
        args: &["guard", "--enforce", "--json", "--deny", "delete:$DIR/d/*", "--allow", "delete:$DIR/d/g"],
        command: &["sh", "-c", "cd $DIR; touch d/g; ! rm d/f && ! rmdir d/e && rm d/g o/f"],
        needs: &[Need::Lsm],
        shows: &[r#"{"comm": "rm", "action": "denied", "rule": "delete:$DIR/d/*", "target": "$DIR/d/f"}"#,
                 r#"{"comm": "rmdir", "target": "$DIR/d/e"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "guard_renames_by_each_way",
        within: with!("true"),
        args: &["guard", "--enforce", "--json", "--deny", "rename:$DIR/d/f"],
        command: &["$CALLS", "try-rename", "$DIR/d/f", "$DIR/o/f", "$DIR/o/new"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "act": "rename", "rule": "rename:$DIR/d/f", "target": "$DIR/d/f"}"#],
        also: |run| refused(run, &[]),
        ..CASE
    },
    Case {
        name: "guard_renames_out_of_and_into_a_directory",
        within: with!("true"),
        args: &["guard", "--enforce", "--json", "--deny", "rename:$DIR/d/*", "--deny", "delete:$DIR/d/*"],
        command: &["sh", "-c", "cd $DIR; ! busybox mv d/f o/g; ! busybox ln d/f o/g; $CALLS rename o/f d/g; $CALLS rename o/f o/g"],
        needs: &[Need::Lsm],
        shows: &[r#"{"action": "denied", "act": "rename", "target": "$DIR/d/f"}"#,
                 r#"{"comm": "calls", "action": "denied", "act": "rename", "target": "$DIR/d/g"}"#],
        hides: &[r#"{"target": "$DIR/o/g"}"#],
        ..CASE
    },
    Case {
        name: "guard_connects_by_each_way",
        args: &["guard", "--enforce", "--json", "--deny", "connect:127.0.0.0/8"],
        shows: &[r#"{"action": "denied", "act": "connect", "rule": "connect:127.0.0.0/8", "target": "127.0.0.2:9"}"#],
        also: |run| refused(run, &[]),
        ..CONNECTS
    },
    Case {
        name: "guard_connects_are_only_shown",
        args: &["guard", "--json", "--deny", "connect:127.0.0.2:9", "--deny", "connect:127.0.0.0/8"],
        shows: &[r#"{"action": "audit", "act": "connect", "rule": "connect:127.0.0.2:9", "target": "127.0.0.2:9"}"#],
        hides: &[r#"{"action": "denied"}"#],
        also: went_on,
        ..CONNECTS
    },
    Case {
        name: "guard_connects_to_another_port",
        args: &["guard", "--enforce", "--json", "--deny", "connect:port:10", "--deny", "connect:127.0.0.1", "--deny", "connect:::1"],
        events: Some(0),
        also: went_on,
        ..CONNECTS
    },
    Case {
        name: "guard_connects_to_what_is_allowed",
        args: &["guard", "--enforce", "--json", "--deny", "connect:0.0.0.0/0", "--deny", "connect:::/0", "--allow", "connect:port:9"],
        events: Some(0),
        also: went_on,
        ..CONNECTS
    },
    Case {
        name: "guard_connects_to_any_address",
        args: &["guard", "--enforce", "--json", "--deny", "connect:127.0.0.1:9"],
        command: &["$CALLS", "try-connect", "0.0.0.0", "9"],
        shows: &[r#"{"action": "denied", "target": "127.0.0.1:9"}"#],
        also: |run| refused(run, &[]),
        ..CONNECTS
    },
    Case {
        name: "guard_counts",
        args: &["guard", "--enforce", "--json", "--count=comm", "--deny", "connect:127.0.0.1:9", "-i", "90"],
        command: &["sh", "-c", "$CALLS try-connect 127.0.0.1 9 | busybox grep -c EPERM"],
        shows: &[r#"{"type": "interval", "comm": "calls", "kind": "connect"}"#],
        ..CONNECTS
    },
    Case {
        name: "guard_says_that_it_is_not_asked",
        args: &["guard", "--deny", "open:/etc/passwd"],
        command: &["true"],
        needs: &[Need::LsmUnasked],
        code: 1,
        also: |run| says(run, &["ebtools: guard: this kernel does not ask BPF programs", "hint: boot it with lsm=", ",bpf; "]),
        ..CASE
    },
    Case {
        name: "guard_of_the_whole_system",
        args: &["guard", "--deny", "connect:::1"],
        also: |run| says(run, &["ebtools: guard: whose acts? The whole system is not guarded\nhint: "]),
        ..TARGETS
    },
    Case {
        name: "guard_of_root",
        args: &["guard", "--deny", "connect:::1", "-u", "nobody,root"],
        also: |run| says(run, &["ebtools: guard: all that root does is not guarded\nhint: "]),
        ..TARGETS
    },
    Case {
        name: "guard_of_the_first_process",
        args: &["guard", "--deny", "connect:::1", "-p", "1"],
        also: |run| says(run, &["ebtools: guard: this process descends from one of those: 1 ("]),
        ..TARGETS
    },
    Case {
        name: "guard_of_the_root_cgroup",
        args: &["guard", "--deny", "connect:::1", "--cgroup", "/"],
        also: |run| says(run, &["ebtools: guard: this process descends from one of those: "]),
        ..TARGETS
    },
    Case {
        name: "guard_of_ones_parents",
        within: &["sh", "-c", "\"$@\" -p $$", "sh"],
        args: &["guard", "--deny", "connect:::1"],
        also: |run| says(run, &["ebtools: guard: this process descends from one of those: ", "(sh)\nhint: "]),
        ..TARGETS
    },
    Case {
        name: "guard_of_a_missing_directory",
        args: &["guard", "--deny", "open:/no/such/file"],
        command: &["true"],
        needs: &[Need::Lsm],
        code: 1,
        also: |run| says(run, &["ebtools: opening /no/such: "]),
        ..CASE
    },
];
