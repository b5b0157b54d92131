//! funclatency: how long functions take, of the kernel and of programs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use glob::Pattern;

use super::prelude::*;
use crate::attach::elf;
use crate::attach::libraries;
use crate::attach::points::UserFunctions;
use crate::bpf::funclatency::{FunclatencySkelBuilder, types};
use crate::bpf::programs::{Program, funclatency as programs};
use crate::error::Error;
use crate::output::hist::Histogram;
use crate::output::histogram;
use crate::output::values::duration_into;
use crate::record::{self, Header, Record};
use crate::run::capabilities::FUNCLATENCY_OF_PROGRAMS;
use crate::run::options;
use crate::run::summary::Sum;
use crate::run::tables::{self, Tables};
use crate::run::task_key::{
    self, FunctionField as By, OF_TASKS, OfTasks, TaskField, TaskKey, TaskKeys,
};
use crate::system::foreign::ForeignFile;
use crate::system::kernel::{self, Function};
use crate::system::names::{self, Wanted};

/// Show how long functions take, of the kernel and of programs
#[derive(Args, Debug)]
pub(crate) struct Funclatency {
    /// A function of the kernel, like vfs_read or 'vfs_*'; of a program, like ./app:func or
    /// bash:readline; of a library, like c:getaddrinfo; with -p, :func of what the process runs
    #[arg(value_name = "FUNCTION")]
    function: String,

    /// Group calls by this, or by several fields, like function,comm
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    by: Vec<By>,

    /// Only calls of at least MS milliseconds, or a time like 2s
    #[arg(long, value_name = "MS", default_value = "0", value_parser = options::milliseconds)]
    slower: u64,

    /// Sum up return values, such as bytes, instead of times
    #[arg(long)]
    ret: bool,

    /// Trace a program even if that will probably crash it
    #[arg(long)]
    force: bool,

    /// Use this hook for functions of the kernel, not the first that the kernel allows
    #[arg(long, value_name = "HOOK")]
    hook: Option<HookChoice>,

    #[command(flatten)]
    options: IntervalOptions,
}

/// How calls of the kernel's functions are seen.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum HookChoice {
    /// fentry and fexit: for up to 8 functions
    Fexit,
    /// kprobe.multi and kretprobe.multi
    KprobeMulti,
    /// A kprobe and a kretprobe for each function
    Kprobe,
}

macro_rules! pairs {
    ($($entry:ident $return:ident,)*) => { [$((programs::$entry, programs::$return)),*] };
}

/// The programs for fentry and fexit: a pair for each function.
const PAIRS: [(Program, Program); types::limits::PAIRS_MAX.0 as usize] = pairs!(
    ON_FENTRY_0 ON_RETURN_FEXIT_0,
    ON_FENTRY_1 ON_RETURN_FEXIT_1,
    ON_FENTRY_2 ON_RETURN_FEXIT_2,
    ON_FENTRY_3 ON_RETURN_FEXIT_3,
    ON_FENTRY_4 ON_RETURN_FEXIT_4,
    ON_FENTRY_5 ON_RETURN_FEXIT_5,
    ON_FENTRY_6 ON_RETURN_FEXIT_6,
    ON_FENTRY_7 ON_RETURN_FEXIT_7,
);

/// The most functions that a pattern may stand for.
const FUNCTIONS_MAX: usize = 1000;

/// Forgets the calls of threads that are gone.
const THREAD_END: Probe<'_> = Probe::clears_up(programs::ON_THREAD_END);

/// The sum of all CPUs.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    task: TaskKey,
    /// Its name, if calls are grouped by that.
    function: Option<String>,
    count: u64,
    total: u64,
    errors: u64,
    histogram: Histogram,
    /// Is it a time, or what was returned?
    is_time: bool,
}

impl record::Row for Row {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let (key, value) = tables::entry_of::<types::latency_key, _>(bytes);
        let function = Some(format!("f{}", key.function));
        let task = TaskKeys::by(TaskField::ALL);
        let mut row = Self::new({ task }.key(&key.task), function, bytes.len() % 2 == 0);
        row.add(&value);
        show(&Record::of(&Header::default(), &row));
    }
}

impl Sum for Row {
    type Id = (TaskKey, Option<String>);

