//! A tool's run: check, open, configure, load, attach; then `stream` or `counts` does the work.

use std::mem::MaybeUninit;
use std::path::Path;

use caps::Capability;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Link, MapCore as _, MapFlags, Object, OpenMapMut, OpenObject, PrintLevel};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::bpf::shared::types::{count_by, settings};
use crate::counts;
use crate::ending::Ending;
use crate::error::{Context as _, Error, Result};
use crate::hooks::{self, Hook};
use crate::options::EventOptions;
use crate::privileges;
use crate::render::Column;
use crate::render::escape;
use crate::report::Report;
use crate::stream;
use crate::sys;

/// Slots of scratch memory a CPU has: `SCRATCH_SLOTS` in event.bpf.h.
const SCRATCH_SLOTS: u32 = 2;
/// Processes that can be followed at a time: as many as a kernel has by default.
const FOLLOWED_MAX: u32 = 32768;

/// A tool that runs with the options of all event tools.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    tool: &'static str,
    options: &'a EventOptions,
}

impl<'a> Session<'a> {
    /// Checks that this process may trace what is asked for.
    ///
    /// # Errors
    ///
    /// When a capability is missing, or a process that is to be traced.
    pub(crate) fn start(
        tool: &'static str,
        options: &'a EventOptions,
        needs: &[&[Capability]],
    ) -> Result<Self> {
        privileges::check(tool, needs)?;
        for pid in &options.pid {
            let number = i32::try_from(pid.get()).unwrap_or(i32::MAX);
            if kill(Pid::from_raw(number), None) == Err(Errno::ESRCH) {
                return Err(Error::new(tool, format!("there is no process {pid}")));
            }
        }
        let speak = |_: PrintLevel, text: String| eprintln!("{}", text.trim_end());
        libbpf_rs::set_print(options.verbose.then_some((PrintLevel::Info, speak)));
        Ok(Self { tool, options })
    }

    /// Says something to those who asked with `-v`.
    pub(crate) fn note(&self, text: impl AsRef<[u8]>) {
        if self.options.verbose {
            eprintln!("{}: {}", self.tool, escape::text(text.as_ref()));
        }
    }

    /// Opens a tool's program and gives it its settings; what it makes is loaded by `load`.
    pub(crate) fn open<'o, B: SkelBuilder<'o>>(
        &self,
        builder: B,
        storage: &'o mut MaybeUninit<OpenObject>,
    ) -> Result<B::Output> {
        if !Path::new("/sys/kernel").exists() {
            return Err(Error::new("preparing the BPF program", "/sys is not mounted")
                .hint("mount -t sysfs sysfs /sys"));
        }
        let mut open = builder.open(storage).doing("preparing the BPF program")?;
        self.configure(open.open_object_mut())?;
        Ok(open)
    }

    /// Loads it into the kernel and fills the maps of the filters.
    pub(crate) fn load<'o, O: OpenSkel<'o>>(&self, open: O) -> Result<O::Output>
    where
        O::Output: libbpf_rs::skel::Skel<'o>,
    {
        let skel = open.load().map_err(|error| explain_load(&error))?;
        let object = libbpf_rs::skel::Skel::object(&skel);
        let pids = self.options.pid.iter().map(|pid| pid.get());
        fill(object, "wanted_pids", pids)?;
        fill(object, "wanted_uids", self.options.user.iter().copied())?;
        if self.follows() {
            fill(object, "followed", [std::process::id()])?;
        }
        Ok(skel)
    }

    /// Attaches the first of `hooks` that works, and what follows the command's descendants.
    pub(crate) fn attach(&self, object: &Object, hooks: &[Hook<'_>]) -> Result<Vec<Link>> {
        let mut links = hooks::attach_first(object, hooks, |text| self.note(text))?;
        if self.follows() {
            for name in ["follow_fork", "follow_exit"] {
                let program = hooks::program(object, name)?;
                links.push(program.attach().doing(format!("attaching {name}"))?);
            }
        }
        Ok(links)
    }

    /// Shows the events, or counts them, until an end is reached; then says what was lost.
    pub(crate) fn run<E: plain::Plain>(
        &self,
        object: &Object,
        links: Vec<Link>,
        columns: &[Column<E>],
    ) -> Result<()> {
        let report = Report::new(self.tool, self.options);
        let ending = Ending::new(self.options)?;
        self.note("attached");
        match self.options.count {
            None => stream::events(object, links, columns, report, ending),
            Some(by) => counts::intervals(object, links, by, self.options.interval, report, ending),
        }
    }

    fn follows(&self) -> bool {
        !self.options.command.is_empty()
    }

    fn settings(&self) -> settings {
        let options = self.options;
        let mut settings = settings {
            tracer: std::process::id(),
            // A wake-up for each eighth of the ring.
            wake_shift: options.buffer.ilog2() - 3,
            by_pid: (!options.pid.is_empty()).into(),
            by_uid: (!options.user.is_empty()).into(),
            follow: self.follows().into(),
            ..settings::default()
        };
        let by = options.count.map_or(count_by::COUNT_OFF, count_by::from);
        settings.count_by = u8::try_from(by.0).unwrap_or(0);
        if let Some(name) = &options.name {
            let name = name.as_encoded_bytes();
            for (to, from) in settings.comm.iter_mut().zip(name) {
                *to = *from;
            }
            settings.by_comm = u8::try_from(name.len()).unwrap_or(0);
        }
        settings
    }

    fn configure(&self, object: &mut OpenObject) -> Result<()> {
        let doing = "preparing the BPF program";
        let cpus = libbpf_rs::num_possible_cpus().doing(doing)?;
        let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
        for mut map in object.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            let entries = match name.as_str() {
                ".rodata.settings" => {
                    set_constant(&mut map, &self.settings())?;
                    continue;
                }
                "events" if self.options.count.is_some() => 4096,
                "events" => self.options.buffer,
                "scratch" => cpus * SCRATCH_SLOTS,
                "wanted_pids" => at_least_one(self.options.pid.len()),
                "wanted_uids" => at_least_one(self.options.user.len()),
                "followed" if self.follows() => FOLLOWED_MAX,
                _ => continue,
            };
            map.set_max_entries(entries).doing(doing)?;
        }
        for mut program in object.progs_mut() {
            if ["follow_fork", "follow_exit"].iter().any(|&name| program.name() == name) {
                program.set_autoload(self.follows());
            }
        }
        Ok(())
    }
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
    let doing = format!("filling the map {name}");
    let map = object.maps().find(|map| map.name() == name);
    let map = map.ok_or_else(|| Error::new(&doing, "the program has none"))?;
    for key in keys {
        map.update(&key.to_ne_bytes(), &[1], MapFlags::ANY).doing(&doing)?;
    }
    Ok(())
}

/// Why the kernel did not take the program, as far as can be told.
fn explain_load(error: &libbpf_rs::Error) -> Error {
    let doing = "loading the BPF program";
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Error::new(doing, "this kernel has no type information (BTF)")
            .hint("a kernel of version 5.8 or later with CONFIG_DEBUG_INFO_BTF=y is needed");
    }
    let failure = Error::new(doing, error);
    if error.kind() == libbpf_rs::ErrorKind::PermissionDenied {
        return failure.hint(
            "the kernel forbids it even to root: a container that is not privileged, or lockdown",
        );
    }
    failure.hint("Linux 5.8 or later is needed; -v shows what the kernel said")
}
