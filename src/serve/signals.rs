//! Signals of `serve`: taken one by one, by the thread that looks after the tools.

use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::{Context as _, Result};

/// SIGHUP, SIGINT and SIGTERM.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

impl Signals {
    /// They interrupt no thread of this process from now on.
    pub(super) fn take() -> Result<Self> {
        let doing = "preparing for signals";
        let signals = Signal::SIGHUP | Signal::SIGINT | Signal::SIGTERM;
        // A limit on the size of files is an error of write() then, which is accounted for.
        (signals | Signal::SIGXFSZ).thread_block().doing(doing)?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        SignalFd::with_flags(&signals, flags).map(Self).doing(doing)
    }

    /// The next one, if one comes before that time is over.
    pub(super) fn wait(&self, at_most: Duration) -> Option<Signal> {
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
        let _ = poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout);
        let info = self.0.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }
}
