//! syscount: how many system calls, of which kind, by whom, how long.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::ValueEnum;
use libbpf_rs::{MapCore as _, MapFlags, Object};

use super::prelude::*;
use crate::bpf::object;
use crate::bpf::programs::syscount as programs;
use crate::bpf::syscount::{SyscountSkelBuilder, types};
use crate::error::Context as _;
use crate::output::hist::Histogram;
use crate::record::{self, Header, Record};
use crate::run::options;
use crate::run::summary::{Sum, Summary};
use crate::run::tables::{self, Tables};
use crate::run::task_key::{self, OF_TASKS, OfTasks, TaskField, TaskKey, TaskKeys};
use crate::system::{kernel, syscalls};

/// Count system calls: which, whose, how many fail, how long they take
#[derive(Args, Debug)]
pub(crate) struct Syscount {
    /// Count per process, not per system call
    #[arg(short = 'P', long, conflicts_with = "by")]
    process: bool,

    /// Count by this, or by several fields, like comm,syscall,errno
    #[arg(
        long,
        value_name = "FIELD",
        value_delimiter = ',',
        default_value = "syscall",
        default_value_if("process", "true", "pid"),
        hide_default_value = true
    )]
    by: Vec<By>,

    /// Measure how long calls take, too
    #[arg(short = 'L', long)]
    latency: bool,

    /// With -L: only calls of at least MS milliseconds, or a time like 2s
    #[arg(long, value_name = "MS", default_value = "0", value_parser = options::milliseconds, requires = "latency")]
    slower: u64,

    /// Only this system call, by name or number; --list names them
    #[arg(long, value_name = "CALL", value_parser = syscalls::numbers)]
    syscall: Option<syscalls::Numbers>,

    /// Print the names of the system calls that are known, and do nothing else
    #[arg(short, long, exclusive = true)]
    list: bool,

    /// Only calls that failed
    #[arg(short = 'x', long, alias = "failures")]
    failed: bool,

    /// Only calls that failed with this error, like ENOENT or 2
    #[arg(short, long, value_name = "ERRNO", value_parser = errno)]
    errno: Option<u16>,

    /// Show the top N by count, or by time with -L
    #[arg(short = 'T', long, value_name = "N")]
    top: Option<NonZeroUsize>,

    #[command(flatten)]
    options: IntervalOptions,
}

/// What calls are counted by.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum By {
    Syscall,
    Errno,
    Pid,
    Uid,
    Comm,
    Cgroup,
    Container,
}

impl By {
    /// What of the task it is, if it is that; or else what the kernel side calls it.
    fn field(self) -> std::result::Result<TaskField, types::by> {
        match self {
            By::Syscall => Err(types::by::BY_CALL),
            By::Errno => Err(types::by::BY_ERRNO),
            By::Pid => Ok(TaskField::Pid),
            By::Uid => Ok(TaskField::Uid),
            By::Comm => Ok(TaskField::Comm),
            By::Cgroup => Ok(TaskField::Cgroup),
            By::Container => Ok(TaskField::Container),
        }
    }
}

/// The sum of all CPUs for calls that have something in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    common: Common,
    count: u64,
    errors: u64,
    total_ns: u64,
    histogram: Histogram,
    by_time: bool,
    /// Of the interval.
    length: Duration,
}

/// What that is: `None` where they are not counted by it.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Common {
    task: TaskKey,
    /// Its number, and whether it is that of a 32-bit program.
    call: Option<(u64, bool)>,
    /// 0 for calls that did not fail.
    errno: Option<u32>,
}

impl record::Row for Row {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let (key, value) = tables::entry_of::<types::call_key, types::call_value>(bytes);
        let mut common = Commons::by(By::value_variants());
        let mut row = Self { common: common.of(&key), ..Self::default() };
        row.add_times(&value);
        show(&Record::of(&Header::default(), &row));
    }
}

impl OfTasks for Row {
    fn task(&self) -> &TaskKey {
        &self.common.task
    }
}

impl Sum for Row {
    type Id = Common;

    fn id(&self) -> Common {
        self.common.clone()
    }

    fn weight(&self) -> u64 {
        if self.by_time { self.total_ns } else { self.count }
    }

    fn events(&self) -> u64 {
        self.count
    }
}

impl Row {
    /// The same, of other calls.
    fn of(&self, common: Common) -> Self {
        Self { common, ..self.clone() }
    }

    fn add(&mut self, calls: types::call_count) {
        self.count += calls.count;
        self.errors += calls.errors;
    }