    fn id(&self) -> Self::Id {
        (self.task.clone(), self.function.clone())
    }

    fn weight(&self) -> u64 {
        self.total
    }

    fn events(&self) -> u64 {
        self.count + self.errors
    }

    fn draw(&self, out: &mut Vec<u8>, width: Option<usize>) {
        histogram::draw(out, width, self.histogram.slots(), &|out, value| match self.is_time {
            true => duration_into(out, value),
            false => out.extend_from_slice(value.to_string().as_bytes()),
        });
    }
}

impl OfTasks for Row {
    fn task(&self) -> &TaskKey {
        &self.task
    }
}

impl Row {
    fn new(task: TaskKey, function: Option<String>, is_time: bool) -> Self {
        let (count, total, errors, histogram) = (0, 0, 0, Histogram::default());
        Self { task, function, count, total, errors, histogram, is_time }
    }

    fn add(&mut self, value: &types::latency_value) {
        self.count += value.count;
        self.total = self.total.saturating_add(value.total);
        self.errors += value.errors;
        let values = &value.histogram;
        self.histogram.add(&values.slots, values.min, values.max);
    }

    fn value(&self, value: u64) -> Value<'static> {
        if self.is_time { Value::Duration(value) } else { Value::Uint(value) }
    }

    fn percentile(&self, percent: u64) -> Value<'static> {
        self.histogram.percentile(percent).map_or(Value::None, |value| self.value(value))
    }
}

type Col = Column<Row>;

/// What is traced.
enum Target {
    Kernel(Vec<Function>),
    /// A file, functions in it, and the only processes in which they are traced, if not in all.
    User(Box<ForeignFile>, UserNames, Vec<i32>),
}

/// Functions of a file, in order: where they are, and what they are called.
struct UserNames {
    offsets: Vec<u64>,
    /// What the kernel side calls them: one more than their numbers here.
    cookies: Vec<u64>,
    names: Vec<String>,
}

impl From<BTreeMap<u64, String>> for UserNames {
    fn from(functions: BTreeMap<u64, String>) -> Self {
        let cookies = (1..).take(functions.len()).collect();
        let (offsets, names) = functions.into_iter().unzip();
        Self { offsets, cookies, names }
    }
}

impl Target {
    /// What is counted.
    fn counted(&self) -> String {
        let functions = self.len();
        let plural = if functions == 1 { "" } else { "s" };
        format!("calls of {functions} function{plural}")
    }

    fn len(&self) -> usize {
        match self {
            Target::Kernel(functions) => functions.len(),
            Target::User(_, functions, _) => functions.names.len(),
        }
    }

    /// Those of the kernel's functions.
    fn names(&self) -> Vec<&str> {
        match self {
            Target::Kernel(functions) => functions.iter().map(|one| one.name.as_str()).collect(),
            Target::User(..) => Vec::new(),
        }
    }

    /// What a function is called that the kernel side calls so: by its number, from 1 on, or by the lower
    /// half of an address that is at its beginning, or a few bytes after that, where its probe is.
    fn name(&self, function: u32) -> Option<&str> {
        let number = (function as usize).wrapping_sub(1);
        match self {
            _ if self.len() == 1 => Some(self.name_at(0)),
            _ if number < self.len() && number < NUMBERS_MAX => Some(self.name_at(number)),
            Target::User(..) => None,
            Target::Kernel(functions) => {
                let offset = |of: &&Function| function.wrapping_sub(of.address as u32);
                let nearest = functions.iter().min_by_key(offset)?;
                (offset(&nearest) < PROBE_OFFSET_MAX).then_some(&nearest.name)
            }
        }
    }

    fn name_at(&self, number: usize) -> &str {
        match self {
            Target::Kernel(functions) => &functions[number].name,
            Target::User(_, functions, _) => &functions.names[number],
        }
    }
}

/// No address is so low.
const NUMBERS_MAX: usize = 4096;
/// How far behind the beginning of a function its probe may be.
const PROBE_OFFSET_MAX: u32 = 32;

