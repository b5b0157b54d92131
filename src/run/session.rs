//! A tool's run: check, open, configure, load, attach; then `stream` or `counts` does the work.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::Duration;

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{
    MapCore as _, MapFlags, Object, OpenMapMut, OpenObject, PrintLevel, ProgramAttachType,
    ProgramInput as Input,
};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::attach::links::Links;
use crate::attach::plan::{self, Attached, Hook, Plan, Role};
use crate::attach::points::Point;
use crate::attach::tracepoints;
use crate::bpf::object;
use crate::bpf::programs::{Program, common};
use crate::bpf::shared::types::{count_by, follow, limit, settings};
use crate::decode::Record;
use crate::error::{Context as _, Error, Result};
use crate::escape;
use crate::filter::cgroups;
use crate::output::messages::say;
use crate::output::{Column, Lines};
use crate::run::counts::{self, COUNT_TABLE};
use crate::run::ending::Ending;
use crate::run::lifecycle::{self, Counted};
use crate::run::options::{
    CommonOptions, CountBy, EVERYBODY, EventOptions, FilterOptions, IntervalOptions, RunOptions,
};
use crate::run::privileges::{self, Need, Rights};
use crate::run::report::Report;
use crate::run::stream::{Consumer, Reader, Ring, Rows};
use crate::run::trace_pipe::{self, Message, Messages};
use crate::system::kernel;
use crate::system::kernel_types;
use crate::system::processes;
use crate::system::sys;

/// Slots of scratch memory a CPU has.
const SCRATCH_SLOTS: u32 = limit::SCRATCH_SLOTS.0;
/// Cgroups that can be wanted.
const CGROUPS_MAX: usize = limit::CGROUPS_MAX.0 as usize;
/// The least `max_tail`, for which the programs' own `TAIL_MAX` has room: `PATH_MAX`.
pub(crate) const LEAST_TAIL: u32 = 4096;
/// Processes that can be followed at a time: as many as a kernel has by default.
const FOLLOWED_MAX: u32 = 32768;

/// Programs that every tool has: filter.bpf.h. A process that is not followed is lost.
const FOLLOWERS: [(Program, Role); 3] = [
    (common::FOLLOW_FORK, Role::Events),
    (common::FOLLOW_EXEC, Role::Events),
    (common::FOLLOW_EXIT, Role::Ends),
];
/// The most ways that a tool has to see its events.
const WAYS_MAX: usize = 8;

/// Where a tool's program lives, for each way that is tried.
#[derive(Debug)]
pub(crate) struct Storage([MaybeUninit<OpenObject>; WAYS_MAX]);

impl Storage {
    pub(crate) const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; WAYS_MAX])
    }
}

/// What a skeleton becomes when it is loaded.
pub(crate) type Loaded<'o, B> = <<B as SkelBuilder<'o>>::Output as OpenSkel<'o>>::Output;

/// A tool that runs with the options of all event tools.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    tool: &'static str,
    filter: &'a FilterOptions,
    options: &'a RunOptions,
    /// Count events instead of showing them.
    count: Option<CountBy>,
    /// Between two reports; none but the last where there is none.
    interval: Option<Duration>,
    /// Bytes of the ring.
    buffer: u32,
    cgroups: Vec<cgroups::Wanted>,
    /// What `--count` tells apart.
    kinds: &'static [&'static str],
    rights: &'static Rights,
}

/// What a tool wants of the kernel side beyond the options of all tools.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// Bits of `enum collect`: what its columns need.
    pub(crate) collect: u32,
    /// How many bytes of what has no limit of its own are sent; 0 is the program's own `TAIL_MAX`.
    pub(crate) max_tail: u32,
    /// What absolute names must begin with.
    pub(crate) prefix: Vec<u8>,
    /// Wake the reader for each event, not for a good part of the ring.
    pub(crate) at_once: bool,
    /// Maps that are not needed this time.
    pub(crate) without: &'static [&'static str],
}

impl Wants {
    /// Those of the columns that are shown.
    pub(crate) fn of<E>(columns: &[&Column<E>]) -> Self {
        let collect = columns.iter().fold(0, |bits, column| bits | column.collect);
        Self { collect, ..Self::default() }
    }
}

impl<'a> Session<'a> {
    /// The session of a tool that shows events. Checks that this process may trace what is asked
    /// for.
    ///
    /// # Errors
    ///
    /// When a capability is missing, or a process that is to be traced.
    pub(crate) fn start(tool: &'static str, options: &'a EventOptions) -> Result<Self> {
        let EventOptions { count, interval, buffer, .. } = *options;
        let interval = Some(interval);
        Ok(Self { count, interval, buffer, ..Self::of_processes(tool, &options.common)? })
    }

