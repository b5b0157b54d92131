//! `make bench`: ebtools beside the tools that people would use instead, under the same loads, in
//! turn and in one run. `--short` checks the accounts of ebtools alone, and no time: that is for
//! CI.

#![allow(clippy::expect_used, clippy::unwrap_used)] // A measurement that cannot go on ends.

mod accounts;
mod load;
mod tracer;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tracer::{Result, Running, Tracer};

/// The system's switch that makes the kernel count the time of BPF programs.
const BPF_STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";
const ROUNDS: usize = 3;

/// One load, and who can see it.
struct Scene {
    title: &'static str,
    load: &'static str,
    producers: usize,
    count: u64,
    tracers: Vec<Tracer>,
}

fn main() -> Result<()> {
    let args = std::env::args().skip(1).filter(|arg| arg != "--bench").collect::<Vec<_>>();
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    match args[..] {
        ["load", kind, count, dir] => return load::main(kind, count.parse()?, Path::new(dir)),
        _ if !nix::unistd::geteuid().is_root() => {
            println!("skipped: the bench needs root");
            println!("bench: 0 passed, 0 failed, 1 skipped");
            return Ok(());
        }
        ["--short"] => return accounts::check(&scratch()?),
        // A word of a title: only those loads.
        [] | [_] => {}
        _ => return Err("usage: [--short | WORD]".into()),
    }
    let dir = scratch()?;
    machine();
    let stats = Stats::keep();
    let word = args.first().copied().unwrap_or_default();
    for scene in scenes().iter().filter(|scene| scene.title.contains(word)) {
        measure(scene, &dir)?;
    }
    if !word.is_empty() {
        return Ok(());
    }
    start_to_attached(&dir)?;
    drop(stats);
    accounts::check(&dir)
}

/// The binary that is measured: `$EBTOOLS`, or the one that was built with this.
fn ebtools() -> &'static str {
    static EBTOOLS: OnceLock<String> = OnceLock::new();
    EBTOOLS.get_or_init(|| {
        let built = option_env!("CARGO_BIN_EXE_ebtools").unwrap_or("target/release/ebtools");
        std::env::var("EBTOOLS").unwrap_or_else(|_| built.into())
    })
}

fn scratch() -> Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("ebtools-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn machine() {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models = cpus.lines().filter_map(|line| line.strip_prefix("model name"));
    let models = models.map(|rest| rest.trim_start_matches([' ', '\t', ':'])).collect::<Vec<_>>();
    println!("Linux {}", read("/proc/sys/kernel/osrelease").trim());
    println!("{} x {}\n", models.len(), models.first().unwrap_or(&"unknown processor"));
}

fn scenes() -> Vec<Scene> {
    let ours = |name, args: &[&str]| Tracer::new(name, &[&[ebtools()], args].concat());
    let sbin = |name, file: &str| Tracer::new(name, &[&format!("/usr/sbin/{file}")]);
    let peers = |tool: &str| {
        [
            sbin("libbpf-tools", tool),
            sbin("bpftrace", &format!("{tool}.bt")),
            sbin("bcc", &format!("{tool}-bpfcc")),
        ]
    };
    let opens = || {
        let ours =
            [ours("ebtools", &["opensnoop"]), ours("ebtools --json", &["opensnoop", "--json"])];
        ours.into_iter().chain(peers("opensnoop")).flatten().collect::<Vec<_>>()
    };
    let execs = [ours("ebtools", &["execsnoop"]), ours("ebtools --json", &["execsnoop", "--json"])];
    let execs = execs.into_iter().chain(peers("execsnoop")).flatten().collect();
    let deletes = [ours("ebtools", &["unlinksnoop"])].into_iter().flatten().collect();
    let counts = || {
        let ours = [ours("ebtools", &["syscount"])].into_iter();
        let peers = [sbin("libbpf-tools", "syscount"), sbin("bpftrace", "syscount.bt")];
        ours.chain(peers).flatten().collect()
    };
    let libbpf = Tracer::new("libbpf-tools", &["/usr/sbin/syscount", "-L"]);
    let times = [ours("ebtools", &["syscount", "-L"]), libbpf].into_iter().flatten().collect();
    let scene =
        |title, load, producers, count, tracers| Scene { title, load, producers, count, tracers };
    vec![
        scene("opens, one producer", "opens", 1, 500_000, opens()),
        scene("opens, two producers", "opens", 2, 500_000, opens()),
        scene("failed opens, one producer", "failed", 1, 500_000, opens()),
        scene("execs, two producers", "execs", 2, 2_000, execs),
        scene("deletes (with the file's making), one producer", "deletes", 1, 100_000, deletes),
        scene("system calls counted by syscount, one producer", "others", 1, 5_000_000, counts()),
        scene("system calls counted by syscount, two producers", "others", 2, 5_000_000, counts()),
        scene("system calls timed by syscount -L, two producers", "others", 2, 5_000_000, times),
        scene("a system call that opensnoop does not trace", "others", 1, 5_000_000, opens()),
    ]
}