impl Tool for Funclatency {
    type Row = Row;
    const ROWS: Rows = Rows::Intervals;
    const ANYWAY: &'static [(&'static str, char)] = &[("milliseconds", 'm'), ("timestamp", 'T')];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("vfs_read -d 10", "ten seconds of reads"),
        (
            "'vfs_*' --by function,comm -i 1",
            "the file system's upper layer, by function and program",
        ),
        ("c:getaddrinfo", "look-ups in the C library"),
        ("vfs_read --ret -p 1234", "the bytes that one process's reads return"),
    ];
    const TASK: &'static [Col] = &task_key::columns(OF_TASKS.0, OF_TASKS.1);
    const COLUMNS: &'static [Col] = &[
        Col::text("FUNCTION", "function", 24, "the function; in the programmer's words", |r| {
            r.event.function.as_ref().map_or(Value::None, |name| Value::Text(name.as_bytes()))
        })
        .hidden()
        .with(&["--by=function"]),
        Col::uint("COUNT", "count", 10, "how many calls returned", |r| Value::Uint(r.event.count))
            .sum(),
        Col::uint(
            "ERRORS",
            "errors",
            8,
            "with --ret: results below zero, apart from the others",
            |r| Value::Uint(r.event.errors),
        )
        .sum()
        .hidden()
        .with(&["--ret"]),
        Col::uint(
            "TOTAL",
            "total",
            10,
            "all together: nanoseconds; with --ret what was returned",
            |r| r.event.value(r.event.total),
        )
        .sum(),
        Col::uint("MEAN", "mean", 9, "the mean", |r| {
            r.event.value(r.event.total / r.event.count.max(1))
        })
        .derived(),
        Col::uint("P50", "p50", 9, "half of them were no more, to within 5 %", |r| {
            r.event.percentile(50)
        })
        .derived(),
        Col::uint("P90", "p90", 9, "90 of a hundred were no more, to within 5 %", |r| {
            r.event.percentile(90)
        })
        .derived(),
        Col::uint("P99", "p99", 9, "99 of a hundred were no more, to within 5 %", |r| {
            r.event.percentile(99)
        })
        .derived(),
        Col::uint("MAX", "max", 9, "the most", |r| r.event.value(r.event.histogram.max()))
            .derived(),
        Col::histogram("SLOTS", "histogram", 5, "how many were in which range", |r| {
            Value::Histogram(r.event.histogram.slots())
        })
        .json_only(),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let doing = format!("looking for {}", self.function);
        let target = host.messages.during(&doing, |_| self.target())?;
        let mut session = Session::start_intervals(host, &self.options, None)?;
        if matches!(target, Target::User(..)) {
            session = session.needing(FUNCLATENCY_OF_PROGRAMS)?;
        }
        let arguments = match self.arguments(&target) {
            Err(error) if self.hook != Some(HookChoice::Fexit) => {
                session.note(format!("hook refused: fentry and fexit: {}", error.line()));
                None
            }
            arguments => Some(arguments?),
        };
        let names = target.names();
        let by_function = self.is_by_function(&target)?;
        let probes = self.probes(&target, &names, arguments.is_some())?;
        let mut tasks = TaskKeys::by(self.by.iter().filter_map(|by| by.field()));
        session = session.counted(target.counted()).keeping(tasks.needs());
        let hooks = probes.iter().map(|(name, probes)| Hook { name, probes }).collect::<Vec<_>>();
        let hooks = hooks.iter().collect::<Vec<_>>();
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<FunclatencySkelBuilder>(
            &mut storage,
            LoadOptions::default(),
            Plan::new(&hooks),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.count_by = tasks.bits();
                    constants.by_function = by_function.into();
                    constants.by_ret = self.ret.into();
                    constants.slower_ns = self.slower;
                    let counts = constants.arguments.iter_mut();
                    counts.zip(arguments.iter().flatten()).for_each(|(to, from)| *to = *from);
                }
            },
        )?;
        let shows_function = self.by.contains(&By::Function);
        let mut tables = Latencies::of(skel.object(), "latency_table")?;
        session.run_summary(skel.object(), attached, columns, |rows, _| {
            tables.turn(|key, value| {
                let function = shows_function.then(|| target.name(key.function));
                let function = function.map(|name| name.unwrap_or("[unknown]").into());
                rows.row(Row::new(tasks.key(&key.task), function, !self.ret)).add(&value);
            })
        })
    }
}

