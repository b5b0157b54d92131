//! Names of system calls, from the list that the crate `syscalls` keeps.
//!
//! Its later versions, from 0.7.0 on, take a compiler that Debian 13 has not (`is_multiple_of`): what
//! they know more is here.

/// Calls that have the same number for all architectures, since Linux 6.10.
const NEWER: [&str; 8] = [
    "mseal",
    "setxattrat",
    "getxattrat",
    "listxattrat",
    "removexattrat",
    "open_tree_attr",
    "file_getattr",
    "file_setattr",
];
const FIRST_NEWER: usize = 462;

/// The name of a system call of this architecture; `compat`: of a 32-bit caller.
pub(crate) fn name(number: u64, compat: bool) -> Option<&'static str> {
    let number = usize::try_from(number).ok()?;
    if let Some(name) = number.checked_sub(FIRST_NEWER).and_then(|at| NEWER.get(at)) {
        return Some(name);
    }
    match number {
        335 if cfg!(target_arch = "x86_64") && !compat => return Some("uretprobe"),
        336 if cfg!(target_arch = "x86_64") && !compat => return Some("uprobe"),
        84 if cfg!(target_arch = "aarch64") && !compat => return Some("sync_file_range"),
        _ => {}
    }
    #[cfg(target_arch = "x86_64")]
    return if compat {
        syscalls::x86::Sysno::new(number).map(|call| call.name())
    } else {
        syscalls::x86_64::Sysno::new(number).map(|call| call.name())
    };
    #[cfg(target_arch = "aarch64")]
    return if compat {
        syscalls::arm::Sysno::new(number).map(|call| call.name())
    } else {
        syscalls::aarch64::Sysno::new(number).map(|call| call.name())
    };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_calls() {
        let getpid = nix::libc::SYS_getpid as u64;
        assert_eq!(name(getpid, false), Some("getpid"));
        assert_eq!(name(1, true), Some("exit"));
        assert_eq!(name(u64::MAX, false), None);
        for compat in [false, true] {
            let newest = [461, 462, 469, 470].map(|number| name(number, compat));
            assert_eq!(
                newest,
                [Some("lsm_list_modules"), Some("mseal"), Some("file_setattr"), None]
            );
        }
    }
}
