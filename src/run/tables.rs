//! Tables that the kernel counts in, taken and emptied: the user side of tables.bpf.h.

use std::marker::PhantomData;
use std::os::fd::{AsFd as _, AsRawFd as _};

use libbpf_rs::{Map, MapCore as _, MapFlags, Object};
use nix::errno::Errno;
use plain::Plain;

use crate::bpf::object;
use crate::error::{Context as _, Error, Result};
use crate::system::kernel;
use crate::system::sys::{self, Batch};

/// Entries that are read at once, to begin with.
const BATCH: usize = 1024;
/// How often in a row the kernel may give nothing and want to be asked again.
const TRIES: u32 = 100;
const READING: &str = "reading counts";

/// Two tables that the kernel counts in by turns.
#[derive(Debug)]
pub(crate) struct Tables<'o, K, V> {
    in_use: Map<'o>,
    idle: Map<'o>,
    selector: Map<'o>,
    /// Not all of `in_use` was read when it was idle.
    is_rest_there: bool,
    entry: PhantomData<(K, V)>,
}

impl<'o, K: Plain + Default, V: Plain + Default> Tables<'o, K, V> {
    /// Those that `TABLES` of tables.bpf.h made with this name.
    pub(crate) fn of(object: &'o Object, name: &str) -> Result<Self> {
        let find = |suffix| object::map(object, &format!("{name}{suffix}"));
        let (in_use, idle, selector) = (find("_a")?, find("_b")?, find("")?);
        let sizes = (in_use.key_size() as usize, in_use.value_size() as usize);
        // What a key has beyond those in the tables is 0.
        if sizes.0 > size_of::<K>() || sizes.1 != size_of::<V>() {
            return Err(Error::new(READING, format!("{name} has entries of another size")));
        }
        Ok(Self { in_use, idle, selector, is_rest_there: false, entry: PhantomData })
    }

    /// Lets the kernel count in the other table, and gives `take` all that is in the one that it
    /// has left, which is empty then.
    ///
    /// # Errors
    ///
    /// When not all could be read. What could has been taken; what is left is read at the next
    /// turn, which must be the last: when nothing counts any more.
    pub(crate) fn turn(&mut self, mut take: impl FnMut(K, V)) -> Result<()> {
        let _undisturbed = kernel::undisturbed();
        let fd = self.idle.as_fd().as_raw_fd().to_ne_bytes();
        self.selector.update(&0u32.to_ne_bytes(), &fd, MapFlags::ANY).doing(READING)?;
        std::mem::swap(&mut self.in_use, &mut self.idle);
        let rest = if self.is_rest_there { read(&self.in_use, &mut take) } else { Ok(()) };
        let read = read(&self.idle, &mut take);
        self.is_rest_there = read.is_err();
        read.and(rest).doing(READING)
    }
}

/// Reads and deletes all entries.
fn read<K: Plain + Default, V: Plain + Default>(
    table: &Map<'_>,
    take: &mut impl FnMut(K, V),
) -> nix::Result<()> {
    let batch = |at: Option<&Vec<u8>>, room| {
        sys::lookup_and_delete_batch(table, at.map(Vec::as_slice), room)
    };
    let (key_size, value_size) = (table.key_size() as usize, size_of::<V>());
    let mut whole = Vec::new();
    let entry = |batch: &sys::Entries| {
        let keys = batch.keys.chunks_exact(key_size);
        keys.zip(batch.values.chunks_exact(value_size)).for_each(|(key, value)| {
            whole.clear();
            whole.extend_from_slice(key);
            whole.resize(size_of::<K>(), 0);
            take(typed(&whole), typed(value));
        });
    };
    empty(BATCH, table.max_entries() as usize, batch, entry)
}

/// Bytes of the kernel side as its type, which has their size.
pub(crate) fn typed<T: Plain + Default>(bytes: &[u8]) -> T {
    let mut value = T::default();
    let is_whole = value.copy_from_bytes(bytes).is_ok();
    debug_assert!(is_whole, "{} bytes are too few", bytes.len());
    value
}

/// An entry that has these bytes, and zeros after them: for the fuzzer.
pub(crate) fn entry_of<K: Plain + Default, V: Plain + Default>(bytes: &[u8]) -> (K, V) {
    let mut whole = bytes.to_vec();
    whole.resize(size_of::<K>() + size_of::<V>(), 0);
    let (key, value) = whole.split_at(size_of::<K>());
    (typed(key), typed(value))
}

