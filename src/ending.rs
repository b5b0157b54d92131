//! When to end: a signal, `--duration`, or the command's end.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::command::Traced;
use crate::error::{Context as _, Result};
use crate::options::RunOptions;
use crate::sys;

/// Set by SIGINT, SIGTERM and SIGHUP.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// What ends the run. Starts the command, if there is one; ends it, if it still runs then.
#[derive(Debug)]
pub(crate) struct Ending {
    /// When the run began: before the command did.
    pub(crate) began: Instant,
    deadline: Option<Instant>,
    command: Option<Traced>,
}

impl Ending {
    pub(crate) fn new(options: &RunOptions) -> Result<Self> {
        handle_signals()?;
        let began = Instant::now();
        Ok(Self {
            began,
            deadline: options.duration.and_then(|duration| began.checked_add(duration)),
            command: Traced::start(&options.command)?,
        })
    }

    /// Is it time to end?
    pub(crate) fn reached(&mut self) -> bool {
        SIGNALLED.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || self.command.as_mut().is_some_and(Traced::has_ended)
    }
}

/// The first signal asks for the end; a second one, while output blocks, does not wait for it.
fn handle_signals() -> Result<()> {
    let hangup_ignored = is_ignored(Signal::SIGHUP);
    ctrlc::set_handler(|| {
        if SIGNALLED.swap(true, Ordering::Relaxed) {
            process::exit(1);
        }
    })
    .doing("preparing for signals")?;
    if hangup_ignored {
        // As nohup wants it.
        sys::ignore(Signal::SIGHUP).doing("preparing for signals")?;
    }
    Ok(())
}

/// Whether the process was started with `signal` ignored.
fn is_ignored(signal: Signal) -> bool {
    let mask = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let status: io::Result<String> = std::fs::read_to_string("/proc/self/status");
    let bit = 1 << (signal as i32 - 1);
    status.ok().and_then(mask).is_some_and(|mask| mask & bit != 0)
}
