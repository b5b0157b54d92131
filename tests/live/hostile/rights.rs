//! Attacks by capabilities, and what another user can do.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use caps::Capability;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, chown};
use serde_json::Value;

use crate::behaviours::{Behaviour, check, text};
use crate::case::{Need, cgroup2, is_before};
use crate::run::{Running, ebtools, scratch_dir, this_program};
use crate::watched::Watched as _;

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("containers_that_come_are_named_at_once", containers_that_come_are_named_at_once),
    ("containers_have_the_names_of_kubernetes", containers_have_the_names_of_kubernetes),
    ("container_is_not_hidden_by_others", container_is_not_hidden_by_others),
    ("container_is_not_renamed_from_inside", container_is_not_renamed_from_inside),
    ("container_must_be_one", container_must_be_one),
    ("container_of_a_deep_cgroup", container_of_a_deep_cgroup),
    ("tools_start_with_what_they_need", tools_start_with_what_they_need),
    ("tools_keep_only_what_they_need", tools_keep_only_what_they_need),
    ("probes_keep_what_they_read_with", probes_keep_what_they_read_with),
    ("files_of_others_are_found_with_what_is_kept", files_of_others_are_found_with_what_is_kept),
    ("command_has_the_rights_of_the_user", command_has_the_rights_of_the_user),
    ("command_of_another_user_is_ended", command_of_another_user_is_ended),
    ("root_without_rights_cannot_look_into_it", root_without_rights_cannot_look_into_it),
];

/// What a tool takes, and what it keeps once it has attached. `MAPS`, `UPROBES`, `KPROBES`, `PERF` and
/// `MEMORY` are what some kernels want besides.
struct Rights {
    args: &'static [&'static str],
    start: &'static [&'static str],
    keeps: &'static [&'static str],
    needs: &'static [Need],
}

const TRACES: &[&str] = &["CAP_BPF", "CAP_PERFMON", "MEMORY"];
const FILES: &[&str] = &[
    "CAP_BPF",
    "CAP_PERFMON",
    "UPROBES",
    "CAP_SYS_PTRACE",
    "CAP_DAC_READ_SEARCH",
    "CAP_CHECKPOINT_RESTORE",
];
const TRACEFS: &[&str] = &["CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH", "MEMORY"];
const USUAL: Rights = Rights { args: &[], start: TRACES, keeps: &["MAPS"], needs: &[] };

#[rustfmt::skip]
const RIGHTS: &[Rights] = &[
    Rights { args: &["execsnoop"], ..USUAL },
    Rights { args: &["execsnoop", "-x", "--count=comm"], ..USUAL },
    Rights { args: &["execsnoop", "--json"], keeps: &["MAPS", "CAP_DAC_READ_SEARCH"], ..USUAL },
    Rights { args: &["clonesnoop"], ..USUAL },
    Rights { args: &["dropsnoop"], keeps: &["MAPS", "CAP_SYSLOG"], ..USUAL },
    Rights { args: &["exitsnoop"], ..USUAL },
    Rights { args: &["opensnoop"], ..USUAL },
    Rights { args: &["syscount", "-L"], ..USUAL },
    Rights { args: &["unlinksnoop"], ..USUAL },
    Rights { args: &["hello"], start: TRACEFS, needs: &[Need::Tracefs], ..USUAL },
    Rights { args: &["guard", "-u", NOBODY, "--deny", "open:/etc/passwd"], needs: &[Need::Lsm], ..USUAL },
    Rights { args: &["guard", "-u", NOBODY, "--deny", "connect:::1"], start: &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "MEMORY"], ..USUAL },
    Rights { args: &["tcfilter", "lo"], start: &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "MEMORY"], ..USUAL },
    Rights { args: &["tcfilter", "lo", "--by", "pid"], start: &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "MEMORY"], ..USUAL },
    Rights { args: &["tcpsnoop"], ..USUAL },
    Rights { args: &["tcpsnoop", "--rtt"], ..USUAL },
    Rights { args: &["xdpfilter", "lo"], start: &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "MEMORY"], ..USUAL },
    Rights { args: &["funclatency", "vfs_read"], start: &["CAP_BPF", "CAP_PERFMON", "KPROBES", "MEMORY"], needs: &[Need::Kprobes], ..USUAL },
    Rights { args: &["funclatency", "c:getaddrinfo"], start: &["CAP_BPF", "CAP_PERFMON", "UPROBES", "MEMORY"], ..USUAL },
    Rights {
        args: &["profile"],
        start: &["CAP_BPF", "CAP_PERFMON", "PERF", "MEMORY"],
        keeps: &["MAPS", "PERF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_CHECKPOINT_RESTORE", "CAP_SYSLOG"],
        ..USUAL
    },
    Rights { args: &["gethostlatency"], start: FILES, keeps: FILES, ..USUAL },
    Rights { args: &["querysnoop"], start: FILES, keeps: FILES, ..USUAL },
    Rights { args: &["readline"], start: FILES, keeps: FILES, needs: &[Need::Program("/bin/bash")] },
];

