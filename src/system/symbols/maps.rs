//! What a process has mapped to be run, as /proc/PID/maps has it. A process may have a million
//! mappings, with long names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::ops::Range;

use crate::system::procfs;

/// The most that is read of it: for a hundred thousand mappings of libraries.
const BYTES_MAX: u64 = 16 << 20;
/// The most mappings that are kept.
const MAPPINGS_MAX: usize = 1 << 15;
/// The most bytes of names that are kept.
const NAMES_MAX: usize = 1 << 20;

/// The mappings that may be run, in the order of their addresses.
#[derive(Debug, Default)]
pub(super) struct Maps {
    mappings: Vec<Mapping>,
    names: Vec<u8>,
    /// There was more than is kept.
    is_cut: bool,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mapping {
    pub(super) addresses: Range<u64>,
    /// Where it begins in its file.
    pub(super) offset: u64,
    name: Range<u32>,
}

impl Maps {
    /// `None` if there is no such process any more, or it is closed to us.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let file = File::open(format!("/proc/{pid}/maps")).ok()?;
        let mut maps = Self::default();
        maps.read(BufReader::new(file.take(BYTES_MAX))).ok()?;
        Some(maps)
    }

    /// Adds what any bytes say.
    pub(super) fn read(&mut self, mut text: impl BufRead) -> io::Result<()> {
        let (mut line, mut len) = (Vec::new(), 0);
        while text.read_until(b'\n', &mut line)? > 0 {
            len += line.len() as u64;
            self.add(line.trim_ascii_end());
            line.clear();
        }
        self.is_cut |= len >= BYTES_MAX;
        self.mappings.sort_by_key(|mapping| mapping.addresses.start);
        Ok(())
    }

    /// `7f00-7f01 r-xp 00001000 fe:00 12  /lib/libc.so.6`
    fn add(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line.splitn(6, |&byte| byte == b' ');
        let mut word = || words.next().and_then(|word| std::str::from_utf8(word).ok());
        let (from, to) = word()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let addresses = number(from)?..number(to)?;
        if !word()?.contains('x') {
            return None;
        }
        let offset = number(word()?)?;
        let name = procfs::without_escapes(words.nth(2).unwrap_or_default().trim_ascii_start());
        if self.mappings.len() >= MAPPINGS_MAX || self.names.len() + name.len() > NAMES_MAX {
            self.is_cut = true;
            return None;
        }
        let start = u32::try_from(self.names.len()).ok()?;
        self.names.extend_from_slice(&name);
        let name = start..u32::try_from(self.names.len()).ok()?;
        self.mappings.push(Mapping { addresses, offset, name });
        Some(())
    }

    /// The number of the mapping that has an address, and the mapping.
    pub(super) fn at(&self, address: u64) -> Option<(usize, &Mapping)> {
        let after = self.mappings.partition_point(|mapping| mapping.addresses.start <= address);
        let index = after.checked_sub(1)?;
        let mapping = &self.mappings[index];
        mapping.addresses.contains(&address).then_some((index, mapping))
    }

    /// The path of its file, or something like `[vdso]`; empty for memory of no file.
    pub(super) fn name(&self, mapping: &Mapping) -> &[u8] {
        let Range { start, end } = mapping.name;
        self.names.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Where something with a name of its own is, like `[vdso]`.
    pub(super) fn named(&self, name: &[u8]) -> Option<Range<u64>> {
        let found = self.mappings.iter().find(|mapping| self.name(mapping) == name);
        found.map(|mapping| mapping.addresses.clone())
    }

    /// Is what is not in it known not to be run?
    pub(super) fn is_whole(&self) -> bool {
        !self.is_cut
    }

    /// The memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.mappings.capacity() * size_of::<Mapping>() + self.names.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn maps(text: &[u8]) -> Maps {
        let mut maps = Maps::default();
        maps.read(text).unwrap();
        maps
    }

    #[test]
    fn keeps_what_may_be_run() {
        let maps = maps(
            b"7f00-7f10 r--p 00000000 fe:00 12         /lib/a b\\012c\n\
              7f10-7f20 r-xp 00001000 fe:00 12         /lib/a b\\012c\n\
              7f20-7f30 rwxp 00000000 00:00 0 \n\
              7f30-7f40 rw-p 00000000 00:00 0          [stack]\n\
              7f50-7f60 r-xp 00000000 00:00 0          [vdso]\n",
        );
        let at = |address| maps.at(address).map(|(_, found)| (found.offset, maps.name(found)));
        assert_eq!(at(0x7f0f), None);
        assert_eq!(at(0x7f10), Some((0x1000, &b"/lib/a b\nc"[..])));
        assert_eq!(at(0x7f2f), Some((0, &b""[..])));
        assert_eq!(at(0x7f30), None);
        assert_eq!(at(0x7f50), Some((0, &b"[vdso]"[..])));
        assert_eq!(at(0x7f60), None);
        assert!(maps.is_whole());
    }

    #[test]
    fn takes_bounded_memory() {
        let mut text = Vec::new();
        for i in 0..2 * MAPPINGS_MAX {
            text.extend(format!("{i:x}-{:x} r-xp 0 0:0 0 /{}\n", i + 1, "x".repeat(200)).bytes());
        }
        let maps = maps(&text);
        assert!(!maps.is_whole() && maps.memory() < 8 << 20, "{}", maps.memory());
    }

    #[test]
    fn reads_its_own() {
        let maps = Maps::of(std::process::id()).unwrap();
        let here = reads_its_own as fn() as usize as u64;
        let (_, mapping) = maps.at(here).unwrap();
        assert!(maps.name(mapping).starts_with(b"/"));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(text: Vec<u8>, address: u64) {
            maps(&text).at(address);
        }
    }
}
