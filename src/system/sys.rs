//! The few system calls that no crate wraps safely. The only hand-written unsafe code.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_long, c_void};
use std::fs::File;
use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use libbpf_rs::libbpf_sys::{
    BPF_PROG_TYPE_TRACEPOINT, BPF_PROG_TYPE_TRACING, BPF_XDP, PERF_FLAG_FD_CLOEXEC,
    bpf_link_create, bpf_link_create_opts, bpf_map_lookup_and_delete_batch, bpf_obj_get_info_by_fd,
    bpf_prog_info, bpf_prog_load_opts, bpf_program, bpf_program__attach_tcx, bpf_program__set_type,
    libbpf_prog_handler_opts, libbpf_register_prog_handler, perf_event_attr, perf_event_mmap_page,
};
use libbpf_rs::{
    AsRawLibbpf as _, Link, Map, MapCore as _, OpenProgramMut, ProgramAttachType, ProgramMut,
};
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use nix::unistd::{SysconfVar, sysconf};

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

/// The kernel's own types in its own memory, never to change; before Linux 6.16 they have to be
/// read.
pub(crate) fn map_kernel_types(file: &File) -> Option<KernelTypes> {
    let len = NonZeroUsize::new(usize::try_from(file.metadata().ok()?.len()).ok()?)?;
    // SAFETY: a new mapping.
    let start =
        unsafe { mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, file, 0).ok()? };
    Some(KernelTypes { start, len: len.get() })
}

/// As long as they are mapped.
#[derive(Debug)]
pub(crate) struct KernelTypes {
    start: NonNull<c_void>,
    len: usize,
}

impl Deref for KernelTypes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the kernel maps what is there for reading, in whole, and it never changes.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.len) }
    }
}

impl Drop for KernelTypes {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, of which nothing is borrowed any more.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}

/// What the sections of those programs begin with that [`load_for`] is for.
const LOADED_FOR_TYPES: [&CStr; 4] = [c"tracepoint+", c"tp_btf+", c"fentry+", c"fexit+"];

/// Lets programs be loaded for types of the kernel that are known by their numbers, before any object
/// is opened. libbpf would look for them among all types, which takes it longer than all else.
pub(crate) fn load_programs_for_types() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let options = libbpf_prog_handler_opts {
            sz: size_of::<libbpf_prog_handler_opts>() as u64,
            prog_prepare_load_fn: Some(give_type),
            ..Default::default()
        };
        for section in LOADED_FOR_TYPES {
            // SAFETY: libbpf copies the section and the options; nobody else registers handlers, or
            // opens objects meanwhile.
            unsafe {
                let kind = BPF_PROG_TYPE_TRACEPOINT;
                libbpf_register_prog_handler(section.as_ptr(), kind, 0, &raw const options);
            }
        }
    });
}

/// Before [`load_programs_for_types`]' programs are loaded: for the kernel's type of this number.
pub(crate) fn load_for(program: &mut OpenProgramMut<'_>, kind: ProgramAttachType, number: u32) {
    program.set_attach_type(kind);
    // Programs of such kinds have no interface: libbpf carries it to give_type().
    program.set_ifindex(number);
}

/// libbpf calls it before it loads such a program.
unsafe extern "C" fn give_type(
    program: *mut bpf_program,
    options: *mut bpf_prog_load_opts,
    _: c_long,
) -> c_int {
    // SAFETY: libbpf gives a program that is not loaded yet, and what it will be loaded with; both
    // are its own until this returns.
    unsafe {
        let number = mem::take(&mut (*options).prog_ifindex);
        if number == 0 {
            return 0;
        }
        (*options).attach_btf_id = number;
        bpf_program__set_type(program, BPF_PROG_TYPE_TRACING)
    }
}

/// What the kernel gives at a time.
#[derive(Debug)]
pub(crate) struct Batch<P, E> {
    /// How many entries it deleted from the table, and which.
    pub(crate) count: usize,
    pub(crate) entries: E,
    /// Where to go on; only if there are entries.
    pub(crate) next: P,
    pub(crate) outcome: nix::Result<()>,
}

