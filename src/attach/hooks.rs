//! Where a tool's programs are attached. A kernel has not every hook, or does not let it be used:
//! a tool names several ways, they are tried in order, and the first that works is taken.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use libbpf_rs::{
    Link, Map, MapCore as _, Object, OpenObject, ProgramAttachType, ProgramMut, ProgramType,
    UprobeMultiOpts,
};

use crate::attach::tracepoints;
use crate::error::{Context as _, Error, Result};
use crate::run::signals;
use crate::system::foreign::ForeignFile;
use crate::system::kernel;
use crate::system::sys;

/// What is attached; dropped, it is detached.
pub(crate) trait Attached {
    /// Called about once a second: attaches to what has come, detaches from what has gone.
    fn refresh(&mut self, _: &Object) -> Result<()> {
        Ok(())
    }

    /// How many files could not be attached to, so that what happened in them is not known.
    fn unattached(&self) -> u64 {
        0
    }
}

/// What is attached to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
    /// Of functions' entries: they go first, or the calls that begin while the others go would not
    /// be seen to return.
    entries: Vec<Link>,
}

/// So many probes can be attached with the files that a process may have open at the least.
const FEW: usize = 100;

/// As many are detached at a time.
const DETACHERS: usize = 32;
/// How long a signal may go unnoticed meanwhile.
const TICK: Duration = Duration::from_millis(50);

impl Links {
    pub(crate) fn add(&mut self, links: impl IntoIterator<Item = Link>) {
        self.links.extend(links);
    }

    /// The same with what another one has.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.links.append(&mut other.links);
        self.entries.append(&mut other.entries);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.entries.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<Link> {
        let mut links = std::mem::take(&mut self.entries);
        links.append(&mut self.links);
        links
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        detach(std::mem::take(&mut self.entries));
        detach(std::mem::take(&mut self.links));
    }
}

/// Many at a time: for each uprobe the kernel waits until no CPU can be in it any more, which takes a
/// tenth of a second. When a signal's time is over, the rest is left to the end of this process: see
/// [`is_detaching`].
fn detach(links: Vec<Link>) {
    let detachers = links.len().min(DETACHERS);
    let links = Arc::new(Mutex::new(links.into_iter()));
    let (running, has_ended) = mpsc::channel::<()>();
    for _ in 0..detachers {
        let (links, running) = (links.clone(), running.clone());
        let detach = move || {
            while let Some(link) = next(&links) {
                drop(link);
            }
            drop(running);
        };
        // With fewer threads it takes longer.
        let _ = thread::Builder::new().spawn(detach);
    }
    drop(running);
    while has_ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        if signals::are_overdue() {
            IS_DETACHING.store(true, Ordering::Relaxed);
            break;
        }
    }
}

static IS_DETACHING: AtomicBool = AtomicBool::new(false);

/// Is something still being detached, by a thread that nobody waits for? Then nothing that belongs
/// to it may be freed any more: this process has to end as it is.
pub(crate) fn is_detaching() -> bool {
    IS_DETACHING.load(Ordering::Relaxed)
}

fn next(links: &Mutex<impl Iterator<Item = Link>>) -> Option<Link> {
    links.lock().ok().and_then(|mut links| links.next())
}

impl Attached for Links {}

impl<A: Attached, B: Attached> Attached for (A, B) {
    fn refresh(&mut self, object: &Object) -> Result<()> {
        self.0.refresh(object)?;
        self.1.refresh(object)
    }

    fn unattached(&self) -> u64 {
        self.0.unattached() + self.1.unattached()
    }
}

/// libbpf's "every process" for a uprobe.
const ANY_PROCESS: i32 = -1;

/// One way to see a tool's events.
#[derive(Debug)]
pub(crate) struct Hook<'a> {
    /// What it is called with `-v`.
    pub(crate) name: &'a str,
    /// All of these, together.
    pub(crate) probes: &'a [Probe<'a>],
}

/// One program and its place.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    /// The program's name in the `.bpf.c`.
    pub(crate) program: &'a str,
    /// Where it goes.
    pub(crate) at: At<'a>,
    /// Not every architecture has it: go on without.
    pub(crate) optional: bool,
}

