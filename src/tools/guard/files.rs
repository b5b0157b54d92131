//! The files of rules, as the kernel side finds them: by their inodes, and by names in directories.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore as _, MapFlags, Object, ProgramInput as Input};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::rules::{EXEC, OPEN};
use super::{guarded, types};
use crate::bpf::object;
use crate::bpf::programs::guard::ON_LOOK_AT;
use crate::error::{Context as _, Result};
use crate::record::c_str;
use crate::system::{procfs, sys};

/// What a rule says of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) act: usize,
    /// The number of the rule that denies it; none where it is allowed.
    pub(super) denied_by: Option<u16>,
}

/// All files of rules. As long as they are held their inodes stay where they are.
pub(super) struct Files<'o> {
    object: &'o Object,
    held: Vec<OwnedFd>,
    files: HashMap<u64, types::marks>,
    entries: HashMap<(u64, Vec<u8>), types::marks>,
}

impl<'o> Files<'o> {
    pub(super) fn new(object: &'o Object) -> Self {
        Self { object, held: Vec::new(), files: HashMap::new(), entries: HashMap::new() }
    }

    /// What is below a directory.
    pub(super) fn add_below(&mut self, path: &Path, mark: Mark) -> Result<()> {
        let inode = self.hold(path, OFlag::O_DIRECTORY).doing(opening(path))??.number;
        mark.set_below(self.files.entry(inode).or_default());
        // Another mount of these is not below it, nor is what is allowed worth the trouble.
        for dir in mark.denied_by.map(|_| mounted_below(path)).unwrap_or_default() {
            let held = match self.hold(&dir, OFlag::O_DIRECTORY) {
                // Not everything is a directory, and not every one may be entered.
                Err(Errno::ENOTDIR | Errno::EACCES | Errno::ENOENT) => continue,
                held => held.doing(opening(&dir))??,
            };
            mark.set_below(self.files.entry(held.number).or_default());
        }
        Ok(())
    }

    /// A file, whatever its name will be, and whatever has its name later: then the directory must be
    /// there. Opens and execs go where symbolic links lead; deletes and renames are of the links.
    pub(super) fn add(&mut self, path: &Path, mark: Mark) -> Result<()> {
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            let directory = self.hold(parent, OFlag::O_DIRECTORY).doing(opening(parent))??.number;
            mark.set(self.entry(directory, name.as_encoded_bytes()));
        }
        let follows = matches!(mark.act, OPEN | EXEC);
        let flags = if follows { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let held = match self.hold(path, flags) {
            Err(Errno::ENOENT) => return Ok(()),
            held => held.doing(opening(path))??,
        };
        mark.set(self.files.entry(held.number).or_default());
        mark.set(self.entry(held.directory, c_str(&held.name)));
        Ok(())
    }

    fn entry(&mut self, directory: u64, name: &[u8]) -> &mut types::marks {
        self.entries.entry((directory, name.to_vec())).or_default()
    }

    /// Opens a file for nothing but to hold it, and asks the kernel side what it knows it by.
    fn hold(&mut self, path: &Path, flags: OFlag) -> nix::Result<Result<types::answer>> {
        let file = open(path, flags | OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        let known = look_at(self.object, file.as_fd());
        self.held.push(file);
        Ok(known)
    }

    /// Tells the kernel side all of it; what has to be held is the result.
    pub(super) fn fill(self) -> Result<Vec<OwnedFd>> {
        let update = |map: &str, key: &[u8], marks: &types::marks| {
            let map = object::map(self.object, map)?;
            map.update(key, sys::bytes_of(marks), MapFlags::ANY).doing(guarded::FILLING)
        };
        for (inode, marks) in &self.files {
            update("files", &inode.to_ne_bytes(), marks)?;
        }
        for ((directory, name), marks) in &self.entries {
            let mut entry = types::entry { directory: *directory, ..types::entry::default() };
            for (to, from) in entry.name.iter_mut().zip(name) {
                *to = *from;
            }
            update("entries", sys::bytes_of(&entry), marks)?;
        }
        Ok(self.held)
    }
}

impl Mark {
    fn set(self, marks: &mut types::marks) {
        match self.denied_by {
            Some(rule) => marks.itself[self.act] = rule,
            None => marks.itself_allowed |= 1 << self.act,
        }
    }

    fn set_below(self, marks: &mut types::marks) {
        match self.denied_by {
            Some(rule) => marks.below[self.act] = rule,
            None => marks.below_allowed |= 1 << self.act,
        }
    }
}

/// Where file systems are mounted below a directory, and nowhere else: of one that is seen from here,
/// not of another root.
fn mounted_below(dir: &Path) -> Vec<PathBuf> {
    let (Ok(real), Ok(mounts)) = (fs::canonicalize(dir), fs::read("/proc/self/mountinfo")) else {
        return Vec::new();
    };
    let file = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    if file(&real) != file(dir) {
        return Vec::new();
    }
    let mounts = procfs::mounts(&mounts);
    let is_only_there = |device: &[u8]| {
        let mut others = mounts.iter().filter(|(other, _)| *other == device);
        others.all(|(_, at)| at.starts_with(&real))
    };
    let below = mounts.iter().filter(|(device, at)| at.starts_with(&real) && is_only_there(device));
    below.map(|(_, at)| at.clone()).collect()
}

fn opening(path: &Path) -> String {
    format!("opening {}", path.display())
}

/// What the kernel side knows an open file by.
fn look_at(object: &Object, file: BorrowedFd<'_>) -> Result<types::answer> {
    let mut fd = i64::from(file.as_raw_fd()).to_ne_bytes();
    let input = Input { context_in: Some(&mut fd), ..Input::default() };
    object::program(object, ON_LOOK_AT)?.test_run(input).doing("looking at a file")?;
    guarded::answer(object)
}
