//! unlinksnoop: who deletes which file or directory.

use clap::ValueEnum;

use super::prelude::*;
use crate::bpf::programs::unlinksnoop as programs;
use crate::bpf::shared::types::collect;
use crate::bpf::unlinksnoop::{UnlinksnoopSkelBuilder, types};
use crate::filter::paths::PathFilter;
use crate::output::values::Place;
use crate::record::Record;
use crate::system::kernel;

/// Show who deletes which file or directory
#[derive(Args, Debug)]
pub(crate) struct Unlinksnoop {
    /// Show only failed attempts
    #[arg(short = 'x', long)]
    failed: bool,

    /// Show files lost because a rename puts another in their place, too; all: and each file that a
    /// rename takes from its name
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "replaced")]
    renames: Option<Renames>,

    #[command(flatten)]
    paths: PathFilter,

    /// Use this hook, not the first that the kernel allows
    #[arg(long, value_name = "HOOK")]
    hook: Option<HookChoice>,

    #[command(flatten)]
    options: EventOptions,
}

/// Which files that renames take from their names.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Renames {
    /// Those that another is put in the place of
    Replaced,
    /// Those that are moved, too
    All,
}

/// How deletes are seen.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum HookChoice {
    /// fentry and fexit of the kernel's functions
    Fexit,
    /// kprobe.multi and kretprobe.multi of the same
    KprobeMulti,
    /// kprobes and kretprobes, which may miss returns
    Kprobe,
    /// The end of every system call: without io_uring
    #[value(alias = "tracepoint")]
    SysExit,
}

type Col = Column<types::event>;

/// The functions that every delete goes through, whatever call it came by; renamed in Linux 7.0.
/// Returns are attached to first: a call whose entry is seen must not lose its return.
macro_rules! hooks {
    ($unlink:literal, $rmdir:literal, $rename:literal) => {
        KernelHooks {
            fexit: Hook {
                name: concat!("fentry and fexit ", $unlink, " and ", $rmdir),
                probes: &[
                    Probe::clears_up(programs::ON_THREAD_END),
                    Probe::returns(programs::ON_UNLINK_FEXIT, Point::Fexit($unlink)),
                    Probe::returns(programs::ON_RMDIR_FEXIT, Point::Fexit($rmdir)),
                    Probe::events(programs::ON_UNLINK_FENTRY, Point::Fentry($unlink)),
                    Probe::events(programs::ON_RMDIR_FENTRY, Point::Fentry($rmdir)),
                ],
            },
            fexit_with_renames: Hook {
                name: concat!("fentry and fexit ", $unlink, ", ", $rmdir, " and ", $rename),
                probes: &[
                    Probe::clears_up(programs::ON_THREAD_END),
                    Probe::returns(programs::ON_UNLINK_FEXIT, Point::Fexit($unlink)),
                    Probe::returns(programs::ON_RMDIR_FEXIT, Point::Fexit($rmdir)),
                    Probe::returns(programs::ON_RENAME_FEXIT, Point::Fexit($rename)),
                    Probe::events(programs::ON_UNLINK_FENTRY, Point::Fentry($unlink)),
                    Probe::events(programs::ON_RMDIR_FENTRY, Point::Fentry($rmdir)),
                    Probe::events(programs::ON_VFS_RENAME_FENTRY, Point::Fentry("vfs_rename")),
                    Probe::events(programs::ON_RENAME_FENTRY, Point::Fentry($rename)),
                ],
            },
            kprobe_multi: Hook {
                name: concat!("kprobe.multi and kretprobe.multi ", $unlink, " and ", $rmdir),
                probes: &[
                    Probe::clears_up(programs::ON_THREAD_END),
                    Probe::returns(programs::ON_RETURN, Point::KretprobeMulti(&[$unlink, $rmdir])),
                    Probe::events(programs::ON_UNLINK_ENTRY, Point::KprobeMulti(&[$unlink])),
                    Probe::events(programs::ON_RMDIR_ENTRY, Point::KprobeMulti(&[$rmdir])),
                ],
            },
            kprobe_multi_with_renames: Hook {
                name: concat!(
                    "kprobe.multi and kretprobe.multi ",
                    $unlink,
                    ", ",
                    $rmdir,
                    " and ",
                    $rename
                ),
                probes: &[
                    Probe::clears_up(programs::ON_THREAD_END),
                    Probe::returns(programs::ON_RETURN, Point::KretprobeMulti(&[$unlink, $rmdir])),
                    Probe::returns(programs::ON_RENAME_RETURN, Point::KretprobeMulti(&[$rename])),
                    Probe::events(programs::ON_UNLINK_ENTRY, Point::KprobeMulti(&[$unlink])),
                    Probe::events(programs::ON_RMDIR_ENTRY, Point::KprobeMulti(&[$rmdir])),
                    Probe::events(programs::ON_VFS_RENAME, Point::KprobeMulti(&["vfs_rename"])),
                    Probe::events(programs::ON_RENAME_ENTRY, Point::KprobeMulti(&[$rename])),
                ],
            },
            kprobe: Hook {
                name: concat!("kprobes ", $unlink, " and ", $rmdir),
                probes: &[
                    Probe::clears_up(programs::ON_THREAD_END),
                    Probe::returns(programs::ON_RETURN, Point::Kretprobe($unlink)),
                    Probe::returns(programs::ON_RETURN, Point::Kretprobe($rmdir)),
                    Probe::events(programs::ON_UNLINK_ENTRY, Point::Kprobe($unlink)),
                    Probe::events(programs::ON_RMDIR_ENTRY, Point::Kprobe($rmdir)),
                ],
            },
            kprobe_with_renames: Hook {
                name: concat!("kprobes ", $unlink, ", ", $rmdir, " and ", $rename),
                probes: &[
                    Probe::clears_up(programs::ON_THREAD_END),
                    Probe::returns(programs::ON_RETURN, Point::Kretprobe($unlink)),
                    Probe::returns(programs::ON_RETURN, Point::Kretprobe($rmdir)),
                    Probe::returns(programs::ON_RENAME_RETURN, Point::Kretprobe($rename)),
                    Probe::events(programs::ON_UNLINK_ENTRY, Point::Kprobe($unlink)),
                    Probe::events(programs::ON_RMDIR_ENTRY, Point::Kprobe($rmdir)),
                    Probe::events(programs::ON_VFS_RENAME, Point::Kprobe("vfs_rename")),
                    Probe::events(programs::ON_RENAME_ENTRY, Point::Kprobe($rename)),
                ],
            },
        }
    };
}

