//! What a row of the table is, and how it is checked.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use crate::run::{Run, calls, lookups, scratch_dir, this_program};
use crate::servers;

/// One case. In `args`, `command`, `shows` and `hides`, `$DIR` is a fresh directory, `$SELF` this
/// program, `$CALLS` the one made of calls.c, `$TRACER` the pid of ebtools, and `$PID` the number
/// in a line `pid NUMBER` that the command printed. `$POSTGRES`, `$MARIADBD`, `$REDIS`, `$NGINX` are servers,
/// and `$POSTGRES_DATA` and the like where their data are; only in cases that need them.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Arguments of ebtools, before `--`.
    pub(crate) args: &'static [&'static str],
    /// What runs ebtools, if it is not run right away.
    pub(crate) within: &'static [&'static str],
    /// What ebtools runs and traces.
    pub(crate) command: &'static [&'static str],
    /// Typed on the terminal that the command then has.
    pub(crate) typed: &'static str,
    /// What the kernel or the machine must have.
    pub(crate) needs: &'static [Need],
    /// JSON objects: for each, a line of output has all its keys and values.
    pub(crate) shows: &'static [&'static str],
    /// JSON objects: no line has all the keys and values of one.
    pub(crate) hides: &'static [&'static str],
    /// What ebtools ends with: the command's exit code.
    pub(crate) code: i32,
    /// How many events there are, where that is known: counts count.
    pub(crate) events: Option<u64>,
    /// Whatever else must be true.
    pub(crate) also: fn(&Run) -> Result<(), String>,
}

