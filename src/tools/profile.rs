//! profile: where the processors spend their time.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use super::prelude::*;
use crate::attach::samplers::{Counter, Samplers, Sampling};
use crate::bpf::profile::{ProfileSkelBuilder, types};
use crate::bpf::programs::profile::ON_SAMPLE;
use crate::error::Error;
use crate::output::status::grouped;
use crate::output::{Lines, values};
use crate::record::{self, Header, Record, c_str};
use crate::run::options::{self, Format};
use crate::run::report::{Report, boottime_ns};
use crate::run::stream::Consumer;
use crate::run::summary::{Sum, Summary};
use crate::run::task_key::{
    self, FunctionField as By, OF_TASKS, OfTasks, TaskField, TaskKey, TaskKeys,
};
use crate::system::kernel;
use crate::system::symbols::{Function, Space, Symbols};

mod files;
#[cfg(feature = "svg")]
mod flames;
mod folded;
mod groups;
mod gzip;
mod pprof;
mod protobuf;
mod speedscope;
mod title;
mod tree;

use files::{FileOptions, Files, Sampled};
use folded::{Folded, Marks};
use groups::{Groups, Sums};
use tree::{Tree, What};

/// Show where the processors spend their time, by sampling stacks
#[derive(Args, Debug)]
pub(crate) struct Profile {
    /// The same as -d SECONDS
    #[arg(value_name = "SECONDS", value_parser = options::seconds, conflicts_with = "duration")]
    seconds: Option<Duration>,

    /// Samples per second per CPU
    #[arg(short = 'F', long, value_name = "HERTZ", default_value = "99", value_parser = clap::value_parser!(u64).range(1..))]
    frequency: u64,

    /// One line per stack, frames separated by semicolons, for flame graphs
    #[arg(short, long, conflicts_with_all = ["tree", "live"])]
    folded: bool,

    /// A call tree, down to 1 % of the samples
    #[arg(long)]
    tree: bool,

    /// In folded stacks, mark the kernel's functions with _[k]
    #[arg(short, long, requires = "folded")]
    annotations: bool,

    /// In folded stacks, put a - between what the program calls and the kernel's functions
    #[arg(long, requires = "folded")]
    delimited: bool,

    #[command(flatten)]
    files: FileOptions,

    /// Group samples by this, or by several fields, like comm,function
    #[arg(long, value_name = "FIELD", value_delimiter = ',', conflicts_with_all = ["folded", "tree"])]
    by: Vec<By>,

    /// Only stacks of programs, not of the kernel
    #[arg(short = 'U', long, conflicts_with = "kernel_stacks_only")]
    user_stacks_only: bool,

    /// Only stacks of the kernel, not of programs
    #[arg(short = 'K', long)]
    kernel_stacks_only: bool,

    /// Only these CPUs, by their numbers
    #[arg(short = 'C', long, value_name = "CPU", value_delimiter = ',')]
    cpu: Vec<u32>,

    /// Include idle CPUs
    #[arg(short = 'I', long)]
    include_idle: bool,

    /// Show the top N functions; 40 by default in a table
    #[arg(long, value_name = "N", conflicts_with_all = ["folded", "tree"])]
    top: Option<NonZeroUsize>,

    /// Size of the buffer for samples, like 512K or 64M; rounded up to a power of two
    #[arg(long, value_name = "SIZE", value_parser = options::size, default_value = "4M")]
    buffer: u32,

    #[command(flatten)]
    options: IntervalOptions,
}

const TOP: usize = 40;
/// The most stacks that are told apart in an interval; the rest of a program's are one.
const STACKS_MAX: usize = 100_000;
/// The most calls in them.
const CALLS_MAX: usize = 10_000_000;
/// The most calls that the kernel tells of a stack, and the most that there is room for.
const DEPTH: &str = "/proc/sys/kernel/perf_event_max_stack";
const DEPTH_MAX: usize = 127;
/// A call that has fewer of a hundred samples is not in the tree.
const LEAST_PERCENT: f64 = 1.0;

