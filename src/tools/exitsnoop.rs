//! exitsnoop: processes that end, how, and by whom.

mod signals;

use std::fs;
use std::sync::LazyLock;

use libbpf_rs::{ErrorKind, MapCore as _, MapFlags, Object};
use nix::unistd::{SysconfVar, sysconf};

use super::prelude::*;
use crate::bpf::exitsnoop::{ExitsnoopSkelBuilder, types};
use crate::bpf::object;
use crate::bpf::programs::exitsnoop::{
    ON_CALL_EXIT, ON_END, ON_EXEC, ON_FORK, ON_OUT_OF_MEMORY, ON_SENT, ON_SIGNAL,
};
use crate::error::Context as _;
use crate::output::values::{self, Place};
use crate::record::{self, Record};
use crate::system::{kernel, processes, sys};

/// Show processes that end, how, and who ended them
#[derive(Args, Debug)]
pub(crate) struct Exitsnoop {
    /// Show only those that a signal ends, or that do not leave with 0; with --signals, calls that fail
    #[arg(short = 'x', long)]
    failed: bool,

    /// Show threads too that end while their process goes on
    #[arg(long, aliases = ["per-thread", "threaded"], conflicts_with = "signals")]
    threads: bool,

    /// Show only those that the kernel ends for want of memory
    #[arg(long, conflicts_with = "signals")]
    oom: bool,

    /// Show signals instead, as they are sent: by whom, to whom, and what becomes of them
    #[arg(long)]
    signals: bool,

    /// Only these signals, or ends by them: like TERM,9
    #[arg(short, long, value_name = "SIGNAL", value_delimiter = ',', value_parser = signals::bit)]
    signal: Vec<u64>,

    /// With --signals: only those that a process sends by kill, sigqueue or the like
    #[arg(short = 'k', long, requires = "signals")]
    calls: bool,

    /// With --signals: only those to this process
    #[arg(long, alias = "tpid", value_name = "PID", requires = "signals", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,

    #[command(flatten)]
    options: EventOptions,
}

type Col = Column<types::event>;

const SIGNALS: Probe = Probe::owners(ON_SIGNAL, Point::Declared);
/// Where it is not allowed, what an end for want of memory was for is not known.
const OUT_OF_MEMORY: Probe =
    Probe::owners(ON_OUT_OF_MEMORY, Point::Kprobe("out_of_memory")).optional();
const ENDS: Probe = Probe::events(ON_END, Point::Declared);

const HOOK: Hook =
    Hook { name: "tracepoint sched_process_exit and signal_generate", probes: &[SIGNALS, ENDS] };

/// Where the memory of a process is gone when its end is seen.
const HOOK_THAT_KEEPS: Hook = Hook {
    name: "tracepoint sched_process_exit and signal_generate, sched_process_exec and task_newtask for arguments",
    probes: &[
        Probe::owners(ON_EXEC, Point::Declared),
        Probe::owners(ON_FORK, Point::Declared),
        SIGNALS,
        ENDS,
    ],
};
const KEPT_MAP: &str = "started";

const HOOK_OF_SIGNALS: Hook = Hook {
    name: "tracepoint signal_generate, and sys_exit for calls that fail",
    probes: &[
        Probe::events(ON_SENT, Point::Declared),
        Probe::events(ON_CALL_EXIT, Point::Declared),
    ],
};

const ADDRESS: Col = Col::hex("ADDRESS", "fault_address", 18, "for a fault, where it was", |r| {
    match types::by(r.event.origin.by) {
        types::by::BY_FAULT => Value::Hex(r.event.origin.fault_address),
        _ => Value::None,
    }
})
.json_only();

