//! What the running kernel says of itself: its functions and tracepoints.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libbpf_rs::btf::types::{Func, FuncProto};
use libbpf_rs::btf::{Btf, BtfType, ReferencesType as _};
use nix::sys::utsname::uname;

use crate::error::{Context as _, Error, Result};
use crate::system::sys;

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// 0 where the kernel does not tell it.
    pub(crate) address: u64,
}

const KALLSYMS: &str = "/proc/kallsyms";
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

const ONLINE_CPUS: &str = "/sys/devices/system/cpu/online";

/// All functions, as /proc/kallsyms lists them.
pub(crate) fn functions() -> Result<Vec<Function>> {
    let text = fs::read(KALLSYMS).doing(format!("reading {KALLSYMS}"))?;
    Ok(parse_kallsyms(&String::from_utf8_lossy(&text)))
}

/// `ffffffff81000000 T name [module]`; functions are `t` and `T`.
fn parse_kallsyms(text: &str) -> Vec<Function> {
    let function = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        let is_function = words.next()?.eq_ignore_ascii_case("t");
        is_function.then_some(Function { name: words.next()?.into(), address })
    };
    text.lines().filter_map(function).collect()
}

/// Where these are, functions or data: 0 where the kernel does not tell it.
pub(crate) fn addresses<const N: usize>(names: [&str; N]) -> [u64; N] {
    let text = fs::read(KALLSYMS).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut addresses = [0; N];
    for line in text.lines() {
        let mut words = line.split(' ');
        let (address, name) = (words.next(), words.nth(1));
        if let Some(at) = names.iter().position(|one| name == Some(*one)) {
            addresses[at] = u64::from_str_radix(address.unwrap_or_default(), 16).unwrap_or(0);
        }
    }
    addresses
}

/// Names of the functions that can be traced, as far as the kernel tells it to this user.
pub(crate) fn traceable() -> Option<HashSet<String>> {
    let files = TRACEFS.iter().map(|dir| Path::new(dir).join("available_filter_functions"));
    let text = files.filter_map(|file| fs::read_to_string(file).ok()).next()?;
    Some(text.lines().filter_map(|line| line.split(' ').next()).map(Into::into).collect())
}

