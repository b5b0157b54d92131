//! Histograms as `src/bpf/include/hist.bpf.h` makes them: a slot for each small value, then eight for each
//! power of two.

/// The values from 0 on that have each their own slot.
const SMALL: usize = 32;

/// Slots of a power of two.
const PARTS: usize = 8;

/// Where they begin, if the power of two is 256.
const BEGINS: [u128; PARTS] = [256, 279, 304, 332, 362, 395, 431, 470];

/// The least value of a slot; `u64::MAX` after the last one.
pub(crate) fn least(slot: usize) -> u64 {
    let (log, part) = (slot / PARTS + 1, slot % PARTS);
    match log {
        _ if slot < SMALL => slot as u64,
        ..64 => u64::try_from((BEGINS[part] << log).div_ceil(256)).unwrap_or(u64::MAX),
        _ => u64::MAX,
    }
}

/// The slot of a value: as the kernel side finds it.
fn slot(value: u64) -> usize {
    if value < SMALL as u64 {
        return value as usize;
    }
    let log = value.ilog2();
    let bits = if log > 8 { value >> (log - 8) } else { value << (8 - log) };
    let begins = BEGINS.iter().rposition(|&begin| begin <= u128::from(bits)).unwrap_or(0);
    (log as usize - 1) * PARTS + begins
}

/// The power of two that a slot's values have; 0 has that of 1.
pub(crate) fn power(slot: usize) -> usize {
    least(slot).checked_ilog2().unwrap_or(0) as usize
}

/// What is as far, in percent, from one value as from a greater one.
fn middle(low: u64, high: u64) -> u64 {
    let (from, sum) = (u128::from(low), u128::from(low) + u128::from(high));
    let more = from * u128::from(high.saturating_sub(low));
    // Rounded: small numbers are far from each other.
    let more = (more + sum / 2).checked_div(sum).unwrap_or(0);
    low + u64::try_from(more).unwrap_or(0)
}

/// Values: how many are in which slot, and the least and the greatest of all.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    slots: Vec<u32>,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { slots: Vec::new(), min: u64::MAX, max: 0 }
    }
}

impl Histogram {
    /// Adds the values of one CPU.
    pub(crate) fn add(&mut self, slots: &[u32], min: u64, max: u64) {
        self.slots.resize(self.slots.len().max(slots.len()), 0);
        for (sum, count) in self.slots.iter_mut().zip(slots) {
            *sum = sum.saturating_add(*count);
        }
        (self.min, self.max) = (self.min.min(min), self.max.max(max));
    }

    /// Adds a value.
    pub(crate) fn add_one(&mut self, value: u64) {
        let slot = slot(value);
        self.slots.resize(self.slots.len().max(slot + 1), 0);
        self.slots[slot] = self.slots[slot].saturating_add(1);
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
    }

    /// How many are in which slot.
    pub(crate) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// The greatest value; 0 without values.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that so many of a hundred values do not exceed, to within 5 %: of n values the
    /// k-th, where k is `percent` of n, rounded up. `None` without values.
    pub(crate) fn percentile(&self, percent: u64) -> Option<u64> {
        let total = self.slots.iter().map(|&count| u64::from(count)).sum::<u64>();
        let rank = (total * percent).div_ceil(100).clamp(1, total.max(1));
        let mut up_to = 0;
        let slot = self.slots.iter().position(|&count| {
            up_to += u64::from(count);
            up_to >= rank
        })?;
        Some(match rank {
            1 => self.min,
            last if last == total => self.max,
            _ => middle(least(slot).max(self.min), (least(slot + 1) - 1).min(self.max)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        // As if by several CPUs.
        for values in values.chunks(values.len().div_ceil(3).max(1)) {
            let mut slots = [0; 512];
            values.iter().for_each(|value| slots[slot(*value)] += 1);
            let (min, max) = (values.iter().min(), values.iter().max());
            histogram.add(&slots, *min.unwrap(), *max.unwrap());
        }
        histogram
    }

    /// Each percentile is within 5 % of the true one, by that definition, and was it possible that
    /// it is a value?
    fn check(mut values: Vec<u64>) -> Result<(), TestCaseError> {
        let histogram = of(&values);
        values.sort_unstable();
        for percent in 0..=100 {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            let (truth, found) = (values[rank - 1], histogram.percentile(percent as u64).unwrap());
            let off = truth.abs_diff(found) as f64 / truth.max(1) as f64;
            prop_assert!(off <= 0.05, "{percent}: {found}, not {truth}: {off}");
            prop_assert!(values[0] <= found && found <= values[values.len() - 1], "{percent}");
        }
        Ok(())
    }

    #[test]
    fn slots_follow_each_other() {
        for slot in 0..504 {
            assert!(least(slot) < least(slot + 1), "{slot}");
        }
        assert_eq!([least(31), least(32), least(40), least(496)], [31, 32, 64, 1 << 63]);
        assert_eq!([0, 1, 2, 3, 4, 32, 39, 40].map(power), [0, 0, 1, 1, 2, 5, 5, 6]);
    }

    #[test]
    fn finds_what_an_interpolation_had_wrong() {
        let mut values = vec![100_000; 3959];
        values.extend([20_500_000; 41]);
        let found = of(&values).percentile(99).unwrap();
        assert!(found.abs_diff(20_500_000) <= 20_500_000 / 20, "{found}");
        let many = of(&[20_500_000; 100]);
        assert_eq!(many.percentile(50), Some(20_500_000));
        assert_eq!(Histogram::default().percentile(50), None);
        assert_eq!(of(&[]).max(), 0);
    }

    fn any_size() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(value, shift)| value >> shift)
    }

    /// At the ends of slots, where an error is greatest.
    fn at_an_edge() -> impl Strategy<Value = u64> {
        (0..504usize, 0..2u64).prop_map(|(slot, below)| least(slot).saturating_sub(below))
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_slot(value in any_size()) {
            let slot = slot(value);
            prop_assert!(least(slot) <= value);
            prop_assert!(value < least(slot + 1) || slot == 503);
        }

        #[test]
        fn percentiles_of_any_values(values in vec(any_size(), 1..300)) {
            check(values)?;
        }

        #[test]
        fn percentiles_of_values_at_edges(values in vec(at_an_edge(), 1..300)) {
            check(values)?;
        }

        #[test]
        fn percentiles_of_many_times_a_few(few in vec((at_an_edge(), 1..2000usize), 1..5)) {
            check(few.iter().flat_map(|(value, times)| vec![*value; *times]).collect())?;
        }

        #[test]
        fn percentiles_of_values_within_a_slot(slot in 0..504usize, parts in vec(any::<u64>(), 1..300)) {
            let (from, to) = (least(slot), least(slot + 1));
            check(parts.iter().map(|part| from + part % (to - from)).collect())?;
        }
    }
}
