//! syscount: how many system calls, of which kind, by whom, how long.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::ValueEnum;
use libbpf_rs::{MapCore as _, MapFlags, Object};

use super::prelude::*;
use crate::bpf::object;
use crate::bpf::programs::syscount as programs;
use crate::bpf::syscount::{SyscountSkelBuilder, types};
use crate::error::Context as _;
use crate::filter::cgroups::Cgroups;
use crate::output::hist::Histogram;
use crate::record::{self, Header, Record};
use crate::run::capabilities::Need;
use crate::run::summary::{Sum, Summary};
use crate::run::tables::{self, Tables};
use crate::system::{kernel, syscalls};

/// Count system calls: which, whose, how many fail, how long they take
#[derive(Args, Debug)]
pub(crate) struct Syscount {
    /// Count per process, not per system call
    #[arg(short = 'P', long, conflicts_with = "by")]
    process: bool,

    /// Count by this, not by system call
    #[arg(
        long,
        value_name = "FIELD",
        default_value = "syscall",
        default_value_if("process", "true", "pid"),
        hide_default_value = true
    )]
    by: By,

    /// Measure how long calls take, too
    #[arg(short = 'L', long)]
    latency: bool,

    /// Only calls that failed
    #[arg(short = 'x', long)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
enum By {
    #[default]
    Syscall,
    Pid,
    Uid,
    Comm,
    Cgroup,
}

impl By {
    fn in_kernel(self) -> types::by {
        match self {
            By::Syscall => types::by::BY_CALL,
            By::Pid => types::by::BY_PID,
            By::Uid => types::by::BY_UID,
            By::Comm => types::by::BY_COMM,
            By::Cgroup => types::by::BY_CGROUP,
        }
    }
}

/// The sum of all CPUs for one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    by: By,
    number: u64,
    comm: [u8; 16],
    /// Of the cgroup, with `--by cgroup`.
    path: Vec<u8>,
    compat: bool,
    count: u64,
    errors: u64,
    total_ns: u64,
    histogram: Histogram,
    by_time: bool,
    /// Of the interval.
    length: Duration,
}

impl record::Row for Row {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let (key, value) = tables::entry_of::<types::call_key, _>(bytes);
        for &by in By::value_variants() {
            let (number, comm, compat) = (key.number, key.comm, key.cpu & 1 != 0);
            let mut row = Self { by, number, comm, compat, ..Self::default() };
            row.add(&value);
            show(&Record::of(&Header::default(), &row));
        }
    }
}

impl Sum for Row {
    type Id = (u64, [u8; 16], bool);

    fn id(&self) -> Self::Id {
        (self.number, self.comm, self.compat)
    }

    fn weight(&self) -> u64 {
        if self.by_time { self.total_ns } else { self.count }
    }

    fn events(&self) -> u64 {
        self.count
    }
}

impl Row {
    /// The same, of the system call that a slot is for: those of 32-bit callers come after the others.
    fn of_slot(&self, slot: u32) -> Self {
        let half = types::calls::CALLS_MAX.0;
        Self { number: u64::from(slot % half), compat: slot >= half, ..self.clone() }
    }

    fn add(&mut self, value: &types::call_value) {
        self.count += value.count;
        self.errors += value.errors;
        self.total_ns += value.total_ns;
        let times = &value.histogram;
        self.histogram.add(&times.slots, times.min, times.max);
    }

