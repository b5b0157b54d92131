//! The lines that a flame graph is drawn from: folded stacks, without what nobody would see.

use super::super::tree::{Call, Tree, What};
use super::frames::Frames;

/// What is above so many calls is drawn where one of so many samples is: no tower for a few.
const HIGH: [(usize, u64); 2] = [(24, 50), (64, 10)];
/// The most text.
const TEXT_MAX: usize = 64 << 20;

/// In the place of calls that are not drawn.
const THIN: &str = "[thin calls]";
const HIGHER: &str = "[higher calls]";

/// What is made of the calls of one depth.
pub(super) struct Lines<'a, 'f> {
    tree: &'a Tree<'a>,
    frames: &'a mut Frames<'f>,
    least: u64,
    lines: Vec<String>,
    room: usize,
}

/// What a call has called.
struct Above {
    wide: Vec<Call>,
    /// Samples in it.
    of_wide: u64,
    /// Samples in what is not.
    of_thin: u64,
}

impl<'a, 'f> Lines<'a, 'f> {
    /// Of calls that `least` of all samples went through; `None` if that is too much text.
    pub(super) fn of(
        tree: &'a Tree<'a>,
        frames: &'a mut Frames<'f>,
        all: u64,
        least: u64,
    ) -> Option<Vec<String>> {
        let mut lines = Self { tree, frames, least, lines: Vec::new(), room: TEXT_MAX };
        let threads = lines.above(tree.roots());
        lines.add(None, Some(THIN), threads.of_thin)?;
        let mut row = threads.wide;
        for depth in 0.. {
            let above = row.iter().map(|call| lines.above(tree.below(call))).collect::<Vec<_>>();
            let of_wide = above.iter().map(|above| above.of_wide).sum::<u64>();
            let is_for_few = |&(calls, of): &(usize, u64)| depth >= calls && of_wide * of < all;
            let is_top = of_wide == 0 || HIGH.iter().any(is_for_few);
            for (call, above) in row.iter().zip(&above) {
                lines.add_call(call, above, is_top)?;
            }
            if is_top {
                break;
            }
            row = above.into_iter().flat_map(|above| above.wide).collect();
        }
        Some(lines.lines)
    }

    fn above(&self, calls: Vec<Call>) -> Above {
        let sum = |calls: &[Call]| calls.iter().map(|call| call.total).sum::<u64>();
        let is_wide = |call: &Call| call.total >= self.least;
        let (wide, thin) = calls.into_iter().partition::<Vec<_>, _>(is_wide);
        Above { of_wide: sum(&wide), of_thin: sum(&thin), wide }
    }

    /// Adds what was in the call itself, and what is not drawn above it.
    fn add_call(&mut self, call: &Call, above: &Above, is_top: bool) -> Option<()> {
        self.add(Some(call), None, call.total - above.of_wide - above.of_thin)?;
        self.add(Some(call), Some(THIN), above.of_thin)?;
        self.add(Some(call), Some(HIGHER), if is_top { above.of_wide } else { 0 })
    }

    fn add(&mut self, call: Option<&Call>, others: Option<&str>, count: u64) -> Option<()> {
        if count == 0 {
            return Some(());
        }
        let mut line = call.map_or_else(String::new, |call| self.path(call));
        if let Some(others) = others {
            line += if line.is_empty() { "" } else { ";" };
            line += &self.frames.of_others(others);
        }
        line += &format!(" {count}");
        self.room = self.room.checked_sub(line.len())?;
        self.lines.push(line);
        Some(())
    }

    /// From the thread to the call.
    fn path(&mut self, call: &Call) -> String {
        let frames = self.tree.path(call).map(|what| match what {
            What::Thread(name) => self.frames.of_thread(name),
            What::Function(number) => self.frames.of_function(number),
        });
        frames.collect::<Vec<_>>().join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::profile::files::tests::Made;

    fn lines(stacks: &[(&[u8], &[&str], u64)], least: u64) -> Vec<String> {
        let made = Made::new("", stacks);
        let sampled = made.sampled();
        let tree = Tree::new(sampled.in_order().into_iter());
        let mut frames = Frames::new(sampled.functions);
        let mut lines = Lines::of(&tree, &mut frames, sampled.all(), least).unwrap();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn what_is_thin_is_one() {
        let stacks: [(&[u8], &[&str], u64); 6] = [
            (b"sh", &["main"], 10),
            (b"sh", &["main", "wide"], 90),
            (b"sh", &["main", "thin", "x"], 2),
            (b"sh", &["main", "thinner"], 1),
            (b"a", &["main"], 2),
            (b"b", &["main"], 2),
        ];
        let expected = [
            "[thin calls]_[w] 4",
            "sh_[w];main_[i] 10",
            "sh_[w];main_[i];[thin calls]_[w] 3",
            "sh_[w];main_[i];wide_[i] 90",
        ];
        assert_eq!(lines(&stacks, 3), expected);
        assert_eq!(lines(&stacks, 1).len(), 6);
    }

    #[test]
    fn what_is_high_and_thin_is_no_tower() {
        let high = ["f"; 127];
        let deepest = |count| {
            let stacks: [(&[u8], &[&str], u64); 2] =
                [(b"sh", &["main"], 1000 - count), (b"sh", &high, count)];
            let lines = lines(&stacks, 1);
            let deepest = lines.iter().max_by_key(|line| line.matches(';').count()).unwrap();
            (deepest.matches(';').count(), deepest.contains(HIGHER))
        };
        assert_eq!(deepest(19), (25, true));
        assert_eq!(deepest(20), (65, true));
        assert_eq!(deepest(99), (65, true));
        assert_eq!(deepest(100), (127, false));
    }

    #[test]
    fn too_much_is_left_to_others() {
        let name = "x".repeat(500);
        let stacks = (0..3000_u32).map(|i| (i.to_string().into_bytes(), [name.as_str(); 60]));
        let stacks = stacks.collect::<Vec<_>>();
        let stacks = stacks.iter().map(|(comm, stack)| (&comm[..], &stack[..], 1));
        let made = Made::new("", &stacks.collect::<Vec<_>>());
        let sampled = made.sampled();
        let tree = Tree::new(sampled.in_order().into_iter());
        let mut frames = Frames::new(sampled.functions);
        assert!(Lines::of(&tree, &mut frames, 3000, 1).is_none());
        let lines = Lines::of(&tree, &mut frames, 3000, 2).unwrap();
        assert_eq!(lines, ["[thin calls]_[w] 3000"]);
    }
}
