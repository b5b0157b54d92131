//! What a process says of the code that it compiles: /tmp/perf-PID.map, a line `START SIZE NAME`
//! for each function, in hexadecimal. The process may write anything there, at any time.

use std::fs;
use std::io::Read as _;
use std::ops::Range;

use nix::fcntl::ResolveFlag;

use crate::system::foreign::{self, ForeignFile};
use crate::system::procfs;

/// The most that is read of it.
const BYTES_MAX: u64 = 32 << 20;
/// The most functions of it; those after them are left out.
const FUNCTIONS_MAX: usize = 1 << 19;

/// What it says, and the functions in it by where they begin.
#[derive(Debug, Default)]
pub(super) struct PerfMap {
    text: Vec<u8>,
    functions: Vec<Function>,
}

#[derive(Debug)]
struct Function {
    start: u64,
    size: u64,
    /// Where its name is in the text.
    name: Range<u32>,
}

impl PerfMap {
    /// Empty, where there is none.
    pub(super) fn read(pid: u32) -> Self {
        let mut text = Vec::new();
        if let Some(file) = open(pid) {
            // What could be read is better than nothing.
            let _ = file.reader(2 * BYTES_MAX).take(BYTES_MAX).read_to_end(&mut text);
        }
        Self::parse(text)
    }

    /// Any bytes; lines that are none are left out.
    pub(super) fn parse(text: Vec<u8>) -> Self {
        let mut end = 0;
        let function = |line: &[u8]| {
            end += line.len() + 1;
            let mut words = line.splitn(3, |&byte| byte == b' ');
            let mut number = || {
                let word = std::str::from_utf8(words.next()?).ok()?;
                u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()
            };
            let (start, size) = (number()?, number()?);
            let name_end = u32::try_from(end - 1).ok()?;
            let name_start = name_end - u32::try_from(words.next()?.len()).ok()?;
            Some(Function { start, size, name: name_start..name_end })
        };
        let lines = text.split(|&byte| byte == b'\n');
        let mut functions = lines.filter_map(function).take(FUNCTIONS_MAX).collect::<Vec<_>>();
        // Of those that begin at the same place, the last one is there now.
        functions.reverse();
        functions.sort_by_key(|function| function.start);
        functions.dedup_by_key(|function| function.start);
        Self { text, functions }
    }

    /// The function that an address is in.
    pub(super) fn name_of(&self, address: u64) -> Option<&[u8]> {
        let behind = self.functions.partition_point(|function| function.start <= address);
        let Function { start, size, name } = self.functions.get(behind.checked_sub(1)?)?;
        let name = self.text.get(name.start as usize..name.end as usize)?;
        (address - start < *size).then_some(name)
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.functions.capacity() * size_of::<Function>()
    }
}

/// In the process's own /tmp, by its own number: a link there leads to no place outside of its
/// root. As perf has it, what does not belong to the process's user or to root is not believed.
fn open(pid: u32) -> Option<ForeignFile> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let own = procfs::status(&status, "NSpid")?.split_whitespace().next_back()?;
    let user = procfs::status(&status, "Uid")?.split_whitespace().nth(1)?.parse::<u32>().ok()?;
    let (root, path) = (format!("/proc/{pid}/root"), format!("tmp/perf-{own}.map"));
    foreign::open_below(&root, path.as_bytes(), ResolveFlag::RESOLVE_IN_ROOT, &[0, user])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_names() {
        let map = PerfMap::parse(
            b"1000 10 old\n0x2000 20 LazyCompile:~f a.js:1\nnonsense\n1000 10 new".to_vec(),
        );
        assert_eq!(map.name_of(0x1000), Some(&b"new"[..]));
        assert_eq!(map.name_of(0x100f), Some(&b"new"[..]));
        assert_eq!(map.name_of(0x1010), None);
        assert_eq!(map.name_of(0x201f), Some(&b"LazyCompile:~f a.js:1"[..]));
        assert_eq!(map.name_of(0), None);
    }

    #[test]
    fn takes_bounded_memory() {
        let map = PerfMap::parse(b"1 1 a\n".repeat(2 * FUNCTIONS_MAX));
        assert!(map.bytes() < 64 << 20, "{}", map.bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(text: Vec<u8>, address: u64) {
            PerfMap::parse(text).name_of(address);
        }
    }
}
