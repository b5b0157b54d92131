//! The life of a run: events are read until the end is reached; then everything is detached, what is
//! left is read, and the accounts are closed.

use std::cell::RefCell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use libbpf_rs::Object;

use crate::attach::links;
use crate::attach::plan::Attached;
use crate::error::Result;
use crate::output::status::grouped;
use crate::run::command;
use crate::run::host::Host;
use crate::run::intervals::Intervals;
use crate::run::loss::InKernel;
use crate::run::report::Report;
use crate::run::stop_condition::StopCondition;
use crate::system::sys;

/// How long an event may wait for its reader, and the end of the command, or a signal, go unnoticed.
pub(crate) const TICK: Duration = Duration::from_millis(50);
/// How often lost events are told of, and what is attached is looked after.
const SECOND: Duration = Duration::from_secs(1);

/// Where events come from.
pub(crate) trait Source {
    /// Waits for events, at most so long, and reads those that are there, or a good part of them.
    fn read(&mut self, at_most: Duration) -> Result<()>;

    /// What a person who sees nothing yet is told: with so many events counted in the kernel.
    fn progress(&self, _submitted: u64) -> Option<String> {
        None
    }

    /// The end of an interval of this length; of the last one, when nothing is left to be read.
    fn interval(&mut self, _: Duration) -> Result<()> {
        Ok(())
    }

    /// Reads what is left, when nothing is attached any more. The kernel side has counted so many
    /// events as `submitted`.
    fn drain(&mut self, _submitted: u64) -> Result<()> {
        Ok(())
    }
}

/// Reads until the end is reached. What fails ends the run, and what was known by then is shown, and
/// the accounts are closed all the same.
pub(crate) fn run(
    object: &Object,
    mut attached: Attached<'_>,
    interval: Option<Duration>,
    source: &mut dyn Source,
    report: &RefCell<Report>,
    mut condition: StopCondition<'_>,
) -> Result<()> {
    let seeing = attached.seeing();
    let mut intervals = Intervals::new(condition.began, interval);
    let mut second = Instant::now() + SECOND;
    let mut done = Ok(());
    while done.is_ok() && !condition.reached() && !report.borrow_mut().has_failed() {
        done = source.read(intervals.wait(TICK));
        if let Some(length) = intervals.ended() {
            done = done.and_then(|()| source.interval(length));
        }
        report.borrow_mut().flush();
        if second <= Instant::now() {
            second = Instant::now() + SECOND;
            done = done.and_then(|()| InKernel::of(object, &seeing)).map(|kernel| {
                let submitted = kernel.submitted;
                report.borrow_mut().lost(kernel);
                condition.tell(|| source.progress(submitted));
            });
            done = done.and_then(|()| attached.refresh(object));
        }
    }
    report.borrow_mut().end_live();
    report.borrow_mut().unattached(attached.unattached());
    attached.detach(&condition.host.stop);
    let kernel = InKernel::of(object, &seeing);
    let drained = source.drain(kernel.as_ref().map_or(0, |kernel| kernel.submitted));
    let shown = source.interval(intervals.rest());
    let done = report.borrow_mut().finish(kernel, done.and(drained).and(shown));
    if links::is_detaching() {
        leave(&condition.host, done);
    }
    done
}

/// Ends the process where its parts cannot be taken down.
fn leave(host: &Host, done: Result<()>) -> ! {
    command::terminate();
    sys::exit_at_once(host.exit_code(done).into())
}

/// Nothing to be read: what the kernel counts is shown each interval, and at the end.
pub(crate) struct Counted<'r, S> {
    pub(crate) report: &'r RefCell<Report>,
    /// What is counted, if there is no report before the end.
    pub(crate) silent: Option<String>,
    pub(crate) show: S,
}

impl<S: FnMut(&mut Report, Duration) -> Result<()>> Source for Counted<'_, S> {
    fn read(&mut self, at_most: Duration) -> Result<()> {
        sleep(at_most);
        Ok(())
    }

    fn progress(&self, submitted: u64) -> Option<String> {
        let counted = match (self.silent.as_deref()?, submitted) {
            (what, 1..) => format!("{} {what}; ", grouped(submitted)),
            _ => String::new(),
        };
        Some(counted + "Ctrl-C ends it and shows the result")
    }

    fn interval(&mut self, length: Duration) -> Result<()> {
        (self.show)(&mut self.report.borrow_mut(), length)
    }
}
