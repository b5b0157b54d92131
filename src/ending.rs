//! When to end: a signal, `--duration`, or the command's end; and intervals until then.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::command::Traced;
use crate::error::{Context as _, Result};
use crate::options::RunOptions;
use crate::procfs;
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

/// A run cut into intervals, if it is.
#[derive(Debug)]
pub(crate) struct Intervals {
    length: Option<Duration>,
    last: Instant,
    next: Option<Instant>,
}

impl Intervals {
    pub(crate) fn new(began: Instant, length: Option<Duration>) -> Self {
        let next = length.and_then(|length| began.checked_add(length));
        Self { length, last: began, next }
    }

    /// Has one ended since the last time? How long it was.
    pub(crate) fn ended(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let due = self.next.filter(|due| *due <= now)?;
        // No burst of reports after the machine slept.
        let next = self.length.and_then(|length| due.checked_add(length));
        self.next = next.map(|next| next.max(now));
        Some(now - std::mem::replace(&mut self.last, now))
    }

    /// How long until the next one ends, at most.
    pub(crate) fn wait(&self, at_most: Duration) -> Duration {
        self.next.map_or(at_most, |due| at_most.min(due.saturating_duration_since(Instant::now())))
    }

    /// How long the last one is now.
    pub(crate) fn rest(&self) -> Duration {
        self.last.elapsed()
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
    let status = std::fs::read("/proc/self/status").unwrap_or_default();
    let mask = procfs::status(&status, "SigIgn").map(|mask| u64::from_str_radix(mask, 16));
    let bit = 1 << (signal as i32 - 1);
    matches!(mask, Some(Ok(mask)) if mask & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_no_bursts() {
        let second = Duration::from_secs(1);
        let began = Instant::now().checked_sub(10 * second).unwrap();
        let mut intervals = Intervals::new(began, Some(second));
        assert!(intervals.ended().unwrap() >= 10 * second);
        // The one that was due nine seconds ago, and no more of them.
        assert!(intervals.ended().unwrap() < second);
        assert_eq!(intervals.ended(), None);
        assert!(intervals.wait(10 * second) <= second);
        let mut whole = Intervals::new(began, None);
        assert_eq!(whole.ended(), None);
        assert_eq!(whole.wait(second), second);
        assert!(whole.rest() >= 10 * second);
        assert_eq!(Intervals::new(began, Some(Duration::MAX)).ended(), None);
    }
}
