//! unlinksnoop: who deletes which file or directory.

use std::mem::MaybeUninit;

use clap::{Args, ValueEnum};
use libbpf_rs::skel::Skel as _;

use crate::bpf::unlinksnoop::{UnlinksnoopSkelBuilder, types};
use crate::error::Result;
use crate::hooks::{At, Hook, Probe};
use crate::options::EventOptions;
use crate::privileges;
use crate::render::{Column, Value};
use crate::session::Session;
use crate::tool::Tool;

/// Show who deletes which file or directory
#[derive(Args, Debug)]
pub(crate) struct Unlinksnoop {
    /// Show failed attempts only
    #[arg(short = 'x', long)]
    failed: bool,

    /// See events this way, not by the first that works
    #[arg(long, value_name = "HOOK")]
    hook: Option<Way>,

    #[command(flatten)]
    options: EventOptions,
}

/// How deletes are seen.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// In the kernel's functions: 32-bit calls and io_uring too
    Kprobe,
    /// Where system calls end: 64-bit calls alone
    Tracepoint,
}

const COLUMNS: &[Column<types::event>] = &[
    Column::TIME,
    Column::UID,
    Column::COMM,
    Column::PID,
    Column::PPID.json_only(),
    Column::TID,
    Column::new("RET", "ret", 6, |r| Value::Ret(r.event.ret.into())),
    Column::key("errno", |r| Value::Errno(r.event.ret.into())),
    Column::new("KIND", "kind", 4, |r| match types::kind(r.event.kind) {
        types::kind::KIND_DIRECTORY => Value::Word("dir"),
        _ => Value::Word("file"),
    }),
    Column::key("dfd", |r| match r.event.dfd {
        AT_FDCWD => Value::None,
        fd => Value::Int(fd.into()),
    }),
    Column::new("PATH", "path", 0, |r| match r.tail {
        [] if r.event.ret < 0 => Value::None,
        path => Value::Text(path),
    }),
];

/// Relative to the working directory.
const AT_FDCWD: i32 = -100;

/// The first two are the functions that every delete goes through, whatever call it came by.
const HOOKS: &[Hook] = &[
    Hook {
        name: "kprobes do_unlinkat and do_rmdir",
        probes: &[
            Probe::new("on_return", At::Kretprobe("do_unlinkat")),
            Probe::new("on_return", At::Kretprobe("do_rmdir")),
            Probe::new("on_unlink_entry", At::Kprobe("do_unlinkat")),
            Probe::new("on_rmdir_entry", At::Kprobe("do_rmdir")),
        ],
    },
    // Renamed in Linux 7.0.
    Hook {
        name: "kprobes filename_unlinkat and filename_rmdir",
        probes: &[
            Probe::new("on_return", At::Kretprobe("filename_unlinkat")),
            Probe::new("on_return", At::Kretprobe("filename_rmdir")),
            Probe::new("on_unlink_entry", At::Kprobe("filename_unlinkat")),
            Probe::new("on_rmdir_entry", At::Kprobe("filename_rmdir")),
        ],
    },
    Hook {
        name: "tracepoints of the system calls (these see no 32-bit calls and no io_uring)",
        probes: &[
            Probe::new("on_unlinkat_exit", At::Tracepoint("syscalls", "sys_exit_unlinkat")),
            // arm64 has unlinkat alone.
            Probe::optional("on_unlink_exit", At::Tracepoint("syscalls", "sys_exit_unlink")),
            Probe::optional("on_rmdir_exit", At::Tracepoint("syscalls", "sys_exit_rmdir")),
        ],
    },
];

impl Tool for Unlinksnoop {
    const NAME: &'static str = "unlinksnoop";
    const ABOUT: &'static str = "Show who deletes which file or directory";
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-x", "deletes that fail"),
        ("-n logrotate", "what one program deletes"),
        ("--json -- make clean", "what a command deletes, as JSON Lines"),
    ];

    fn run(self) -> Result<()> {
        let needs = [privileges::BPF, privileges::TRACEFS];
        let session = Session::start(Self::NAME, &self.options, &needs)?;
        let mut storage = MaybeUninit::uninit();
        let mut open = session.open(UnlinksnoopSkelBuilder::default(), &mut storage)?;
        if let Some(constants) = &mut open.maps.rodata_data {
            constants.only_failed = self.failed.into();
        }
        let skel = session.load(open)?;
        let (kprobes, tracepoints) = HOOKS.split_at(2);
        let hooks = match self.hook {
            None => HOOKS,
            Some(Way::Kprobe) => kprobes,
            Some(Way::Tracepoint) => tracepoints,
        };
        let links = session.attach(skel.object(), hooks)?;
        session.run(skel.object(), links, COLUMNS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Header, Record};
    use crate::render::{Clock, table};

    fn line(ret: i32, kind: types::kind, path: &[u8]) -> String {
        let header = Header { pid: 2, ..Header::default() };
        let event = types::event { ret, kind: kind.0, ..types::event::default() };
        let record = Record { header: &header, event: &event, tail: path };
        table::row(COLUMNS, table::Extra::default(), Clock::new(0), &record)
    }

    #[test]
    fn failures_have_their_name() {
        let failed = line(-2, types::kind::KIND_FILE, b"/tmp/a\n");
        assert!(failed.ends_with(" 2       ENOENT file /tmp/a\\n\n"), "{failed}");
        let done = line(0, types::kind::KIND_DIRECTORY, b"d");
        assert!(done.ends_with(" 2       0      dir  d\n"), "{done}");
        assert!(line(-14, types::kind::KIND_FILE, b"").ends_with(" EFAULT file -\n"));
    }
}
