//! Any bytes as the texts of /proc.
#![no_main]

use ebtools::system::procfs;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = procfs::parent(bytes);
    let _ = procfs::status(bytes, "Tgid");
    let _ = procfs::mappings(bytes, |mapping| assert!(!mapping.path.is_empty()));
    let _ = procfs::mount_point(bytes, "cgroup2");
    let _ = procfs::mounts(bytes);
});
