//! When a run is to end before it does by itself: somebody asks for it, with a signal most of the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

/// How long after it was asked for anything waits: for a reader of standard output, for events that
/// are left, for the kernel to detach.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// The same signal that comes again within that time is meant as one.
const SAME: Duration = Duration::from_millis(200);

/// The end that is asked for, shared by those who ask and those who work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    has_begun: AtomicBool,
    asked: OnceLock<(Signal, Instant)>,
}

impl Stop {
    /// Tracing begins: there is something to be told at the end.
    pub(crate) fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Relaxed);
    }

    /// Does it trace, or has it?
    pub(crate) fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Relaxed)
    }

    /// Asks for the end. Not where nothing has begun, or it was asked for before: then nobody takes
    /// it, which is `false`.
    pub(crate) fn ask(&self, signal: Signal) -> bool {
        let has_begun = self.0.has_begun.load(Ordering::Relaxed);
        has_begun && self.0.asked.set((signal, Instant::now())).is_ok()
    }

    /// What asked for it, if anything did.
    pub(crate) fn asked(&self) -> Option<Signal> {
        self.0.asked.get().map(|(signal, _)| *signal)
    }

    /// Was it this signal that asked for it just now? timeout(1) sends it to the command and then to the
    /// command's group.
    pub(crate) fn is_same(&self, signal: Signal) -> bool {
        self.0.asked.get().is_some_and(|(first, at)| *first == signal && at.elapsed() < SAME)
    }

    /// Was it asked for so long ago that nothing must wait any more?
    pub(crate) fn is_overdue(&self) -> bool {
        self.0.asked.get().is_some_and(|(_, at)| at.elapsed() >= GRACE)
    }
}
