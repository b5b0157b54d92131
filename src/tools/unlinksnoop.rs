//! unlinksnoop: who deletes which file or directory.

use clap::{Args, ValueEnum};
use libbpf_rs::skel::Skel as _;

use crate::bpf::shared::types::collect;
use crate::bpf::unlinksnoop::{UnlinksnoopSkelBuilder, types};
use crate::decode::{Place, Record};
use crate::error::{Error, Result};
use crate::hooks::{self, At, Hook, Probe};
use crate::messages::say;
use crate::options::EventOptions;
use crate::paths::PathFilter;
use crate::privileges;
use crate::render::{Column, Value};
use crate::session::{Session, Storage};
use crate::tool::Tool;

/// Show who deletes which file or directory
#[derive(Args, Debug)]
pub(crate) struct Unlinksnoop {
    /// Show failed attempts only
    #[arg(short = 'x', long)]
    failed: bool,

    /// Show files too that are lost because a rename puts another in their place
    #[arg(long)]
    renames: bool,

    #[command(flatten)]
    paths: PathFilter,

    /// See events this way, not by the first that works
    #[arg(long, value_name = "HOOK")]
    hook: Option<Way>,

    #[command(flatten)]
    options: EventOptions,
}

/// How deletes are seen.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Way {
    /// In the kernel's functions: 32-bit calls and io_uring too
    Kprobe,
    /// Where system calls end: 64-bit calls alone
    Tracepoint,
}

type Col = Column<types::event>;

pub(super) const COLUMNS: &[Col] = &[
    Col::TIME,
    Col::UID,
    Col::COMM,
    Col::PID,
    Col::NS_PID,
    Col::PPID.json_only(),
    Col::PARENT_COMM,
    Col::TID,
    Col::CGROUP,
    Col::CONTAINER,
    Col::new("RET", "ret", 6, "0, or for a failed attempt -errno", |r| {
        Value::Ret(r.event.ret.into())
    }),
    Col::new("ERRNO", "errno", 7, "the name of the error", |r| Value::Errno(r.event.ret.into()))
        .json_only(),
    Col::new("KIND", "kind", 4, "file, dir, or repl: replaced by a rename", |r| match types::kind(
        r.event.kind,
    ) {
        types::kind::KIND_DIRECTORY => Value::Word("dir"),
        types::kind::KIND_REPLACED => Value::Word("repl"),
        _ => Value::Word("file"),
    }),
    Col::new("FROM", "from", 20, "for a rename, the name that the new file had", |r| {
        match types::kind(r.event.kind) {
            types::kind::KIND_REPLACED => path_value(names(r).1),
            _ => Value::None,
        }
    })
    .json_only()
    .collect(collect::COLLECT_BASE),
    Col::new(
        "PATH",
        "path",
        0,
        "the file, from the root of its mount namespace; [?]/ where it starts from is not known. \
         With tracepoints the name is read from the process",
        |r| path_value(names(r).0),
    )
    .collect(collect::COLLECT_BASE),
];

/// The functions that every delete goes through, whatever call it came by; renamed in Linux 7.0.
const KPROBES: &[Hook] = &[
    Hook { name: "kprobes do_unlinkat and do_rmdir", probes: &unlinks("do_unlinkat", "do_rmdir") },
    Hook {
        name: "kprobes filename_unlinkat and filename_rmdir",
        probes: &unlinks("filename_unlinkat", "filename_rmdir"),
    },
];

const KPROBES_WITH_RENAMES: &[Hook] = &[
    Hook {
        name: "kprobes do_unlinkat, do_rmdir, do_renameat2 and vfs_rename",
        probes: &with_renames("do_unlinkat", "do_rmdir", "do_renameat2"),
    },
    Hook {
        name: "kprobes filename_unlinkat, filename_rmdir, filename_renameat2 and vfs_rename",
        probes: &with_renames("filename_unlinkat", "filename_rmdir", "filename_renameat2"),
    },
];

const TRACEPOINTS: &[Hook] = &[Hook {
    name: "tracepoints of the system calls: 32-bit calls and io_uring are not seen",
    probes: &[
        Probe::new("on_unlinkat_exit", At::Tracepoint("syscalls", "sys_exit_unlinkat")),
        // arm64 has unlinkat alone.
        Probe::optional("on_unlink_exit", At::Tracepoint("syscalls", "sys_exit_unlink")),
        Probe::optional("on_rmdir_exit", At::Tracepoint("syscalls", "sys_exit_rmdir")),
    ],
}];

/// Returns first: a call whose entry is seen must not lose its return.
const fn unlinks(unlink: &'static str, rmdir: &'static str) -> [Probe<'static>; 5] {
    [
        Probe::new("on_thread_end", At::Declared),
        Probe::new("on_return", At::Kretprobe(unlink)),
        Probe::new("on_return", At::Kretprobe(rmdir)),
        Probe::new("on_unlink_entry", At::Kprobe(unlink)),
        Probe::new("on_rmdir_entry", At::Kprobe(rmdir)),
    ]
}

