//! When to end: a signal, `--duration`, or the command's end; and intervals until then.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::error::Result;
use crate::run::command::{self, Starter};
use crate::run::host::Host;
use crate::run::options::RunOptions;
use crate::run::privileges::Kept;

/// What ended the run.
#[derive(Clone, Copy, Debug)]
enum End {
    Signal(Signal),
    /// The command's, with its exit code.
    Command(u8),
    Duration,
}

/// What ends the run. Starts the command, if there is one; ends it, if it still runs then and is
/// not to go on.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) host: Host,
    /// When the run began: before the command did.
    pub(crate) began: Instant,
    deadline: Option<Instant>,
    has_command: bool,
    /// When the time is over, the command must end too.
    kills: bool,
    end: Option<End>,
    _starter: Option<Starter>,
}

impl Ending {
    /// From now on this process has the rights that are `kept`; the command has those that it had.
    pub(crate) fn new(host: &Host, options: &RunOptions, kept: &Kept) -> Result<Self> {
        let has_command = !options.command.is_empty();
        let starter = has_command.then(|| Starter::new(&options.command, kept)).transpose()?;
        kept.settle()?;
        host.stop.begin();
        let began = Instant::now();
        starter.as_ref().map_or(Ok(()), Starter::start)?;
        Ok(Self {
            host: host.clone(),
            began,
            deadline: options.duration.and_then(|duration| began.checked_add(duration)),
            has_command,
            kills: options.kill,
            _starter: starter,
            end: None,
        })
    }

    /// Is it time to end?
    pub(crate) fn reached(&mut self) -> bool {
        self.end = self.end.or_else(|| {
            let signal = self.host.stop.asked().map(End::Signal);
            let is_over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            signal.or(command::ended().map(End::Command)).or(is_over.then_some(End::Duration))
        });
        self.host.set_exit_code(self.code());
        self.end.is_some()
    }

    fn code(&self) -> u8 {
        match self.end {
            Some(End::Command(code)) => code,
            Some(End::Signal(signal)) if self.has_command => 128 + signal as u8,
            Some(End::Duration) if self.kills => 128 + Signal::SIGTERM as u8,
            _ => 0,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let goes_on = matches!(self.end, Some(End::Duration)) && !self.kills;
        if !goes_on {
            command::terminate();
        }
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
