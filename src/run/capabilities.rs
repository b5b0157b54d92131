//! Are we allowed to? Asked before anything else, so that the answer is quick and plain. And what is
//! kept of it: once everything is attached, a tool gives up all rights but those that its run takes.

use std::collections::HashSet;

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::geteuid;

use crate::error::{Context as _, Error, Result};
use crate::output::messages::Messages;
use crate::run::confinement::{self, Work};
use crate::system::kernel;
use crate::system::sys;

/// What takes rights.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Need {
    /// To load BPF programs that trace, and to attach them.
    Programs,
    /// To read maps.
    Maps,
    /// To open trace_pipe.
    Tracefs,
    /// To attach to functions of programs.
    Uprobes,
    /// To read the executables and the mapped files of processes, of whatever user.
    Files,
    /// To know where the kernel's functions are.
    Addresses,
    /// To open perf events: samples, and probes and tracepoints that BPF programs have by them.
    Perf,
    /// To attach to a network interface, or to what the sockets of a cgroup do.
    Network,
    /// To find the path of a cgroup by the cgroup's number.
    Cgroups,
    /// To end a command that has become another user.
    Command,
}

/// What a tool takes.
#[derive(Debug)]
pub(crate) struct Rights {
    /// The tool's name, and what of it.
    of: &'static str,
    /// Without these it does not start.
    start: &'static [Need],
    /// These stay while it runs, and for all else it has no rights any more. What is not among
    /// those above is missing in what it shows, and that is said.
    run: &'static [Need],
}

/// The one table of what tools take. Every run needs [`Need::Maps`] besides.
const TABLE: &[Rights] = {
    use Need::*;
    &[
        Rights { of: "clonesnoop", start: &[Programs], run: &[] },
        // Each tool that it tries asks for its own.
        Rights { of: "doctor", start: &[], run: &[] },
        Rights { of: "dropsnoop", start: &[Programs], run: &[Addresses] },
        Rights { of: "execsnoop", start: &[Programs], run: &[] },
        Rights { of: "exitsnoop", start: &[Programs], run: &[] },
        Rights { of: "funclatency", start: &[Programs], run: &[] },
        Rights { of: FUNCLATENCY_OF_PROGRAMS, start: &[Programs, Uprobes], run: &[] },
        Rights { of: "gethostlatency", start: FILES_THAT_COME, run: FILES_THAT_COME },
        Rights { of: "guard", start: &[Programs], run: &[] },
        Rights { of: GUARD_OF_CONNECTS, start: &[Programs, Network], run: &[] },
        Rights { of: "hello", start: &[Programs, Tracefs], run: &[] },
        Rights { of: "opensnoop", start: &[Programs], run: &[] },
        // It lists what it may see, and attaches to nothing.
        Rights { of: "probes", start: &[], run: &[Files, Addresses] },
        Rights { of: "profile", start: &[Programs, Perf], run: &[Perf, Files, Addresses] },
        Rights { of: "querysnoop", start: FILES_THAT_COME, run: FILES_THAT_COME },
        Rights { of: "readline", start: FILES_THAT_COME, run: FILES_THAT_COME },
        Rights { of: "syscount", start: &[Programs], run: &[] },
        Rights { of: "tcfilter", start: &[Programs, Network], run: &[] },
        Rights { of: "tcpsnoop", start: &[Programs], run: &[] },
        Rights { of: "unlinksnoop", start: &[Programs], run: &[] },
        Rights { of: "xdpfilter", start: &[Programs, Network], run: &[] },
    ]
};

pub(crate) const GUARD_OF_CONNECTS: &str = "guard of connects";
pub(crate) const FUNCLATENCY_OF_PROGRAMS: &str = "funclatency of programs";

/// Programs and libraries that are found while the tool runs, and attached to.
const FILES_THAT_COME: &[Need] = &[Need::Programs, Need::Uprobes, Need::Files];

/// Capabilities that were split off `CAP_SYS_ADMIN` (BPF and PERFMON in Linux 5.8,
/// `CHECKPOINT_RESTORE` in 5.9), which has them still.
const OF_ADMIN: [Capability; 3] =
    [Capability::CAP_BPF, Capability::CAP_PERFMON, Capability::CAP_CHECKPOINT_RESTORE];

impl Need {
    /// The capabilities, as this kernel asks for them.
    fn capabilities(self) -> &'static [Capability] {
        use Capability::*;
        match self {
            // Maps were counted as locked memory before Linux 5.11, and libbpf raises the limit.
            Need::Programs if kernel::is_before(5, 11) && is_memory_limited() => {
                &[CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE]
            }
            Need::Programs => &[CAP_BPF, CAP_PERFMON],
            // Up to 5.18 for every command of bpf(), where users without rights may not make maps
            // (commit c8644cd0efe7).
            Need::Maps if kernel::is_before(5, 19) => &[CAP_BPF],
            Need::Maps => &[],
            Need::Tracefs | Need::Cgroups => &[CAP_DAC_READ_SEARCH],
            // Those of perf are root's alone.
            Need::Uprobes if !kernel::has_uprobe_multi() => &[CAP_SYS_ADMIN],
            Need::Uprobes => &[],
            // /proc/PID/exe, maps and map_files.
            Need::Files => &[CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE],
            Need::Addresses => &[CAP_SYSLOG],
            Need::Perf if kernel::keeps_perf_for_root() => &[CAP_PERFMON, CAP_SYS_ADMIN],
            Need::Perf => &[CAP_PERFMON],
            Need::Network => &[CAP_NET_ADMIN],
            Need::Command => &[CAP_KILL],
        }
    }

    /// What is missing without it.
    fn lack(self) -> &'static str {
        match self {
            Need::Files => "functions of other users' programs have no names",
            Need::Addresses => "functions of the kernel have no names",
            _ => "not everything is seen",
        }
    }
}

