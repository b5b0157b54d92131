//! Samples, some times a second on each CPU. CPUs come and go: an event of one that went is dead,
//! and stays so when the CPU comes back.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{IntoRawFd as _, OwnedFd};
use std::rc::Rc;

use libbpf_rs::libbpf_sys::{
    PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_SW_CPU_CLOCK, PERF_FORMAT_TOTAL_TIME_ENABLED,
    PERF_TYPE_HARDWARE, PERF_TYPE_SOFTWARE, perf_event_attr,
};
use libbpf_rs::{Link, Object};
use nix::errno::Errno;

use crate::attach::plan::{self, Attachment, Hook, Role};
use crate::bpf::object::{self, cause};
use crate::bpf::programs::Program;
use crate::error::{Error, Result};
use crate::output::messages::Messages;
use crate::system::kernel;

/// What the kernel counts until the next sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    /// The processor's cycles.
    Cycles,
    /// A clock of the kernel's.
    Clock,
}

impl Display for Counter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Counter::Cycles => "samples by the cycle counter",
            Counter::Clock => "samples by the kernel's clock",
        })
    }
}

/// A program that runs for each sample.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    pub(crate) messages: Messages,
    pub(crate) program: Program,
    pub(crate) per_second: u64,
}

/// What is attached, by CPU.
#[derive(Debug)]
pub(crate) struct Samplers {
    sampling: Sampling,
    /// The first one that works is used, and is then the only one.
    counters: Vec<Counter>,
    /// Those that are sampled, if not all are.
    only: Vec<u32>,
    cpus: BTreeMap<u32, Sampler>,
    /// Those that could not be attached to the last time.
    refused: BTreeSet<u32>,
    /// How many were refused at some time.
    missed: Rc<Cell<u64>>,
}

#[derive(Debug)]
struct Sampler {
    _link: Link,
    event: Event,
}

/// A perf event of a CPU, whose `read_format` is `PERF_FORMAT_TOTAL_TIME_ENABLED`.
#[derive(Debug)]
pub(crate) struct Event {
    event: File,
    /// For how long it had counted when it was looked at.
    enabled_ns: u64,
}

impl Sampling {
    fn all(
        &self,
        object: &Object,
        of: Counter,
        wanted: Vec<u32>,
    ) -> Result<BTreeMap<u32, Sampler>> {
        let mut cpus = BTreeMap::new();
        for cpu in wanted {
            match self.one(object, of, cpu) {
                Ok(sampler) => drop(cpus.insert(cpu, sampler)),
                // It has just gone.
                Err(Failure::Open(Errno::ENODEV)) => {}
                Err(failure) => return Err(Error::new(of, failure)),
            }
        }
        Ok(cpus)
    }

    fn one(&self, object: &Object, of: Counter, cpu: u32) -> std::result::Result<Sampler, Failure> {
        let other = |error: &dyn Display| Failure::Other(error.to_string());
        let program = object::program(object, self.program).map_err(|error| other(&error))?;
        let event = open(of, self.per_second, cpu).map_err(Failure::Open)?;
        // The link closes its own.
        let own = event.try_clone().map_err(|error| other(&error))?;
        let link = program.attach_perf_event(own.into_raw_fd());
        let link = link.map_err(|error| Failure::Other(cause(&error)))?;
        Ok(Sampler { _link: link, event: event.into() })
    }
}

/// Why a CPU is not sampled.
enum Failure {
    Open(Errno),
    Other(String),
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Open(error) => f.write_str(error.desc()),
            Failure::Other(error) => f.write_str(error),
        }
    }
}

fn open(of: Counter, per_second: u64, cpu: u32) -> nix::Result<OwnedFd> {
    let (kind, config) = match of {
        Counter::Cycles => (PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES),
        Counter::Clock => (PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK),
    };
    let mut attr = perf_event_attr { type_: kind, config: config.into(), ..Default::default() };
    attr.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED.into();
    attr.__bindgen_anon_1.sample_freq = per_second;
    attr.set_freq(1);
    crate::system::sys::perf_event_open(&mut attr, cpu)
}

impl Samplers {
    /// By the first of these counters that works; of `only` this CPU, if there is one.
    pub(crate) fn new(sampling: Sampling, counters: Vec<Counter>, only: Vec<u32>) -> Self {
        let (cpus, refused, missed) = Default::default();
        Self { sampling, counters, only, cpus, refused, missed }
    }

    /// Those that are to be sampled.
    fn online(&self) -> Result<Vec<u32>> {
        let is_wanted = |cpu: &u32| self.only.is_empty() || self.only.contains(cpu);
        Ok(kernel::online_cpus()?.into_iter().filter(is_wanted).collect())
    }

    /// How many CPUs were online and could not be sampled at some time: it goes up while it runs.
    pub(crate) fn missed(&self) -> Rc<Cell<u64>> {
        self.missed.clone()
    }

    fn attach_to(&mut self, object: &Object, cpu: u32) {
        let messages = &self.sampling.messages;
        match self.sampling.one(object, self.counters[0], cpu) {
            Ok(sampler) => {
                self.cpus.insert(cpu, sampler);
                if self.refused.remove(&cpu) {
                    messages.say(format_args!("CPU {cpu} is sampled again"));
                }
                messages.note(format!("CPU {cpu} came"));
            }
            // It has just gone.
            Err(Failure::Open(Errno::ENODEV)) => {}
            Err(failure) if self.refused.insert(cpu) => {
                messages.say(format_args!("CPU {cpu} is not sampled: {failure}"));
                self.missed.set(self.missed.get() + 1);
            }
            Err(_) => {}
        }
    }
}

impl From<OwnedFd> for Event {
    fn from(event: OwnedFd) -> Self {
        Self { event: event.into(), enabled_ns: 0 }
    }
}

impl Event {
    /// Has it counted since the last time? It does not when its CPU has gone meanwhile, though that
    /// may be back.
    pub(crate) fn is_alive(&mut self) -> bool {
        // The count, and the time.
        let mut values = [0; 16];
        if self.event.read_exact(&mut values).is_err() {
            return false;
        }
        let enabled_ns = values[8..].try_into().map_or(0, u64::from_ne_bytes);
        std::mem::replace(&mut self.enabled_ns, enabled_ns) < enabled_ns
    }
}

impl Attachment for Samplers {
    fn programs(&self) -> Vec<(Program, Role)> {
        vec![(self.sampling.program, Role::Events)]
    }

    /// Attaches to all CPUs.
    fn attach(&mut self, object: &Object) -> Result<()> {
        let mut refusals = Vec::new();
        for &of in &self.counters {
            match self.sampling.all(object, of, self.online()?) {
                Ok(cpus) => {
                    self.sampling.messages.hook_in_use(of);
                    (self.cpus, self.counters) = (cpus, vec![of]);
                    return Ok(());
                }
                Err(error) => {
                    self.sampling.messages.note(format!("hook refused: {}", error.line()));
                    refusals.push(error);
                }
            }
        }
        let hook = Hook { name: "samples", probes: &[] };
        Err(plan::refused(&[&hook], refusals))
    }

    fn refresh(&mut self, object: &Object) -> Result<()> {
        let online = self.online()?;
        let messages = &self.sampling.messages;
        self.cpus.retain(|cpu, sampler| {
            let stays = online.contains(cpu) && sampler.event.is_alive();
            if !stays {
                messages.note(format!("CPU {cpu} went"));
            }
            stays
        });
        for cpu in online {
            if !self.cpus.contains_key(&cpu) {
                self.attach_to(object, cpu);
            }
        }
        Ok(())
    }
}