    /// The session of a tool that sums events up, and reports them each `interval` unless the user
    /// wants another one; the same otherwise.
    pub(crate) fn start_intervals(
        tool: &'static str,
        options: &'a IntervalOptions,
        interval: Option<Duration>,
    ) -> Result<Self> {
        let interval = options.interval.or(interval);
        Ok(Self { interval, ..Self::of_processes(tool, &options.common)? })
    }

    /// The session of a tool that reports each interval what no process does.
    ///
    /// # Errors
    ///
    /// When a capability is missing.
    pub(crate) fn start_of_no_process(
        tool: &'static str,
        options: &'a RunOptions,
        interval: Duration,
    ) -> Result<Self> {
        Ok(Self { interval: Some(interval), ..Self::new(tool, &EVERYBODY, options)? })
    }

    fn of_processes(tool: &'static str, options: &'a CommonOptions) -> Result<Self> {
        let CommonOptions { filter, run } = options;
        let session = Self::new(tool, filter, run)?;
        for pid in &filter.pid {
            let number = i32::try_from(pid.get()).unwrap_or(i32::MAX);
            if kill(Pid::from_raw(number), None) == Err(Errno::ESRCH) {
                return Err(Error::new(tool, format!("there is no process {pid}")));
            }
            if let Some(process) = processes::of_thread(*pid) {
                return Err(Error::new(tool, format!("{pid} is a thread of process {process}"))
                    .hint(format!("-p {process} -n NAME chooses threads by name")));
            }
        }
        let cgroups = cgroups::wanted(&filter.cgroup, &filter.container)?;
        if cgroups.len() > CGROUPS_MAX {
            let cause = format!("{} cgroups are wanted, {CGROUPS_MAX} can be", cgroups.len());
            return Err(Error::usage(tool, cause));
        }
        Ok(Self { cgroups, ..session })
    }

    fn new(tool: &'static str, filter: &'a FilterOptions, options: &'a RunOptions) -> Result<Self> {
        let rights = privileges::check(tool, tool)?;
        let speak = |_: PrintLevel, text: String| {
            // It quotes what is in files.
            for line in text.lines() {
                say(escape::text(line.as_bytes()));
            }
        };
        libbpf_rs::set_print(options.verbose.then_some((PrintLevel::Info, speak)));
        let (count, interval, buffer, cgroups) = (None, None, 0, Vec::new());
        Ok(Self { tool, filter, options, count, interval, buffer, cgroups, kinds: &[], rights })
    }

    /// The same, with a ring of this size.
    pub(crate) fn buffer(self, buffer: u32) -> Self {
        Self { buffer, ..self }
    }

    /// The same for what takes rights of its own.
    ///
    /// # Errors
    ///
    /// When a capability is missing.
    pub(crate) fn needing(self, of: &str) -> Result<Self> {
        Ok(Self { rights: privileges::check(self.tool, of)?, ..self })
    }

