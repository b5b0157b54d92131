//! `ebtools serve`: several tools in one process, for months. What they see goes to files, their
//! accounts and counts to a collector of metrics.
//!
//! A tool runs in a thread of its own, as it does alone, and gives up its rights once it has attached.
//! This thread, the supervisor, starts them, opens their files and gives these other names, writes
//! metrics, takes signals, and tells systemd.

mod complaint;
mod config;
mod exposition;
mod listener;
mod log_file;
mod profiles;
mod served;
mod signals;
mod standard_output;
mod whole_file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;

use crate::error::{Error, Result};
use crate::output::buffer::Shared;
use crate::run::capabilities;
use crate::run::host::Host;
use crate::serve::complaint::Complaint;
use crate::serve::config::Config;
use crate::serve::exposition::Flavour;
use crate::serve::listener::Subjects;
use crate::serve::served::Served;
use crate::serve::signals::Signals;
use crate::serve::standard_output::StandardOutput;
use crate::system::lock::locked;

/// How often files are looked after, and ends noticed.
const TICK: Duration = Duration::from_millis(200);
/// How often metrics are written to a file, unless the configuration says otherwise.
const INTERVAL: Duration = Duration::from_secs(15);
/// After so long a tool that was told to end is not waited for any more. Each takes a few seconds at most,
/// but there may be many, and one processor.
const PATIENCE: Duration = Duration::from_secs(60);

/// What would have done without a restart.
const REMEDY: &str = "; reload_tools = true keeps the rights for that";

/// Runs what the configuration at `path` names until it is told to end; with `is_check` only checks it.
///
/// # Errors
///
/// When the configuration is wrong, or no tool traces.
pub(crate) fn run(host: &Host, path: &Path, is_check: bool) -> Result<()> {
    let signals = Signals::take()?;
    // Metrics are for others to read; records are made for their owner alone.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let config = Config::read(path)?;
    if is_check {
        let tools = config.tools.len();
        let plural = if tools == 1 { "" } else { "s" };
        host.messages.say(format_args!("the configuration is right: {tools} tool{plural}"));
        return Ok(());
    }
    let mut supervisor = Supervisor::start(host, path, config)?;
    supervisor.until_all_have_begun(&signals);
    supervisor.settle()?;
    supervisor.look_after(&signals);
    supervisor.end()
}

/// What looks after the tools.
#[derive(Debug)]
struct Supervisor {
    host: Host,
    path: PathBuf,
    config: Config,
    stdout: Shared,
    served: Vec<Served>,
    /// To be started when those have ended whose name or file they have.
    waiting: Vec<config::Tool>,
    subjects: Subjects,
    /// When metrics are written to the file again.
    next_metrics: Instant,
    metrics_file: Complaint,
    /// Since when the end is asked for.
    ending: Option<Instant>,
}

impl Supervisor {
    fn start(host: &Host, path: &Path, config: Config) -> Result<Self> {
        let subjects = Subjects::default();
        if let Some(address) = config.metrics.listen {
            listener::listen(address, subjects.clone())?;
        }
        let mut supervisor = Self {
            host: host.clone(),
            path: path.to_owned(),
            stdout: Arc::new(Mutex::new(StandardOutput::new(host.messages.clone())?)),
            served: Vec::new(),
            waiting: Vec::new(),
            subjects,
            next_metrics: Instant::now(),
            metrics_file: Complaint::new(host.messages.clone()),
            ending: None,
            config,
        };
        for tool in supervisor.config.tools.clone() {
            supervisor.start_tool(&tool);
        }
        Ok(supervisor)
    }

    /// The others go on without one that cannot be started.
    fn start_tool(&mut self, tool: &config::Tool) {
        let started = Served::start(tool, &self.stdout, &self.served);
        self.served.push(started.unwrap_or_else(|error| {
            self.host.messages.say(format_args!("{}: {error}", tool.name()));
            Served::failed(tool)
        }));
        self.tell_subjects();
    }

    fn tell_subjects(&self) {
        let subjects = self.served.iter().map(|served| served.subject.clone()).collect();
        *locked(&self.subjects) = subjects;
    }

    fn until_all_have_begun(&mut self, signals: &Signals) {
        while !self.served.iter_mut().all(Served::has_begun) {
            self.tick(signals);
        }
    }

    /// Everything is attached: systemd is told, and rights are given up.
    fn settle(&mut self) -> Result<()> {
        let is_up = |served: &mut Served| served.has_begun() && served.code().is_none();
        let up = self.served.iter_mut().filter_map(|served| is_up(served).then_some(())).count();
        if up == 0 && self.ending.is_none() {
            return Err(Error::new("serving", "no tool traces"));
        }
        if !self.config.reload_tools {
            capabilities::give_up_to_supervise()?;
        }
        // Without systemd nobody wants to know.
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        self.served.iter().for_each(Served::check_directory);
        let all = self.config.tools.len();
        self.host.messages.say(format_args!("{up} of {all} tools trace"));
        Ok(())
    }

    /// Until the end is asked for, or nothing traces any more.
    fn look_after(&mut self, signals: &Signals) {
        let watchdog = sd_notify::watchdog_enabled().map(|every| every / 2);
        let mut next_watchdog = Instant::now();
        while self.ending.is_none() && !self.has_nothing_to_do() {
            self.tick(signals);
            if let Some(every) = watchdog.filter(|_| next_watchdog <= Instant::now()) {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                next_watchdog = Instant::now() + every;
            }
        }
    }

