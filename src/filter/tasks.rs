//! Whose events are wanted: the user side of filter.bpf.h.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;

use clap::Args;
use libbpf_rs::{MapCore as _, MapFlags, Object, OpenMapMut, ProgramInput as Input};
use nix::errno::Errno;
use nix::unistd::User;

use crate::attach::links::Links;
use crate::attach::plan::Role;
use crate::attach::points::Point;
use crate::bpf::object;
use crate::bpf::programs::{Program, common};
use crate::bpf::shared::types::{self, limit};
use crate::error::{Context as _, Error, Result};
use crate::filter::cgroups;
use crate::filter::pids::PidParser;
use crate::system::processes::{self, Process};
use crate::system::sys;

/// Cgroups that can be wanted.
const CGROUPS_MAX: usize = limit::CGROUPS_MAX.0 as usize;
/// Processes that can be followed at a time: as many as a kernel has by default.
const FOLLOWED_MAX: u32 = 32768;

/// What follows processes. A process that is not followed is lost.
const FOLLOWERS: [(Program, Role); 3] = [
    (common::FOLLOW_FORK, Role::Events),
    (common::FOLLOW_EXEC, Role::Events),
    (common::FOLLOW_EXIT, Role::ClearsUp),
];

/// Whose events.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of all tools")]
pub(crate) struct FilterOptions {
    /// Only these processes, until the last of them has ended; may be repeated
    #[arg(short, long, value_name = "PID", value_parser = PidParser, value_delimiter = ',', conflicts_with = "command")]
    pub(crate) pid: Vec<NonZeroU32>,

    /// Only these threads, until their processes have ended; may be repeated
    #[arg(long, value_name = "TID", value_parser = clap::value_parser!(u32).range(1..), value_delimiter = ',', conflicts_with = "command")]
    pub(crate) tid: Vec<u32>,

    /// Only this user, by name or number; may be repeated
    #[arg(short, long, alias = "uid", value_name = "USER", value_parser = uid, value_delimiter = ',')]
    pub(crate) user: Vec<u32>,

    /// Only processes and threads whose name (COMM) contains NAME
    #[arg(short, long, value_parser = comm)]
    pub(crate) name: Option<OsString>,

    /// With -p: their descendants too, until none is left
    #[arg(long, requires = "pid", conflicts_with = "command")]
    pub(crate) follow: bool,

    /// Only what is in this cgroup (v2) or below it; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Vec<PathBuf>,

    /// Only what is in this container, by its id or the beginning of it; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) container: Vec<String>,
}

impl FilterOptions {
    /// Is nobody left out?
    pub(crate) fn is_for_all(&self) -> bool {
        let Self { pid, tid, user, name, cgroup, container, follow: _ } = self;
        let of_tasks = pid.is_empty() && tid.is_empty() && user.is_empty() && name.is_none();
        of_tasks && cgroup.is_empty() && container.is_empty()
    }
}

/// Everybody's.
static EVERYBODY: FilterOptions = FilterOptions {
    pid: Vec::new(),
    tid: Vec::new(),
    user: Vec::new(),
    name: None,
    follow: false,
    cgroup: Vec::new(),
    container: Vec::new(),
};

/// What the options mean here and now.
#[derive(Debug)]
pub(crate) struct TaskFilter<'a> {
    options: &'a FilterOptions,
    follow: types::follow,
    cgroups: Vec<cgroups::Wanted>,
    /// Those of `-p`, and those that the threads of `--tid` are in.
    processes: Vec<Process>,
}

impl<'a> TaskFilter<'a> {
    /// Nobody's events are left out.
    pub(crate) fn everybody() -> Self {
        let (follow, cgroups, processes) = (types::follow::FOLLOW_NOBODY, Vec::new(), Vec::new());
        Self { options: &EVERYBODY, follow, cgroups, processes }
    }

