//! The kernel's clock and the wall's.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::path::{Component, Path};

use chrono::{DateTime, Local, Utc};

/// Turns `CLOCK_BOOTTIME`, which the kernel stamps records with, into the time of day.
#[derive(Debug, Default)]
pub struct Clock {
    /// The time of day when the machine booted, in nanoseconds since 1970.
    boot_ns: i64,
    /// The local time is not to be looked for.
    is_utc: bool,
    utc: Cell<Second>,
    local: Cell<Second>,
}

/// A second as text, kept because events come many in a second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    number: i64,
    len: usize,
    text: [u8; 24],
}

const NS: i64 = 1_000_000_000;

impl Clock {
    /// A clock for a machine that booted `boot_ns` nanoseconds after 1970 began.
    pub fn new(boot_ns: i64) -> Self {
        Self { boot_ns, ..Self::default() }
    }

    /// The same, which shows UTC for the local time.
    #[must_use]
    pub fn in_utc(self) -> Self {
        Self { is_utc: true, ..self }
    }

    /// The machine booted at another time: its clock was set.
    pub fn set(&mut self, boot_ns: i64) {
        self.boot_ns = boot_ns;
    }

    /// Seconds and nanoseconds since 1970.
    fn time(&self, time_ns: u64) -> (i64, i64) {
        let time = self.boot_ns.saturating_add_unsigned(time_ns);
        (time.div_euclid(NS), time.rem_euclid(NS))
    }

    /// RFC 3339 in UTC, with nanoseconds.
    pub fn rfc3339_into(&self, out: &mut Vec<u8>, time_ns: u64) {
        let (second, ns) = self.time(time_ns);
        out.extend_from_slice(
            Second::of(second, &self.utc, |time, text| {
                write!(text, "{}", time.format("%Y-%m-%dT%H:%M:%S."))
            })
            .bytes(),
        );
        let mut digits = *b"000000000Z";
        let mut rest = ns;
        for digit in digits[..9].iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        out.extend_from_slice(&digits);
    }

    /// Local time, hours to seconds.
    pub fn local_into(&self, out: &mut Vec<u8>, time_ns: u64) {
        let (second, _) = self.time(time_ns);
        out.extend_from_slice(
            Second::of(second, &self.local, |time, text| {
                let format = "%H:%M:%S";
                match self.is_utc {
                    true => write!(text, "{}", time.format(format)),
                    false => write!(text, "{}", time.with_timezone(&Local).format(format)),
                }
            })
            .bytes(),
        );
    }
}

/// Where the system's time zones are, and which of them is its own.
const ZONES: [&str; 5] = [
    "/usr/share/zoneinfo",
    "/share/zoneinfo",
    "/etc/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/localtime",
];

/// May the file that a value of `TZ` stands for be opened? Whoever set it may not be allowed to have
/// it opened by this process; and another file than a time zone, like a FIFO, could be without end.
pub fn is_zone_of_system(tz: &str) -> bool {
    let path = Path::new(tz.strip_prefix(':').unwrap_or(tz));
    let goes_up = path.components().any(|part| part == Component::ParentDir);
    let is_known = path.is_relative() || ZONES.iter().any(|zones| path.starts_with(zones));
    is_known && !goes_up
}

impl Second {
    /// The second of this number, from `kept` if it is the one.
    fn of(
        number: i64,
        kept: &Cell<Self>,
        format: impl FnOnce(DateTime<Utc>, &mut &mut [u8]) -> io::Result<()>,
    ) -> Self {
        let old = kept.get();
        if old.number == number && old.len > 0 {
            return old;
        }
        let mut new = Self { number, ..Self::default() };
        let room = new.text.len();
        let mut rest = &mut new.text[..];
        // What has no room is cut: years beyond 9999.
        let _ = format(DateTime::from_timestamp(number, 0).unwrap_or_default(), &mut rest);
        new.len = room - rest.len();
        kept.set(new);
        new
    }

    fn bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_exact_to_the_nanosecond() {
        let text = |boot_ns, time_ns| {
            let mut out = Vec::new();
            Clock::new(boot_ns).rfc3339_into(&mut out, time_ns);
            String::from_utf8(out).unwrap()
        };
        let boot = 1_700_000_000_000_000_000;
        assert_eq!(text(boot, 1_000_000_007), "2023-11-14T22:13:21.000000007Z");
        assert_eq!(text(-1, 0), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(text(i64::MAX, u64::MAX), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn opens_zones_of_the_system_alone() {
        for tz in ["", "UTC", ":Europe/Berlin", "EST5EDT,M3.2.0,M11.1.0", ":/etc/localtime"] {
            assert!(is_zone_of_system(tz), "{tz}");
        }
        assert!(is_zone_of_system("/usr/share/zoneinfo/Asia/Tokyo"));
        for tz in ["/tmp/x", ":/tmp/x", "../../../tmp/x", "/usr/share/zoneinfo/../../../tmp/x"] {
            assert!(!is_zone_of_system(tz), "{tz}");
        }
    }

    #[test]
    fn shows_utc_where_it_should() {
        let mut out = Vec::new();
        Clock::new(0).in_utc().local_into(&mut out, 3_661_000_000_000);
        assert_eq!(out, b"01:01:01");
    }

    #[test]
    fn goes_on() {
        let mut clock = Clock::new(0);
        let mut out = Vec::new();
        for time_ns in [0, 1, 2_000_000_000] {
            clock.rfc3339_into(&mut out, time_ns);
        }
        clock.set(NS);
        clock.rfc3339_into(&mut out, 0);
        let day = "1970-01-01T00:00:0";
        let expected = ["0.000000000Z", "0.000000001Z", "2.000000000Z", "1.000000000Z"];
        let expected = expected.map(|end| format!("{day}{end}")).concat();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