/// The hooks of one kernel, whose functions have other names than those of others.
struct KernelHooks {
    fexit: Hook<'static>,
    fexit_with_renames: Hook<'static>,
    kprobe_multi: Hook<'static>,
    kprobe_multi_with_renames: Hook<'static>,
    kprobe: Hook<'static>,
    kprobe_with_renames: Hook<'static>,
}

const OLD: &KernelHooks = &hooks!("do_unlinkat", "do_rmdir", "do_renameat2");
const NEW: &KernelHooks = &hooks!("filename_unlinkat", "filename_rmdir", "filename_renameat2");

const SYS_EXIT: &Hook<'_> = &Hook {
    name: "tracepoint sys_exit: io_uring's deletes are not seen",
    probes: &[Probe::events(programs::ON_CALL_EXIT, Point::Declared)],
};

impl Tool for Unlinksnoop {
    type Row = types::event;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("--path '/var/lib/*'", "deletes below one directory"),
        ("-x -n logrotate", "what one program fails to delete"),
        ("--renames all --path '/etc/*'", "whatever is gone from a directory, moved too"),
        ("--json -- make clean", "what a command deletes, as JSON Lines"),
    ];
    const TASK: &'static [Col] =
        &Task { time: Col::TIME, uid: Col::UID, ..Task::COMM_FIRST }.columns();
    const COLUMNS: &'static [Col] = &[
        Col::ret("RET", "ret", 6, "0, or for a failed attempt -errno", |r| {
            Value::Ret(r.event.ret.into())
        }),
        Col::errno("ERRNO", "errno", 7, "the name of the error", |r| Value::Errno(r.event.ret.into()))
            .json_only(),
        Col::word(
            "KIND",
            "kind",
            4,
            "file, dir, or repl: replaced by a rename; rep? where nothing tells if there was one; move: \
             a rename gave it another name",
            |r| match types::kind(r.event.kind) {
                types::kind::KIND_DIRECTORY => Value::Word("dir"),
                types::kind::KIND_REPLACED => Value::Word("repl"),
                types::kind::KIND_RENAMED => Value::Word("rep?"),
                types::kind::KIND_MOVED => Value::Word("move"),
                _ => Value::Word("file"),
            },
        ),
        Col::path("FROM", "from", 20, "for repl, the name that the new file had", |r| match types::kind(
            r.event.kind,
        ) {
            types::kind::KIND_REPLACED | types::kind::KIND_RENAMED => Value::path(names(r).1),
            _ => Value::None,
        })
        .or(Kind::Unreadable)
        .json_only()
        .collect(collect::COLLECT_BASE),
        Col::path("TO", "to", 20, "for move, the name that it has now", |r| match types::kind(
            r.event.kind,
        ) {
            types::kind::KIND_MOVED => Value::path(names(r).1),
            _ => Value::None,
        })
        .or(Kind::Unreadable)
        .json_only()
        .added_by("--renames=all")
        .collect(collect::COLLECT_BASE),
        Col::path(
            "PATH",
            "path",
            0,
            "the file, from the root of its mount namespace; [?]/ where it starts from is not known. \
             By the end of system calls the name is read from the process",
            |r| Value::path(names(r).0),
        ).or(Kind::Unreadable)
        .collect(collect::COLLECT_BASE),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let hooks = self.hooks();
        let session = Session::start(host, &self.options)?;
        let options = LoadOptions::from(columns).and(&self.paths);
        let mut storage = Storage::new();
        let attached = session.attach::<UnlinksnoopSkelBuilder>(
            &mut storage,
            options,
            Plan::new(&hooks),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.only_failed = self.failed.into();
                    constants.renames = match self.renames {
                        None => types::renames::RENAMES_NONE,
                        Some(Renames::Replaced) => types::renames::RENAMES_REPLACED,
                        Some(Renames::All) => types::renames::RENAMES_ALL,
                    }
                    .0 as u8;
                }
            },
        );
        let (skel, attached) = attached?;
        session.run(skel.object(), attached, columns, |record| {
            self.paths.let_through(|| names(record).0)
        })
    }
}