impl HookChoice {
    fn probes<'f>(self, functions: &'f [&'f str]) -> (&'static str, Vec<Probe<'f>>) {
        let (name, mut probes) = match self {
            HookChoice::Fexit => {
                let pairs = PAIRS.iter().zip(functions).flat_map(|((entry, exit), function)| {
                    // Returns first: a call whose entry is seen must not lose its return.
                    [
                        Probe::returns(*exit, Point::Fexit(function)),
                        Probe::events(*entry, Point::Fentry(function)),
                    ]
                });
                ("fentry and fexit", pairs.collect())
            }
            HookChoice::KprobeMulti => {
                let probes = vec![
                    Probe::returns(programs::ON_RETURN_MULTI, Point::KretprobeMulti(functions)),
                    Probe::events(programs::ON_ENTRY_MULTI, Point::KprobeMulti(functions)),
                ];
                ("kprobe.multi and kretprobe.multi", probes)
            }
            HookChoice::Kprobe => {
                let pairs = Point::KprobePairs { functions, entry: programs::ON_ENTRY };
                ("kprobes and kretprobes", vec![Probe::returns(programs::ON_RETURN, pairs)])
            }
        };
        probes.push(THREAD_END);
        (name, probes)
    }
}

impl Funclatency {
    fn target(&self) -> Result<Target> {
        match names::split(&self.function, |path| Path::new(path).exists()) {
            None => Ok(Target::Kernel(kernel_functions(&self.function)?)),
            Some((file, function)) => {
                let file = elf::open(&match file {
                    "" => self.executable()?,
                    file => libraries::named(file)?,
                })?;
                let functions = elf::functions_of(&file, &Wanted::new(function))?;
                if let Some(why) = elf::why_not_returns(&file)?.filter(|_| !self.force) {
                    let cause = format!("tracing returns would end it: {why}");
                    return Err(Error::new(format!("funclatency: {file}"), cause)
                        .hint("--force traces it all the same"));
                }
                if functions.len() > FUNCTIONS_MAX {
                    return Err(too_many(&self.function, functions.len()));
                }
                Ok(Target::User(Box::new(file), functions.into(), self.pids()))
            }
        }
    }

    /// What the process of `-p` runs.
    fn executable(&self) -> Result<PathBuf> {
        match self.options.common.filter.pid[..] {
            [pid] => Ok(format!("/proc/{pid}/exe").into()),
            _ => Err(Error::usage("funclatency", "whose function is that?")
                .hint(format!("-p PID '{0}', or PROGRAM{0}", self.function))),
        }
    }

    /// Others need not have the probes; children of these would not have them.
    fn pids(&self) -> Vec<i32> {
        let filter = &self.options.common.filter;
        let pids = filter.pid.iter().filter_map(|pid| i32::try_from(pid.get()).ok());
        if filter.follow { Vec::new() } else { pids.collect() }
    }

    /// Must the kernel side tell functions apart?
    ///
    /// # Errors
    ///
    /// When it cannot.
    fn is_by_function(&self, target: &Target) -> Result<bool> {
        let is_by_function = self.by.contains(&By::Function) && target.len() > 1;
        match target {
            Target::User(..) if is_by_function && !kernel::has_attach_cookies() => {
                let cause = "this kernel does not tell which of a program's functions was called";
                Err(Error::new("funclatency: --by function", cause)
                    .hint("Linux 5.15 or later does; trace one function at a time"))
            }
            Target::Kernel(functions)
                if is_by_function && functions.iter().all(|one| one.address == 0) =>
            {
                let cause = "the kernel hides the addresses of its functions";
                Err(Error::new("funclatency: --by function", cause)
                    .hint("sysctl kernel.kptr_restrict=1, and CAP_SYSLOG, or trace one function at a time"))
            }
            _ => Ok(is_by_function),
        }
    }

