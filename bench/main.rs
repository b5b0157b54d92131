//! `make bench`: ebtools beside the tools that people would use instead, under the same loads, in
//! turn and in one run. `--short` checks the accounts of ebtools alone, and no time: that is for
//! CI.

#![allow(clippy::expect_used, clippy::unwrap_used)] // A measurement that cannot go on ends.

mod accounts;
mod load;
mod minimum;
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
        ["minimum", dir, ref programs @ ..] => return minimum::main(programs, Path::new(dir)),
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
    minimum::compile(&dir)?;
    machine();
    let stats = Stats::keep();
    let word = args.first().copied().unwrap_or_default();
    for scene in scenes(&dir)?.iter().filter(|scene| scene.title.contains(word)) {
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

/// The row that the others are measured by.
const MINIMUM: &str = "bare minimum";

/// A scene's tracers: the minimum with these programs of it, ebtools, and its peers.
fn tracers(
    dir: &Path,
    minimum: &[&str],
    ours: &[(&'static str, &[&str])],
    peers: &[(&'static str, &[&str])],
) -> Result<Vec<Tracer>> {
    let bench = std::env::current_exe()?;
    let bench = [&*bench.to_string_lossy(), "minimum", &*dir.to_string_lossy()];
    let least = Tracer::new(MINIMUM, &[&bench, minimum].concat());
    let least = least.filter(|_| !minimum.is_empty()).into_iter();
    let ours = ours.iter().map(|(name, args)| Tracer::new(name, &[&[ebtools()], *args].concat()));
    let peers = peers.iter().map(|(name, command)| Tracer::new(name, command));
    Ok(least.chain(ours.chain(peers).flatten()).collect())
}

/// Those that print what `tool` prints.
fn snoops(dir: &Path, minimum: &str, tool: &str) -> Result<Vec<Tracer>> {
    let ours: [(_, &[_]); 2] = [("ebtools", &[tool]), ("ebtools --json", &[tool, "--json"])];
    let files = ["", ".bt", "-bpfcc"].map(|end| format!("/usr/sbin/{tool}{end}"));
    let [libbpf, bpftrace, bcc] = files.each_ref().map(|file| [file.as_str()]);
    let peers: [(_, &[_]); 3] = [("libbpf-tools", &libbpf), ("bpftrace", &bpftrace), ("bcc", &bcc)];
    // bcc compiles with the kernel's headers.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let has_headers = Path::new("/lib/modules").join(release.trim()).join("build").exists();
    tracers(dir, &[minimum], &ours, if has_headers { &peers } else { &peers[..2] })
}

fn counts(dir: &Path) -> Result<Vec<Tracer>> {
    let peers: [(_, &[_]); 2] =
        [("libbpf-tools", &["/usr/sbin/syscount"]), ("bpftrace", &["/usr/sbin/syscount.bt"])];
    tracers(dir, &["on_exit_empty"], &[("ebtools", &["syscount"])], &peers)
}

fn times(dir: &Path) -> Result<Vec<Tracer>> {
    let ours: [(_, &[_]); 1] = [("ebtools", &["syscount", "-L"])];
    let peers: [(_, &[_]); 1] = [("libbpf-tools", &["/usr/sbin/syscount", "-L"])];
    tracers(dir, &["on_enter_empty", "on_exit_empty"], &ours, &peers)
}

/// As a table and as JSON.
fn both(dir: &Path, args: &[&str], peers: &[(&'static str, &[&str])]) -> Result<Vec<Tracer>> {
    let json = [args, &["--json"]].concat();
    tracers(dir, &[], &[("ebtools", args), ("ebtools --json", &json)], peers)
}

fn scene(
    title: &'static str,
    load: &'static str,
    producers: usize,
    count: u64,
    tracers: Vec<Tracer>,
) -> Scene {
    Scene { title, load, producers, count, tracers }
}

fn scenes(dir: &Path) -> Result<Vec<Scene>> {
    let deletes = tracers(dir, &[], &[("ebtools", &["unlinksnoop"])], &[])?;
    let opens = || snoops(dir, "on_open", "opensnoop");
    let ends = both(dir, &["exitsnoop"], &[("libbpf-tools", &["/usr/sbin/exitsnoop"])])?;
    let lives: [(_, &[_]); 2] =
        [("libbpf-tools", &["/usr/sbin/tcplife"]), ("bpftrace", &["/usr/sbin/tcplife.bt"])];
    let lives = both(dir, &["tcplife"], &lives)?;
    let port = format!("port:{}", load::CLOSED_PORT);
    let drops = both(dir, &["dropsnoop", "--only", &port], &[])?;
    let events = vec![
        scene("opens, one producer", "opens", 1, 500_000, opens()?),
        scene("opens, two producers", "opens", 2, 500_000, opens()?),
        scene("failed opens, one producer", "failed", 1, 500_000, opens()?),
        scene("execs, two producers", "execs", 2, 2_000, snoops(dir, "on_exec", "execsnoop")?),
        scene("ends (of programs that are run for it), two producers", "execs", 2, 2_000, ends),
        scene("connections and their ends, two producers", "connections", 2, 2_000, lives),
        scene("drops of packets to a closed port, one producer", "drops", 1, 100_000, drops),
        scene("deletes (with the file's making), one producer", "deletes", 1, 100_000, deletes),
    ];
    Ok(events.into_iter().chain(calls(dir)?).collect())
}

/// Of a system call that does little.
fn calls(dir: &Path) -> Result<Vec<Scene>> {
    let others = |title, producers, tracers| scene(title, "others", producers, 5_000_000, tracers);
    let opens = snoops(dir, "on_open", "opensnoop")?;
    let ends: [(_, &[_]); 2] =
        [("tcpsnoop", &["tcpsnoop"]), ("--signals", &["exitsnoop", "--signals"])];
    let ends = tracers(dir, &["on_exit_empty"], &ends, &[])?;
    Ok(vec![
        others("system calls counted by syscount, one producer", 1, counts(dir)?),
        others("system calls counted by syscount, two producers", 2, counts(dir)?),
        others("system calls timed by syscount -L, one producer", 1, times(dir)?),
        others("system calls timed by syscount -L, two producers", 2, times(dir)?),
        others("a system call that opensnoop does not trace", 1, opens),
        others("a system call that neither tcpsnoop nor exitsnoop --signals traces", 1, ends),
    ])
}

/// What one run showed, by event.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    wall_ns: f64,
    kernel_ns: f64,
    /// How many times as long as the minimum's in the same round; NaN without one.
    of_minimum: f64,
    reader_ns: f64,
    rss_kib: u64,
    delivered: u64,
}

fn measure(scene: &Scene, dir: &Path) -> Result<()> {
    let done = scene.count * scene.producers as u64;
    println!("{}: {done} events", scene.title);
    let (samples, alone_ns) = rounds(scene, dir)?;
    println!("  alone: {alone_ns:.0} ns an event");
    show(scene, &samples);
    Ok(())
}

/// The medians of each tracer, and of the load alone.
fn rounds(scene: &Scene, dir: &Path) -> Result<(Vec<Sample>, f64)> {
    let mut added = vec![Vec::new(); scene.tracers.len()];
    let mut in_kernel = vec![Vec::new(); scene.tracers.len()];
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
    for _ in 0..ROUNDS {
        for (i, tracer) in scene.tracers.iter().enumerate() {
            in_kernel[i].push(run(scene, tracer, dir)?.kernel_ns);
        }
    }
    Stats::set(false);
    // By rounds: the speed of a machine that others use changes.
    let minimum = scene.tracers.iter().position(|tracer| tracer.name == MINIMUM);
    for (i, sample) in samples.iter_mut().enumerate() {
        let pairs = minimum.map(|minimum| in_kernel[i].iter().zip(&in_kernel[minimum]));
        let ratios = pairs.into_iter().flatten().map(|(own, least)| own / least);
        sample.of_minimum = median(&mut ratios.collect::<Vec<_>>());
        sample.kernel_ns = median(&mut in_kernel[i].clone());
        sample.wall_ns = median(&mut added[i]);
    }
    Ok((samples, median(&mut bare)))
}

fn show(scene: &Scene, samples: &[Sample]) {
    println!(
        "  {:<15} {:>13} {:>10} {:>13} {:>13} {:>9} {:>12}",
        "tracer",
        "in kernel ns",
        "of minimum",
        "added wall ns",
        "reader CPU ns",
        "RSS KiB",
        "delivered"
    );
    let peer = scene.tracers.iter().position(|tracer| tracer.name == "libbpf-tools");
    for (tracer, sample) in scene.tracers.iter().zip(samples) {
        let ratio = |value: fn(&Sample) -> f64| {
            let other = peer.map_or(0.0, |peer| value(&samples[peer]));
            match value(sample) {
                own if own > 0.0 && other > 0.0 && tracer.name.starts_with("ebtools") => {
                    format!("{own:.0} 1/{:.1}", other / own)
                }
                own => format!("{own:.0}"),
            }
        };
        println!(
            "  {:<15} {:>13} {:>10} {:>13} {:>13} {:>9} {:>12}",
            tracer.name,
            ratio(|sample| sample.kernel_ns),
            format!("{:.2}", sample.of_minimum),
            ratio(|sample| sample.wall_ns),
            ratio(|sample| sample.reader_ns),
            sample.rss_kib,
            if scene.load == "others" { "-".into() } else { sample.delivered.to_string() },
        );
    }
    println!();
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
    let delivered = running.end()?.events(scene.load)?;
    Ok(Sample { wall_ns, kernel_ns, of_minimum: f64::NAN, reader_ns, rss_kib, delivered })
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
    for tracer in &scenes(dir)?[0].tracers {
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