/// Keys and values of a map, one after the other.
#[derive(Debug)]
pub(crate) struct Entries {
    pub(crate) keys: Vec<u8>,
    pub(crate) values: Vec<u8>,
}

/// Reads and deletes up to `room` entries of a map, from the beginning or where an earlier batch
/// says. libbpf-rs takes a batch that is not full for the last one.
pub(crate) fn lookup_and_delete_batch(
    map: &Map<'_>,
    at: Option<&[u8]>,
    room: usize,
) -> Batch<Vec<u8>, Entries> {
    let (key_size, value_size) = (map.key_size() as usize, map.value_size() as usize);
    let mut entries =
        Entries { keys: vec![0; key_size * room], values: vec![0; value_size * room] };
    // A place is a number of a bucket, or else a key.
    let mut next = vec![0; key_size.max(size_of::<u32>())];
    let mut at = at.map(<[u8]>::to_vec);
    let mut count = u32::try_from(room).unwrap_or(0);
    // SAFETY: there is room for `count` keys and values of the map's sizes, and for a place at
    // `next`; `at` is null or a place that an earlier call has given. The kernel writes no more.
    let result = unsafe {
        bpf_map_lookup_and_delete_batch(
            map.as_fd().as_raw_fd(),
            at.as_mut().map_or(std::ptr::null_mut(), |at| at.as_mut_ptr().cast()),
            next.as_mut_ptr().cast(),
            entries.keys.as_mut_ptr().cast(),
            entries.values.as_mut_ptr().cast(),
            &raw mut count,
            std::ptr::null(),
        )
    };
    let outcome = if result < 0 { Err(Errno::from_raw(-result)) } else { Ok(()) };
    let count = match outcome {
        // The others come before the kernel has set the count.
        Err(error) if !COUNTED.contains(&error) => 0,
        _ => count as usize,
    };
    entries.keys.truncate(count * key_size);
    entries.values.truncate(count * value_size);
    Batch { count, entries, next, outcome }
}

/// Errors that come with entries that were read before: `__htab_map_lookup_and_delete_batch()`.
const COUNTED: [Errno; 4] = [Errno::ENOENT, Errno::ENOSPC, Errno::EBUSY, Errno::ENOMEM];

/// What looks for new processes and reads their maps needs some.
const FILES_RESERVED: u64 = 32;

/// Limits that are raised here, or by libbpf.
const RAISED: [Resource; 3] =
    [Resource::RLIMIT_NOFILE, Resource::RLIMIT_MEMLOCK, Resource::RLIMIT_RTPRIO];

/// Those that this process was started with: soft and hard.
static LIMITS: OnceLock<[(u64, u64); 3]> = OnceLock::new();

/// What they are, before any is raised.
pub(crate) fn note_limits() {
    LIMITS.get_or_init(|| RAISED.map(|limit| getrlimit(limit).unwrap_or((0, 0))));
}

/// Lets this process open as many files as it may: each probe is two.
pub(crate) fn open_more_files() {
    // With fewer, opening the next one fails and says so.
    let _ = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
}

/// Lets [`Undisturbed`] work for the rest of this process, whatever rights it gives up.
pub(crate) fn allow_undisturbed() {
    let limits = getrlimit(Resource::RLIMIT_RTPRIO).unwrap_or((0, 0));
    if limits.0 < UNDISTURBED_PRIORITY {
        let hard = limits.1.max(UNDISTURBED_PRIORITY);
        // Without this right it is disturbed, and what is lost by that is counted.
        let _ = setrlimit(Resource::RLIMIT_RTPRIO, UNDISTURBED_PRIORITY, hard);
    }
}

const UNDISTURBED_PRIORITY: u64 = 1;

/// As long as it lives, no usual thread runs instead of this one. While the kernel reads a map it
/// runs no programs of perf events and kprobes on that CPU (bpf_disable_instrumentation), and a
/// kernel that preempts this would let others run there, whose events would be lost.
#[derive(Debug)]
pub(crate) struct Undisturbed;