    /// # Errors
    ///
    /// When a process or a cgroup is not there.
    pub(crate) fn new(
        tool: &'static str,
        options: &'a FilterOptions,
        has_command: bool,
    ) -> Result<Self> {
        if !(options.pid.is_empty() && options.tid.is_empty()) {
            sys::open_more_files();
        }
        let processes = options.pid.iter().map(|pid| process(tool, *pid));
        let of_threads = options.tid.iter().map(|tid| process_of_thread(tool, *tid));
        let processes = processes.chain(of_threads).collect::<Result<_>>()?;
        let cgroups = cgroups::wanted(&options.cgroup, &options.container)?;
        if cgroups.len() > CGROUPS_MAX {
            let cause = format!("{} cgroups are wanted, {CGROUPS_MAX} can be", cgroups.len());
            return Err(Error::usage(tool, cause));
        }
        let followed = match (has_command, options.follow) {
            (true, _) => types::follow::FOLLOW_COMMAND,
            (false, true) => types::follow::FOLLOW_PIDS,
            (false, false) => types::follow::FOLLOW_NOBODY,
        };
        Ok(Self { options, follow: followed, cgroups, processes })
    }

    /// The processes that are traced, whose end is the run's: not where a command is.
    pub(crate) fn processes(&self) -> &[Process] {
        if self.follow == types::follow::FOLLOW_COMMAND { &[] } else { &self.processes }
    }

    /// And their descendants?
    pub(crate) fn follows_processes(&self) -> bool {
        self.follow == types::follow::FOLLOW_PIDS
    }

    fn follows(&self) -> bool {
        self.follow != types::follow::FOLLOW_NOBODY
    }

    /// The programs that it needs.
    pub(crate) fn programs(&self) -> impl Iterator<Item = (Program, Role)> {
        let has_threads = !self.options.tid.is_empty();
        let is_needed =
            move |program| self.follows() || has_threads && program != common::FOLLOW_FORK;
        FOLLOWERS.into_iter().filter(move |(program, _)| is_needed(*program))
    }

    /// What the kernel side is told.
    pub(crate) fn configure(&self, settings: &mut types::settings) {
        let options = self.options;
        settings.by_pid = (!options.pid.is_empty()).into();
        settings.by_tid = (!options.tid.is_empty()).into();
        settings.by_uid = (!options.user.is_empty()).into();
        settings.by_cgroup = u8::try_from(self.cgroups.len()).unwrap_or(u8::MAX);
        settings.follow = u8::try_from(self.follow.0).unwrap_or(0);
        if let Some(namespace) = processes::own_pid_namespace() {
            (settings.pidns_dev, settings.pidns_ino) = namespace;
        }
        if let Some(name) = &options.name {
            let name = name.as_encoded_bytes();
            for (to, from) in settings.comm.iter_mut().zip(name) {
                *to = *from;
            }
            settings.by_comm = u8::try_from(name.len()).unwrap_or(0);
        }
        let by_ids = settings.by_pid | settings.by_tid | settings.by_uid;
        let filters = by_ids | settings.by_cgroup | settings.by_comm | settings.follow;
        settings.has_filters = (filters != 0).into();
    }

    /// Gives a map its size, if it is one of these.
    pub(crate) fn prepare(&self, name: &str, map: &mut OpenMapMut<'_>) -> libbpf_rs::Result<()> {
        let entries = match name {
            "wanted_pids" if self.options.follow => FOLLOWED_MAX,
            "wanted_pids" => at_least_one(self.options.pid.len()),
            "wanted_tids" => at_least_one(self.options.tid.len()),
            "wanted_cgroups" => at_least_one(self.cgroups.len()),
            "wanted_uids" => at_least_one(self.options.user.len()),
            "followed" if self.follows() => FOLLOWED_MAX,
            _ => return Ok(()),
        };
        map.set_max_entries(entries)
    }