    fn add_times(&mut self, value: &types::call_value) {
        self.add(value.calls);
        self.total_ns += value.total_ns;
        let times = &value.histogram;
        self.histogram.add(&times.slots, times.min, times.max);
    }

    fn percentile(&self, percent: u64) -> Value<'static> {
        self.histogram.percentile(percent).map_or(Value::None, Value::Duration)
    }
}

/// Makes what calls have in common of the keys of the kernel side.
struct Commons {
    tasks: TaskKeys,
    by_call: bool,
    by_errno: bool,
}

impl Commons {
    fn by(by: &[By]) -> Self {
        let tasks = TaskKeys::by(by.iter().filter_map(|by| by.field().ok()));
        Self { tasks, by_call: by.contains(&By::Syscall), by_errno: by.contains(&By::Errno) }
    }

    fn of(&mut self, key: &types::call_key) -> Common {
        let call = self.by_call.then(|| call_of(key.slot));
        Common { task: self.tasks.key(&key.task), call, errno: self.by_errno.then_some(key.errno) }
    }
}

/// The system call that a slot is for: those of 32-bit callers come after the others.
fn call_of(slot: u32) -> (u64, bool) {
    let half = types::calls::CALLS_MAX.0;
    (u64::from(slot % half), slot >= half)
}

/// By system call alone.
fn of_slot(slot: u32) -> Common {
    Common { call: Some(call_of(slot)), ..Common::default() }
}

type Col = Column<Row>;

/// Stands for all numbers that no call has.
const CALLS_UNKNOWN: u64 = types::calls::CALLS_UNKNOWN.0 as u64;

/// Every system call's end sees all of them, 32-bit calls too.
const EXIT: Probe = Probe::events(programs::ON_EXIT, Point::Declared);
const ENTER: Probe = Probe::events(programs::ON_ENTER, Point::Declared);
const THREAD_END: Probe = Probe::clears_up(programs::ON_THREAD_END);
const THREAD_EXEC: Probe = Probe::events(programs::ON_THREAD_EXEC, Point::Declared);
const CALLS: Hook = Hook { name: "tracepoint sys_exit", probes: &[EXIT] };
const CALLS_AND_TIMES: Hook =
    Hook { name: "tracepoint sys_enter and sys_exit", probes: &[EXIT, ENTER] };
/// The same without task storage: threads have to leave the table when they end.
const CALLS_AND_TIMES_IN_TABLE: Hook =
    Hook { name: CALLS_AND_TIMES.name, probes: &[EXIT, ENTER, THREAD_END, THREAD_EXEC] };