impl Undisturbed {
    /// `None` for a thread that has a policy of its own already.
    pub(crate) fn begin() -> Option<Self> {
        // SAFETY: nothing is handed over.
        let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
        let is_usual =
            policy & !i64::from(libc::SCHED_RESET_ON_FORK) == i64::from(libc::SCHED_OTHER);
        is_usual.then(|| {
            set_scheduler(libc::SCHED_FIFO, UNDISTURBED_PRIORITY);
            Self
        })
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        set_scheduler(libc::SCHED_OTHER, 0);
    }
}

/// For this thread; musl does not make the call. What it starts has the usual policy, and to end that
/// would take a right.
fn set_scheduler(policy: libc::c_int, priority: u64) {
    let policy = policy | libc::SCHED_RESET_ON_FORK;
    let parameters = [libc::c_int::try_from(priority).unwrap_or(0)];
    // SAFETY: `parameters` is a struct sched_param, which is read.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, parameters.as_ptr()) };
}

/// May this process keep more files open than it has, with this one, which it will close, or are
/// there only a few left for what it must read?
pub(crate) fn has_files_left(open: BorrowedFd<'_>) -> bool {
    // The lowest number that is free is taken: below it all are in use.
    let next = open.try_clone_to_owned().ok().map(|next| next.as_raw_fd());
    let used = next.and_then(|next| u64::try_from(next).ok()).unwrap_or(u64::MAX);
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    limits.is_ok_and(|(soft, _)| used.saturating_add(FILES_RESERVED) < soft)
}

/// Gives the command the limits that this process was started with.
pub(crate) fn give_own_limits(command: &mut Command) {
    for (resource, (soft, hard)) in RAISED.into_iter().zip(LIMITS.get().into_iter().flatten()) {
        let limit = move || Ok(setrlimit(resource, *soft, *hard)?);
        // SAFETY: it makes one system call and touches no memory that another thread may hold.
        unsafe { command.pre_exec(limit) };
    }
}

/// Had this process huge pages before it refused them?
static HUGE_PAGES: OnceLock<bool> = OnceLock::new();

/// Has the kernel make no huge pages of this process's memory: while khugepaged does, no page can be
/// faulted in here, and it has the lowest priority. Kernels that preempt themselves, as all do since
/// Linux 7.0, take the CPU from it in the middle, and on a busy one this process stood still until
/// what it traces had ended.
pub(crate) fn refuse_huge_pages() {
    let had_them = HUGE_PAGES.get_or_init(|| prctl::get_thp_disable() == Ok(false));
    if *had_them {
        let _ = prctl::set_thp_disable(true);
    }
}

/// Lets the command have them, if this process had: it would inherit that they are refused.
pub(crate) fn give_huge_pages(command: &mut Command) {
    if HUGE_PAGES.get() == Some(&true) {
        let give = || Ok(prctl::set_thp_disable(false)?);
        // SAFETY: it makes one system call and touches no memory that another thread may hold.
        unsafe { command.pre_exec(give) };
    }
}

/// Gives the command its own mask of blocked signals.
pub(crate) fn give_mask(command: &mut Command, mask: SigSet) {
    let set = move || Ok(mask.thread_set_mask()?);
    // SAFETY: it makes one system call and touches no memory that another thread may hold.
    unsafe { command.pre_exec(set) };
}

