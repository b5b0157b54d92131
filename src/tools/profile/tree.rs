//! Calls below their callers.

use std::cmp::Reverse;
use std::ops::Range;

use super::Stack;

/// Stacks in order, so that those that begin with the same calls follow each other: however many
/// calls there are, a tree takes no more memory.
pub(super) struct Tree<'a>(Vec<(&'a Stack, u64)>);

/// A call: the stacks that go through it, and at which place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    stacks: Range<usize>,
    /// 0 for a thread's name.
    pub(super) depth: usize,
    pub(super) total: u64,
}

/// Who is called.
pub(super) enum What<'a> {
    Thread(&'a [u8]),
    Function(u32),
}

impl<'a> Tree<'a> {
    pub(super) fn new(stacks: impl Iterator<Item = (&'a Stack, u64)>) -> Self {
        let mut stacks = stacks.collect::<Vec<_>>();
        stacks.sort_unstable();
        Self(stacks)
    }

    /// The threads; the one with the most samples last.
    pub(super) fn roots(&self) -> Vec<Call> {
        self.split(0..self.0.len(), 0)
    }

    /// What a call has called; the one with the most samples last.
    pub(super) fn below(&self, call: &Call) -> Vec<Call> {
        self.split(call.stacks.clone(), call.depth + 1)
    }

    fn split(&self, stacks: Range<usize>, depth: usize) -> Vec<Call> {
        let mut calls = Vec::<Call>::new();
        for i in stacks {
            let ((comm, functions), count) = self.0[i];
            let is_same = |call: &Call| {
                let (other, others) = self.0[call.stacks.start].0;
                comm == other
                    && functions.get(..depth).map(<[u32]>::last)
                        == others.get(..depth).map(<[u32]>::last)
            };
            match calls.last_mut() {
                // It ended above.
                _ if functions.len() < depth => {}
                Some(call) if is_same(call) => {
                    call.stacks.end = i + 1;
                    call.total += count;
                }
                _ => calls.push(Call { stacks: i..i + 1, depth, total: count }),
            }
        }
        calls.sort_unstable_by_key(|call| (call.total, Reverse(call.stacks.start)));
        calls
    }

    pub(super) fn what(&self, call: &Call) -> What<'a> {
        let (comm, functions) = self.0[call.stacks.start].0;
        match call.depth.checked_sub(1) {
            Some(at) => What::Function(functions[at]),
            None => What::Thread(comm),
        }
    }

    /// The callers of a call, from the thread on, and it.
    #[cfg(feature = "svg")]
    pub(super) fn path(&self, call: &Call) -> impl Iterator<Item = What<'a>> {
        let (comm, functions) = self.0[call.stacks.start].0;
        let functions = functions[..call.depth].iter().map(|&number| What::Function(number));
        std::iter::once(What::Thread(comm)).chain(functions)
    }

    /// Samples in the call itself.
    pub(super) fn count(&self, call: &Call) -> u64 {
        let stacks = &self.0[call.stacks.clone()];
        let here = stacks.iter().filter(|((_, functions), _)| functions.len() == call.depth);
        here.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_sums_up() {
        let stack = |comm: &str, functions: &[u32]| (comm.as_bytes().to_vec(), functions.to_vec());
        let stacks = [
            (stack("sh", &[1, 2]), 3),
            (stack("sh", &[1, 2, 2]), 4),
            (stack("sh", &[1]), 1),
            (stack("sh", &[3, 2]), 2),
            (stack("ls", &[]), 9),
        ];
        let tree = Tree::new(stacks.iter().map(|(stack, count)| (stack, *count)));
        let mut lines = Vec::new();
        let mut waiting = tree.roots();
        while let Some(call) = waiting.pop() {
            lines.push((call.depth, call.total, tree.count(&call)));
            waiting.extend(tree.below(&call));
        }
        let of_sh = [(0, 10, 0), (1, 8, 1), (2, 7, 3), (3, 4, 4), (1, 2, 0), (2, 2, 2)];
        assert_eq!(lines, [&of_sh[..], &[(0, 9, 9)]].concat());
    }
}