/// Takes all entries of a table by batches. A batch may be shorter than the room for it, as the
/// kernel gives whole buckets only, so that one is the last only if the kernel says so (`ENOENT`);
/// for a bucket that does not fit it wants more room (`ENOSPC`). Entries come with errors too.
fn empty<P, E>(
    mut room: usize,
    most: usize,
    mut batch: impl FnMut(Option<&P>, usize) -> Batch<P, E>,
    mut take: impl FnMut(&E),
) -> nix::Result<()> {
    let (mut at, mut tries) = (None, 0);
    loop {
        let Batch { count, entries, next, outcome } = batch(at.as_ref(), room);
        tries += 1;
        if count > 0 {
            take(&entries);
            (at, tries) = (Some(next), 0);
        }
        match outcome {
            Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::ENOSPC) if room < most => room = (room * 2).min(most),
            // A bucket was locked by what this has interrupted.
            Ok(()) | Err(Errno::EBUSY | Errno::EINTR | Errno::EAGAIN) if tries < TRIES => {}
            Ok(()) => return Err(Errno::EBUSY),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A hash table as kernel/bpf/hashtab.c has it: whole buckets, and an error for the first one
    /// that does not fit.
    #[derive(Clone, Debug)]
    struct Table {
        buckets: Vec<Vec<u32>>,
        /// What else befalls the next calls: the bucket at which they end, and how.
        disturbed: Vec<(usize, Errno)>,
    }

    impl Table {
        fn batch(&mut self, at: Option<&usize>, room: usize) -> Batch<usize, Vec<u32>> {
            let mut next = at.copied().unwrap_or(0);
            let mut entries = Vec::new();
            let disturbed = self.disturbed.pop();
            let outcome = loop {
                let Some(bucket) = self.buckets.get_mut(next) else { break Err(Errno::ENOENT) };
                match disturbed {
                    Some((end, error)) if next >= end => break Err(error),
                    _ => {}
                }
                if bucket.len() > room - entries.len() {
                    break if entries.is_empty() { Err(Errno::ENOSPC) } else { Ok(()) };
                }
                entries.append(bucket);
                next += 1;
            };
            Batch { count: entries.len(), entries, next, outcome }
        }

        fn rest(&self) -> Vec<u32> {
            self.buckets.concat()
        }
    }

    fn taken(table: &mut Table, room: usize) -> (Vec<u32>, nix::Result<()>) {
        let most = table.rest().len();
        let mut taken = Vec::new();
        let batch = |at: Option<&usize>, room| table.batch(at, room);
        let outcome = empty(room, most, batch, |entries: &Vec<u32>| taken.extend(entries));
        (taken, outcome)
    }

    fn buckets() -> impl Strategy<Value = Vec<Vec<u32>>> {
        // The same key may come twice: nobody may take it for one that was there.
        prop::collection::vec(prop::collection::vec(0..50u32, 0..9), 0..40)
    }

    fn disturbances(errors: &'static [Errno]) -> impl Strategy<Value = Vec<(usize, Errno)>> {
        prop::collection::vec((0..40usize, prop::sample::select(errors)), 0..20)
    }

    #[test]
    fn gives_up_on_a_kernel_that_never_ends() {
        let never = |_: Option<&()>, _| Batch { count: 0, entries: (), next: (), outcome: Ok(()) };
        assert_eq!(empty(1, 1, never, |()| {}), Err(Errno::EBUSY));
    }

    proptest! {
        #[test]
        fn no_entry_is_left_or_taken_twice(
            buckets in buckets(),
            room in 1..20usize,
            disturbed in disturbances(&[Errno::EBUSY, Errno::EINTR, Errno::EAGAIN]),
        ) {
            let mut table = Table { buckets, disturbed };
            let mut all = table.rest();
            let (mut taken, outcome) = taken(&mut table, room);
            prop_assert_eq!(outcome, Ok(()));
            prop_assert!(table.rest().is_empty());
            all.sort_unstable();
            taken.sort_unstable();
            prop_assert_eq!(taken, all);
        }

        #[test]
        fn what_an_error_leaves_is_not_taken(
            buckets in buckets(),
            room in 1..20usize,
            disturbed in disturbances(&[Errno::EBUSY, Errno::ENOMEM, Errno::EPERM]),
        ) {
            let mut table = Table { buckets, disturbed };
            let mut all = table.rest();
            let (mut taken, outcome) = taken(&mut table, room);
            prop_assert!(outcome.is_err() || table.rest().is_empty());
            taken.extend(table.rest());
            all.sort_unstable();
            taken.sort_unstable();
            prop_assert_eq!(taken, all);
        }
    }
}