/// Debian's kernels have a level at which perf is root's alone.
fn is_paranoid() -> bool {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    level.trim().parse::<i32>().is_ok_and(|level| level > 2)
}

/// The capabilities that this kernel asks for.
fn named(words: &[&'static str], with_memory: bool) -> Vec<&'static str> {
    let word = |word: &&'static str| match *word {
        "MAPS" => is_before(5, 19).then_some("CAP_BPF"),
        "UPROBES" => is_before(6, 10).then_some("CAP_SYS_ADMIN"),
        // Where there is nothing better: on arm64, fexit came with 6.4.
        "KPROBES" if !cfg!(target_arch = "aarch64") || !is_before(6, 4) => None,
        "KPROBES" | "PERF" => is_paranoid().then_some("CAP_SYS_ADMIN"),
        "MEMORY" => (with_memory && is_before(5, 11)).then_some("CAP_SYS_RESOURCE"),
        word => Some(word),
    };
    words.iter().filter_map(word).collect()
}

/// The attacker.
const NOBODY: &str = "65534";

/// Cgroups that are taken away at the end.
struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes one below the root.
    fn add(&mut self, name: &str) -> Result<PathBuf, String> {
        let dir = Path::new(&cgroup2().ok_or("skipped: cgroup v2 is not mounted")?).join(name);
        fs::create_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        self.0.push(dir.clone());
        Ok(dir)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // The kernel lets go of a cgroup a little after its last process.
        let deadline = Instant::now() + Duration::from_secs(10);
        for dir in self.0.drain(..).rev() {
            while remove_below(&dir).is_err() && Instant::now() < deadline {}
        }
    }
}

fn remove_below(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_below(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

/// An id of a container that begins like this.
fn id(beginning: &str) -> String {
    format!("{beginning:0<64}")
}

/// Runs a program in a cgroup, as root.
fn run_in(dir: &Path, command: &[&str]) -> Result<(), String> {
    let mut helper = Command::new(this_program());
    helper.args(["helper", "in-cgroup"]).arg(dir).args(command);
    let status = helper.status().map_err(text)?;
    check(status.success(), || format!("{command:?} in {}: {status}", dir.display()))
}

/// Runs a program as the attacker.
fn as_nobody(command: &[&str]) -> Result<(), String> {
    let status = Command::new(this_program()).args(["helper", "as", NOBODY]).args(command).status();
    let status = status.map_err(text)?;
    check(status.success(), || format!("{command:?} as {NOBODY}: {status}"))
}

/// Gives a cgroup to the attacker, as systemd delegates one to a user.
fn delegate(dir: &Path) -> Result<(), String> {
    let nobody = NOBODY.parse().map(Uid::from_raw).map_err(text)?;
    for path in [dir.to_owned(), dir.join("cgroup.procs"), dir.join("cgroup.subtree_control")] {
        chown(&path, Some(nobody), None).map_err(text)?;
    }
    Ok(())
}

/// The events of a run that traces until it is told to end.
fn ended(running: Running) -> Result<Vec<Value>, String> {
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (_, stdout, _) = running.end().map_err(text)?;
    let lines = stdout.lines().map(serde_json::from_str);
    lines.collect::<Result<Vec<_>, _>>().map_err(|error| format!("{error}: {stdout}"))
}

/// The container that the event of `/bin/true WORD` has; `Some("")` without one.
fn container_of<'l>(lines: &'l [Value], word: &str) -> Option<&'l str> {
    let event = lines.iter().find(|line| line["args"][1] == word)?;
    Some(event["container"].as_str().unwrap_or_default())
}

