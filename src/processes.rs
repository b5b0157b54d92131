//! What /proc says of processes. They come and go: whatever cannot be read is passed over.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt as _;

/// The number of the host's PID namespace: `PROC_PID_INIT_INO` in include/linux/proc_ns.h.
const HOST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Device and number of the PID namespace that this process is in; `None` in the host's.
pub(crate) fn own_pid_namespace() -> Option<(u64, u64)> {
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?;
    (namespace.ino() != HOST_PID_NAMESPACE).then(|| (kernel_dev(namespace.dev()), namespace.ino()))
}

/// A device's number as the kernel keeps it, of major and minor.
fn kernel_dev(dev: u64) -> u64 {
    let (major, minor) = (nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
    major << 20 | minor
}

/// Every process's number.
pub(crate) fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What descends from `pids`, without these themselves.
pub(crate) fn descendants(pids: &[NonZeroU32]) -> Vec<u32> {
    let parents = all().filter_map(|pid| {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parent_in(&stat)?))
    });
    let parents = parents.collect::<HashMap<_, _>>();
    let descends = |&pid: &u32| {
        let up = std::iter::successors(parents.get(&pid), |parent| parents.get(parent));
        // A number may be used again while /proc is read: then there may be a circle.
        up.take(parents.len()).any(|parent| pids.iter().any(|pid| pid.get() == *parent))
    };
    parents.keys().copied().filter(descends).collect()
}

/// The parent in /proc/PID/stat: the second word after the name, which is in parentheses and may have
/// any bytes in it.
pub(crate) fn parent_in(stat: &[u8]) -> Option<u32> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_parent() {
        assert_eq!(parent_in(b"12 (a) b) S 34 12 12"), Some(34));
        assert_eq!(parent_in(b"12 (\xff) S 34"), Some(34));
        for broken in [&b""[..], b"12", b"12 (a", b"12 (a)", b"12 (a) S", b"12 (a) S x"] {
            assert_eq!(parent_in(broken), None);
        }
    }

    #[test]
    fn finds_descendants() {
        let parent = NonZeroU32::new(std::os::unix::process::parent_id());
        if let Some(parent) = parent {
            assert!(descendants(&[parent]).contains(&std::process::id()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_parent_or_none(stat: Vec<u8>) {
            let _ = parent_in(&stat);
        }
    }
}