    /// Fills the maps, and attaches what keeps them up to date.
    pub(crate) fn fill(&self, object: &Object) -> Result<Links> {
        // A tool of what no process does has none.
        if object.maps().all(|map| map.name() != "wanted_pids") {
            return Ok(Links::default());
        }
        let links = self.attach(object, |role| role != Role::ClearsUp)?;
        fill(object, "wanted_pids", self.options.pid.iter().map(|pid| pid.get()))?;
        fill(object, "wanted_tids", self.options.tid.iter().copied())?;
        fill(object, "wanted_uids", self.options.user.iter().copied())?;
        // Their children of now, whose numbers are those of our PID namespace too; those of later
        // are seen already.
        if self.options.follow {
            fill(object, "wanted_pids", processes::descendants(&self.options.pid))?;
        }
        self.fill_cgroups(object)?;
        identify_tracer(object)?;
        Ok(links)
    }

    /// Attaches what forgets processes that end: after a tool's own programs, which may show the end.
    pub(crate) fn attach_last(&self, object: &Object) -> Result<Links> {
        self.attach(object, |role| role == Role::ClearsUp)
    }

    fn attach(&self, object: &Object, is_now: impl Fn(Role) -> bool) -> Result<Links> {
        let mut links = Links::default();
        for (program, _) in self.programs().filter(|(_, role)| is_now(*role)) {
            links.join(Point::Declared.attach(object, program, &AtomicUsize::default())?);
        }
        Ok(links)
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
}

/// The one that has this number now.
fn process(tool: &'static str, pid: NonZeroU32) -> Result<Process> {
    match processes::of_thread(pid.get()) {
        Some(process) if process != pid.get() => {
            Err(Error::new(tool, format!("{pid} is a thread of process {process}"))
                .hint(format!("--tid {pid} for the thread")))
        }
        _ => open(tool, pid.get()),
    }
}

/// That of the thread that has this number now.
fn process_of_thread(tool: &'static str, tid: u32) -> Result<Process> {
    let process = processes::of_thread(tid);
    open(tool, process.ok_or_else(|| Error::new(tool, format!("there is no thread {tid}")))?)
}

fn open(tool: &'static str, pid: u32) -> Result<Process> {
    let process = match Process::open(pid.min(i32::MAX as u32)) {
        Err(Errno::ESRCH) => Err(Error::new(tool, format!("there is no process {pid}"))),
        opened => opened.doing(format!("opening process {pid}")),
    }?;
    if process.has_ended() {
        return Err(Error::new(tool, format!("process {pid} has ended"))
            .hint("its number stays until its parent has waited for it"));
    }
    Ok(process)
}

fn at_least_one(len: usize) -> u32 {
    u32::try_from(len.max(1)).unwrap_or(u32::MAX)
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

fn uid(text: &str) -> std::result::Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err("there is no such user".into()),
        Err(error) => Err(format!("looking the user up: {error}")),
    }
}

/// The kernel keeps 15 bytes of a name: longer ones would never match.
fn comm(text: &str) -> std::result::Result<OsString, String> {
    match text.len() {
        0 => Err("a name is needed".into()),
        1..=15 => Ok(text.into()),
        _ => Err(format!("the kernel keeps 15 bytes of a name: use {:?}", kept(text))),
    }
}

/// What of a name may be asked for.
pub(crate) fn kept(name: &str) -> &str {
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    &name[..ends.take_while(|end| *end <= 15).last().unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_users() {
        assert_eq!(uid("0"), Ok(0));
        assert_eq!(uid("root"), Ok(0));
        assert!(uid("no-such-user").is_err());
    }

    #[test]
    fn refuses_names_that_cannot_match() {
        assert!(comm("fifteen-bytes-x").is_ok());
        let error = comm("sixteen-bytes-xy").unwrap_err();
        assert!(error.contains("\"sixteen-bytes-x\""), "{error}");
        assert!(comm("").is_err());
        assert_eq!(kept("systemd-journald"), "systemd-journal");
        assert_eq!(kept("fourteen-bytes\u{e9}"), "fourteen-bytes");
    }
}
