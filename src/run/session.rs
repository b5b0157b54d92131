//! A tool's run: check, open, configure, load, attach; then `stream` or `counts` does the work.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::Duration;

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Object, OpenMapMut, OpenObject, ProgramAttachType};

use crate::attach::plan::{self, Attached, Hook, Plan, Role};
use crate::attach::tracepoints;
use crate::bpf::programs::{Program, common};
use crate::bpf::shared::types::{packet_settings, settings};
use crate::error::{Context as _, Error, Result};
use crate::escape;
use crate::filter::paths::PathFilter;
use crate::filter::tasks::TaskFilter;
use crate::output::{self, Column, Lines, Name, fields, names, sums};
use crate::record::Record;
use crate::run::capabilities::{self, Need, Rights};
use crate::run::counts::{self, Counting, InKernel};
use crate::run::groups::{Grouped, OutcomeOf};
use crate::run::host::Host;
use crate::run::lifecycle::{self, Counted, Source};
use crate::run::options::{CommonOptions, EventOptions, IntervalOptions, RunOptions, TopOptions};
use crate::run::report::Report;
use crate::run::start;
use crate::run::stop_condition::StopCondition;
use crate::run::stream::{self, Consumer, LEAST_BUFFER, Reader, Ring, Rows};
use crate::run::summary::{Sum, Summary};
use crate::run::trace_pipe::{self, Message, Messages};
use crate::run::traced::Traced;
use crate::system::kernel;
use crate::system::kernel_types;
use crate::system::sys;

/// The most hooks that a tool has.
const HOOKS_MAX: usize = 8;

/// Where a tool's program lives, for each hook that is tried.
#[derive(Debug)]
pub(crate) struct Storage([MaybeUninit<OpenObject>; HOOKS_MAX]);

impl Storage {
    pub(crate) const fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; HOOKS_MAX])
    }
}

/// What a skeleton becomes when it is loaded.
pub(crate) type Loaded<'o, B> = <<B as SkelBuilder<'o>>::Output as OpenSkel<'o>>::Output;

/// A tool that runs with the options of all event tools.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    host: &'a Host,
    filter: TaskFilter<'a>,
    options: &'a RunOptions,
    /// Count events instead of showing them.
    count: Counting,
    /// Between two reports; none but the last where there is none.
    interval: Option<Duration>,
    /// Bytes of the ring.
    buffer: u32,
    counted: String,
    rights: &'static Rights,
    /// What is kept besides, where it is there.
    keeps: &'static [Need],
}

/// How the programs of a tool are loaded, beyond the options of all tools.
#[derive(Debug, Default)]
pub(crate) struct LoadOptions {
    /// Bits of `enum collect`: what its columns need.
    pub(crate) collect: u32,
    /// How many bytes of what has no limit of its own are sent; 0 is the program's own `TAIL_MAX`.
    pub(crate) max_tail: u32,
    /// What absolute names must begin with.
    pub(crate) prefix: Vec<u8>,
    /// Wake the reader for each event, not for a good part of the ring.
    pub(crate) at_once: bool,
    /// Maps that are not needed this time.
    pub(crate) without: Vec<&'static str>,
    /// Of a tool that sees packets.
    pub(crate) packets: packet_settings,
}

impl<E> From<&[&Column<E>]> for LoadOptions {
    /// What these columns need to be shown.
    fn from(columns: &[&Column<E>]) -> Self {
        let collect = columns.iter().fold(0, |bits, column| bits | column.collect);
        Self { collect, ..Self::default() }
    }
}

impl LoadOptions {
    /// And those of `--path` and `--not-path`.
    pub(crate) fn and(self, paths: &PathFilter) -> Self {
        Self { collect: self.collect | paths.collect(), prefix: paths.prefix(), ..self }
    }
}