/// What was sampled: the name of the thread, and its stack from the first call to the last.
type Stack = (Vec<u8>, Vec<u32>);

/// One line: a function, a call in the tree, or a stack.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// What it is grouped by.
    task: TaskKey,
    comm: Vec<u8>,
    function: Vec<u8>,
    module: Vec<u8>,
    /// The function's own.
    number: u32,
    /// Names of functions, each with a NUL after it.
    stack: Vec<u8>,
    depth: usize,
    /// Samples in the function itself.
    count: u64,
    /// Samples in it and in what it called.
    total: u64,
    /// Of everything.
    all: u64,
}

impl Sum for Row {
    type Id = (Reverse<u64>, u32, TaskKey);

    fn id(&self) -> Self::Id {
        (Reverse(self.total), self.number, self.task.clone())
    }

    fn weight(&self) -> u64 {
        self.count
    }

    fn events(&self) -> u64 {
        self.count
    }
}

impl record::Row for Row {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let [function, module, comm, stack] = [(); 4].map(|()| bytes.to_vec());
        let (depth, count, total, all) = (bytes.len(), 1, 2, 3);
        let task = TaskKeys::by(TaskField::ALL).key_of(&Header::default());
        let row = Self { task, comm, function, module, number: 0, stack, depth, count, total, all };
        show(&Record::of(&Header::default(), &row));
    }
}

impl OfTasks for Row {
    fn task(&self) -> &TaskKey {
        &self.task
    }
}

type Col = Column<Row>;

const SAMPLES: Col = Col::uint("SAMPLES", "count", 8, "samples in the function itself", |r| {
    Value::Uint(r.event.count)
})
.sum();
const SELF: Col = Col::float("SELF%", "self_percent", 6, "the same, of a hundred", |r| {
    percent(r.event.count, r.event.all)
});
const TOTAL: Col = Col::uint("TOTAL", "total", 8, "samples in it and in what it called", |r| {
    Value::Uint(r.event.total)
})
.sum();
const TOTAL_PERCENT: Col =
    Col::float("TOTAL%", "total_percent", 6, "the same, of a hundred", |r| {
        percent(r.event.total, r.event.all)
    });
const MODULE: Col = Col::file(
    "MODULE",
    "module",
    0,
    "the file that it is in, [kernel], or its module",
    |r| match &r.event.module[..] {
        b"" => Value::None,
        module => Value::File(module),
    },
)
.user();

const FUNCTION: Col = Col::text(
    "FUNCTION",
    "function",
    40,
    "its name; without symbols its file and address, [server+0x1260]",
    |r| Value::Text(&r.event.function),
)
.user();

const FUNCTIONS: &[Col] =
    &[Col::TIME.json_only(), SAMPLES, SELF, TOTAL, TOTAL_PERCENT, FUNCTION, MODULE];

const BY_FUNCTION: &[&str] = &["--by=function"];

const GROUPS: [Col; 13] = {
    let [time, pid, uid, cgroup_path, cgroup, container, comm] =
        task_key::columns(OF_TASKS.0, OF_TASKS.1);
    let (total, total_percent) = (TOTAL.hidden(), TOTAL_PERCENT.hidden());
    [
        time.json_only(),
        pid,
        uid,
        cgroup_path,
        cgroup,
        container,
        comm,
        SAMPLES,
        SELF,
        total.with(BY_FUNCTION),
        total_percent.with(BY_FUNCTION),
        FUNCTION.hidden().with(BY_FUNCTION),
        MODULE.hidden().with(BY_FUNCTION),
    ]
};

const TREE: &[Col] = &[
    Col::TIME.json_only(),
    TOTAL_PERCENT,
    TOTAL,
    SAMPLES,
    Col::uint("DEPTH", "depth", 5, "how many calls are above it; 0 for a thread's name", |r| {
        Value::Uint(r.event.depth as u64)
    })
    .derived()
    .json_only(),
    Col::indented("FUNCTION", "function", 0, "its name, below its caller's", |r| {
        Value::Indented(r.event.depth, &r.event.function)
    })
    .user(),
    MODULE.json_only(),
];

