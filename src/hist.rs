//! Histograms as `src/bpf/hist.bpf.h` makes them: four slots for each power of two.

/// The least value of a slot; `u64::MAX` behind the last one.
pub(crate) fn least(slot: usize) -> u64 {
    let (octave, quarter) = (slot / 4, (slot % 4) as u64);
    match octave {
        0 => quarter,
        1..=62 => (4 + quarter) << (octave - 1),
        _ => u64::MAX,
    }
}

/// The value that `share` of all values (0 to 1) do not exceed, to an eighth; `None` without
/// values.
pub(crate) fn percentile(slots: &[u32], share: f64) -> Option<u64> {
    let total = slots.iter().map(|&count| u64::from(count)).sum::<u64>();
    if total == 0 {
        return None;
    }
    // Of n values the k-th.
    let rank = ((total as f64 * share).ceil() as u64).clamp(1, total);
    let mut below = 0;
    for (slot, &count) in slots.iter().enumerate() {
        let count = u64::from(count);
        if below + count >= rank {
            let (from, to) = (least(slot), least(slot + 1));
            // As if the values were spread evenly over the slot.
            let part = (rank - below) as f64 / (count + 1) as f64;
            return Some(from + ((to - from - 1) as f64 * part) as u64);
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel side does.
    fn slot(value: u64) -> usize {
        match value {
            0..4 => value as usize,
            _ => {
                let log = value.ilog2();
                (log as usize - 1) * 4 + (value >> (log - 2) & 3) as usize
            }
        }
    }

    #[test]
    fn slots_follow_each_other() {
        for slot in 0..252 {
            assert!(least(slot) < least(slot + 1), "{slot}");
        }
        assert_eq!(least(4), 4);
        assert_eq!(least(8), 8);
        assert_eq!(least(9), 10);
    }

    #[test]
    fn finds_percentiles() {
        let mut slots = [0; 256];
        assert_eq!(percentile(&slots, 0.5), None);
        for value in 1..=1000 {
            slots[slot(value)] += 1;
        }
        for (share, expected) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (0.0, 1.0)] {
            let found = percentile(&slots, share).unwrap() as f64;
            assert!((found - expected).abs() <= expected / 8.0, "{share}: {found}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_in_its_slot(value: u64) {
            let slot = slot(value);
            prop_assert!(least(slot) <= value);
            prop_assert!(value < least(slot + 1) || slot == 251);
        }

        #[test]
        fn one_value_is_every_percentile(value: u64, share in 0.0..=1.0) {
            let mut slots = [0; 256];
            slots[slot(value)] = 1;
            let found = percentile(&slots, share).unwrap();
            prop_assert!(found.abs_diff(value) <= value / 4);
        }
    }
}