/// Others take a regular expression where a tool looks for a text.
pub(crate) fn say_if_pattern(host: &Host, option: &str, text: &OsStr) {
    let text = text.as_encoded_bytes();
    let has = |part: &[u8]| text.windows(part.len()).any(|one| one == part);
    if text.starts_with(b"^") || text.ends_with(b"$") || has(b".*") {
        let word = escape::shell_word(text);
        host.messages.say(format_args!("{option} {word} is looked for as it is: it is no pattern"));
    }
}

impl<'a> Session<'a> {
    /// The session of a tool that shows events. Checks that this process may trace what is asked
    /// for.
    ///
    /// # Errors
    ///
    /// When a capability is missing, or a process that is to be traced.
    pub(crate) fn start(host: &'a Host, options: &'a EventOptions) -> Result<Self> {
        let count = Counting::by(options.counted_by().as_deref());
        let has_command = !options.common.run.command.is_empty();
        let session = Self::of_processes(host, &options.common, has_command)?;
        Ok(session.of_events(options, count))
    }

    /// The same for events that may be nobody's: a command does not say whose are meant.
    pub(crate) fn start_of_packets(host: &'a Host, options: &'a EventOptions) -> Result<Self> {
        let count = Counting::by(options.counted_by().as_deref()).of_no_task();
        let session = Self::of_processes(host, &options.common, false)?;
        Ok(session.of_events(options, count))
    }

    fn of_events(self, options: &EventOptions, count: Counting) -> Self {
        let interval = (!count.is_off()).then(|| options.between_reports());
        Self { count, interval, buffer: options.buffer, ..self }
    }

    /// The same, which sums events up: it reports them each interval, or else at the end.
    pub(crate) fn reporting(self, interval: Option<Duration>) -> Self {
        let of_view = self.options.view.live.then_some(Duration::from_secs(1));
        Self { interval: interval.or(of_view), buffer: LEAST_BUFFER, ..self }
    }

    /// The session of a tool that sums events up, and reports them each `interval` unless the user
    /// wants another one; the same otherwise.
    pub(crate) fn start_intervals(
        host: &'a Host,
        options: &'a IntervalOptions,
        interval: Option<Duration>,
    ) -> Result<Self> {
        let has_command = !options.common.run.command.is_empty();
        let session = Self::of_processes(host, &options.common, has_command)?;
        Ok(session.reporting(options.interval.or(interval)))
    }

    /// The session of a tool that reports each interval what no process does.
    ///
    /// # Errors
    ///
    /// When a capability is missing.
    pub(crate) fn start_of_no_process(
        host: &'a Host,
        options: &'a RunOptions,
        interval: Duration,
    ) -> Result<Self> {
        Ok(Self { interval: Some(interval), ..Self::new(host, options)? })
    }

    /// `is_of_command`: only the events of the command are wanted.
    fn of_processes(
        host: &'a Host,
        options: &'a CommonOptions,
        is_of_command: bool,
    ) -> Result<Self> {
        let CommonOptions { filter, run } = options;
        let session = Self::new(host, run)?;
        if let Some(name) = &filter.name {
            say_if_pattern(host, "-n", name);
        }
        let filter = TaskFilter::new(host.tool, filter, is_of_command)?;
        Ok(Self { filter, ..session })
    }

    fn new(host: &'a Host, options: &'a RunOptions) -> Result<Self> {
        if options.view.live {
            host.check_live(&options.output)?;
        }
        let rights = capabilities::check(&host.messages, host.tool)?;
        let filter = TaskFilter::everybody();
        let (count, interval, buffer) = (Counting::Off, None, 0);
        let counted = "events".into();
        Ok(Self { host, filter, options, count, interval, buffer, counted, rights, keeps: &[] })
    }

    /// The same, with a ring of this size.
    pub(crate) fn buffer(self, buffer: u32) -> Self {
        Self { buffer, ..self }
    }

    /// The same, with a name for what it counts, of which there are many: `calls of 3 functions`.
    pub(crate) fn counted(self, counted: String) -> Self {
        Self { counted, ..self }
    }

