//! What a tool attaches. A kernel has not every hook, or does not let it be used: a tool names
//! several, they are tried in order, and the first that works as a whole is used. What comes and goes
//! while it runs (files of programs, CPUs, an interface) is attached besides.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::AtomicUsize;

use libbpf_rs::{Object, OpenObject, ProgramAttachType};

use crate::attach::links::Links;
use crate::attach::points::Point;
use crate::bpf::object::{self, cause};
use crate::bpf::programs::Program;
use crate::error::{Error, Result};
use crate::system::kernel_types;
use crate::system::stop::Stop;

/// What a program is for: what it means that the kernel has skipped it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// It sees events: one was lost.
    Events,
    /// It sees calls return whose entry was seen: a call is missed, or unfinished, and counted so.
    Returns,
    /// It sees threads and processes end: what is kept of one is found out later, or a call is
    /// unfinished. New kernels preempt such programs while others end.
    ClearsUp,
    /// It sees whose something is: that of one is not known.
    Owners,
    /// It sees what else is told of an event: of one it is not known.
    Details,
    /// The tracer itself runs it, or it sees what the tracer does on purpose: none.
    Tracer,
}

/// One program and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'a> {
    program: Program,
    role: Role,
    at: Point<'a>,
    /// Not every architecture has it: go on without.
    is_optional: bool,
}

impl<'a> Probe<'a> {
    const fn new(program: Program, role: Role, at: Point<'a>) -> Self {
        Self { program, role, at, is_optional: false }
    }

    /// A program that sees events.
    pub(crate) const fn events(program: Program, at: Point<'a>) -> Self {
        Self::new(program, Role::Events, at)
    }

    /// One that sees returns.
    pub(crate) const fn returns(program: Program, at: Point<'a>) -> Self {
        Self::new(program, Role::Returns, at)
    }

    /// One that sees whose something is.
    pub(crate) const fn owners(program: Program, at: Point<'a>) -> Self {
        Self::new(program, Role::Owners, at)
    }

    /// One that forgets threads that end, and shows none of it.
    pub(crate) const fn clears_up(program: Program) -> Self {
        Self::new(program, Role::ClearsUp, Point::Declared)
    }

    /// The same, where the kernel has its place.
    #[must_use]
    pub(crate) const fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }

    /// Its program, and another one that goes to the same place.
    fn programs(&self) -> impl Iterator<Item = (Program, Role)> {
        let entry = match self.at {
            Point::KprobePairs { entry, .. } => Some((entry, Role::Events)),
            _ => None,
        };
        [(self.program, self.role)].into_iter().chain(entry)
    }
}

/// One way to see a tool's events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook<'a> {
    /// What it is called with `-v`.
    pub(crate) name: &'a str,
    /// All of these, together.
    pub(crate) probes: &'a [Probe<'a>],
}

/// What has programs, is attached when they are loaded, looked after, and detached when it is dropped.
pub(crate) trait Attachment {
    /// Its programs, and what they are for.
    fn programs(&self) -> Vec<(Program, Role)>;

    /// Fills its maps, before anything is attached.
    ///
    /// # Errors
    ///
    /// When there is nothing to attach to.
    fn prepare(&mut self, _: &Object) -> Result<()> {
        Ok(())
    }

    /// Attaches to what there is.
    ///
    /// # Errors
    ///
    /// When nothing can be attached to, and nothing will come.
    fn attach(&mut self, object: &Object) -> Result<()>;

    /// Called about once a second: attaches to what has come, detaches from what has gone.
    ///
    /// # Errors
    ///
    /// When it has gone for good.
    fn refresh(&mut self, _: &Object) -> Result<()> {
        Ok(())
    }

    /// How many files could not be attached to, so that what happened in them is not known.
    fn unattached(&self) -> u64 {
        0
    }

    /// Gives what takes long to detach.
    fn take_links(&mut self) -> Links {
        Links::default()
    }
}

/// What a tool attaches.
pub(crate) struct Plan<'h, 'a> {
    /// The first of these that works.
    pub(crate) hooks: &'h [&'h Hook<'h>],
    /// And this.
    also: Option<Box<dyn Attachment + 'a>>,
}

impl<'h, 'a> Plan<'h, 'a> {
    pub(crate) const fn new(hooks: &'h [&'h Hook<'h>]) -> Self {
        Self { hooks, also: None }
    }

    /// The same, and what comes and goes.
    pub(crate) fn and(self, also: impl Attachment + 'a) -> Self {
        Self { also: Some(Box::new(also)), ..self }
    }

    /// The programs of one of its hooks, and of what is attached besides.
    pub(crate) fn programs(&self, hook: &Hook<'_>) -> Vec<(Program, Role)> {
        let also = self.also.as_ref().map(|also| also.programs()).unwrap_or_default();
        hook.probes.iter().flat_map(Probe::programs).chain(also).collect()
    }