    /// The same, with names for the kinds of events that `--count` tells apart.
    pub(crate) fn kinds(self, kinds: &'static [&'static str]) -> Self {
        Self { kinds, ..self }
    }

    /// Says something to those who asked with `-v`.
    pub(crate) fn note(&self, text: impl AsRef<[u8]>) {
        if self.options.verbose {
            say(format_args!("{}: {}", self.tool, escape::text(text.as_ref())));
        }
    }

    /// Was `-v` given?
    pub(crate) fn verbose(&self) -> bool {
        self.options.verbose
    }

    /// Loads the programs of the first hook of `plan` that works as a whole, attaches them, what
    /// follows processes, and what is attached besides; with `-v` says why the hooks before it do not
    /// work. `constants` gives a tool's own constants their values.
    ///
    /// # Errors
    ///
    /// When none works: with the reason of each.
    pub(crate) fn attach<'o, 'p, B>(
        &self,
        storage: &'o mut Storage,
        wants: &Wants,
        plan: Plan<'_, 'p>,
        constants: impl Fn(&mut B::Output),
    ) -> Result<(Loaded<'o, B>, Attached<'p>)>
    where
        B: SkelBuilder<'o> + Default,
        Loaded<'o, B>: Skel<'o>,
    {
        if !Path::new("/sys/kernel").exists() {
            return Err(Error::new("preparing the BPF program", "/sys is not mounted")
                .hint("mount -t sysfs sysfs /sys"));
        }
        let mut refusals = Vec::new();
        let mut refuse = |hook: &Hook<'_>, error: Error| {
            self.note(format!("hook refused: {}: {}", hook.name, error.line()));
            refusals.push(error);
        };
        let groups = plan.hooks.chunk_by(|a, b| a.is_like(b) && a.impossible().is_none());
        for (group, storage) in groups.zip(&mut storage.0) {
            let programs = self.programs(&plan, group[0]);
            if let Some(error) = group[0].impossible() {
                refuse(group[0], error);
                continue;
            }
            let mut open = open::<B>(storage).doing("preparing the BPF program")?;
            self.configure(open.open_object_mut(), &programs, wants)?;
            // Not every kernel has the function, or tells its type.
            if let Err(error) = group[0].set_targets(open.open_object_mut()) {
                refuse(group[0], error);
                continue;
            }
            constants(&mut open);
            let skel = match open.load() {
                Ok(skel) => skel,
                Err(error) => {
                    refuse(group[0], explain_load(&error));
                    continue;
                }
            };
            let mut links = self.fill(skel.object())?;
            for hook in group {
                match hook.attach(skel.object(), |text| self.note(text)) {
                    Ok(attached) => {
                        self.note(format!("hook in use: {}", hook.name));
                        links.join(attached);
                        let attached = plan.attach(skel.object(), links, programs)?;
                        return Ok((skel, attached));
                    }
                    Err(error) => refuse(hook, error),
                }
            }
        }
        Err(plan::refused(plan.hooks, refusals))
    }

    /// All that are loaded.
    fn programs(&self, plan: &Plan<'_, '_>, hook: &Hook<'_>) -> Vec<(Program, Role)> {
        let followers = FOLLOWERS.into_iter().filter(|_| self.follows());
        plan.programs(hook).into_iter().chain(followers).collect()
    }

    /// Fills the maps of the filters, and attaches what keeps them up to date.
    fn fill(&self, object: &Object) -> Result<Links> {
        let mut links = Links::default();
        // A tool of what no process does has none.
        if object.maps().all(|map| map.name() != "wanted_pids") {
            return Ok(links);
        }
        if self.follows() {
            for (program, _) in FOLLOWERS {
                links.join(Point::Declared.attach(object, program)?);
            }
        }
        fill(object, "wanted_pids", self.filter.pid.iter().map(|pid| pid.get()))?;
        fill(object, "wanted_uids", self.filter.user.iter().copied())?;
        // Their children of now, whose numbers are those of our PID namespace too; those of later
        // are seen already.
        if self.filter.follow {
            fill(object, "wanted_pids", processes::descendants(&self.filter.pid))?;
        }
        self.fill_cgroups(object)?;
        identify_tracer(object)?;
        Ok(links)
    }

    /// Shows the events that are `wanted`, or counts them, until an end is reached; then says what
    /// was lost.
    pub(crate) fn run<E: plain::Plain>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<E>],
        wanted: impl Fn(&Record<'_, E>) -> bool,
    ) -> Result<()> {
        let report = RefCell::new(self.report());
        if let Some(by) = self.count {
            return self.count(object, attached, by, &report);
        }
        let rows = Rows::new(&mut report.borrow_mut(), columns, wanted);
        let needs: &[_] = if rows.name_containers() { &[Need::Containers] } else { &[] };
        let reader = Reader::new(rows, &report);
        let ring = Ring::of(object, &reader)?;
        lifecycle::run(object, attached, None, ring, &report, self.begin(needs)?)
    }

    /// Gives the events to what `consumer` makes, and tells it of the end of each interval.
    pub(crate) fn run_consumer<E: plain::Plain, C: Consumer<E>>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        consumer: impl FnOnce(&mut Report) -> C,
    ) -> Result<()> {
        let report = RefCell::new(self.report());
        let reader = Reader::new(consumer(&mut report.borrow_mut()), &report);
        let ring = Ring::of(object, &reader)?;
        lifecycle::run(object, attached, self.interval, ring, &report, self.begin(&[])?)
    }

    /// The run begins now, with the rights that it needs and no more.
    fn begin(&self, needs: &[Need]) -> Result<Ending> {
        let command: &[_] = if self.options.command.is_empty() { &[] } else { &[Need::Command] };
        let kept = self.rights.kept(&[needs, command].concat());
        let ending = Ending::new(self.options, &kept)?;
        self.note("attached");
        Ok(ending)
    }

    /// The same for a tool whose kernel side prints to trace_pipe.
    pub(crate) fn run_trace_pipe(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<Message>],
    ) -> Result<()> {
        let report = RefCell::new(self.report());
        if let Some(by) = self.count {
            return self.count(object, attached, by, &report);
        }
        let messages = Messages::new(trace_pipe::open()?, columns, &report);
        lifecycle::run(object, attached, None, messages, &report, self.begin(&[])?)
    }

    /// Calls `show` each interval, with its length, until an end is reached, and once more behind
    /// that.
    pub(crate) fn run_intervals<E>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<E>],
        mut show: impl FnMut(&mut Report, &Lines<'_, E>, Duration) -> Result<()>,
    ) -> Result<()> {
        let report = RefCell::new(self.report());
        let lines = report.borrow_mut().lines("interval", columns);
        let show = |report: &mut Report, length| show(report, &lines, length);
        let counted = Counted { report: &report, show };
        lifecycle::run(object, attached, self.interval, counted, &report, self.begin(&[])?)
    }

    fn count(
        &self,
        object: &Object,
        attached: Attached<'_>,
        by: CountBy,
        report: &RefCell<Report>,
    ) -> Result<()> {
        let columns = counts::columns(by, self.kinds);
        let counts = counts::of(object, by, self.kinds, &columns, report)?;
        lifecycle::run(object, attached, self.interval, counts, report, self.begin(&[])?)
    }

    fn follow(&self) -> follow {
        if !self.options.command.is_empty() {
            follow::FOLLOW_COMMAND
        } else if self.filter.follow {
            follow::FOLLOW_PIDS
        } else {
            follow::FOLLOW_NOBODY
        }
    }

    fn report(&self) -> Report {
        Report::new(self.tool, self.options.output.format(), self.buffer)
    }

    fn follows(&self) -> bool {
        self.follow() != follow::FOLLOW_NOBODY
    }

    fn fill_cgroups(&self, object: &Object) -> Result<()> {
        let map = object::map(object, "wanted_cgroups")?;
        for (index, cgroup) in (0u32..).zip(&self.cgroups) {
            let doing = format!("using the cgroup {}", cgroup.path.display());
            let fd = cgroup.dir.as_raw_fd().to_ne_bytes();
            map.update(&index.to_ne_bytes(), &fd, MapFlags::ANY).doing(&doing)?;
        }
        Ok(())
    }

    fn settings(&self, wants: &Wants) -> settings {
        let filter = self.filter;
        let mut settings = settings {
            // A wake-up for each eighth of the ring.
            wake_shift: if wants.at_once { 0 } else { self.buffer.max(1 << 12).ilog2() - 3 },
            by_pid: (!filter.pid.is_empty()).into(),
            by_uid: (!filter.user.is_empty()).into(),
            by_cgroup: u8::try_from(self.cgroups.len()).unwrap_or(u8::MAX),
            follow: u8::try_from(self.follow().0).unwrap_or(0),
            // Counts show none of it.
            collect: if self.count.is_some() { 0 } else { wants.collect },
            max_tail: wants.max_tail,
            ..settings::default()
        };
        let room = settings.prefix.iter_mut();
        let len = room.zip(&wants.prefix).map(|(to, from)| *to = *from).count();
        settings.prefix_len = u32::try_from(len).unwrap_or(0);
        let by = self.count.map_or(count_by::COUNT_OFF, count_by::from);
        settings.count_by = u8::try_from(by.0).unwrap_or(0);
        if let Some(namespace) = processes::own_pid_namespace() {
            (settings.pidns_dev, settings.pidns_ino) = namespace;
        }
        if let Some(name) = &filter.name {
            let name = name.as_encoded_bytes();
            for (to, from) in settings.comm.iter_mut().zip(name) {
                *to = *from;
            }
            settings.by_comm = u8::try_from(name.len()).unwrap_or(0);
        }
        settings
    }

    fn configure(
        &self,
        object: &mut OpenObject,
        programs: &[(Program, Role)],
        wants: &Wants,
    ) -> Result<()> {
        choose_programs(object, programs);
        let mut settings = self.settings(wants);
        let as_perf = tracepoints::choose(object).map_err(|error| no_types().unwrap_or(error))?;
        settings.perf_tracepoints = as_perf.into();
        self.configure_maps(object, &settings, wants)
    }

    fn configure_maps(
        &self,
        object: &mut OpenObject,
        settings: &settings,
        wants: &Wants,
    ) -> Result<()> {
        let doing = "preparing the BPF program";
        let cpus = libbpf_rs::num_possible_cpus().doing(doing)?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        for mut map in object.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            let entries = match name.as_str() {
                ".rodata.settings" => {
                    set_constant(&mut map, settings)?;
                    continue;
                }
                name if wants.without.contains(&name) => {
                    map.set_autocreate(false).doing(doing)?;
                    continue;
                }
                // Without them a start is faster: the kernel waits until one is in the other.
                name if name.starts_with(COUNT_TABLE) && self.count.is_none() => {
                    map.set_autocreate(false).doing(doing)?;
                    continue;
                }
                "events" if self.count.is_some() => 4096,
                "events" => self.buffer,
                "records" => {
                    if let Some(more) = wants.max_tail.checked_sub(LEAST_TAIL) {
                        map.set_value_size(map.value_size() + more).doing(doing)?;
                    }
                    map.max_entries() + (cpus - 1) * SCRATCH_SLOTS
                }
                "wanted_pids" if self.filter.follow => FOLLOWED_MAX,
                "wanted_pids" => at_least_one(self.filter.pid.len()),
                "wanted_cgroups" => at_least_one(self.cgroups.len()),
                "wanted_uids" => at_least_one(self.filter.user.len()),
                "followed" if self.follows() => FOLLOWED_MAX,
                _ => continue,
            };
            map.set_max_entries(entries).doing(doing)?;
        }
        Ok(())
    }
}