const STACKS: &[Col] = &[
    Col::TIME.json_only(),
    Col::text("COMM", "comm", 16, "the name of the thread", |r| Value::Text(&r.event.comm)),
    Col::uint("SAMPLES", "count", 8, "samples with this stack", |r| Value::Uint(r.event.count))
        .sum(),
    Col::args("STACK", "stack", 0, "names of functions, from the first call to the last", |r| {
        Value::Args(values::Args::new(&r.event.stack, 0), false)
    })
    .user(),
];

fn percent<'a>(part: u64, all: u64) -> Value<'a> {
    Value::Float(100.0 * part as f64 / all.max(1) as f64)
}

const MAX_RATE: &str = "/proc/sys/kernel/perf_event_max_sample_rate";

const SAMPLES_OF_CPUS: Hook = Hook { name: "samples of CPUs", probes: &[] };

impl Tool for Profile {
    type Row = Row;
    const ROWS: Rows = Rows::Intervals;
    const SUMMARY: &'static [(&'static str, &'static str)] = &[
        ("stacks", "how many stacks of programs there were"),
        ("broken_stacks", "how many of them end early"),
        ("missed_cpus", "how many CPUs were not sampled all the time"),
    ];
    const LETTERS: &'static [(&'static str, char)] = &[("tid", 'L')];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-d 10", "the functions that took the most of ten seconds"),
        ("--tree -- make", "who called them in a build"),
        ("-f -d 30 >stacks", "folded lines, for flame graphs"),
        #[cfg(feature = "svg")]
        ("-p 1234 -d 30 --svg flames.svg", "a flame graph of one process"),
    ];

    const COLUMNS: &'static [Col] = FUNCTIONS;
    const OTHERS: &'static [(&'static str, &'static [Col])] =
        &[("--folded", STACKS), ("--tree", TREE), ("--by", &GROUPS)];

    fn run(mut self, host: &Host, columns: &[&Col]) -> Result<()> {
        let duration = &mut self.options.common.run.duration;
        *duration = duration.or(self.seconds);
        let run = &self.options.common.run;
        let session = Session::start_intervals(host, &self.options, None)?.buffer(self.buffer);
        self.check()?;
        let groups = Groups::by(&self.by);
        let session = session.keeping(groups.as_ref().map_or(&[], |groups| groups.tasks.needs()));
        let files = self.files.create()?;
        // That takes a while, in which nothing is to be sampled yet.
        let symbols = host.messages.during("reading the kernel's symbols", |_| Symbols::new());
        let mut storage = Storage::new();
        // Names have to be looked up while the process is there.
        let collect = groups.as_ref().map_or(0, Groups::collect);
        let options = LoadOptions { at_once: true, collect, ..LoadOptions::default() };
        // A CPU that has nothing to do has no cycles.
        let cycles = (!self.include_idle).then_some(Counter::Cycles);
        let counters = cycles.into_iter().chain([Counter::Clock]).collect();
        let (program, per_second) = (ON_SAMPLE, self.frequency);
        let sampling = Sampling { messages: host.messages.clone(), program, per_second };
        let samplers = Samplers::new(sampling, counters, self.cpu.clone());
        let missed_cpus = samplers.missed();
        let (skel, attached) = session.attach::<ProfileSkelBuilder>(
            &mut storage,
            options,
            Plan::new(&[&SAMPLES_OF_CPUS]).and(samplers),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.with_kernel = (!self.user_stacks_only).into();
                    constants.with_user = (!self.kernel_stacks_only).into();
                    constants.with_idle = self.include_idle.into();
                    let by = |field| self.by.contains(&field);
                    constants.names_process = (by(By::Pid) && !by(By::Comm)).into();
                }
            },
        )?;
        let is_summary = !self.folded && !self.tree;
        session.run_consumer(skel.object(), attached, columns, is_summary, |report| {
            // Folded lines are for programs that know no header.
            let is_folded = self.folded && run.output.format() == Format::Table;
            let lines = match (is_folded, is_summary) {
                (true, _) => report.lines("interval", &[]),
                (_, true) => report.lines_of_summary(columns),
                _ => report.lines("interval", columns),
            };
            let samples = Samples::new(&self, symbols, lines, is_folded, missed_cpus);
            Samples { files, groups, ..samples }
        })
    }
}