/// What one run showed, by event.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    wall_ns: f64,
    kernel_ns: f64,
    reader_ns: f64,
    rss_kib: u64,
    delivered: u64,
}

fn measure(scene: &Scene, dir: &Path) -> Result<()> {
    let done = scene.count * scene.producers as u64;
    println!("{}: {done} events", scene.title);
    let mut added = vec![Vec::new(); scene.tracers.len()];
    let mut samples = vec![Sample::default(); scene.tracers.len()];
    let mut bare = Vec::new();
    Stats::set(false);
    for _ in 0..ROUNDS {
        let alone = produce(scene, dir)?;
        bare.push(alone);
        for (i, tracer) in scene.tracers.iter().enumerate() {
            let sample = run(scene, tracer, dir)?;
            added[i].push(sample.wall_ns - alone);
            samples[i] = sample;
        }
    }
    Stats::set(true);
    for (i, tracer) in scene.tracers.iter().enumerate() {
        samples[i].kernel_ns = run(scene, tracer, dir)?.kernel_ns;
        samples[i].wall_ns = median(&mut added[i]);
    }
    Stats::set(false);
    println!("  alone: {:.0} ns an event", median(&mut bare));
    println!(
        "  {:<15} {:>13} {:>13} {:>13} {:>9} {:>12}",
        "tracer", "in kernel ns", "added wall ns", "reader CPU ns", "RSS KiB", "delivered"
    );
    let peer = scene.tracers.iter().position(|tracer| tracer.name == "libbpf-tools");
    for (tracer, sample) in scene.tracers.iter().zip(&samples) {
        let ratio = |value: fn(&Sample) -> f64| {
            let other = peer.map_or(0.0, |peer| value(&samples[peer]));
            match value(sample) {
                own if own > 0.0 && other > 0.0 && !tracer.name.starts_with("libbpf") => {
                    format!("{own:.0} 1/{:.1}", other / own)
                }
                own => format!("{own:.0}"),
            }
        };
        println!(
            "  {:<15} {:>13} {:>13} {:>13} {:>9} {:>12}",
            tracer.name,
            ratio(|sample| sample.kernel_ns),
            ratio(|sample| sample.wall_ns),
            ratio(|sample| sample.reader_ns),
            sample.rss_kib,
            if scene.load == "others" { "-".into() } else { sample.delivered.to_string() },
        );
    }
    println!();
    Ok(())
}

/// The load under a tracer.
fn run(scene: &Scene, tracer: &Tracer, dir: &Path) -> Result<Sample> {
    let done = (scene.count * scene.producers as u64) as f64;
    let running = Running::start(tracer, dir)?;
    running.wait_until_ready()?;
    let (kernel, cpu) = (running.kernel_ns(), running.cpu_ns());
    let wall_ns = produce(scene, dir)?;
    running.wait_until_quiet();
    let kernel_ns = (running.kernel_ns() - kernel) as f64 / done;
    let reader_ns = (running.cpu_ns() - cpu) as f64 / done;
    let rss_kib = running.peak_rss_kib();
    let delivered = running.end()?.events()?;
    Ok(Sample { wall_ns, kernel_ns, reader_ns, rss_kib, delivered })
}

/// Runs the producers together; how long an event took the slowest of them, in nanoseconds.
fn produce(scene: &Scene, dir: &Path) -> Result<f64> {
    let count = scene.count.to_string();
    let children = (0..scene.producers).map(|_| start_load(scene.load, &count, dir));
    let children = children.collect::<Result<Vec<_>>>()?;
    let mut slowest = 0.0_f64;
    for child in children {
        let output = child.wait_with_output()?;
        let ns = String::from_utf8(output.stdout)?.trim().parse::<f64>()?;
        slowest = slowest.max(ns / scene.count as f64);
    }
    Ok(slowest)
}

fn start_load(kind: &str, count: &str, dir: &Path) -> Result<std::process::Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["load", kind, count]).arg(dir).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command.spawn()?)
}

/// From the start of the process to the first event it shows.
fn start_to_attached(dir: &Path) -> Result<()> {
    println!("from the start to the first event that is seen, in ms (least, median of 5)");
    for tracer in &scenes()[0].tracers {
        let mut times = Vec::new();
        for _ in 0..5 {
            let seconds = if tracer.name == "bpftrace" || tracer.name == "bcc" { 5 } else { 1 };
            let running = Running::start(tracer, dir)?;
            load::probes(Duration::from_secs(seconds))?;
            running.wait_until_quiet();
            times.extend(running.end()?.first_probe_ms()?);
        }
        let middle = median(&mut times);
        println!("  {:<15} {:>6.1} {middle:>6.1}", tracer.name, times.first().unwrap_or(&f64::NAN));
    }
    println!();
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Keeps the system's switch as it was.
struct Stats(String);

impl Stats {
    fn keep() -> Self {
        Self(std::fs::read_to_string(BPF_STATS).unwrap_or_default())
    }

    fn set(on: bool) {
        let _ = std::fs::write(BPF_STATS, if on { "1" } else { "0" });
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        let _ = std::fs::write(BPF_STATS, &self.0);
    }
}