/// One after the other, and each with a process that ends at once.
fn containers_that_come_are_named_at_once() -> Result<(), String> {
    let mut cgroups = Cgroups::new();
    let running = Running::start(&["execsnoop", "--json", "-n", "true"])?;
    let ids = (0..40).map(|i| id(&format!("c0{i:02}"))).collect::<Vec<_>>();
    for id in &ids {
        run_in(&cgroups.add(&format!("docker-{id}.scope"))?, &["/bin/true", id])?;
    }
    let lines = ended(running)?;
    let unnamed = ids.iter().filter(|id| container_of(&lines, id) != Some(id));
    let unnamed = unnamed.count();
    check(unnamed == 0, || format!("{unnamed} of {} containers have no name", ids.len()))
}

/// What a test has made in directories of the system, and those if they were not there.
struct Made(Vec<PathBuf>);

impl Made {
    fn dir(&mut self, path: &str) -> Result<PathBuf, String> {
        let path = PathBuf::from(path);
        for dir in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            if !dir.exists() {
                fs::create_dir(dir).map_err(text)?;
                self.0.push(dir.to_owned());
            }
        }
        Ok(path)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.drain(..).rev() {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
    }
}

/// The kubelet's files are those of a real one, which this machine has not: the pod's directory is there
/// before its containers, the link with the container's name comes after it has begun.
fn containers_have_the_names_of_kubernetes() -> Result<(), String> {
    let (mut cgroups, mut made, own) = (Cgroups::new(), Made(Vec::new()), id("c0de"));
    let uid = "0a1b2c3d-0000-4000-8000-000000000001";
    made.dir(&format!("/var/log/pods/shop_web-1_{uid}"))?;
    let pod = format!("kubepods-besteffort-pod{}.slice", uid.replace('-', "_"));
    let pod = cgroups.add(&pod)?;
    let container = pod.join(format!("cri-containerd-{own}.scope"));
    fs::create_dir(&container).map_err(text)?;
    let running = Running::start(&["execsnoop", "--json", "-n", "true"])?;
    run_in(&container, &["/bin/true", "early"])?;
    let link = made.dir("/var/log/containers")?.join(format!("web-1_shop_nginx-{own}.log"));
    std::os::unix::fs::symlink("/dev/null", &link).map_err(text)?;
    made.0.push(link);
    std::thread::sleep(Duration::from_millis(600));
    run_in(&container, &["/bin/true", "late"])?;
    let lines = ended(running)?;
    let event = |word: &str| lines.iter().find(|line| line["args"][1] == word);
    for (word, is_named) in [("early", false), ("late", true)] {
        let event = event(word).ok_or_else(|| format!("no {word}: {lines:?}"))?;
        let good = event["container"] == own.as_str()
            && event["namespace"] == "shop"
            && event["pod"] == "web-1"
            && (event["container_name"] == "nginx" || !is_named);
        check(good, || format!("{word}: {event}"))?;
    }
    Ok(())
}

/// Another user's cgroups have ids that begin the same way, and the very same one.
fn container_is_not_hidden_by_others() -> Result<(), String> {
    let (mut cgroups, victim) = (Cgroups::new(), id("ab12"));
    let real = cgroups.add(&format!("docker-{victim}.scope"))?;
    let delegated = cgroups.add("ebtools-delegated")?;
    delegate(&delegated)?;
    let delegated = delegated.to_string_lossy();
    let like = |i: usize| format!("{delegated}/docker-{}.scope", id(&format!("ab12{i:04}")));
    let mut names = (1..80).map(like).collect::<Vec<_>>();
    names.extend((1..80).map(|i| format!("{delegated}/copy{i}-{victim}")));
    let dirs = names.iter().map(String::as_str);
    as_nobody(&["mkdir"].into_iter().chain(dirs).collect::<Vec<_>>())?;

    let running = Running::start(&["execsnoop", "--json", "--container", "ab12"])?;
    run_in(&real, &["/bin/true", "inside"])?;
    for dir in [names.first(), names.last()].into_iter().flatten() {
        run_in(Path::new(dir), &["/bin/true", "attacker"])?;
    }
    let lines = ended(running)?;
    let good = container_of(&lines, "inside") == Some(&victim)
        && container_of(&lines, "attacker").is_none();
    check(good, || format!("{lines:?}"))
}

