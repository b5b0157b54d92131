//! The accounts: produced = delivered + lost, by reason.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;

use libbpf_rs::{MapCore as _, MapFlags, Object};

use crate::bpf::object;
use crate::bpf::programs::Program;
use crate::bpf::shared::types::{counters, lost_reason};
use crate::error::{Context as _, Error, Result};
use crate::system::kernel;
use crate::system::sys;

/// The reader was too slow for the size of the ring.
const RING_FULL: &str = "ring_full";
/// A table had no room, here or in the kernel.
const MAP_FULL: &str = "map_full";
/// The kernel side's reasons, in the order of `enum lost_reason`; the keys of `lost` in JSON.
const REASONS: [&str; lost_reason::LOST_REASONS.0 as usize] =
    [RING_FULL, MAP_FULL, "scratch_busy", "memory_unreadable", "return_missed"];
/// The kernel skipped the program because it was running already on that CPU.
const RECURSION: &str = "recursion";
/// The output could not be written.
pub(crate) const OUTPUT_FAILED: &str = "output_failed";
/// The line was overwritten in trace_pipe, or somebody else has read it.
pub(crate) const TRACE_PIPE: &str = "trace_pipe";
/// The call had not returned when tracing ended.
const UNFINISHED: &str = "unfinished";
/// More events came than are to be shown in a second.
const RATE_LIMITED: &str = "rate_limited";
/// It was not yet read when a signal's time was over.
pub(crate) const OUT_OF_TIME: &str = "out_of_time";
/// Nobody knows why: a bug in ebtools, which must not be hidden in another number.
pub(crate) const UNACCOUNTED: &str = "unaccounted";

/// All reasons.
pub(crate) fn reasons() -> impl Iterator<Item = &'static str> {
    let others =
        [RECURSION, OUTPUT_FAILED, RATE_LIMITED, TRACE_PIPE, UNFINISHED, OUT_OF_TIME, UNACCOUNTED];
    REASONS.into_iter().chain(others)
}

/// What became of every event that the filters let through.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Accounts {
    /// Events that happened.
    pub(crate) produced: u64,
    /// Events that were written out.
    pub(crate) delivered: u64,
    /// Events that were not, by reason; only reasons that occurred.
    pub(crate) lost: BTreeMap<&'static str, u64>,
}

/// What the kernel side has counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct InKernel {
    /// Events that it let through: into the ring, or into a table.
    pub(crate) submitted: u64,
    /// Calls that have begun and not ended.
    calls: u64,
    /// What it lost, by reason.
    lost: BTreeMap<&'static str, u64>,
    /// What it did not let through as nobody has asked for it.
    pub(crate) hidden: u64,
}

impl InKernel {
    /// What it has counted up to now. At the end it is read after everything is detached, and before
    /// what is left is taken out of the ring or the tables: a program that still runs on another CPU
    /// puts its event there first, and counts it then. So all that is counted here can be taken,
    /// and an event that comes later is in no number. Where a program of those that are `seeing` events
    /// was skipped, one is lost.
    pub(crate) fn of(object: &Object, seeing: &[Program]) -> Result<Self> {
        let _undisturbed = kernel::undisturbed();
        let counters = counters_of(object)?;
        let lost = lost_in_kernel(&counters, object, seeing);
        let counters { submitted, calls, hidden, .. } = counters;
        Ok(Self { submitted, calls, lost, hidden })
    }
}

/// What user space did with the events that it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// Written out.
    pub(crate) delivered: u64,
    /// Not wanted after all.
    pub(crate) rejected: u64,
    /// Did not fit a table.
    pub(crate) no_room: u64,
    /// Could not be written.
    pub(crate) unwritten: u64,
    /// Were more than are to be shown.
    pub(crate) limited: u64,
}

impl Taken {
    fn add_lost(self, lost: &mut BTreeMap<&'static str, u64>) {
        let lost_here = [
            (MAP_FULL, self.no_room),
            (OUTPUT_FAILED, self.unwritten),
            (RATE_LIMITED, self.limited),
        ];
        for (reason, events) in lost_here {
            *lost.entry(reason).or_default() += events;
        }
    }
}

impl Accounts {
    /// While events are on their way.
    pub(crate) fn now(kernel: InKernel, taken: Taken) -> Self {
        let mut lost = kernel.lost;
        taken.add_lost(&mut lost);
        Self::new(taken.delivered, lost)
    }

    /// The final accounts: nothing is on its way any more. Events that the kernel let through and
    /// nobody took are lost for the reason `rest`.
    pub(crate) fn at_end(kernel: InKernel, taken: Taken, rest: &'static str) -> Self {
        let Taken { delivered, rejected, no_room, unwritten, limited } = taken;
        let mut lost = kernel.lost;
        taken.add_lost(&mut lost);
        let came = delivered + rejected + no_room + unwritten + limited;
        let missing = kernel.submitted.saturating_sub(came);
        // More ends than beginnings are a bug.
        let (unfinished, too_many) = match kernel.calls as i64 {
            calls @ 0.. => (calls.unsigned_abs(), 0),
            calls => (0, calls.unsigned_abs()),
        };
        for (reason, events) in [(UNFINISHED, unfinished), (UNACCOUNTED, too_many), (rest, missing)]
        {
            *lost.entry(reason).or_default() += events;
        }
        Self::new(delivered, lost)
    }

