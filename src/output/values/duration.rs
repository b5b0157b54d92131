//! A time in nanoseconds; with a unit in the table.

use std::io::Write as _;

use crate::output::cell::Cell;
use crate::output::entry::Entry;
use crate::output::shape::Shape;

pub(super) const SHAPE: Shape = Shape::UNSIGNED;

pub(super) fn text(to: &mut Cell<'_>, ns: u64) {
    duration_into(to.text, ns);
}

pub(super) fn json(to: &mut Entry<'_>, ns: u64) {
    to.number(ns);
}

/// Three digits and a unit: `12.3us`.
pub fn duration_into(out: &mut Vec<u8>, ns: u64) {
    let (number, unit) = match ns {
        0..1_000 => (ns as f64, "ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = match number {
        _ if unit == "ns" => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let _ = write!(out, "{number:.digits$}{unit}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        for (ns, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00us"),
            (12_345, "12.3us"),
            (123_456_789, "123ms"),
            (61_000_000_000, "61.0s"),
        ] {
            let mut out = Vec::new();
            duration_into(&mut out, ns);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