/// Inside a container, in a part of the tree that was given to its user.
fn container_is_not_renamed_from_inside() -> Result<(), String> {
    let (mut cgroups, own, other) = (Cgroups::new(), id("c0ffee"), id("ab12"));
    let container = cgroups.add(&format!("docker-{own}.scope"))?;
    let inner = container.join("inner");
    fs::create_dir(&inner).map_err(text)?;
    delegate(&inner)?;
    let renamed = inner.join(format!("docker-{other}.scope"));
    as_nobody(&["mkdir", &renamed.to_string_lossy()])?;
    let running = Running::start(&["execsnoop", "--json", "-n", "true"])?;
    run_in(&renamed, &["/bin/true", "attacker"])?;
    let lines = ended(running)?;
    check(container_of(&lines, "attacker") == Some(&own), || format!("{lines:?}"))
}

/// A beginning that two have is said, with both.
fn container_must_be_one() -> Result<(), String> {
    let (mut cgroups, ids) = (Cgroups::new(), [id("ab12"), id("ab13")]);
    for id in &ids {
        cgroups.add(&format!("docker-{id}.scope"))?;
    }
    let mut command = Command::new(ebtools());
    command.args(["execsnoop", "--container", "ab1", "--", "true"]).stdin(Stdio::null());
    let output = command.watched().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let good = output.status.code() == Some(1)
        && said.contains("2 containers have such an id")
        && ids.iter().all(|id| said.contains(id));
    check(good, || format!("{} {said}", output.status))
}

/// Below so many others that the kernel does not tell its path.
fn container_of_a_deep_cgroup() -> Result<(), String> {
    let (mut cgroups, own) = (Cgroups::new(), id("deeb"));
    let dir = cgroups.add(&format!("docker-{own}.scope"))?;
    let running = Running::start(&["execsnoop", "--json", "-n", "true"])?;
    let mut helper = Command::new(this_program());
    helper.args(["helper", "in-deep-cgroup"]).arg(&dir);
    // It stays until the tracer has ended.
    helper.args(["sh", "-c", "/bin/true deep; echo; read line"]);
    let helper = helper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut helper = helper.map_err(text)?;
    let mut stdout = helper.stdout.take().ok_or("no standard output")?;
    stdout.read_exact(&mut [0]).map_err(text)?;
    let lines = ended(running);
    drop(helper.stdin.take());
    helper.wait().map_err(text)?;
    let lines = lines?;
    check(container_of(&lines, "deep") == Some(&own), || format!("{lines:?}"))
}

/// ebtools, where every user can run it.
struct Binary(PathBuf);

impl Binary {
    fn new() -> Result<Self, String> {
        let path = scratch_dir("binary").with_extension("copy");
        fs::copy(ebtools(), &path).map_err(text)?;
        Ok(Self(path))
    }

