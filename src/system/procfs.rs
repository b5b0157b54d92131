//! The texts of /proc. Names in them have any bytes, so these readers take whatever comes.

use std::ffi::OsString;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// The parent in /proc/PID/stat: the second word after the name, which is in parentheses and may
/// have any bytes in it.
pub fn parent(stat: &[u8]) -> Option<u32> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The value after `key` in /proc/PID/status.
pub fn status<'s>(status: &'s [u8], key: &str) -> Option<&'s str> {
    let value = |line: &'s [u8]| line.strip_prefix(key.as_bytes())?.strip_prefix(b":");
    let found = status.split(|&byte| byte == b'\n').find_map(value)?;
    std::str::from_utf8(found).ok().map(str::trim)
}

/// A file that is mapped, as /proc/PID/maps has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mapping<'m> {
    /// The name of the link in /proc/PID/map_files that opens the very file.
    pub addresses: &'m str,
    /// May be run.
    pub is_run: bool,
    /// Device and number.
    pub file: (&'m [u8], &'m [u8]),
    /// Where it is, or was, seen from here: not to be opened, it may be another by now.
    pub path: &'m [u8],
}

impl<'m> Mapping<'m> {
    fn of(line: &'m [u8]) -> Option<Self> {
        let mut words = line.splitn(6, |&byte| byte == b' ');
        let addresses = std::str::from_utf8(words.next()?).ok()?;
        let is_run = words.next()?.contains(&b'x');
        let file = (words.nth(1)?, words.next()?);
        let path = words.next()?.trim_ascii_start();
        path.starts_with(b"/").then_some(Self { addresses, is_run, file, path })
    }

    /// The last part of its path.
    pub fn name(&self) -> &'m [u8] {
        self.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }
}

/// The most of /proc/PID/maps that is read: a process may have a million mappings with long names.
const MAPS_MAX: u64 = 64 << 20;

/// Calls `each` for the files in /proc/PID/maps, line by line.
///
/// # Errors
///
/// When it cannot be read, or is too long.
pub fn mappings(maps: impl BufRead, mut each: impl FnMut(Mapping<'_>)) -> io::Result<()> {
    let mut maps = maps.take(MAPS_MAX);
    let mut line = Vec::new();
    while maps.read_until(b'\n', &mut line)? > 0 {
        if let Some(mapping) = Mapping::of(line.trim_ascii_end()) {
            each(mapping);
        }
        line.clear();
    }
    if maps.limit() == 0 {
        return Err(io::Error::other("it has more mappings than are read"));
    }
    Ok(())
}

/// A path of /proc/PID/maps: a newline in it stands there as `\012`, and so may these characters.
pub fn without_escapes(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, behind)) = rest.split_first() {
        let newline = rest.strip_prefix(br"\012");
        out.push(if newline.is_some() { b'\n' } else { byte });
        rest = newline.unwrap_or(behind);
    }
    out
}

/// Where the first file system of type `kind` in /proc/PID/mounts is mounted.
pub fn mount_point(mounts: &[u8], kind: &str) -> Option<PathBuf> {
    mounts.split(|&byte| byte == b'\n').find_map(|line| {
        let mut words = line.split(|&byte| byte == b' ').skip(1);
        let (dir, found) = (words.next()?, words.next()?);
        (found == kind.as_bytes()).then(|| PathBuf::from(OsString::from_vec(unescape(dir))))
    })
}

/// The mounts in /proc/PID/mountinfo: the device of the file system, and where it is mounted.
pub fn mounts(mountinfo: &[u8]) -> Vec<(&[u8], PathBuf)> {
    let mount = |line| {
        let mut words = <[u8]>::split(line, |&byte| byte == b' ').skip(2);
        let (device, dir) = (words.next()?, words.nth(1)?);
        Some((device, PathBuf::from(OsString::from_vec(unescape(dir)))))
    };
    mountinfo.split(|&byte| byte == b'\n').filter_map(mount).collect()
}

/// Spaces and the like stand in a mount's path as a backslash and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match behind.get(..3).filter(|_| byte == b'\\').and_then(octal) {
            Some(byte) => {
                out.push(byte);
                rest = &behind[3..];
            }
            None => {
                out.push(byte);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_parent() {
        assert_eq!(parent(b"12 (a) b) S 34 12 12"), Some(34));
        assert_eq!(parent(b"12 (\xff) S 34"), Some(34));
        for broken in [&b""[..], b"12", b"12 (a", b"12 (a)", b"12 (a) S", b"12 (a) S x"] {
            assert_eq!(parent(broken), None);
        }
    }

    #[test]
    fn finds_what_a_status_says() {
        let text = b"Name:\t\xff\nTgid:\t12\nPid:\t13\nNSpid:\t13\t1\n";
        assert_eq!(status(text, "Tgid"), Some("12"));
        assert_eq!(status(text, "NSpid"), Some("13\t1"));
        assert_eq!(status(text, "Name"), None);
        assert_eq!(status(text, "Tgi"), None);
    }

    #[test]
    fn lists_what_is_mapped() {
        let maps = b"7f00-7f01 r-xp 00000000 fe:00 12      /lib/a b\n\
                     7f02-7f03 rw-p 00000000 00:00 0 [anon:/lib/c]\n7f02-7f03 r-xp 0 00:00 0\n\
                     7f04-7f05 r--p 00000000 fe:00 13 /usr/lib/c (deleted)\nnonsense\n";
        let mut found = Vec::new();
        let name = |mapping: Mapping<'_>| mapping.name().to_vec();
        mappings(&maps[..], |m| found.push((m.addresses.to_string(), m.is_run, name(m)))).unwrap();
        let expected = [("7f00-7f01", true, "a b"), ("7f04-7f05", false, "c (deleted)")];
        let expected = expected.map(|(at, is_run, name)| (at.into(), is_run, name.into()));
        assert_eq!(found, expected);
    }

    #[test]
    fn reads_no_endless_maps() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        assert!(mappings(&mut endless, |_| {}).is_err());
    }

    #[test]
    fn knows_newlines_in_paths() {
        assert_eq!(without_escapes(br"/a\012b\013\"), b"/a\nb\\013\\");
    }

    #[test]
    fn finds_the_mount() {
        let mounts = b"tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup2 /a\\040b\\9 cgroup2 rw 0 0\n";
        assert_eq!(mount_point(mounts, "cgroup2"), Some("/a b\\9".into()));
        assert_eq!(mount_point(b"nonsense\n\n", "cgroup2"), None);
        let mounts =
            super::mounts(b"24 1 0:22 / /a\\040b rw,noexec shared:7 - proc proc rw\n25 24 0:5\n");
        assert_eq!(mounts, [(&b"0:22"[..], "/a b".into())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(text: Vec<u8>) {
            let _ = (parent(&text), mount_point(&text, "x"), mounts(&text), status(&text, "Tgid"));
            prop_assert!(mappings(&text[..], |mapping| assert!(!mapping.path.is_empty())).is_ok());
        }
    }
}
