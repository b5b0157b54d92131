//! execsnoop: programs that start.

use std::ffi::OsString;

use super::prelude::*;
use crate::bpf::execsnoop::{ExecsnoopSkelBuilder, types};
use crate::bpf::programs::execsnoop::{ON_EXEC, ON_EXEC_FAILED, ON_PREPARE_EXEC};
use crate::bpf::shared::types::{collect, path_state};
use crate::error::Error;
use crate::output::values::{self, Ancestors, Place};
use crate::record::{self, Record};
use crate::run::options;
use crate::run::session;
use crate::run::stream::LEAST_TAIL;
use crate::system::kernel;

/// Show programs that start
#[derive(Args, Debug)]
pub(crate) struct Execsnoop {
    /// Show failed attempts too, with the error
    #[arg(short = 'x', long, alias = "fails")]
    failed: bool,

    /// Only programs with this text in their arguments, which are put together with blanks
    #[arg(short, long, value_name = "TEXT", conflicts_with = "count")]
    line: Option<OsString>,

    /// Show the chain of ancestors
    #[arg(long)]
    ancestry: bool,

    /// Show at most this many bytes of a program's arguments: 64K by default, up to 2M
    #[arg(long, value_name = "SIZE", value_parser = options::size)]
    max_args_bytes: Option<u32>,

    #[command(flatten)]
    options: EventOptions,
}

type Col = Column<types::event>;

/// What is shown of a program's arguments unless `--max-args-bytes` says otherwise.
const ARGS_BYTES: u32 = 64 << 10;
/// A quarter of the largest stack that is usual: `ARG_MAX` in bprm_stack_limits of fs/exec.c.
const MAX_ARGS_BYTES: u32 = 2 << 20;

/// Successes, and the end of every system call to see failures: each in one place for all calls.
const SUCCESSES: Probe = Probe::events(ON_EXEC, Point::Declared);
const FAILURES: Probe = Probe::events(ON_EXEC_FAILED, Point::Declared);
/// Where programs are perf's, what the tracepoint of a success does not tell them.
const PREPARED: Probe = Probe::events(ON_PREPARE_EXEC, Point::Declared);
const PREPARED_MAP: &str = "interpreted";

impl Tool for Execsnoop {
    type Row = types::event;
    const ANYWAY: &'static [(&'static str, char)] = &[("quote", 'q')];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-x -T", "failed attempts too, with the time"),
        ("-u www-data --ancestry", "what one user starts, and from where"),
        ("--count=comm -i 5", "how many starts in 5 seconds, by name"),
        ("--json -- make", "what a build starts, as JSON Lines"),
    ];
    const TASK: &'static [Col] = &Task { ppid: Col::PPID, ..Task::COMM_FIRST }.columns();
    const COLUMNS: &'static [Col] = &[
        Col::ret("RET", "ret", 3, "0, or for a failed attempt -errno", |r| {
            Value::Ret(r.event.ret.into())
        }),
        Col::errno("ERRNO", "errno", 7, "the name of the error", |r| {
            Value::Errno(r.event.ret.into())
        })
        .json_only(),
        Col::text("FILE", "path", 20, "the file that was asked for", |r| {
            Value::readable(Tail::of(r).path)
        })
        .or(Kind::Unreadable)
        .json_only(),
        Col::text(
            "INTERPRETER",
            "interpreter",
            20,
            "for a script, the program that runs it",
            |r| match Tail::of(r).interp {
                [] => Value::None,
                path => Value::Text(path),
            },
        )
        .json_only(),
        Col::path("EXE", "exe", 20, "the executable that runs, links resolved", |r| {
            let tail = Tail::of(r);
            match path_state(r.event.exe_state) {
                path_state::PATH_NONE => Value::None,
                state => Value::Path(Place::new(tail.exe, state.0, b"")),
            }
        })
        .json_only()
        .collect(collect::COLLECT_EXE),
        Col::path("CWD", "cwd", 20, "the working directory", |r| {
            match path_state(r.event.cwd_state) {
                path_state::PATH_NONE => Value::None,
                state => Value::Path(Place::new(Tail::of(r).cwd, state.0, b"")),
            }
        })
        .json_only()
        .collect(collect::COLLECT_CWD),
        Col::ancestors("ANCESTORS", "ancestors", 32, "who started it, from the parent up", |r| {
            Value::Ancestors(Ancestors::new(Tail::of(r).ancestors))
        })
        .hidden()
        .added_by("--ancestry")
        .collect(collect::COLLECT_ANCESTRY),
        Col::text(
            "ARGV0",
            "argv0",
            16,
            "the first argument, which a program may take for its name",
            |r| match values::Args::new(Tail::of(r).args, r.event.unreadable).next().flatten() {
                Some(name) => Value::Text(name),
                None => Value::None,
            },
        )
        .user()
        .hidden(),
        Col::args(
            "ARGS",
            "args",
            0,
            "the arguments, quoted as for a shell; [...] where some are missing",
            args,
        )
        .user(),
        Col::uint(
            "ARGSBYTES",
            "args_bytes",
            9,
            "the bytes that all arguments have, each with a NUL",
            |r| match r.event.args_bytes {
                u32::MAX => Value::None,
                bytes => Value::Uint(bytes.into()),
            },
        )
        .json_only(),
        Col::process_start(|r| Value::Uint(r.event.process_start_ns)),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let max_tail = self.max_tail()?;
        if let Some(text) = &self.line {
            session::say_if_pattern(host, "-l", text);
        }
        let session = Session::start(host, &self.options)?;
        let without = if kernel::preempts_tracepoints() { vec![] } else { vec![PREPARED_MAP] };
        let options = LoadOptions { max_tail, without, ..LoadOptions::from(columns) };
        let mut storage = Storage::new();
        let probes = self.probes();
        let hook = Hook { name: self.hook_name(), probes: &probes };
        let (skel, attached) =
            session.attach::<ExecsnoopSkelBuilder>(&mut storage, options, &[&hook], |_| {})?;
        session.run(skel.object(), attached, columns, |record| self.is_line_wanted(record))
    }
}

