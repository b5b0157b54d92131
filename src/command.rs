//! `-- COMMAND`: the command that is run to be traced.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Context as _, Result};

/// A running command. Dropped while it runs, it is asked to end.
#[derive(Debug)]
pub(crate) struct Traced(Child);

impl Traced {
    /// Starts it. Its output goes to standard error: standard output is for events alone.
    pub(crate) fn start(command: &[OsString]) -> Result<Option<Self>> {
        let Some((program, args)) = command.split_first() else { return Ok(None) };
        let doing = || format!("running {}", program.to_string_lossy());
        let stdout = io::stderr().as_fd().try_clone_to_owned().doing(doing())?;
        let child = Command::new(program).args(args).stdout(Stdio::from(stdout)).spawn();
        Ok(Some(Self(child.doing(doing())?)))
    }

    /// Has it ended?
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if !self.has_ended() {
            if let Ok(pid) = i32::try_from(self.0.id()) {
                // It has not been waited for, so the number is still its own.
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
    }
}
