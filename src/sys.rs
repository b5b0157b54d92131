//! The few system calls that no crate wraps safely. The only hand-written unsafe code.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use libbpf_rs::libbpf_sys::{bpf_obj_get_info_by_fd, bpf_prog_info};
use nix::sys::signal::{SigHandler, Signal, signal};

/// How often the kernel skipped a program because it was running already on that CPU.
/// Kernels before 5.12 do not count it: 0.
pub(crate) fn recursion_misses(program: BorrowedFd<'_>) -> u64 {
    let mut info = bpf_prog_info::default();
    let mut size = u32::try_from(size_of::<bpf_prog_info>()).unwrap_or(0);
    // SAFETY: `info` is valid for `size` bytes, and with its pointers and counts of arrays all
    // zero the kernel writes nothing beyond it.
    let failed = unsafe {
        bpf_obj_get_info_by_fd(program.as_raw_fd(), (&raw mut info).cast(), &raw mut size)
    };
    if failed == 0 { info.recursion_misses } else { 0 }
}

/// Ignores `which` from now on.
pub(crate) fn ignore(which: Signal) -> nix::Result<()> {
    // SAFETY: SIG_IGN runs no code of ours, so nothing in it can be unsafe in a signal handler.
    unsafe { signal(which, SigHandler::SigIgn) }.map(drop)
}

/// The bytes of a value that has no padding.
pub(crate) fn bytes_of<T: plain::Plain>(value: &T) -> &[u8] {
    // SAFETY: the types that are Plain here have no padding (shared.bpf.h), so all their bytes
    // are initialised, and the slice lives as long as the value.
    unsafe { plain::as_bytes(value) }
}