/// Loads these and what finds out who the tracer is, and no others.
fn choose_programs(object: &mut OpenObject, programs: &[(Program, Role)]) {
    for mut program in object.progs_mut() {
        let is = |one: Program| program.name() == one.name();
        let wanted = is(common::IDENTIFY_TRACER) || programs.iter().any(|(one, _)| is(*one));
        program.set_autoload(wanted);
        let section = program.section().to_string_lossy().into_owned();
        if matches!(section.as_str(), "uprobe" | "uretprobe") && kernel::has_uprobe_multi() {
            program.set_attach_type(ProgramAttachType::TraceUprobeMulti);
        }
    }
}

fn open<'o, B>(storage: &'o mut MaybeUninit<OpenObject>) -> libbpf_rs::Result<B::Output>
where
    B: SkelBuilder<'o> + Default,
{
    let mut builder = B::default();
    if let Some(types) = kernel_types::path() {
        builder.object_builder_mut().btf_custom_path(types)?;
    }
    builder.open(storage)
}

fn at_least_one(len: usize) -> u32 {
    u32::try_from(len.max(1)).unwrap_or(u32::MAX)
}

fn set_constant(map: &mut OpenMapMut<'_>, value: &settings) -> Result<()> {
    let doing = "preparing the BPF program";
    let bytes = sys::bytes_of(value);
    let place = map.initial_value_mut().ok_or_else(|| Error::new(doing, "no settings in it"))?;
    if place.len() != bytes.len() {
        return Err(Error::new(doing, "its settings have another size than expected"));
    }
    place.copy_from_slice(bytes);
    Ok(())
}