impl Tool for Syscount {
    type Row = Row;
    const ROWS: Rows = Rows::Intervals;
    const ANYWAY: &'static [(&'static str, char)] = &[("milliseconds", 'm')];
    const LETTERS: &'static [(&'static str, char)] = &[("tid", 't')];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-T 10", "the ten most frequent calls, every second"),
        ("-P -i 5", "which processes make the most, every 5 seconds"),
        ("-L -p 1234", "how long one process's calls take"),
        ("-x --by comm,syscall,errno", "who fails at what, and why"),
    ];
    const TASK: &'static [Col] = &task_key::columns(OF_TASKS.0, OF_TASKS.1);
    const COLUMNS: &'static [Col] = &[
        Col::word("SYSCALL", "syscall", 20, "the system call", |r| match r.event.common.call {
            None => Value::None,
            Some((CALLS_UNKNOWN, _)) => Value::Word("[unknown]"),
            Some((number, compat)) => {
                syscalls::name(number, compat).map_or(Value::Uint(number), Value::Word)
            }
        })
        .or(Kind::Uint)
        .hidden()
        .with(&["--by=syscall"]),
        Col::uint("ABI", "abi", 3, "32 for a call of a 32-bit program", |r| {
            match r.event.common.call {
                Some((_, true)) => Value::Uint(32),
                _ => Value::None,
            }
        })
        .hidden()
        .with(&["--by=syscall"]),
        Col::errno("ERR", "errno", 12, "the name of the error", |r| match r.event.common.errno {
            None => Value::None,
            Some(number) => Value::Errno(-i64::from(number)),
        })
        .hidden()
        .with(&["--by=errno"]),
        Col::uint(
            "COUNT",
            "count",
            10,
            "how many calls ended; exit, exit_group and rt_sigreturn do not end as calls",
            |r| Value::Uint(r.event.count),
        )
        .sum(),
        Col::float("PER_S", "per_second", 10, "how many in a second", |r| {
            Value::Float(r.event.count as f64 / r.event.length.as_secs_f64())
        }),
        Col::uint("ERRORS", "errors", 8, "how many failed", |r| Value::Uint(r.event.errors)).sum(),
        Col::float("ERR%", "error_percent", 5, "how many of a hundred failed", |r| {
            Value::Float(100.0 * r.event.errors as f64 / r.event.count.max(1) as f64)
        }),
        Col::duration("TOTAL", "total_ns", 9, "the time that all took together", |r| {
            Value::Duration(r.event.total_ns)
        })
        .sum()
        .hidden()
        .with(&["--latency"]),
        Col::duration("MEAN", "mean_ns", 9, "the mean", |r| {
            Value::Duration(r.event.total_ns / r.event.count.max(1))
        })
        .hidden()
        .with(&["--latency"]),
        Col::duration("P50", "p50_ns", 9, "half of them took no longer, to within 5 %", |r| {
            r.event.percentile(50)
        })
        .hidden()
        .with(&["--latency"]),
        Col::duration("P99", "p99_ns", 9, "99 of a hundred took no longer, to within 5 %", |r| {
            r.event.percentile(99)
        })
        .hidden()
        .with(&["--latency"]),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        if self.list {
            // A reader that has had enough is no failure.
            let _ = io::stdout().write_all(syscalls::list().as_bytes());
            return Ok(());
        }
        let session = Session::start_intervals(host, &self.options, Some(Duration::from_secs(1)))?;
        let mut commons = Commons::by(&self.by);
        let session = session.keeping(commons.tasks.needs());
        let stores = kernel::has_task_storage();
        let options = LoadOptions { without: self.unused_maps(stores), ..LoadOptions::default() };
        let mut storage = Storage::new();
        let hook = match (self.latency, stores) {
            (false, _) => CALLS,
            (true, true) => CALLS_AND_TIMES,
            (true, false) => CALLS_AND_TIMES_IN_TABLE,
        };
        let by = self.by.iter().filter_map(|by| by.field().err());
        let by = by.fold(commons.tasks.bits(), |bits, by| bits | by.0);
        let (skel, attached) =
            session.attach::<SyscountSkelBuilder>(&mut storage, options, &[&hook], |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.count_by = by;
                    constants.with_latency = self.latency.into();
                    constants.with_task_storage = stores.into();
                    constants.only_failed = self.failed.into();
                    constants.slower_ns = self.slower;
                    constants.only_errno = self.errno.unwrap_or(0);
                    if let Some(numbers) = self.syscall {
                        constants.only_call = in_kernel(numbers.own);
                        constants.only_call_32 = in_kernel(numbers.compat);
                    }
                }
            })?;
        let mut source = self.source(skel.object())?;
        session.run_summary(skel.object(), attached, columns, |rows, length| {
            rows.cut_to(self.top.map_or(usize::MAX, NonZeroUsize::get));
            let none = Row { by_time: self.latency, length, ..Row::default() };
            source.read(rows, &none, &mut commons)
        })
    }
}

impl Syscount {
    /// Where the kernel side counts.
    fn source<'o>(&self, object: &'o Object) -> Result<Source<'o>> {
        Ok(match self.table() {
            "calls" => Source::Array(Counts::of(object)?),
            "time_table" => Source::Times(Tables::of(object, "time_table")?),
            "call_time_table" => Source::CallTimes(Tables::of(object, "call_time_table")?),
            _ => Source::Calls(Tables::of(object, "call_table")?),
        })
    }

    fn table(&self) -> &'static str {
        match (&self.by[..], self.latency) {
            ([By::Syscall], false) => "calls",
            ([By::Syscall], true) => "time_table",
            (_, true) => "call_time_table",
            (_, false) => "call_table",
        }
    }

    /// Maps that are not needed.
    fn unused_maps(&self, stores: bool) -> Vec<&'static str> {
        let starts = match (self.latency, stores) {
            (false, _) => "",
            (true, true) => "stored_starts",
            (true, false) => "starts",
        };
        let used = [self.table(), starts];
        let maps = MAPS.iter().filter(|(map, _)| !used.contains(map));
        maps.flat_map(|(_, maps)| *maps).copied().collect()
    }
}

