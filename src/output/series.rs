//! The reports of a tool that counts, added up since it began: what metrics are made of.

use std::collections::BTreeMap;

use super::cell::Cell;
use super::{Clock, Part, Screen, Value, hist};

/// More than so many label sets are no help to anybody, and memory has an end.
pub(crate) const SETS_MAX: usize = 2000;

/// What the events of a sum have in common: keys and texts.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// Sums by what their events have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    sets: BTreeMap<Labels, Sums>,
}

/// One of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    /// By the column's key.
    pub(crate) numbers: BTreeMap<&'static str, u64>,
    /// Values by their power of two, where the tool shows a histogram.
    pub(crate) powers: Option<BTreeMap<usize, u64>>,
    /// Are they times, in nanoseconds?
    pub(crate) are_times: bool,
}

impl Series {
    /// Adds a row of a report.
    pub(crate) fn add<'v>(
        &mut self,
        clock: &Clock,
        values: impl Iterator<Item = (&'static str, Part, Value<'v>)> + Clone,
    ) {
        let is_label = |part: Part, value: Value<'_>| {
            // What is measured is another one each time.
            let is_measured = matches!(
                value,
                Value::Time(_) | Value::Duration(_) | Value::Float(_) | Value::Histogram(_)
            );
            part == Part::Label && !is_measured && !matches!(value, Value::None)
        };
        let labels = values.clone().filter(|(_, part, value)| is_label(*part, *value));
        let labels = labels.map(|(key, _, value)| (key, text(clock, value))).collect::<Labels>();
        let is_new = !self.sets.contains_key(&labels);
        let labels = match is_new && self.sets.len() >= SETS_MAX {
            // OpenTelemetry's way: the sums stay right.
            true => vec![("overflow", "true".into())],
            false => labels,
        };
        let sums = self.sets.entry(labels).or_default();
        for (key, part, value) in values {
            sums.add(key, part, value);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Labels, &Sums)> {
        self.sets.iter()
    }
}

impl Sums {
    fn add(&mut self, key: &'static str, part: Part, value: Value<'_>) {
        let number = match value {
            Value::Uint(number) => number,
            Value::Duration(ns) => {
                self.are_times |= part == Part::Sum;
                ns
            }
            Value::Histogram(slots) => {
                let powers = self.powers.get_or_insert_default();
                for (slot, count) in slots.iter().enumerate().filter(|(_, count)| **count > 0) {
                    *powers.entry(hist::power(slot)).or_default() += u64::from(*count);
                }
                return;
            }
            _ => return,
        };
        if part == Part::Sum {
            let sum = self.numbers.entry(key).or_default();
            *sum = sum.saturating_add(number);
        }
    }
}

/// As a table that nobody cuts has it.
fn text(clock: &Clock, value: Value<'_>) -> String {
    let mut text = Vec::new();
    value.text(&mut Cell { text: &mut text, clock, screen: Screen::default() });
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(series: &mut Series, comm: &str, count: u64) {
        let values = [
            ("time", Part::Label, Value::Time(7)),
            ("comm", Part::Label, Value::Text(comm.as_bytes())),
            ("count", Part::Sum, Value::Uint(count)),
            ("mean_ns", Part::Derived, Value::Duration(1)),
            ("total_ns", Part::Sum, Value::Duration(count * 3)),
            ("histogram", Part::Label, Value::Histogram(&[0, 2, 0, 0, 1])),
        ];
        series.add(&Clock::new(0), values.into_iter());
    }

    #[test]
    fn adds_up_by_labels() {
        let mut series = Series::default();
        for (comm, count) in [("a", 1), ("b\n", 2), ("a", 3)] {
            row(&mut series, comm, count);
        }
        let sums = |sums: &Sums| {
            let numbers = sums.numbers.clone().into_iter().collect::<Vec<_>>();
            (numbers, sums.powers.clone().unwrap_or_default(), sums.are_times)
        };
        let all = series.iter().map(|(labels, one)| (labels.clone(), sums(one)));
        let label = |text: &str| vec![("comm", text.to_string())];
        let expected = [
            (label("a"), (vec![("count", 4), ("total_ns", 12)], [(0, 4), (2, 2)].into(), true)),
            (label("b\\n"), (vec![("count", 2), ("total_ns", 6)], [(0, 2), (2, 1)].into(), true)),
        ];
        assert_eq!(all.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn has_an_end() {
        let mut series = Series::default();
        for number in 0..SETS_MAX + 10 {
            row(&mut series, &number.to_string(), 1);
        }
        let sets = series.iter().map(|(_, sums)| sums.numbers["count"]).collect::<Vec<_>>();
        assert_eq!((sets.len(), sets.iter().sum::<u64>()), (SETS_MAX + 1, SETS_MAX as u64 + 10));
    }
}
