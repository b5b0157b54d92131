//! What a process says of the code that it compiles: /tmp/perf-PID.map, a line `START SIZE NAME`
//! for each function, in hexadecimal. The process may write anything there, at any time.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc;

/// The most that is read of it.
const BYTES_MAX: u64 = 64 << 20;

/// Functions by where they begin: start, size, name.
#[derive(Debug, Default)]
pub(crate) struct PerfMap(Vec<(u64, u64, String)>);

impl PerfMap {
    /// Empty, where there is none.
    pub(crate) fn read(pid: u32) -> Self {
        let mut text = Vec::new();
        if let Some(file) = open(pid) {
            // What could be read is better than nothing.
            let _ = file.take(BYTES_MAX).read_to_end(&mut text);
        }
        Self::parse(&text)
    }

    /// Any bytes; lines that are none are left out.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let function = |line: &[u8]| {
            let mut words = line.splitn(3, |&byte| byte == b' ');
            let mut number = || {
                let word = std::str::from_utf8(words.next()?).ok()?;
                u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()
            };
            let (start, size) = (number()?, number()?);
            Some((start, size, String::from_utf8_lossy(words.next()?).into_owned()))
        };
        let mut functions =
            text.split(|&byte| byte == b'\n').filter_map(function).collect::<Vec<_>>();
        // Of those that begin at the same place, the last one is there now.
        functions.reverse();
        functions.sort_by_key(|(start, ..)| *start);
        functions.dedup_by_key(|(start, ..)| *start);
        Self(functions)
    }

    /// The function that an address is in.
    pub(crate) fn name_of(&self, address: u64) -> Option<&str> {
        let behind = self.0.partition_point(|(start, ..)| *start <= address);
        let (start, size, name) = self.0.get(behind.checked_sub(1)?)?;
        (address - start < *size).then_some(name)
    }
}

/// In the process's own /tmp, by its own number. Opening what is no regular file could take
/// forever.
fn open(pid: u32) -> Option<File> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let own = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let own = own.split_whitespace().next_back()?;
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY);
    let file = options.open(format!("/proc/{pid}/root/tmp/perf-{own}.map")).ok()?;
    file.metadata().is_ok_and(|data| data.is_file()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_names() {
        let map = PerfMap::parse(
            b"1000 10 old\n0x2000 20 LazyCompile:~f a.js:1\nnonsense\n1000 10 new\n",
        );
        assert_eq!(map.name_of(0x1000), Some("new"));
        assert_eq!(map.name_of(0x100f), Some("new"));
        assert_eq!(map.name_of(0x1010), None);
        assert_eq!(map.name_of(0x201f), Some("LazyCompile:~f a.js:1"));
        assert_eq!(map.name_of(0), None);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(text: Vec<u8>, address: u64) {
            PerfMap::parse(&text).name_of(address);
        }
    }
}
