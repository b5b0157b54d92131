//! Attach points: where a program goes, and how it is put there.

use std::fmt::{self, Display, Formatter};
use std::iter::repeat;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use libbpf_rs::{
    ErrorKind, Link, Object, ProgramAttachType, ProgramMut, ProgramType, UprobeMultiOpts,
    UprobeOpts,
};

use crate::attach::links::Links;
use crate::attach::tracepoints;
use crate::bpf::object::{self, cause};
use crate::bpf::programs::Program;
use crate::error::{Context as _, Error, Result};
use crate::system::foreign::ForeignFile;
use crate::system::kernel;
use crate::system::kernel_types;
use crate::system::sys;

/// libbpf's "every process" for a uprobe.
const ANY_PROCESS: i32 = -1;
/// So many probes can be attached with the files that a process may have open at the least.
const FEW: usize = 100;

/// Where a program goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'a> {
    /// Where its `SEC()` says.
    Declared,
    /// The entry of a kernel function, cheaper than a kprobe.
    Fentry(&'a str),
    /// The return of a kernel function, with its arguments: cheaper than a kretprobe.
    Fexit(&'a str),
    /// The entries of many kernel functions at once.
    KprobeMulti(&'a [&'a str]),
    /// Their returns.
    KretprobeMulti(&'a [&'a str]),
    /// The returns of kernel functions, and their entries for another program: of those functions
    /// that can be traced, if there is one.
    KprobePairs {
        /// Their names.
        functions: &'a [&'a str],
        /// The program for the entries.
        entry: Program,
    },
    /// The entry of a kernel function.
    Kprobe(&'a str),
    /// The return of a kernel function.
    Kretprobe(&'a str),
    /// The entries of user functions.
    Uprobes(UserFunctions<'a>),
    /// The returns of user functions.
    Uretprobes(UserFunctions<'a>),
    /// What a network interface sends, by its number.
    Tcx(u32),
    /// Where the kernel asks its security modules: as its `SEC()` says.
    Lsm,
    /// What the processes of this cgroup (v2), and of those below it, do.
    Cgroup(BorrowedFd<'a>),
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

/// Functions of a program or library.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserFunctions<'a> {
    /// Where they are.
    pub(crate) file: &'a ForeignFile,
    /// Where in the file.
    pub(crate) offsets: &'a [u64],
    /// What tells the program which one it is, for each, where the kernel can.
    pub(crate) cookies: &'a [u64],
    /// In these processes; in all, without any.
    pub(crate) pids: &'a [i32],
}

impl<'a> Point<'a> {
    /// Puts the program there; counts functions in `done` where that is one after the other.
    ///
    /// # Errors
    ///
    /// When the kernel refuses: with its reason.
    pub(crate) fn attach(
        self,
        object: &Object,
        program: Program,
        done: &AtomicUsize,
    ) -> Result<Links> {
        let program = object::program(object, program)?;
        let one = |link: libbpf_rs::Result<Link>| link.map(|link| vec![link]);
        let links = match self {
            Point::Declared => one(tracepoints::attach(&program)),
            Point::Fentry(_) | Point::Fexit(_) => one(program.attach_trace()),
            Point::KprobeMulti(functions) => {
                one(program.attach_kprobe_multi(false, functions.to_vec()))
            }
            Point::KretprobeMulti(functions) => {
                one(program.attach_kprobe_multi(true, functions.to_vec()))
            }
            Point::KprobePairs { functions, entry } => {
                let at_entry = object::program(object, entry)?;
                let pairs = attach_pairs(&program, &at_entry, functions, done);
                return pairs.map_err(|error| self.refused(&error));
            }
            Point::Kprobe(function) => one(program.attach_kprobe(false, function)),
            Point::Kretprobe(function) => one(program.attach_kprobe(true, function)),
            Point::Tcx(interface) => one(sys::attach_tcx(&program, interface)),
            Point::Lsm => one(program.attach_lsm()),
            Point::Cgroup(dir) => one(program.attach_cgroup(dir.as_raw_fd())),
            Point::Usdt { file, provider, name } => {
                // libbpf reads it in a mapping.
                sys::survive_cut_files().doing(self)?;
                one(program.attach_usdt(ANY_PROCESS, file.path(), provider, name))
            }
            Point::Uprobes(functions) => attach_uprobes(&program, functions, false, done),
            Point::Uretprobes(functions) => attach_uprobes(&program, functions, true, done),
        };
        let links = links.map_err(|error| self.refused(&error))?;
        Ok(match self.is_entry() {
            true => Links { links: Vec::new(), entries: links },
            false => Links { links, entries: Vec::new() },
        })
    }

    /// What the kernel said.
    fn refused(self, error: &libbpf_rs::Error) -> Error {
        let is_by_perf =
            matches!(self, Point::Kprobe(_) | Point::Kretprobe(_) | Point::KprobePairs { .. });
        let is_denied = error.kind() == ErrorKind::PermissionDenied;
        let cause = cause(error);
        match is_by_perf && is_denied && kernel::keeps_perf_for_root() {
            true => {
                let level = "kernel.perf_event_paranoid is above 2";
                Error::new(self, format!("{cause}: needs CAP_SYS_ADMIN, as {level}"))
            }
            false => Error::new(self, cause),
        }
    }

    /// Why nothing can be attached there, where that is known before anything is loaded.
    pub(crate) fn impossible(self) -> Option<Error> {
        let cause = match self {
            Point::Kprobe(_)
            | Point::Kretprobe(_)
            | Point::KprobeMulti(_)
            | Point::KretprobeMulti(_)
            | Point::KprobePairs { .. }
                if !Path::new("/sys/bus/event_source/devices/kprobe").exists() =>
            {
                "this kernel has no kprobes"
            }
            Point::Fentry(_) | Point::Fexit(_)
                if !ProgramType::Tracing.is_supported().unwrap_or(true) =>
            {
                "this kernel has no fentry and fexit programs, or forbids them"
            }
            Point::Tcx(_) if kernel_types::functions(&["tcx_link_attach"]).is_empty() => {
                let error = Error::new(self, "this kernel has no tcx programs");
                return Some(error.hint(
                    "Linux 6.6 has them; before it, tcfilter counts and drops, and no more",
                ));
            }
            Point::Lsm if !ProgramType::Lsm.is_supported().unwrap_or(true) => {
                "this kernel has no BPF programs that refuse what processes do, or forbids them"
            }
            _ => return None,
        };
        Some(Error::new(self, cause))
    }

    /// The kernel function that a program must be given before it is loaded, and where in it.
    pub(crate) fn target(self) -> Option<(&'a str, ProgramAttachType)> {
        match self {
            Point::Fentry(function) => Some((function, ProgramAttachType::TraceFentry)),
            Point::Fexit(function) => Some((function, ProgramAttachType::TraceFexit)),
            _ => None,
        }
    }

    /// How many functions it goes to.
    pub(crate) fn functions(self) -> usize {
        match self {
            Point::KprobeMulti(functions)
            | Point::KretprobeMulti(functions)
            | Point::KprobePairs { functions, .. } => functions.len(),
            Point::Uprobes(functions) | Point::Uretprobes(functions) => functions.offsets.len(),
            _ => 1,
        }
    }

    /// The function of that.
    pub(crate) fn function(self) -> Option<&'a str> {
        self.target().map(|(function, _)| function)
    }

    /// Must the program be loaded for kprobe.multi?
    pub(crate) fn is_multi(self) -> bool {
        matches!(self, Point::KprobeMulti(_) | Point::KretprobeMulti(_))
    }

    /// Is a program loaded in the same way for the other place?
    pub(crate) fn loads_like(self, other: Point<'_>) -> bool {
        self.function() == other.function() && self.is_multi() == other.is_multi()
    }

    fn is_entry(self) -> bool {
        matches!(
            self,
            Point::Fentry(_) | Point::Kprobe(_) | Point::KprobeMulti(_) | Point::Uprobes(_)
        )
    }
}

/// Both probes of a function, or none: one without the other would spoil the times of its callers.
fn attach_pairs(
    at_return: &ProgramMut<'_>,
    at_entry: &ProgramMut<'_>,
    functions: &[&str],
    done: &AtomicUsize,
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
        done.fetch_add(1, Ordering::Relaxed);
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

/// One link for all, where the kernel has such links.
fn attach_uprobes(
    program: &ProgramMut<'_>,
    UserFunctions { file, offsets, cookies, pids }: UserFunctions<'_>,
    retprobe: bool,
    done: &AtomicUsize,
) -> libbpf_rs::Result<Vec<Link>> {
    let usize_of = |offset: &u64| usize::try_from(*offset).unwrap_or(usize::MAX);
    let offsets = offsets.iter().map(usize_of).collect::<Vec<_>>();
    let pids = if pids.is_empty() { &[ANY_PROCESS] } else { pids };
    if kernel::has_uprobe_multi() {
        let cookies = cookies.to_vec();
        let all = UprobeMultiOpts { offsets, cookies, retprobe, ..UprobeMultiOpts::default() };
        let attach =
            |pid: &i32| program.attach_uprobe_multi_with_opts(*pid, file.path(), "", all.clone());
        return pids.iter().map(attach).collect();
    }
    if offsets.len() > FEW {
        sys::open_more_files();
    }
    let cookies = cookies.iter().copied().chain(repeat(0));
    let all = offsets.into_iter().zip(cookies);
    let all = all.flat_map(|one| pids.iter().map(move |pid| (*pid, one)));
    let attach = |(pid, (offset, cookie))| {
        done.fetch_add(1, Ordering::Relaxed);
        let options = UprobeOpts { cookie, retprobe, ..UprobeOpts::default() };
        program.attach_uprobe_with_opts(pid, file.path(), offset, options)
    };
    all.map(attach).collect()
}

impl Display for Point<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Point::Declared => f.write_str("program"),
            Point::Fentry(function) => write!(f, "fentry {function}"),
            Point::Fexit(function) => write!(f, "fexit {function}"),
            Point::KprobeMulti(functions) | Point::KretprobeMulti(functions) => match functions {
                [function] => write!(f, "kprobe.multi {function}"),
                many => write!(f, "kprobe.multi of {} functions", many.len()),
            },
            Point::KprobePairs { functions, .. } => match functions {
                [function] => write!(f, "kprobe and kretprobe {function}"),
                many => write!(f, "kprobes and kretprobes of {} functions", many.len()),
            },
            Point::Kprobe(function) => write!(f, "kprobe {function}"),
            Point::Kretprobe(function) => write!(f, "kretprobe {function}"),
            Point::Tcx(_) => f.write_str("tcx egress"),
            Point::Lsm => f.write_str("LSM program"),
            Point::Cgroup(_) => f.write_str("cgroup program"),
            Point::Usdt { file, provider, name } => {
                write!(f, "USDT {provider}:{name} of {file}")
            }
            Point::Uprobes(functions) => functions.write(f, "uprobe"),
            Point::Uretprobes(functions) => functions.write(f, "uretprobe"),
        }
    }
}

impl UserFunctions<'_> {
    fn write(&self, f: &mut Formatter<'_>, kind: &str) -> fmt::Result {
        match self.offsets {
            [offset] => write!(f, "{kind} {} at offset {offset:#x}", self.file),
            many => write!(f, "{kind} {} at {} offsets", self.file, many.len()),
        }
    }
}
