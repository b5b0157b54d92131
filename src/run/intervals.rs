//! A run that is cut into intervals, with a report after each.

use std::time::{Duration, Instant};

/// A run cut into intervals, if it is.
#[derive(Debug)]
pub(crate) struct Intervals {
    length: Option<Duration>,
    last: Instant,
    next: Option<Instant>,
}

impl Intervals {
    pub(crate) fn new(began: Instant, length: Option<Duration>) -> Self {
        let next = length.and_then(|length| began.checked_add(length));
        Self { length, last: began, next }
    }

    /// Has one ended since the last time? How long it was.
    pub(crate) fn ended(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let due = self.next.filter(|due| *due <= now)?;
        // No burst of reports after the machine slept.
        let next = self.length.and_then(|length| due.checked_add(length));
        self.next = next.map(|next| next.max(now));
        Some(now - std::mem::replace(&mut self.last, now))
    }

    /// How long until the next one ends, at most.
    pub(crate) fn wait(&self, at_most: Duration) -> Duration {
        self.next.map_or(at_most, |due| at_most.min(due.saturating_duration_since(Instant::now())))
    }

    /// How long the last one is now.
    pub(crate) fn rest(&self) -> Duration {
        self.last.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_no_bursts() {
        let second = Duration::from_secs(1);
        let began = Instant::now().checked_sub(10 * second).unwrap();
        let mut intervals = Intervals::new(began, Some(second));
        assert!(intervals.ended().unwrap() >= 10 * second);
        // The one that was due nine seconds ago, and no more of them.
        assert!(intervals.ended().unwrap() < second);
        assert_eq!(intervals.ended(), None);
        assert!(intervals.wait(10 * second) <= second);
        let mut whole = Intervals::new(began, None);
        assert_eq!(whole.ended(), None);
        assert_eq!(whole.wait(second), second);
        assert!(whole.rest() >= 10 * second);
        assert_eq!(Intervals::new(began, Some(Duration::MAX)).ended(), None);
    }
}
