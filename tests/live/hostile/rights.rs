//! Attacks by capabilities, and what another user can do.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Uid, chown};
use serde_json::Value;

use crate::behaviours::{Behaviour, check, text};
use crate::case::cgroup2;
use crate::run::{Running, ebtools, this_program};

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("containers_that_come_are_named_at_once", containers_that_come_are_named_at_once),
    ("container_is_not_hidden_by_others", container_is_not_hidden_by_others),
    ("container_is_not_renamed_from_inside", container_is_not_renamed_from_inside),
    ("container_must_be_one", container_must_be_one),
    ("container_of_a_deep_cgroup", container_of_a_deep_cgroup),
];

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
    let output = command.output().map_err(text)?;
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
