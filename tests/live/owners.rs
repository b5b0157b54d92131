//! owner.bpf.h, which is for tools to come: what it says of a task from outside must be what the task
//! says of itself. owners.bpf.c compares them in the kernel, for each filter.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use libbpf_rs::{
    Link, Map, MapCore as _, MapFlags, Object, ObjectBuilder, OpenObject, ProgramInput,
};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::behaviours::{Behaviour, check, text};
use crate::case::cgroup2;
use crate::run::this_program;

pub(crate) const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("owners_without_filters", || agree(&Filter::default(), &[])),
    ("owners_by_uid", by_uid),
    ("owners_by_comm", by_comm),
    ("owners_by_pid", by_pid),
    ("owners_by_pid_in_a_namespace", by_pid_in_a_namespace),
    ("owners_by_cgroup", by_cgroup),
    ("owners_that_are_followed", that_are_followed),
    ("owners_that_find_no_room", that_find_no_room),
];

const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/owners.o"));
/// Makes tasks, several at a time.
const WORK: &str = "while :; do /bin/true & /bin/true & /bin/true & wait; done";
const PATIENCE: Duration = Duration::from_secs(60);

/// Where members of `struct settings` in shared.bpf.h are.
const BY_PID: usize = 4;
const BY_UID: usize = 5;
const BY_COMM: usize = 6;
const BY_CGROUP: usize = 7;
const FOLLOW: usize = 8;
const PERF_TRACEPOINTS: usize = 10;
const COLLECT: usize = 12;
const PIDNS: usize = 24;
const COMM: usize = 40;

const FOLLOW_PIDS: u8 = 2;

/// What user space would set and fill for some options.
#[derive(Default)]
struct Filter {
    settings: Vec<(usize, Vec<u8>)>,
    /// The map, a key and a value.
    entry: Option<(&'static str, u32, Vec<u8>)>,
    /// Room for one owner.
    is_narrow: bool,
}

/// The members of `seen`.
#[derive(Debug)]
struct Seen {
    wanted: u64,
    unwanted: u64,
    owners: u64,
    others: [u64; 3],
}

/// The object, attached, while a workload runs.
struct Run {
    object: Object,
    _links: Vec<Link>,
}

impl Run {
    fn start(filter: &Filter) -> libbpf_rs::Result<Self> {
        let mut open = ObjectBuilder::default().open_memory(OBJECT)?;
        let follows = filter.settings.iter().any(|(at, _)| *at == FOLLOW);
        for mut program in open.progs_mut() {
            let follower = program.name().to_string_lossy().starts_with("follow_");
            program.set_autoload(follows || !follower);
        }
        configure(&mut open, filter)?;
        let object = open.load()?;
        if let Some((name, key, value)) = &filter.entry {
            map(&object, name).update(&key.to_ne_bytes(), value, MapFlags::ANY)?;
        }
        let mut links = Vec::new();
        // Those that follow go first, as in a tool; last what puts owners there, so that the first
        // call that ends in a new task is seen.
        let mut programs = object.progs_mut().filter(|one| one.autoload()).collect::<Vec<_>>();
        programs.sort_by_key(|one| {
            let name = one.name().to_string_lossy();
            (!name.starts_with("follow_"), name == "on_new_task")
        });
        for program in programs {
            match program.name().to_str() {
                Some("identify_tracer") => {
                    program.test_run(ProgramInput::default())?;
                }
                _ => links.push(program.attach()?),
            }
        }
        Ok(Self { object, _links: links })
    }

    fn seen(&self) -> Result<Seen, String> {
        let bytes = map(&self.object, ".data.seen").lookup(&[0; 4], MapFlags::ANY);
        let bytes = bytes.map_err(text)?.ok_or("nothing was seen")?;
        let numbers = numbers(&bytes);
        let (wanted, unwanted, owners) = (numbers[0], numbers[1], numbers[2]);
        Ok(Seen { wanted, unwanted, owners, others: [numbers[3], numbers[4], numbers[5]] })
    }