impl Profile {
    fn check_frequency(&self) -> Result<()> {
        let most = fs::read_to_string(MAX_RATE).ok().and_then(|text| text.trim().parse().ok());
        match most {
            Some(most) if self.frequency > most => {
                let cause = format!("{} times a second is more than {most}", self.frequency);
                Err(Error::usage("profile", cause)
                    .hint("sysctl kernel.perf_event_max_sample_rate allows more"))
            }
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<()> {
        self.check_frequency()?;
        let online = kernel::online_cpus()?;
        match self.cpu.iter().find(|cpu| !online.contains(cpu)) {
            Some(cpu) => {
                Err(Error::usage("profile", format!("there is no CPU {cpu}, or it is offline")))
            }
            None => Ok(()),
        }
    }

    fn marks(&self) -> Marks {
        Marks { kernel: self.annotations, between: self.delimited }
    }

    /// How many functions are shown.
    fn top(&self) -> usize {
        let all = match self.options.common.run.output.format() {
            Format::Table => TOP,
            Format::Json => usize::MAX,
        };
        self.top.map_or(all, NonZeroUsize::get)
    }
}

/// The samples of an interval.
struct Samples<'a> {
    tool: &'a Profile,
    lines: Lines<'a, Row>,
    is_folded: bool,
    /// When the interval ended.
    time_ns: u64,
    symbols: Symbols,
    stacks: HashMap<Stack, u64>,
    /// With `--by`.
    groups: Option<Groups>,
    /// The calls in them.
    calls: usize,
    /// Stacks of programs, those that end before a thread's first call, and how deep they may be.
    of_programs: u64,
    broken: u64,
    depth_max: usize,
    missed_cpus: Rc<Cell<u64>>,
    files: Files,
}

impl Consumer<types::event> for Samples<'_> {
    fn progress(&self, _: &Report) -> Option<String> {
        let is_silent = self.tool.options.interval.is_none();
        let samples = || grouped(self.all());
        is_silent.then(|| format!("{} samples; Ctrl-C ends it and shows them", samples()))
    }

    fn take(&mut self, report: &mut Report, record: Record<'_, types::event>) {
        let comm = c_str(&record.header.comm).to_vec();
        let is_full = self.stacks.len() >= STACKS_MAX || self.calls >= CALLS_MAX;
        let stack = if is_full { vec![Symbols::OTHER] } else { self.stack(&record) };
        if self.groups.as_mut().is_some_and(|groups| !groups.add(record.header, &stack)) {
            return report.no_room(1);
        }
        let calls = stack.len();
        let known = self.stacks.len();
        *self.stacks.entry((comm, stack)).or_default() += 1;
        self.calls += if self.stacks.len() > known { calls } else { 0 };
    }

    fn interval(&mut self, report: &mut Report, length: Duration) {
        self.time_ns = boottime_ns();
        report.begin();
        if self.tool.options.interval.is_some() && !self.is_folded {
            report.time(self.time_ns);
        }
        match (self.tool.folded, self.tool.tree) {
            (true, _) => self.show_stacks(report),
            (_, true) => self.show_tree(report),
            _ if self.groups.is_some() => self.show_groups(report),
            _ => self.show_functions(report),
        }
        self.write_files(report, length);
        self.say_what_is_missing(report);
        self.stacks.clear();
        self.calls = 0;
        self.symbols.forget();
    }
}

