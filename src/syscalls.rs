//! Names of system calls, from the list that the crate `syscalls` keeps.

/// The name of a system call of this architecture; `compat`: of a 32-bit caller.
pub(crate) fn name(number: u64, compat: bool) -> Option<&'static str> {
    let number = usize::try_from(number).ok()?;
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
    }
}
