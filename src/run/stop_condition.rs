//! What stops a run: a signal, `--duration`, the end of the command, or of the processes of `-p`.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::error::Result;
use crate::run::capabilities::Kept;
use crate::run::command::{self, Starter};
use crate::run::host::Host;
use crate::run::options::RunOptions;
use crate::run::traced::Traced;

/// What ended the run.
#[derive(Clone, Copy, Debug)]
enum End {
    Signal(Signal),
    /// The command's, with its exit code.
    Command(u8),
    Duration,
    Processes,
}

/// What ends the run. Starts the command, if there is one; ends it, if it still runs then and is
/// not to go on.
#[derive(Debug)]
pub(crate) struct StopCondition<'a> {
    pub(crate) host: Host,
    /// When the run began: before the command did.
    pub(crate) began: Instant,
    deadline: Option<Instant>,
    has_command: bool,
    /// When the time is over, the command must end too.
    kills: bool,
    traced: Traced<'a>,
    end: Option<End>,
    _starter: Option<Starter>,
}

impl<'a> StopCondition<'a> {
    /// From now on this process has the rights that are `kept`; the command has those that it had.
    pub(crate) fn new(
        host: &Host,
        options: &RunOptions,
        kept: &Kept,
        traced: Traced<'a>,
    ) -> Result<Self> {
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
            traced,
            _starter: starter,
            end: None,
        })
    }

    /// Tells a person who sees nothing that it goes on, unless a command has the terminal.
    pub(crate) fn tell(&self, progress: impl FnOnce() -> Option<String>) {
        if self.has_command || !self.host.messages.is_status_shown() {
            return;
        }
        let Some(progress) = progress() else { return };
        let time = self.began.elapsed().as_secs();
        let time = match self.deadline.map(|deadline| deadline - self.began) {
            Some(all) => format!("{time} of {} s", all.as_secs_f64()),
            None => format!("{time} s"),
        };
        self.host.messages.doing(format!("{time}, {progress}"));
    }

    /// Is it time to end?
    pub(crate) fn reached(&mut self) -> bool {
        self.end = self.end.or_else(|| {
            let signal = self.host.stop.asked().map(End::Signal);
            let is_over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            let other = signal.or(command::ended().map(End::Command));
            let other = other.or(is_over.then_some(End::Duration));
            other.or_else(|| self.traced.have_ended().then_some(End::Processes))
        });
        self.host.set_exit_code(self.code());
        if matches!(self.end, Some(End::Processes)) {
            self.host.messages.note("the processes have ended");
        }
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

impl Drop for StopCondition<'_> {
    fn drop(&mut self) {
        let goes_on = matches!(self.end, Some(End::Duration)) && !self.kills;
        if !goes_on {
            command::terminate();
        }
    }
}