impl<'a> Samples<'a> {
    fn new(
        tool: &'a Profile,
        symbols: Symbols,
        lines: Lines<'a, Row>,
        is_folded: bool,
        missed_cpus: Rc<Cell<u64>>,
    ) -> Self {
        Self {
            tool,
            lines,
            is_folded,
            time_ns: 0,
            symbols,
            stacks: HashMap::new(),
            groups: None,
            calls: 0,
            of_programs: 0,
            broken: 0,
            depth_max: depth_max(),
            missed_cpus,
            files: Files::default(),
        }
    }

    /// From the first call to the last: the program's, then the kernel's. The program's are looked
    /// up first: it may end any time.
    fn stack(&mut self, record: &Record<'_, types::event>) -> Vec<u32> {
        let (kernel_len, user_len) = (record.event.kernel_len, record.event.user_len);
        let (kernel, rest) = record.tail.split_at_checked(kernel_len as usize).unwrap_or_default();
        let user = rest.get(..user_len as usize).unwrap_or_default();
        let space = Space::User(record.event.pid, record.event.image);
        let mut stack = self.of_program(space, &calls(user));
        let mut of_kernel = self.symbols.numbers(Space::Kernel, &calls(kernel));
        stack.reverse();
        of_kernel.reverse();
        stack.extend(of_kernel);
        if stack.is_empty() {
            stack.push(Symbols::NO_STACK);
        }
        stack
    }

    /// A program's, from the last call to the first, or to where it breaks.
    fn of_program(&mut self, space: Space, addresses: &[u64]) -> Vec<u32> {
        let mut stack = self.symbols.numbers(space, addresses);
        let Some(&first) = stack.first() else { return stack };
        self.of_programs += 1;
        // What runs is code: this is another program by now.
        if first == Symbols::NO_CODE {
            return vec![Symbols::UNKNOWN];
        }
        let no_code = stack.iter().position(|&number| number == Symbols::NO_CODE);
        stack.truncate(no_code.unwrap_or(stack.len()));
        let last = stack.last().copied().unwrap_or(first);
        // Where that cannot be known, it is whole.
        let may_be_whole = || {
            addresses.len() >= self.depth_max
                || [Symbols::UNKNOWN, Symbols::OTHER].contains(&last)
                || self.symbols.function(last).begins_thread(stack.len() > 1)
        };
        if no_code.is_some() || !may_be_whole() {
            self.broken += 1;
            stack.push(Symbols::BROKEN);
        }
        stack
    }

    fn say_what_is_missing(&self, report: &mut Report) {
        let (all, broken) = (self.of_programs, self.broken);
        let mut lines = Vec::new();
        let by = &self.tool.by;
        if broken > 0 && (by.is_empty() || by.contains(&By::Function)) {
            lines.push(format!(
                "{broken} of {all} stacks of programs end early: programs built without frame pointers"
            ));
        }
        let missed = self.missed_cpus.get();
        if missed > 0 {
            lines.push(format!("{missed} CPUs were not sampled all the time"));
        }
        let values = [("stacks", all), ("broken_stacks", broken), ("missed_cpus", missed)];
        report.beside(lines, values.into());
    }

    fn all(&self) -> u64 {
        self.stacks.values().sum()
    }

    fn row(&self, report: &mut Report, row: &Row, events: u64) {
        let header = Header::at(self.time_ns);
        let record = Record::of(&header, row);
        report.row(&self.lines, &record, events);
    }

    fn show_functions(&self, report: &mut Report) {
        // In a function itself, and in it and what it called.
        let mut counts = HashMap::<u32, (u64, u64)>::new();
        for ((_, stack), count) in &self.stacks {
            let last = stack.last().copied().unwrap_or(Symbols::OTHER);
            counts.entry(last).or_default().0 += count;
            // One that calls itself is there once.
            for function in stack.iter().chain([&last]).collect::<HashSet<_>>() {
                counts.entry(*function).or_default().1 += count;
            }
        }
        let all = self.all();
        let mut rows = Summary::new();
        rows.cut_to(self.tool.top());
        for (number, (count, total)) in counts {
            let Function { name, module, .. } = self.symbols.function(number).clone();
            let (function, module) = (name.to_vec(), module.to_vec());
            rows.row(Row { number, function, module, count, total, all, ..Row::default() });
        }
        rows.show(report, &self.lines);
    }