fn is_memory_limited() -> bool {
    getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(_, hard)| hard != RLIM_INFINITY)
}

fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(true)
}

/// What this process has that lets it do what a capability is for.
fn own(capability: Capability) -> Option<Capability> {
    let admin = OF_ADMIN.contains(&capability).then_some(Capability::CAP_SYS_ADMIN);
    [Some(capability), admin].into_iter().flatten().find(|one| has(*one))
}

fn missing(needs: &[Need]) -> Vec<Capability> {
    let mut missing = Vec::new();
    for capability in needs.iter().flat_map(|need| need.capabilities()) {
        if own(*capability).is_none() && !missing.contains(capability) {
            missing.push(*capability);
        }
    }
    missing
}

fn names(capabilities: &[Capability]) -> String {
    capabilities.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn rights(tool: &str, of: &str) -> Result<&'static Rights> {
    let rights = TABLE.iter().find(|rights| rights.of == of);
    rights.ok_or_else(|| Error::new(tool, "its rights are not known"))
}

/// From now on this process has no more than a tool takes that begins with nothing: what else it
/// lacks is not said.
///
/// # Errors
///
/// When it cannot be given up.
pub(crate) fn give_up(tool: &str) -> Result<()> {
    rights(tool, tool)?.kept_with(&[]).give_up()
}

/// From now on this thread, which looks after tools, has no capability.
///
/// # Errors
///
/// When they cannot be given up.
pub(crate) fn give_up_to_supervise() -> Result<()> {
    Kept { work: Work::Supervising, ..Kept::default() }.give_up()
}

/// What this process has of what `of`, a tool or a part of it, takes.
///
/// # Errors
///
/// One line that names what is missing.
pub(crate) fn check(messages: &Messages, of: &str) -> Result<&'static Rights> {
    let tool = messages.tool();
    let rights = rights(tool, of)?;
    let missing = missing(rights.start);
    if !missing.is_empty() {
        return Err(Error::new(tool, format!("not permitted: needs {}", names(&missing))).hint(
            if geteuid().is_root() {
                "this root lacks them: a container must be privileged, and not rootless".into()
            } else {
                format!("run it as root: sudo ebtools {tool}")
            },
        ));
    }
    for need in rights.run.iter().filter(|need| !rights.start.contains(need)) {
        let missing = self::missing(&[*need]);
        if !missing.is_empty() {
            messages.say(format_args!("without {}: {}", names(&missing), need.lack()));
        }
    }
    Ok(rights)
}

/// What a thread keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    capabilities: CapsHashSet,
    work: Work,
}

impl Rights {
    /// What is kept while it traces, with what else this run needs.
    pub(crate) fn kept(&self, also: &[Need]) -> Kept {
        self.kept_with(&[also, &[Need::Maps]].concat())
    }

    fn kept_with(&self, also: &[Need]) -> Kept {
        let needs = self.run.iter().chain(also).collect::<HashSet<_>>();
        let capabilities = needs.into_iter().flat_map(|need| need.capabilities());
        Kept {
            capabilities: capabilities.filter_map(|capability| own(*capability)).collect(),
            work: match self.run.contains(&Need::Files) {
                true => Work::OpeningFiles,
                false => Work::Reading,
            },
        }
    }
}

impl Kept {
    /// Gives up everything else, for this thread and those that it starts, and for whatever these
    /// may run.
    pub(crate) fn give_up(&self) -> Result<()> {
        let doing = "giving up rights";
        caps::clear(None, CapSet::Ambient).doing(doing)?;
        // Without it no program can be run that would gain what is left: see below.
        if has(Capability::CAP_SETPCAP) {
            caps::clear(None, CapSet::Bounding).doing(doing)?;
        }
        caps::clear(None, CapSet::Inheritable).doing(doing)?;
        caps::set(None, CapSet::Effective, &self.capabilities).doing(doing)?;
        caps::set(None, CapSet::Permitted, &self.capabilities).doing(doing)?;
        prctl::set_no_new_privs().doing(doing)?;
        confinement::confine(self.work);
        Ok(())
    }

    /// The same, and closes this process's memory to those with less rights than it had.
    pub(crate) fn settle(&self) -> Result<()> {
        if kernel::preempts_tracepoints() {
            sys::allow_undisturbed();
        }
        self.give_up()?;
        prctl::set_dumpable(false).doing("giving up rights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::TOOLS;

    #[test]
    fn each_tool_has_a_row() {
        for tool in TOOLS {
            let rows = TABLE.iter().filter(|rights| rights.of == tool.name).count();
            assert_eq!(rows, 1, "{}", tool.name);
        }
    }

    #[test]
    fn names_what_is_missing_once() {
        assert_eq!(names(&[Capability::CAP_BPF, Capability::CAP_KILL]), "CAP_BPF and CAP_KILL");
        assert_eq!(missing(&[]), []);
    }
}
