//! Cases of unlinksnoop.

use super::BASH;
use crate::case::{CASE, Case, Need, first_way};

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

/// Whatever is gone: of a rename that replaces a file, both. The last one fails, and one does nothing.
const MOVES: Case = Case {
    shows: &[
        r#"{"comm": "calls", "ret": 0, "kind": "repl", "path": "$DIR/b", "from": "$DIR/a", "to": null}"#,
        r#"{"comm": "calls", "ret": 0, "kind": "move", "path": "$DIR/a", "from": null, "to": "$DIR/b"}"#,
        r#"{"comm": "calls", "ret": 0, "kind": "move", "path": "$DIR/b", "to": "$DIR/new"}"#,
        r#"{"comm": "calls", "ret": 0, "kind": "repl", "path": "$DIR/new", "from": "$DIR/c"}"#,
        r#"{"comm": "calls", "ret": 0, "kind": "move", "path": "$DIR/c", "to": "$DIR/new"}"#,
        r#"{"comm": "rm", "ret": 0, "kind": "file", "path": "$DIR/new", "from": null}"#,
        r#"{"type": "summary", "produced": 6, "delivered": 6, "lost": {}}"#,
    ],
    events: Some(6),
    ..RENAMES
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

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
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

    // The ways to delete
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
    Case {
        name: "renames_of_all_kinds_by_fexit",
        args: &["unlinksnoop", "--renames=all", "--hook", "fexit", "--json"],
        needs: &[Need::Fexit],
        ..MOVES
    },
    Case {
        name: "renames_of_all_kinds_by_kprobe_multi",
        args: &["unlinksnoop", "--renames=all", "--hook", "kprobe-multi", "--json"],
        needs: &[Need::KprobeMulti],
        ..MOVES
    },
    Case {
        name: "renames_of_all_kinds_by_kprobe",
        args: &["filegone", "--hook", "kprobe", "--json"],
        needs: &[Need::Kprobes],
        ..MOVES
    },
    // Two names of one file, too.
    Case {
        name: "renames_of_all_kinds_by_sys_exit",
        args: &["filegone", "--hook", "sys-exit", "--json", "-n", "calls"],
        shows: &[
            r#"{"kind": "rep?", "path": "$DIR/b", "from": "$DIR/a"}"#,
            r#"{"kind": "move", "path": "$DIR/a", "to": "$DIR/b"}"#,
            r#"{"kind": "rep?", "path": "$DIR/new", "from": "$DIR/b"}"#,
            r#"{"kind": "move", "path": "$DIR/b", "to": "$DIR/new"}"#,
            r#"{"kind": "rep?", "path": "$DIR/g", "from": "$DIR/f"}"#,
            r#"{"kind": "move", "path": "$DIR/f", "to": "$DIR/g"}"#,
            r#"{"kind": "rep?", "path": "$DIR/new", "from": "$DIR/c"}"#,
            r#"{"kind": "move", "path": "$DIR/c", "to": "$DIR/new"}"#,
        ],
        events: Some(8),
        ..RENAMES
    },
    Case {
        name: "renames_by_either_path",
        args: &["unlinksnoop", "--renames=all", "--json", "--path", "$DIR/a"],
        shows: &[r#"{"kind": "move", "path": "$DIR/a", "to": "$DIR/b"}"#],
        events: Some(1),
        ..RENAMES
    },
    Case {
        name: "renames_are_all_counted",
        args: &["unlinksnoop", "--renames=all", "--hook", "sys-exit", "--json", "-n", "calls", "--count"],
        shows: &[r#"{"type": "summary", "produced": 8, "delivered": 8, "lost": {}}"#],
        events: None,
        ..RENAMES
    },
    Case {
        name: "renames_of_all_kinds_are_exact",
        args: &["unlinksnoop", "--renames=all", "--hook", "kprobe", "--json"],
        command: &["sh", "-c", "cd $DIR; exec $CALLS renames 500"],
        needs: &[Need::Kprobes],
        shows: &[r#"{"kind": "move"}"#, r#"{"type": "summary", "produced": 2000}"#],
        ..CASE
    },
    // Each may have replaced a file.
    Case {
        name: "renames_of_all_kinds_are_exact_by_sys_exit",
        args: &["unlinksnoop", "--renames=all", "--hook", "sys-exit", "--json", "-n", "calls"],
        command: &["sh", "-c", "cd $DIR; exec $CALLS renames 500"],
        shows: &[r#"{"type": "summary", "produced": 4000, "delivered": 4000, "lost": {}}"#],
        ..CASE
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
];
