//! Names of system calls, from the list that the crate `syscalls` keeps.
//!
//! Its later versions, from 0.7.0 on, take a compiler that Debian 13 has not (`is_multiple_of`): what
//! they know more is here.

use std::collections::BTreeSet;

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

/// No call has this number, nor one above it.
const NUMBERS_END: u64 = 511;

/// A call's numbers: for callers of this architecture, and for 32-bit ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) own: Option<u64>,
    pub(crate) compat: Option<u64>,
}

/// Those of the call that has this name, or this number here.
///
/// # Errors
///
/// When there is none.
pub(crate) fn numbers(text: &str) -> Result<Numbers, String> {
    let number = text.parse().ok().filter(|number| *number < NUMBERS_END);
    let name_here = number.and_then(|number| name(number, false)).unwrap_or(text);
    let of = |compat| (0..NUMBERS_END).find(|&number| name(number, compat) == Some(name_here));
    let numbers = Numbers { own: of(false).or(number), compat: of(true) };
    if numbers.own.or(numbers.compat).is_some() {
        return Ok(numbers);
    }
    Err("there is no such system call; --list names them".into())
}

/// The names of all calls, a line each.
pub(crate) fn list() -> String {
    let names = (0..NUMBERS_END).flat_map(|number| [name(number, false), name(number, true)]);
    let names = names.flatten().collect::<BTreeSet<_>>();
    names.into_iter().map(|name| format!("{name}\n")).collect()
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

    #[test]
    fn finds_calls() {
        for compat in [false, true] {
            for number in 0..NUMBERS_END {
                let Some(name) = name(number, compat) else { continue };
                let found = numbers(name).unwrap();
                assert_eq!(Some(number), if compat { found.compat } else { found.own }, "{name}");
            }
        }
        let getpid = nix::libc::SYS_getpid as u64;
        assert_eq!(numbers(&getpid.to_string()), numbers("getpid"));
        assert_eq!(numbers("510"), Ok(Numbers { own: Some(510), compat: None }));
        for text in ["", "getpidd", "511", "-1", "*"] {
            assert!(numbers(text).is_err(), "{text}");
        }
        assert!(list().contains("\ngetpid\n"));
    }
}