const fn with_renames(
    unlink: &'static str,
    rmdir: &'static str,
    rename: &'static str,
) -> [Probe<'static>; 8] {
    let [a, b, c, d, e] = unlinks(unlink, rmdir);
    [
        Probe::new("on_rename_return", At::Kretprobe(rename)),
        Probe::new("on_vfs_rename", At::Kprobe("vfs_rename")),
        Probe::new("on_rename_entry", At::Kprobe(rename)),
        a,
        b,
        c,
        d,
        e,
    ]
}

impl Tool for Unlinksnoop {
    const NAME: &'static str = "unlinksnoop";
    const ABOUT: &'static str = "Show who deletes which file or directory";
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("--path '/var/lib/*'", "deletes below one directory"),
        ("-x -n logrotate", "what one program fails to delete"),
        ("--renames", "files too that a rename replaces"),
        ("--json -- make clean", "what a command deletes, as JSON Lines"),
    ];

    fn run(self) -> Result<()> {
        let Some(columns) = self.options.columns(COLUMNS)? else { return Ok(()) };
        let hooks = self.hooks()?;
        let needs = [privileges::BPF, privileges::TRACEFS];
        let session = Session::start(Self::NAME, &self.options, &needs)?;
        let wants = self.paths.wants(&columns);
        let mut storage = Storage::new();
        let attached =
            session.attach::<UnlinksnoopSkelBuilder>(&mut storage, &wants, &hooks, |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.only_failed = self.failed.into();
                }
            });
        let (skel, links) = attached?;
        let by_tracepoints = hooks::program(skel.object(), "on_unlinkat_exit")?.autoload();
        if by_tracepoints && self.hook.is_none() {
            say(format_args!(
                "{}: no kprobes here: deletes by 32-bit calls and io_uring are not seen",
                Self::NAME
            ));
        }
        session.run(skel.object(), links, &columns, |record| {
            self.paths.let_through(|| names(record).0)
        })
    }
}

impl Unlinksnoop {
    fn hooks(&self) -> Result<Vec<&'static Hook<'static>>> {
        let kprobes = if self.renames { KPROBES_WITH_RENAMES } else { KPROBES };
        match self.hook {
            Some(Way::Tracepoint) if self.renames => {
                Err(Error::usage("--renames", "only kprobes see what a rename replaces"))
            }
            Some(Way::Tracepoint) => Ok(TRACEPOINTS.iter().collect()),
            Some(Way::Kprobe) => Ok(kprobes.iter().collect()),
            None if self.renames => Ok(kprobes.iter().collect()),
            None => Ok(kprobes.iter().chain(TRACEPOINTS).collect()),
        }
    }
}

/// The path, and for a rename the old one.
fn names<'a>(record: &Record<'a, types::event>) -> (Place<'a>, Place<'a>) {
    let rest = &mut record.tail.get(..).unwrap_or_default();
    let mut next = |name: &types::name| Place::next(rest, name.len, name.base_len, name.base_state);
    (next(&record.event.path), next(&record.event.from))
}

/// A name that could not be read is none.
fn path_value(place: Place<'_>) -> Value<'_> {
    if place.is_nameless() { Value::None } else { Value::Path(place) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Header;
    use crate::render::{Clock, fields, table};

    fn line(ret: i32, kind: types::kind, name: &[u8], base: &[u8]) -> String {
        let header = Header { pid: 2, ..Header::default() };
        let path = types::name {
            len: name.len() as u32,
            base_len: base.len() as u32,
            base_state: crate::bpf::shared::types::path_state::PATH_WHOLE.0,
        };
        let event = types::event { ret, kind: kind.0, path, ..types::event::default() };
        let tail = [name, base].concat();
        let record = Record { header: &header, event: &event, tail: &tail, container: "" };
        let columns = fields::choose(COLUMNS, fields::Wish::default(), &[]).unwrap();
        let mut line = Vec::new();
        table::row(&mut line, &columns, &Clock::new(0), &record);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn failures_have_their_name_and_paths_are_absolute() {
        let failed = line(-2, types::kind::KIND_FILE, b"/tmp/a\n", b"");
        assert!(failed.ends_with(" 2       ENOENT file /tmp/a\\n\n"), "{failed}");
        let done = line(0, types::kind::KIND_DIRECTORY, b"d", b"b\0a\0");
        assert!(done.ends_with(" 2       0      dir  /a/b/d\n"), "{done}");
        assert!(line(-14, types::kind::KIND_FILE, b"", b"a\0").ends_with(" EFAULT file -\n"));
    }
}