/// What a row does not say.
pub(crate) const CASE: Case = Case {
    name: "",
    args: &[],
    within: &[],
    command: &[],
    typed: "",
    needs: &[],
    shows: &[],
    hides: &[],
    code: 0,
    events: None,
    also: |_| Ok(()),
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// CONFIG_KPROBES.
    Kprobes,
    /// The tracepoints of system calls.
    Tracefs,
    /// fentry and fexit programs, and leave to use them.
    Fexit,
    /// CONFIG_FPROBE: Linux 5.18.
    KprobeMulti,
    /// 32-bit system calls.
    Calls32,
    /// Deletes by io_uring: Linux 5.11.
    Uring,
    /// The library libreadline.
    Libreadline,
    /// The C library musl.
    Musl,
    /// overlayfs: a module of most kernels.
    Overlayfs,
    /// BPF cookies, which USDT probes of programs that are loaded to any address take: Linux 5.15.
    Usdt,
    /// A PostgreSQL server.
    Postgresql,
    /// A MariaDB server.
    Mariadb,
    /// A Redis server.
    Redis,
    /// The web server nginx.
    Nginx,
    /// A network interface that is joined to another: a module of most kernels.
    Veth,
    /// Programs for what an interface sends: Linux 6.6.
    Tcx,
    /// The queueing discipline fq: a module of most kernels.
    Fq,
    /// The queueing discipline netem, which loses packets: a module of most kernels.
    Netem,
    /// The firewall nftables: a module of most kernels.
    Nftables,
    /// Names for why packets are dropped: Linux 5.17.
    DropReasons,
    /// BPF programs as a security module (LSM), which the kernel asks.
    Lsm,
    /// A kernel that has them, and does not ask them.
    LsmUnasked,
    /// A cgroup that may have only so much memory.
    MemoryLimit,
    /// A program of the machine.
    Program(&'static str),
}

impl Need {
    /// Why it is not there, looked for once.
    pub(crate) fn missing(self) -> Option<String> {
        static KNOWN: Mutex<BTreeMap<Need, Option<String>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().expect("no look panics");
        known.entry(self).or_insert_with(|| self.look()).clone()
    }

    /// The server that it is.
    fn server(self) -> Option<&'static servers::Kind> {
        match self {
            Need::Postgresql => Some(&servers::POSTGRESQL),
            Need::Mariadb => Some(&servers::MARIADB),
            Need::Redis => Some(&servers::REDIS),
            Need::Nginx => Some(&servers::NGINX),
            _ => None,
        }
    }

    fn look(self) -> Option<String> {
        if let Some(server) = self.server() {
            return server.missing();
        }
        if let Self::Program(path) = self {
            return (!Path::new(path).exists()).then(|| format!("there is no {path}"));
        }
        let (is_there, otherwise) = self.is_there();
        (!is_there).then(|| otherwise.into())
    }

    /// And what is said where it is not.
    fn is_there(self) -> (bool, &'static str) {
        let kprobes = || Path::new("/sys/bus/event_source/devices/kprobe").exists();
        let tracefs = || Path::new("/sys/kernel/tracing/events").exists();
        let fexit = || libbpf_rs::ProgramType::Tracing.is_supported().unwrap_or(false);
        let fprobes = || kprobes() && has_function("register_fprobe_ips");
        match self {
            Self::Tracefs => (tracefs(), "tracefs is not there and cannot be mounted"),
            Self::Fexit if cfg!(target_arch = "aarch64") && is_before(6, 4) => {
                (false, "this kernel has no fexit programs on arm64")
            }
            Self::Fexit => (fexit(), "this kernel has no fexit programs, or forbids them"),
            Self::Lsm => (lsm() == Some(true), NO_LSM),
            Self::LsmUnasked => {
                (lsm() == Some(false), "this kernel has no LSM programs, or asks them")
            }
            Self::KprobeMulti => (fprobes(), "this kernel has no kprobe.multi"),
            Self::Calls32 => {
                (calls_work(&["exec32", "/no/such"]), "this kernel has no 32-bit system calls")
            }
            Self::Uring => {
                (calls_work(&["uring", &fresh_file()]), "this kernel's io_uring does not delete")
            }
            Self::Musl => (lookups()[1].is_some(), "there is no musl-gcc"),
            Self::Overlayfs => (has_filesystem("overlay"), "this kernel has no overlayfs"),
            Self::Libreadline => {
                (calls_work(&["readline", "/dev/null"]), "there is no libreadline")
            }
            Self::Usdt => (!is_before(5, 15), "this kernel has no BPF cookies"),
            Self::Veth => (veth_works(), "this kernel has no veth"),
            Self::Tcx => (!is_before(6, 6), "this kernel has no tcx programs"),
            Self::Fq => (network_has(&["fq", "lo"]), "this kernel has no fq"),
            Self::Netem => (network_has(&["netem", "lo", "1"]), "this kernel has no netem"),
            Self::Nftables => (network_has(&["firewall", "1"]), "this kernel has no nftables"),
            Self::DropReasons => (!is_before(5, 17), "this kernel names no reasons"),
            Self::MemoryLimit => {
                (calls_work(&["oom", "-"]), "this machine has no cgroups that limit memory")
            }
            Self::Kprobes => (kprobes(), "this kernel has no kprobes"),
            // Which look() has looked for.
            Self::Postgresql | Self::Mariadb | Self::Redis | Self::Nginx | Self::Program(_) => {
                (true, "")
            }
        }
    }
}

const NO_LSM: &str = "this kernel has no LSM programs, or does not ask them";

/// Has it LSM programs, and if so, does it ask them? They came to arm64 with Linux 6.4.
fn lsm() -> Option<bool> {
    let is_missing = cfg!(target_arch = "aarch64") && is_before(6, 4)
        || !libbpf_rs::ProgramType::Lsm.is_supported().unwrap_or(false);
    let options = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let chosen = options.split_whitespace().find_map(|option| option.strip_prefix("lsm="));
    // Debian's kernels ask them by default since 5.16.
    let asks = chosen.map_or(!is_before(5, 16), |list| list.split(',').any(|one| one == "bpf"));
    (!is_missing).then_some(asks)
}