    /// As the attacker's user with these capabilities, and what it says.
    fn with_rights(&self, rights: &[&str], args: &[&str]) -> Result<(Option<i32>, String), String> {
        let mut command = Command::new(this_program());
        command.args(["helper", "with-rights", NOBODY, &rights.join(",")]).arg(&self.0).args(args);
        let output = command.stdin(Stdio::null()).watched().map_err(text)?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// With exactly what it takes every tool works; with one less it says which is missing.
fn tools_start_with_what_they_need() -> Result<(), String> {
    let list = Command::new(ebtools()).arg("--list").watched().map_err(text)?;
    // probes attaches to nothing, doctor what others do: they have cases of their own.
    let is_other = |tool: &&str| !["probes", "doctor"].contains(tool) && !tool.contains(" = ");
    for tool in String::from_utf8_lossy(&list.stdout).lines().filter(is_other) {
        let has_row = RIGHTS.iter().any(|rights| rights.args[0] == tool);
        check(has_row, || format!("{tool} is not in RIGHTS"))?;
    }
    let binary = Binary::new()?;
    for Rights { args, start, needs, .. } in RIGHTS {
        if needs.iter().any(|need| need.missing().is_some()) {
            continue;
        }
        let all = named(start, true);
        let (code, said) = binary.with_rights(&all, &[args, &["-d", "0.2"][..]].concat())?;
        let good = code == Some(0) && said.contains(" lost") && !said.contains("ebtools: ");
        check(good, || format!("{args:?} with {all:?}: {code:?} {said}"))?;
        // `MEMORY`: where the limit is high enough already, it is not missed.
        for one in named(start, false).iter() {
            // It contains what was split off it.
            if all.contains(&"CAP_SYS_ADMIN") && ADMIN.contains(one) {
                continue;
            }
            let others = all.iter().copied().filter(|other| other != one).collect::<Vec<_>>();
            let (code, said) = binary.with_rights(&others, args)?;
            let tool = args[0];
            let lines = format!(
                "ebtools: {tool}: not permitted: needs {one}\n\
                 hint: run it as root: sudo ebtools {tool}\n"
            );
            // Known only when the kernel has refused the hooks that need less.
            let at_last = start.contains(&"KPROBES")
                && *one == "CAP_SYS_ADMIN"
                && said.starts_with("ebtools: attaching: ")
                && said.contains(": needs CAP_SYS_ADMIN, as kernel.perf_event_paranoid");
            check(code == Some(1) && (said == lines || at_last), || {
                format!("{args:?} without {one}: {code:?} {said}")
            })?;
        }
    }
    Ok(())
}

const ADMIN: &[&str] = &["CAP_BPF", "CAP_PERFMON", "CAP_CHECKPOINT_RESTORE"];

/// What /proc says of the rights of each thread of a process.
fn rights_of(pid: Pid) -> Result<Vec<String>, String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(text)?.flatten();
    let status = tasks.map(|task| fs::read_to_string(task.path().join("status")));
    let rights = |status: String| {
        let lines = status.lines().filter(|line| {
            ["Cap", "NoNewPrivs:", "Seccomp:"].iter().any(|word| line.starts_with(word))
        });
        lines.map(|line| line.replace('\t', " ")).collect::<Vec<_>>().join("\n")
    };
    status.map(|status| status.map(rights).map_err(text)).collect()
}

/// A bit for each: those that are there twice count once.
fn mask_of(capabilities: &[&str]) -> Result<u64, String> {
    let mut parsed = capabilities.iter().map(|name| name.parse::<Capability>().map_err(text));
    parsed.try_fold(0, |bits, one| Ok(bits | one?.bitmask()))
}

fn tools_keep_only_what_they_need() -> Result<(), String> {
    for Rights { args, keeps, needs, .. } in RIGHTS {
        if needs.iter().any(|need| need.missing().is_some()) {
            continue;
        }
        let kept = mask_of(&named(keeps, false))?;
        let expected = format!(
            "CapInh: {0:016x}\nCapPrm: {kept:016x}\nCapEff: {kept:016x}\nCapBnd: {0:016x}\n\
             CapAmb: {0:016x}\nNoNewPrivs: 1\nSeccomp: 2",
            0
        );
        let running = Running::start(args)?;
        let rights = rights_of(running.pid())?;
        kill(running.pid(), Signal::SIGINT).map_err(text)?;
        let (code, stdout, stderr) = running.end().map_err(text)?;
        check(code == Some(0), || format!("{args:?}: {code:?} {stdout}{stderr}"))?;
        // The thread for signals keeps nothing.
        let nothing = expected.replace(&format!("{kept:016x}"), &format!("{:016x}", 0));
        let good = rights.contains(&expected)
            && rights.iter().all(|rights| [&expected, &nothing].contains(&rights));
        check(good, || format!("{args:?}: {rights:#?} not {expected}"))?;
    }
    Ok(())
}

/// A listing attaches to nothing, and reads whatever files it is told to: nobody takes its output here,
/// so that it can be looked at.
fn probes_keep_what_they_read_with() -> Result<(), String> {
    let mut listing = Command::new(ebtools())
        .arg("probes")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut stdout = listing.stdout.take().ok_or("no standard output")?;
    stdout.read_exact(&mut [0]).map_err(text)?;
    let pid = i32::try_from(listing.id()).map_err(text)?;
    let rights = rights_of(Pid::from_raw(pid));
    drop(stdout);
    listing.wait().map_err(text)?;
    let kept = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_CHECKPOINT_RESTORE", "CAP_SYSLOG"];
    let kept = mask_of(&kept)?;
    for rights in rights? {
        let good = rights.contains("NoNewPrivs: 1\nSeccomp: 2")
            && [kept, 0].iter().any(|kept| rights.contains(&format!("CapPrm: {kept:016x}\n")));
        check(good, || format!("{rights} not {kept:016x}"))?;
    }
    Ok(())
}

/// A C library of another user's, which has no name any more, in a process that starts later.
fn files_of_others_are_found_with_what_is_kept() -> Result<(), String> {
    let dir = scratch_dir("library");
    let maps = fs::read_to_string("/proc/self/maps").map_err(text)?;
    let libc = maps
        .lines()
        .find_map(|line| line.split(' ').next_back().filter(|path| path.ends_with("/libc.so.6")));
    let libc = libc.ok_or("skipped: this program has no libc.so.6 mapped")?;
    let copy = dir.join("libc.so.6");
    fs::copy(libc, &copy).map_err(text)?;
    chown(&copy, Some(Uid::from_raw(65534)), None).map_err(text)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o500)).map_err(text)?;

    let mut running = Running::start(&["gethostlatency"])?;
    let mut shell = Command::new(this_program());
    shell.args(["helper", "with-rights", NOBODY, "", "sh", "-c", "echo; read line"]);
    shell.env("LD_LIBRARY_PATH", &dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().map_err(text)?;
    let mut stdout = shell.stdout.take().ok_or("no standard output")?;
    let ready = stdout.read_exact(&mut [0]);
    fs::remove_dir_all(dir).map_err(text)?;
    let found = ready.map_err(text).and_then(|()| running.wait_for("hook in use: "));
    drop(shell.stdin.take());
    shell.wait().map_err(text)?;
    found
}