impl Tool for Exitsnoop {
    type Row = types::event;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-x -T", "what fails or is killed, with the time"),
        ("--container 3f2a --json", "why a container's processes end, as JSON Lines"),
        ("--count=comm,exit_code,signal -i 60", "how programs end, a minute at a time"),
        ("--signals -s TERM,KILL", "who sends these signals, to whom"),
    ];
    const TASK: &'static [Col] = &Task {
        names: [Col { about: "the name of the process", ..Col::COMM }, Col::PID, Col::NS_PID],
        tid: Col::TID.with(&["--threads"]),
        ..Task::COMM_FIRST
    }
    .columns();
    const COLUMNS: &'static [Col] = &[
        Col::word(
            "KIND",
            "kind",
            7,
            "what ended: process, or thread while the process goes on",
            |r| Value::Word(if r.event.is_thread == 0 { "process" } else { "thread" }),
        )
        .json_only()
        .with(&["--threads"]),
        Col::duration("LIFE", "life_ns", 6, "how long it was there", |r| {
            Value::Duration(r.event.life_ns)
        })
        .derived(),
        Col::duration("CPU", "cpu_ns", 6, "how long it ran, with all threads of a process", |r| {
            Value::Duration(r.event.cpu_ns)
        })
        .json_only()
        .derived(),
        Col::uint("RSSMAX", "rss_max_bytes", 10, "the most memory that it had at a time", |r| {
            Value::Uint(r.event.rss_max_pages.saturating_mul(*PAGE_BYTES))
        })
        .json_only()
        .derived(),
        Col::uint("EXIT", "exit_code", 4, "what it left with, if no signal ended it", |r| {
            match signal(r) {
                0 => Value::Uint((r.event.status >> 8 & 0xff).into()),
                _ => Value::None,
            }
        }),
        Col::word("SIGNAL", "signal", 11, "the signal that ended it", |r| match signal(r) {
            0 => Value::None,
            number => Value::Word(signals::name_of(number)),
        }),
        Col::boolean("CORE", "core", 4, "whether a core was dumped", |r| match signal(r) {
            0 => Value::None,
            _ => Value::Bool(r.event.status & 0x80 != 0),
        })
        .json_only(),
        Col::word(
            "BY",
            "by",
            9,
            "who: itself, process, fault, seccomp, oom, namespace: with the first process of its \
             PID namespace, timer, kernel",
            by,
        ),
        Col::uint(
            "SPID",
            "sender_pid",
            7,
            "the process that sent the signal; for oom, the one that needed memory",
            |r| sender(r, Value::Uint(r.event.peer.pid.into())),
        ),
        Col::text(
            "SENDER",
            "sender_comm",
            16,
            "the name of the process that sent the signal",
            |r| sender(r, Value::Text(record::c_str(&r.event.peer.comm))),
        ),
        Col::uint(
            "SUID",
            "sender_uid",
            6,
            "the user of the process that sent the signal, by number",
            |r| sender(r, Value::Uint(r.event.peer.uid.into())),
        )
        .json_only(),
        ADDRESS,
        Col::uint(
            "RSS",
            "oom_rss_bytes",
            10,
            "for oom, the memory that it had when it was chosen, as the kernel had added it up",
            |r| oom(r, Value::Uint(r.event.oom.rss_pages.saturating_mul(*PAGE_BYTES))),
        )
        .json_only()
        .with(&["--oom"])
        .derived(),
        Col::word(
            "WHERE",
            "oom_scope",
            7,
            "for oom, where there was no memory left: cgroup, machine",
            |r| match types::oom_scope(r.event.oom.scope) {
                types::oom_scope::OOM_CGROUP => Value::Word("cgroup"),
                types::oom_scope::OOM_MACHINE => Value::Word("machine"),
                _ => Value::None,
            },
        )
        .json_only()
        .with(&["--oom"]),
        Col::uint(
            "LIMIT",
            "oom_limit_bytes",
            10,
            "for oom in a cgroup, how much it may have: memory.max",
            |r| match r.event.oom.limit_pages.saturating_mul(*PAGE_BYTES) {
                // PAGE_COUNTER_MAX: another limit was reached, like that of memory and swap.
                NO_LIMIT.. => Value::None,
                bytes if r.event.oom.scope == types::oom_scope::OOM_CGROUP.0 => Value::Uint(bytes),
                _ => Value::None,
            },
        )
        .json_only()
        .with(&["--oom"])
        .derived(),
        Col::path("CGROUP", "oom_cgroup", 24, "for oom in a cgroup, its path", |r| {
            match r.event.cgroup_bytes {
                0 => Value::None,
                _ => Value::Path(cgroup(r)),
            }
        })
        .json_only()
        .with(&["--oom"]),
        Col::args(
            "ARGS",
            "args",
            0,
            "the arguments as they are at the end; [...] where some are missing",
            args,
        )
        .user(),
        Col::process_start(|r| Value::Uint(r.event.process_start_ns)),
    ];

    const OTHERS: &'static [(&'static str, &'static [Col])] = &[("--signals", signals::COLUMNS)];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let keeps = !self.signals && kernel::is_before(6, 16);
        let session = Session::start(host, &self.options)?;
        let without = if keeps { vec![] } else { vec![KEPT_MAP] };
        let options = LoadOptions { without, ..LoadOptions::from(columns) };
        let hook = match keeps {
            _ if self.signals => &HOOK_OF_SIGNALS,
            true => &HOOK_THAT_KEEPS,
            false => &HOOK,
        };
        let mut probes = hook.probes.to_vec();
        if columns.iter().any(|column| column.key.starts_with("oom_")) {
            probes.insert(0, OUT_OF_MEMORY);
        }
        let hook = &Hook { name: hook.name, probes: &probes };
        let mut storage = Storage::new();
        let (skel, attached) =
            session.attach::<ExitsnoopSkelBuilder>(&mut storage, options, &[hook], |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.shows_ends = (!self.signals).into();
                    constants.only_failed = self.failed.into();
                    constants.shows_threads = self.threads.into();
                    constants.only_oom = self.oom.into();
                    constants.only_calls = self.calls.into();
                    constants.wanted_signals = self.signal.iter().fold(0, |all, bit| all | bit);
                    constants.wanted_target = self.to.unwrap_or(0);
                    constants.keeps_arguments = keeps.into();
                }
            })?;
        if keeps && processes::own_pid_namespace().is_none() {
            keep_arguments(skel.object())?;
        }
        session.run(skel.object(), attached, columns, |_| true)
    }
}