    /// The number, if that is what was counted by.
    fn number_of(&self, by: By) -> Value<'static> {
        if self.by == by { Value::Uint(self.number) } else { Value::None }
    }

    fn percentile(&self, percent: u64) -> Value<'static> {
        self.histogram.percentile(percent).map_or(Value::None, Value::Duration)
    }
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
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-T 10", "the ten most frequent calls, every second"),
        ("-P -i 5", "which processes make the most, every 5 seconds"),
        ("-L -p 1234", "how long one process's calls take"),
        ("-e EAGAIN --by comm", "whose calls find nothing"),
    ];
    const COLUMNS: &'static [Col] = &[
        Col::TIME,
        Col::word("SYSCALL", "syscall", 20, "the system call", |r| {
            match syscalls::name(r.event.number, r.event.compat) {
                _ if r.event.by != By::Syscall => Value::None,
                _ if r.event.number == CALLS_UNKNOWN => Value::Word("[unknown]"),
                Some(name) => Value::Word(name),
                None => Value::Uint(r.event.number),
            }
        })
        .or(Kind::Uint)
        .hidden()
        .with(&["--by=syscall"]),
        Col::uint("ABI", "abi", 3, "32 for a call of a 32-bit program", |r| match r.event.compat {
            true => Value::Uint(32),
            false => Value::None,
        })
        .hidden()
        .with(&["--by=syscall"]),
        Col::uint("PID", "pid", 7, "the process", |r| r.event.number_of(By::Pid))
            .hidden()
            .with(&["--by=pid"]),
        Col::uint("UID", "uid", 6, "the user's number", |r| r.event.number_of(By::Uid))
            .hidden()
            .with(&["--by=uid"]),
        Col::text("CGROUP", "cgroup_path", 28, "the path of the cgroup (v2)", |r| {
            match (r.event.by, &r.event.path[..]) {
                (By::Cgroup, b"") => Value::Unreadable,
                (By::Cgroup, path) => Value::Text(path),
                _ => Value::None,
            }
        })
        .or(Kind::Unreadable)
        .hidden()
        .with(&["--by=cgroup"]),
        Col::uint("CGROUP_ID", "cgroup", 9, "its number", |r| r.event.number_of(By::Cgroup))
            .hidden()
            .with(&["--by=cgroup"]),
        Col::text("COMM", "comm", 16, "the name of the thread; with -P of the process", |r| {
            match record::c_str(&r.event.comm) {
                b"" => Value::None,
                comm => Value::Text(comm),
            }
        })
        .hidden()
        .with(&["--by=pid", "--by=comm"]),
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
        let by = self.by;
        let session = Session::start_intervals(host, &self.options, Some(Duration::from_secs(1)))?;
        let keeps: &[_] = if by == By::Cgroup { &[Need::Cgroups] } else { &[] };
        let session = session.keeping(keeps);
        let quick = by == By::Syscall && !self.latency;
        let stores = kernel::has_task_storage();
        let options = LoadOptions { without: self.unused_maps(stores), ..LoadOptions::default() };
        let mut storage = Storage::new();
        let hook = match (self.latency, stores) {
            (false, _) => CALLS,
            (true, true) => CALLS_AND_TIMES,
            (true, false) => CALLS_AND_TIMES_IN_TABLE,
        };
        let (skel, attached) =
            session.attach::<SyscountSkelBuilder>(&mut storage, options, &[&hook], |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.count_by = u8::try_from(by.in_kernel().0).unwrap_or(0);
                    constants.with_latency = self.latency.into();
                    constants.with_task_storage = stores.into();
                    constants.only_failed = self.failed.into();
                    constants.only_errno = self.errno.unwrap_or(0);
                }
            })?;
        let mut source = match by {
            By::Syscall if quick => Source::Array(Counts::of(skel.object())?),
            By::Syscall => Source::Times(Tables::of(skel.object(), "time_table")?),
            _ => Source::Tables(Tables::of(skel.object(), "call_table")?),
        };
        let mut cgroups = if by == By::Cgroup { Cgroups::find() } else { Cgroups::default() };
        session.run_summary(skel.object(), attached, columns, |rows, length| {
            rows.cut_to(self.top.map_or(usize::MAX, NonZeroUsize::get));
            let none = Row { by, by_time: self.latency, length, ..Row::default() };
            source.read(rows, &none, &mut cgroups)
        })
    }
}

impl Syscount {
    /// Maps that are not needed.
    fn unused_maps(&self, stores: bool) -> Vec<&'static str> {
        const CALLS: &[&str] = &["call_table", "call_table_a", "call_table_b"];
        const TIMES: &[&str] = &["time_table", "time_table_a", "time_table_b"];
        let by_call = self.by == By::Syscall;
        let unused: [(bool, &[&str]); 5] = [
            (!by_call || self.latency, &["calls"]),
            (by_call, CALLS),
            (!by_call || !self.latency, TIMES),
            (stores || !self.latency, &["starts"]),
            (!stores || !self.latency, &["stored_starts"]),
        ];
        unused.into_iter().filter(|(is, _)| *is).flat_map(|(_, maps)| maps).copied().collect()
    }
}

/// Where the kernel side counts.
enum Source<'o> {
    Array(Counts<'o>),
    Times(Tables<'o, types::time_key, types::call_value>),
    Tables(Tables<'o, types::call_key, types::call_value>),
}

impl Source<'_> {
    /// What was counted since the last time, as far as it could be read. `none` is a row of it
    /// without anything counted.
    fn read(&mut self, rows: &mut Summary<Row>, none: &Row, cgroups: &mut Cgroups) -> Result<()> {
        match self {
            Self::Array(counts) => counts.read(rows, none),
            Self::Times(tables) => {
                tables.turn(|key, value| rows.row(none.of_slot(key.slot)).add(&value))
            }
            Self::Tables(tables) => tables.turn(|key, value| {
                let (number, comm) = (key.number, key.comm);
                let path = cgroups.path(number).to_vec();
                rows.row(Row { number, comm, path, ..none.clone() }).add(&value);
            }),
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
                let row = rows.row(none.of_slot(slot));
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
