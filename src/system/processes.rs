//! What /proc says of processes. They come and go: whatever cannot be read is passed over.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU32;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::system::procfs;
use crate::system::sys;

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

/// A process, whoever else may get its number.
#[derive(Debug)]
pub(crate) struct Process(OwnedFd);

impl Process {
    /// The one that has this number now; `ESRCH` where none has.
    pub(crate) fn open(pid: u32) -> nix::Result<Self> {
        sys::pidfd_open(pid).map(Self)
    }

    /// Have all its threads ended? Its parent need not have waited for it.
    pub(crate) fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

/// The processes that have this name now.
pub(crate) fn named(name: &[u8]) -> impl Iterator<Item = u32> {
    all().filter(move |pid| {
        let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        comm.strip_suffix(b"\n") == Some(name)
    })
}

/// The process that `tid` is a thread of; its own number for the first one.
pub(crate) fn of_thread(tid: u32) -> Option<u32> {
    let status = fs::read(format!("/proc/{tid}/status")).ok()?;
    procfs::status(&status, "Tgid")?.parse().ok()
}

/// What descends from `pids`, without these themselves.
pub(crate) fn descendants(pids: &[NonZeroU32]) -> Vec<u32> {
    let parents = all().filter_map(|pid| {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, procfs::parent(&stat)?))
    });
    let parents = parents.collect::<HashMap<_, _>>();
    let descends = |&pid: &u32| {
        let up = std::iter::successors(parents.get(&pid), |parent| parents.get(parent));
        // A number may be used again while /proc is read: then there may be a circle.
        up.take(parents.len()).any(|parent| pids.iter().any(|pid| pid.get() == *parent))
    };
    parents.keys().copied().filter(descends).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use nix::errno::Errno;

    use super::*;

    #[test]
    fn knows_the_end_of_a_process() {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::open(cat.id()).unwrap();
        assert!(!process.has_ended());
        drop(cat.stdin.take());
        // Nobody has waited for it yet when it ends.
        while !process.has_ended() {}
        assert!(Process::open(cat.id()).unwrap().has_ended());
        cat.wait().unwrap();
        assert!(process.has_ended());
        assert_eq!(Process::open(i32::MAX as u32).unwrap_err(), Errno::ESRCH);
    }

    #[test]
    fn finds_descendants() {
        let parent = NonZeroU32::new(std::os::unix::process::parent_id());
        if let Some(parent) = parent {
            assert!(descendants(&[parent]).contains(&std::process::id()));
        }
    }
}