fn fill(object: &Object, name: &str, keys: impl IntoIterator<Item = u32>) -> Result<()> {
    let map = object::map(object, name)?;
    for key in keys {
        let doing = format!("filling the map {name}");
        map.update(&key.to_ne_bytes(), &[1], MapFlags::ANY).doing(doing)?;
    }
    Ok(())
}

/// Lets the kernel side find out who the tracer is: in a container it does not know its own number
/// on the host.
fn identify_tracer(object: &Object) -> Result<()> {
    let program = object::program(object, common::IDENTIFY_TRACER)?;
    program.test_run(Input::default()).doing("identifying this process")?;
    Ok(())
}

const LOADING: &str = "loading the BPF program";

/// Without types no program can be loaded.
fn no_types() -> Option<Error> {
    let error = Error::new(LOADING, "this kernel has no type information (BTF)")
        .hint("a kernel of version 5.10 or later with CONFIG_DEBUG_INFO_BTF=y is needed");
    (!Path::new("/sys/kernel/btf/vmlinux").exists()).then_some(error)
}

/// Why the kernel did not take the program, as far as can be told.
fn explain_load(error: &libbpf_rs::Error) -> Error {
    if let Some(error) = no_types() {
        return error;
    }
    let failure = Error::new(LOADING, error);
    // EPERM; the verifier says EACCES.
    if error.to_string().contains("(os error 1)") {
        return failure.hint(
            "the kernel forbids it even to root: a container that is not privileged, or lockdown",
        );
    }
    if kernel::is_before(5, 10) {
        return failure.hint("Linux 5.10 or later is needed");
    }
    failure.hint("-v shows what the kernel says to it; it should not refuse: please report it")
}
