//! The texts of /proc. Names in them have any bytes, so these readers take whatever comes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// The parent in /proc/PID/stat: the second word after the name, which is in parentheses and may
/// have any bytes in it.
pub fn parent(stat: &[u8]) -> Option<u32> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The value behind `key` in /proc/PID/status.
pub fn status<'s>(status: &'s [u8], key: &str) -> Option<&'s str> {
    let value = |line: &'s [u8]| line.strip_prefix(key.as_bytes())?.strip_prefix(b":");
    let found = status.split(|&byte| byte == b'\n').find_map(value)?;
    std::str::from_utf8(found).ok().map(str::trim)
}

/// A mapped file in /proc/PID/maps whose name begins with `library`: the addresses, as in
/// /proc/PID/map_files, and the path as it stands there.
pub fn mapped<'m>(maps: &'m [u8], library: &str) -> Option<(&'m str, &'m [u8])> {
    maps.split(|&byte| byte == b'\n').find_map(|line| {
        let (head, path) = line.split_at(line.iter().position(|&byte| byte == b'/')?);
        let addresses = std::str::from_utf8(head.split(|&byte| byte == b' ').next()?).ok()?;
        let name = path.rsplit(|&byte| byte == b'/').next()?;
        name.starts_with(library.as_bytes()).then_some((addresses, path))
    })
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

/// The paths of all files that are mapped to be run, each once.
pub fn mapped_files(maps: &[u8]) -> Vec<&str> {
    let mut paths = Vec::new();
    for line in maps.split(|&byte| byte == b'\n') {
        let at = line.iter().position(|&byte| byte == b'/').unwrap_or(line.len());
        let (head, path) = line.split_at(at);
        let runs = head.split(|&byte| byte == b' ').nth(1).is_some_and(|mode| mode.contains(&b'x'));
        let Ok(path) = std::str::from_utf8(path) else { continue };
        if runs && !path.is_empty() && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Where the first file system of type `kind` in /proc/PID/mounts is mounted.
pub fn mount_point(mounts: &[u8], kind: &str) -> Option<PathBuf> {
    mounts.split(|&byte| byte == b'\n').find_map(|line| {
        let mut words = line.split(|&byte| byte == b' ').skip(1);
        let (dir, found) = (words.next()?, words.next()?);
        (found == kind.as_bytes()).then(|| PathBuf::from(OsString::from_vec(unescape(dir))))
    })
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
    fn finds_the_library_that_is_mapped() {
        let maps = b"7f00-7f01 r-xp 00000000 fe:00 12  /lib/libc.so.6\n\
                     7f02-7f03 r-xp 00000000 fe:00 13  /usr/lib/libreadline.so.8.2\n";
        let found = Some(("7f02-7f03", &b"/usr/lib/libreadline.so.8.2"[..]));
        assert_eq!(mapped(maps, "libreadline.so"), found);
        assert_eq!(mapped(b"7f0-7f1 r-xp 0 fe:0 1 /lib/libreadline.so/x\n\n", "libreadline"), None);
    }

    #[test]
    fn knows_newlines_in_paths() {
        assert_eq!(without_escapes(br"/a\012b\013\"), b"/a\nb\\013\\");
    }

    #[test]
    fn lists_what_is_mapped_to_be_run() {
        let maps = b"7f00-7f01 r--p 0 fe:00 12 /bin/a b\n7f01-7f02 r-xp 0 fe:00 12 /bin/a b\n\
                     7f02-7f03 r-xp 0 00:00 0 [vdso]\n7f04-7f05 rw-p 0 fe:00 14 /lib/c\n";
        assert_eq!(mapped_files(maps), ["/bin/a b"]);
    }

    #[test]
    fn finds_the_mount() {
        let mounts = b"tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup2 /a\\040b\\9 cgroup2 rw 0 0\n";
        assert_eq!(mount_point(mounts, "cgroup2"), Some("/a b\\9".into()));
        assert_eq!(mount_point(b"nonsense\n\n", "cgroup2"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(text: Vec<u8>) {
            let _ = (parent(&text), mapped(&text, "lib"), mount_point(&text, "x"));
            let _ = (mapped_files(&text), status(&text, "Tgid"));
        }
    }
}