    /// The same for what takes rights of its own.
    ///
    /// # Errors
    ///
    /// When a capability is missing.
    pub(crate) fn needing(self, of: &str) -> Result<Self> {
        Ok(Self { rights: capabilities::check(&self.host.messages, of)?, ..self })
    }

    /// The same, which keeps these while it traces, where they are there.
    pub(crate) fn keeping(self, keeps: &'static [Need]) -> Self {
        Self { keeps, ..self }
    }

    /// The same, with names for the kinds of events that `--count` tells apart.
    pub(crate) fn kinds(self, kinds: &'static [&'static str]) -> Self {
        Self { count: self.count.of_kinds(kinds), ..self }
    }

    /// The same, where there are only events of this kind, by its number.
    pub(crate) fn of_kind(self, kind: u32) -> Self {
        Self { count: self.count.of_kind(kind), ..self }
    }

    /// The same, with sums of the outcomes of events instead of them, if that is asked for.
    pub(crate) fn summing_up(self, options: &EventOptions, top: &TopOptions) -> Self {
        match top.top {
            Some(_) => {
                let interval = Some(options.between_reports());
                Self { count: Counting::OfOutcomes, interval, ..self }
            }
            None => self,
        }
    }

    /// Are there records of events, with what columns show? None are made of what the kernel counts.
    pub(crate) fn makes_records(&self) -> bool {
        !self.count.is_in_kernel()
    }

    /// Says something to those who asked with `-v`.
    pub(crate) fn note(&self, text: impl AsRef<[u8]>) {
        self.host.messages.note(text);
    }

    /// Loads the programs of the first hook of `plan` that works as a whole, attaches them, what
    /// follows processes, and what is attached besides; with `-v` says why the hooks before it do not
    /// work. `constants` gives a tool's own constants their values.
    ///
    /// # Errors
    ///
    /// When none works: with the reason of each.
    pub(crate) fn attach<'o, 'h, 'p, B>(
        &self,
        storage: &'o mut Storage,
        options: impl Into<LoadOptions>,
        plan: impl Into<Plan<'h, 'p>>,
        constants: impl Fn(&mut B::Output),
    ) -> Result<(Loaded<'o, B>, Attached<'p>)>
    where
        B: SkelBuilder<'o> + Default,
        Loaded<'o, B>: Skel<'o>,
    {
        check_sys()?;
        let (options, mut plan) = (options.into(), plan.into());
        let mut refusals = Vec::new();
        let mut refuse = |hook: &Hook<'_>, error: Error| {
            self.note(format!("hook refused: {}: {}", hook.name, error.line()));
            refusals.push(error);
        };
        let groups = plan.hooks.chunk_by(|a, b| a.is_like(b) && a.impossible().is_none());
        for (group, storage) in groups.zip(&mut storage.0) {
            let programs = self.programs(&plan, group[0]);
            let skel = match self.load::<B>(storage, group[0], &programs, &options, &constants)? {
                Ok(skel) => skel,
                Err(refusal) => {
                    refuse(group[0], refusal);
                    continue;
                }
            };
            let mut links = self.filter.fill(skel.object())?;
            plan.prepare(skel.object())?;
            for hook in group {
                let attach = |done: &_| hook.attach(skel.object(), |text| self.note(text), done);
                let doing = format!("attaching {}{}", hook.name, hook.of_many());
                match self.host.messages.during(&doing, attach) {
                    Ok(attached) => {
                        self.host.messages.hook_in_use(hook.name);
                        links.join(attached);
                        links.join(self.filter.attach_last(skel.object())?);
                        let attached = plan.attach(skel.object(), links, programs)?;
                        return Ok((skel, attached));
                    }
                    Err(error) => refuse(hook, error),
                }
            }
        }
        Err(plan::refused(plan.hooks, refusals))
    }

    /// Loads the programs of a hook, or says why they cannot be used here.
    fn load<'o, B>(
        &self,
        storage: &'o mut MaybeUninit<OpenObject>,
        hook: &Hook<'_>,
        programs: &[(Program, Role)],
        options: &LoadOptions,
        constants: &impl Fn(&mut B::Output),
    ) -> Result<std::result::Result<Loaded<'o, B>, Error>>
    where
        B: SkelBuilder<'o> + Default,
    {
        if let Some(error) = hook.impossible() {
            return Ok(Err(error));
        }
        let mut open = open::<B>(storage).doing(PREPARING)?;
        self.configure(open.open_object_mut(), programs, options)?;
        // Not every kernel has the function, or tells its type.
        if let Err(error) = hook.set_targets(open.open_object_mut()) {
            return Ok(Err(error));
        }
        constants(&mut open);
        let loaded = self.host.messages.during("loading the BPF programs", |_| open.load());
        Ok(loaded.map_err(|error| explain_load(&error)))
    }

    /// All that are loaded.
    fn programs(&self, plan: &Plan<'_, '_>, hook: &Hook<'_>) -> Vec<(Program, Role)> {
        plan.programs(hook).into_iter().chain(self.filter.programs()).collect()
    }

    /// Shows the events that are `wanted`, or counts them, until an end is reached; then says what
    /// was lost.
    pub(crate) fn run<E: plain::Plain + Clone>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<E>],
        wanted: impl Fn(&Record<'_, E>) -> bool,
    ) -> Result<()> {
        self.run_events(object, attached, columns, None, wanted)
    }

    /// The same for events of which `outcome` tells more: `--top` sums that up.
    pub(crate) fn run_outcomes<E: plain::Plain + Clone>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<E>],
        outcome: OutcomeOf<E>,
    ) -> Result<()> {
        let outcome = matches!(self.count, Counting::OfOutcomes).then_some(outcome);
        self.run_events(object, attached, columns, outcome, |_| true)
    }

    fn run_events<E: plain::Plain + Clone>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<E>],
        outcome: Option<OutcomeOf<E>>,
        wanted: impl Fn(&Record<'_, E>) -> bool,
    ) -> Result<()> {
        let report = RefCell::new(self.report());
        if let Counting::InKernel(by) = &self.count {
            return self.count(object, attached, by, &report);
        }
        let consumer = self.consumer(&report, columns, outcome, wanted)?;
        let reader = Reader::new(consumer, &report, &self.host.stop);
        let mut ring = Ring::of(object, &reader)?;
        self.run_source(object, attached, &mut ring, &report, needs_of(columns))
    }

    /// The same for a tool whose kernel side prints to trace_pipe.
    pub(crate) fn run_trace_pipe(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<Message>],
    ) -> Result<()> {
        let report = RefCell::new(self.report());
        if let Counting::InKernel(by) = &self.count {
            return self.count(object, attached, by, &report);
        }
        let consumer = self.consumer(&report, columns, None, |_| true)?;
        let mut messages = Messages::new(trace_pipe::open()?, consumer, &report);
        self.run_source(object, attached, &mut messages, &report, needs_of(columns))
    }

    /// What shows the events that are `wanted`, or counts them by these columns.
    fn consumer<'c, E: Clone>(
        &self,
        report: &RefCell<Report>,
        columns: &'c [&'c Column<E>],
        outcome: Option<OutcomeOf<E>>,
        wanted: impl Fn(&Record<'_, E>) -> bool + 'c,
    ) -> Result<Box<dyn Consumer<E> + 'c>> {
        let report = &mut report.borrow_mut();
        if self.count.is_off() {
            self.check_sort(columns, false)?;
            return Ok(Box::new(Rows::new(report, columns, wanted)));
        }
        self.check_sort(&sums::columns(columns, outcome.is_some()), true)?;
        Ok(Box::new(Grouped::new(report, columns, outcome, wanted)))
    }

    /// Gives the events to what `consumer` makes, and tells it of the end of each interval. The rows
    /// that it shows then, of these columns, can be sorted if they are `in_reports`.
    pub(crate) fn run_consumer<E: plain::Plain, R, C: Consumer<E>>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<R>],
        in_reports: bool,
        consumer: impl FnOnce(&mut Report) -> C,
    ) -> Result<()> {
        self.check_sort(columns, in_reports)?;
        let report = RefCell::new(self.report());
        let reader = Reader::new(consumer(&mut report.borrow_mut()), &report, &self.host.stop);
        let mut ring = Ring::of(object, &reader)?;
        self.run_source(object, attached, &mut ring, &report, &[])
    }

    /// Reads it from now on until an end is reached; `needs` are rights that it takes.
    fn run_source(
        &self,
        object: &Object,
        attached: Attached<'_>,
        source: &mut dyn Source,
        report: &RefCell<Report>,
        needs: &[Need],
    ) -> Result<()> {
        let start = report.borrow().is_json().then(|| start::now(self.host));
        let condition = self.begin(object, needs)?;
        report.borrow_mut().start(start);
        lifecycle::run(object, attached, self.interval, source, report, condition)
    }

    /// The run begins now, with the rights that it needs and no more.
    fn begin<'s>(&'s self, object: &'s Object, needs: &[Need]) -> Result<StopCondition<'s>> {
        let command: &[_] = if self.options.command.is_empty() { &[] } else { &[Need::Command] };
        let kept = self.rights.kept(&[needs, command, self.keeps].concat());
        let traced = Traced::new(&self.filter, object);
        let condition = StopCondition::new(self.host, self.options, &kept, traced)?;
        self.note("attached");
        Ok(condition)
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
        self.check_sort(columns, true)?;
        let report = RefCell::new(self.report());
        let lines = report.borrow_mut().lines_of_summary(columns);
        let show = |report: &mut Report, length| show(report, &lines, length);
        let mut counted = Counted { report: &report, silent: self.silent(), show };
        self.run_source(object, attached, &mut counted, &report, needs_of(columns))
    }

    /// Shows each interval the rows that `read` makes, of its length, until an end is reached, and
    /// once more after that.
    pub(crate) fn run_summary<R: Sum>(
        &self,
        object: &Object,
        attached: Attached<'_>,
        columns: &[&Column<R>],
        mut read: impl FnMut(&mut Summary<R>, Duration) -> Result<()>,
    ) -> Result<()> {
        self.run_intervals(object, attached, columns, |report, lines, length| {
            let mut rows = Summary::new();
            let done = read(&mut rows, length);
            // What could be read is shown all the same.
            rows.show(report, lines);
            done
        })
    }

    fn count(
        &self,
        object: &Object,
        attached: Attached<'_>,
        by: &InKernel,
        report: &RefCell<Report>,
    ) -> Result<()> {
        let columns = by.columns();
        self.check_sort(&columns, true)?;
        let mut counts = by.source(object, &columns, report, self.silent())?;
        self.run_source(object, attached, &mut counts, report, needs_of(&columns))
    }

    /// What is counted, where that is not seen before the end.
    fn silent(&self) -> Option<String> {
        self.interval.is_none().then(|| self.counted.clone())
    }

    fn report(&self) -> Report {
        Report::new(self.host, &self.options.output, &self.options.view, self.buffer)
    }

    /// Can rows of these columns be sorted as the user wants, where they are `in_reports`?
    fn check_sort<E>(&self, columns: &[&Column<E>], in_reports: bool) -> Result<()> {
        self.check_sort_by(&names(columns), in_reports)
    }

    fn check_sort_by(&self, names: &[Name], in_reports: bool) -> Result<()> {
        let view = &self.options.view;
        let Some(field) = &view.sort else { return Ok(()) };
        if !in_reports && !view.live {
            return Err(Error::usage("--sort", "these rows have an order of their own")
                .hint("--live sorts those that it shows"));
        }
        match output::find(names, field) {
            Some(_) => Ok(()),
            None => Err(fields::unknown("--sort", names, field)),
        }
    }

    fn settings(&self, options: &LoadOptions) -> settings {
        // A wake-up for each eighth of the ring.
        let eighth = self.buffer.max(1 << 12).ilog2() as u8 - 3;
        let mut settings = settings {
            wake_shift: if options.at_once { 0 } else { eighth },
            // Counts show none of it.
            collect: if self.count.is_in_kernel() { 0 } else { options.collect },
            max_tail: options.max_tail,
            count_by: self.count.in_kernel(),
            ..settings::default()
        };
        let room = settings.prefix.iter_mut();
        let len = room.zip(&options.prefix).map(|(to, from)| *to = *from).count();
        settings.prefix_len = u32::try_from(len).unwrap_or(0);
        self.filter.configure(&mut settings);
        settings
    }

    fn configure(
        &self,
        object: &mut OpenObject,
        programs: &[(Program, Role)],
        options: &LoadOptions,
    ) -> Result<()> {
        choose_programs(object, programs);
        let mut settings = self.settings(options);
        let as_perf = tracepoints::choose(object).map_err(|error| no_types().unwrap_or(error))?;
        settings.perf_tracepoints = as_perf.into();
        self.configure_maps(object, &settings, options)
    }

    /// Each part has its own maps.
    fn configure_maps(
        &self,
        object: &mut OpenObject,
        settings: &settings,
        options: &LoadOptions,
    ) -> Result<()> {
        let counts = self.count.is_in_kernel();
        let buffer = if counts { LEAST_BUFFER } else { self.buffer };
        for mut map in object.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            let constant = match name.as_str() {
                ".rodata.settings" => Some(sys::bytes_of(settings)),
                ".rodata.packets" => Some(sys::bytes_of(&options.packets)),
                _ => None,
            };
            if let Some(value) = constant {
                set_constant(&mut map, value)?;
                continue;
            }
            let done = match options.without.contains(&name.as_str()) {
                true => map.set_autocreate(false),
                false => counts::prepare(&name, &mut map, counts)
                    .and_then(|()| stream::prepare(&name, &mut map, buffer, options.max_tail))
                    .and_then(|()| self.filter.prepare(&name, &mut map)),
            };
            done.doing(PREPARING)?;
        }
        Ok(())
    }
}

