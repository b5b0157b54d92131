//! clonesnoop: new processes and threads.

use clap::ValueEnum;
use nix::libc;

use super::prelude::*;
use crate::bpf::clonesnoop::{ClonesnoopSkelBuilder, types};
use crate::bpf::programs::clonesnoop::ON_CLONE;

/// Show new processes and threads
#[derive(Args, Debug)]
pub(crate) struct Clonesnoop {
    /// Show only new processes, or only new threads
    #[arg(long, value_name = "KIND")]
    kind: Option<OnlyKind>,

    #[command(flatten)]
    options: EventOptions,
}

/// What `--kind` lets through.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnlyKind {
    Process,
    Thread,
}

type Col = Column<types::event>;

/// As `enum kind` of clonesnoop.bpf.c numbers them.
const KINDS: &[&str] = &["process", "thread"];

macro_rules! flags {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name as u32 as u64),)*
        // Only clone3 has room for these: linux/sched.h.
        ("CLONE_CLEAR_SIGHAND", 1 << 32), ("CLONE_INTO_CGROUP", 1 << 33)] };
}

const KNOWN_FLAGS: &[(&str, u64)] = flags! {
    CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PIDFD CLONE_PTRACE CLONE_VFORK CLONE_PARENT
    CLONE_THREAD CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID CLONE_CHILD_CLEARTID
    CLONE_DETACHED CLONE_UNTRACED CLONE_CHILD_SETTID CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC
    CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET CLONE_IO
};

const CLONES: Hook =
    Hook { name: "tracepoint task_newtask", probes: &[Probe::events(ON_CLONE, Point::Declared)] };

impl Tool for Clonesnoop {
    type Row = types::event;
    const KINDS: &'static [&'static str] = KINDS;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("--count=uid", "how many each user starts every second"),
        ("-n java", "the threads that one program starts"),
        ("--json -- make -j4", "what a build starts, as JSON Lines"),
    ];
    const TASK: &'static [Col] = &Task { uid: Col::UID, ..Task::COMM_FIRST }.columns();
    const COLUMNS: &'static [Col] = &[
        Col::word("KIND", "kind", 7, "process or thread", |r| {
            Value::Word(KINDS.get(r.event.kind as usize).copied().unwrap_or("?"))
        }),
        Col::word("CALL", "call", 6, "the system call; kernel for the kernel's own threads", |r| {
            Value::Word(match types::call(r.event.call) {
                types::call::CALL_FORK => "fork",
                types::call::CALL_VFORK => "vfork",
                types::call::CALL_CLONE => "clone",
                types::call::CALL_CLONE3 => "clone3",
                _ => "kernel",
            })
        }),
        Col::uint("CHILD", "child", 7, "the new process; for a thread, its process", |r| {
            Value::Uint(r.event.child.into())
        }),
        Col::uint("CTID", "child_tid", 7, "the new thread; for a process, its first", |r| {
            Value::Uint(r.event.child_tid.into())
        }),
        Col::flags("FLAGS", "flags", 0, "what parent and child share, and what is new", |r| {
            let flags = Flags { first: "", bits: r.event.flags, known: KNOWN_FLAGS };
            if flags.bits == 0 { Value::None } else { Value::Flags(flags) }
        }),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let kind = self.kind.map_or(types::kind::KIND_ANY, |kind| match kind {
            OnlyKind::Process => types::kind::KIND_PROCESS,
            OnlyKind::Thread => types::kind::KIND_THREAD,
        });
        let session = Session::start(host, &self.options)?.kinds(Self::KINDS);
        let session = if self.kind.is_some() { session.of_kind(kind.0) } else { session };
        let mut storage = Storage::new();
        let (skel, attached) =
            session.attach::<ClonesnoopSkelBuilder>(&mut storage, columns, &[&CLONES], |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.only_kind = kind.0 as u8;
                }
            })?;
        session.run(skel.object(), attached, columns, |_| true)
    }
}
