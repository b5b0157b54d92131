//! The kernel's clock and the wall's.

use chrono::{DateTime, Local, SecondsFormat, Utc};

/// Turns `CLOCK_BOOTTIME`, which the kernel stamps records with, into the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The time of day when the machine booted, in nanoseconds since 1970.
    boot_ns: i64,
}

impl Clock {
    /// A clock for a machine that booted `boot_ns` nanoseconds after 1970 began.
    pub fn new(boot_ns: i64) -> Self {
        Self { boot_ns }
    }

    fn utc(self, time_ns: u64) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.boot_ns.saturating_add_unsigned(time_ns))
    }

    /// RFC 3339 in UTC, with nanoseconds.
    pub fn rfc3339(self, time_ns: u64) -> String {
        self.utc(time_ns).to_rfc3339_opts(SecondsFormat::Nanos, true)
    }

    /// Local time, hours to seconds.
    pub fn local(self, time_ns: u64) -> String {
        self.utc(time_ns).with_timezone(&Local).format("%H:%M:%S").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_exact_to_the_nanosecond() {
        let clock = Clock::new(1_700_000_000_000_000_000);
        assert_eq!(clock.rfc3339(1_000_000_007), "2023-11-14T22:13:21.000000007Z");
        assert!(!Clock::new(i64::MAX).rfc3339(u64::MAX).is_empty());
    }
}