/// The command has the capabilities that ebtools was started with, and may gain others.
fn command_has_the_rights_of_the_user() -> Result<(), String> {
    let binary = Binary::new()?;
    let what = "^(Cap|NoNew|Seccomp:|SigBlk)";
    let show = ["busybox", "grep", "-E", what, "/proc/self/status"];
    let some = named(&["CAP_BPF", "CAP_PERFMON", "CAP_CHOWN", "MEMORY"], true).join(",");
    for user in [&["helper", "as", "0"][..], &["helper", "with-rights", NOBODY, &some]] {
        let run = |command: &[&str]| {
            let mut all = Command::new(this_program());
            all.args(user).args(command).stdin(Stdio::null());
            let output = all.watched().map_err(text)?;
            let said = [output.stdout, output.stderr].concat();
            Ok::<_, String>(String::from_utf8_lossy(&said).into_owned())
        };
        let own = run(&show)?;
        let ebtools = binary.0.to_string_lossy();
        let traced = run(&[&[&*ebtools, "execsnoop", "--count", "--"], &show[..]].concat())?;
        let good = own.contains("NoNewPrivs:\t0") && traced.contains(&own);
        check(good, || format!("{own}--- {traced}"))?;
    }
    Ok(())
}

fn command_of_another_user_is_ended() -> Result<(), String> {
    let mut command = Command::new(ebtools());
    command.args(["execsnoop", "--count", "-v", "-d", "100", "--"]).arg(this_program());
    let script = "while :; do echo pid $$; busybox sleep 0.2; done";
    command.args(["helper", "with-rights", NOBODY, "", "sh", "-c", script]);
    let mut running = Running::start_command(&mut command)?;
    let line = running.line_with("pid ")?;
    let pid = line.trim_start_matches("pid ").parse().map(Pid::from_raw).map_err(text)?;
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (_, _, said) = running.end().map_err(text)?;
    // Nobody waits for it but the first process of this system, which may not.
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_there = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    while is_there() && Instant::now() < deadline {}
    let ended = !is_there();
    let _ = kill(pid, Signal::SIGKILL);
    check(ended, || format!("it still runs: {said}"))
}

/// Of the tracer's user, but without capabilities, as root in a container often is.
fn root_without_rights_cannot_look_into_it() -> Result<(), String> {
    let rights = |command: &[&str]| {
        let mut all = Command::new(this_program());
        all.args(["helper", "with-rights", "0", ""]).args(command);
        all.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        all
    };
    let looks = |pid: u32| {
        let script = "exec busybox readlink /proc/$0/exe";
        rights(&["sh", "-c", script, &pid.to_string()]).status().map_err(text)
    };
    // It can look into what has no more rights than itself.
    let mut other = rights(&["sh", "-c", "echo; read line"]);
    let mut other = other.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(text)?;
    let mut stdout = other.stdout.take().ok_or("no standard output")?;
    stdout.read_exact(&mut [0]).map_err(text)?;
    let control = looks(other.id());
    drop(other.stdin.take());
    other.wait().map_err(text)?;
    check(control?.success(), || "it cannot look into its own kind".into())?;

    let running = Running::start(&["execsnoop", "-n", "no-such-name"])?;
    let status = looks(running.child.id())?;
    check(!status.success(), || "it looked into the tracer".into())
}
