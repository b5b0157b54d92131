//! One tracer under one load: ebtools, or a peer that is installed.

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use libbpf_rs::query::{ProgInfoIter, ProgramInfo};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{self, MARK};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Tracer {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
}

impl Tracer {
    /// `None` when it is not installed.
    pub(crate) fn new(name: &'static str, command: &[&str]) -> Option<Self> {
        let command = command.iter().map(ToString::to_string).collect::<Vec<_>>();
        Path::new(&command[0]).exists().then_some(Self { name, command })
    }
}

/// A tracer that runs, with its output in a file.
pub(crate) struct Running {
    child: Child,
    output: PathBuf,
    before: HashSet<u32>,
}

impl Running {
    pub(crate) fn start(tracer: &Tracer, dir: &Path) -> Result<Self> {
        let before = ProgInfoIter::default().map(|program| program.id).collect();
        let output = dir.join("output");
        let mut command = Command::new(&tracer.command[0]);
        command.args(&tracer.command[1..]).stdin(Stdio::null());
        command.stdout(File::create(&output)?).stderr(File::create(dir.join("errors"))?);
        // bpftrace keeps its own limits on lost events: none of them apply to what is printed.
        let child = command.process_group(0).spawn()?;
        Ok(Self { child, output, before })
    }

    /// Waits until its programs are in the kernel, and a little more for their attachment.
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.programs().is_empty() {
            if Instant::now() > deadline {
                return Err("it did not load a program within 20 s".into());
            }
            sleep(Duration::from_millis(20));
        }
        sleep(Duration::from_millis(1000));
        Ok(())
    }

    fn programs(&self) -> Vec<ProgramInfo> {
        ProgInfoIter::default().filter(|program| !self.before.contains(&program.id)).collect()
    }

    /// Nanoseconds that its programs ran in the kernel; counted while bpf_stats_enabled is on.
    pub(crate) fn kernel_ns(&self) -> u64 {
        self.programs().iter().map(|program| program.run_time_ns).sum()
    }

    /// Nanoseconds of CPU time of all its threads.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let stats = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        stats.sum()
    }

    /// KiB that it had in memory at the most.
    pub(crate) fn peak_rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Waits until nothing more is written for a while.
    pub(crate) fn wait_until_quiet(&self) {
        let size = || fs::metadata(&self.output).map_or(0, |data| data.len());
        let mut last = size();
        loop {
            sleep(Duration::from_millis(300));
            let now = size();
            if now == last {
                return;
            }
            last = now;
        }
    }

    /// Ends it; what it printed.
    pub(crate) fn end(mut self) -> Result<Printed> {
        self.signal(Signal::SIGINT)?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
            }
            sleep(Duration::from_millis(10));
        }
        Ok(Printed { path: self.output.clone() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever went wrong, nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a tracer that has ended.
pub(crate) struct Printed {
    path: PathBuf,
}

impl Printed {
    /// Its lines, one by one: they may be more than memory has room for.
    fn lines(&self) -> Result<impl Iterator<Item = String> + use<>> {
        let file = std::io::BufReader::with_capacity(1 << 20, File::open(&self.path)?);
        Ok(std::io::BufRead::split(file, b'\n')
            .map_while(std::result::Result::ok)
            .map(|line| String::from_utf8_lossy(&line).into_owned()))
    }

    /// Lines that show an event of this load.
    pub(crate) fn events(&self, load: &str) -> Result<u64> {
        Ok(self.lines()?.filter(|line| load::is_shown_by(load, line)).count() as u64)
    }

    /// The lines of JSON that are no events.
    pub(crate) fn accounts(&self) -> Result<Vec<serde_json::Value>> {
        let lines = self.lines()?.map(|line| serde_json::from_str::<serde_json::Value>(&line));
        let lines = lines.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().filter(|line| line["type"] != "event").collect())
    }

    /// The first of the probes that is shown: milliseconds after the start.
    pub(crate) fn first_probe_ms(&self) -> Result<Option<f64>> {
        let tenths = |line: String| {
            let rest = line.split_once(&format!("{MARK}-at-"))?.1;
            rest.split('-').next()?.parse::<f64>().ok()
        };
        let first = self.lines()?.filter_map(tenths).fold(f64::INFINITY, f64::min);
        Ok(first.is_finite().then_some(first / 10.0))
    }
}