/// Attaches an XDP program to a network interface in the mode of `flags`, for as long as the result
/// lives. libbpf-rs has no flags for such links.
pub(crate) fn attach_xdp(
    program: BorrowedFd<'_>,
    interface: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let interface = i32::try_from(interface).map_err(io::Error::other)?;
    let sz = u64::try_from(size_of::<bpf_link_create_opts>()).map_err(io::Error::other)?;
    let options = bpf_link_create_opts { sz, flags, ..bpf_link_create_opts::default() };
    // SAFETY: `options` is valid during the call, and has no pointers.
    let fd =
        unsafe { bpf_link_create(program.as_raw_fd(), interface, BPF_XDP, &raw const options) };
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a program to what a network interface sends, after those that are there, for as long as the
/// result lives. libbpf-rs has no such links.
pub(crate) fn attach_tcx(program: &ProgramMut<'_>, interface: u32) -> libbpf_rs::Result<Link> {
    let interface = i32::try_from(interface).map_err(io::Error::other)?;
    let program = program.as_libbpf_object();
    // SAFETY: the program lives during the call, and there are no options.
    let link = unsafe { bpf_program__attach_tcx(program.as_ptr(), interface, ptr::null()) };
    let link = NonNull::new(link).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: libbpf has just made it for us, and nobody else has it.
    Ok(unsafe { Link::from_ptr(link) })
}

/// Opens the directory of the cgroup that has this number, below no matter which directory of a
/// cgroup v2 file system: a handle as kernfs makes them (`FILEID_KERNFS` of linux/exportfs.h, since
/// Linux 5.5, commit 40430452fd5d). Needs `CAP_DAC_READ_SEARCH`.
pub(crate) fn open_cgroup(mount: BorrowedFd<'_>, number: u64) -> nix::Result<OwnedFd> {
    /// `struct file_handle` of linux/fs.h.
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        number: u64,
    }
    const FILEID_KERNFS: i32 = 0xfe;
    let handle = Handle { bytes: 8, kind: FILEID_KERNFS, number };
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: `handle` is valid during the call, with as many bytes behind its head as it says.
    let fd = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw const handle, flags)
    };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(|_| Errno::EBADF)?) })
}

/// Opens what stands for a process, whatever its number is used for later.
pub(crate) fn pidfd_open(pid: u32) -> nix::Result<OwnedFd> {
    let no_flags = 0;
    // SAFETY: nothing is handed over but numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, no_flags) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(|_| Errno::EBADF)?) })
}

/// Opens a perf event for all processes on one CPU.
pub(crate) fn perf_event_open(attr: &mut perf_event_attr, cpu: u32) -> nix::Result<OwnedFd> {
    attr.size = u32::try_from(size_of::<perf_event_attr>()).unwrap_or(0);
    let (any_process, no_group) = (-1, -1);
    // SAFETY: `attr` is valid for the `size` bytes that it says, during the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw mut *attr,
            any_process,
            cpu,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(|_| Errno::EBADF)?) })
}

/// The kernel's memory with the records of a perf event.
#[derive(Debug)]
pub(crate) struct PerfRing {
    /// A page that says where writer and reader are; the records are behind it.
    head: NonNull<perf_event_mmap_page>,
    page: usize,
    size: usize,
}

impl PerfRing {
    /// As much as `perf_event_mlock_kb` has room for on each CPU.
    const SIZE: usize = 256 << 10;

    pub(crate) fn new(event: &OwnedFd) -> nix::Result<Self> {
        let page = page_size()?;
        let (size, null) = (Self::SIZE.max(page), std::ptr::null_mut());
        let (rights, fd) = (libc::PROT_READ | libc::PROT_WRITE, event.as_raw_fd());
        // SAFETY: a new mapping, which nobody else has.
        let at = unsafe { libc::mmap(null, page + size, rights, libc::MAP_SHARED, fd, 0) };
        match NonNull::new(at) {
            Some(at) if at.as_ptr() != libc::MAP_FAILED => Ok(Self { head: at.cast(), page, size }),
            _ => Err(Errno::last()),
        }
    }

    /// What has come since the last time.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        // SAFETY: the page is mapped as long as `self` lives; both numbers are aligned, and read and written
        // by nobody but the kernel and here.
        let (written, read) = unsafe {
            let head = self.head.as_ptr();
            (
                AtomicU64::from_ptr(&raw mut (*head).data_head),
                AtomicU64::from_ptr(&raw mut (*head).data_tail),
            )
        };
        let (from, to) = (read.load(Ordering::Relaxed), written.load(Ordering::Acquire));
        let len =
            usize::try_from(to.wrapping_sub(from)).map_or(self.size, |len| len.min(self.size));
        let mut records = vec![0; len];
        // The size is a power of two.
        let start = from as usize & (self.size - 1);
        let (first, second) = records.split_at_mut(len.min(self.size - start));
        // SAFETY: `start` and the length of `first` stay within the records, which the kernel does not write
        // to before `read` says that they were read; `second` is what is left, from their beginning on.
        unsafe {
            let data = self.head.as_ptr().cast::<u8>().add(self.page);
            first.as_mut_ptr().copy_from_nonoverlapping(data.add(start), first.len());
            second.as_mut_ptr().copy_from_nonoverlapping(data, second.len());
        }
        read.store(to, Ordering::Release);
        records
    }
}

