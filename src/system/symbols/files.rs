//! Files that processes have mapped, each read once, whatever its names are.

use std::collections::HashMap;
use std::path::Path;

use super::debug_files;
use super::elf::Elf;
use crate::system::foreign::{ForeignFile, Identity};

/// The most files that are kept open.
const FILES_MAX: usize = 256;
/// The memory that their functions may take: of eight of the largest browsers.
const BYTES_MAX: usize = 192 << 20;

/// Files by what they are. Those that were not used for the longest time are closed first.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: HashMap<Identity, Known>,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Known {
    /// None, if it is no ELF file.
    elf: Option<Elf<ForeignFile>>,
    used: u64,
}

impl Files {
    /// Opens the file that a link of /proc/PID/map_files leads to, unless it is known. `path` is
    /// where it is, or was.
    pub(super) fn open(&mut self, link: &Path, path: &[u8]) -> Option<Identity> {
        let file = ForeignFile::open(link).ok()?;
        let identity = file.identity();
        if self.get(identity).is_none() {
            self.make_room();
            let mut elf = Elf::read(file);
            if let Some(elf) = &mut elf {
                debug_files::add(elf, path);
            }
            self.files.insert(identity, Known { elf, used: self.clock });
            self.make_room();
        }
        Some(identity)
    }

    /// What a file has; none, if it is no ELF file. It may have been forgotten.
    pub(super) fn get(&mut self, identity: Identity) -> Option<Option<&Elf<ForeignFile>>> {
        self.clock += 1;
        let known = self.files.get_mut(&identity)?;
        known.used = self.clock;
        Some(known.elf.as_ref())
    }

    /// Keeps the last one, whatever it takes: that is bounded by itself.
    fn make_room(&mut self) {
        let memory = |known: &Known| known.elf.as_ref().map_or(0, Elf::memory);
        let mut bytes = self.files.values().map(memory).sum::<usize>();
        while self.files.len() > 1 && (self.files.len() >= FILES_MAX || bytes > BYTES_MAX) {
            let oldest = self.files.iter().min_by_key(|(_, known)| known.used);
            let Some(identity) = oldest.map(|(identity, _)| *identity) else { break };
            bytes -= self.files.remove(&identity).as_ref().map_or(0, memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_so_many_open() {
        let dir = std::env::temp_dir().join(format!("ebtools-files-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut files = Files::default();
        let first = files.open(Path::new("/proc/self/exe"), b"").unwrap();
        assert!(files.get(first).flatten().is_some());
        for i in 0..FILES_MAX {
            let path = dir.join(i.to_string());
            std::fs::write(&path, "no program").unwrap();
            let identity = files.open(&path, b"").unwrap();
            assert!(files.get(identity).is_some_and(|elf| elf.is_none()));
        }
        assert!(files.files.len() <= FILES_MAX && files.get(first).is_none());
        assert!(files.open(Path::new("/dev/null"), b"").is_none());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
