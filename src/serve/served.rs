//! A tool that runs in a thread of its own, beside others in this process.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::error::{Context as _, Error, Result};
use crate::output::buffer::Shared;
use crate::run::host::Host;
use crate::run::tally::Tally;
use crate::serve::config::Tool;
use crate::serve::exposition::Subject;
use crate::serve::log_file::{LogFile, Nowhere, Rotation};
use crate::serve::profiles::Profiles;
use crate::system::lock::locked;
use crate::system::stop::Stop;

/// One of them.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) tool: Tool,
    pub(super) subject: Subject,
    log: Option<Arc<Mutex<LogFile>>>,
    profiles: Option<Profiles>,
    stop: Stop,
    thread: Option<JoinHandle<u8>>,
    /// What it ended with.
    code: Option<u8>,
    /// It is not named any more, or otherwise: it was asked to end.
    is_leaving: bool,
}

impl Served {
    /// Starts it: attaching takes a moment. `stdout` is where rows go for which `-` is the file; files of
    /// the `others` are not written to.
    pub(super) fn start(tool: &Tool, stdout: &Shared, others: &[Self]) -> Result<Self> {
        let doing = format!("starting {}", tool.name());
        let (entry, matches) = tool.matches().map_err(|cause| Error::new(&doing, cause))?;
        let host = Host::standard()?;
        let log = tool.log().map(|path| {
            let messages = host.messages.clone();
            Ok(Arc::new(Mutex::new(LogFile::open(path, rotation(tool), messages)?)))
        });
        let log: Option<Arc<Mutex<LogFile>>> = log.transpose()?;
        let own = log.as_ref().and_then(|log| wait_for(log)?.identity());
        let has_it = |other: &&Self| own.is_some() && other.identity() == own;
        if let Some(other) = others.iter().find(has_it) {
            return Err(Error::new(doing, format!("its file is that of {}", other.tool.name())));
        }
        let rows: Shared = match (&log, &tool.file) {
            (Some(log), _) => log.clone(),
            (None, Some(_)) => stdout.clone(),
            (None, None) => Arc::new(Mutex::new(Nowhere)),
        };
        let tally = Arc::new(Tally::of_reports());
        tally.set_limit(tool.max_events_per_second);
        let profiles = tool.profiles.as_deref().map(|dir| {
            Profiles::new(dir, tool.name(), tool.kept_profiles(), host.messages.clone())
        });
        let (profiles, made) = profiles.transpose()?.unzip();
        let stop = host.stop.clone();
        let is_up = Arc::new(AtomicBool::new(false));
        let name = (tool.name() != entry.name).then(|| known(tool.name()));
        let host =
            host.given(&tool.options).beside_others(name, rows, tally.clone()).handing_over(made);
        let thread = entry.run_beside(host, matches).doing(&doing)?;
        let subject = Subject { name: tool.name().to_string(), tool: entry.name, tally, is_up };
        let (tool, thread) = (tool.clone(), Some(thread));
        Ok(Self { tool, subject, log, profiles, stop, thread, code: None, is_leaving: false })
    }

    /// One that could not be started: metrics say so.
    pub(super) fn failed(tool: &Tool) -> Self {
        let (name, of) =
            (tool.name().to_string(), tool.matches().map_or("", |(entry, _)| entry.name));
        let (tally, is_up, stop) = Default::default();
        let subject = Subject { name, tool: of, tally, is_up };
        let (tool, code) = (tool.clone(), Some(1));
        Self {
            tool,
            subject,
            log: None,
            profiles: None,
            stop,
            thread: None,
            code,
            is_leaving: false,
        }
    }

    /// Has it attached, or ended? Notes it for metrics.
    pub(super) fn has_begun(&mut self) -> bool {
        let is_running = !self.has_ended();
        let is_up = is_running && self.stop.has_begun();
        self.subject.is_up.store(is_up, Ordering::Relaxed);
        !is_running || is_up
    }

    pub(super) fn has_ended(&mut self) -> bool {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            self.code = Some(thread.join().unwrap_or(1));
            // It may be another one's by now.
            self.log = None;
        }
        self.code.is_some()
    }

    /// What it ended with, if it has.
    pub(super) fn code(&self) -> Option<u8> {
        self.code
    }

    /// Somebody else takes its place, or nobody.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Its file, whatever that is called.
    fn identity(&self) -> Option<(u64, u64)> {
        self.log.as_ref().and_then(|log| wait_for(log)?.identity())
    }

    /// Says so where its file cannot be looked after.
    pub(super) fn check_directory(&self) {
        if let Some(log) = self.log.as_ref().and_then(|log| wait_for(log)) {
            log.check_directory();
        }
    }

    /// Asks it to end, which it does once it has attached.
    pub(super) fn ask_to_end(&self) {
        self.stop.ask(Signal::SIGTERM);
    }

    /// It goes on with what is new in its configuration, and with its file opened anew.
    pub(super) fn reload(&mut self, tool: &Tool) {
        self.subject.tally.set_limit(tool.max_events_per_second);
        if let (Some(path), Some(log)) = (tool.log(), &self.log) {
            // What waits for a disk holds it: then later.
            match wait_for(log) {
                Some(mut log) => log.reopen(path, rotation(tool)),
                None => return,
            }
        }
        self.tool = tool.clone();
    }

    /// Looks after its file, and what it makes beside that.
    pub(super) fn look_after(&mut self) {
        if let Some(profiles) = &mut self.profiles {
            profiles.look_after();
        }
        if let Some(mut log) = self.log.as_ref().and_then(|log| log.try_lock().ok()) {
            log.look_after();
        }
    }
}

/// The name for as long as the process lives: there are few, and they come again.
fn known(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = locked(&NAMES);
    if let Some(known) = names.get(name) {
        return known;
    }
    let known = &*String::from(name).leak();
    names.insert(known);
    known
}

fn rotation(tool: &Tool) -> Option<Rotation> {
    tool.rotate_at.map(|at| Rotation { at, kept: tool.rotated_files() })
}

fn wait_for(log: &Mutex<LogFile>) -> Option<MutexGuard<'_, LogFile>> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match log.try_lock() {
            Ok(log) => return Some(log),
            Err(TryLockError::Poisoned(error)) => return Some(error.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    }
}