impl Drop for PerfRing {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it any more.
        let _ = unsafe { libc::munmap(self.head.as_ptr().cast(), self.page + self.size) };
    }
}

/// Ends this process without waiting for anything in it.
pub(crate) fn exit_at_once(code: i32) -> ! {
    // SAFETY: it does not come back, and runs nothing of ours.
    unsafe { libc::_exit(code) }
}

/// From now on, what a file's owner cuts off while it is mapped here reads as zeros, where the kernel
/// would end this process by SIGBUS.
pub(crate) fn survive_cut_files() -> nix::Result<()> {
    static DONE: OnceLock<nix::Result<()>> = OnceLock::new();
    *DONE.get_or_init(|| {
        PAGE_SIZE.store(page_size()?, Ordering::Relaxed);
        let handler = SigHandler::SigAction(on_bus_error);
        let action = SigAction::new(handler, SaFlags::SA_SIGINFO, SigSet::empty());
        // SAFETY: the handler makes system calls and reads an atomic, no more.
        unsafe { sigaction(Signal::SIGBUS, &action) }.map(drop)
    })
}

fn page_size() -> nix::Result<usize> {
    let size = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok());
    size.ok_or(Errno::EINVAL)
}

static PAGE_SIZE: AtomicUsize = AtomicUsize::new(4096);

/// A page that the file does not have any more becomes one of zeros, and the instruction is tried
/// again; anything else ends this process as it would have.
extern "C" fn on_bus_error(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let page = PAGE_SIZE.load(Ordering::Relaxed);
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid one, and BUS_ADRERR has an address.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let at = std::ptr::without_provenance_mut(address & !(page - 1));
    // SAFETY: the page is mapped and cannot be read, so nobody refers to what is in it; the call
    // takes no lock of ours.
    let is_mended = code == libc::BUS_ADRERR
        && unsafe { libc::mmap(at, page, libc::PROT_READ, flags, -1, 0) } != libc::MAP_FAILED;
    if !is_mended {
        // SAFETY: the default runs no code of ours.
        let _ = unsafe { signal(Signal::SIGBUS, SigHandler::SigDfl) };
    }
}

/// What a terminal has that does not say: columns and lines.
const USUAL_WINDOW: (usize, usize) = (80, 24);

/// The columns and lines of a terminal.
pub(crate) fn window_size(terminal: BorrowedFd<'_>) -> (usize, usize) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes that struct.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    match (done, size.ws_col, size.ws_row) {
        (0, columns @ 1.., lines @ 1..) => (columns.into(), lines.into()),
        _ => USUAL_WINDOW,
    }
}

/// The bytes of a value that has no padding.
pub(crate) fn bytes_of<T: plain::Plain>(value: &T) -> &[u8] {
    // SAFETY: the types that are Plain here have no padding (shared.bpf.h), so all their bytes
    // are initialised, and the slice lives as long as the value.
    unsafe { plain::as_bytes(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_file_that_is_cut_while_it_is_mapped() {
        survive_cut_files().unwrap();
        let path = std::env::temp_dir().join(format!("ebtools-cut-{}", std::process::id()));
        std::fs::write(&path, [7; 10_000]).unwrap();
        let file = std::fs::File::options().write(true).read(true).open(&path).unwrap();
        let (len, null) = (10_000, std::ptr::null_mut());
        // SAFETY: a new mapping, which nobody else has.
        let map = unsafe {
            libc::mmap(null, len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
        };
        assert_ne!(map, libc::MAP_FAILED);
        // SAFETY: inside the mapping.
        let read = |at: usize| unsafe { map.cast::<u8>().add(at).read_volatile() };
        assert_eq!(read(9_000), 7);
        file.set_len(0).unwrap();
        assert_eq!((read(0), read(9_000)), (0, 0));
        std::fs::remove_file(path).unwrap();
    }
}