    /// See [`Attachment::prepare`].
    pub(crate) fn prepare(&mut self, object: &Object) -> Result<()> {
        self.also.as_mut().map_or(Ok(()), |also| also.prepare(object))
    }

    /// Attaches what is attached besides; `links` are a hook's, `programs` all that are loaded.
    pub(crate) fn attach(
        self,
        object: &Object,
        links: Links,
        programs: Vec<(Program, Role)>,
    ) -> Result<Attached<'a>> {
        let mut also = self.also;
        also.as_mut().map_or(Ok(()), |also| also.attach(object))?;
        Ok(Attached { also, links, programs })
    }
}

/// Hooks and nothing else.
impl<'h, const N: usize> From<&'h [&'h Hook<'h>; N]> for Plan<'h, '_> {
    fn from(hooks: &'h [&'h Hook<'h>; N]) -> Self {
        Self::new(hooks)
    }
}

/// What is attached; dropped, it is detached.
pub(crate) struct Attached<'a> {
    also: Option<Box<dyn Attachment + 'a>>,
    links: Links,
    programs: Vec<(Program, Role)>,
}

impl Debug for Attached<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("programs", &self.programs).finish_non_exhaustive()
    }
}

impl Attached<'_> {
    /// See [`Attachment::refresh`].
    pub(crate) fn refresh(&mut self, object: &Object) -> Result<()> {
        self.also.as_mut().map_or(Ok(()), |also| also.refresh(object))
    }

    /// See [`Attachment::unattached`].
    pub(crate) fn unattached(&self) -> u64 {
        self.also.as_ref().map_or(0, |also| also.unattached())
    }

    /// Detaches everything, but does not wait longer than the end may take.
    pub(crate) fn detach(mut self, stop: &Stop) {
        if let Some(mut also) = self.also.take() {
            also.take_links().detach(stop);
        }
        self.links.detach(stop);
    }

    /// The programs that see events.
    pub(crate) fn seeing(&self) -> Vec<Program> {
        let seeing = self.programs.iter().filter(|(_, role)| *role == Role::Events);
        seeing.map(|(program, _)| *program).collect()
    }
}

impl Hook<'_> {
    /// Why it cannot work here, where that is known before anything is loaded.
    pub(crate) fn impossible(&self) -> Option<Error> {
        let needed = self.probes.iter().filter(|probe| !probe.is_optional);
        needed.map(|probe| probe.at).find_map(Point::impossible)
    }

    /// Gives each program what it must have before it is loaded: its kind, and its kernel function.
    ///
    /// # Errors
    ///
    /// When the kernel's types have no function of that name.
    pub(crate) fn set_targets(&self, object: &mut OpenObject) -> Result<()> {
        let functions = self.probes.iter().filter_map(|probe| probe.at.function());
        let numbers = kernel_types::functions(&functions.collect::<Vec<_>>());
        for mut program in object.progs_mut() {
            let probe = self.probes.iter().find(|probe| program.name() == probe.program.name());
            let Some(probe) = probe else { continue };
            if probe.at.is_multi() {
                program.set_attach_type(ProgramAttachType::KprobeMulti);
            }
            let Some((function, kind)) = probe.at.target() else { continue };
            let number = numbers.iter().find(|(name, _)| *name == function);
            match object::load_for(&mut program, kind, function, number.map(|(_, number)| *number))
            {
                Err(_) if probe.is_optional => program.set_autoload(false),
                Err(error) => return Err(Error::new(probe.at, cause(&error))),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Does it attach the same programs, to other places? Those that are loaded for a function go
    /// to no other one.
    pub(crate) fn is_like(&self, other: &Hook<'_>) -> bool {
        let mut pairs = self.probes.iter().zip(other.probes);
        self.probes.len() == other.probes.len()
            && pairs.all(|(a, b)| a.program == b.program && a.at.loads_like(b.at))
    }

    /// ` of 700 functions`, where it goes to many.
    pub(crate) fn of_many(&self) -> String {
        match self.probes.iter().map(|probe| probe.at.functions()).max() {
            Some(many @ 2..) => format!(" of {many} functions"),
            _ => String::new(),
        }
    }

    /// Attaches all probes, or none; counts in `done` where that takes long.
    pub(crate) fn attach(
        &self,
        object: &Object,
        note: impl Fn(&str),
        done: &AtomicUsize,
    ) -> Result<Links> {
        let mut links = Links::default();
        for probe in self.probes {
            match probe.at.attach(object, probe.program, done) {
                Ok(attached) => links.join(attached),
                Err(error) if probe.is_optional => note(&format!("not here: {error}")),
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
