//! execsnoop: programs that start.

use std::mem::MaybeUninit;

use clap::Args;

use crate::bpf::execsnoop::{ExecsnoopSkelBuilder, types};
use crate::decode::{self, Record};
use crate::error::Result;
use crate::hooks::{At, Hook, Probe};
use crate::options::EventOptions;
use crate::privileges;
use crate::render::{Column, Shown, Value};
use crate::session::Session;
use crate::tool::Tool;

/// Show programs that start
#[derive(Args, Debug)]
pub(crate) struct Execsnoop {
    /// Show failed attempts too, with the error
    #[arg(short = 'x', long)]
    failed: bool,

    #[command(flatten)]
    options: EventOptions,
}

const COLUMNS: &[Column<types::event>] = &[
    Column::TIME.shown(Shown::WithTime),
    Column::UID.shown(Shown::WithUid),
    Column::COMM,
    Column::PID,
    Column::PPID,
    Column::TID,
    Column::new("RET", "ret", 3, |r| Value::Ret(r.event.ret.into())),
    Column::key("errno", |r| Value::Errno(r.event.ret.into())),
    Column::key("path", |r| Value::Text(decode::c_str(r.tail))),
    Column::new("ARGS", "args", 0, args),
    Column::key("args_bytes", |r| match r.event.args_bytes {
        u32::MAX => Value::None,
        bytes => Value::Uint(bytes.into()),
    }),
];

const SUCCESSES: Probe = Probe::new("on_exec", At::Declared);
const EXECS: &[Hook] = &[Hook { name: "tp_btf sched_process_exec", probes: &[SUCCESSES] }];
const EXECS_AND_FAILURES: &[Hook] = &[Hook {
    name: "tp_btf sched_process_exec, tracepoints sys_exit_execve and sys_exit_execveat",
    probes: &[
        SUCCESSES,
        Probe::new("on_execve_exit", At::Tracepoint("syscalls", "sys_exit_execve")),
        Probe::new("on_execveat_exit", At::Tracepoint("syscalls", "sys_exit_execveat")),
    ],
}];

impl Tool for Execsnoop {
    const NAME: &'static str = "execsnoop";
    const ABOUT: &'static str = "Show programs that start";
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-x -T", "failed attempts too, with the time"),
        ("-u www-data", "what one user starts"),
        ("--count=comm -i 5", "how many starts in 5 seconds, by name"),
        ("--json -- make", "what a build starts, as JSON Lines"),
    ];

    fn run(self) -> Result<()> {
        let tracefs: &[_] = if self.failed { privileges::TRACEFS } else { &[] };
        let session = Session::start(Self::NAME, &self.options, &[privileges::BPF, tracefs])?;
        let mut storage = MaybeUninit::uninit();
        let mut open = session.open(ExecsnoopSkelBuilder::default(), &mut storage)?;
        open.progs.on_execve_exit.set_autoload(self.failed);
        open.progs.on_execveat_exit.set_autoload(self.failed);
        let skel = session.load(open)?;
        let object = libbpf_rs::skel::Skel::object(&skel);
        let hooks = if self.failed { EXECS_AND_FAILURES } else { EXECS };
        let links = session.attach(object, hooks)?;
        session.run(object, links, COLUMNS)
    }
}

fn args<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    let args = record.tail.get(record.event.path_len as usize..).unwrap_or_default();
    let missing = record.event.args_bytes as usize != args.len();
    let args = decode::Args::new(args, record.event.unreadable);
    match record.event.ret {
        0 => Value::Args(args, missing),
        // A shell's search along $PATH: which file it was.
        _ => Value::Args(args.shown_as(decode::c_str(record.tail)), missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Header;
    use crate::render::{Clock, table};

    fn line(args_bytes: u32, tail: &[u8]) -> String {
        let header = Header { pid: 2, ppid: 1, ..Header::default() };
        let event = types::event { path_len: 3, args_bytes, ..types::event::default() };
        let record = Record { header: &header, event: &event, tail };
        table::row(COLUMNS, table::Extra::default(), Clock::new(0), &record)
    }

    #[test]
    fn arguments_that_are_missing_are_marked() {
        let whole = line(7, b"/a\0a\0b c\0x");
        assert!(whole.ends_with(" 0   a 'b c' x\n"), "{whole}");
        assert!(line(9, b"/a\0a\0b").ends_with(" a b[...]\n"));
        assert!(line(9, b"/a\0").ends_with(" [...]\n"));
        assert!(line(0, b"/a\0").ends_with(" 0   \n"));
    }

    #[test]
    fn a_failure_shows_the_file() {
        let header = Header::default();
        let event = types::event { ret: -2, path_len: 3, args_bytes: 4, ..types::event::default() };
        let show = |tail| {
            let record = Record { header: &header, event: &event, tail };
            table::row(COLUMNS, table::Extra::default(), Clock::new(0), &record)
        };
        assert!(show(b"/a\0a\0b\0").ends_with(" ENOENT /a b\n"));
        assert!(show(b"/a\0").ends_with(" ENOENT /a[...]\n"));
    }
}