    fn show_groups(&mut self, report: &mut Report) {
        let all = self.all();
        let mut rows = Summary::new();
        rows.cut_to(self.tool.top());
        for ((task, function), Sums { count, total }) in
            self.groups.iter_mut().flat_map(Groups::take)
        {
            let number = function.unwrap_or(0);
            let row = Row { task, number, count, total, all, ..Row::default() };
            let Some(function) = function else {
                rows.row(row);
                continue;
            };
            let Function { name, module, .. } = self.symbols.function(function);
            rows.row(Row { function: name.to_vec(), module: module.to_vec(), ..row });
        }
        rows.show(report, &self.lines);
    }

    fn show_tree(&self, report: &mut Report) {
        let tree = Tree::new(self.stacks.iter().map(|(stack, count)| (stack, *count)));
        let all = self.all();
        let least = (all as f64 * LEAST_PERCENT / 100.0).ceil() as u64;
        let mut waiting = tree.roots();
        while let Some(call) = waiting.pop() {
            let (depth, total) = (call.depth, call.total);
            if total < least {
                report.left_out(total);
                continue;
            }
            let (function, module) = match tree.what(&call) {
                What::Thread(comm) => (comm.to_vec(), Vec::new()),
                What::Function(number) => {
                    let Function { name, module, .. } = self.symbols.function(number);
                    (name.to_vec(), module.to_vec())
                }
            };
            let count = tree.count(&call);
            let row = Row { function, module, depth, count, total, all, ..Row::default() };
            self.row(report, &row, count);
            waiting.extend(tree.below(&call));
        }
    }

    fn show_stacks(&self, report: &mut Report) {
        if self.is_folded {
            let folded = Folded::new(&self.stacks, &self.symbols, self.tool.marks());
            for (line, count) in folded.lines() {
                report.text(count, |out| out.extend_from_slice((line + "\n").as_bytes()));
            }
            return;
        }
        let mut stacks = self.stacks.iter().collect::<Vec<_>>();
        stacks.sort_unstable_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for ((comm, stack), count) in stacks {
            let names = stack.iter().map(|number| &self.symbols.function(*number).name);
            let stack = names.flat_map(|name| name.iter().copied().chain([0])).collect();
            let row = Row { comm: comm.clone(), stack, count: *count, ..Row::default() };
            self.row(report, &row, *count);
        }
    }

    /// Once, at the end.
    fn write_files(&mut self, report: &mut Report, length: Duration) {
        let files = std::mem::take(&mut self.files);
        let sampled = Sampled {
            stacks: &self.stacks,
            functions: &self.symbols,
            whose: title::whose(&self.tool.options.common),
            hertz: self.tool.frequency,
            length,
        };
        if let Err(error) = report.hand_over(|out| pprof::write(&sampled, out)) {
            report.messages().say(Error::new("handing over a profile", error));
        }
        let done = files.write(report.messages(), &sampled);
        if let Err(error) = done {
            report.fail(error);
        }
    }
}

/// A stack of so many calls may have had more.
fn depth_max() -> usize {
    let most = fs::read_to_string(DEPTH).ok().and_then(|text| text.trim().parse().ok());
    most.map_or(DEPTH_MAX, |most: usize| most.min(DEPTH_MAX))
}

/// Addresses of calls, the last one first.
fn calls(stack: &[u8]) -> Vec<u64> {
    let address = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
    let addresses = stack.chunks_exact(8).map(address);
    // After the first, they are where a call returns to: the call is before that.
    addresses.enumerate().map(|(i, at)| at.saturating_sub((i > 0).into())).collect()
}