    /// How many arguments the kernel's functions take, if that must be known.
    fn arguments(&self, target: &Target) -> Result<Vec<u8>> {
        match target {
            Target::Kernel(functions) if self.ret && functions.len() <= PAIRS.len() => {
                kernel::arguments(&target.names())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The hooks for the target, the first choice first.
    fn probes<'t>(
        &self,
        target: &'t Target,
        functions: &'t [&'t str],
        fexit: bool,
    ) -> Result<Vec<(&'static str, Vec<Probe<'t>>)>> {
        match target {
            Target::User(..) if self.hook.is_some() => {
                return Err(Error::usage("funclatency", "--hook is for functions of the kernel"));
            }
            Target::User(file, UserNames { offsets, cookies, .. }, pids) => {
                let returns = UserFunctions { file, offsets, cookies: &[], pids };
                let is_told = kernel::has_attach_cookies();
                let cookies = if is_told { &cookies[..] } else { &[] };
                let entries = UserFunctions { cookies, ..returns };
                let probes = vec![
                    Probe::returns(programs::ON_USER_RETURN, Point::Uretprobes(returns)),
                    Probe::events(programs::ON_USER_ENTRY, Point::Uprobes(entries)),
                    THREAD_END,
                ];
                return Ok(vec![("uprobes and uretprobes", probes)]);
            }
            Target::Kernel(_) => {}
        }
        let few = functions.len() <= PAIRS.len();
        let choices = match self.hook {
            Some(HookChoice::Fexit) if !few => {
                let cause = format!("--hook fexit is for up to {} functions", PAIRS.len());
                return Err(Error::usage("funclatency", cause));
            }
            Some(choice) => vec![choice],
            // kprobe.multi has room for few pending returns of all functions together.
            None if few && !kernel::has_room_for_returns() => {
                vec![HookChoice::Fexit, HookChoice::Kprobe, HookChoice::KprobeMulti]
            }
            None if few && !kernel::prefers_kprobe_multi() => {
                vec![HookChoice::Fexit, HookChoice::KprobeMulti, HookChoice::Kprobe]
            }
            None if few => vec![HookChoice::KprobeMulti, HookChoice::Fexit, HookChoice::Kprobe],
            None => vec![HookChoice::KprobeMulti, HookChoice::Kprobe],
        };
        let choices = choices.into_iter().filter(|one| fexit || *one != HookChoice::Fexit);
        Ok(choices.map(|choice| choice.probes(functions)).collect())
    }
}

fn pattern(text: &str) -> Result<Pattern> {
    Pattern::new(text).map_err(|error| Error::usage(format!("the pattern {text}"), error))
}

fn kernel_functions(wanted: &str) -> Result<Vec<Function>> {
    let pattern = pattern(wanted)?;
    let all = kernel::functions()?;
    let wanted_of = |function: &&Function| pattern.matches(&function.name);
    let mut found =
        all.iter().filter(wanted_of).filter(|f| elf::is_called(&f.name)).collect::<Vec<_>>();
    // One that cannot be traced would have the kernel refuse all.
    if let (2.., Some(traceable)) = (found.len(), kernel::traceable()) {
        let is_listed = |function: &&Function| traceable.contains(&function.name);
        let addresses = all.iter().filter(is_listed).map(|function| function.address);
        // Of several names of a function, one is listed.
        let addresses = addresses.filter(|address| *address != 0).collect::<HashSet<_>>();
        found.retain(|found| is_listed(found) || addresses.contains(&found.address));
    }
    found.sort_unstable_by_key(|function| (function.address, &function.name));
    found.dedup_by_key(|function| match function.address {
        0 => (0, function.name.as_str()),
        address => (address, ""),
    });
    if found.len() > 1 {
        // The kernel does not know which of several functions of a name is meant.
        let mut times = HashMap::new();
        all.iter().for_each(|function| *times.entry(&function.name).or_insert(0) += 1);
        found.retain(|function| times.get(&function.name) == Some(&1));
    }
    match found.len() {
        0 => Err(kernel::unknown(
            "funclatency",
            wanted,
            all.iter().map(|function| function.name.as_str()),
        )),
        1..=FUNCTIONS_MAX => Ok(found.into_iter().cloned().collect()),
        many => Err(too_many(wanted, many)),
    }
}

fn too_many(wanted: &str, many: usize) -> Error {
    let cause = format!("'{wanted}' stands for {many} functions, {FUNCTIONS_MAX} can be traced");
    Error::usage("funclatency", cause)
}

type Latencies<'o> = Tables<'o, types::latency_key, types::latency_value>;