/// A place for a program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    /// Where its `SEC()` says.
    Declared,
    /// The tool attaches it itself, as files appear in which its function is.
    Later,
    /// The entry of a kernel function, cheaper than a kprobe.
    Fentry(&'a str),
    /// The return of a kernel function, with its arguments: cheaper than a kretprobe.
    Fexit(&'a str),
    /// The entries, or the returns, of many kernel functions at once.
    KprobeMulti {
        /// Their names.
        functions: &'a [&'a str],
        /// When they return.
        at_return: bool,
    },
    /// The returns of kernel functions, and their entries for another program: of those functions
    /// that can be traced, if there is one.
    KprobePairs {
        /// Their names.
        functions: &'a [&'a str],
        /// The program for the entries.
        entry: &'a str,
    },
    /// The entry of a kernel function.
    Kprobe(&'a str),
    /// The return of a kernel function.
    Kretprobe(&'a str),
    /// The entries of user functions.
    Uprobes {
        /// Where they are.
        file: &'a ForeignFile,
        /// Where in the file.
        offsets: &'a [u64],
        /// What tells the program which one it is, for each, where the kernel can.
        cookies: &'a [u64],
        /// In these processes; in all, without any.
        pids: &'a [i32],
    },
    /// The returns of user functions.
    Uretprobes {
        /// Where they are.
        file: &'a ForeignFile,
        /// Where in the file.
        offsets: &'a [u64],
        /// What tells the program which one it is, for each, where the kernel can.
        cookies: &'a [u64],
        /// In these processes; in all, without any.
        pids: &'a [i32],
    },
    /// A probe that a program's author put there.
    Usdt {
        /// Where it is.
        file: &'a ForeignFile,
        /// Whose it is, like `postgresql`.
        provider: &'a str,
        /// What it is called.
        name: &'a str,
    },
}

impl<'a> Probe<'a> {
    pub(crate) const fn new(program: &'a str, at: At<'a>) -> Self {
        Self { program, at, optional: false }
    }

    pub(crate) const fn optional(program: &'a str, at: At<'a>) -> Self {
        Self { program, at, optional: true }
    }

    /// Attaches it, and keeps entries apart.
    fn attach_all(&self, object: &Object) -> Result<Links> {
        if let At::KprobePairs { functions, entry } = self.at {
            let programs = (program(object, self.program)?, program(object, entry)?);
            return attach_pairs(&programs.0, &programs.1, functions)
                .map_err(|error| Error::new(self.at, cause(&error)));
        }
        let attached = self.attach(object)?;
        Ok(match self.at.is_entry() {
            true => Links { links: Vec::new(), entries: attached },
            false => Links { links: attached, entries: Vec::new() },
        })
    }

    pub(crate) fn attach(&self, object: &Object) -> Result<Vec<Link>> {
        let program = program(object, self.program)?;
        let link = match self.at {
            At::Declared => tracepoints::attach(&program),
            At::Fentry(_) | At::Fexit(_) | At::Later => program.attach(),
            At::KprobeMulti { functions, at_return } => {
                program.attach_kprobe_multi(at_return, functions.to_vec())
            }
            At::KprobePairs { .. } => return Ok(self.attach_all(object)?.take()),
            At::Kprobe(function) => program.attach_kprobe(false, function),
            At::Kretprobe(function) => program.attach_kprobe(true, function),
            At::Usdt { file, provider, name } => {
                // libbpf reads it in a mapping.
                sys::survive_cut_files().doing(self.at)?;
                program.attach_usdt(ANY_PROCESS, file.path(), provider, name)
            }
            At::Uprobes { file, offsets, cookies, pids }
            | At::Uretprobes { file, offsets, cookies, pids } => {
                let options = UprobeMultiOpts {
                    offsets: to_usize(offsets)?,
                    cookies: cookies.to_vec(),
                    retprobe: matches!(self.at, At::Uretprobes { .. }),
                    ..UprobeMultiOpts::default()
                };
                let mut links = Vec::new();
                for pid in if pids.is_empty() { &[ANY_PROCESS] } else { pids } {
                    let attached = attach_uprobes(&program, *pid, &file.path(), options.clone());
                    links.extend(attached.map_err(|error| Error::new(self.at, cause(&error)))?);
                }
                return Ok(links);
            }
        };
        Ok(vec![link.map_err(|error| Error::new(self.at, cause(&error)))?])
    }
}

/// Both probes of a function, or none: one without the other would spoil the times of its callers.
fn attach_pairs(
    at_return: &ProgramMut<'_>,
    at_entry: &ProgramMut<'_>,
    functions: &[&str],
) -> libbpf_rs::Result<Links> {
    let pair = |function: &&str| {
        let link = at_return.attach_kprobe(true, function)?;
        Ok((link, at_entry.attach_kprobe(false, function)?))
    };
    if functions.len() > FEW {
        sys::open_more_files();
    }
    let mut links = Links::default();
    let mut failure = None;
    for pair in functions.iter().map(pair) {
        match pair {
            Ok((at_return, at_entry)) => {
                links.links.push(at_return);
                links.entries.push(at_entry);
            }
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if links.is_empty() => Err(error),
        _ => Ok(links),
    }
}

fn to_usize(offsets: &[u64]) -> Result<Vec<usize>> {
    offsets.iter().map(|offset| usize::try_from(*offset).doing("attaching")).collect()
}

/// One link for all, where the kernel has such links.
fn attach_uprobes(
    program: &ProgramMut<'_>,
    pid: i32,
    file: &Path,
    options: UprobeMultiOpts,
) -> libbpf_rs::Result<Vec<Link>> {
    if kernel::has_uprobe_multi() {
        return Ok(vec![program.attach_uprobe_multi_with_opts(pid, file, "", options)?]);
    }
    if options.offsets.len() > FEW {
        sys::open_more_files();
    }
    let attach = |offset: &usize| program.attach_uprobe(options.retprobe, pid, file, *offset);
    options.offsets.iter().map(attach).collect()
}

impl<'a> At<'a> {
    pub(crate) const fn kprobe_multi(functions: &'a [&'a str], at_return: bool) -> Self {
        At::KprobeMulti { functions, at_return }
    }

    /// The kernel function that a program must be given before it is loaded.
    fn target(self) -> Option<&'a str> {
        match self {
            At::Fentry(function) | At::Fexit(function) => Some(function),
            _ => None,
        }
    }

    /// Is a program loaded in the same way for the other place?
    fn loads_like(self, other: At<'_>) -> bool {
        let is_multi = |at| matches!(at, At::KprobeMulti { .. });
        self.target() == other.target() && is_multi(self) == is_multi(other)
    }

    fn is_entry(self) -> bool {
        matches!(
            self,
            At::Fentry(_)
                | At::Kprobe(_)
                | At::KprobeMulti { at_return: false, .. }
                | At::Uprobes { .. }
        )
    }
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            At::Declared | At::Later => f.write_str("program"),
            At::Fentry(function) => write!(f, "fentry {function}"),
            At::Fexit(function) => write!(f, "fexit {function}"),
            At::KprobeMulti { functions, .. } => match functions {
                [function] => write!(f, "kprobe.multi {function}"),
                many => write!(f, "kprobe.multi of {} functions", many.len()),
            },
            At::KprobePairs { functions, .. } => match functions {
                [function] => write!(f, "kprobe and kretprobe {function}"),
                many => write!(f, "kprobes and kretprobes of {} functions", many.len()),
            },
            At::Kprobe(function) => write!(f, "kprobe {function}"),
            At::Kretprobe(function) => write!(f, "kretprobe {function}"),
            At::Usdt { file, provider, name } => {
                write!(f, "USDT {provider}:{name} of {file}")
            }
            At::Uprobes { file, offsets, .. } => write_uprobes(f, "uprobe", file, offsets),
            At::Uretprobes { file, offsets, .. } => write_uprobes(f, "uretprobe", file, offsets),
        }
    }
}