/// Those of the processes that there are already. Others may have been seen meanwhile: they know better.
fn keep_arguments(object: &Object) -> Result<()> {
    let map = object::map(object, KEPT_MAP)?;
    for pid in processes::all() {
        let all = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let Ok(args_bytes) = u32::try_from(all.len()) else { continue };
        let mut kept = types::kept { args_bytes, ..types::kept::default() };
        let len = all.len().min(kept.args.len());
        kept.args[..len].copy_from_slice(&all[..len]);
        kept.len = u32::try_from(len).unwrap_or(0);
        let done = map.update(&pid.to_ne_bytes(), sys::bytes_of(&kept), MapFlags::NO_EXIST);
        match done {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).doing("keeping arguments");
            }
            _ => {}
        }
    }
    Ok(())
}

static PAGE_BYTES: LazyLock<u64> = LazyLock::new(|| {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
});

/// The signal that ended it; 0 if none did.
fn signal(record: &Record<'_, types::event>) -> u32 {
    record.event.status & 0x7f
}

fn by<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    word_of(record.event.origin.by).map_or(Value::None, Value::Word)
}

fn word_of(by: u32) -> Option<&'static str> {
    Some(match types::by(by) {
        types::by::BY_ITSELF => "itself",
        types::by::BY_PROCESS => "process",
        types::by::BY_FAULT | types::by::BY_FAULT_SOMEWHERE => "fault",
        types::by::BY_SECCOMP => "seccomp",
        types::by::BY_OOM => "oom",
        types::by::BY_NAMESPACE => "namespace",
        types::by::BY_CHILD => "child",
        types::by::BY_TIMER => "timer",
        types::by::BY_KERNEL => "kernel",
        _ => return None,
    })
}

/// Who is interrupted when the kernel sends a signal has nothing to do with it.
fn sender<'a>(record: &Record<'a, types::event>, value: Value<'a>) -> Value<'a> {
    match types::by(record.event.origin.by) {
        types::by::BY_KERNEL => Value::None,
        _ if record.event.peer.pid == 0 => Value::None,
        _ => value,
    }
}

/// More than a cgroup may have.
const NO_LIMIT: u64 = 1 << 62;

fn oom<'a>(record: &Record<'a, types::event>, value: Value<'a>) -> Value<'a> {
    match types::by(record.event.origin.by) {
        types::by::BY_OOM => value,
        _ => Value::None,
    }
}

fn cgroup<'a>(record: &Record<'a, types::event>) -> Place<'a> {
    let rest = &mut record.tail.get(..).unwrap_or_default();
    let names = Record::<types::event>::piece(rest, record.event.cgroup_bytes);
    Place::new(names, record.event.cgroup_state, b"")
}

fn args<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    let rest = record.tail.get(record.event.cgroup_bytes as usize..).unwrap_or_default();
    match record.event.args_bytes {
        u32::MAX => Value::None,
        bytes => {
            let args = rest.get(..bytes as usize).unwrap_or(rest);
            Value::Args(values::Args::new(args, 0), args.len() != bytes as usize)
        }
    }
}