/// All tracepoints: `category:name`.
///
/// # Errors
///
/// When tracefs cannot be read.
pub(crate) fn tracepoints() -> Result<Vec<String>> {
    let dir = tracefs_for("listing tracepoints")?;
    let mut names = Vec::new();
    for category in dir.join("events").read_dir().doing("listing tracepoints")?.flatten() {
        let category_name = category.file_name().to_string_lossy().into_owned();
        for event in category.path().read_dir().into_iter().flatten().flatten() {
            if event.path().join("id").exists() {
                names.push(format!("{category_name}:{}", event.file_name().to_string_lossy()));
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Where tracefs is, for something that is to be done there.
///
/// # Errors
///
/// When it cannot be found.
pub(crate) fn tracefs_for(doing: &str) -> Result<PathBuf> {
    tracefs().ok_or_else(|| {
        Error::new(doing, "tracefs is not mounted, or closed to this user")
            .hint(format!("as root: {MOUNT_TRACEFS}"))
    })
}

/// Has it links for many uprobes at once? They also go away at once, while the kernel waits a tenth
/// of a second for each other uprobe. Since Linux 6.6; those before 6.10 are for a thread where one
/// process is asked for (commit 46ba0e49b642).
pub(crate) fn has_uprobe_multi() -> bool {
    !is_before(6, 10)
}

/// Can a program be told which of the places that it is attached to has called it? Since Linux 5.15.
pub(crate) fn has_attach_cookies() -> bool {
    !is_before(5, 15)
}

/// Is perf root's alone? Debian's kernels have a level more for that; it is the usual one there.
pub(crate) fn keeps_perf_for_root() -> bool {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    level.trim().parse::<i32>().is_ok_and(|level| level > 2)
}

/// Has each thread room for the pending returns of kprobe.multi? Before Linux 6.14 (4346ba160409,
/// fprobe on fgraph) there are two for each CPU, for all functions of a link.
pub(crate) fn has_room_for_returns() -> bool {
    !is_before(6, 14)
}

/// Does it preempt programs of BTF tracepoints? Since Linux 7.0 tracepoints are called with
/// preemption on (tracepoint_srcu), and kernels for these architectures all preempt themselves.
pub(crate) fn preempts_tracepoints() -> bool {
    !is_before(7, 0)
}

/// Can tracing programs keep something with a task, and always find it again? Since Linux 6.2
/// (e8b02296a6b8): before, a look-up finds nothing while another task on that CPU has been preempted
/// in one.
pub(crate) fn has_task_storage() -> bool {
    !is_before(6, 2)
}

/// Reads a map so that nobody loses events by that.
pub(crate) fn undisturbed() -> Option<sys::Undisturbed> {
    preempts_tracepoints().then(sys::Undisturbed::begin).flatten()
}

/// Is kprobe.multi better than fentry and fexit? Its programs are not preempted; see
/// `bpf/include/tracepoint.bpf.h` for what that means.
pub(crate) fn prefers_kprobe_multi() -> bool {
    has_room_for_returns() && preempts_functions()
}

/// Does it preempt fentry and fexit programs? As `preempt=` was chosen when it was built or booted;
/// where it cannot be told, and it can be chosen, yes.
fn preempts_functions() -> bool {
    if !is_before(7, 0) {
        return true;
    }
    match fs::read_to_string("/sys/kernel/debug/sched/preempt") {
        // `none voluntary (full) lazy`
        Ok(models) => models.contains("(full)") || models.contains("(lazy)"),
        Err(_) => uname().is_ok_and(|name| {
            let version = name.version().to_string_lossy();
            version.contains("PREEMPT") && !version.contains("PREEMPT_VOLUNTARY")
        }),
    }
}

/// What to do where there is no tracefs.
pub(crate) const MOUNT_TRACEFS: &str = "mount -t tracefs tracefs /sys/kernel/tracing";

/// Where tracefs is.
pub(crate) fn tracefs() -> Option<PathBuf> {
    TRACEFS.iter().map(PathBuf::from).find(|dir| dir.join("events").is_dir())
}

/// Is it an older one than this?
pub(crate) fn is_before(major: u32, minor: u32) -> bool {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    let version = VERSION.get_or_init(|| {
        let name = uname().map(|name| name.release().to_string_lossy().into_owned());
        parse_version(&name.unwrap_or_default())
    });
    *version < (major, minor)
}

/// `6.12.117+deb13-cloud-amd64`, `7.3-cloud-amd64`
fn parse_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(['.', '-', '+']).map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The numbers of the CPUs that run.
pub(crate) fn online_cpus() -> Result<Vec<u32>> {
    let text = fs::read_to_string(ONLINE_CPUS).doing(format!("reading {ONLINE_CPUS}"))?;
    Ok(parse_cpus(text.trim()))
}

/// `0-3,5`
fn parse_cpus(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// How like a name must be to be named beside an unknown one: 1 is the same.
const LIKENESS: f64 = 0.85;
/// How much shorter one of two names may be that are so like: Jaro's measure has a third of this
/// ratio, and Winkler's adds four tenths of what is missing at the most.
const LENGTHS: f64 = 0.25;
/// Longer names are not compared: that takes the product of their lengths.
const COMPARED_MAX: usize = 256;
/// As many are named.
const NAMED: usize = 5;

/// Names that are like one that is not there.
#[derive(Debug)]
pub(crate) struct Alike<'p> {
    pattern: &'p str,
    /// The best ones, the most alike first.
    names: Vec<(f64, String)>,
}

impl<'p> Alike<'p> {
    pub(crate) fn new(pattern: &'p str) -> Self {
        Self { pattern, names: Vec::new() }
    }

    /// Is it one of the most alike?
    pub(crate) fn consider(&mut self, name: &str) {
        let plain = self.pattern.trim_matches('*');
        let (short, long) = (plain.len().min(name.len()), plain.len().max(name.len()));
        if long > COMPARED_MAX || (short as f64) < LENGTHS * long as f64 {
            return;
        }
        let likeness = strsim::jaro_winkler(plain, name);
        if likeness >= LIKENESS {
            self.add(likeness, name);
        }
    }

    /// Those that another one of the same pattern found, too.
    pub(crate) fn merge(&mut self, other: Self) {
        other.names.iter().for_each(|(likeness, name)| self.add(*likeness, name));
    }

    fn add(&mut self, likeness: f64, name: &str) {
        let is_better = |(other, text): &(f64, String)| {
            *other > likeness || (*other == likeness && text.as_str() < name)
        };
        let at = self.names.partition_point(is_better);
        if at < NAMED && self.names.get(at).is_none_or(|(_, other)| other != name) {
            self.names.insert(at, (likeness, name.into()));
            self.names.truncate(NAMED);
        }
    }

    /// No name matches: what is alike.
    pub(crate) fn unknown(self, doing: &str) -> Error {
        let error = Error::new(doing, format!("nothing matches '{}'", self.pattern));
        let names = self.names.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>();
        if names.is_empty() { error } else { error.hint(format!("there are {}", names.join(", "))) }
    }
}

/// No name matches: what is alike.
pub(crate) fn unknown<'n>(
    doing: &str,
    pattern: &str,
    names: impl Iterator<Item = &'n str>,
) -> Error {
    let mut alike = Alike::new(pattern);
    names.for_each(|name| alike.consider(name));
    alike.unknown(doing)
}

/// How many words of arguments each of these functions takes, as the kernel's types say.
///
/// # Errors
///
/// When they do not know one of them, or it takes a struct, which may be several.
pub(crate) fn arguments(functions: &[&str]) -> Result<Vec<u8>> {
    let doing = "looking for the types of functions";
    let types = Btf::from_vmlinux().doing(doing)?;
    let known = types.type_by_kind::<Func<'_>>();
    let known = known.filter_map(|function| Some((function.name()?.to_str()?, function)));
    let known = known.filter(|(name, _)| functions.contains(name));
    let known = known.collect::<HashMap<_, _>>();
    let count = |name: &str| {
        let prototype = FuncProto::try_from(known.get(name)?.referenced_type()).ok()?;
        let is_word = |ty| {
            let ty = types.type_by_id::<BtfType<'_>>(ty)?.skip_mods_and_typedefs();
            (!ty.is_composite()).then_some(())
        };
        prototype.iter().try_for_each(|parameter| is_word(parameter.ty))?;
        u8::try_from(prototype.len()).ok()
    };
    let count = |name: &&str| {
        count(name).ok_or_else(|| Error::new(doing, format!("{name} has none that is known")))
    };
    functions.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_alike() {
        let names = ["vfs_read", "vfs_readv", "vfs_write", "x"];
        let error = unknown("probes", "vfs_raed", names.into_iter()).to_string();
        assert!(error.contains("hint: there are vfs_read, "), "{error}");
        assert!(!unknown("probes", "nothing*", names.into_iter()).to_string().contains("hint"));
    }

    #[test]
    fn names_the_most_alike_once() {
        let names = ["b", "vfs_readv", "vfs_read", "vfs_readx", "vfs_read", "vfs_re", "vfs_rea"];
        let error = unknown("probes", "vfs_readi", names.into_iter()).to_string();
        let alike = "hint: there are vfs_read, vfs_rea, vfs_readv, vfs_readx, vfs_re";
        assert!(error.ends_with(alike), "{error}");
    }

    #[test]
    fn compares_no_long_names() {
        // By itself this would take minutes.
        let long = "a".repeat(100_000);
        for (pattern, name) in [(&long[..], "a"), ("a", &long), (&long, &long)] {
            assert!(!unknown("probes", pattern, [name; 100].into_iter()).has_hint());
        }
    }

    proptest::proptest! {
        #[test]
        fn passes_over_none_that_is_alike(a in "[ab]{1,12}", b in "[ab]{1,12}") {
            let ratio = a.len().min(b.len()) as f64 / a.len().max(b.len()) as f64;
            let is_alike = strsim::jaro_winkler(&a, &b) >= LIKENESS;
            proptest::prop_assert!(!is_alike || ratio >= LENGTHS);
        }
    }

    #[test]
    fn reads_versions() {
        assert_eq!(parse_version("6.12.117+deb13-cloud-amd64"), (6, 12));
        assert_eq!(parse_version("7.3-cloud-amd64"), (7, 3));
        assert_eq!(parse_version("7"), (7, 0));
        assert_eq!(parse_version(""), (0, 0));
    }

    #[test]
    fn reads_cpus() {
        assert_eq!(parse_cpus("0-3,5"), [0, 1, 2, 3, 5]);
        assert_eq!(parse_cpus("7"), [7]);
        assert!(parse_cpus("x").is_empty());
    }

    #[test]
    fn reads_functions() {
        let text = "ffffffff81000010 T vfs_read\nffffffff82000000 D jiffies\n\
                    0000000000000000 t helper.cold\t[ext4]\nnonsense\n";
        let names =
            parse_kallsyms(text).into_iter().map(|function| (function.name, function.address));
        let expected = [("vfs_read".to_string(), 0xffff_ffff_8100_0010), ("helper.cold".into(), 0)];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }
}
