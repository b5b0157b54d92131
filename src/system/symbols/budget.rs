//! How much processor time may go into names. Whoever is traced can make each one dear, by files with
//! millions of symbols or by a million mappings: then they stay without names, and samples still come
//! in.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// The most that is saved up: reading all that runs on a large machine takes less.
const MOST: i64 = 1_000_000_000;
/// One part of so many of the time that passes.
const SHARE: i64 = 4;

#[derive(Debug)]
pub(super) struct Budget {
    /// Less than nothing, where work took longer than there was time for.
    left_ns: i64,
    at: Instant,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { left_ns: MOST, at: Instant::now() }
    }

    /// Does the work, unless there is no time left for any. Work that has begun is finished.
    pub(super) fn spend<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let now = Instant::now();
        self.left_ns = (self.left_ns + ns(now.duration_since(self.at)) / SHARE).min(MOST);
        self.at = now;
        if self.left_ns <= 0 {
            return None;
        }
        let before = processor_ns();
        let done = work();
        self.left_ns -= processor_ns() - before;
        Some(done)
    }
}

/// What this thread has used: on a busy machine much more time passes, which is not the work's.
fn processor_ns() -> i64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

fn ns(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_no_work_when_too_much_was_done() {
        let mut budget = Budget::new();
        assert_eq!(budget.spend(|| 1), Some(1));
        budget.left_ns = -3_600_000_000_000;
        assert_eq!(budget.spend(|| 1), None);
        // What was saved up is not more than that.
        budget.left_ns = MOST;
        budget.spend(|| ());
        assert!(budget.left_ns <= MOST);
    }
}