    fn has_nothing_to_do(&mut self) -> bool {
        self.waiting.is_empty() && self.served.iter_mut().all(Served::has_ended)
    }

    /// Waits a little, for a signal at most.
    fn tick(&mut self, signals: &Signals) {
        match signals.wait(TICK) {
            Some(Signal::SIGHUP) => self.reload(),
            Some(_) => {
                self.ending.get_or_insert_with(Instant::now);
            }
            None => {}
        }
        for served in &mut self.served {
            served.has_begun();
            served.look_after();
            if self.ending.is_some() || served.is_leaving() {
                served.ask_to_end();
            }
        }
        self.follow_up();
        self.write_metrics();
    }

    /// Forgets those that have left, and starts those that have waited for that.
    fn follow_up(&mut self) {
        let all = self.served.len();
        self.served.retain_mut(|served| !(served.is_leaving() && served.has_ended()));
        if self.served.len() < all {
            self.tell_subjects();
        }
        for tool in std::mem::take(&mut self.waiting) {
            let is_in_its_way = |other: &Served| {
                let file = other.tool.log();
                other.tool.name() == tool.name() || file.is_some() && file == tool.log()
            };
            match self.served.iter().any(is_in_its_way) {
                true => self.waiting.push(tool),
                false => self.start_tool(&tool),
            }
        }
    }

    fn write_metrics(&mut self) {
        let Some(file) = &self.config.metrics.file else { return };
        if self.next_metrics > Instant::now() {
            return;
        }
        self.next_metrics = Instant::now() + self.config.metrics.interval.unwrap_or(INTERVAL);
        let subjects = locked(&self.subjects).clone();
        let text = exposition::text(Flavour::Prometheus, &subjects);
        let failure = whole_file::write(file, text.as_bytes(), 0o644).err();
        self.metrics_file.tell(failure.map(|error| error.line()));
    }

    /// Reads the configuration again: what stays goes on without losing an event.
    fn reload(&mut self) {
        let config = match Config::read(&self.path) {
            Ok(config) => config,
            Err(error) => {
                self.host.messages.say(format_args!("{error}"));
                return self.host.messages.say("the configuration from before stays");
            }
        };
        let _ = sd_notify::notify(&[NotifyState::Reloading, monotonic_now()]);
        self.reload_tools(&config);
        if config.reload_tools != self.config.reload_tools {
            self.host.messages.say("reload_tools: a restart is needed for that");
        }
        if config.metrics.listen != self.config.metrics.listen {
            self.host.messages.say("metrics.listen: a restart is needed for that");
        }
        self.tell_subjects();
        let reload_tools = self.config.reload_tools;
        self.config = Config { reload_tools, ..config };
        self.next_metrics = Instant::now();
        let _ = sd_notify::notify(&[NotifyState::Ready]);
        self.host.messages.say("the configuration was read again");
    }

    /// Those that are named as before go on, others end; what is new is started, if the rights for that are
    /// there. Without them one that is to be otherwise goes on as it is.
    fn reload_tools(&mut self, config: &Config) {
        self.waiting.clear();
        let starts_tools = self.config.reload_tools;
        for served in &mut self.served {
            let like = config.tools.iter().find(|tool| tool.is_like(&served.tool));
            let is_named = config.tools.iter().any(|tool| tool.name() == served.tool.name());
            match like.filter(|_| !(served.is_leaving() || starts_tools && served.has_ended())) {
                Some(tool) => served.reload(tool),
                None if is_named && !starts_tools => {}
                None => served.leave(),
            }
        }
        for tool in &config.tools {
            let has_name = |served: &&Served| served.tool.name() == tool.name();
            match self.served.iter().filter(|served| !served.is_leaving()).find(has_name) {
                Some(served) if served.tool.is_like(tool) => {}
                None if starts_tools => self.waiting.push(tool.clone()),
                found => {
                    let what = if found.is_some() { "change" } else { "start" };
                    let hint = if config.reload_tools { "" } else { REMEDY };
                    let name = tool.name();
                    self.host
                        .messages
                        .say(format_args!("{name}: a restart is needed to {what} it{hint}"));
                }
            }
        }
    }

    /// Waits for the tools' last records and accounts, as long as is usual.
    fn end(mut self) -> Result<()> {
        let was_asked = self.ending.is_some();
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        let end = Instant::now() + PATIENCE;
        while !self.served.iter_mut().all(Served::has_ended) && Instant::now() < end {
            self.served.iter().for_each(Served::ask_to_end);
            std::thread::sleep(Duration::from_millis(20));
        }
        for served in &mut self.served {
            served.has_begun();
            served.look_after();
        }
        self.next_metrics = Instant::now();
        self.write_metrics();
        let is_good = |served: &Served| served.code() == Some(0);
        match was_asked || self.served.iter().all(is_good) {
            true => Ok(()),
            false => Err(Error::new("serving", "no tool traces any more")),
        }
    }
}

fn monotonic_now() -> NotifyState<'static> {
    NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Reloading)
}