    /// What is under way, and what was lost for want of room.
    fn accounts(&self) -> Result<(u64, u64), String> {
        let cpus = map(&self.object, "counters").lookup_percpu(&[0; 4], MapFlags::ANY);
        let cpus = cpus.map_err(text)?.ok_or("there are no counters")?;
        let cpus = cpus.iter().map(|cpu| numbers(cpu));
        // submitted, calls, lost[LOST_RING_FULL], lost[LOST_MAP_FULL]
        let sum = |at: usize| cpus.clone().fold(0, |sum: u64, cpu| sum.wrapping_add(cpu[at]));
        Ok((sum(1), sum(3)))
    }
}

fn configure(open: &mut OpenObject, filter: &Filter) -> libbpf_rs::Result<()> {
    for mut map in open.maps_mut() {
        match map.name().to_string_lossy().as_ref() {
            ".rodata.settings" => {
                let place = map.initial_value_mut().expect("the settings have a value");
                place[PERF_TRACEPOINTS] = 1;
                // All that a header can have.
                place[COLLECT..COLLECT + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
                for (at, bytes) in &filter.settings {
                    place[*at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
            "followed" | "wanted_pids" => map.set_max_entries(16384)?,
            "owners" if filter.is_narrow => map.set_max_entries(1)?,
            _ => {}
        }
    }
    Ok(())
}

fn map<'o>(object: &'o Object, name: &str) -> Map<'o> {
    object.maps().find(|map| map.name() == name).expect("the object has the map")
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks_exact(8).map(|word| word.try_into().expect("it has eight bytes"));
    words.map(u64::from_ne_bytes).collect()
}

/// A workload, and all that it has started, while this lives.
struct Workload(Child);

impl Workload {
    /// `within`: words of the helper before the command.
    fn start(within: &[&str]) -> Result<Self, String> {
        let mut command = match within {
            [] => Command::new("sh"),
            _ => Command::new(this_program()),
        };
        if !within.is_empty() {
            command.arg("helper").args(within).arg("sh");
        }
        command.args(["-c", WORK]).stdin(Stdio::null()).process_group(0);
        Ok(Self(command.spawn().map_err(text)?))
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).expect("it is a pid");
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Runs until enough is seen: then inside and outside agree about all of it.
fn agree(filter: &Filter, within: &[&str]) -> Result<(), String> {
    let workload = Workload::start(within)?;
    agree_about(&workload, filter)
}

fn agree_about(_: &Workload, filter: &Filter) -> Result<(), String> {
    let run = Run::start(filter).map_err(text)?;
    let deadline = Instant::now() + PATIENCE;
    // This process is the tracer, which is never wanted.
    loop {
        let seen = run.seen()?;
        check(seen.others == [0; 3] && Instant::now() < deadline, || format!("{seen:?}"))?;
        if seen.wanted > 100 && seen.unwanted > 100 && seen.owners > 20 {
            break;
        }
        yield_now();
    }
    let (_, lost) = run.accounts()?;
    check(lost == 0, || format!("{lost} owners found no room"))
}

fn by_uid() -> Result<(), String> {
    let settings = vec![(BY_UID, vec![1])];
    let filter =
        Filter { settings, entry: Some(("wanted_uids", 12345, vec![1])), is_narrow: false };
    agree(&filter, &["as", "12345"])
}

fn by_comm() -> Result<(), String> {
    let settings = vec![(BY_COMM, vec![2]), (COMM, b"ru".to_vec())];
    agree(&Filter { settings, ..Filter::default() }, &[])
}

/// A filter of this workload's own number.
fn pid_filter(workload: &Workload, settings: &[(usize, Vec<u8>)]) -> Filter {
    let settings = [&[(BY_PID, vec![1])], settings].concat();
    Filter { settings, entry: Some(("wanted_pids", workload.0.id(), vec![1])), is_narrow: false }
}

fn by_pid() -> Result<(), String> {
    let workload = Workload::start(&[])?;
    agree_about(&workload, &pid_filter(&workload, &[]))
}

fn by_pid_in_a_namespace() -> Result<(), String> {
    let workload = Workload::start(&[])?;
    let namespace = fs::metadata("/proc/self/ns/pid").map_err(text)?;
    let pidns = [namespace.dev().to_ne_bytes(), namespace.ino().to_ne_bytes()].concat();
    agree_about(&workload, &pid_filter(&workload, &[(PIDNS, pidns)]))
}

fn that_are_followed() -> Result<(), String> {
    let workload = Workload::start(&[])?;
    agree_about(&workload, &pid_filter(&workload, &[(FOLLOW, vec![FOLLOW_PIDS])]))
}

/// Of tasks in a cgroup below the one that is wanted.
fn by_cgroup() -> Result<(), String> {
    let root = cgroup2().ok_or("skipped: cgroup v2 is not mounted")?;
    let (outer, inner) = (format!("{root}/ebtools-owners"), format!("{root}/ebtools-owners/in"));
    fs::create_dir_all(&inner).map_err(text)?;
    let dir = File::open(&outer).map_err(text)?;
    let settings = vec![(BY_CGROUP, vec![1])];
    let fd = dir.as_raw_fd().to_ne_bytes().to_vec();
    let filter = Filter { settings, entry: Some(("wanted_cgroups", 0, fd)), is_narrow: false };
    let agreed = agree(&filter, &["in-cgroup", &inner]);
    // What was killed may not have left it yet.
    let deadline = Instant::now() + PATIENCE;
    while fs::remove_dir(&inner).is_err() && Instant::now() < deadline {
        yield_now();
    }
    let _ = fs::remove_dir(&outer);
    agreed
}

/// A full table is in the accounts, and what is under way is what the table has.
fn that_find_no_room() -> Result<(), String> {
    let workload = Workload::start(&[])?;
    let run = Run::start(&Filter { is_narrow: true, ..Filter::default() }).map_err(text)?;
    let deadline = Instant::now() + PATIENCE;
    while run.accounts()?.1 == 0 {
        check(Instant::now() < deadline, || "there was room for all".into())?;
        yield_now();
    }
    drop(workload);
    loop {
        let (under_way, _) = run.accounts()?;
        let there = map(&run.object, "owners").keys().count() as u64;
        if under_way == there {
            return Ok(());
        }
        check(Instant::now() < deadline, || format!("{under_way} under way, {there} there"))?;
    }
}