impl Unlinksnoop {
    fn hooks(&self) -> Vec<&'static Hook<'static>> {
        let both =
            |hook: fn(&'static KernelHooks) -> &'static Hook<'static>| [hook(OLD), hook(NEW)];
        let (fexit, multi, kprobe) = if self.renames.is_some() {
            (
                both(|hooks| &hooks.fexit_with_renames),
                both(|hooks| &hooks.kprobe_multi_with_renames),
                both(|hooks| &hooks.kprobe_with_renames),
            )
        } else {
            (
                both(|hooks| &hooks.fexit),
                both(|hooks| &hooks.kprobe_multi),
                both(|hooks| &hooks.kprobe),
            )
        };
        let functions = match kernel::prefers_kprobe_multi() {
            true => [multi, fexit, kprobe].concat(),
            false => [fexit, kprobe].concat(),
        };
        match self.hook {
            Some(HookChoice::Fexit) => fexit.to_vec(),
            Some(HookChoice::KprobeMulti) => multi.to_vec(),
            Some(HookChoice::Kprobe) => kprobe.to_vec(),
            Some(HookChoice::SysExit) => vec![SYS_EXIT],
            None => [&functions[..], &[SYS_EXIT]].concat(),
        }
    }
}

/// The path that is gone, and for a rename the other one.
fn names<'a>(record: &Record<'a, types::event>) -> (Place<'a>, Place<'a>) {
    let rest = &mut record.tail.get(..).unwrap_or_default();
    let mut next = |name: &types::name| Place::next(rest, name.len, name.base_len, name.base_state);
    let (path, from) = (next(&record.event.path), next(&record.event.from));
    match types::kind(record.event.kind) {
        types::kind::KIND_MOVED => (from, path),
        _ => (path, from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Clock, Lines, Screen, fields};
    use crate::record::Header;
    use crate::tool;

    fn line(ret: i32, kind: types::kind, name: &[u8], base: &[u8]) -> String {
        let header = Header { pid: 2, ..Header::default() };
        let path = types::name {
            len: name.len() as u32,
            base_len: base.len() as u32,
            base_state: crate::bpf::shared::types::path_state::PATH_WHOLE.0,
        };
        let event = types::event { ret, kind: kind.0, path, ..types::event::default() };
        let tail = [name, base].concat();
        let record = Record { tail: &tail, ..Record::of(&header, &event) };
        let columns =
            fields::choose(&tool::columns::<Unlinksnoop>(|_| false), false, &[], |_| false)
                .unwrap();
        let mut line = Vec::new();
        Lines::table(&columns).row(&mut line, &Clock::new(0), Screen::default(), None, &record);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn failures_have_their_name_and_paths_are_absolute() {
        let failed = line(-2, types::kind::KIND_FILE, b"/tmp/a\n\0", b"");
        assert!(failed.ends_with(" 2       ENOENT file /tmp/a\\n\n"), "{failed}");
        let done = line(0, types::kind::KIND_DIRECTORY, b"d\0", b"b\0a\0");
        assert!(done.ends_with(" 2       0      dir  /a/b/d\n"), "{done}");
        assert!(line(-14, types::kind::KIND_FILE, b"", b"a\0").ends_with(" EFAULT file [?]\n"));
        assert!(line(-2, types::kind::KIND_FILE, b"\0", b"a\0").ends_with(" ENOENT file ''\n"));
    }
}