fn calls_work(args: &[&str]) -> bool {
    let status =
        Command::new(calls()).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

pub(crate) fn is_before(major: u32, minor: u32) -> bool {
    let release = nix::sys::utsname::uname().expect("a system has a name");
    let release = release.release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (major, minor)
}

/// The way that is tried first for functions of the kernel. Linux 7.0 and later preempt fexit
/// programs, and skip them meanwhile; others do as they were told to, which is not always known.
pub(crate) fn first_way(said: &str) -> bool {
    let says = |way: &str| said.contains(&format!("hook in use: {way} "));
    let (multi, fexit) = (says("kprobe.multi and kretprobe.multi"), says("fentry and fexit"));
    if is_before(6, 14) { fexit } else { multi || fexit && is_before(7, 0) }
}

/// Has the kernel this function?
pub(crate) fn has_function(name: &str) -> bool {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    symbols.lines().any(|line| line.split(' ').nth(2) == Some(name))
}

/// Does it say where it counts interrupts? On arm64 that is with the task.
pub(crate) fn tells_interrupts() -> bool {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    cfg!(target_arch = "aarch64") || symbols.contains(" __per_cpu_offset")
}

fn veth_works() -> bool {
    let args = ["helper", "in-two-networks", "true"];
    let status = Command::new(this_program()).args(args).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Can calls do that in a network of its own?
fn network_has(args: &[&str]) -> bool {
    let args = [&["helper", "in-network", calls()], args].concat();
    let status = Command::new(this_program()).args(args).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Loads a module and what it depends on, if this kernel has it as one.
pub(crate) fn load_module(name: &str) -> bool {
    let status = Command::new("/sbin/modprobe").arg(name).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

pub(crate) fn has_filesystem(name: &str) -> bool {
    load_module(name);
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.ends_with(&format!("\t{name}")))
}

fn fresh_file() -> String {
    let path = scratch_dir("need").join("file");
    std::fs::write(&path, "").expect("a file can be made");
    path.to_string_lossy().into_owned()
}

/// Where cgroup v2 is mounted.
pub(crate) fn cgroup2() -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 "))?;
    mount.split(' ').nth(1).map(Into::into)
}

pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed => f.write_str("ok"),
            Outcome::Failed(why) => write!(f, "FAILED\n{why}"),
            Outcome::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

impl From<Result<(), String>> for Outcome {
    /// A reason that begins with `skipped: ` is why the case cannot run here.
    fn from(result: Result<(), String>) -> Self {
        let Err(why) = result else { return Outcome::Passed };
        match why.strip_prefix("skipped: ") {
            Some(reason) => Outcome::Skipped(reason.into()),
            None => Outcome::Failed(why),
        }
    }
}

impl Case {
    pub(crate) fn check(&self) -> Outcome {
        if let Some(why) = self.needs.iter().find_map(|need| need.missing()) {
            return Outcome::Skipped(why);
        }
        let dir = scratch_dir(self.name);
        let mut words = Vec::new();
        for server in self.needs.iter().filter_map(|need| need.server()) {
            match server.words() {
                Ok(server) => words.extend(server),
                Err(why) => return Outcome::Failed(why),
            }
        }
        let run = Run::of(words, self.within, self.args, self.command, self.typed, &dir);
        let outcome = self.judge(&run).map_err(|why| format!("{why}\n{run}")).into();
        let _ = std::fs::remove_dir_all(&dir);
        outcome
    }

    fn judge(&self, run: &Run) -> Result<(), String> {
        if run.code != Some(self.code) {
            return Err(format!("exit code {:?}", run.code));
        }
        let lines = if self.is_json() { run.json()? } else { Vec::new() };
        for pattern in self.shows {
            let pattern = run.pattern(pattern)?;
            if !lines.iter().any(|line| contains(line, &pattern)) {
                return Err(format!("not shown: {pattern}"));
            }
        }
        for pattern in self.hides {
            let pattern = run.pattern(pattern)?;
            if let Some(line) = lines.iter().find(|line| contains(line, &pattern)) {
                return Err(format!("shown, and should not be: {line}"));
            }
        }
        if let Some(expected) = self.events {
            let seen = lines.iter().map(events_in).sum::<u64>();
            if seen != expected {
                return Err(format!("{seen} events, not {expected}"));
            }
        }
        (self.also)(run)
    }

    fn is_json(&self) -> bool {
        self.args.contains(&"--json")
    }
}

/// Events that a line stands for.
fn events_in(line: &Value) -> u64 {
    match line["type"].as_str() {
        Some("event") => 1,
        Some("interval") => line["count"].as_u64().unwrap_or(0),
        _ => 0,
    }
}

/// Has `line` all keys and values of `pattern`? A key of null: the line has it not.
fn contains(line: &Value, pattern: &Value) -> bool {
    let Some(pattern) = pattern.as_object() else { return false };
    pattern.iter().all(|(key, value)| line.get(key).unwrap_or(&Value::Null) == value)
}