impl Execsnoop {
    fn hook_name(&self) -> &'static str {
        match self.failed {
            false => "tracepoint sched_process_exec",
            true => "tracepoint sched_process_exec and sys_exit",
        }
    }

    fn probes(&self) -> Vec<Probe<'static>> {
        let prepared = kernel::preempts_tracepoints().then_some(PREPARED);
        let failures = self.failed.then_some(FAILURES);
        prepared.into_iter().chain([SUCCESSES]).chain(failures).collect()
    }

    fn is_line_wanted(&self, record: &Record<'_, types::event>) -> bool {
        let Some(wanted) = &self.line else { return true };
        let line = Tail::of(record).args.iter().map(|&byte| if byte == 0 { b' ' } else { byte });
        let (line, wanted) = (line.collect::<Vec<_>>(), wanted.as_encoded_bytes());
        wanted.is_empty() || line.windows(wanted.len()).any(|part| part == wanted)
    }

    /// A record must fit the buffer, and another one beside it.
    fn max_tail(&self) -> Result<u32> {
        let room = self.options.buffer / 2;
        let Some(wanted) = self.max_args_bytes else {
            return Ok(ARGS_BYTES.min(room).max(LEAST_TAIL));
        };
        if wanted > MAX_ARGS_BYTES {
            return Err(Error::usage("--max-args-bytes", "2M is the most that a program can get"));
        }
        if wanted > room {
            return Err(Error::usage("--max-args-bytes", "the buffer must be twice as large")
                .hint(format!("--buffer {}K", wanted >> 9)));
        }
        Ok(wanted)
    }
}

/// The pieces of a record's tail.
struct Tail<'a> {
    /// `None`: it could not be read.
    path: Option<&'a [u8]>,
    interp: &'a [u8],
    exe: &'a [u8],
    cwd: &'a [u8],
    ancestors: &'a [u8],
    args: &'a [u8],
}

impl<'a> Tail<'a> {
    fn of(record: &Record<'a, types::event>) -> Self {
        let event = record.event;
        let rest = &mut record.tail.get(..).unwrap_or_default();
        let mut next = |len| Record::<types::event>::piece(rest, len);
        Self {
            path: Some(next(event.path_len)).filter(|path| !path.is_empty()).map(record::c_str),
            interp: record::c_str(next(event.interp_len)),
            exe: next(event.exe_len),
            cwd: next(event.cwd_len),
            ancestors: next(event.ancestors.saturating_mul(Ancestors::LEN)),
            args: next(event.args_bytes),
        }
    }
}

fn args<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    let tail = Tail::of(record);
    let missing = record.event.args_bytes as usize != tail.args.len();
    let args = values::Args::new(tail.args, record.event.unreadable);
    match record.event.ret {
        0 => Value::Args(args, missing),
        // A shell's search along $PATH: which file it was.
        _ => Value::Args(args.shown_as(tail.path), missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Clock, Lines, Screen, fields};
    use crate::record::Header;
    use crate::tool;

    fn line(event: types::event, tail: &[u8]) -> String {
        let header = Header { pid: 2, ppid: 1, ..Header::default() };
        let record = Record { tail, ..Record::of(&header, &event) };
        let columns =
            fields::choose(&tool::columns::<Execsnoop>(|_| false), false, &[], |_| false).unwrap();
        let mut line = Vec::new();
        Lines::table(&columns).row(&mut line, &Clock::new(0), Screen::default(), None, &record);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn arguments_that_are_missing_are_marked() {
        let event = |args_bytes| types::event { path_len: 3, args_bytes, ..Default::default() };
        let whole = line(event(7), b"/a\0a\0b c\0x");
        assert!(whole.ends_with(" 0   a 'b c' x\n"), "{whole}");
        assert!(line(event(9), b"/a\0a\0b").ends_with(" a b[...]\n"));
        assert!(line(event(9), b"/a\0").ends_with(" [...]\n"));
        assert!(line(event(0), b"/a\0").ends_with(" 0   \n"));
    }

    #[test]
    fn a_failure_shows_the_file() {
        let event = types::event { ret: -2, path_len: 3, args_bytes: 4, ..Default::default() };
        assert!(line(event, b"/a\0a\0b\0").ends_with(" ENOENT /a b\n"));
        assert!(line(event, b"/a\0").ends_with(" ENOENT /a[...]\n"));
        let event = types::event { ret: -14, path_len: 0, args_bytes: 4, ..Default::default() };
        assert!(line(event, b"a\0b\0").ends_with(" EFAULT [?] b\n"));
        let event = types::event { ret: -2, path_len: 1, args_bytes: 2, ..Default::default() };
        assert!(line(event, b"\0a\0").ends_with(" ENOENT ''\n"));
    }

    #[test]
    fn a_tail_of_any_length_has_all_its_pieces() {
        let event = types::event { path_len: 9, interp_len: 9, cwd_len: 9, ..Default::default() };
        for len in 0..40 {
            assert!(line(event, &vec![b'x'; len]).ends_with('\n'));
        }
    }
}
