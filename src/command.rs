//! `-- COMMAND`: the command that is run to be traced.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{AccessFlags, Pid, access};

use crate::error::{Context as _, Result};
use crate::sys;

/// A running command. Dropped while it runs, it is asked to end.
#[derive(Debug)]
pub(crate) struct Traced(Child);

impl Traced {
    /// Starts it. Its output goes to standard error: standard output is for events alone.
    pub(crate) fn start(command: &[OsString]) -> Result<Option<Self>> {
        let Some((program, args)) = command.split_first() else { return Ok(None) };
        let doing = || format!("running {}", program.to_string_lossy());
        let stdout = io::stderr().as_fd().try_clone_to_owned().doing(doing())?;
        // With its path: failed attempts of a search along `$PATH` would be taken for its own.
        let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
        command.arg0(program).args(args).stdout(Stdio::from(stdout));
        sys::give_own_limits(&mut command);
        Ok(Some(Self(command.spawn().doing(doing())?)))
    }

    /// Has it ended?
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

/// Where a program without a slash is, as a shell would find it.
pub(crate) fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        return None;
    }
    let path = std::env::var_os("PATH")?;
    let is_program = |file: &PathBuf| access(file, AccessFlags::X_OK).is_ok() && file.is_file();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(is_program)
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
