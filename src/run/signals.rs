//! SIGINT, SIGTERM and SIGHUP. The first one asks for the end, once tracing has begun; a second
//! one, and any before that, ends this process at once, whatever it is doing.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};

use crate::error::{Context as _, Result};
use crate::run::capabilities::Kept;
use crate::run::command;
use crate::run::host::Host;
use crate::system::procfs;
use crate::system::stop::GRACE;
use crate::system::sys;

/// What takes longer than that is told of.
const LATE: Duration = Duration::from_secs(1);
/// What has not ended by then never will.
const FORCE: Duration = Duration::from_secs(20);

/// Takes signals from now on, by a thread of their own: no other one is ever interrupted, and none
/// can keep them waiting. Blocked signals come to it even where they are ignored, as by the first
/// process of a container; SIGHUP that is ignored is left alone, as nohup wants it.
pub(crate) fn watch(host: Host) -> Result<()> {
    let doing = "preparing for signals";
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if !is_ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    // A limit on the size of files is an error of write() then, which is accounted for.
    let blocked = signals | Signal::SIGXFSZ;
    let own = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).doing(doing)?;
    command::note_mask(own);
    let (tell, given_up) = mpsc::channel();
    let watch = move || {
        // Only where a command that became another user would have to be ended twice is any missed.
        let _ = tell.send(Kept::default().give_up());
        loop {
            if let Ok(signal) = signals.wait() {
                take(signal, &signals, &host);
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).doing(doing)?;
    given_up.recv().doing(doing)?
}

fn take(signal: Signal, signals: &SigSet, host: &Host) {
    if !host.stop.ask(signal) {
        if host.stop.is_same(signal) {
            return;
        }
        command::terminate();
        host.give_terminal_back();
        // As if nobody had taken it: shells want to know that it was a signal.
        let _ = signals.thread_unblock().and_then(|()| raise(signal));
        // It is ignored.
        sys::exit_at_once(128 + signal as i32);
    }
    let host = host.clone();
    let force = move || {
        thread::sleep(GRACE + LATE);
        host.give_terminal_back();
        host.messages.say("something keeps the end waiting; a second signal ends it at once");
        thread::sleep(FORCE);
        command::terminate();
        host.messages.say("it did not end: what was not written is lost");
        sys::exit_at_once(1);
    };
    // Without it, a second signal ends what hangs.
    let _ = thread::Builder::new().spawn(force);
}

/// Whether the process was started with `signal` ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read("/proc/self/status").unwrap_or_default();
    let mask = procfs::status(&status, "SigIgn").map(|mask| u64::from_str_radix(mask, 16));
    let bit = 1 << (signal as i32 - 1);
    matches!(mask, Some(Ok(mask)) if mask & bit != 0)
}