    fn new(delivered: u64, mut lost: BTreeMap<&'static str, u64>) -> Self {
        lost.retain(|_, count| *count > 0);
        Self { produced: delivered + lost.values().sum::<u64>(), delivered, lost }
    }

    /// What is lost here and was not yet in `before`.
    pub(crate) fn lost_since(&self, before: &Self) -> Vec<(&'static str, u64)> {
        let old = |reason| before.lost.get(reason).copied().unwrap_or(0);
        let new =
            self.lost.iter().map(|(&reason, &count)| (reason, count.saturating_sub(old(reason))));
        new.filter(|(_, count)| *count > 0).collect()
    }

    /// `12 events, 3 lost (ring full 2, recursion 1)`
    pub(crate) fn line(&self) -> String {
        let plural = if self.delivered == 1 { "" } else { "s" };
        let mut line =
            format!("{} event{plural}, {} lost", self.delivered, self.lost.values().sum::<u64>());
        if !self.lost.is_empty() {
            let reasons =
                self.lost.iter().map(|(reason, count)| format!("{} {count}", words(reason)));
            line += &format!(" ({})", reasons.collect::<Vec<_>>().join(", "));
        }
        line
    }
}

/// A line for people about events that were lost just now; says what helps, where something does.
/// `buffer`: the size of the ring.
pub(crate) fn advice(reason: &str, count: u64, buffer: u32) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let mut line = format!("lost {count} event{plural}: {}", words(reason));
    if reason == RING_FULL {
        let larger = u64::from(buffer) * 8;
        let size = match larger >> 20 {
            0 => format!("{}K", larger >> 10),
            mib => format!("{}M", mib.min(1024)),
        };
        line += &format!("; --buffer {size} would help");
    }
    line
}

fn words(reason: &str) -> String {
    reason.replace('_', " ")
}

fn lost_in_kernel(
    counters: &counters,
    object: &Object,
    seeing: &[Program],
) -> BTreeMap<&'static str, u64> {
    let reasons = REASONS.iter().zip(counters.lost).map(|(&reason, count)| (reason, count));
    let loaded = object.progs_mut().filter(|program| program.autoload());
    let seeing = loaded.filter(|loaded| seeing.iter().any(|one| loaded.name() == one.name()));
    let skipped = seeing.map(|program| sys::recursion_misses(program.as_fd())).sum();
    reasons.chain([(RECURSION, skipped)]).collect()
}

/// How many processes have been followed up to now.
pub(crate) fn followed(object: &Object) -> Result<u64> {
    let _undisturbed = kernel::undisturbed();
    Ok(counters_of(object)?.followed)
}

/// All CPUs' counters together.
fn counters_of(object: &Object) -> Result<counters> {
    let doing = "reading the counters of events";
    let map = object::map(object, "counters")?;
    let cpus = map.lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY).doing(doing)?;
    let mut all = counters::default();
    for cpu in cpus.iter().flatten() {
        let one = plain::from_bytes::<counters>(cpu)
            .map_err(|_| Error::new(doing, "they have another size than expected"))?;
        all.submitted += one.submitted;
        all.followed += one.followed;
        all.hidden += one.hidden;
        // A call may end on another CPU than it began on.
        all.calls = all.calls.wrapping_add(one.calls);
        for (sum, lost) in all.lost.iter_mut().zip(one.lost) {
            *sum += lost;
        }
    }
    Ok(all)
}

#[cfg(test)]
impl InKernel {
    /// As if the kernel side had counted this.
    pub(crate) fn with(submitted: u64, calls: u64, map_full: u64) -> Self {
        let lost = BTreeMap::from([(REASONS[1], map_full)]);
        Self { submitted, calls, lost, hidden: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(delivered: u64, lost: &[(&'static str, u64)]) -> Accounts {
        let lost = lost.iter().copied().collect::<BTreeMap<_, _>>();
        Accounts { produced: delivered + lost.values().sum::<u64>(), delivered, lost }
    }

    #[test]
    fn says_what_was_lost_and_why() {
        assert_eq!(accounts(1, &[]).line(), "1 event, 0 lost");
        let some = accounts(5, &[(RING_FULL, 2), (RECURSION, 1)]);
        assert_eq!(some.line(), "5 events, 3 lost (recursion 1, ring full 2)");
    }

    #[test]
    fn advises() {
        let line = advice(RING_FULL, 7, 4 << 20);
        assert_eq!(line, "lost 7 events: ring full; --buffer 32M would help");
        assert!(advice(RING_FULL, 7, 4096).ends_with("--buffer 32K would help"));
        assert!(advice(RING_FULL, 7, 1 << 30).ends_with("--buffer 1024M would help"));
        assert_eq!(advice(UNFINISHED, 1, 4096), "lost 1 event: unfinished");
    }

    #[test]
    fn finds_what_is_new() {
        let before = accounts(1, &[("ring_full", 2)]);
        let after = accounts(1, &[("ring_full", 5), ("map_full", 1)]);
        assert_eq!(after.lost_since(&before), [("map_full", 1), ("ring_full", 3)]);
        assert_eq!(before.lost_since(&before), []);
    }
}
