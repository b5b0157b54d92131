//! `--by`: samples grouped by fields of the task, and by the function that ran.

use std::collections::{HashMap, HashSet};

use crate::bpf::shared::types::collect;
use crate::record::Header;
use crate::run::task_key::{FunctionField as By, TaskField, TaskKey, TaskKeys};

/// The most groups of an interval.
const GROUPS_MAX: usize = 65_536;

/// A task's field, and a function by its number.
type Key = (TaskKey, Option<u32>);

/// Samples in a function itself, and in it and in what it called; of a task, both are all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) count: u64,
    pub(super) total: u64,
}

/// The groups of an interval.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) tasks: TaskKeys,
    by_function: bool,
    sums: HashMap<Key, Sums>,
}

impl Groups {
    /// `None` where there is nothing to group by.
    pub(super) fn by(by: &[By]) -> Option<Self> {
        let tasks = || TaskKeys::by(by.iter().filter_map(|by| by.field()));
        (!by.is_empty()).then(|| Self {
            tasks: tasks(),
            by_function: by.contains(&By::Function),
            sums: HashMap::new(),
        })
    }

    /// Bits of `enum collect`: what it needs of a sample.
    pub(super) fn collect(&self) -> u32 {
        let has = |field, bits: collect| if self.tasks.has(field) { bits.0 } else { 0 };
        let cgroup = [TaskField::Cgroup, TaskField::Container];
        has(TaskField::Uid, collect::COLLECT_UID)
            | cgroup.iter().fold(0, |bits, field| bits | has(*field, collect::COLLECT_CGROUP))
    }

    /// Adds a sample, whose stack goes from the first call to the last; false if there is no room.
    pub(super) fn add(&mut self, header: &Header, stack: &[u32]) -> bool {
        let task = self.tasks.key_of(header);
        if !self.by_function {
            return self.add_to((task, None), 1, 1);
        }
        let Some(&last) = stack.last() else { return false };
        // Without a row of its own, a sample is nowhere.
        let has_room = self.add_to((task.clone(), Some(last)), 1, 1);
        let above = stack.iter().filter(|&&function| function != last).collect::<HashSet<_>>();
        for function in above.into_iter().filter(|_| has_room) {
            self.add_to((task.clone(), Some(*function)), 0, 1);
        }
        has_room
    }

    fn add_to(&mut self, key: Key, count: u64, total: u64) -> bool {
        if self.sums.len() >= GROUPS_MAX && !self.sums.contains_key(&key) {
            return false;
        }
        let sums = self.sums.entry(key).or_default();
        sums.count += count;
        sums.total += total;
        true
    }

    /// Those of the interval, which then are no more.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (Key, Sums)> + use<> {
        std::mem::take(&mut self.sums).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_in_one_group_itself() {
        let mut groups = Groups::by(&[By::Pid, By::Function]).unwrap();
        let header = |pid| Header { pid, ..Header::default() };
        for (pid, stack) in [(7, &[1, 2, 2][..]), (7, &[1]), (8, &[1, 2, 1])] {
            assert!(groups.add(&header(pid), stack));
        }
        let mut sums =
            groups.take().map(|((_, function), sums)| (function.unwrap(), sums.count, sums.total));
        let mut all = sums.by_ref().collect::<Vec<_>>();
        all.sort_unstable();
        assert_eq!(all, [(1, 1, 1), (1, 1, 2), (2, 0, 1), (2, 1, 1)]);
        assert_eq!(groups.take().count(), 0);
    }

    #[test]
    fn there_is_room_for_so_many_groups() {
        let mut groups = Groups::by(&[By::Pid]).unwrap();
        let mut add = |pid| groups.add(&Header { pid, ..Header::default() }, &[]);
        assert!((1..=GROUPS_MAX as u32).all(&mut add));
        assert!(!add(GROUPS_MAX as u32 + 1));
        assert!(add(1));
    }
}
