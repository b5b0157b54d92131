//! Histograms drawn in the terminal: a line for each power of two.

use std::io::Write as _;

use crate::output::{fit, hist};

/// The longest bar.
const BAR: usize = 40;
/// What stands around a bar.
const AROUND: usize = 41;

/// Appends the lines, from the first that has something to the last, at most `width` wide. `unit` writes a
/// value.
pub fn draw(
    out: &mut Vec<u8>,
    width: Option<usize>,
    slots: &[u32],
    unit: &dyn Fn(&mut Vec<u8>, u64),
) {
    let longest = width.map_or(BAR, |width| width.saturating_sub(AROUND).min(BAR));
    let mut octaves = [0; 64];
    for (slot, count) in slots.iter().enumerate().filter(|(_, count)| **count > 0) {
        octaves[hist::power(slot)] += u64::from(*count);
    }
    let most = octaves.iter().copied().max().unwrap_or(0).max(1);
    let used = |count: &u64| *count > 0;
    let Some(first) = octaves.iter().position(used) else { return };
    let Some(last) = octaves.iter().rposition(used) else { return };
    for (octave, count) in octaves.iter().enumerate().take(last + 1).skip(first) {
        let (mut from, mut below) = (Vec::new(), Vec::new());
        unit(&mut from, if octave == 0 { 0 } else { 1 << octave });
        unit(
            &mut below,
            1u64.checked_shl(u32::try_from(octave + 1).unwrap_or(64)).unwrap_or(u64::MAX),
        );
        let [from, below] = [&from, &below].map(|text| String::from_utf8_lossy(text));
        let bar = (count * longest as u64).div_ceil(most);
        let bar = "*".repeat(usize::try_from(bar).unwrap_or(0));
        let line = format!("{from:>10} up to {below:<10} {count:>10} |{bar:<longest$}|");
        let line = width.map_or(line.as_str().into(), |width| fit::text(&line, width));
        let _ = writeln!(out, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_from_the_first_to_the_last() {
        let mut slots = [0; 512];
        (slots[8], slots[9], slots[34]) = (3, 1, 2);
        let mut out = Vec::new();
        draw(&mut out, None, &slots, &|out, value| out.extend(value.to_string().bytes()));
        let text = String::from_utf8(out).unwrap();
        let bars = [40, 0, 20].map(|len| format!("|{:<40}|", "*".repeat(len)));
        let expected = format!(
            "         8 up to 16                  4 {}\n        16 up to 32                  0 {}\n        \
             32 up to 64                  2 {}\n",
            bars[0], bars[1], bars[2]
        );
        assert_eq!(text, expected);
        let mut out = Vec::new();
        draw(&mut out, None, &[0; 512], &|_, _| {});
        assert!(out.is_empty());
        slots[503] = 1;
        draw(&mut out, None, &slots, &|out, value| out.extend(value.to_string().bytes()));
    }
}