/// Maps, and what goes with each.
const MAPS: &[(&str, &[&str])] = &[
    ("calls", &["calls"]),
    ("call_table", &["call_table", "call_table_a", "call_table_b"]),
    ("time_table", &["time_table", "time_table_a", "time_table_b"]),
    ("call_time_table", &["call_time_table", "call_time_table_a", "call_time_table_b"]),
    ("starts", &["starts"]),
    ("stored_starts", &["stored_starts"]),
];

/// Where the kernel side counts.
enum Source<'o> {
    Array(Counts<'o>),
    Times(Tables<'o, types::time_key, types::call_value>),
    Calls(Tables<'o, types::call_key, types::call_count>),
    CallTimes(Tables<'o, types::call_key, types::call_value>),
}

impl Source<'_> {
    /// What was counted since the last time, as far as it could be read. `none` is a row of it
    /// without anything counted.
    fn read(&mut self, rows: &mut Summary<Row>, none: &Row, commons: &mut Commons) -> Result<()> {
        match self {
            Self::Array(counts) => counts.read(rows, none),
            Self::Times(tables) => {
                tables.turn(|key, value| rows.row(none.of(of_slot(key.slot))).add_times(&value))
            }
            Self::Calls(tables) => {
                tables.turn(|key, value| rows.row(none.of(commons.of(&key))).add(value))
            }
            Self::CallTimes(tables) => {
                tables.turn(|key, value| rows.row(none.of(commons.of(&key))).add_times(&value))
            }
        }
    }
}

/// The quick way's counts, which go on and on.
struct Counts<'o> {
    map: libbpf_rs::Map<'o>,
    before: Vec<(u64, u64)>,
}

impl<'o> Counts<'o> {
    fn of(object: &'o Object) -> Result<Self> {
        let map = object::map(object, "calls")?;
        let before = vec![(0, 0); map.max_entries() as usize];
        Ok(Self { map, before })
    }

    fn read(&mut self, rows: &mut Summary<Row>, none: &Row) -> Result<()> {
        rows.is_not_counted();
        for (slot, before) in (0u32..).zip(&mut self.before) {
            let now = sum_of_cpus(&self.map, slot)?;
            if now.0 > before.0 {
                let row = rows.row(none.of(of_slot(slot)));
                row.count = now.0 - before.0;
                // An error may be counted a moment after its call.
                row.errors = now.1.saturating_sub(before.1);
                *before = now;
            }
        }
        Ok(())
    }
}

/// Calls and errors.
fn sum_of_cpus(map: &libbpf_rs::Map<'_>, slot: u32) -> Result<(u64, u64)> {
    let key = slot.to_ne_bytes();
    let cpus = map.lookup_percpu(&key, MapFlags::ANY).doing("reading counts")?;
    let cpus = cpus.iter().flatten().map(|cpu| tables::typed::<types::call_count>(cpu));
    Ok(cpus.fold((0, 0), |sum, cpu| (sum.0 + cpu.count, sum.1 + cpu.errors)))
}

/// A call's number, or what stands for none.
fn in_kernel(number: Option<u64>) -> i32 {
    number.and_then(|number| number.try_into().ok()).unwrap_or(types::no_call::CALL_NONE.0)
}

fn errno(text: &str) -> std::result::Result<u16, String> {
    if let Ok(number @ 1..512) = text.parse::<u16>() {
        return Ok(number);
    }
    // Errors that have two names.
    let upper = match text.to_uppercase().as_str() {
        "EWOULDBLOCK" => "EAGAIN".to_string(),
        "ENOTSUP" => "EOPNOTSUPP".to_string(),
        "EDEADLOCK" => "EDEADLK".to_string(),
        upper => upper.to_string(),
    };
    let known = |number: &u16| record::errno_name(-i64::from(*number)) == Some(upper.as_str());
    (1..512).find(known).ok_or_else(|| {
        let like = (1..512).filter_map(|number| record::errno_name(-number));
        let like = like.filter(|name| name.starts_with(upper.get(..3).unwrap_or("E")));
        let like = like.take(8).collect::<Vec<_>>();
        match like[..] {
            [] => "there is no such error".to_string(),
            _ => format!("there is no such error; there are {}", like.join(", ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn reads_errors() {
        assert_eq!(errno("ENOENT"), Ok(2));
        assert_eq!(errno("eagain"), Ok(Errno::EAGAIN as u16));
        assert_eq!(errno("13"), Ok(13));
        assert_eq!(errno("EWOULDBLOCK"), errno("EAGAIN"));
        assert!(errno("ENONSENSE").unwrap_err().contains("ENO"));
        assert!(errno("x").is_err());
    }
}