/// What showing these takes.
fn needs_of<E>(columns: &[&Column<E>]) -> &'static [Need] {
    if columns.iter().any(|column| column.is_of_container()) { &[Need::Cgroups] } else { &[] }
}

fn check_sys() -> Result<()> {
    match Path::new("/sys/kernel").exists() {
        true => Ok(()),
        false => {
            Err(Error::new(PREPARING, "/sys is not mounted").hint("mount -t sysfs sysfs /sys"))
        }
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
    sys::load_programs_for_types();
    let mut builder = B::default();
    if let Some(types) = kernel_types::path() {
        builder.object_builder_mut().btf_custom_path(types)?;
    }
    builder.open(storage)
}

fn set_constant(map: &mut OpenMapMut<'_>, bytes: &[u8]) -> Result<()> {
    let place =
        map.initial_value_mut().ok_or_else(|| Error::new(PREPARING, "no settings in it"))?;
    if place.len() != bytes.len() {
        return Err(Error::new(PREPARING, "its settings have another size than expected"));
    }
    place.copy_from_slice(bytes);
    Ok(())
}

const PREPARING: &str = "preparing the BPF program";
const LOADING: &str = "loading the BPF program";

/// Without types no program can be loaded.
fn no_types() -> Option<Error> {
    let error =
        Error::new(LOADING, "this kernel has no type information (BTF)").hint(kernel_types::NEEDED);
    (!Path::new(kernel_types::TYPES).exists()).then_some(error)
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
