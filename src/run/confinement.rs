//! What a tool that runs never asks the kernel for, and may not: a seccomp filter. Root without
//! capabilities still owns root's files and may talk to root's services, and whoever took over a
//! tool by what it reads would. What is refused is `EPERM`: no run ends by it.
//!
//! A list of what is refused, not of what is allowed: the C library, and libraries beside it, may
//! take other calls tomorrow for what they do.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::MaskedEq;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule,
};

macro_rules! calls {
    ($($call:ident)*) => { &[$(libc::$call),*] };
}

/// Never called while a tool runs, whatever the arguments are.
const REFUSED: &[libc::c_long] = calls! {
    // Programs, and other processes.
    SYS_execve SYS_execveat SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_getfd
    // What io_uring does is filtered by nothing.
    SYS_io_uring_setup
    // Files: their owners, modes, attributes.
    SYS_mkdirat SYS_mknodat SYS_linkat SYS_symlinkat SYS_fchmod SYS_fchmodat SYS_fchown
    SYS_fchownat SYS_truncate SYS_utimensat SYS_setxattr SYS_lsetxattr SYS_fsetxattr
    SYS_removexattr SYS_lremovexattr SYS_fremovexattr
    // The system.
    SYS_mount SYS_umount2 SYS_move_mount SYS_open_tree SYS_fsopen SYS_fsmount SYS_mount_setattr
    SYS_pivot_root SYS_chroot SYS_unshare SYS_setns SYS_init_module SYS_finit_module
    SYS_delete_module SYS_kexec_load SYS_add_key SYS_request_key SYS_keyctl
    SYS_userfaultfd
};

/// What the supervisor of `serve` alone does: it talks to systemd, and gives files other names.
const SUPERVISING: &[libc::c_long] = calls! {
    SYS_connect SYS_unlinkat SYS_renameat SYS_renameat2
};

/// The same, which not every C library has a name for: fchmodat2, and kexec_file_load.
const REFUSED_BY_NUMBER: [libc::c_long; 2] =
    [452, if cfg!(target_arch = "x86_64") { 320 } else { 294 }];

/// The older ones of x86-64.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = calls! {
    SYS_creat SYS_mkdir SYS_mknod SYS_rmdir SYS_link SYS_symlink SYS_chmod SYS_chown SYS_lchown
    SYS_utime SYS_utimes SYS_futimesat
};
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];
#[cfg(target_arch = "x86_64")]
const OLDER_SUPERVISING: &[libc::c_long] = calls! { SYS_unlink SYS_rename };
#[cfg(not(target_arch = "x86_64"))]
const OLDER_SUPERVISING: &[libc::c_long] = &[];

/// Calls that open a file, and which argument says how.
#[cfg(target_arch = "x86_64")]
const OPENS: [(libc::c_long, u8); 3] =
    [(libc::SYS_openat, 2), (libc::SYS_open_by_handle_at, 2), (libc::SYS_open, 1)];
#[cfg(not(target_arch = "x86_64"))]
const OPENS: [(libc::c_long, u8); 2] = [(libc::SYS_openat, 2), (libc::SYS_open_by_handle_at, 2)];

/// The kernel's `O_ACCMODE`; musl's has `O_PATH` in it.
const ACCESS: libc::c_int = 3;

/// What opens a file for anything else than reading: bits, and which of them.
const WRITES: [(libc::c_int, libc::c_int); 5] = [
    (ACCESS, libc::O_WRONLY),
    (ACCESS, libc::O_RDWR),
    (ACCESS, ACCESS),
    (libc::O_CREAT, libc::O_CREAT),
    (libc::O_TRUNC, libc::O_TRUNC),
];

/// What a thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Work {
    /// It reads what the kernel tells.
    #[default]
    Reading,
    /// It opens files of processes too: by openat2, which keeps within a process's root.
    OpeningFiles,
    /// It looks after tools and their files.
    Supervising,
}

/// Refuses all else to this thread, and to those that it starts. A kernel that was built without
/// seccomp goes on without: it is the second wall, not the first.
pub(crate) fn confine(work: Work) {
    if let Ok(program) = program(work) {
        let _ = seccompiler::apply_filter(&program);
    }
}

fn program(work: Work) -> Result<BpfProgram, BackendError> {
    // It says in memory how it opens, where a filter cannot look.
    let openat2: &[_] = if work == Work::OpeningFiles { &[] } else { &[libc::SYS_openat2] };
    let (supervising, older, opens): (&[_], &[_], &[_]) = match work {
        Work::Supervising => (&[], &[], &[]),
        Work::Reading | Work::OpeningFiles => (SUPERVISING, OLDER_SUPERVISING, &OPENS),
    };
    let refused = [REFUSED, &REFUSED_BY_NUMBER, OLDER, openat2, supervising, older]
        .concat()
        .into_iter()
        .map(|call| (call, Vec::new()));
    let mut rules = refused.collect::<BTreeMap<_, _>>();
    for &(call, argument) in opens {
        let rule = |(mask, bits): (libc::c_int, libc::c_int)| {
            let (mask, bits) = (MaskedEq(mask as u64), bits as u64);
            let condition = SeccompCondition::new(argument, Dword, mask, bits)?;
            SeccompRule::new(vec![condition])
        };
        rules.insert(call, WRITES.into_iter().map(rule).collect::<Result<_, _>>()?);
    }
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::ErrorKind::PermissionDenied;
    use std::process::Command;
    use std::thread;

    #[test]
    fn refuses_what_no_run_needs() {
        let dir = std::env::temp_dir().join(format!("ebtools-confined-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("file");
        fs::write(&file, "x").unwrap();
        let (inside, there) = (dir.clone(), file.clone());
        let confined = thread::spawn(move || {
            program(Work::Supervising).unwrap();
            program(Work::Reading).unwrap();
            confine(Work::Reading);
            let denied = [
                fs::write(&there, "y").err(),
                File::create(inside.join("new")).err(),
                File::options().append(true).open(&there).err(),
                File::options().read(true).write(true).open(&there).err(),
                fs::rename(&there, inside.join("b")).err(),
                fs::remove_file(&there).err(),
                fs::create_dir(inside.join("c")).err(),
                Command::new("/bin/true").status().err(),
                std::os::unix::net::UnixStream::connect("/no/such/socket").err(),
            ];
            let denied = denied.map(|error| error.map(|error| error.kind()));
            assert_eq!(denied, [Some(PermissionDenied); 9]);
            // What it does need.
            assert_eq!(fs::read(&there).unwrap(), b"x");
            thread::spawn(|| ()).join().unwrap();
        });
        confined.join().unwrap();
        fs::write(&file, "the others go on").unwrap();
        fs::remove_dir_all(dir).unwrap();
    }
}
