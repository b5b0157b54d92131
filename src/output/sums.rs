//! The columns of what events add up to, in rows that stand for several.

use super::{Column, Value};

impl<E> Column<E> {
    /// How many there were.
    pub const COUNT: Self =
        Self::uint("COUNT", "count", 8, "how many events", |r| Value::Uint(r.sums.count)).sum();
    /// How many of them failed.
    pub const ERRORS: Self = Self::uint("ERRORS", "errors", 8, "how many of them failed", |r| {
        Value::Uint(r.sums.errors)
    })
    .sum();
    /// The time that all took.
    pub const TOTAL: Self = Self::duration("TOTAL", "total_ns", 9, "the time that all took", |r| {
        Value::Duration(r.sums.total_ns)
    })
    .sum();
    /// The mean.
    pub const MEAN: Self = Self::duration("MEAN", "mean_ns", 9, "the mean", |r| {
        Value::Duration(r.sums.total_ns / r.sums.count.max(1))
    });
    /// The median.
    pub const P50: Self =
        Self::duration("P50", "p50_ns", 9, "half of them took no longer, to within 5 %", |r| {
            Value::Duration(r.sums.p50_ns)
        });
    /// The 99th percentile.
    pub const P99: Self =
        Self::duration("P99", "p99_ns", 9, "99 of a hundred took no longer, to within 5 %", |r| {
            Value::Duration(r.sums.p99_ns)
        });
    /// The longest.
    pub const MAX: Self =
        Self::duration("MAX", "max_ns", 9, "the longest", |r| Value::Duration(r.sums.max_ns));
}

/// The columns of groups of events: what they are grouped by, how many there were, and with their
/// `outcomes` how many failed, and how long they took. What has no end comes last.
pub(crate) fn columns<'c, E>(by: &[&'c Column<E>], outcomes: bool) -> Vec<&'c Column<E>> {
    let times: &[&'c Column<E>] = match outcomes {
        true => &[
            &Column::ERRORS,
            &Column::TOTAL,
            &Column::MEAN,
            &Column::P50,
            &Column::P99,
            &Column::MAX,
        ],
        false => &[],
    };
    let (endless, others) = by.iter().copied().partition::<Vec<_>, _>(|column| column.width == 0);
    [&[&Column::TIME][..], &others, &[&Column::COUNT], times, &endless].concat()
}
