//! `-- COMMAND`: the command that is run to be traced.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::thread;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::attach::libraries;
use crate::error::{Context as _, Error, Result};
use crate::run::capabilities::Kept;
use crate::system::lock::locked;
use crate::system::sys;

/// Exit codes of a command that cannot be run, as with env(1) and time(1).
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// The signals that this process was started with as blocked.
static OWN_MASK: OnceLock<SigSet> = OnceLock::new();

/// The command is to have these blocked, as this process had.
pub(crate) fn note_mask(own: SigSet) {
    let _ = OWN_MASK.set(own);
}

/// The command, until it has been waited for: so its number is its own. A signal may have to end it
/// while everything else hangs.
static RUNNING: Mutex<Option<Child>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<Child>> {
    locked(&RUNNING)
}

/// Starts the command later, with the rights that this process has now: those of a thread are its
/// own.
#[derive(Debug)]
pub(crate) struct Starter {
    go: Sender<()>,
    started: Receiver<Result<()>>,
}

impl Starter {
    /// The thread gives up its rights when the command is started, and stays as long as this does:
    /// a command that asks for a signal at its parent's end (`PR_SET_PDEATHSIG`) gets it at the
    /// thread's.
    pub(crate) fn new(command: &[OsString], kept: &Kept) -> Result<Self> {
        let (command, kept) = (command.to_vec(), kept.clone());
        let (go, told) = mpsc::channel();
        let (tell, started) = mpsc::channel();
        let thread = move || {
            if told.recv().is_ok() {
                let done = start(&command);
                let _ = tell.send(done.and(kept.give_up()));
                let _ = told.recv();
            }
        };
        thread::Builder::new().spawn(thread).doing("preparing to run the command")?;
        Ok(Self { go, started })
    }

    pub(crate) fn start(&self) -> Result<()> {
        // Without the thread there is no answer either.
        let _ = self.go.send(());
        self.started.recv().doing("running the command")?
    }
}

/// Starts it. Its output goes to standard error: standard output is for events alone.
fn start(command: &[OsString]) -> Result<()> {
    let Some((program, args)) = command.split_first() else { return Ok(()) };
    let doing = || format!("running {}", program.to_string_lossy());
    let stdout = io::stderr().as_fd().try_clone_to_owned().doing(doing())?;
    // With its path: failed attempts of a search along `$PATH` would be taken for its own.
    let mut command = Command::new(libraries::program(program).unwrap_or_else(|| program.into()));
    command.arg0(program).args(args).stdout(Stdio::from(stdout));
    sys::give_own_limits(&mut command);
    sys::give_huge_pages(&mut command);
    sys::give_mask(&mut command, OWN_MASK.get().copied().unwrap_or_else(SigSet::empty));
    let child = command.spawn().map_err(|error| {
        let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
        Error::new(doing(), error).code(code)
    });
    *running() = Some(child?);
    Ok(())
}

/// Its exit code, when it has ended: 128 and the number of the signal that killed it.
pub(crate) fn ended() -> Option<u8> {
    let mut running = running();
    let status = running.as_mut()?.try_wait();
    let code = |status: ExitStatus| status.code().or(status.signal().map(|signal| 128 + signal));
    let code = match status {
        Ok(None) => return None,
        Ok(Some(status)) => code(status).and_then(|code| u8::try_from(code).ok()),
        Err(_) => None,
    };
    *running = None;
    Some(code.unwrap_or(1))
}

/// Asks it to end, if it still runs.
pub(crate) fn terminate() {
    if let Some(child) = running().as_mut() {
        if let (Ok(None), Ok(pid)) = (child.try_wait(), i32::try_from(child.id())) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}