fn write_uprobes(
    f: &mut Formatter<'_>,
    kind: &str,
    file: &ForeignFile,
    offsets: &[u64],
) -> fmt::Result {
    match offsets {
        [offset] => write!(f, "{kind} {file} at offset {offset:#x}"),
        many => write!(f, "{kind} {file} at {} offsets", many.len()),
    }
}

/// The system's own reason, without libbpf-rs's words before it and the number behind.
pub(crate) fn cause(error: &libbpf_rs::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

impl Hook<'_> {
    /// Why it cannot work here, where that is known before anything is loaded.
    pub(crate) fn impossible(&self) -> Option<Error> {
        self.probes.iter().find_map(|probe| {
            let cause = match probe.at {
                At::Kprobe(_)
                | At::Kretprobe(_)
                | At::KprobeMulti { .. }
                | At::KprobePairs { .. }
                    if !Path::new("/sys/bus/event_source/devices/kprobe").exists() =>
                {
                    "this kernel has no kprobes"
                }
                At::Fentry(_) | At::Fexit(_)
                    if !ProgramType::Tracing.is_supported().unwrap_or(true) =>
                {
                    "this kernel has no fentry and fexit programs, or forbids them"
                }
                _ => return None,
            };
            Some(Error::new(probe.at, cause))
        })
    }

    /// Gives each program what it must have before it is loaded: its kind, and its kernel function.
    ///
    /// # Errors
    ///
    /// When the kernel's types have no function of that name.
    pub(crate) fn set_targets(&self, object: &mut OpenObject) -> Result<()> {
        for mut program in object.progs_mut() {
            let probe = self.probes.iter().find(|probe| program.name() == probe.program);
            let Some(probe) = probe else { continue };
            if matches!(probe.at, At::KprobeMulti { .. }) {
                program.set_attach_type(ProgramAttachType::KprobeMulti);
            }
            let Some(function) = probe.at.target() else { continue };
            match program.set_attach_target(0, Some(function.into())) {
                Err(_) if probe.optional => program.set_autoload(false),
                Err(error) => return Err(Error::new(probe.at, cause(&error))),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Has it the program of this name?
    pub(crate) fn uses(&self, program: &str) -> bool {
        let is_entry = |at| matches!(at, At::KprobePairs { entry, .. } if entry == program);
        self.probes.iter().any(|probe| probe.program == program || is_entry(probe.at))
    }

    /// Does it attach the same programs, to other places? Those that are loaded for a function go
    /// to no other one.
    pub(crate) fn is_like(&self, other: &Hook<'_>) -> bool {
        let mut pairs = self.probes.iter().zip(other.probes);
        self.probes.len() == other.probes.len()
            && pairs.all(|(a, b)| a.program == b.program && a.at.loads_like(b.at))
    }

    /// Attaches all probes, or none.
    pub(crate) fn attach(&self, object: &Object, note: impl Fn(&str)) -> Result<Links> {
        let mut links = Links::default();
        for probe in self.probes.iter().filter(|probe| !matches!(probe.at, At::Later)) {
            match probe.attach_all(object) {
                Ok(attached) => links.join(attached),
                Err(error) if probe.optional => note(&format!("not here: {error}")),
                Err(error) => return Err(error),
            }
        }
        Ok(links)
    }
}

/// None of `hooks` works: with the reason of each.
pub(crate) fn refused(hooks: &[&Hook<'_>], mut refusals: Vec<Error>) -> Error {
    refusals.dedup_by_key(|error| error.to_string());
    if refusals.len() == 1 && refusals[0].has_hint() {
        return refusals.remove(0);
    }
    let reasons = refusals.iter().map(Error::line).collect::<Vec<_>>();
    let error = Error::new("attaching", reasons.join("; "));
    if hooks.iter().all(|hook| hook.impossible().is_some()) {
        error.hint(
            "this kernel lets none of its own functions be traced; functions of programs can be",
        )
    } else {
        error.hint("-v shows what the kernel said; a container must be privileged")
    }
}

/// A program by its name.
pub(crate) fn program<'o>(object: &'o Object, name: &str) -> Result<ProgramMut<'o>> {
    let found = object.progs_mut().find(|program| program.name() == name);
    found.ok_or_else(|| Error::new("attaching", format!("there is no program {name}")))
}

/// A map by its name.
pub(crate) fn map<'o>(object: &'o Object, name: &str) -> Result<Map<'o>> {
    let found = object.maps().find(|map| map.name() == name);
    found.ok_or_else(|| Error::new(format!("looking for the map {name}"), "the program has none"))
}
